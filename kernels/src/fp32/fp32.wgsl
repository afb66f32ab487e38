// FP32 multiply-add chains. See mod.rs for the meaning of buffers and parameters.
@group(0) @binding(0) var<storage, read_write> lanes: array<u32>;
@group(0) @binding(1) var<storage, read_write> groups: array<atomic<u32>>;
@group(0) @binding(2) var<uniform> params: array<vec4<u32>, 3>;
var<private> chains: array<vec4<f32>, 8>;

const GOLDEN: u32 = 0x9e3779b1u;

fn mix32(word: u32) -> u32 {
    var x = word;
    x ^= x >> 16u; x *= 0x7feb352du;
    x ^= x >> 15u; x *= 0x846ca68bu;
    return x ^ (x >> 16u);
}

fn first(number: u32, seed: u32) -> f32 {
    let unit = f32(mix32(number * GOLDEN ^ seed) & 0x003fffffu) * 2.384185791015625e-7;
    return unit * 3.0 - 1.5;
}

fn steps(count: u32) {
    let k = vec4<f32>(-1.9375, -1.9384765625, -1.939453125, -1.9404296875);
    var a = chains[0]; var b = chains[1]; var c = chains[2]; var d = chains[3];
    var e = chains[4]; var f = chains[5]; var g = chains[6]; var h = chains[7];
    let kb = k - 4.0 / 1024.0;
    let kc = k - 8.0 / 1024.0;
    let kd = k - 12.0 / 1024.0;
    let ke = k - 16.0 / 1024.0;
    let kf = k - 20.0 / 1024.0;
    let kg = k - 24.0 / 1024.0;
    let kh = k - 28.0 / 1024.0;
    for (var i = 0u; i < count; i++) {
        a = fma(a, a, k);
        b = fma(b, b, kb);
        c = fma(c, c, kc);
        d = fma(d, d, kd);
        e = fma(e, e, ke);
        f = fma(f, f, kf);
        g = fma(g, g, kg);
        h = fma(h, h, kh);
    }
    chains[0] = a; chains[1] = b; chains[2] = c; chains[3] = d;
    chains[4] = e; chains[5] = f; chains[6] = g; chains[7] = h;
}

@compute @workgroup_size(64)
fn main(@builtin(local_invocation_id) local: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    let lane = local.x;
    let workgroup = group.x;
    let seed = params[0].x;
    let half = params[0].y / 2u;
    for (var n = 0u; n < 8u; n++) {
        let number = lane * 32u + n * 4u;
        chains[n] = vec4<f32>(first(number, seed), first(number + 1u, seed), first(number + 2u, seed), first(number + 3u, seed));
    }
    steps(half);
    if params[0].z == 1u && workgroup == params[0].w && lane == params[1].x {
        chains[0].x = bitcast<f32>(bitcast<u32>(chains[0].x) ^ params[1].y);
    }
    if params[0].z == 2u && (lane % 32u) == params[1].x {
        chains[0].x = bitcast<f32>(bitcast<u32>(chains[0].x) | params[1].y);
    }
    steps(half);

    var hash = 0u;
    for (var n = 0u; n < 8u; n++) {
        let bits = bitcast<vec4<u32>>(chains[n]);
        hash = mix32(hash ^ bits.x) + GOLDEN;
        hash = mix32(hash ^ bits.y) + GOLDEN;
        hash = mix32(hash ^ bits.z) + GOLDEN;
        hash = mix32(hash ^ bits.w) + GOLDEN;
    }
    let word = mix32(hash ^ mix32(workgroup * GOLDEN ^ seed));
    lanes[workgroup * 64u + lane] = word;
    atomicAdd(&groups[1u + workgroup], mix32(word + lane * GOLDEN));
    if lane == 0u { atomicAdd(&groups[0], 1u); }
}
