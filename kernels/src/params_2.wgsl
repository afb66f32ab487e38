@group(0) @binding(2) var<uniform> params: array<vec4<u32>, 3>;
