#version 460
// Memory pattern. See mod.rs for the meaning of buffers and parameters.
layout(local_size_x = 64) in;
layout(constant_id = 0) const uint OP = 0u;
layout(push_constant) uniform Params { uint params[12]; };
layout(set = 0, binding = 0, std430) buffer Memory { uvec4 memory[]; };
layout(set = 0, binding = 1, std430) buffer Errors { uint errors[]; };

const uint QUADS_PER_LANE = 16u;

uvec4 value(uint quad) {
    const uint word = params[2] + quad * 4u;
    return (uvec4(word, word + 1u, word + 2u, word + 3u) * params[3]) ^ params[4];
}

void record(uint word, uint expected, uint found) {
    atomicAdd(errors[1], 1u);
    atomicOr(errors[2], expected ^ found);
    const uint at = atomicAdd(errors[3], 1u);
    if (at < 64u) {
        errors[4u + at * 4u] = word;
        errors[5u + at * 4u] = expected;
        errors[6u + at * 4u] = found;
        errors[7u + at * 4u] = gl_WorkGroupID.x;
    }
}

void compare(uint quad, uvec4 expected, uvec4 found) {
    for (uint n = 0u; n < 4u; ++n) {
        if (expected[n] != found[n]) { record(quad * 4u + n, expected[n], found[n]); }
    }
}

void main() {
    const uint lane = gl_LocalInvocationID.x;
    const uint first = gl_WorkGroupID.x * QUADS_PER_LANE * 64u + lane;
    const uint quads = params[1];

    uint count = 0u;
    if (OP == 0u) {
        for (uint k = 0u; k < QUADS_PER_LANE; ++k) {
            const uint quad = first + k * 64u;
            if (quad < quads) { memory[quad] = value(quad); }
        }
    } else if (OP == 1u) {
        for (uint k = 0u; k < QUADS_PER_LANE; ++k) {
            const uint quad = first + k * 64u;
            if (quad < quads) {
                const uvec4 expected = value(quad);
                const uvec4 found = memory[quad];
                if (expected != found) { compare(quad, expected, found); }
                ++count;
            }
        }
    } else if (OP == 2u) {
        for (uint k = 0u; k < QUADS_PER_LANE; ++k) {
            const uint quad = first + k * 64u;
            if (quad < quads) {
                const uvec4 expected = value(quad);
                const uvec4 found = memory[quad];
                memory[quad] = ~expected;
                if (expected != found) { compare(quad, expected, found); }
                ++count;
            }
        }
    } else if (gl_WorkGroupID.x == 0u && lane == 0u) {
        memory[params[5] / 4u][params[5] % 4u] ^= params[6];
    }
    if (count > 0u) { atomicAdd(errors[0], count); }
}
