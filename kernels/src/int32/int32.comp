#version 460
// INT32 multiply-add chains: see mod.rs.
#include "chain.glsl"

const uint CHAINS = CHAINS_ASKED == 0u ? 32u : CHAINS_ASKED;
// Multiply-adds between two mixings.
const uint BLOCK = 32u;

uvec4 first4(uint number) {
    return uvec4(mix32(number * GOLDEN ^ seed()), mix32((number + 1u) * GOLDEN ^ seed()),
                 mix32((number + 2u) * GOLDEN ^ seed()), mix32((number + 3u) * GOLDEN ^ seed()));
}

uint fold4(uint hash, uvec4 v) { return fold(fold(fold(fold(hash, v.x), v.y), v.z), v.w); }

uvec4 a, b, c, d, e, f, g, h;

// Whole blocks. The multiplier is no constant, so that no compiler can make two steps one.
void steps(uint count, uint multiplier, uint increment) {
    for (uint block = 0u; block < count / BLOCK; ++block) {
#define STEP \
        a = a * multiplier + increment; \
        if (CHAINS > 4u) { b = b * multiplier + increment; } \
        if (CHAINS > 8u) { c = c * multiplier + increment; d = d * multiplier + increment; } \
        if (CHAINS > 16u) { \
            e = e * multiplier + increment; f = f * multiplier + increment; \
            g = g * multiplier + increment; h = h * multiplier + increment; \
        }
        [[unroll]] for (uint i = 0u; i < BLOCK; ++i) { STEP }
        a ^= a >> 15; b ^= b >> 15; c ^= c >> 15; d ^= d >> 15;
        e ^= e >> 15; f ^= f >> 15; g ^= g >> 15; h ^= h >> 15;
    }
}

void main() {
    begin();
    const uint number = lane() * 32u;
    const uint multiplier = mix32(seed()) | 1u;
    const uint increment = mix32(seed() + GOLDEN) | 1u;
    a = first4(number);
    b = first4(number + 4u);
    c = first4(number + 8u);
    d = first4(number + 12u);
    e = first4(number + 16u);
    f = first4(number + 20u);
    g = first4(number + 24u);
    h = first4(number + 28u);
    steps(steps_asked() / 2u, multiplier, increment);
    a.x = planted(a.x);
    steps(steps_asked() / 2u, multiplier, increment);

    uint hash = fold4(0u, a);
    if (CHAINS > 4u) { hash = fold4(hash, b); }
    if (CHAINS > 8u) { hash = fold4(fold4(hash, c), d); }
    if (CHAINS > 16u) { hash = fold4(fold4(fold4(fold4(hash, e), f), g), h); }
    finish(hash);
}
