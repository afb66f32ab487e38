//! What a device says of itself while it works: power, clocks, temperature, and why it holds back.

use serde::{Deserialize, Serialize};

use crate::Quantity;

/// Samples beside a check, summed up. Absent is what the source does not tell.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Telemetry {
    /// Where it comes from, for example `NVML` or `amdgpu`.
    pub source: String,
    /// How many samples.
    pub samples: u32,
    /// Board power in watts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power_w: Option<Range>,
    /// What the board may draw at most in watts, as it is enforced now; the lowest that was seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power_limit_w: Option<Quantity>,
    /// Clock of the compute units in MHz.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_mhz: Option<Range>,
    /// Memory clock in MHz.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_clock_mhz: Option<Range>,
    /// Temperature of the chip in degrees Celsius.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature_c: Option<Range>,
    /// Every reason to hold back that was seen in any sample, sorted. Absent where the source does not tell reasons, which
    /// is not the same as none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub throttle: Option<Vec<String>>,
    /// The samples over time, [`Moment::KEPT_MAX`] stretches at most; empty where nobody kept them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub moments: Vec<Moment>,
}

/// A stretch of samples, as its least favourable figures: the highest draw and heat, the lowest clock, every reason.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Moment {
    /// Time of its first sample in seconds, counted from the first of the check.
    pub at_s: Quantity,
    /// Highest power in watts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub power_w: Option<Quantity>,
    /// Lowest clock of the compute units in MHz.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_mhz: Option<Quantity>,
    /// Highest temperature in degrees Celsius.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub temperature_c: Option<Quantity>,
    /// Every reason to hold back, sorted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub throttle: Vec<String>,
}

impl Moment {
    /// How many of them are kept for a check.
    pub const KEPT_MAX: usize = 40;

    /// Readings that tell their time, in order, as so few stretches of equal number as are kept.
    fn of(readings: &[Reading]) -> Vec<Self> {
        let timed: Vec<_> = readings.iter().filter(|reading| reading.at_s.is_some()).collect();
        let Some(began) = timed.first().and_then(|reading| reading.at_s) else { return Vec::new() };
        let length = timed.len().div_ceil(Self::KEPT_MAX).max(1);
        timed.chunks(length).map(|stretch| Self::of_stretch(began, stretch)).collect()
    }

    fn of_stretch(began: Quantity, stretch: &[&Reading]) -> Self {
        let all = |of: fn(&Reading) -> Option<Quantity>| stretch.iter().filter_map(move |r| of(r));
        let most = |of: fn(&Reading) -> Option<Quantity>| Range::of(all(of)).map(|range| range.max);
        let at = stretch.first().and_then(|reading| reading.at_s).unwrap_or(began).get();
        let mut throttle: Vec<_> = stretch.iter().filter_map(|r| r.throttle.clone()).flatten().collect();
        throttle.sort();
        throttle.dedup();
        Self {
            at_s: Quantity::new((at - began.get()).max(0.0)).unwrap_or_default(),
            power_w: most(|r| r.power_w),
            clock_mhz: Range::of(all(|r| r.clock_mhz)).map(|range| range.min),
            temperature_c: most(|r| r.temperature_c),
            throttle,
        }
    }
}

/// Lowest, middle and highest of samples.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Range {
    /// Lowest.
    pub min: Quantity,
    /// Middle.
    pub median: Quantity,
    /// Highest.
    pub max: Quantity,
}

impl Range {
    /// Of these values; `None` if there are none.
    pub fn of(values: impl IntoIterator<Item = Quantity>) -> Option<Self> {
        let mut values: Vec<_> = values.into_iter().collect();
        values.sort_by(|a, b| a.get().total_cmp(&b.get()));
        let (min, max) = (*values.first()?, *values.last()?);
        Some(Self { min, median: values[values.len() / 2], max })
    }
}

