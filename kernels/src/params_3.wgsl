@group(0) @binding(3) var<uniform> params: array<vec4<u32>, 3>;
