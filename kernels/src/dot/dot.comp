#version 460
// Dot products of packed 8-bit integers: see mod.rs.
#extension GL_EXT_integer_dot_product : require
#include "chain.glsl"

const uint CHAINS = CHAINS_ASKED == 0u ? 8u : CHAINS_ASKED;

int a, b, c, d, e, f, g, h;

int first(uint number) { return int(mix32(number * GOLDEN ^ seed())); }

void steps(uint count, int m) {
#define STEP \
    a += dotPacked4x8EXT(b, m); \
    b += dotPacked4x8EXT(c, m); \
    c += dotPacked4x8EXT(d, m); \
    if (CHAINS > 4u) { \
        d += dotPacked4x8EXT(e, m); \
        e += dotPacked4x8EXT(f, m); \
        f += dotPacked4x8EXT(g, m); \
        g += dotPacked4x8EXT(h, m); \
        h += dotPacked4x8EXT(a, m); \
    } else { \
        d += dotPacked4x8EXT(a, m); \
    }
    STEPS(STEP, count, 8u)
}

void main() {
    begin();
    const uint number = lane() * 8u;
    const int m = int(mix32(seed() + lane() * GOLDEN));
    a = first(number);
    b = first(number + 1u);
    c = first(number + 2u);
    d = first(number + 3u);
    e = first(number + 4u);
    f = first(number + 5u);
    g = first(number + 6u);
    h = first(number + 7u);
    steps(steps_asked() / 2u, m);
    a = int(planted(uint(a)));
    steps(steps_asked() / 2u, m);

    uint hash = fold(fold(fold(fold(0u, uint(a)), uint(b)), uint(c)), uint(d));
    if (CHAINS > 4u) { hash = fold(fold(fold(fold(hash, uint(e)), uint(f)), uint(g)), uint(h)); }
    finish(hash);
}
