//! What a data file says about a GPU model. Unknown keys are errors; every figure has a source.

use serde::{Deserialize, Serialize};

use super::{Formula, Metric, metric::Bound};
use crate::{PciId, Quantity};

/// How far a figure is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Grade {
    /// Measured, or read from a device.
    Measured,
    /// In documentation of the hardware or of its drivers.
    Documented,
    /// Follows from other figures of the file, as the source says.
    Derived,
    /// The datasheet says so and nobody else.
    Datasheet,
    /// Held to be right; look it up before relying on it.
    Unverified,
}

/// A number with its source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Figure {
    /// The number, in the unit that the field's name says.
    pub value: Quantity,
    /// How far it is known.
    pub grade: Grade,
    /// Who says so.
    pub source: String,
}

/// A GPU model: one data file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Model {
    /// Its name, for example `H200 SXM`.
    pub name: String,
    /// What its compute units are called: `SM`, `CU`, `Xe-core`.
    pub unit: String,
    /// The PCI numbers under which it appears, where they are known for certain.
    pub pci_ids: Vec<ListedId>,
    /// How many compute units are enabled.
    pub units: Figure,
    /// Highest clock of the compute units in Hz.
    pub clock_max_hz: Figure,
    /// Clock in Hz for which the maker states the rates marked `rated`.
    pub clock_rated_hz: Figure,
    /// Size of the L2 cache in bytes.
    pub l2_bytes: Figure,
    /// Power limit of the board in watts.
    pub power_w: Figure,
    /// Device memory.
    pub memory: Memory,
    /// The link to the host.
    pub pcie: Pcie,
    /// The links to peers, if it has any of its own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peer: Option<Peer>,
    /// What its compute units do in one clock.
    pub rates: Vec<Rate>,
}

/// A PCI number with its source.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ListedId {
    /// Vendor and device.
    pub id: PciId,
    /// Who says so.
    pub source: String,
}

/// Which clock a maker's rate is stated for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Clock {
    /// The highest.
    Max,
    /// The rated one.
    Rated,
}

/// What one compute unit does in one clock.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// Of which metric.
    pub metric: Metric,
    /// Operations per unit and clock, without sparsity; a multiply-add is two.
    pub per_clock: Quantity,
    /// For which clock the maker states the rate.
    pub clock: Clock,
    /// The maker's dense rate of the whole device per second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stated_per_s: Option<Quantity>,
    /// How far it is known.
    pub grade: Grade,
    /// Who says so.
    pub source: String,
    /// What of it can be had through Vulkan; absent where nobody has published it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reach: Option<Reach>,
}

/// The share of the rated rate that can be had through Vulkan, as a range.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Reach {
    /// A good kernel reaches this.
    pub low: Quantity,
    /// No kernel is known to exceed this.
    pub high: Quantity,
    /// Why not all of it.
    pub reason: String,
    /// Who measured it.
    pub source: String,
}

/// Device memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Memory {
    /// Clock in Hz, half the data rate of a pin.
    pub clock_hz: Figure,
    /// Width of the bus in bits.
    pub bus_bits: Figure,
    /// The maker's bandwidth in bytes per second.
    pub stated_per_s: Figure,
    /// What of it reading gets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub read: Option<Reach>,
    /// What of it writing gets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub write: Option<Reach>,
    /// What of it copying gets.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub copy: Option<Reach>,
}

/// The link to the host.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pcie {
    /// PCIe generation, 3 to 5.
    pub generation: u8,
    /// Lanes.
    pub width: u8,
    /// A stated rate of one direction in bytes per second, if somebody states one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stated_per_s: Option<Quantity>,
    /// How far it is known.
    pub grade: Grade,
    /// Who says so.
    pub source: String,
}

/// The links to peers.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Peer {
    /// How many.
    pub links: u8,
    /// Payload of one link in one direction, bytes per second.
    pub link_bytes_per_s: Quantity,
    /// The maker's rate of all links in one direction, bytes per second.
    pub stated_per_s: Quantity,
    /// How far it is known.
    pub grade: Grade,
    /// Who says so.
    pub source: String,
}

impl Model {
    /// The rate of a metric of the compute units, if the file has it.
    pub fn rate(&self, metric: Metric) -> Option<&Rate> {
        self.rates.iter().find(|rate| rate.metric == metric)
    }

    /// What no device of this model exceeds: the formula of a metric at the highest clock.
    pub fn physical(&self, metric: Metric) -> Option<Formula> {
        self.formula(metric, Clock::Max)
    }

    /// The formula of a metric at the clock for which the maker states it.
    pub fn rated(&self, metric: Metric) -> Option<Formula> {
        self.formula(metric, self.rate(metric).map_or(Clock::Max, |rate| rate.clock))
    }

    fn formula(&self, metric: Metric, clock: Clock) -> Option<Formula> {
        match metric.bound() {
            Bound::Compute => {
                let clock = if clock == Clock::Max { &self.clock_max_hz } else { &self.clock_rated_hz };
                Some(Formula::Compute {
                    unit: self.unit.clone(),
                    units: self.units.value,
                    per_clock: self.rate(metric)?.per_clock,
                    operation: metric.unit(),
                    clock_hz: clock.value,
                })
            }
            Bound::Memory => {
                let Memory { clock_hz, bus_bits, .. } = &self.memory;
                Some(Formula::Memory { clock_hz: clock_hz.value, bus_bits: bus_bits.value })
            }
            Bound::Host => Formula::pcie(self.pcie.generation, self.pcie.width),
            Bound::Peer => {
                let Peer { links, link_bytes_per_s, .. } = *self.peer.as_ref()?;
                Some(Formula::Links { links, link_bytes_per_s })
            }
        }
    }
}
