#version 460
// Exact integer digest. See mod.rs for the meaning of buffers and parameters.
layout(local_size_x = 64) in;
layout(push_constant) uniform Params { uint params[12]; };
layout(set = 0, binding = 0, std430) writeonly buffer Lanes { uint lanes[]; };
layout(set = 0, binding = 1, std430) buffer Groups { uint groups[]; };

const uint GOLDEN = 0x9e3779b1u;
const uint CLASSES = 16u;

uint mix32(uint x) {
    x ^= x >> 16; x *= 0x7feb352du;
    x ^= x >> 15; x *= 0x846ca68bu;
    return x ^ (x >> 16);
}

uint steps(uint x, uint count) {
    for (uint i = 0u; i < count; ++i) {
        x = x * 0x4c957f2du + 0x6a09e667u;
        x ^= x >> 15;
    }
    return x;
}

void main() {
    const uint lane = gl_LocalInvocationID.x;
    const uint workgroup = gl_WorkGroupID.x;
    const uint seed = params[0];
    uint x = mix32(((workgroup % CLASSES) * 64u + lane) * GOLDEN ^ seed);
    x = steps(x, params[1] / 2u);
    if (params[2] == 1u && workgroup == params[3] && lane == params[4]) { x ^= params[5]; }
    if (params[2] == 2u && (lane % 32u) == params[4]) { x |= params[5]; }
    x = steps(x, params[1] / 2u);

    const uint word = mix32(x ^ mix32(workgroup * GOLDEN ^ seed));
    lanes[workgroup * 64u + lane] = word;
    atomicAdd(groups[1u + workgroup], mix32(word + lane * GOLDEN));
    if (lane == 0u) { atomicAdd(groups[0], 1u); }
}
