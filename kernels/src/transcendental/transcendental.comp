#version 460
// Transcendental functions: see mod.rs.
#include "chain.glsl"

const uint CLASSES = 16u;

// Random bits of the inputs, and a hash of the results.
uint u, hash;

void look(float result) { hash = hash * GOLDEN + floatBitsToUint(result); }

void steps(uint count) {
    for (uint i = 0u; i < count; ++i) {
        u = u * 0x4c957f2du + 0x6a09e667u;
        // Every input is exact: 2^-16 to 2^16; -16 to 16; -3 to 3.
        const uint positive = ((111u + ((u >> 3) & 31u)) << 23) | (u >> 9);
        const float exponent = uintBitsToFloat(0x3f800000u | (u >> 9)) * 32.0 - 48.0;
        const float angle = float(int(u >> 11) - 1048576) * 2.86102294921875e-6;
        if (CHAINS_ASKED == 0u || CHAINS_ASKED == 1u) { look(exp2(exponent)); }
        if (CHAINS_ASKED == 0u || CHAINS_ASKED == 2u) { look(log2(uintBitsToFloat(positive))); }
        if (CHAINS_ASKED == 0u || CHAINS_ASKED == 3u) { look(sin(angle)); }
        if (CHAINS_ASKED == 0u || CHAINS_ASKED == 4u) { look(cos(-0.75 * angle)); }
        if (CHAINS_ASKED == 0u || CHAINS_ASKED == 5u) { look(sqrt(uintBitsToFloat(positive ^ 0x111111u))); }
        if (CHAINS_ASKED == 0u || CHAINS_ASKED == 6u) { look(inversesqrt(uintBitsToFloat(positive ^ 0x222222u))); }
        if (CHAINS_ASKED == 0u || CHAINS_ASKED == 7u) { look(1.0 / uintBitsToFloat(positive ^ 0x80444444u)); }
    }
}

void main() {
    begin();
    const uint item = (lane() + 13u * (tile() / CLASSES)) % 64u;
    u = mix32(((tile() % CLASSES) * 64u + item) * GOLDEN ^ seed());
    hash = 0u;
    steps(steps_asked() / 2u);
    hash = planted(hash);
    steps(steps_asked() - steps_asked() / 2u);
    finish(hash);
}
