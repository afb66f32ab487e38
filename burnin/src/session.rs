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
