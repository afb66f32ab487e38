#version 460
// Register-resident matrix multiply-accumulate. See mod.rs for the meaning of buffers and parameters.
#include "matrix/types.glsl"
layout(set = 0, binding = 0, std430) readonly buffer Operands { uint operands[]; };
layout(set = 0, binding = 1, std430) workgroupcoherent buffer Results { uint results[]; };
layout(set = 0, binding = 2, std430) buffer Groups { uint groups[]; };

const uint CLASSES = 16u;

MATRIX_A a[F];
// Not a local: Mesa 26.1 takes a local copy of a matrix for another name of it, and the As would not take turns.
MATRIX_A spare;
MATRIX_B b[F];
MATRIX_C c[F * F];

void load(uint number) {
    uint at = (number % CLASSES) * (F * TILE_A + F * TILE_B + F * F * TILE_C);
    [[unroll]] for (uint i = 0u; i < F; ++i, at += TILE_A) {
        coopMatLoad(a[i], operands, at, K / PER_WORD_A, gl_CooperativeMatrixLayoutRowMajor);
    }
    [[unroll]] for (uint i = 0u; i < F; ++i, at += TILE_B) {
        coopMatLoad(b[i], operands, at, N / PER_WORD_A, gl_CooperativeMatrixLayoutRowMajor);
    }
    const MATRIX_C stamp = MATRIX_C(C(params[6] == 0u ? 0u : mix32(number * GOLDEN ^ params[6]) & STAMP));
    [[unroll]] for (uint i = 0u; i < F * F; ++i, at += TILE_C) {
        coopMatLoad(c[i], operands, at, N / PER_WORD_C, gl_CooperativeMatrixLayoutRowMajor);
        c[i] = c[i] + stamp;
    }
}

// Every accumulator meets every B while each A stays; then the As take turns, so that no product is that of the round before.
void rounds(uint count) {
    for (uint t = 0u; t < count; ++t) {
        [[unroll]] for (uint q = 0u; q < F; ++q) {
            [[unroll]] for (uint i = 0u; i < F; ++i) {
                [[unroll]] for (uint j = 0u; j < F; ++j) {
                    c[i * F + j] = coopMatMulAdd(a[i], b[(j + q) % F], c[i * F + j]);
                }
            }
        }
        spare = a[0];
        [[unroll]] for (uint i = 1u; i < F; ++i) { a[i - 1u] = a[i]; }
        a[F - 1u] = spare;
    }
}

// A planted fault: the first accumulators of the workgroup go through memory, where bits of one word are turned or stuck.
void plant(uint at) {
    const uint kind = params[8], mask = params[11];
    if (kind != 2u && (kind != 1u || gl_WorkGroupID.x != params[9])) { return; }
    coopMatStore(c[0], results, at, N / PER_WORD_C, gl_CooperativeMatrixLayoutRowMajor);
    MEET(gl_ScopeWorkgroup);
    const uint word = params[10] - owner() * F * F * TILE_C;
    if (leads() && kind == 1u && word < TILE_C) { results[at + word] ^= mask; }
    if (leads() && kind == 2u) {
        for (uint lane = params[10]; lane < TILE_C; lane += 32u) { results[at + lane] |= mask; }
    }
    MEET(gl_ScopeWorkgroup);
    coopMatLoad(c[0], results, at, N / PER_WORD_C, gl_CooperativeMatrixLayoutRowMajor);
}

void main() {
    const uint workgroup = gl_WorkGroupID.x;
    const uint first = workgroup * OWNERS * F * F * TILE_C;
    const uint at = first + owner() * F * F * TILE_C;
    load(workgroup * OWNERS + owner());
    for (uint part = 0u; part < 2u; ++part) {
        rounds(params[7] / 2u);
        if (part == 0u) { plant(at); }
    }
    [[unroll]] for (uint i = 0u; i < F * F; ++i) {
        coopMatStore(c[i], results, at + i * TILE_C, N / PER_WORD_C, gl_CooperativeMatrixLayoutRowMajor);
    }
    MEET(gl_ScopeWorkgroup);
    uint sum = 0u;
    for (uint n = gl_LocalInvocationIndex; n < OWNERS * F * F * TILE_C; n += gl_WorkGroupSize.x) {
        sum += mix32(results[first + n] + n * GOLDEN);
    }
    atomicAdd(groups[1u + workgroup], sum);
    if (gl_LocalInvocationIndex == 0u) { atomicAdd(groups[0], 1u); }
}
