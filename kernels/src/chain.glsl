// What the chain kernels share: see chain.rs for the meaning of buffers and parameters. A kernel includes this after its
// extensions, computes the word of its lane between `tile()`, `lane()`, `planted()` and `finish()`, and says nothing else.
#extension GL_EXT_control_flow_attributes : require
#ifdef UNITS
#extension GL_NV_shader_sm_builtins : require
#extension GL_EXT_shader_realtime_clock : require
#endif

layout(local_size_x = 64, local_size_x_id = 0) in;
layout(constant_id = 1) const uint CHAINS_ASKED = 0u;
layout(push_constant) uniform Params { uint params[12]; };
layout(set = 0, binding = 0, std430) writeonly buffer Lanes { uint lanes[]; };
layout(set = 0, binding = 1, std430) buffer Groups { uint groups[]; };

const uint GOLDEN = 0x9e3779b1u;

uint mix32(uint x) {
    x ^= x >> 16; x *= 0x7feb352du;
    x ^= x >> 15; x *= 0x846ca68bu;
    return x ^ (x >> 16);
}

// One word more in a hash that keeps their order.
uint fold(uint hash, uint word) { return mix32(hash ^ word) + GOLDEN; }

// A workgroup of the base shape, which a larger one runs several of; and the lane within it.
uint tile() { return gl_GlobalInvocationID.x / 64u; }
uint lane() { return gl_GlobalInvocationID.x % 64u; }
uint seed() { return params[2]; }
uint steps_asked() { return params[3]; }

// Runs a step so many times, a whole round of them without a branch: the counter of a loop would else be a part of what is
// measured.
#define STEPS(step, count, round) \
    for (uint outer = 0u; outer < (count) / (round); ++outer) { [[unroll]] for (uint n = 0u; n < (round); ++n) { step } } \
    for (uint rest = 0u; rest < (count) % (round); ++rest) { step }

// A word as the planted fault leaves it.
uint planted(uint x) {
    if (params[4] == 1u && tile() == params[5] && lane() == params[6]) { return x ^ params[7]; }
    if (params[4] == 2u && (lane() % 32u) == params[6]) { return x | params[7]; }
    return x;
}

#if defined(UNITS) || defined(STAND_IN)
layout(set = 0, binding = 2, std430) writeonly buffer Units { uint units[]; };
#endif
#ifdef UNITS
uvec2 begun;
void begin() { begun = clockRealtime2x32EXT(); }
void record() {
    const uvec2 ended = clockRealtime2x32EXT();
    const uint at = tile() * 8u;
    units[at] = gl_SMIDNV; units[at + 1u] = gl_WarpIDNV;
    units[at + 2u] = begun.x; units[at + 3u] = begun.y;
    units[at + 4u] = ended.x; units[at + 5u] = ended.y;
}
#elif defined(STAND_IN)
void begin() {}
void record() {
    const uint unit = tile() * 7u % 13u;
    const uint at = tile() * 8u;
    units[at] = unit; units[at + 1u] = tile() % 4u;
    units[at + 2u] = tile() * 10u; units[at + 3u] = 0u;
    units[at + 4u] = tile() * 10u + 100u + unit; units[at + 5u] = 0u;
}
#else
void begin() {}
void record() {}
#endif

// Stamps the word of this lane, stores it, and counts it in its workgroup's sum.
void finish(uint hash) {
    const uint word = mix32(hash ^ mix32(tile() * GOLDEN ^ seed()));
    lanes[gl_GlobalInvocationID.x] = word;
    atomicAdd(groups[1u + tile()], mix32(word + lane() * GOLDEN));
    if (lane() == 0u) {
        atomicAdd(groups[0], 1u);
        record();
    }
}
