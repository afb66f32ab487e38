// FP32 multiply-add chains: see mod.rs.
var<private> chains: array<vec4<f32>, 8>;

// How many of them are run.
fn used() -> u32 { return select(chains_asked, 32u, chains_asked == 0u); }

fn first(number: u32) -> f32 {
    let unit = f32(mix32(number * GOLDEN ^ seed_asked()) & 0x003fffffu) * 2.384185791015625e-7;
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
        if used() > 4u { b = fma(b, b, kb); }
        if used() > 8u {
            c = fma(c, c, kc);
            d = fma(d, d, kd);
        }
        if used() > 16u {
            e = fma(e, e, ke);
            f = fma(f, f, kf);
            g = fma(g, g, kg);
            h = fma(h, h, kh);
        }
    }
    chains[0] = a; chains[1] = b; chains[2] = c; chains[3] = d;
    chains[4] = e; chains[5] = f; chains[6] = g; chains[7] = h;
}

@compute @workgroup_size(invocations)
fn main(@builtin(global_invocation_id) place: vec3<u32>) {
    let half = steps_asked() / 2u;
    for (var n = 0u; n < 8u; n++) {
        let number = lane_of(place) * 32u + n * 4u;
        chains[n] = vec4<f32>(first(number), first(number + 1u), first(number + 2u), first(number + 3u));
    }
    steps(half);
    chains[0].x = bitcast<f32>(planted(place, bitcast<u32>(chains[0].x)));
    steps(half);

    var hash = 0u;
    for (var n = 0u; n < used() / 4u; n++) { hash = fold4(hash, bitcast<vec4<u32>>(chains[n])); }
    finish(place, hash);
}
