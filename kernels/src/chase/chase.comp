#version 460
// Pointer chase: see mod.rs.
#include "chain.glsl"

layout(set = 0, binding = 2, std430) readonly buffer Nodes { uint nodes[]; };

const uint NODE_WORDS = 16u;

// The first lane alone walks: the loads of others would hide its own.
uint walk(uint node, uint count, uint last) {
    STEPS(node = nodes[node * NODE_WORDS] & last;, count, 8u)
    return node;
}

void main() {
    begin();
    const uint last = params[8];
    const uint count = lane() == 0u ? steps_asked() / 2u : 0u;
    uint node = (params[9] + lane()) & last;
    node = walk(node, count, last);
    node = planted(node) & last;
    finish(mix32(walk(node, count, last)));
}
