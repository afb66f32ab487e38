//! Components of matrices as bits: what a device stores, and what number it is.

/// A binary floating-point format, IEEE-like: sign, exponent, mantissa.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Format {
    exponent_bits: u32,
    mantissa_bits: u32,
}

const F16: Format = Format { exponent_bits: 5, mantissa_bits: 10 };
const BF16: Format = Format { exponent_bits: 8, mantissa_bits: 7 };
const E4M3: Format = Format { exponent_bits: 4, mantissa_bits: 3 };
const E5M2: Format = Format { exponent_bits: 5, mantissa_bits: 2 };

/// 2 to an exponent within the range of normal numbers.
#[expect(clippy::cast_sign_loss, reason = "positive: the exponents here are small")]
const fn power(exponent: i32) -> f64 {
    f64::from_bits(((exponent + 1023) as u64) << 52)
}

impl Format {
    const fn bias(self) -> i32 {
        (1 << (self.exponent_bits - 1)) - 1
    }

    /// The number that finite bits stand for.
    fn decode(self, bits: u32) -> f64 {
        let mantissa = bits & ((1 << self.mantissa_bits) - 1);
        let exponent = (bits >> self.mantissa_bits) & ((1 << self.exponent_bits) - 1);
        let magnitude = match exponent.cast_signed() {
            0 => f64::from(mantissa) * power(1 - self.bias() - self.mantissa_bits.cast_signed()),
            normal => {
                let one_and_mantissa = mantissa | (1 << self.mantissa_bits);
                f64::from(one_and_mantissa) * power(normal - self.bias() - self.mantissa_bits.cast_signed())
            }
        };
        if bits >> (self.exponent_bits + self.mantissa_bits) & 1 == 1 { -magnitude } else { magnitude }
    }

    /// The nearest finite number's bits, ties to even. For magnitudes below the format's largest.
    fn encode(self, value: f64) -> u32 {
        let sign = u32::from(value.is_sign_negative()) << (self.exponent_bits + self.mantissa_bits);
        let magnitude = value.abs();
        let lowest = 1 - self.bias();
        // The exponent of an f64 is exact where `log2` is not.
        let exponent = (((magnitude.to_bits() >> 52) & 0x7ff) as i32 - 1023).max(lowest);
        let mantissa_bits = self.mantissa_bits.cast_signed();
        let ulps = (magnitude * power(mantissa_bits - exponent)).round_ties_even();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "at most 2^11")]
        let ulps = ulps as u32;
        // A mantissa that was rounded up to two carries into the exponent, as it should.
        sign | (((exponent - lowest).cast_unsigned() << self.mantissa_bits) + ulps)
    }
}

/// The components of `a` and `b`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Element {
    /// IEEE half precision.
    F16,
    /// The upper half of a single.
    Bf16,
    /// 8 bits, 4 of them exponent.
    E4m3,
    /// 8 bits, 5 of them exponent.
    E5m2,
    /// Signed, 8 bits.
    S8,
    /// Unsigned, 8 bits.
    U8,
}

impl Element {
    fn format(self) -> Option<Format> {
        match self {
            Self::F16 => Some(F16),
            Self::Bf16 => Some(BF16),
            Self::E4m3 => Some(E4M3),
            Self::E5m2 => Some(E5M2),
            Self::S8 | Self::U8 => None,
        }
    }

    /// How many stand in a word.
    pub const fn per_word(self) -> usize {
        match self {
            Self::F16 | Self::Bf16 => 2,
            Self::E4m3 | Self::E5m2 | Self::S8 | Self::U8 => 4,
        }
    }

    /// Is it an integer?
    pub const fn is_integer(self) -> bool {
        matches!(self, Self::S8 | Self::U8)
    }

    /// The bits of a small integer, which every format here has exactly up to 8.
    pub fn encode(self, value: i32) -> u32 {
        match self.format() {
            Some(format) => format.encode(f64::from(value)),
            None => value.cast_unsigned() & 0xff,
        }
    }

    /// The number that bits stand for.
    pub fn decode(self, bits: u32) -> f64 {
        match (self.format(), self) {
            (Some(format), _) => format.decode(bits),
            (None, Self::S8) => f64::from((bits << 24).cast_signed() >> 24),
            (None, _) => f64::from(bits & 0xff),
        }
    }

    /// A number with random sign and mantissa and magnitude 0.5 to 2, or any integer at all; bits of a hash.
    pub fn random(self, hash: u32) -> u32 {
        self.format().map_or(hash & 0xff, |format| random(format, hash))
    }

    /// The same number with the other sign and, by a bit of the hash, the lowest bit of its mantissa turned.
    pub fn opposite(self, bits: u32, hash: u32) -> u32 {
        self.format().map_or(hash & 0xff, |format| {
            bits ^ (1 << (format.exponent_bits + format.mantissa_bits)) ^ (hash & 1)
        })
    }
}

