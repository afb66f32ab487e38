//! What a check works with: a device, a clock, its line of the plan, and a place to say how far it is.

use std::time::Duration;

use kernels::{Kernel, Params};
use report::plan::PlannedCheck;
use report::{
    Bytes, CheckResult, Coverage, DeviceKind, Measurement, Outcome, Quantity, Sample, Subject, Unit,
};

use crate::clock::Clock;
use crate::device::{Buffer, Device, DeviceError, Dispatch, Elapsed};

/// Longest wait for one dispatch. Windows aim at a tenth of a second; a hundred times that is a hang.
pub const DISPATCH_DEADLINE: Duration = Duration::from_secs(20);
/// Longest wait for one transfer.
pub const TRANSFER_DEADLINE: Duration = Duration::from_secs(20);
/// How long a window of a measurement should be.
pub const WINDOW: Duration = Duration::from_millis(100);

/// One check on one device.
pub struct Session<'a> {
    /// The device.
    pub device: &'a mut dyn Device,
    /// Host time.
    pub clock: &'a dyn Clock,
    /// What the plan says about the check.
    pub planned: &'a PlannedCheck,
    /// Host memory that may be used, for devices that compute in it.
    pub host_available: Option<Bytes>,
    /// Called with the share done, 0 to 1.
    pub progress: &'a mut dyn FnMut(f64),
}

impl std::fmt::Debug for Session<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("device", &self.device.info().id)
            .field("check", &self.planned.id)
            .finish()
    }
}

/// A kernel ready to run but for its parameters.
#[derive(Clone, Copy, Debug)]
pub struct Launch<'a> {
    /// The kernel.
    pub kernel: &'static Kernel,
    /// Its buffers.
    pub buffers: &'a [Buffer],
}

