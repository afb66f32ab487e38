#version 460
// Reads of a footprint again and again: see mod.rs.
#include "chain.glsl"

layout(set = 0, binding = 2, std430) readonly buffer Words { uvec4 words[]; };

// Loads that are on their way at once.
const uint BLOCK = 8u;

#ifdef SHARED
const uint SHARED_LAST = 255u;
shared uvec4 held[SHARED_LAST + 1u];
void hold() {
    for (uint at = gl_LocalInvocationID.x; at <= SHARED_LAST; at += gl_WorkGroupSize.x) { held[at] = words[at]; }
    barrier();
}
uvec4 load(uint at) { return held[at & SHARED_LAST]; }
#else
void hold() {}
uvec4 load(uint at) { return words[at & params[8]]; }
#endif

uvec4 sum = uvec4(0u);

// Blocks of loads; the multiplier keeps their order.
void blocks(uint from, uint to, uint first) {
    for (uint block = from; block < to; ++block) {
        const uint passed = block * (BLOCK * 64u);
        // Every round of the footprint begins elsewhere, so that a lane has other words than in the round before.
        const uint at = first + passed + (passed >> params[10]) * 8u;
        uvec4 loaded[BLOCK];
        [[unroll]] for (uint n = 0u; n < BLOCK; ++n) { loaded[n] = load(at + n * 64u); }
        [[unroll]] for (uint n = 0u; n < BLOCK; ++n) { sum = sum * 5u + loaded[n]; }
    }
}

void main() {
    begin();
    hold();
    const uint all = steps_asked() / BLOCK;
    const uint first = tile() % params[9] * (all * BLOCK * 64u) + (mix32(seed()) & ~63u) + lane();
    blocks(0u, all / 2u, first);
    sum.x = planted(sum.x);
    blocks(all / 2u, all, first);
    finish(fold(fold(fold(fold(0u, sum.x), sum.y), sum.z), sum.w));
}
