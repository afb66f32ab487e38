//! The document of a bench: every figure with what it is worth. Made from a report, so that what runs and what judges is
//! the same as in a burn-in; only the [plan](plan()) differs.
//!
//! A *row* is one figure of one device: a rate by windows or a latency by samples, with its limits, its telemetry and the
//! outcome of its check. A row whose outcome is not a pass is shown and counts for nothing.

mod plan;
mod compare;

use std::collections::HashMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use compare::{Change, Comparison, Tendency, compare};
pub use plan::{PlanBenchError, plan};

use crate::judge::{settle_on_device, spread};
use crate::limits::{Basis, Metric, OwnProperties, bounds_of};
use crate::{
    Canary, CheckId, CheckResult, Coverage, DeviceId, DeviceInfo, Latency, Measurement, Origin, Outcome,
    Quantity, Reason, Report, Subject, Telemetry, Tool,
};

/// Name and version of the schema.
pub const SCHEMA: &str = "assay.bench/1";

/// The figures of all devices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bench {
    /// [`SCHEMA`].
    pub schema: String,
    /// What wrote it.
    pub tool: Tool,
    /// Measured, or with a fault planted on purpose.
    pub origin: Origin,
    /// When it began.
    pub started_at: Timestamp,
    /// When it was over; absent if it was interrupted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub completed_at: Option<Timestamp>,
    /// The devices.
    pub devices: Vec<DeviceInfo>,
    /// The rows, by device, in the order of the checks.
    pub rows: Vec<Row>,
    /// What a reader should know of all rows, for example why there is no telemetry.
    #[serde(default)]
    pub notes: Vec<String>,
}

/// One figure of one device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Row {
    /// Of which device.
    pub device: DeviceId,
    /// Which check measured it.
    pub check: CheckId,
    /// The outcome of that check, by its evidence: with anything but `pass` or `warn` the figure is not to be believed.
    pub outcome: Outcome,
    /// Why, unless it is a plain pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<Reason>,
    /// The figure; absent where the check came to none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub figure: Option<Figure>,
    /// How its answers were verified.
    pub verified: Verified,
    /// What the device said of itself meanwhile.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub telemetry: Option<Telemetry>,
}

/// A figure.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Figure {
    /// A rate: more is better.
    Rate(Rate),
    /// A latency: less is better.
    Latency(Latency),
}

/// A rate with its limits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rate {
    /// The windows and their figures.
    #[serde(flatten)]
    pub measurement: Measurement,
    /// Distance of the quartiles as a share of the median.
    pub spread: Quantity,
    /// What such a device reaches at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub physical: Option<Physical>,
    /// What of it the interface can reach.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reachable: Option<Within>,
}

/// A physical peak.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Physical {
    /// The peak.
    pub per_s: Quantity,
    /// The inputs that it was computed from, for example `132 SM x 256 FLOP/clk x 1.980 GHz`.
    pub formula: String,
    /// Where they come from.
    pub basis: String,
}

/// What can be reached.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Within {
    /// What a good kernel reaches.
    pub low_per_s: Quantity,
    /// What no kernel is known to exceed.
    pub high_per_s: Quantity,
    /// Why not all of the peak.
    pub reason: String,
    /// Who says so.
    pub source: String,
}

/// How answers were verified.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Verified {
    /// How many were wrong; absent where none were compared.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub wrong: Option<u64>,
    /// How much was compared.
    pub coverage: Vec<Coverage>,
    /// The planted faults.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub canary: Option<Canary>,
}

impl Bench {
    /// The figures of a report.
    pub fn of(report: &Report) -> Self {
        let devices = report.devices_by_id();
        let rows = report.results.iter().flat_map(|result| rows(report, &devices, result)).collect();
        let mut notes: Vec<String> = Vec::new();
        for note in report.results.iter().flat_map(|result| &result.notes) {
            if !notes.contains(note) {
                notes.push(note.clone());
            }
        }
        Self {
            schema: SCHEMA.to_owned(),
            tool: report.tool.clone(),
            origin: report.origin.clone(),
            started_at: report.started_at,
            completed_at: report.completed_at,
            devices: report.devices.clone(),
            rows,
            notes,
        }
    }

    /// Reads a document. The error names the place in the JSON.
    pub fn from_json(bytes: &[u8]) -> Result<Self, ReadBenchError> {
        let bench: Self = serde_json::from_slice(bytes)?;
        if bench.schema == SCHEMA { Ok(bench) } else { Err(ReadBenchError::Schema { found: bench.schema }) }
    }

