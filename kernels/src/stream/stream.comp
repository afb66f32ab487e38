#version 460
// Memory stream. See mod.rs for the meaning of buffers and parameters.
layout(local_size_x = 64) in;
layout(constant_id = 0) const uint OP = 0u;
layout(push_constant) uniform Params { uint params[12]; };
layout(set = 0, binding = 0, std430) readonly buffer Source { uvec4 source[]; };
layout(set = 0, binding = 1, std430) writeonly buffer Target { uvec4 target[]; };
layout(set = 0, binding = 2, std430) buffer Sums { uint sums[]; };

const uint QUADS_PER_LANE = 16u;

void main() {
    const uint lane = gl_LocalInvocationID.x;
    const uint first = gl_WorkGroupID.x * QUADS_PER_LANE * 64u + lane;

    if (OP == 0u) {
        uvec4 acc = uvec4(0u);
        for (uint k = 0u; k < QUADS_PER_LANE; ++k) {
            const uint quad = first + k * 64u;
            const uint word = quad * 4u;
            acc += source[quad] * (uvec4(word, word + 1u, word + 2u, word + 3u) * 2u + 1u);
        }
        atomicAdd(sums[1u + gl_WorkGroupID.x], acc.x + acc.y + acc.z + acc.w);
    } else if (OP == 1u) {
        for (uint k = 0u; k < QUADS_PER_LANE; ++k) {
            const uint quad = first + k * 64u;
            const uint word = quad * 4u;
            target[quad] = uvec4(word, word + 1u, word + 2u, word + 3u) * params[3];
        }
    } else {
        for (uint k = 0u; k < QUADS_PER_LANE; ++k) {
            const uint quad = first + k * 64u;
            target[quad] = source[quad];
        }
    }
    if (lane == 0u) { atomicAdd(sums[0], 1u); }
}
