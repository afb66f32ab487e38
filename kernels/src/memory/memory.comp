#version 460
// Memory sweeps. See mod.rs for the meaning of buffers and parameters. TABLE: chunks are reached by their addresses.
// WIDE: 32 bytes a lane at a time, as four 64-bit words, instead of 16.
#extension GL_EXT_control_flow_attributes : require
#ifdef TABLE
#extension GL_EXT_buffer_reference : require
#extension GL_EXT_buffer_reference_uvec2 : require
#endif
#ifdef WIDE
#extension GL_EXT_shader_explicit_arithmetic_types_int64 : require
#define QUAD u64vec4
const uint QUAD_WORDS = 8u;
#else
#define QUAD uvec4
const uint QUAD_WORDS = 4u;
#endif
layout(local_size_x = 256) in;
layout(constant_id = 0) const uint OP = 0u;
layout(constant_id = 1) const uint KIND = 0u;
layout(constant_id = 2) const uint TILES_EACH = 1u;
layout(constant_id = 3) const uint ORDER = 0u;
layout(push_constant) uniform Params { uint params[12]; };
layout(set = 0, binding = 0, std430) buffer Errors { uint errors[]; };
layout(set = 0, binding = 0, std430) buffer Records { uvec4 records[]; };
#ifdef TABLE
layout(set = 0, binding = 1, std430) readonly buffer Table { uvec2 table[]; };
layout(buffer_reference, std430, buffer_reference_align = 16) buffer Chunk { QUAD quads[]; };
layout(buffer_reference, std430, buffer_reference_align = 16) coherent volatile buffer Again { uint words[]; };
#else
layout(set = 0, binding = 1, std430) buffer Chunk { QUAD quads[]; } chunk;
layout(set = 0, binding = 1, std430) coherent volatile buffer Again { uint words[]; } again;
#endif

const uint WRITE = 0u, VERIFY = 1u, VERIFY_INVERT = 2u, WRITE_OTHERS = 3u, COPY = 4u, FLIP = 5u;
const uint LINEAR = 0u, RANDOM = 1u, LINES = 2u, MODULO = 3u;
const uint LANES = 256u;
const uint TILE_WORDS = 16384u;
const uint STEPS = TILE_WORDS / QUAD_WORDS / LANES;
const uint RECORDS_MAX = 512u;

uint mix32(uint x) {
    x ^= x >> 16;
    x *= 0x7feb352du;
    x ^= x >> 15;
    x *= 0x846ca68bu;
    return x ^ (x >> 16);
}

// What the number of a tile adds to its words' values: word numbers have 32 bits, so every 64 GiB get another.
uint fold_of(uint tile) {
    const uint high = tile >> 18;
    return high == 0u ? 0u : mix32(high);
}

// The values of four words, the first of this number.
uvec4 four(uint word, uint fold) {
    if (KIND == RANDOM) {
        uvec4 x = (uvec4(word, word + 1u, word + 2u, word + 3u) ^ fold) * 0x9e3779b1u ^ params[8];
        x ^= x >> 15;
        x *= 0x85ebca6bu;
        return x ^ (x >> 13) ^ params[9];
    }
    if (KIND == LINES) { return uvec4((0u - ((word >> params[10]) & 1u)) ^ params[9]); }
    if (KIND == MODULO) { return uvec4((word / 8u % 20u == params[10] ? 0u : ~0u) ^ params[9]); }
    const uint mask = params[9] ^ (params[8] == 0u ? 0u : fold);
    return (uvec4(word, word + 1u, word + 2u, word + 3u) * params[8]) ^ mask;
}

// Is the word one of the victims, which WRITE_OTHERS leaves alone?
bool victim(uint word) {
    if (KIND == MODULO) { return word / 8u % 20u == params[10]; }
    return KIND == LINES && ((word >> params[10]) & 1u) == 0u;
}

QUAD value(uint word, uint fold) {
#ifdef WIDE
    const uvec4 a = four(word, fold);
    const uvec4 b = four(word + 4u, fold);
    return QUAD(packUint2x32(a.xy), packUint2x32(a.zw), packUint2x32(b.xy), packUint2x32(b.zw));
#else
    return four(word, fold);
#endif
}

// Word n of a strip's differences, without an index that the compiler would put the whole array into memory for.
uint difference(QUAD found[STEPS], uint n) {
    QUAD quad = found[0];
    [[unroll]] for (uint u = 1u; u < STEPS; ++u) { quad = n / QUAD_WORDS == u ? found[u] : quad; }
#ifdef WIDE
    const uint part = n / 2u % 4u;
    uint64_t pair = quad.x;
    pair = part == 1u ? quad.y : pair;
    pair = part == 2u ? quad.z : pair;
    pair = part == 3u ? quad.w : pair;
    const uvec2 both = unpackUint2x32(pair);
    return n % 2u == 0u ? both.x : both.y;
#else
    const uint part = n % 4u;
    return part == 0u ? quad.x : part == 1u ? quad.y : part == 2u ? quad.z : quad.w;
#endif
}

