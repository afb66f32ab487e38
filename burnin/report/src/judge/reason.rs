//! Reason codes: stable names for why something is not a plain pass. A code is never given to another reason.

use crate::Reason;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $action:literal;)*) => {
        /// Why an outcome or a verdict is not better.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum ReasonCode { $($(#[$doc])* $variant,)* }

        impl ReasonCode {
            /// Every code there is.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The code as it stands in reports.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// What to do about it.
            pub fn action(self) -> &'static str {
                match self { $(Self::$variant => $action,)* }
            }
        }
    };
}

codes! {
    /// Answers differ from the reference.
    Mismatch = "DATA-MISMATCH", "take the device out of service, keep the report, repeat the burn-in once cold before asking for a replacement";
    /// A planted fault was not found.
    CanaryMissed = "CANARY-MISSED", "do not trust this check on this node: update driver and tool, then repeat";
    /// Less was covered than the plan asks.
    Coverage = "COVERAGE-LOW", "free the device's memory and end other work on it, then repeat";
    /// Compute units that the device says it has did nothing.
    UnitsUnseen = "UNITS-UNSEEN", "end other work on the device and repeat; if it stays, compare with sibling devices: a unit that takes no work is not proven";
    /// The evidence that the plan asks for is not there.
    EvidenceMissing = "EVIDENCE-MISSING", "repeat the burn-in; if it stays, report it as a fault of the tool";
    /// Device clock and host clock disagree.
    ClocksDisagree = "CLOCKS-DISAGREE", "end other work on the node and repeat; if it stays, suspect the timer or the driver";
    /// A rate beyond what the device can do at all.
    RateImpossible = "RATE-IMPOSSIBLE", "report it as a fault of the tool, its table of limits or the device's timer: no figure of this check can be believed";
    /// A rate below its limit.
    RateLow = "RATE-LOW", "look at power, temperature and throttle reasons, then repeat alone on the node";
    /// A rate that is near its limit.
    RateNearLimit = "RATE-NEAR-LIMIT", "compare with sibling devices; plan a repeat";
    /// A rate that fell for a while.
    RateUnstable = "RATE-UNSTABLE", "look at temperature, power and throttle reasons over the burn-in";
    /// Slower than the node's peers in the fleet.
    FleetSlow = "FLEET-SLOW", "compare temperature, power and clocks with a peer, then repeat; if it stays, swap the slow part";
    /// From window to window more uneven than the peers in the fleet.
    FleetUnsteady = "FLEET-UNSTEADY", "look at throttle reasons and at other work on the node, then repeat";
    /// Too few peers to compare with.
    FleetPeersFew = "FLEET-PEERS-FEW", "none until more nodes of this model, driver and kernels have reported; then judge again";
    /// A wait did not end in time.
    Hang = "DEVICE-HANG", "power-cycle the node, then repeat; if it comes back, replace the device";
    /// The driver says that the device is lost.
    Lost = "DEVICE-LOST", "read the kernel log (Xid, AER), power-cycle the node, then repeat";
    /// The device was there and is not any more.
    Missing = "DEVICE-MISSING", "reseat the device, read the kernel log for a device that fell off the bus";
    /// The driver refused or failed in another way.
    DriverError = "DRIVER-ERROR", "read the detail; check driver installation and versions";
    /// The worker process ended without a result.
    WorkerCrashed = "WORKER-CRASHED", "repeat; if it stays, the driver or the tool is at fault: keep the core and the report";
    /// A worker could not be ended.
    WorkerUnkillable = "WORKER-UNKILLABLE", "power-cycle the node: the driver holds the process in the kernel";
    /// Not run since something before it failed.
    Blocked = "BLOCKED", "mend what failed first, then repeat";
    /// The operator or a signal stopped the burn-in.
    Interrupted = "INTERRUPTED", "repeat the burn-in to the end";
    /// Planned, not run.
    NotRun = "NOT-RUN", "repeat the burn-in";
    /// The device does not offer what the check needs.
    Unsupported = "UNSUPPORTED", "none if this device has no such unit; else update its driver, since what is not offered is not tried";
    /// No GPU on PCI.
    NoGpu = "NO-GPU", "seat or enable the GPU; to burn in the software device instead, choose `--plan quick-software`";
    /// A GPU on PCI, no kernel driver bound.
    NoKernelDriver = "NO-KERNEL-DRIVER", "load the GPU's kernel module and read the kernel log for why it did not bind";
    /// A GPU on PCI with a driver, and Vulkan does not show it.
    NoVulkanDriver = "NO-VULKAN-DRIVER", "install the GPU's Vulkan driver (ICD); name its JSON in VK_DRIVER_FILES if it lies elsewhere";
    /// Vulkan shows GPUs that cannot be matched with PCI.
    SourcesDisagree = "SOURCES-DISAGREE", "compare `lspci -d ::0302` with `burnin list`; suspect a wrong driver or a container that hides devices";
    /// No device of a kind that the plan names.
    KindNotPlanned = "KIND-NOT-PLANNED", "choose a plan that names this kind of device";
    /// Fewer devices than the plan asks.
    TooFewDevices = "TOO-FEW-DEVICES", "reseat or replace the missing device, or correct the plan";
    /// The plan in the report is not the plan that its digest names.
    PlanAltered = "PLAN-ALTERED", "discard the report and repeat";
    /// The site's policy does not accept the plan.
    PlanRefused = "PLAN-REFUSED", "repeat the burn-in with a plan that the site's policy accepts";
    /// The plan asks for nothing.
    PlanEmpty = "PLAN-EMPTY", "choose a plan with checks";
    /// The list of planned checks, the results and the plan do not fit each other.
    Incomplete = "REPORT-INCOMPLETE", "discard the report and repeat";
    /// The evidence looks better than the verdict of who saw all of it.
    WriterDisagrees = "WRITER-DISAGREES", "discard the report and repeat: part of its evidence is missing";
    /// A fault was planted on purpose.
    Planted = "FAULT-PLANTED", "none: this was a drill";
    /// The report cannot be read.
    Unreadable = "REPORT-UNREADABLE", "discard the report and repeat";
}

impl ReasonCode {
    /// A reason with this code and its figures.
    pub fn because(self, detail: impl Into<String>) -> Reason {
        Reason { code: self.as_str().to_owned(), detail: detail.into(), action: self.action().to_owned() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn codes_are_unique_and_each_says_what_to_do() {
        let codes: HashSet<_> = ReasonCode::ALL.iter().map(|c| c.as_str()).collect();
        assert_eq!(codes.len(), ReasonCode::ALL.len());
        assert!(ReasonCode::ALL.iter().all(|c| !c.action().is_empty() && c.as_str().len() <= 20));
    }
}
