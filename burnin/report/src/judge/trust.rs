//! Can a rate be believed? Work, device clock and host clock must agree, window by window, and no rate can be beyond what
//! the device can do at all.

use super::ReasonCode;
use super::rate::{clock_disagreement, summarize};
use crate::limits::{Basis, Metric, OwnProperties, bounds_of};
use crate::plan::Limit;
use crate::{DeviceInfo, Measurement, Sample};

/// So much above its physical peak a rate may be: clocks of a device and of its table differ in the third digit.
const BEYOND: f64 = 1.02;

/// What is asked of a measurement before it is believed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Demands {
    /// How far device clock and host clock may be apart, as a share of the host's time.
    clock_tolerance: f64,
    /// How many windows there must be.
    samples_min: usize,
}

impl Demands {
    /// Where a plan asks for nothing: one window, and clocks that are not of two worlds.
    pub(super) const LEAST: Self = Self { clock_tolerance: 0.25, samples_min: 1 };

    /// Those of a limit.
    pub(super) fn of(limit: &Limit) -> Self {
        Self { clock_tolerance: limit.clock_tolerance.get(), samples_min: limit.samples_min as usize }
    }
}

/// Why a measurement cannot be believed.
pub(super) fn distrust(found: &Measurement, demands: &Demands) -> Option<(ReasonCode, String)> {
    if let Some(detail) = incomplete(found, demands) {
        return Some((ReasonCode::EvidenceMissing, detail));
    }
    let apart = clock_disagreement(&found.samples).filter(|apart| *apart > demands.clock_tolerance);
    if let Some(apart) = apart {
        let detail = format!("`{}`: device and host clock are {:.1} % apart", found.metric, apart * 100.0);
        return Some((ReasonCode::ClocksDisagree, detail));
    }
    // The host waits for the device, so its time contains the device's: a window in which it does not, even one, is a clock
    // that is wrong, while the contrary may be a host that was busy.
    let longer =
        found.samples.iter().filter_map(longer_than_host).find(|by| *by > demands.clock_tolerance)?;
    let detail = format!(
        "`{}`: a window took {:.1} % longer by the device's clock than the host waited for it",
        found.metric,
        longer * 100.0
    );
    Some((ReasonCode::ClocksDisagree, detail))
}

/// Which rate is beyond the physical peak of the device's model, where the table of limits has it.
pub(super) fn beyond_physics(device: &DeviceInfo, found: &Measurement) -> Option<(ReasonCode, String)> {
    let metric = Metric::try_from(found.metric.as_str()).ok()?;
    let bounds = bounds_of(device, &OwnProperties::default(), metric).ok()?;
    let Basis::Listed(model) = &bounds.basis else { return None };
    let (peak, median) = (bounds.physical.per_s(), found.median.get());
    // A measurement of another unit is another metric that happens to have the name.
    (bounds.unit == found.unit && median > peak * BEYOND).then(|| {
        let (rate, peak) = (found.unit.show(median), found.unit.show(peak));
        let detail = format!("`{metric}` is {rate}, a {model} reaches {peak} at most ({})", bounds.physical);
        (ReasonCode::RateImpossible, detail)
    })
}

fn longer_than_host(sample: &Sample) -> Option<f64> {
    sample.device_s.map(|device| device.get() / sample.host_s.get() - 1.0)
}

fn incomplete(found: &Measurement, demands: &Demands) -> Option<String> {
    let metric = &found.metric;
    let Some(figures) = summarize(&found.samples) else {
        return Some(format!("`{metric}` has a window without work or time"));
    };
    let timed = found.samples.iter().filter(|sample| sample.device_s.is_some()).count();
    if found.samples.len() < demands.samples_min {
        Some(format!("`{metric}` has {} windows of {}", found.samples.len(), demands.samples_min))
    } else if timed != 0 && timed != found.samples.len() {
        Some(format!("only {timed} of {} windows of `{metric}` have a device time", found.samples.len()))
    } else if figures != (found.median, found.worst) {
        Some(format!("figures of `{metric}` are not those of its windows"))
    } else if found.samples.iter().any(|sample| sample.work.get() <= 0.0) {
        Some(format!("`{metric}` has a window without work or time"))
    } else {
        None
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Quantity, Unit};

    fn found(windows: &[(f64, f64, f64)]) -> Measurement {
        let q = |value| Quantity::new(value).unwrap();
        let samples: Vec<_> = windows
            .iter()
            .map(|(work, device, host)| Sample {
                work: q(*work),
                device_s: Some(q(*device)),
                host_s: q(*host),
            })
            .collect();
        let (median, worst) = summarize(&samples).unwrap_or_default();
        let (metric, method) = ("read".to_owned(), String::new());
        Measurement { metric, unit: Unit::BytesPerS, median, worst, method, warm_up: None, samples }
    }

    fn code(windows: &[(f64, f64, f64)]) -> Option<ReasonCode> {
        distrust(&found(windows), &Demands::LEAST).map(|(code, _)| code)
    }

    #[test]
    fn clocks_that_agree_are_believed_and_a_host_that_was_busy_once_is_too() {
        assert_eq!(code(&[(1e9, 0.1, 0.101); 8]), None);
        let mut windows = [(1e9, 0.1, 0.101); 8];
        windows[3].2 = 0.5;
        assert_eq!(code(&windows), None);
    }

    #[test]
    fn equal_timestamps_no_work_and_no_time_are_not_believed() {
        let wrong = [(1e9, 0.0, 0.1), (0.0, 0.1, 0.1), (1e9, 0.1, 0.0)];
        for wrong in wrong {
            let mut windows = [(1e9, 0.1, 0.101); 8];
            windows[5] = wrong;
            assert!(code(&windows).is_some(), "{wrong:?}");
            assert!(code(&[wrong; 8]).is_some(), "{wrong:?}");
        }
    }

    #[test]
    fn a_device_clock_that_runs_wrong_is_found_however_few_windows_it_spoils() {
        // Half as fast throughout: the device would be twice as fast as it is.
        assert_eq!(code(&[(1e9, 0.05, 0.101); 8]), Some(ReasonCode::ClocksDisagree));
        // A counter that jumped in one window.
        let mut windows = [(1e9, 0.1, 0.101); 8];
        windows[7].1 = 7.0;
        assert_eq!(code(&windows), Some(ReasonCode::ClocksDisagree));
    }
}
