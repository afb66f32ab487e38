//! What it proves that nothing was found.
//!
//! *Wrong answers.* With no error among N compared bits, fewer than 3/N of all bits are wrong, with 95 % confidence: the
//! rule of three (Hanley and Lippman-Hand, JAMA 249, 1983), from (1 - p)^N = 0.05 and so p = 2.996/N. N is what the
//! devices say that they compared, each bit once for each pass that is counted.
//!
//! *Slowness.* A fall of the rate over [`SUSTAINED_WINDOWS`] windows in a row stands out of the noise with 95 %
//! probability, while all stretches of a check together raise a false alarm in 5 % of runs, if it is at least
//! (z(1 - 0.05/m) + z(0.95)) * s / sqrt(w): s is the windows' scatter as a share of their median (1.4826 MAD), w the
//! windows of a stretch, m the stretches, z the normal quantile (a test of means with Bonferroni's correction; Montgomery,
//! Introduction to Statistical Quality Control, ch. 6). Windows of one run are not independent, so that slow drifts are
//! seen later than this says. What the verdict goes by are the plan's limits, which stand beside it: a fall that is seen
//! and within them changes no verdict.

use crate::judge::SUSTAINED_WINDOWS;
use crate::stats::{deviation, normal_quantile};
use crate::text;
use crate::{
    CheckResult, Coverage, DeviceId, DeviceInfo, Measurement, Outcome, Report, Sample, Subject, VerdictRecord,
};

/// What a burn-in's silence proves.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Silence {
    /// By device, that of wrong answers.
    pub errors: Vec<ErrorBound>,
    /// By device and figure, that of slowness.
    pub slowdowns: Vec<Slowdown>,
}

/// How rare wrong bits are on a device.
#[derive(Clone, Debug, PartialEq)]
pub struct ErrorBound {
    /// The device.
    pub device: DeviceId,
    /// Bits that were compared by checks that count bytes and were believed.
    pub bits: f64,
    /// Less than this share of bits is wrong, with 95 % confidence; absent where some were.
    pub below: Option<f64>,
    /// Wrong words of all its checks.
    pub wrong_words: u64,
}

/// How slow a figure would have had to be to be noticed.
#[derive(Clone, Debug, PartialEq)]
pub struct Slowdown {
    /// The device.
    pub device: DeviceId,
    /// The figure.
    pub metric: String,
    /// Windows that it has.
    pub windows: usize,
    /// How long a stretch of them takes, in seconds.
    pub stretch_s: f64,
    /// The smallest fall over a stretch that stands out of the noise, as a share of the median.
    pub visible: f64,
    /// The fall over a stretch from which on the plan fails the check, as a share of the median; absent without a limit.
    pub fails_dip: Option<f64>,
    /// How much the whole figure could fall until the plan fails the check, as a share of it; absent without a limit.
    pub fails_level: Option<f64>,
}

/// What the silence of this report proves.
pub fn silence(report: &Report, judged: &VerdictRecord) -> Silence {
    let by_device = |device: &DeviceInfo| -> Vec<&CheckResult> {
        report
            .results
            .iter()
            .filter(|r| matches!(&r.subject, Subject::Device(id) if *id == device.id))
            .collect()
    };
    let mut silence = Silence::default();
    for device in report.devices.iter().take(super::view::ROWS_MAX) {
        let results = by_device(device);
        silence.errors.push(errors(device, &results, judged));
        for result in results.iter().filter(|r| is_believed(r, judged)) {
            let planned = report.plan.check_on(&result.check, Some(device));
            for found in &result.measurements {
                let limit = planned.iter().flat_map(|p| &p.limits).find(|limit| limit.metric == found.metric);
                silence.slowdowns.extend(slowdown(&device.id, found, limit));
            }
        }
    }
    silence
}

fn is_believed(result: &CheckResult, judged: &VerdictRecord) -> bool {
    matches!(text::believed(result, judged), Outcome::Pass | Outcome::Warn)
}

