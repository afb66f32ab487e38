// Exact integer digest: see mod.rs.
const CLASSES: u32 = 16u;

fn steps(word: u32, count: u32) -> u32 {
    var x = word;
    for (var i = 0u; i < count; i++) {
        x = x * 0x4c957f2du + 0x6a09e667u;
        x ^= x >> 15u;
    }
    return x;
}

@compute @workgroup_size(invocations)
fn main(@builtin(global_invocation_id) place: vec3<u32>) {
    let half = steps_asked() / 2u;
    let x = mix32(((tile_of(place) % CLASSES) * 64u + lane_of(place)) * GOLDEN ^ seed_asked());
    finish(place, steps(planted(place, steps(x, half)), half));
}
