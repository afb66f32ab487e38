//! The rules of measuring: warm up until the rate is steady, then windows until the plan's time is over.
//!
//! Terms: a *window* is about [`WINDOW`] of work, timed by both clocks; its answers are compared, those of the warm-up as
//! well. The *warm-up* is at least a second on a GPU, whose clock has to rise, and ends when the last windows agree or its
//! time is over; how many were discarded and whether they agreed stands in the measurement. What a rate is good for is for
//! the judge to say ([`report::judge`]).

use std::ops::Deref;
use std::time::Duration;

use report::{DeviceKind, Measurement, Quantity, Sample, Unit, WarmUp};

use crate::device::{DeviceError, Elapsed};
use crate::session::Session;

/// How long a window of a measurement should be.
pub const WINDOW: Duration = Duration::from_millis(100);

/// So many windows must agree for the rate to be steady.
const STEADY_WINDOWS: usize = 3;
/// Windows at least, whatever the plan's time.
const WINDOWS_MIN: u32 = 4;
/// Windows at most, as a multiple of those that fill the time: a clock that stands still must not measure for ever.
const WINDOWS_TOO_MANY: f64 = 20.0;

/// The windows of a measurement.
#[derive(Clone, Debug, PartialEq)]
pub struct Windows {
    /// Those that count, in order.
    pub samples: Vec<Sample>,
    /// What ran before them; absent where nothing did.
    pub warm_up: Option<WarmUp>,
}

impl From<Vec<Sample>> for Windows {
    fn from(samples: Vec<Sample>) -> Self {
        Self { samples, warm_up: None }
    }
}

impl Deref for Windows {
    type Target = [Sample];
    fn deref(&self) -> &[Sample] {
        &self.samples
    }
}

/// When a warm-up is over. All in seconds but the tolerance, which is a share of the rate.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Patience {
    least: f64,
    most: f64,
    tolerance: f64,
}

impl Patience {
    /// For a measurement of so many seconds, which is that share of its check.
    fn for_device(kind: &DeviceKind, seconds: f64, share: f64) -> Self {
        match kind {
            // No clock of ours to wait for: pages are touched and code is compiled after one window.
            DeviceKind::Cpu => Self { least: 0.0, most: (seconds / 4.0).min(1.0), tolerance: 0.1 },
            _ => {
                let least = share.min(1.0);
                Self { least, most: (seconds / 2.0).min(5.0).max(least), tolerance: 0.02 }
            }
        }
    }

    fn is_over(&self, warmed: &[Sample]) -> Option<bool> {
        let took: f64 = warmed.iter().map(|sample| sample.host_s.get()).sum();
        let steady = took >= self.least && is_steady(warmed, self.tolerance);
        (steady || took >= self.most || warmed.len() >= too_many(self.most)).then_some(steady)
    }
}

/// Do the last windows have one rate?
fn is_steady(warmed: &[Sample], tolerance: f64) -> bool {
    let Some(first) = warmed.len().checked_sub(STEADY_WINDOWS) else { return false };
    let rates: Option<Vec<f64>> = warmed[first..].iter().map(Sample::rate).collect();
    rates.is_some_and(|rates| {
        let (low, high) = rates.iter().fold((f64::MAX, 0.0f64), |(l, h), r| (l.min(*r), h.max(*r)));
        high - low <= tolerance * high
    })
}

/// More windows than can be in so many seconds if time passes.
fn too_many(seconds: f64) -> usize {
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "seconds of a plan, not negative"
    )]
    let windows = (seconds / WINDOW.as_secs_f64() * WINDOWS_TOO_MANY) as usize;
    windows.max(WINDOWS_MIN as usize)
}