/// One sample of a device, as it crosses from the process that takes it. Absent is what the source does not tell.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Reading {
    /// When, in seconds since the sampler began.
    #[serde(default)]
    pub at_s: Option<Quantity>,
    /// Watts.
    pub power_w: Option<Quantity>,
    /// Watts that the board may draw at most.
    #[serde(default)]
    pub power_limit_w: Option<Quantity>,
    /// MHz.
    pub clock_mhz: Option<Quantity>,
    /// MHz.
    pub memory_clock_mhz: Option<Quantity>,
    /// Degrees Celsius; a chip below zero is not one of ours.
    pub temperature_c: Option<Quantity>,
    /// Reasons to hold back.
    pub throttle: Option<Vec<String>>,
}

impl Telemetry {
    /// Sums up readings; `None` if there are none.
    pub fn of(source: &str, readings: &[Reading]) -> Option<Self> {
        let range = |of: fn(&Reading) -> Option<Quantity>| Range::of(readings.iter().filter_map(of));
        let mut throttle: Option<Vec<String>> = None;
        for reasons in readings.iter().filter_map(|reading| reading.throttle.as_ref()) {
            throttle.get_or_insert_default().extend(reasons.iter().cloned());
        }
        if let Some(reasons) = &mut throttle {
            reasons.sort();
            reasons.dedup();
        }
        (!readings.is_empty()).then(|| Self {
            source: source.to_owned(),
            samples: u32::try_from(readings.len()).unwrap_or(u32::MAX),
            power_w: range(|r| r.power_w),
            power_limit_w: range(|r| r.power_limit_w).map(|limits| limits.min),
            clock_mhz: range(|r| r.clock_mhz),
            memory_clock_mhz: range(|r| r.memory_clock_mhz),
            temperature_c: range(|r| r.temperature_c),
            throttle,
            moments: Moment::of(readings),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn readings_are_summed_up_and_what_nobody_tells_stays_absent() {
        let quantity = |value| Quantity::new(value).ok();
        let reading = |watts, reasons: &[&str]| Reading {
            power_w: quantity(watts),
            throttle: Some(reasons.iter().map(|r| (*r).to_owned()).collect()),
            ..Reading::default()
        };
        let readings = [reading(300.0, &[]), reading(700.0, &["power", "heat"]), reading(650.0, &["power"])];
        let telemetry = Telemetry::of("NVML", &readings).unwrap();
        let range = telemetry.power_w.unwrap();
        assert_eq!([range.min, range.median, range.max].map(Quantity::get), [300.0, 650.0, 700.0]);
        assert_eq!(telemetry.throttle, Some(vec!["heat".into(), "power".into()]));
        assert_eq!((telemetry.samples, telemetry.clock_mhz), (3, None));
        assert_eq!(Telemetry::of("amdgpu", &[Reading::default()]).unwrap().throttle, None);
        assert_eq!(Telemetry::of("NVML", &[]), None);
    }

    #[test]
    fn a_long_check_keeps_few_moments_and_each_is_the_worst_of_its_stretch() {
        let quantity = |value| Quantity::new(value).ok();
        let readings: Vec<_> = (0..400u32)
            .map(|n| Reading {
                at_s: quantity(7.0 + 0.1 * f64::from(n)),
                temperature_c: quantity(if n == 14 { 91.0 } else { 60.0 }),
                clock_mhz: quantity(if n == 15 { 900.0 } else { 1980.0 }),
                throttle: Some(if n == 16 { vec!["heat".to_owned()] } else { vec![] }),
                ..Reading::default()
            })
            .collect();
        let moments = Telemetry::of("NVML", &readings).unwrap().moments;
        assert_eq!(moments.len(), Moment::KEPT_MAX);
        assert_eq!(moments[0].at_s.get(), 0.0);
        let worst = &moments[1];
        assert!((worst.at_s.get() - 1.0).abs() < 1e-9);
        assert_eq!((worst.temperature_c, worst.clock_mhz), (quantity(91.0), quantity(900.0)));
        assert_eq!(worst.throttle, ["heat"]);
        assert!(moments[2..].iter().all(|m| m.throttle.is_empty() && m.clock_mhz == quantity(1980.0)));
        // One that does not tell its time is summed up, and is no moment.
        assert_eq!(Telemetry::of("NVML", &[Reading::default()]).unwrap().moments, []);
    }
}
