// What the matrix kernels share: element types by -D, shape by specialization constants, buffers, mixing.
//
// A: element type of A and B, PER_WORD_A of them in a word. C: that of the accumulators, PER_WORD_C in a word.
// STAMP: which bits of a stamp are added to every accumulator at the start. WHOLE: one matrix for the whole workgroup.
#pragma use_vulkan_memory_model
#extension GL_KHR_cooperative_matrix : require
#extension GL_KHR_memory_scope_semantics : require
#extension GL_KHR_shader_subgroup_basic : require
#extension GL_EXT_shader_explicit_arithmetic_types : require
#extension GL_EXT_control_flow_attributes : require
#extension GL_EXT_bfloat16 : enable
#extension GL_EXT_float_e4m3 : enable
#extension GL_EXT_float_e5m2 : enable
#ifdef WHOLE
#extension GL_NV_cooperative_matrix2 : require
const int SCOPE = gl_ScopeWorkgroup;
#else
const int SCOPE = gl_ScopeSubgroup;
#endif

layout(constant_id = 0) const uint M = 16u;
layout(constant_id = 1) const uint N = 16u;
layout(constant_id = 2) const uint K = 16u;
layout(local_size_x_id = 3) in;
layout(constant_id = 4) const uint F = 2u;
layout(constant_id = 5) const uint OWNERS = 1u;

#define MATRIX_A coopmat<A, SCOPE, M, K, gl_MatrixUseA>
#define MATRIX_B coopmat<A, SCOPE, K, N, gl_MatrixUseB>
#define MATRIX_C coopmat<C, SCOPE, M, N, gl_MatrixUseAccumulator>

layout(push_constant) uniform Params { uint params[12]; };

const uint GOLDEN = 0x9e3779b1u;
const uint TILE_A = M * K / PER_WORD_A;
const uint TILE_B = K * N / PER_WORD_A;
const uint TILE_C = M * N / PER_WORD_C;

uint mix32(uint x) {
    x ^= x >> 16; x *= 0x7feb352du;
    x ^= x >> 15; x *= 0x846ca68bu;
    return x ^ (x >> 16);
}

// Which of the workgroup's owners of matrices this invocation belongs to, and is it the first of them?
#ifdef WHOLE
uint owner() { return 0u; }
bool leads() { return gl_LocalInvocationIndex == 0u; }
#else
uint owner() { return gl_SubgroupID; }
bool leads() { return gl_SubgroupInvocationID == 0u; }
#endif

// What was written to buffers before, all invocations of the scope see.
#define MEET(scope) controlBarrier(scope, scope, gl_StorageSemanticsBuffer, gl_SemanticsAcquireRelease)
