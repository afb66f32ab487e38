#version 460
// FP32 multiply-add chains. See mod.rs for the meaning of buffers and parameters.
layout(local_size_x = 64) in;
layout(push_constant) uniform Params { uint params[12]; };
layout(set = 0, binding = 0, std430) writeonly buffer Lanes { uint lanes[]; };
layout(set = 0, binding = 1, std430) buffer Groups { uint groups[]; };

const uint GOLDEN = 0x9e3779b1u;

uint mix32(uint x) {
    x ^= x >> 16; x *= 0x7feb352du;
    x ^= x >> 15; x *= 0x846ca68bu;
    return x ^ (x >> 16);
}

float first(uint number, uint seed) {
    precise float unit = float(mix32(number * GOLDEN ^ seed) & 0x003fffffu) * 2.384185791015625e-7;
    precise float scaled = unit * 3.0;
    precise float value = scaled - 1.5;
    return value;
}

vec4 first4(uint number, uint seed) {
    return vec4(first(number, seed), first(number + 1u, seed), first(number + 2u, seed), first(number + 3u, seed));
}

uint fold(uint hash, vec4 v) {
    const uvec4 bits = floatBitsToUint(v);
    hash = mix32(hash ^ bits.x) + GOLDEN;
    hash = mix32(hash ^ bits.y) + GOLDEN;
    hash = mix32(hash ^ bits.z) + GOLDEN;
    return mix32(hash ^ bits.w) + GOLDEN;
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
    for (uint i = 0u; i < count; ++i) {
        a = fma(a, a, ka);
        b = fma(b, b, kb);
        c = fma(c, c, kc);
        d = fma(d, d, kd);
        e = fma(e, e, ke);
        f = fma(f, f, kf);
        g = fma(g, g, kg);
        h = fma(h, h, kh);
    }
}

void main() {
    const uint lane = gl_LocalInvocationID.x;
    const uint workgroup = gl_WorkGroupID.x;
    const uint seed = params[0];
    const uint number = lane * 32u;
    a = first4(number, seed);
    b = first4(number + 4u, seed);
    c = first4(number + 8u, seed);
    d = first4(number + 12u, seed);
    e = first4(number + 16u, seed);
    f = first4(number + 20u, seed);
    g = first4(number + 24u, seed);
    h = first4(number + 28u, seed);
    steps(params[1] / 2u);
    if (params[2] == 1u && workgroup == params[3] && lane == params[4]) {
        a.x = uintBitsToFloat(floatBitsToUint(a.x) ^ params[5]);
    }
    if (params[2] == 2u && (lane % 32u) == params[4]) {
        a.x = uintBitsToFloat(floatBitsToUint(a.x) | params[5]);
    }
    steps(params[1] / 2u);

    uint hash = fold(0u, a);
    hash = fold(hash, b);
    hash = fold(hash, c);
    hash = fold(hash, d);
    hash = fold(hash, e);
    hash = fold(hash, f);
    hash = fold(hash, g);
    hash = fold(hash, h);
    const uint word = mix32(hash ^ mix32(workgroup * GOLDEN ^ seed));
    lanes[workgroup * 64u + lane] = word;
    atomicAdd(groups[1u + workgroup], mix32(word + lane * GOLDEN));
    if (lane == 0u) { atomicAdd(groups[0], 1u); }
}
