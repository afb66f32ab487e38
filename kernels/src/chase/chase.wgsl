// Pointer chase: see mod.rs.
@group(0) @binding(2) var<storage, read_write> nodes: array<u32>;

const NODE_WORDS: u32 = 16u;

// The first lane alone walks: the loads of others would hide its own.
fn walk(first: u32, count: u32, last: u32) -> u32 {
    var node = first;
    // In eights, as in GLSL: Mesa's processor device leaves a loop after 65,535 turns (LP_MAX_TGSI_LOOP_ITERATIONS).
    for (var i = 0u; i < count / 8u; i++) {
        for (var j = 0u; j < 8u; j++) { node = nodes[node * NODE_WORDS] & last; }
    }
    for (var i = 0u; i < count % 8u; i++) { node = nodes[node * NODE_WORDS] & last; }
    return node;
}

@compute @workgroup_size(invocations)
fn main(@builtin(global_invocation_id) place: vec3<u32>) {
    let last = params[2].x;
    let count = select(0u, steps_asked() / 2u, lane_of(place) == 0u);
    let half = walk((params[2].y + lane_of(place)) & last, count, last);
    finish(place, mix32(walk(planted(place, half) & last, count, last)));
}
