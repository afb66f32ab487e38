// Memory stream. See mod.rs for the meaning of buffers and parameters.
@id(0) override OP: u32 = 0u;
@group(0) @binding(0) var<storage, read_write> source: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read_write> destination: array<vec4<u32>>;
@group(0) @binding(2) var<storage, read_write> sums: array<atomic<u32>>;
@group(0) @binding(3) var<uniform> params: array<vec4<u32>, 3>;

const QUADS_PER_LANE: u32 = 16u;

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_id) local: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    let lane = local.x;
    let first = group.x * QUADS_PER_LANE * 64u + lane;

    if OP == 0u {
        var acc = vec4<u32>(0u);
        for (var k = 0u; k < QUADS_PER_LANE; k++) {
            let quad = first + k * 64u;
            let word = quad * 4u;
            acc += source[quad] * (vec4<u32>(word, word + 1u, word + 2u, word + 3u) * 2u + 1u);
        }
        atomicAdd(&sums[1u + group.x], acc.x + acc.y + acc.z + acc.w);
    } else {
        for (var k = 0u; k < QUADS_PER_LANE; k++) {
            let quad = first + k * 64u;
            let word = quad * 4u;
            if OP == 1u {
                destination[quad] = vec4<u32>(word, word + 1u, word + 2u, word + 3u) * params[0].w;
            } else {
                destination[quad] = source[quad];
            }
        }
    }
    if lane == 0u { atomicAdd(&sums[0], 1u); }
}
