//! The report of one burn-in: what crosses from `burnin` to `node-init` to `inventory`, and lies on disk as JSON.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::{CheckId, CheckResult, DeviceInfo, NodeFacts, Outcome, Plan, Reason, Subject, Verdict};

/// Name and version of the schema. No version may have an older one as its beginning (`/10` after `/1`): cut short, it
/// would be read as that one.
pub const SCHEMA: &str = "assay.report/1";

/// The report of one burn-in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    pub started_at: Timestamp,
    /// When the last planned check was over; absent if it was interrupted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
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
    /// The node.
    pub node: NodeFacts,
}

/// The program that wrote a report.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tool {
    /// Version of `burnin`.
    pub version: String,
    /// SHA-256 over all kernels, in hexadecimal.
    pub kernels_digest: String,
}

/// Where a report's evidence comes from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
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

/// One check on one subject that the plan asks for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Planned {
    /// Which check.
    pub check: CheckId,
    /// On what.
    pub subject: Subject,
}

/// A verdict with all that led to it, the gravest first.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct VerdictRecord {
    /// The verdict.
    pub verdict: Verdict,
    /// What keeps it from being better, and notes.
    pub findings: Vec<Finding>,
}

/// One thing that bears on a verdict.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
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
    /// Reads a report. The error names the place in the JSON.
    pub fn from_json(bytes: &[u8]) -> Result<Self, ReadReportError> {
        let report: Self = serde_json::from_slice(bytes)?;
        if report.schema == SCHEMA {
            Ok(report)
        } else {
            Err(ReadReportError::Schema { found: report.schema })
        }
    }
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
