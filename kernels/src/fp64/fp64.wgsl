// FP64 multiply-add chains: see mod.rs.
var<private> chains: array<vec4<f64>, 4>;

// How many of them are run.
fn used() -> u32 { return select(chains_asked, 16u, chains_asked == 0u); }

fn first(number: u32) -> f64 {
    let unit = f64(mix32(number * GOLDEN ^ seed_asked())) * 2.3283064365386962890625e-10lf;
    return unit * 3.0lf - 1.5lf;
}

fn steps(count: u32) {
    let k = vec4<f64>(-1.9375lf, -1.9384765625lf, -1.939453125lf, -1.9404296875lf);
    let kb = k - vec4<f64>(0.00390625lf);
    let kc = k - vec4<f64>(0.0078125lf);
    let kd = k - vec4<f64>(0.01171875lf);
    var a = chains[0]; var b = chains[1]; var c = chains[2]; var d = chains[3];
    for (var i = 0u; i < count; i++) {
        a = fma(a, a, k);
        if used() > 4u { b = fma(b, b, kb); }
        if used() > 8u {
            c = fma(c, c, kc);
            d = fma(d, d, kd);
        }
    }
    chains[0] = a; chains[1] = b; chains[2] = c; chains[3] = d;
}

fn fold1(hash: u32, v: f64) -> u32 {
    let bits = bitcast<u64>(v);
    return fold(fold(hash, u32(bits & 0xfffffffflu)), u32(bits >> 32u));
}

@compute @workgroup_size(invocations)
fn main(@builtin(global_invocation_id) place: vec3<u32>) {
    let half = steps_asked() / 2u;
    for (var n = 0u; n < 4u; n++) {
        let number = lane_of(place) * 16u + n * 4u;
        chains[n] = vec4<f64>(first(number), first(number + 1u), first(number + 2u), first(number + 3u));
    }
    steps(half);
    let bits = bitcast<u64>(chains[0].x);
    let low = u64(planted(place, u32(bits & 0xfffffffflu)));
    chains[0].x = bitcast<f64>((bits & 0xffffffff00000000lu) | low);
    steps(half);

    var hash = 0u;
    for (var n = 0u; n < used() / 4u; n++) {
        let v = chains[n];
        hash = fold1(fold1(fold1(fold1(hash, v.x), v.y), v.z), v.w);
    }
    finish(place, hash);
}
