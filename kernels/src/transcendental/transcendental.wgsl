// Transcendental functions: see mod.rs.
const CLASSES: u32 = 16u;

// Random bits of the inputs, and a hash of the results.
var<private> u: u32;
var<private> hash: u32;

fn asked(function: u32) -> bool { return chains_asked == 0u || chains_asked == function; }

fn look(result: f32) { hash = hash * GOLDEN + bitcast<u32>(result); }

fn steps(count: u32) {
    for (var i = 0u; i < count; i++) {
        u = u * 0x4c957f2du + 0x6a09e667u;
        // Every input is exact: 2^-16 to 2^16; -16 to 16; -3 to 3.
        let positive = ((111u + ((u >> 3u) & 31u)) << 23u) | (u >> 9u);
        let exponent = bitcast<f32>(0x3f800000u | (u >> 9u)) * 32.0 - 48.0;
        let angle = f32(i32(u >> 11u) - 1048576) * 2.86102294921875e-6;
        if asked(1u) { look(exp2(exponent)); }
        if asked(2u) { look(log2(bitcast<f32>(positive))); }
        if asked(3u) { look(sin(angle)); }
        if asked(4u) { look(cos(-0.75 * angle)); }
        if asked(5u) { look(sqrt(bitcast<f32>(positive ^ 0x111111u))); }
        if asked(6u) { look(inverseSqrt(bitcast<f32>(positive ^ 0x222222u))); }
        if asked(7u) { look(1.0 / bitcast<f32>(positive ^ 0x80444444u)); }
    }
}

@compute @workgroup_size(invocations)
fn main(@builtin(global_invocation_id) place: vec3<u32>) {
    let item = (lane_of(place) + 13u * (tile_of(place) / CLASSES)) % 64u;
    u = mix32(((tile_of(place) % CLASSES) * 64u + item) * GOLDEN ^ seed_asked());
    hash = 0u;
    steps(steps_asked() / 2u);
    hash = planted(place, hash);
    steps(steps_asked() - steps_asked() / 2u);
    finish(place, hash);
}