impl Session<'_> {
    /// Warms up, then measures until this share of the plan's time is over and there are windows enough; `window` runs one,
    /// by its number, and compares what came out.
    pub fn measure(
        &mut self,
        share: f64,
        mut window: impl FnMut(&mut Self, u32) -> Result<Sample, DeviceError>,
    ) -> Result<Windows, DeviceError> {
        let budget = self.planned.measure_s.get() * share;
        let least = self.planned.limits.iter().map(|limit| limit.samples_min).max().unwrap_or(0);
        let least = least.max(WINDOWS_MIN);
        let warm_up =
            self.warm_up(Patience::for_device(&self.device.info().kind, budget, share), &mut window)?;
        let mut samples = Vec::new();
        let mut measured = 0.0;
        for number in 0u32.. {
            let enough = measured >= budget || samples.len() >= too_many(budget);
            if number >= least && enough {
                break;
            }
            let sample = window(self, warm_up.windows + number)?;
            measured += sample.host_s.get();
            samples.push(sample);
            (self.progress)(
                (measured / budget.max(1e-9)).min(f64::from(number + 1) / f64::from(least)).min(1.0),
            );
        }
        Ok(Windows { samples, warm_up: Some(warm_up) })
    }

    fn warm_up(
        &mut self,
        patience: Patience,
        window: &mut impl FnMut(&mut Self, u32) -> Result<Sample, DeviceError>,
    ) -> Result<WarmUp, DeviceError> {
        let mut warmed = Vec::new();
        for number in 0.. {
            warmed.push(window(self, number)?);
            if let Some(steady) = patience.is_over(&warmed) {
                let took: f64 = warmed.iter().map(|sample| sample.host_s.get()).sum();
                let took_s = Quantity::new(took).unwrap_or_default();
                return Ok(WarmUp { windows: number + 1, took_s, steady });
            }
        }
        unreachable!("a warm-up has an end")
    }
}

/// How many times a dispatch that took so long must be repeated to fill a window.
pub fn repeats(elapsed: Elapsed) -> u32 {
    let once = elapsed.device.unwrap_or(elapsed.host).as_secs_f64().max(1e-7);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 1..=10000")]
    let repeats = (WINDOW.as_secs_f64() / once).ceil().clamp(1.0, 10_000.0) as u32;
    repeats
}

/// Work of a window and its time, as they stand in a report.
pub fn sample(work: u64, repeat: u32, elapsed: Elapsed) -> Sample {
    #[expect(
        clippy::cast_precision_loss,
        reason = "a window has far less than 2^53 operations in the last digit that matters"
    )]
    let work = work as f64 * f64::from(repeat);
    let seconds = |time: Duration| Quantity::new(time.as_secs_f64()).unwrap_or_default();
    Sample {
        work: Quantity::new(work).unwrap_or_default(),
        device_s: elapsed.device.map(seconds),
        host_s: seconds(elapsed.host),
    }
}

