#version 460
// FP16 multiply-add chains: see mod.rs.
#extension GL_EXT_shader_explicit_arithmetic_types_float16 : require
#include "chain.glsl"

const uint CHAINS = CHAINS_ASKED == 0u ? 16u : CHAINS_ASKED;
// Steps between two looks at the chains.
const uint BLOCK = 32u;

float16_t first(uint number) {
    precise float value = float(mix32(number * GOLDEN ^ seed()) & 0x3ffu) * 0.0009765625 - 0.5;
    return float16_t(value);
}

f16vec4 first4(uint number) {
    return f16vec4(first(number), first(number + 1u), first(number + 2u), first(number + 3u));
}

// Two values as their bits. A device may flush what is below the least normal number, so that counts as zero.
uint bits2(f16vec2 v) {
    uint bits = packFloat2x16(v);
    if ((bits & 0x00007c00u) == 0u) { bits &= 0xffff0000u; }
    if ((bits & 0x7c000000u) == 0u) { bits &= 0x0000ffffu; }
    return bits;
}

// A bijection of the hash and of each word.
uint look(uint hash, f16vec4 v) { return (hash * GOLDEN + bits2(v.xy)) * GOLDEN + bits2(v.zw); }

// Value and the one before, of four vectors of chains.
f16vec4 a, b, c, d, a0, b0, c0, d0;
uint hash;

// x' = k - x * x + 0.296875 * (the x before): two multiply-adds.
#define STEP(new, old, k) old = fma(f16vec4(0.296875hf), old, k); old = fma(-new, new, old);

void steps(uint count) {
    const f16vec4 ka = f16vec4(1.40234375hf, 1.3984375hf, 1.39453125hf, 1.390625hf);
    const f16vec4 kb = ka - 0.015625hf;
    const f16vec4 kc = ka - 0.03125hf;
    const f16vec4 kd = ka - 0.046875hf;
    for (uint block = 0u; block < count / BLOCK; ++block) {
#define TWO_STEPS \
        STEP(a, a0, ka) \
        if (CHAINS > 4u) { STEP(b, b0, kb) } \
        if (CHAINS > 8u) { STEP(c, c0, kc) STEP(d, d0, kd) } \
        STEP(a0, a, ka) \
        if (CHAINS > 4u) { STEP(b0, b, kb) } \
        if (CHAINS > 8u) { STEP(c0, c, kc) STEP(d0, d, kd) }
        [[unroll]] for (uint i = 0u; i < BLOCK / 2u; ++i) { TWO_STEPS }
        hash = look(hash, a);
        if (CHAINS > 4u) { hash = look(hash, b); }
        if (CHAINS > 8u) { hash = look(look(hash, c), d); }
    }
}

void main() {
    begin();
    const uint number = lane() * 16u;
    hash = 0u;
    a = first4(number);
    b = first4(number + 4u);
    c = first4(number + 8u);
    d = first4(number + 12u);
    a0 = b0 = c0 = d0 = f16vec4(0.0hf);
    steps(steps_asked() / 2u);
    a.xy = unpackFloat2x16(planted(packFloat2x16(a.xy)));
    steps(steps_asked() / 2u);
    finish(hash);
}
