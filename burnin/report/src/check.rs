//! What a check found: evidence first, outcome after.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::{Anatomy, DeviceId, Latency, Quantity, RegionRates, Seconds, Telemetry, Unit, UnitHistogram};

/// Names a check: lower-case words joined by hyphens, for example `memory-own-address`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
pub struct CheckId(String);

/// A text that cannot name a check.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` names no check: use lower-case letters, digits and hyphens, 1 to 64 of them")]
pub struct BadCheckId(String);

impl CheckId {
    /// The name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for CheckId {
    type Error = BadCheckId;
    fn try_from(text: String) -> Result<Self, BadCheckId> {
        let plain = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if (1..=64).contains(&text.len()) && text.bytes().all(plain) {
            Ok(Self(text))
        } else {
            Err(BadCheckId(text))
        }
    }
}

impl TryFrom<&str> for CheckId {
    type Error = BadCheckId;
    fn try_from(text: &str) -> Result<Self, BadCheckId> {
        Self::try_from(text.to_owned())
    }
}

impl From<CheckId> for String {
    fn from(id: CheckId) -> Self {
        id.0
    }
}

impl fmt::Display for CheckId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What a check looks at.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// The node as a whole.
    Node,
    /// One device of it.
    Device(DeviceId),
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Node => f.pad("node"),
            Self::Device(id) => f.pad(&id.0),
        }
    }
}

/// How a check ended. Never fold one into another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// The evidence is complete and within every limit.
    Pass,
    /// As `pass`, but a figure is near its limit.
    Warn,
    /// Evidence of a fault.
    Fail,
    /// Does not apply here.
    Skip,
    /// The check itself broke, so that nothing is known.
    Error,
    /// There is a result but it cannot be believed.
    Untrusted,
    /// Planned, and has not run.
    NotRun,
}

impl Outcome {
    /// The word used in reports.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Pass => "pass",
            Self::Warn => "warn",
            Self::Fail => "fail",
            Self::Skip => "skip",
            Self::Error => "error",
            Self::Untrusted => "untrusted",
            Self::NotRun => "not_run",
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Why an outcome is not a plain pass.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Reason {
    /// A stable code, never given to another reason, for example `MEM-MISMATCH`.
    pub code: String,
    /// What was found, with its figures.
    pub detail: String,
    /// What to do now.
    pub action: String,
}

/// How much of something a check did, read back from the device rather than counted by the host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Coverage {
    /// Of what, with the unit last: `verified_bytes`, `workgroups`, `devices`.
    pub quantity: String,
    /// How much.
    pub achieved: Quantity,
}

/// A fault planted on purpose, to see that the check finds it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Canary {
    /// How many were planted.
    pub planted: u32,
    /// How many of them were found, at exactly the right place with exactly the right bits.
    pub found: u32,
    /// How many were reported that nobody planted.
    pub strays: u32,
}

/// Wrong answers: all of them counted, the first 64 kept.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Mismatches {
    /// How many words were wrong.
    pub count: u64,
    /// Union of all wrong bits over all mismatches kept.
    pub bits: u32,
    /// The first of them.
    pub first: Vec<Mismatch>,
}

impl Mismatches {
    /// How many are kept.
    pub const KEPT_MAX: usize = 64;
}

/// One wrong word.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Mismatch {
    /// Where: byte address within what the check covers on this device.
    pub byte_address: u64,
    /// What should be there.
    pub expected: u32,
    /// What was found.
    pub found: u32,
    /// The workgroup that reported it.
    pub workgroup: u32,
    /// Which pass of the check.
    pub pass: u32,
}

/// One window of a measurement: so much work in so much time by two clocks.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Sample {
    /// Operations or bytes, from the kernel's cost.
    pub work: Quantity,
    /// By the device's timestamps; absent where it has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_s: Option<Seconds>,
    /// By the host's monotonic clock, from submission to completion.
    pub host_s: Seconds,
}

impl Sample {
    /// Work per second, by the device's clock where there is one; absent when no time passed.
    pub fn rate(&self) -> Option<f64> {
        let seconds = self.device_s.unwrap_or(self.host_s).get();
        let rate = self.work.get() / seconds;
        (seconds > 0.0 && rate.is_finite()).then_some(rate)
    }
}

/// Windows that ran before a measurement, so that clocks and caches are as they will be. Their answers were compared,
/// their rates are discarded.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct WarmUp {
    /// How many.
    pub windows: u32,
    /// How long they took, by the host's clock.
    pub took_s: Seconds,
    /// Did the last of them agree? If not, their time was over before.
    pub steady: bool,
}

/// A rate, as windows of work and time.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Measurement {
    /// What was measured, for example `fp32` or `read`.
    pub metric: String,
    /// Of what.
    pub unit: Unit,
    /// Middle of the windows' rates.
    pub median: Quantity,
    /// Lowest rate that was sustained over [`crate::judge::SUSTAINED_WINDOWS`] windows.
    pub worst: Quantity,
    /// How it was done: shape of the kernel, size of the windows.
    pub method: String,
    /// What ran before the windows and does not count; absent where nothing did, or nothing is known of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm_up: Option<WarmUp>,
    /// The windows, in order, without the warm-up.
    pub samples: Vec<Sample>,
}

/// One check on one subject: evidence and outcome.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct CheckResult {
    /// Which check.
    pub check: CheckId,
    /// On what.
    pub subject: Subject,
    /// How it ended. What reads a report believes it only as far as the evidence carries it, see [`mod@crate::judge`].
    pub outcome: Outcome,
    /// Why, unless it is a plain pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// What was covered.
    #[serde(default)]
    pub coverage: Vec<Coverage>,
    /// The planted faults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
    /// The wrong answers; absent where the check compares nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mismatches: Option<Mismatches>,
    /// What wrong words of memory have in common; absent where there are none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub anatomy: Option<Anatomy>,
    /// Rates by region of the memory.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub regions: Vec<RegionRates>,
    /// Digest of all answers, 16 hexadecimal digits; equal on every conforming device.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub digest: Option<String>,
    /// Work and time by compute unit, where the device tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub units: Option<UnitHistogram>,
    /// The rates.
    #[serde(default)]
    pub measurements: Vec<Measurement>,
    /// How long small things take.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub latencies: Vec<Latency>,
    /// What a reader should know beside the figures, for example whether `fma` is fused here.
    #[serde(default)]
    pub notes: Vec<String>,
    /// When it began, counted from the beginning of the burn-in; absent where nobody kept it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub began_s: Option<Seconds>,
    /// How long it took.
    pub took_s: Seconds,
    /// What the device said of itself meanwhile; absent where nothing could be read.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub telemetry: Option<Telemetry>,
    /// How much of it was device work: dispatches from submission to completion, transfers, new memory made zero. The rest
    /// is the host's: expected answers, comparing, compiling kernels. Absent where it was not counted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device_s: Option<Seconds>,
}

impl CheckResult {
    /// A result that says only how it ended, without evidence.
    pub fn without_evidence(
        check: CheckId,
        subject: Subject,
        outcome: Outcome,
        reason: Option<Reason>,
    ) -> Self {
        Self {
            check,
            subject,
            outcome,
            reason,
            coverage: Vec::new(),
            canary: None,
            mismatches: None,
            anatomy: None,
            regions: Vec::new(),
            digest: None,
            units: None,
            measurements: Vec::new(),
            latencies: Vec::new(),
            notes: Vec::new(),
            began_s: None,
            took_s: Seconds::ZERO,
            telemetry: None,
            device_s: None,
        }
    }
}
