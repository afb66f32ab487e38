//! Every check of a device, by its name in plans: the one list that workers, benches and calibration go by.

use kernels::Feature;
use report::judge::ReasonCode;
use report::{CheckResult, Outcome};

use crate::device::{DeviceError, offers};
use crate::session::Session;
use crate::{bench, stress};

/// A check of a device.
#[derive(Clone, Copy, Debug)]
pub struct Check {
    /// Its name in plans.
    pub name: &'static str,
    /// What it asks of a device; where that is not offered, the check is skipped and says so.
    pub needs: &'static [Feature],
    /// Runs it and gives its evidence.
    pub run: fn(&mut Session<'_>) -> Result<CheckResult, DeviceError>,
}

/// Every check that is about a device.
pub const ALL: [Check; 12] = [
    Check { name: "digest", needs: kernels::digest::KERNEL.needs, run: stress::digest::run },
    Check { name: "fp32", needs: kernels::fp32::KERNEL.needs, run: bench::fp32::run },
    Check { name: "memory-own-address", needs: &[], run: stress::memory::own_address },
    Check { name: "memory-moving-inversions", needs: &[], run: stress::memory::moving_inversions },
    Check { name: "memory-walking-bits", needs: &[], run: stress::memory::walking_bits },
    Check { name: "memory-modulo-20", needs: &[], run: stress::memory::modulo_20 },
    Check { name: "memory-march", needs: &[], run: stress::memory::march },
    Check { name: "memory-random", needs: &[], run: stress::memory::random },
    Check { name: "memory-retention", needs: &[], run: stress::memory::retention },
    Check { name: "memory-neighbour", needs: &[], run: stress::memory::neighbour },
    Check { name: "stream", needs: &[], run: bench::stream::run },
    Check { name: "transfer", needs: &[], run: bench::transfer::run },
];

/// The check of that name.
pub fn find(name: &str) -> Option<&'static Check> {
    ALL.iter().find(|check| check.name == name)
}

impl Check {
    /// Runs the check where the device offers what it needs; else the result is `skip`, with what is missing.
    pub fn run_on(&self, session: &mut Session<'_>) -> Result<CheckResult, DeviceError> {
        let missing: Vec<_> =
            self.needs.iter().filter(|need| !offers(session.device.info(), **need)).collect();
        if missing.is_empty() {
            return (self.run)(session);
        }
        let detail = format!("the device does not offer {missing:?}, so this unit was not tried");
        let reason = Some(ReasonCode::Unsupported.because(detail));
        Ok(CheckResult { outcome: Outcome::Skip, reason, ..session.result() })
    }
}
