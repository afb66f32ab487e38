// Memory sweeps. See mod.rs for the meaning of buffers and parameters.
@id(0) override OP: u32 = 0u;
@id(1) override KIND: u32 = 0u;
@id(2) override TILES_EACH: u32 = 1u;
@id(3) override ORDER: u32 = 0u;
@group(0) @binding(0) var<storage, read_write> errors: array<atomic<u32>>;
@group(0) @binding(1) var<storage, read_write> quads: array<vec4<u32>>;
@group(0) @binding(2) var<uniform> params: array<vec4<u32>, 3>;

const LANES: u32 = 256u;
const TILE_WORDS: u32 = 16384u;
const STEPS: u32 = 16u;
const RECORDS_MAX: u32 = 512u;

fn mix32(word: u32) -> u32 {
    var x = word;
    x ^= x >> 16u;
    x *= 0x7feb352du;
    x ^= x >> 15u;
    x *= 0x846ca68bu;
    return x ^ (x >> 16u);
}

fn fold_of(tile: u32) -> u32 {
    let high = tile >> 18u;
    if high == 0u { return 0u; }
    return mix32(high);
}

// The values of four words, the first of this number.
fn four(word: u32, fold: u32) -> vec4<u32> {
    let n = vec4<u32>(word, word + 1u, word + 2u, word + 3u);
    let mask = params[2].y;
    if KIND == 1u {
        var x = ((n ^ vec4<u32>(fold)) * 0x9e3779b1u) ^ vec4<u32>(params[2].x);
        x ^= x >> vec4<u32>(15u);
        x *= 0x85ebca6bu;
        return x ^ (x >> vec4<u32>(13u)) ^ vec4<u32>(mask);
    }
    if KIND == 2u { return vec4<u32>((0u - ((word >> params[2].z) & 1u)) ^ mask); }
    if KIND == 3u { return vec4<u32>(select(~0u, 0u, word / 8u % 20u == params[2].z) ^ mask); }
    return (n * params[2].x) ^ vec4<u32>(mask ^ select(fold, 0u, params[2].x == 0u));
}

fn victim(word: u32) -> bool {
    if KIND == 3u { return word / 8u % 20u == params[2].z; }
    return KIND == 2u && ((word >> params[2].z) & 1u) == 0u;
}

fn record(tile: u32, place: u32, offset: u32, found: u32, workgroup: u32) {
    let expected = four(tile * TILE_WORDS + offset, fold_of(tile)).x;
    let wrong = expected ^ found;
    let at = atomicAdd(&errors[1], 1u);
    atomicOr(&errors[2], wrong & ~expected);
    atomicOr(&errors[3], wrong & expected);
    atomicAdd(&errors[4u + min(tile / params[2].w, 63u)], 1u);
    if at < RECORDS_MAX {
        let to = 68u + at * 8u;
        let word = place * TILE_WORDS + offset;
        atomicStore(&errors[to], tile);
        atomicStore(&errors[to + 1u], offset);
        atomicStore(&errors[to + 2u], expected);
        atomicStore(&errors[to + 3u], found);
        atomicStore(&errors[to + 4u], workgroup);
        for (var n = 0u; n < 3u; n++) { atomicStore(&errors[to + 5u + n], quads[word / 4u][word % 4u]); }
    }
}

@compute @workgroup_size(256)
fn main(@builtin(local_invocation_id) local: vec3<u32>, @builtin(workgroup_id) group: vec3<u32>) {
    let lane = local.x;
    let tiles = params[1].x;
    if OP == 5u {
        if group.x == 0u && lane == 0u {
            let word = params[1].y * TILE_WORDS + params[2].z;
            quads[word / 4u][word % 4u] ^= params[2].y;
        }
        return;
    }
    let grid = (tiles + TILES_EACH - 1u) / TILES_EACH;
    var strips = 0u;
    for (var k = 0u; k < TILES_EACH; k++) {
        var turn = group.x + k * grid;
        if turn >= tiles { break; }
        if ORDER == 1u { turn = tiles - 1u - turn; }
        if ORDER > 1u { turn = turn * ORDER % tiles; }
        let place = params[1].y + turn;
        let tile = params[1].z + place;
        let fold = fold_of(tile);
        for (var u = 0u; u < STEPS; u++) {
            let offset = (u * LANES + lane) * 4u;
            let quad = place * (TILE_WORDS / 4u) + u * LANES + lane;
            let expected = four(tile * TILE_WORDS + offset, fold);
            if OP == 0u {
                quads[quad] = expected;
            } else if OP == 3u {
                if !victim(tile * TILE_WORDS + offset) { quads[quad] = expected; }
            } else if OP == 4u {
                quads[quad + params[2].z * (TILE_WORDS / 4u)] = quads[quad];
            } else {
                let found = quads[quad];
                if any(found != expected) {
                    for (var n = 0u; n < 4u; n++) {
                        if found[n] != expected[n] { record(tile, place, offset + n, found[n], group.x); }
                    }
                }
                if OP == 2u { quads[quad] = ~expected; }
            }
        }
        if OP == 1u || OP == 2u { strips++; }
    }
    if strips > 0u { atomicAdd(&errors[0], strips); }
}
