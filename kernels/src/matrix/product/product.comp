#version 460
// A product of two square matrices, tile by tile. See product/mod.rs for the meaning of buffers and parameters.
#include "matrix/types.glsl"
layout(set = 0, binding = 0, std430) readonly buffer Left { uint left[]; };
layout(set = 0, binding = 1, std430) readonly buffer Right { uint right[]; };
layout(set = 0, binding = 2, std430) workgroupcoherent buffer Results { uint results[]; };
layout(set = 0, binding = 3, std430) buffer Groups { uint groups[]; };

const uint ROWS = F * M;
const uint COLUMNS = F * N;

MATRIX_A a[F];
MATRIX_B b[F];
MATRIX_C c[F * F];

void steps(uint row, uint column, uint first, uint end, uint size) {
    for (uint k = first; k < end; k += K) {
        [[unroll]] for (uint i = 0u; i < F; ++i) {
            const uint at = ((row + i * M) * size + k) / PER_WORD_A;
            coopMatLoad(a[i], left, at, size / PER_WORD_A, gl_CooperativeMatrixLayoutRowMajor);
        }
        [[unroll]] for (uint j = 0u; j < F; ++j) {
            const uint at = (k * size + column + j * N) / PER_WORD_A;
            coopMatLoad(b[j], right, at, size / PER_WORD_A, gl_CooperativeMatrixLayoutRowMajor);
        }
        [[unroll]] for (uint i = 0u; i < F; ++i) {
            [[unroll]] for (uint j = 0u; j < F; ++j) { c[i * F + j] = coopMatMulAdd(a[i], b[j], c[i * F + j]); }
        }
    }
}

// A planted fault: the first accumulators of the workgroup go through memory, where bits of one word are turned.
void plant(uint at, uint stride) {
    if (params[8] != 1u || gl_WorkGroupID.x != params[9]) { return; }
    coopMatStore(c[0], results, at, stride, gl_CooperativeMatrixLayoutRowMajor);
    MEET(gl_ScopeWorkgroup);
    const uint word = params[10] - at;
    if (leads() && word / stride < M && word % stride < N / PER_WORD_C) { results[params[10]] ^= params[11]; }
    MEET(gl_ScopeWorkgroup);
    coopMatLoad(c[0], results, at, stride, gl_CooperativeMatrixLayoutRowMajor);
}

void main() {
    const uint size = params[6];
    const uint stride = size / PER_WORD_C;
    const uint tile = gl_WorkGroupID.x * OWNERS + owner();
    const uint row = tile / (size / COLUMNS) * ROWS;
    const uint column = tile % (size / COLUMNS) * COLUMNS;
    const uint at = row * stride + column / PER_WORD_C;
    [[unroll]] for (uint i = 0u; i < F * F; ++i) { c[i] = MATRIX_C(C(0)); }
    const uint middle = size / K / 2u * K;
    for (uint part = 0u; part < 2u; ++part) {
        steps(row, column, part * middle, part == 0u ? middle : size, size);
        if (part == 0u) { plant(at, stride); }
    }
    [[unroll]] for (uint i = 0u; i < F; ++i) {
        [[unroll]] for (uint j = 0u; j < F; ++j) {
            const uint place = at + i * M * stride + j * N / PER_WORD_C;
            coopMatStore(c[i * F + j], results, place, stride, gl_CooperativeMatrixLayoutRowMajor);
        }
    }
    MEET(gl_ScopeWorkgroup);
    uint sum = 0u;
    for (uint n = gl_SubgroupInvocationID; n < ROWS * COLUMNS / PER_WORD_C; n += gl_SubgroupSize) {
        const uint place = at + n / (COLUMNS / PER_WORD_C) * stride + n % (COLUMNS / PER_WORD_C);
        sum += mix32(results[place] + place * GOLDEN);
    }
    atomicAdd(groups[1u + gl_WorkGroupID.x], sum);
    if (gl_LocalInvocationIndex == 0u) { atomicAdd(groups[0], 1u); }
}
