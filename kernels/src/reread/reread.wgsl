// Reads of a footprint again and again: see mod.rs. Follows `hold()` and `load()`, of memory or of what a workgroup shares.
@group(0) @binding(2) var<storage, read_write> words: array<vec4<u32>>;

// Loads that are on their way at once.
const BLOCK: u32 = 8u;

// Blocks of loads; the multiplier keeps their order.
fn blocks(before: vec4<u32>, from_block: u32, to_block: u32, first: u32) -> vec4<u32> {
    var sum = before;
    for (var block = from_block; block < to_block; block++) {
        let passed = block * (BLOCK * 64u);
        // Every round of the footprint begins elsewhere, so that a lane has other words than in the round before.
        let at = first + passed + (passed >> params[2].z) * 8u;
        for (var n = 0u; n < BLOCK; n++) { sum = sum * 5u + load(at + n * 64u); }
    }
    return sum;
}

@compute @workgroup_size(invocations)
fn main(@builtin(global_invocation_id) place: vec3<u32>, @builtin(local_invocation_index) local: u32) {
    hold(local);
    let all = steps_asked() / BLOCK;
    let first = tile_of(place) % params[2].y * (all * BLOCK * 64u) + (mix32(seed_asked()) & ~63u) + lane_of(place);
    var sum = blocks(vec4<u32>(), 0u, all / 2u, first);
    sum.x = planted(place, sum.x);
    finish(place, fold4(0u, blocks(sum, all / 2u, all, first)));
}
