// Memory pattern. See mod.rs for the meaning of buffers and parameters.
@id(0) override OP: u32 = 0u;
@group(0) @binding(0) var<storage, read_write> memory: array<vec4<u32>>;
@group(0) @binding(1) var<storage, read_write> errors: array<atomic<u32>>;
@group(0) @binding(2) var<uniform> params: array<vec4<u32>, 3>;

const QUADS_PER_LANE: u32 = 16u;

fn value(quad: u32) -> vec4<u32> {
    let word = params[0].z + quad * 4u;
    return (vec4<u32>(word, word + 1u, word + 2u, word + 3u) * params[0].w) ^ vec4<u32>(params[1].x);
}

fn record(word: u32, expected: u32, found: u32, workgroup: u32) {
    atomicAdd(&errors[1], 1u);
    atomicOr(&errors[2], expected ^ found);
    let at = atomicAdd(&errors[3], 1u);
    if at < 64u {
        atomicStore(&errors[4u + at * 4u], word);
        atomicStore(&errors[5u + at * 4u], expected);
        atomicStore(&errors[6u + at * 4u], found);
        atomicStore(&errors[7u + at * 4u], workgroup);
    }
}

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_id) local: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    let lane = local.x;
    let first = group.x * QUADS_PER_LANE * 64u + lane;
    let quads = params[0].y;

    var count = 0u;
    if OP == 3u {
        if group.x == 0u && lane == 0u {
            memory[params[1].y / 4u][params[1].y % 4u] ^= params[1].z;
        }
    } else {
        for (var k = 0u; k < QUADS_PER_LANE; k++) {
            let quad = first + k * 64u;
            if quad < quads {
                let expected = value(quad);
                if OP == 0u {
                    memory[quad] = expected;
                } else {
                    let found = memory[quad];
                    if OP == 2u { memory[quad] = ~expected; }
                    for (var n = 0u; n < 4u; n++) {
                        if expected[n] != found[n] { record(quad * 4u + n, expected[n], found[n], group.x); }
                    }
                    count++;
                }
            }
        }
    }
    if count > 0u { atomicAdd(&errors[0], count); }
}