    /// The exit code: 0 if there are figures and each is to be believed, 1 if answers were wrong or a device failed, 4 if
    /// anything else is not to be believed or did not run, or in a drill whose fault was not found. What a device does not offer is no fault.
    pub fn exit_code(&self) -> u8 {
        let any = |is: fn(&Row) -> bool| self.rows.iter().any(is);
        let figures = any(|row| row.is_believed() && row.figure.is_some());
        if any(|row| row.outcome == Outcome::Fail) {
            1
        } else if self.origin != Origin::Measured
            || !figures
            || self.completed_at.is_none()
            || any(|row| !row.is_believed() && row.outcome != Outcome::Skip)
        {
            4
        } else {
            0
        }
    }
}

/// Why bytes are no document of a bench.
#[derive(Debug, thiserror::Error)]
pub enum ReadBenchError {
    /// Not JSON, or a part is missing or malformed.
    #[error("reading the figures: {0}")]
    Malformed(#[from] serde_json::Error),
    /// Another schema.
    #[error(
        "the document has schema `{found}`, this version compares with `{SCHEMA}`: name one that `burnin bench --out` wrote"
    )]
    Schema {
        /// The schema it names.
        found: String,
    },
}

impl Row {
    /// May its figure be believed?
    pub fn is_believed(&self) -> bool {
        matches!(self.outcome, Outcome::Pass | Outcome::Warn)
    }

    /// What it is a figure of; the check where there is none.
    pub fn metric(&self) -> &str {
        match &self.figure {
            Some(Figure::Rate(rate)) => &rate.measurement.metric,
            Some(Figure::Latency(latency)) => &latency.metric,
            None => self.check.as_str(),
        }
    }
}

/// The rows of a check: one for each figure, or one without.
fn rows(report: &Report, devices: &HashMap<&DeviceId, &DeviceInfo>, result: &CheckResult) -> Vec<Row> {
    let Subject::Device(id) = &result.subject else { return Vec::new() };
    let device = devices.get(id).copied();
    let (outcome, reason) = match report.plan.check_on(&result.check, device) {
        Some(planned) => settle_on_device(device, &planned, result),
        None => (Outcome::NotRun, result.reason.clone()),
    };
    let row = |figure| Row {
        device: id.clone(),
        check: result.check.clone(),
        outcome,
        reason: reason.clone(),
        figure,
        verified: Verified {
            wrong: result.mismatches.as_ref().map(|wrong| wrong.count),
            coverage: result.coverage.clone(),
            canary: result.canary,
        },
        telemetry: result.telemetry.clone(),
    };
    let rates = result.measurements.iter().map(|m| Figure::Rate(Rate::of(device, m)));
    let figures = rates.chain(result.latencies.iter().cloned().map(Figure::Latency));
    let rows: Vec<_> = figures.map(|figure| row(Some(figure))).collect();
    if rows.is_empty() { vec![row(None)] } else { rows }
}

impl Rate {
    /// A measurement with the limits of its device, where they are known.
    pub fn of(device: Option<&DeviceInfo>, measurement: &Measurement) -> Self {
        let metric = Metric::try_from(measurement.metric.as_str()).ok();
        let own = |device: &DeviceInfo| OwnProperties { units: device.units, ..OwnProperties::default() };
        let bounds = device
            .zip(metric)
            .and_then(|(device, metric)| bounds_of(device, &own(device), metric).ok())
            .filter(|bounds| bounds.unit == measurement.unit);
        let quantity = |value| Quantity::new(value).ok();
        let physical = bounds.as_ref().and_then(|bounds| {
            let basis = match &bounds.basis {
                Basis::Listed(model) => format!("table of limits: {model}"),
                Basis::Own => "the device's own properties".to_owned(),
                Basis::OwnAndVendor => "own properties, and the best of its vendor per clock".to_owned(),
            };
            let per_s = quantity(bounds.physical.per_s())?;
            Some(Physical { per_s, formula: bounds.physical.to_string(), basis })
        });
        let reachable = bounds.and_then(|bounds| bounds.reachable).and_then(|within| {
            Some(Within {
                low_per_s: quantity(within.low_per_s())?,
                high_per_s: quantity(within.high_per_s())?,
                reason: within.reach.reason,
                source: within.reach.source,
            })
        });
        let spread = spread(&measurement.samples).and_then(|spread| quantity(spread.quartiles));
        Self { measurement: measurement.clone(), spread: spread.unwrap_or_default(), physical, reachable }
    }

    /// Median as a share of the physical peak.
    pub fn of_peak(&self) -> Option<f64> {
        let peak = self.physical.as_ref()?.per_s.get();
        (peak > 0.0).then(|| self.measurement.median.get() / peak)
    }

    /// Median as a share of the most that can be reached.
    pub fn of_reach(&self) -> Option<f64> {
        let most = self.reachable.as_ref()?.high_per_s.get();
        (most > 0.0).then(|| self.measurement.median.get() / most)
    }
}
