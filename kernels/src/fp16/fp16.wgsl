// FP16 multiply-add chains: see mod.rs.
var<private> x: array<vec4<f16>, 8>;
var<private> hash: u32;

// Steps between two looks at the chains.
const BLOCK: u32 = 32u;

// How many chains are run.
fn used() -> u32 { return select(chains_asked, 16u, chains_asked == 0u); }

fn first(number: u32) -> f16 {
    return f16(f32(mix32(number * GOLDEN ^ seed_asked()) & 0x3ffu) * 0.0009765625 - 0.5);
}

// Two values as their bits. A device may flush what is below the least normal number, so that counts as zero.
fn bits2(v: vec2<f16>) -> u32 {
    var bits = pack2x16float(vec2<f32>(v));
    if (bits & 0x00007c00u) == 0u { bits &= 0xffff0000u; }
    if (bits & 0x7c000000u) == 0u { bits &= 0x0000ffffu; }
    return bits;
}

// A bijection of the hash and of each word.
fn look(v: vec4<f16>) { hash = (hash * GOLDEN + bits2(v.xy)) * GOLDEN + bits2(v.zw); }

// x' = k - x * x + 0.296875 * (the x before): two multiply-adds.
fn next(now: vec4<f16>, before: vec4<f16>, k: vec4<f16>) -> vec4<f16> {
    return fma(-now, now, fma(vec4<f16>(0.296875h), before, k));
}

fn steps(count: u32) {
    let ka = vec4<f16>(1.40234375h, 1.3984375h, 1.39453125h, 1.390625h);
    let kb = ka - vec4<f16>(0.015625h);
    let kc = ka - vec4<f16>(0.03125h);
    let kd = ka - vec4<f16>(0.046875h);
    var a = x[0]; var b = x[1]; var c = x[2]; var d = x[3];
    var a0 = x[4]; var b0 = x[5]; var c0 = x[6]; var d0 = x[7];
    for (var block = 0u; block < count / BLOCK; block++) {
        for (var i = 0u; i < BLOCK / 2u; i++) {
            a0 = next(a, a0, ka);
            if used() > 4u { b0 = next(b, b0, kb); }
            if used() > 8u { c0 = next(c, c0, kc); d0 = next(d, d0, kd); }
            a = next(a0, a, ka);
            if used() > 4u { b = next(b0, b, kb); }
            if used() > 8u { c = next(c0, c, kc); d = next(d0, d, kd); }
        }
        look(a);
        if used() > 4u { look(b); }
        if used() > 8u { look(c); look(d); }
    }
    x[0] = a; x[1] = b; x[2] = c; x[3] = d;
    x[4] = a0; x[5] = b0; x[6] = c0; x[7] = d0;
}

@compute @workgroup_size(invocations)
fn main(@builtin(global_invocation_id) place: vec3<u32>) {
    let half = steps_asked() / 2u;
    hash = 0u;
    for (var n = 0u; n < 4u; n++) {
        let number = lane_of(place) * 16u + n * 4u;
        x[n] = vec4<f16>(first(number), first(number + 1u), first(number + 2u), first(number + 3u));
        x[n + 4u] = vec4<f16>(0.0h);
    }
    steps(half);
    let faulty = vec2<f16>(unpack2x16float(planted(place, pack2x16float(vec2<f32>(x[0].xy)))));
    x[0] = vec4<f16>(faulty.x, faulty.y, x[0].z, x[0].w);
    steps(half);
    finish(place, hash);
}
