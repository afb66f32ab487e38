#version 460
// FP32 multiply-add chains: see mod.rs.
#include "chain.glsl"

const uint CHAINS = CHAINS_ASKED == 0u ? 32u : CHAINS_ASKED;
// Steps without a branch in between: the same number of instructions whatever the number of chains.
const uint ROUND = 256u / CHAINS;

float first(uint number) {
    precise float unit = float(mix32(number * GOLDEN ^ seed()) & 0x003fffffu) * 2.384185791015625e-7;
    precise float scaled = unit * 3.0;
    precise float value = scaled - 1.5;
    return value;
}

vec4 first4(uint number) {
    return vec4(first(number), first(number + 1u), first(number + 2u), first(number + 3u));
}

uint fold4(uint hash, vec4 v) {
    const uvec4 bits = floatBitsToUint(v);
    return fold(fold(fold(fold(hash, bits.x), bits.y), bits.z), bits.w);
}

vec4 a, b, c, d, e, f, g, h;

void steps(uint count) {
    const vec4 k = vec4(0.0, 1.0, 2.0, 3.0) / 1024.0;
    const vec4 ka = -1.9375 - k;
    const vec4 kb = ka - 4.0 / 1024.0;
    const vec4 kc = ka - 8.0 / 1024.0;
    const vec4 kd = ka - 12.0 / 1024.0;
    const vec4 ke = ka - 16.0 / 1024.0;
    const vec4 kf = ka - 20.0 / 1024.0;
    const vec4 kg = ka - 24.0 / 1024.0;
    const vec4 kh = ka - 28.0 / 1024.0;
#define STEP \
    a = fma(a, a, ka); \
    if (CHAINS > 4u) { b = fma(b, b, kb); } \
    if (CHAINS > 8u) { c = fma(c, c, kc); d = fma(d, d, kd); } \
    if (CHAINS > 16u) { e = fma(e, e, ke); f = fma(f, f, kf); g = fma(g, g, kg); h = fma(h, h, kh); }
    STEPS(STEP, count, ROUND)
}

void main() {
    begin();
    const uint number = lane() * 32u;
    a = first4(number);
    b = first4(number + 4u);
    c = first4(number + 8u);
    d = first4(number + 12u);
    e = first4(number + 16u);
    f = first4(number + 20u);
    g = first4(number + 24u);
    h = first4(number + 28u);
    steps(steps_asked() / 2u);
    a.x = uintBitsToFloat(planted(floatBitsToUint(a.x)));
    steps(steps_asked() / 2u);

    uint hash = fold4(0u, a);
    if (CHAINS > 4u) { hash = fold4(hash, b); }
    if (CHAINS > 8u) { hash = fold4(fold4(hash, c), d); }
    if (CHAINS > 16u) { hash = fold4(fold4(fold4(fold4(hash, e), f), g), h); }
    finish(hash);
}
