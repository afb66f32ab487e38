//! Half precision on the processor: values are kept in 64 bits, which hold every half exactly.

/// The value of the bits of a half, exact.
pub fn value(bits: u16) -> f64 {
    let (exponent, mantissa) = (u64::from(bits >> 10 & 31), u64::from(bits & 0x3ff));
    #[expect(clippy::cast_precision_loss, reason = "10 bits, exact")]
    let magnitude = match exponent {
        0 => mantissa as f64 * (1.0 / 16_777_216.0),
        31 => f64::from_bits(2047 << 52 | mantissa << 42),
        _ => f64::from_bits((exponent + 1008) << 52 | mantissa << 42),
    };
    if bits >> 15 == 0 { magnitude } else { -magnitude }
}

/// The half that is nearest, ties to even; what is too large is infinite.
pub fn rounded(x: f64) -> f64 {
    // 42 of the 52 bits are dropped: half of their range is added, a little less where the last bit that stays is even.
    let bits = x.to_bits();
    let nearest = f64::from_bits((bits + 0x1ff_ffff_ffff + (bits >> 42 & 1)) & !0x3ff_ffff_ffff);
    // Below 2^-14 the halves are 2^-24 apart, as are values of 64 bits from 2^28 on.
    let apart = (x.abs() + 268_435_456.0 - 268_435_456.0).copysign(x);
    let finite = if x.abs() < 1.0 / 16_384.0 { apart } else { nearest };
    if nearest.abs() >= 65_536.0 { f64::INFINITY.copysign(x) } else { finite }
}

/// The bits of a value that is a half.
pub fn bits(half: f64) -> u16 {
    let bits = half.to_bits();
    #[expect(clippy::cast_possible_truncation, reason = "16, 5 and 10 bits")]
    let (sign, exponent, mantissa) =
        ((bits >> 48) as u16 & 0x8000, (bits >> 52) & 2047, (bits >> 42) as u16 & 0x3ff);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "below 1024; 1 to 30")]
    let magnitude = match exponent {
        2047 => 0x7c00 | mantissa | u16::from(half.is_nan()) << 9,
        1009.. => ((exponent - 1008) as u16) << 10 | mantissa,
        _ => (half.abs() * 16_777_216.0) as u16,
    };
    sign | magnitude
}
