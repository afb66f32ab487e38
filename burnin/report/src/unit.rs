//! Units as types. Rates are decimal (GB/s = 10^9 B/s), capacities binary (GiB = 2^30 B).

use std::fmt;

use serde::{Deserialize, Serialize};

/// A capacity or an amount of data in bytes; printed in binary units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(transparent)]
pub struct Bytes(pub u64);

impl Bytes {
    /// So many MiB (2^20 bytes).
    pub const fn mib(count: u64) -> Self {
        Self(count << 20)
    }
}

impl fmt::Display for Bytes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const STEPS: [(u64, &str); 4] =
            [(1 << 40, "TiB"), (1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB")];
        match STEPS.iter().find(|(size, _)| self.0 >= *size) {
            #[expect(clippy::cast_precision_loss, reason = "three significant digits are printed")]
            Some((size, name)) => f.pad(&format!("{:.2} {name}", self.0 as f64 / *size as f64)),
            None => f.pad(&format!("{} B", self.0)),
        }
    }
}

/// A finite number that is not negative: what a clock, a counter or a rate can be. NaN and infinities cannot be built.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(try_from = "f64", into = "f64")]
#[cfg_attr(test, schemars(extend("minimum" = 0)))]
pub struct Quantity(f64);

/// A number that is no quantity: negative, infinite or not a number.
#[derive(Clone, Copy, Debug, PartialEq, thiserror::Error)]
#[error("{0} is no quantity: it must be finite and not negative")]
pub struct NotAQuantity(pub f64);

impl Quantity {
    /// Zero.
    pub const ZERO: Self = Self(0.0);

    /// Accepts finite numbers from zero up.
    pub fn new(value: f64) -> Result<Self, NotAQuantity> {
        // `-0.0` passes the comparison; adding zero turns it into `0.0`, so that equal values have equal bytes.
        if value.is_finite() && value >= 0.0 { Ok(Self(value + 0.0)) } else { Err(NotAQuantity(value)) }
    }

    /// The number.
    pub fn get(self) -> f64 {
        self.0
    }
}

impl TryFrom<f64> for Quantity {
    type Error = NotAQuantity;
    fn try_from(value: f64) -> Result<Self, NotAQuantity> {
        Self::new(value)
    }
}

impl From<Quantity> for f64 {
    fn from(value: Quantity) -> Self {
        value.0
    }
}

/// A duration in seconds, as it stands in a report.
pub type Seconds = Quantity;

/// What a [`crate::Measurement`] is a number of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Unit {
    /// Floating-point operations per second; a fused multiply-add counts as two.
    FlopPerS,
    /// Integer operations per second.
    OpsPerS,
    /// Bytes per second.
    BytesPerS,
}

impl Unit {
    /// A rate for people, for example `128.4 GFLOP/s`.
    pub fn show(self, rate: f64) -> String {
        self.with_decimals(rate, |_| 1)
    }

    /// A rate with four digits, for tables of figures: `4.571 TB/s`, `128.4 GFLOP/s`.
    pub fn show_finely(self, rate: f64) -> String {
        self.with_decimals(rate, |scaled| match scaled {
            ..10.0 => 3,
            ..100.0 => 2,
            _ => 1,
        })
    }

    fn with_decimals(self, rate: f64, decimals: fn(f64) -> usize) -> String {
        const STEPS: [(f64, &str); 5] = [(1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
        let name = match self {
            Self::FlopPerS => "FLOP/s",
            Self::OpsPerS => "OP/s",
            Self::BytesPerS => "B/s",
        };
        match STEPS.iter().find(|(size, _)| rate >= *size) {
            // Far beyond any device: a figure of 300 digits would say no more.
            Some(_) if rate >= 1e18 => format!("{rate:.1e} {name}"),
            Some((size, prefix)) => {
                let scaled = rate / size;
                format!("{scaled:.*} {prefix}{name}", decimals(scaled))
            }
            None => format!("{rate:.1} {name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn capacities_are_binary_and_rates_decimal() {
        assert_eq!(Bytes(150_754_820_096).to_string(), "140.40 GiB");
        assert_eq!(Bytes(12).to_string(), "12 B");
        assert_eq!(Unit::BytesPerS.show(4.3e12), "4.3 TB/s");
        assert_eq!(Unit::FlopPerS.show(1.2845e11), "128.4 GFLOP/s");
        assert_eq!(Unit::OpsPerS.show(0.0), "0.0 OP/s");
        let finely = [4.5712e12, 66.91e12, 1.2846e11].map(|rate| Unit::FlopPerS.show_finely(rate));
        assert_eq!(finely, ["4.571 TFLOP/s", "66.91 TFLOP/s", "128.5 GFLOP/s"]);
        assert_eq!(Unit::OpsPerS.show(1.5e300), "1.5e300 OP/s");
    }

    #[test]
    fn a_quantity_is_finite_and_not_negative() {
        for bad in [f64::NAN, f64::INFINITY, f64::NEG_INFINITY, -1.0, -f64::MIN_POSITIVE] {
            assert!(Quantity::new(bad).is_err(), "{bad}");
        }
        assert_eq!(serde_json::to_string(&Quantity::new(-0.0).unwrap()).unwrap(), "0.0");
        assert!(serde_json::from_str::<Quantity>("-1").is_err());
        assert!(serde_json::from_str::<Quantity>("1e999").is_err());
    }

    proptest! {
        #[test]
        fn a_quantity_reads_back_from_json_with_the_same_bits(value in prop_oneof![0.0..1e3, 0.0..1e16, 0.0..f64::MAX]) {
            let quantity = Quantity::new(value).unwrap();
            let copy: Quantity = serde_json::from_str(&serde_json::to_string(&quantity).unwrap()).unwrap();
            prop_assert_eq!(copy.get().to_bits(), quantity.get().to_bits());
        }
    }
}