// Handles the tile of one turn; how many strips were compared.
uint sweep(uint turn, uint tiles, uint lane) {
    if (ORDER == 1u) { turn = tiles - 1u - turn; }
    if (ORDER > 1u) { turn = turn * ORDER % tiles; }
    const uint place = params[5] + turn;
    const uint tile = params[6] + place;
    const uint fold = fold_of(tile);
    const uint word = tile * TILE_WORDS + lane * QUAD_WORDS;
#ifdef TABLE
    Chunk chunk = Chunk(table[place / params[7]]);
    Again again = Again(table[place / params[7]]);
    const uint local = place % params[7];
#else
    const uint local = place;
#endif
    const uint first = local * (TILE_WORDS / QUAD_WORDS) + lane;
    const uint step_words = LANES * QUAD_WORDS;
    if (OP == WRITE) {
        [[unroll]] for (uint u = 0u; u < STEPS; ++u) {
            chunk.quads[first + u * LANES] = value(word + u * step_words, fold);
        }
    } else if (OP == WRITE_OTHERS) {
        [[unroll]] for (uint u = 0u; u < STEPS; ++u) {
            const uint at = word + u * step_words;
            if (!victim(at)) { chunk.quads[first + u * LANES] = value(at, fold); }
        }
    } else if (OP == COPY) {
#ifdef TABLE
        Chunk target = Chunk(table[(place + params[10]) / params[7]]);
        const uint to = (place + params[10]) % params[7] * (TILE_WORDS / QUAD_WORDS) + lane;
        [[unroll]] for (uint u = 0u; u < STEPS; ++u) {
            target.quads[to + u * LANES] = chunk.quads[first + u * LANES];
        }
#else
        const uint to = first + params[10] * (TILE_WORDS / QUAD_WORDS);
        [[unroll]] for (uint u = 0u; u < STEPS; ++u) {
            chunk.quads[to + u * LANES] = chunk.quads[first + u * LANES];
        }
#endif
    } else {
        QUAD found[STEPS];
        QUAD any = QUAD(0u);
        [[unroll]] for (uint u = 0u; u < STEPS; ++u) { found[u] = chunk.quads[first + u * LANES]; }
        [[unroll]] for (uint u = 0u; u < STEPS; ++u) {
            found[u] ^= value(word + u * step_words, fold);
            any |= found[u];
        }
        if ((any.x | any.y | any.z | any.w) != 0u) {
            // What was read stays as it was read: an error that is gone at a second look is counted all the same.
            [[dont_unroll]] for (uint n = 0u; n < STEPS * QUAD_WORDS; ++n) {
                const uint wrong = difference(found, n);
                if (wrong != 0u) {
                    const uint offset = n / QUAD_WORDS * step_words + lane * QUAD_WORDS + n % QUAD_WORDS;
                    const uint expected = four(tile * TILE_WORDS + offset, fold).x;
                    const uint at = atomicAdd(errors[1], 1u);
                    atomicOr(errors[2], wrong & ~expected);
                    atomicOr(errors[3], wrong & expected);
                    atomicAdd(errors[4u + min(tile / params[11], 63u)], 1u);
                    if (at < RECORDS_MAX) {
                        const uint again_at = local * TILE_WORDS + offset;
                        const uint a = again.words[again_at];
                        const uint b = again.words[again_at];
                        const uint c = again.words[again_at];
                        records[17u + 2u * at] = uvec4(tile, offset, expected, expected ^ wrong);
                        records[18u + 2u * at] = uvec4(gl_WorkGroupID.x, a, b, c);
                    }
                }
            }
        }
        if (OP == VERIFY_INVERT) {
            [[unroll]] for (uint u = 0u; u < STEPS; ++u) {
                chunk.quads[first + u * LANES] = ~value(word + u * step_words, fold);
            }
        }
        return 1u;
    }
    return 0u;
}

void main() {
    const uint lane = gl_LocalInvocationID.x;
    if (OP == FLIP) {
        if (gl_WorkGroupID.x != 0u || lane != 0u) { return; }
#ifdef TABLE
        Again again = Again(table[params[5] / params[7]]);
        again.words[params[5] % params[7] * TILE_WORDS + params[10]] ^= params[9];
#else
        again.words[params[5] * TILE_WORDS + params[10]] ^= params[9];
#endif
        return;
    }
    const uint tiles = params[4];
    uint strips = 0u;
    if (TILES_EACH == 1u) {
        // No loop, however short: a software device would mask every access for it.
        strips = sweep(gl_WorkGroupID.x, tiles, lane);
    } else {
        const uint grid = (tiles + TILES_EACH - 1u) / TILES_EACH;
        [[dont_unroll]] for (uint turn = gl_WorkGroupID.x; turn < tiles; turn += grid) {
            strips += sweep(turn, tiles, lane);
        }
    }
    if (strips > 0u) { atomicAdd(errors[0], strips); }
}