/// A measurement of these windows.
pub fn measurement(metric: &str, unit: Unit, method: String, windows: impl Into<Windows>) -> Measurement {
    let Windows { samples, warm_up } = windows.into();
    let (median, worst) = report::judge::summarize(&samples).unwrap_or_default();
    Measurement { metric: metric.to_owned(), unit, median, worst, method, warm_up, samples }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::clock::MonotonicClock;
    use crate::device::cpu::Cpu;
    use report::Plan;

    fn elapsed(device_ms: Option<u64>, host_ms: u64) -> Elapsed {
        Elapsed { device: device_ms.map(Duration::from_millis), host: Duration::from_millis(host_ms) }
    }

    /// Measures windows that take so long, by their number.
    fn measured(measure_s: f64, share: f64, window_ms: impl Fn(u32) -> u64) -> Windows {
        let plan = Plan::built_in("quick-software").unwrap();
        let mut planned = plan.check(&"stream".try_into().unwrap()).unwrap().clone();
        planned.measure_s = Quantity::new(measure_s).unwrap();
        let (mut device, clock) = (Cpu::new(), MonotonicClock::start());
        let mut progress = |share: f64| assert!((0.0..=1.0).contains(&share), "{share}");
        let mut session = Session {
            device: &mut device,
            clock: &clock,
            planned: &planned,
            host_available: None,
            progress: &mut progress,
        };
        let mut numbers = 0..;
        session
            .measure(share, |_, number| {
                assert_eq!(Some(number), numbers.next(), "every window has a number of its own");
                Ok(sample(100, 1, elapsed(None, window_ms(number))))
            })
            .unwrap()
    }

    #[test]
    fn repeats_fill_a_window_by_the_clock_of_the_device_where_there_is_one() {
        assert_eq!(repeats(elapsed(Some(10), 1)), 10);
        assert_eq!(repeats(elapsed(None, 30)), 4);
        assert_eq!(repeats(elapsed(None, 5000)), 1);
        assert_eq!(repeats(elapsed(Some(0), 0)), 10_000);
    }

    #[test]
    fn it_measures_until_the_time_is_over_and_the_windows_are_enough() {
        let count = |measure_s, share, window_ms| measured(measure_s, share, |_| window_ms).len();
        assert_eq!(count(3.0, 1.0, 100), 30);
        assert_eq!(count(3.0, 0.5, 100), 15);
        assert_eq!(count(3.0, 1.0, 1000), 8, "the limits ask for 8");
        assert_eq!(count(0.0, 1.0, 0), 8);
    }

    #[test]
    fn a_clock_that_stands_still_does_not_measure_for_ever() {
        let windows = measured(1.0, 1.0, |_| 0);
        assert_eq!((windows.len(), windows.warm_up.unwrap().steady), (200, false));
    }

    #[test]
    fn the_warm_up_ends_when_three_windows_agree_and_none_of_it_counts() {
        // A clock that rises: 200, 160, 120, then 100 ms a window.
        let windows =
            measured(10.0, 1.0, |number| [200, 160, 120].get(number as usize).map_or(100, |ms| *ms));
        let warm_up = windows.warm_up.unwrap();
        assert_eq!((warm_up.windows, warm_up.steady), (6, true));
        assert!((warm_up.took_s.get() - 0.78).abs() < 1e-9);
        assert!(windows.iter().all(|sample| sample.host_s.get() == 0.1));
    }

    #[test]
    fn a_rate_that_never_settles_ends_the_warm_up_by_time_and_says_so() {
        let windows = measured(4.0, 1.0, |number| 100 + 50 * u64::from(number % 2));
        let warm_up = windows.warm_up.unwrap();
        assert!(!warm_up.steady && (1.0..1.2).contains(&warm_up.took_s.get()), "{warm_up:?}");
    }

    #[test]
    fn a_gpu_warms_up_for_a_second_at_least_and_a_part_of_a_check_for_its_share() {
        let over = |kind: &DeviceKind, share: f64, windows: usize| {
            let patience = Patience::for_device(kind, 2.5 * share, share);
            patience.is_over(&vec![sample(100, 1, elapsed(None, 100)); windows])
        };
        assert_eq!(over(&DeviceKind::Discrete, 1.0, 9), None);
        assert_eq!(over(&DeviceKind::Discrete, 1.0, 11), Some(true));
        assert_eq!(over(&DeviceKind::Discrete, 0.3, 4), Some(true));
        assert_eq!(over(&DeviceKind::Cpu, 1.0, 2), None);
        assert_eq!(over(&DeviceKind::Cpu, 1.0, 3), Some(true));
    }

    #[test]
    fn an_error_of_a_window_ends_the_measurement() {
        let plan = Plan::built_in("quick-software").unwrap();
        let planned = plan.check(&"stream".try_into().unwrap()).unwrap();
        let (mut device, clock) = (Cpu::new(), MonotonicClock::start());
        let lost = DeviceError::Lost { doing: "running a kernel" };
        let mut session = Session {
            device: &mut device,
            clock: &clock,
            planned,
            host_available: None,
            progress: &mut |_| (),
        };
        for fails_at in [0, 5] {
            let found = session.measure(1.0, |_, number| {
                if number == fails_at { Err(lost.clone()) } else { Ok(sample(1, 1, elapsed(None, 100))) }
            });
            assert_eq!(found, Err(lost.clone()));
        }
    }
}
