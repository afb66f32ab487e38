#version 460
// FP64 multiply-add chains: see mod.rs.
#include "chain.glsl"

const uint CHAINS = CHAINS_ASKED == 0u ? 16u : CHAINS_ASKED;
// Steps without a branch in between: the same number of instructions whatever the number of chains.
const uint ROUND = 128u / CHAINS;

double first(uint number) {
    precise double unit = double(mix32(number * GOLDEN ^ seed())) * 2.3283064365386962890625e-10lf;
    precise double scaled = unit * 3.0lf;
    precise double value = scaled - 1.5lf;
    return value;
}

dvec4 first4(uint number) {
    return dvec4(first(number), first(number + 1u), first(number + 2u), first(number + 3u));
}

uint fold1(uint hash, double v) {
    const uvec2 bits = unpackDouble2x32(v);
    return fold(fold(hash, bits.x), bits.y);
}

uint fold4(uint hash, dvec4 v) {
    return fold1(fold1(fold1(fold1(hash, v.x), v.y), v.z), v.w);
}

dvec4 a, b, c, d;

void steps(uint count) {
    const dvec4 k = dvec4(0.0lf, 1.0lf, 2.0lf, 3.0lf) / 1024.0lf;
    const dvec4 ka = -1.9375lf - k;
    const dvec4 kb = ka - 4.0lf / 1024.0lf;
    const dvec4 kc = ka - 8.0lf / 1024.0lf;
    const dvec4 kd = ka - 12.0lf / 1024.0lf;
#define STEP \
    a = fma(a, a, ka); \
    if (CHAINS > 4u) { b = fma(b, b, kb); } \
    if (CHAINS > 8u) { c = fma(c, c, kc); d = fma(d, d, kd); }
    STEPS(STEP, count, ROUND)
}

void main() {
    begin();
    const uint number = lane() * 16u;
    a = first4(number);
    b = first4(number + 4u);
    c = first4(number + 8u);
    d = first4(number + 12u);
    steps(steps_asked() / 2u);
    uvec2 bits = unpackDouble2x32(a.x);
    bits.x = planted(bits.x);
    a.x = packDouble2x32(bits);
    steps(steps_asked() / 2u);

    uint hash = fold4(0u, a);
    if (CHAINS > 4u) { hash = fold4(hash, b); }
    if (CHAINS > 8u) { hash = fold4(fold4(hash, c), d); }
    finish(hash);
}
