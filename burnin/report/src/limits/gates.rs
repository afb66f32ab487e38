//! Tables of gates that others publish: what they fail a GPU below, and what they made the gate from. Kept as data so that
//! [`super::lint`] can compare each gate with its origin, its siblings and physics.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{Metric, table};
use crate::{PciId, Quantity};

/// A published table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateTable {
    /// Whose, which release, which file.
    pub name: String,
    /// PCI vendor of all its keys, four hexadecimal digits.
    pub vendor: String,
    /// Of each metric: how many base units (B/s, FLOP/s) one of the table's units is, for example 1e6 for MB/s.
    pub scale: BTreeMap<String, Quantity>,
    /// Its rows.
    pub rows: Vec<GateRow>,
}

/// The gates of one GPU.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GateRow {
    /// PCI device number, with the subsystem's appended where the table has it.
    pub key: String,
    /// Line of the row in the original.
    pub line: u32,
    /// What the table calls the GPU.
    pub name: String,
    /// Its chip: rows with the same chip are siblings.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub family: Option<String>,
    /// Fewest PCIe lanes that pass.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width_min: Option<u8>,
    /// Key of the GPU of which this is the one with less power.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reduced_from: Option<String>,
    /// Its gates.
    pub gates: Vec<Gate>,
}

/// A gate, in the table's own units.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Gate {
    /// Of what.
    pub metric: Metric,
    /// Less than this fails.
    pub gate: Quantity,
    /// What the makers of the table measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lab: Option<Quantity>,
    /// What share of it they took.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub factor: Option<Quantity>,
    /// Peak of this GPU where our own table does not have it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak: Option<Quantity>,
    /// Who says so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_source: Option<String>,
}

impl GateTable {
    /// The physical peak of a gate's GPU in the table's unit: the row's own, or that of our table. A key with a subsystem
    /// is a board of its own, of which our table knows nothing.
    pub fn peak_of(&self, row: &GateRow, gate: &Gate) -> Option<f64> {
        if let Some(peak) = gate.peak {
            return Some(peak.get());
        }
        let id: PciId = format!("{}:{}", self.vendor, row.key).parse().ok()?;
        let scale = self.scale.get(gate.metric.as_str())?.get();
        Some(table::model_of(id)?.physical(gate.metric)?.per_s() / scale)
    }
}
