//! What a check works with: a device, a clock, its line of the plan, and a place to say how far it is.

use std::time::Duration;

use kernels::{Kernel, Params};
use report::plan::PlannedCheck;
use report::{Bytes, CheckResult, Coverage, DeviceKind, Outcome, Quantity, Subject};

use crate::clock::Clock;
use crate::device::{Buffer, Device, DeviceError, Dispatch, Elapsed};

pub use crate::measure::{WINDOW, measurement, repeats, sample};

/// Longest wait of a GPU for one dispatch. Windows aim at a tenth of a second; two hundred times that is a hang.
const DISPATCH_DEADLINE: Duration = Duration::from_secs(20);
/// Longest wait for one transfer.
pub const TRANSFER_DEADLINE: Duration = Duration::from_secs(20);

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
        let deadline = self.dispatch_deadline();
        self.device.dispatch(&dispatch, deadline)
    }

    /// Longest wait for one dispatch. A software device compiles on the processor that it computes on, which an emulator or
    /// other work may slow down by any factor: there only the check's own deadline says that it hangs.
    pub fn dispatch_deadline(&self) -> Duration {
        match self.device.info().kind {
            DeviceKind::Cpu => Duration::from_secs(self.planned.deadline_s.into()).max(DISPATCH_DEADLINE),
            _ => DISPATCH_DEADLINE,
        }
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
