const SHARED_LAST: u32 = 255u;
var<workgroup> held: array<vec4<u32>, 256>;
fn hold(local: u32) {
    for (var at = local; at <= SHARED_LAST; at += invocations) { held[at] = words[at]; }
    workgroupBarrier();
}
fn load(at: u32) -> vec4<u32> { return held[at & SHARED_LAST]; }
