// INT32 multiply-add chains: see mod.rs.
var<private> chains: array<vec4<u32>, 8>;

// Multiply-adds between two mixings.
const BLOCK: u32 = 32u;

// How many chains are run.
fn used() -> u32 { return select(chains_asked, 32u, chains_asked == 0u); }

fn first(number: u32) -> u32 { return mix32(number * GOLDEN ^ seed_asked()); }

fn mixed(x: vec4<u32>) -> vec4<u32> { return x ^ (x >> vec4<u32>(15u)); }

// Whole blocks. The multiplier is no constant, so that no compiler can make two steps one.
fn steps(count: u32, multiplier: u32, increment: u32) {
    let m = vec4<u32>(multiplier);
    let n = vec4<u32>(increment);
    var a = chains[0]; var b = chains[1]; var c = chains[2]; var d = chains[3];
    var e = chains[4]; var f = chains[5]; var g = chains[6]; var h = chains[7];
    for (var block = 0u; block < count / BLOCK; block++) {
        for (var i = 0u; i < BLOCK; i++) {
            a = a * m + n;
            if used() > 4u { b = b * m + n; }
            if used() > 8u {
                c = c * m + n;
                d = d * m + n;
            }
            if used() > 16u {
                e = e * m + n;
                f = f * m + n;
                g = g * m + n;
                h = h * m + n;
            }
        }
        a = mixed(a); b = mixed(b); c = mixed(c); d = mixed(d);
        e = mixed(e); f = mixed(f); g = mixed(g); h = mixed(h);
    }
    chains[0] = a; chains[1] = b; chains[2] = c; chains[3] = d;
    chains[4] = e; chains[5] = f; chains[6] = g; chains[7] = h;
}

@compute @workgroup_size(invocations)
fn main(@builtin(global_invocation_id) place: vec3<u32>) {
    let half = steps_asked() / 2u;
    let multiplier = mix32(seed_asked()) | 1u;
    let increment = mix32(seed_asked() + GOLDEN) | 1u;
    for (var n = 0u; n < 8u; n++) {
        let number = lane_of(place) * 32u + n * 4u;
        chains[n] = vec4<u32>(first(number), first(number + 1u), first(number + 2u), first(number + 3u));
    }
    steps(half, multiplier, increment);
    chains[0].x = planted(place, chains[0].x);
    steps(half, multiplier, increment);

    var hash = 0u;
    for (var n = 0u; n < used() / 4u; n++) { hash = fold4(hash, chains[n]); }
    finish(place, hash);
}