impl Session<'_> {
    /// A result of this check, stated as a pass until the judge has seen its evidence.
    pub fn result(&self) -> CheckResult {
        let subject = Subject::Device(self.device.info().id.clone());
        CheckResult::without_evidence(self.planned.id.clone(), subject, Outcome::Pass, None)
    }

    /// Runs a kernel `repeat` times in a row.
    pub fn run(
        &mut self,
        launch: Launch<'_>,
        params: Params,
        workgroups: u32,
        repeat: u32,
    ) -> Result<Elapsed, DeviceError> {
        let dispatch =
            Dispatch { kernel: launch.kernel, buffers: launch.buffers, params, workgroups, repeat };
        self.device.dispatch(&dispatch, DISPATCH_DEADLINE)
    }

    /// The first words of a buffer.
    pub fn read(&mut self, buffer: Buffer, words: usize) -> Result<Vec<u32>, DeviceError> {
        let mut out = vec![0; words];
        self.device.read_back(buffer, 0, &mut out, TRANSFER_DEADLINE)?;
        Ok(out)
    }

    /// Puts words at the start of a buffer.
    pub fn write(&mut self, buffer: Buffer, words: &[u32]) -> Result<(), DeviceError> {
        self.device.upload(buffer, 0, words, TRANSFER_DEADLINE)
    }

    /// Memory that the plan asks to be worked on: a share of the device's, of what its driver says is free, and for a
    /// device that computes in host memory at most a quarter of what the host has to spare.
    pub fn memory_target(&self) -> Bytes {
        let info = self.device.info();
        let free = info.memory_budget_bytes.map_or(info.memory_bytes, |budget| budget.min(info.memory_bytes));
        #[expect(
            clippy::cast_possible_truncation,
            clippy::cast_sign_loss,
            clippy::cast_precision_loss,
            reason = "a share of a memory size"
        )]
        let mut target = (free.0 as f64 * self.planned.memory_fraction.get().min(1.0)) as u64;
        if self.planned.memory_max_bytes.0 > 0 {
            target = target.min(self.planned.memory_max_bytes.0);
        }
        if info.kind == DeviceKind::Cpu {
            target = target.min(self.host_available.map_or(u64::MAX, |available| available.0 / 4));
        }
        Bytes(target)
    }

    /// Measures until the plan's time is over and there are windows enough; `window` runs one and compares what came out.
    pub fn measure(
        &mut self,
        share: f64,
        mut window: impl FnMut(&mut Self, u32) -> Result<Sample, DeviceError>,
    ) -> Result<Vec<Sample>, DeviceError> {
        let budget = self.planned.measure_s.get() * share;
        let least = self.planned.limits.iter().map(|limit| limit.samples_min).max().unwrap_or(4).max(4);
        let mut samples = Vec::new();
        let mut measured = 0.0;
        for number in 0u32.. {
            if number >= least && measured >= budget {
                break;
            }
            let sample = window(self, number)?;
            measured += sample.host_s.get();
            samples.push(sample);
            (self.progress)(
                (measured / budget.max(1e-9)).min(f64::from(number + 1) / f64::from(least)).min(1.0),
            );
        }
        Ok(samples)
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
pub fn measurement(metric: &str, unit: Unit, method: String, samples: Vec<Sample>) -> Measurement {
    let (median, worst) = report::judge::summarize(&samples).unwrap_or_default();
    Measurement { metric: metric.to_owned(), unit, median, worst, method, samples }
}

/// So much of a quantity was covered.
pub fn coverage(quantity: &str, achieved: f64) -> Coverage {
    Coverage { quantity: quantity.to_owned(), achieved: Quantity::new(achieved).unwrap_or_default() }
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

    fn planned(change: impl FnOnce(&mut PlannedCheck)) -> PlannedCheck {
        let plan = Plan::built_in("quick-software").unwrap();
        let mut planned = plan.check(&"stream".try_into().unwrap()).unwrap().clone();
        change(&mut planned);
        planned
    }

    fn with<T>(
        planned: &PlannedCheck,
        host_available: Option<Bytes>,
        act: impl FnOnce(&mut Session<'_>) -> T,
    ) -> T {
        let mut device = Cpu::new();
        let clock = MonotonicClock::start();
        let mut progress = |share: f64| assert!((0.0..=1.0).contains(&share), "{share}");
        act(&mut Session {
            device: &mut device,
            clock: &clock,
            planned,
            host_available,
            progress: &mut progress,
        })
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
        let count = |measure_s: f64, share: f64, window_ms: u64| {
            let planned = planned(|p| p.measure_s = Quantity::new(measure_s).unwrap());
            let windows = with(&planned, None, |session| {
                session.measure(share, |_, _| Ok(sample(1, 1, elapsed(None, window_ms))))
            });
            windows.unwrap().len()
        };
        assert_eq!(count(3.0, 1.0, 100), 30);
        assert_eq!(count(3.0, 0.5, 100), 15);
        assert_eq!(count(3.0, 1.0, 1000), 8, "the limits ask for 8");
        assert_eq!(count(0.0, 1.0, 0), 8);
    }

    #[test]
    fn an_error_of_a_window_ends_the_measurement() {
        let lost = DeviceError::Lost { doing: "running a kernel" };
        let found = with(&planned(|_| ()), None, |session| session.measure(1.0, |_, _| Err(lost.clone())));
        assert_eq!(found, Err(lost));
    }

    #[test]
    fn memory_is_a_share_of_the_device_bounded_by_plan_and_host() {
        let target = |fraction: f64, max: Bytes, available: Option<Bytes>| {
            let planned = planned(|p| {
                p.memory_fraction = Quantity::new(fraction).unwrap();
                p.memory_max_bytes = max;
            });
            with(&planned, available, |session| session.memory_target())
        };
        // The reference device has 1 GiB.
        assert_eq!(target(0.5, Bytes(0), None), Bytes::mib(512));
        assert_eq!(target(7.0, Bytes(0), None), Bytes::mib(1024));
        assert_eq!(target(0.5, Bytes::mib(64), None), Bytes::mib(64));
        assert_eq!(target(0.5, Bytes(0), Some(Bytes::mib(400))), Bytes::mib(100));
        assert_eq!(target(0.0, Bytes(0), None), Bytes(0));
    }
}
