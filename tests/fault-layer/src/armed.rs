//! The plan at work in this process: which fault is due, and the record that it arrived.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU64, Ordering};

use crate::plan::{Fault, Kind, PlanError, parse};

/// What is to go wrong; see [`crate::plan`].
pub const PLAN_VARIABLE: &str = "ASSAY_FAULT";
/// The file to which every arrival is added as one line of JSON; without it they go to standard error.
pub const LOG_VARIABLE: &str = "ASSAY_FAULT_LOG";
/// Where the plan is read where the variable is not set: in a boot image nobody sets variables.
pub const PLAN_FILE: &str = "/etc/assay/fault";

/// The faults of this process, with how often each had its chance.
#[derive(Debug)]
pub(crate) struct Armed {
    faults: Vec<(Fault, AtomicU64)>,
    log: Option<PathBuf>,
}

impl Armed {
    pub(crate) fn from_environment() -> Result<Self, PlanError> {
        let text =
            std::env::var(PLAN_VARIABLE).or_else(|_| std::fs::read_to_string(PLAN_FILE)).unwrap_or_default();
        let faults = parse(text.trim())?.into_iter().map(|fault| (fault, AtomicU64::new(0))).collect();
        Ok(Self { faults, log: std::env::var_os(LOG_VARIABLE).map(PathBuf::from) })
    }

    /// The faults for which this is the moment, on this device, each with how often it came before. Each has had a chance
    /// more, and has arrived.
    pub(crate) fn due(&self, device: Option<u32>, at: fn(&Kind) -> bool) -> Vec<(&Fault, u64)> {
        let due: Vec<_> = self.chances(device, at).collect();
        due.into_iter()
            .filter(|(fault, number)| {
                let used = *number >= fault.after && *number - fault.after < fault.times;
                if used {
                    self.arrived(fault, device, *number);
                }
                used
            })
            .map(|(fault, number)| (fault, number - fault.after))
            .collect()
    }

    /// The faults that are no event but a lie, told whenever asked; it arrives when it is first told.
    pub(crate) fn told(&self, device: Option<u32>, at: fn(&Kind) -> bool) -> Vec<&Fault> {
        let told: Vec<_> = self.chances(device, at).collect();
        told.into_iter()
            .map(|(fault, number)| {
                if number == 0 {
                    self.arrived(fault, device, number);
                }
                fault
            })
            .collect()
    }

    fn chances(&self, device: Option<u32>, at: fn(&Kind) -> bool) -> impl Iterator<Item = (&Fault, u64)> {
        let here = move |fault: &Fault| fault.device.is_none_or(|wanted| device == Some(wanted));
        self.faults
            .iter()
            .filter(move |(fault, _)| at(&fault.kind) && here(fault))
            .map(|(fault, chances)| (fault, chances.fetch_add(1, Ordering::Relaxed)))
    }

    /// Writes it down at once: what comes next may end this process. A line is one write, so that those of several
    /// processes do not mix.
    fn arrived(&self, fault: &Fault, device: Option<u32>, chance: u64) {
        let line = serde_json::json!({
            "fault": fault.name, "device": device, "chance": chance, "pid": std::process::id(),
        });
        let line = format!("{line}\n");
        let written = match &self.log {
            Some(path) => OpenOptions::new()
                .create(true)
                .append(true)
                .open(path)
                .and_then(|mut file| file.write_all(line.as_bytes())),
            None => std::io::stderr().write_all(line.as_bytes()),
        };
        // A fault that cannot be recorded would look like one that never came.
        assert!(written.is_ok(), "recording the arrival of a fault: {written:?}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn armed(text: &str) -> Armed {
        let faults = parse(text).unwrap().into_iter().map(|fault| (fault, AtomicU64::new(0))).collect();
        Armed { faults, log: Some(PathBuf::from("/dev/null")) }
    }

    #[test]
    fn a_fault_is_due_after_so_many_chances_and_so_many_times() {
        let armed = armed("drop-dispatch:after=2,times=2");
        let due: Vec<_> =
            (0..6).map(|_| armed.due(Some(0), |kind| *kind == Kind::DropDispatch).len()).collect();
        assert_eq!(due, [0, 0, 1, 1, 0, 0]);
    }

    #[test]
    fn a_fault_of_another_device_or_moment_is_not_due_and_loses_no_chance() {
        let armed = armed("lost:device=1");
        let lost = |kind: &Kind| *kind == Kind::Lost;
        assert!(armed.due(Some(0), lost).is_empty() && armed.due(None, lost).is_empty());
        assert!(armed.due(Some(1), |kind| *kind == Kind::Hang).is_empty());
        assert_eq!(armed.due(Some(1), lost).len(), 1);
    }

    #[test]
    fn a_lie_is_told_every_time() {
        let armed = armed("hide-device:device=3");
        let hide = |kind: &Kind| *kind == Kind::HideDevice;
        assert_eq!((0..3).map(|_| armed.told(Some(3), hide).len()).sum::<usize>(), 3);
        assert!(armed.told(Some(2), hide).is_empty());
    }
}
