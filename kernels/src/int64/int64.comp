#version 460
// INT64 multiply-add chains: see mod.rs.
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require
#include "chain.glsl"

const uint CHAINS = CHAINS_ASKED == 0u ? 16u : CHAINS_ASKED;
// Multiply-adds between two mixings.
const uint BLOCK = 32u;

uint64_t first(uint number) {
    const uint low = mix32(number * GOLDEN ^ seed());
    return packUint2x32(uvec2(low, mix32(low + GOLDEN)));
}

u64vec4 first4(uint number) {
    return u64vec4(first(number), first(number + 1u), first(number + 2u), first(number + 3u));
}

uint fold1(uint hash, uint64_t v) {
    const uvec2 bits = unpackUint2x32(v);
    return fold(fold(hash, bits.x), bits.y);
}

uint fold4(uint hash, u64vec4 v) {
    return fold1(fold1(fold1(fold1(hash, v.x), v.y), v.z), v.w);
}

u64vec4 a, b, c, d;

// Whole blocks. The multiplier is no constant, so that no compiler can make two steps one.
void steps(uint count, uint64_t multiplier, uint64_t increment) {
    for (uint block = 0u; block < count / BLOCK; ++block) {
#define STEP \
        a = a * multiplier + increment; \
        if (CHAINS > 4u) { b = b * multiplier + increment; } \
        if (CHAINS > 8u) { c = c * multiplier + increment; d = d * multiplier + increment; }
        [[unroll]] for (uint i = 0u; i < BLOCK; ++i) { STEP }
        a ^= a >> 31; b ^= b >> 31; c ^= c >> 31; d ^= d >> 31;
    }
}

void main() {
    begin();
    const uint number = lane() * 16u;
    const uint64_t multiplier = packUint2x32(uvec2(mix32(seed()) | 1u, mix32(seed() + 2u * GOLDEN)));
    const uint64_t increment = packUint2x32(uvec2(mix32(seed() + GOLDEN) | 1u, mix32(seed() + 3u * GOLDEN)));
    a = first4(number);
    b = first4(number + 4u);
    c = first4(number + 8u);
    d = first4(number + 12u);
    steps(steps_asked() / 2u, multiplier, increment);
    uvec2 bits = unpackUint2x32(a.x);
    bits.x = planted(bits.x);
    a.x = packUint2x32(bits);
    steps(steps_asked() / 2u, multiplier, increment);

    uint hash = fold4(0u, a);
    if (CHAINS > 4u) { hash = fold4(hash, b); }
    if (CHAINS > 8u) { hash = fold4(fold4(hash, c), d); }
    finish(hash);
}
