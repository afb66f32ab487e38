// INT64 multiply-add chains: see mod.rs.
var<private> chains: array<u64, 16>;

// Multiply-adds between two mixings.
const BLOCK: u32 = 32u;

// How many chains are run.
fn used() -> u32 { return select(chains_asked, 16u, chains_asked == 0u); }

fn joined(low: u32, high: u32) -> u64 { return u64(low) | (u64(high) << 32u); }

// Whole blocks. The multiplier is no constant, so that no compiler can make two steps one.
fn steps(count: u32, multiplier: u64, increment: u64) {
    for (var block = 0u; block < count / BLOCK; block++) {
        for (var i = 0u; i < BLOCK; i++) {
            for (var n = 0u; n < used(); n++) { chains[n] = chains[n] * multiplier + increment; }
        }
        for (var n = 0u; n < 16u; n++) { chains[n] = chains[n] ^ (chains[n] >> 31u); }
    }
}

@compute @workgroup_size(invocations)
fn main(@builtin(global_invocation_id) place: vec3<u32>) {
    let half = steps_asked() / 2u;
    let seed = seed_asked();
    let multiplier = joined(mix32(seed) | 1u, mix32(seed + 2u * GOLDEN));
    let increment = joined(mix32(seed + GOLDEN) | 1u, mix32(seed + 3u * GOLDEN));
    for (var n = 0u; n < 16u; n++) {
        let low = mix32((lane_of(place) * 16u + n) * GOLDEN ^ seed);
        chains[n] = joined(low, mix32(low + GOLDEN));
    }
    steps(half, multiplier, increment);
    chains[0] = joined(planted(place, u32(chains[0] & 0xfffffffflu)), u32(chains[0] >> 32u));
    steps(half, multiplier, increment);

    var hash = 0u;
    for (var n = 0u; n < used(); n++) {
        hash = fold(fold(hash, u32(chains[n] & 0xfffffffflu)), u32(chains[n] >> 32u));
    }
    finish(place, hash);
}