fn random(format: Format, hash: u32) -> u32 {
    let sign = (hash >> 31) << (format.exponent_bits + format.mantissa_bits);
    let exponent = format.bias().cast_unsigned() - ((hash >> 30) & 1);
    sign | (exponent << format.mantissa_bits) | (hash & ((1 << format.mantissa_bits) - 1))
}

/// The components of `c` and of the result.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Accumulator {
    /// IEEE half precision.
    F16,
    /// IEEE single precision.
    F32,
    /// Signed, 32 bits, wrapping.
    S32,
    /// Unsigned, 32 bits, wrapping.
    U32,
}

impl Accumulator {
    /// How many stand in a word.
    pub const fn per_word(self) -> usize {
        if matches!(self, Self::F16) { 2 } else { 1 }
    }

    /// Is it an integer?
    pub const fn is_integer(self) -> bool {
        matches!(self, Self::S32 | Self::U32)
    }

    /// The bits of an integer: wrapped at 32 bits, or exact for a float in its exact range.
    #[expect(clippy::cast_sign_loss, clippy::cast_precision_loss, reason = "as documented")]
    pub fn encode(self, value: i64) -> u32 {
        match self {
            Self::F16 => F16.encode(value as f64),
            Self::F32 => (value as f32).to_bits(),
            Self::S32 | Self::U32 => (value & 0xffff_ffff) as u32,
        }
    }

    /// The bits of the nearest number.
    pub fn encode_float(self, value: f32) -> u32 {
        if self == Self::F16 { F16.encode(f64::from(value)) } else { value.to_bits() }
    }

    /// The number that bits of a float stand for.
    pub fn decode_float(self, bits: u32) -> f32 {
        #[expect(clippy::cast_possible_truncation, reason = "half precision fits single")]
        let half = |bits| F16.decode(bits) as f32;
        if self == Self::F16 { half(bits) } else { f32::from_bits(bits) }
    }

    /// The integer that bits stand for; of a float, what it is cut to.
    #[expect(clippy::cast_possible_truncation, reason = "within the exact range")]
    pub fn decode(self, bits: u32) -> i64 {
        match self {
            Self::F16 | Self::F32 => self.decode_float(bits) as i64,
            Self::S32 => i64::from(bits.cast_signed()),
            Self::U32 => i64::from(bits),
        }
    }

    /// A number with random sign and mantissa and magnitude 0.5 to 2, or any integer at all; bits of a hash.
    pub fn random(self, hash: u32) -> u32 {
        match self {
            Self::F16 => random(F16, hash),
            Self::F32 => random(Format { exponent_bits: 8, mantissa_bits: 23 }, hash),
            Self::S32 | Self::U32 => hash,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FORMATS: [Format; 4] = [F16, BF16, E4M3, E5M2];

    #[test]
    fn what_is_decoded_encodes_to_the_same_bits() {
        for format in FORMATS {
            // Below infinity and NaN.
            let top = ((1u32 << format.exponent_bits) - 1) << format.mantissa_bits;
            let sign = 1 << (format.exponent_bits + format.mantissa_bits);
            for bits in (0..top).flat_map(|bits| [bits, bits | sign]) {
                assert_eq!(format.encode(format.decode(bits)), bits, "{format:?} {bits:#x}");
            }
        }
    }

    #[test]
    fn known_numbers_have_their_known_bits() {
        assert_eq!(F16.encode(1.0), 0x3c00);
        assert_eq!(F16.encode(-2048.0), 0xe800);
        assert_eq!(BF16.encode(-2.0), f32::to_bits(-2.0) >> 16);
        assert_eq!((E4M3.encode(1.0), E4M3.encode(3.0), E5M2.encode(1.0)), (0x38, 0x44, 0x3c));
        // Half-way between 1 and the next: to even; above: up; and a carry into the exponent.
        let ulp = f64::from(-10).exp2();
        assert_eq!(F16.encode(1.0 + ulp / 2.0), 0x3c00);
        assert_eq!(F16.encode(1.0 + ulp * 0.75), 0x3c01);
        assert_eq!(F16.encode(2.0 - ulp / 4.0), 0x4000);
    }

    #[test]
    fn every_element_has_the_small_integers() {
        for element in [Element::F16, Element::Bf16, Element::E4m3, Element::E5m2, Element::S8] {
            for value in -4..=4 {
                assert!((element.decode(element.encode(value)) - f64::from(value)).abs() < f64::MIN_POSITIVE);
            }
        }
    }

    #[test]
    fn every_accumulator_has_the_integers_of_its_exact_range() {
        for value in -2048..=2048 {
            for accumulator in [Accumulator::F16, Accumulator::F32, Accumulator::S32] {
                assert_eq!(accumulator.decode(accumulator.encode(value)), value);
            }
        }
        assert_eq!(Accumulator::U32.encode(-1), u32::MAX);
    }
}
