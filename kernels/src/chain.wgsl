// What the chain kernels share: see chain.rs for the meaning of buffers and parameters. A kernel computes the word of its
// lane between `tile_of()`, `lane_of()`, `planted()` and `finish()`, and says nothing else. Its parameters, bound after its
// buffers, are those of a `params_N.wgsl`, N being how many it binds.
@group(0) @binding(0) var<storage, read_write> lanes: array<u32>;
@group(0) @binding(1) var<storage, read_write> groups: array<atomic<u32>>;
@id(0) override invocations: u32 = 64u;
@id(1) override chains_asked: u32 = 0u;

const GOLDEN: u32 = 0x9e3779b1u;

fn mix32(word: u32) -> u32 {
    var x = word;
    x ^= x >> 16u; x *= 0x7feb352du;
    x ^= x >> 15u; x *= 0x846ca68bu;
    return x ^ (x >> 16u);
}

// One word more in a hash that keeps their order.
fn fold(hash: u32, word: u32) -> u32 { return mix32(hash ^ word) + GOLDEN; }

fn fold4(hash: u32, words: vec4<u32>) -> u32 {
    return fold(fold(fold(fold(hash, words.x), words.y), words.z), words.w);
}

// A workgroup of the base shape, which a larger one runs several of; and the lane within it.
fn tile_of(place: vec3<u32>) -> u32 { return place.x / 64u; }
fn lane_of(place: vec3<u32>) -> u32 { return place.x % 64u; }
fn seed_asked() -> u32 { return params[0].z; }
fn steps_asked() -> u32 { return params[0].w; }

// A word as the planted fault leaves it.
fn planted(place: vec3<u32>, x: u32) -> u32 {
    if params[1].x == 1u && tile_of(place) == params[1].y && lane_of(place) == params[1].z { return x ^ params[1].w; }
    if params[1].x == 2u && (lane_of(place) % 32u) == params[1].z { return x | params[1].w; }
    return x;
}

// Stamps the word of this lane, stores it, and counts it in its workgroup's sum.
fn finish(place: vec3<u32>, hash: u32) {
    let word = mix32(hash ^ mix32(tile_of(place) * GOLDEN ^ seed_asked()));
    lanes[place.x] = word;
    atomicAdd(&groups[1u + tile_of(place)], mix32(word + lane_of(place) * GOLDEN));
    if lane_of(place) == 0u { atomicAdd(&groups[0], 1u); }
}

