//! The report of one burn-in: what crosses from `burnin` to `node-init` to `inventory`, and lies on disk as JSON.

use std::collections::HashMap;
use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{CheckId, CheckResult, DeviceId, DeviceInfo, NodeFacts, Outcome, Plan, Reason, Subject, Verdict};

/// Name and version of the schema. No version may have an older one as its beginning (`/10` after `/1`): cut short, it
/// would be read as that one.
pub const SCHEMA: &str = "assay.report/1";

/// The report of one burn-in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Report {
    /// [`SCHEMA`].
    pub schema: String,
    /// Random id of this burn-in, 32 hexadecimal digits.
    pub run_id: String,
    /// What wrote it.
    pub tool: Tool,
    /// Measured, or with a fault planted on purpose.
    pub origin: Origin,
    /// When it began (the node's clock).
    #[cfg_attr(test, schemars(with = "String", extend("format" = "date-time")))]
    pub started_at: Timestamp,
    /// When the last planned check was over; absent if it was interrupted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[cfg_attr(test, schemars(with = "Option<String>", extend("format" = "date-time")))]
    pub completed_at: Option<Timestamp>,
    /// The verdict of who wrote it, by [`crate::judge()`]. A reader computes its own, never better than this one
    /// ([`crate::judge::review`]).
    pub verdict: VerdictRecord,
    /// The plan.
    pub plan: Plan,
    /// [`Plan::digest`] of it.
    pub plan_digest: String,
    /// The devices that were burned in.
    pub devices: Vec<DeviceInfo>,
    /// Every planned check on every subject, written before the first ran.
    pub planned: Vec<Planned>,
    /// One result for each of them.
    pub results: Vec<CheckResult>,
    /// Counters of errors before the first check on a device and after the last. Empty where nobody keeps any, which is
    /// not the same as no error.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub counters: Vec<Counter>,
    /// The node.
    pub node: NodeFacts,
}

/// The program that wrote a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Tool {
    /// Version of `burnin`.
    pub version: String,
    /// SHA-256 over all kernels, in hexadecimal.
    pub kernels_digest: String,
}

/// Where a report's evidence comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
pub enum Origin {
    /// From devices as they are.
    Measured,
    /// With the named fault planted on purpose: never evidence of health.
    Planted(String),
}

/// A text that is no origin.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no origin: expected `measured` or `planted:KIND`")]
pub struct BadOrigin(String);

impl TryFrom<String> for Origin {
    type Error = BadOrigin;
    fn try_from(text: String) -> Result<Self, BadOrigin> {
        match text.split_once(':') {
            None if text == "measured" => Ok(Self::Measured),
            Some(("planted", kind)) => Ok(Self::Planted(kind.to_owned())),
            _ => Err(BadOrigin(text)),
        }
    }
}

impl From<Origin> for String {
    fn from(origin: Origin) -> Self {
        origin.to_string()
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Measured => f.write_str("measured"),
            Self::Planted(kind) => write!(f, "planted:{kind}"),
        }
    }
}

/// A counter of errors that hardware or driver keeps, read twice.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Counter {
    /// The device whose work could have moved it.
    pub device: DeviceId,
    /// Where it is kept, for example `AER of 0000:3a:01.0`.
    pub place: String,
    /// What it counts, by the name of who keeps it.
    pub name: String,
    /// Before the first check.
    pub before: u64,
    /// After the last.
    pub after: u64,
}

/// One check on one subject that the plan asks for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Planned {
    /// Which check.
    pub check: CheckId,
    /// On what.
    pub subject: Subject,
}

/// A verdict with all that led to it, the gravest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct VerdictRecord {
    /// The verdict.
    pub verdict: Verdict,
    /// What keeps it from being better, and notes.
    pub findings: Vec<Finding>,
}

/// One thing that bears on a verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Finding {
    /// The check; absent where the report as a whole is meant.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub check: Option<CheckId>,
    /// On what.
    pub subject: Subject,
    /// How the check ended, by the judge's own reading.
    pub outcome: Outcome,
    /// Why.
    pub reason: Reason,
}

impl Report {
    /// The devices by id, for who looks many of them up; of two with one id the first.
    pub(crate) fn devices_by_id(&self) -> HashMap<&DeviceId, &DeviceInfo> {
        self.devices.iter().rev().map(|device| (&device.id, device)).collect()
    }

    /// Reads a report. The error names the place in the JSON, or the schema where it is another.
    pub fn from_json(bytes: &[u8]) -> Result<Self, ReadReportError> {
        let other = |found: &String| *found != SCHEMA;
        match serde_json::from_slice::<Self>(bytes) {
            Ok(report) if !other(&report.schema) => Ok(report),
            Ok(report) => Err(ReadReportError::Schema { found: report.schema }),
            // What is missing from a report of another schema is no fault of it.
            Err(error) => match serde_json::from_slice::<Named>(bytes) {
                Ok(Named { schema }) if other(&schema) => Err(ReadReportError::Schema { found: schema }),
                _ => Err(error.into()),
            },
        }
    }
}

/// A document that names its schema.
#[derive(Deserialize)]
struct Named {
    schema: String,
}

/// Why bytes are no report.
#[derive(Debug, thiserror::Error)]
pub enum ReadReportError {
    /// Not JSON, or a part is missing or malformed.
    #[error("reading the report: {0}")]
    Malformed(#[from] serde_json::Error),
    /// Another schema.
    #[error(
        "the report has schema `{found}`, this version reads `{SCHEMA}`: use a matching version of the tool"
    )]
    Schema {
        /// The schema it names.
        found: String,
    },
}
