// Exact integer digest. See mod.rs for the meaning of buffers and parameters.
@group(0) @binding(0) var<storage, read_write> lanes: array<u32>;
@group(0) @binding(1) var<storage, read_write> groups: array<atomic<u32>>;
@group(0) @binding(2) var<uniform> params: array<vec4<u32>, 3>;

const GOLDEN: u32 = 0x9e3779b1u;
const CLASSES: u32 = 16u;

fn mix32(word: u32) -> u32 {
    var x = word;
    x ^= x >> 16u; x *= 0x7feb352du;
    x ^= x >> 15u; x *= 0x846ca68bu;
    return x ^ (x >> 16u);
}

fn steps(word: u32, count: u32) -> u32 {
    var x = word;
    for (var i = 0u; i < count; i++) {
        x = x * 0x4c957f2du + 0x6a09e667u;
        x ^= x >> 15u;
    }
    return x;
}

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_id) local: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    let lane = local.x;
    let workgroup = group.x;
    let seed = params[0].x;
    let half = params[0].y / 2u;
    var x = mix32(((workgroup % CLASSES) * 64u + lane) * GOLDEN ^ seed);
    x = steps(x, half);
    if params[0].z == 1u && workgroup == params[0].w && lane == params[1].x { x ^= params[1].y; }
    if params[0].z == 2u && (lane % 32u) == params[1].x { x |= params[1].y; }
    x = steps(x, half);

    let word = mix32(x ^ mix32(workgroup * GOLDEN ^ seed));
    lanes[workgroup * 64u + lane] = word;
    atomicAdd(&groups[1u + workgroup], mix32(word + lane * GOLDEN));
    if lane == 0u { atomicAdd(&groups[0], 1u); }
}
