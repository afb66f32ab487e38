// Dot products of packed 8-bit integers: see mod.rs.
var<private> x: array<u32, 8>;

// How many accumulators are run.
fn used() -> u32 { return select(chains_asked, 8u, chains_asked == 0u); }

fn dot4(a: u32, b: u32) -> u32 { return bitcast<u32>(dot4I8Packed(a, b)); }

fn steps(count: u32, m: u32) {
    var a = x[0]; var b = x[1]; var c = x[2]; var d = x[3];
    var e = x[4]; var f = x[5]; var g = x[6]; var h = x[7];
    for (var i = 0u; i < count; i++) {
        a += dot4(b, m);
        b += dot4(c, m);
        c += dot4(d, m);
        if used() > 4u {
            d += dot4(e, m);
            e += dot4(f, m);
            f += dot4(g, m);
            g += dot4(h, m);
            h += dot4(a, m);
        } else {
            d += dot4(a, m);
        }
    }
    x[0] = a; x[1] = b; x[2] = c; x[3] = d;
    x[4] = e; x[5] = f; x[6] = g; x[7] = h;
}

@compute @workgroup_size(invocations)
fn main(@builtin(global_invocation_id) place: vec3<u32>) {
    let half = steps_asked() / 2u;
    let m = mix32(seed_asked() + lane_of(place) * GOLDEN);
    for (var n = 0u; n < 8u; n++) { x[n] = mix32((lane_of(place) * 8u + n) * GOLDEN ^ seed_asked()); }
    steps(half, m);
    x[0] = planted(place, x[0]);
    steps(half, m);

    var hash = 0u;
    for (var n = 0u; n < used(); n++) { hash = fold(hash, x[n]); }
    finish(place, hash);
}