fn errors(device: &DeviceInfo, results: &[&CheckResult], judged: &VerdictRecord) -> ErrorBound {
    let wrong_words = results.iter().filter_map(|r| r.mismatches.as_ref()).map(|m| m.count).sum();
    let exact = |result: &&&CheckResult| {
        result.mismatches.as_ref().is_some_and(|wrong| wrong.count == 0) && is_believed(result, judged)
    };
    let bits: f64 = results.iter().filter(exact).map(|result| compared_bits(device, result)).sum();
    let below = (bits > 0.0 && bits.is_finite() && wrong_words == 0).then(|| 3.0 / bits);
    ErrorBound { device: device.id.clone(), bits, below, wrong_words }
}

/// Bits that a check compared at least: bytes that it says so of, else its share of the memory, once.
fn compared_bits(device: &DeviceInfo, result: &CheckResult) -> f64 {
    let of = |is: fn(&str) -> bool| {
        let found = result.coverage.iter().filter(move |c: &&Coverage| is(&c.quantity));
        found.map(|c| c.achieved.get()).reduce(f64::min)
    };
    let bytes = of(|quantity| matches!(quantity, "compared_bytes" | "verified_bytes"));
    let share = of(|quantity| quantity == "memory_fraction");
    let bytes = bytes.or_else(|| share.map(|share| share.min(1.0) * device.memory_bytes.0 as f64));
    // A figure that no device could have compared proves nothing.
    Some(8.0 * bytes.unwrap_or(0.0)).filter(|bits| bits.is_finite()).unwrap_or_default()
}

fn slowdown(device: &DeviceId, found: &Measurement, limit: Option<&crate::plan::Limit>) -> Option<Slowdown> {
    let rates = found.samples.iter().map(Sample::rate).collect::<Option<Vec<_>>>()?;
    let median = found.median.get();
    if rates.len() < 2 * SUSTAINED_WINDOWS || median <= 0.0 {
        return None;
    }
    let (windows, stretch) = (rates.len() as f64, SUSTAINED_WINDOWS as f64);
    let stretches = (windows / stretch).floor();
    let z = normal_quantile(1.0 - 0.05 / stretches) + normal_quantile(0.95);
    let visible = z * deviation(&rates)? / median / stretch.sqrt();
    let took: f64 = found.samples.iter().map(|sample| sample.host_s.get()).sum();
    Some(Slowdown {
        device: device.clone(),
        metric: found.metric.clone(),
        windows: rates.len(),
        stretch_s: took / windows * stretch,
        visible: visible.min(1.0),
        fails_dip: limit.map(|limit| 1.0 - limit.worst_to_median_min.get()),
        fails_level: limit.map(|limit| (1.0 - limit.fail_below_per_s.get() / median).max(0.0)),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::judge::summarize;
    use crate::{Quantity, Unit};

    fn found(rates: &[f64]) -> Measurement {
        let q = |value| Quantity::new(value).unwrap();
        let samples: Vec<_> =
            rates.iter().map(|rate| Sample { work: q(rate * 0.1), device_s: None, host_s: q(0.1) }).collect();
        let (median, worst) = summarize(&samples).unwrap_or_default();
        let (metric, method) = ("read".to_owned(), String::new());
        Measurement { metric, unit: Unit::BytesPerS, median, worst, method, warm_up: None, samples }
    }

    #[test]
    fn the_smallest_fall_that_is_seen_follows_from_the_noise() {
        // Scatter: MAD 1 of 100, so s = 1.4826 %. 30 windows are 10 stretches: z(0.995) + z(0.95) = 2.5758 + 1.6449.
        let rates: Vec<_> = (0..30).map(|n| [99.0, 100.0, 101.0][n % 3]).collect();
        let found = slowdown(&DeviceId("x".into()), &found(&rates), None).unwrap();
        assert!((found.visible - 4.2207 * 0.014826 / 3f64.sqrt()).abs() < 1e-5, "{found:?}");
        assert!((found.stretch_s - 0.3).abs() < 1e-9);
        assert_eq!((found.fails_dip, found.windows), (None, 30));
    }

    #[test]
    fn few_windows_and_windows_without_a_rate_prove_nothing() {
        assert_eq!(slowdown(&DeviceId("x".into()), &found(&[1.0; 5]), None), None);
        assert_eq!(slowdown(&DeviceId("x".into()), &found(&[0.0; 9]), None), None);
    }
}
