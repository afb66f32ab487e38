fn hold(local: u32) {}
fn load(at: u32) -> vec4<u32> { return words[at & params[2].x]; }
