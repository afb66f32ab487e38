// INT64 multiply-add chains: see mod.rs.
var<private> chains: array<vec4<u64>, 4>;

// Multiply-adds between two mixings.
const BLOCK: u32 = 32u;

// How many chains are run.
fn used() -> u32 { return select(chains_asked, 16u, chains_asked == 0u); }

fn joined(low: u32, high: u32) -> u64 { return u64(low) | (u64(high) << 32u); }

fn first(number: u32) -> u64 {
    let low = mix32(number * GOLDEN ^ seed_asked());
    return joined(low, mix32(low + GOLDEN));
}

fn mixed(x: vec4<u64>) -> vec4<u64> { return x ^ (x >> vec4<u32>(31u)); }

// Whole blocks. The multiplier is no constant, so that no compiler can make two steps one.
fn steps(count: u32, multiplier: u64, increment: u64) {
    let m = vec4<u64>(multiplier);
    let n = vec4<u64>(increment);
    var a = chains[0]; var b = chains[1]; var c = chains[2]; var d = chains[3];
    for (var block = 0u; block < count / BLOCK; block++) {
        for (var i = 0u; i < BLOCK; i++) {
            a = a * m + n;
            if used() > 4u { b = b * m + n; }
            if used() > 8u { c = c * m + n; d = d * m + n; }
        }
        a = mixed(a); b = mixed(b); c = mixed(c); d = mixed(d);
    }
    chains[0] = a; chains[1] = b; chains[2] = c; chains[3] = d;
}

fn fold1(hash: u32, v: u64) -> u32 { return fold(fold(hash, u32(v & 0xfffffffflu)), u32(v >> 32u)); }

@compute @workgroup_size(invocations)
fn main(@builtin(global_invocation_id) place: vec3<u32>) {
    let half = steps_asked() / 2u;
    let seed = seed_asked();
    let multiplier = joined(mix32(seed) | 1u, mix32(seed + 2u * GOLDEN));
    let increment = joined(mix32(seed + GOLDEN) | 1u, mix32(seed + 3u * GOLDEN));
    for (var n = 0u; n < 4u; n++) {
        let number = lane_of(place) * 16u + n * 4u;
        chains[n] = vec4<u64>(first(number), first(number + 1u), first(number + 2u), first(number + 3u));
    }
    steps(half, multiplier, increment);
    let x = chains[0].x;
    chains[0].x = joined(planted(place, u32(x & 0xfffffffflu)), u32(x >> 32u));
    steps(half, multiplier, increment);

    var hash = 0u;
    for (var n = 0u; n < used() / 4u; n++) {
        let v = chains[n];
        hash = fold1(fold1(fold1(fold1(hash, v.x), v.y), v.z), v.w);
    }
    finish(place, hash);
}
