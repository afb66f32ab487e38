#version 460
// Exact integer digest: see mod.rs.
#include "chain.glsl"

const uint CLASSES = 16u;

uint steps(uint x, uint count) {
    for (uint i = 0u; i < count; ++i) {
        x = x * 0x4c957f2du + 0x6a09e667u;
        x ^= x >> 15;
    }
    return x;
}

void main() {
    begin();
    uint x = mix32(((tile() % CLASSES) * 64u + lane()) * GOLDEN ^ seed());
    x = steps(x, steps_asked() / 2u);
    x = planted(x);
    x = steps(x, steps_asked() / 2u);
    finish(x);
}
