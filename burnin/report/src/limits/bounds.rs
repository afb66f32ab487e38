//! From a device to its limits: what no such device exceeds, and what of it can be had.

use super::model::Memory;
use super::{Formula, Metric, Model, Reach, metric::Bound, table};
use crate::{DeviceInfo, PciId, Quantity, Unit};

/// A transaction layer packet's payload as a share of its bytes on the wire, at 256 bytes of payload and about 26 of
/// headers, sequence number and checksums: 256 / 282.
const PCIE_PAYLOAD: f64 = 0.908;

/// Where the figures come from.
#[derive(Clone, Debug, PartialEq)]
pub enum Basis {
    /// The table has the model.
    Listed(String),
    /// The device's own properties.
    Own,
    /// Units and clock are the device's own; the operations per clock are the most of any listed model of its vendor. A
    /// guess at a model that nobody has listed, good for "far too slow" and never for "too fast to be true".
    OwnAndVendor,
}

/// The two limits of a metric.
#[derive(Clone, Debug, PartialEq)]
pub struct Bounds {
    /// Of what.
    pub metric: Metric,
    /// Of what it is a rate.
    pub unit: Unit,
    /// Where the figures come from.
    pub basis: Basis,
    /// What no such device exceeds, with the inputs.
    pub physical: Formula,
    /// What can be had through Vulkan; absent where nobody has published it.
    pub reachable: Option<Reachable>,
}

/// What can be had through Vulkan.
#[derive(Clone, Debug, PartialEq)]
pub struct Reachable {
    /// The rate that the shares are of, at the clock for which the maker states it.
    pub of: Formula,
    /// The shares, with reason and source.
    pub reach: Reach,
}

impl Reachable {
    /// What a good kernel reaches, per second.
    pub fn low_per_s(&self) -> f64 {
        self.of.per_s() * self.reach.low.get()
    }

    /// What no kernel is known to exceed, per second.
    pub fn high_per_s(&self) -> f64 {
        self.of.per_s() * self.reach.high.get()
    }
}

/// What a device says about itself; absent is what its driver does not tell.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct OwnProperties {
    /// Compute units that are enabled.
    pub units: Option<u32>,
    /// Their highest clock in Hz.
    pub clock_hz: Option<Quantity>,
    /// Memory clock in Hz, half the data rate of a pin.
    pub memory_clock_hz: Option<Quantity>,
    /// Width of the memory bus in bits.
    pub bus_bits: Option<u32>,
    /// PCIe generation and lanes.
    pub pcie: Option<(u8, u8)>,
}

/// Why there is no limit.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NoBounds {
    /// The model is listed without this figure.
    #[error("the limits of {model} have no figure for `{metric}`")]
    NoFigure {
        /// The model.
        model: String,
        /// The metric.
        metric: Metric,
    },
    /// The model is not listed and the device does not tell enough.
    #[error("{device} is not listed, and for `{metric}` its driver would have to tell {missing}")]
    NotListed {
        /// PCI number or name of the device.
        device: String,
        /// The metric.
        metric: Metric,
        /// What is not known.
        missing: &'static str,
    },
}

/// The limits of a device: by its PCI number from the table, otherwise from its own properties.
///
/// # Errors
/// [`NoBounds`] says what is missing.
pub fn bounds_of(device: &DeviceInfo, own: &OwnProperties, metric: Metric) -> Result<Bounds, NoBounds> {
    if let Some(model) = device.pci_id.and_then(table::model_of) {
        return model.bounds(metric);
    }
    let missing = |missing| NoBounds::NotListed {
        device: device.pci_id.map_or_else(|| device.name.clone(), |id| id.to_string()),
        metric,
        missing,
    };
    let (basis, physical) = match metric.bound() {
        Bound::Compute => {
            let formula = by_vendor(device.pci_id, own, metric);
            (
                Basis::OwnAndVendor,
                formula.ok_or_else(|| missing("compute units, clock and a vendor that is listed"))?,
            )
        }
        Bound::Memory => {
            let (clock, bits) =
                own.memory_clock_hz.zip(own.bus_bits).ok_or_else(|| missing("memory clock and bus width"))?;
            let bus_bits = Quantity::new(f64::from(bits)).map_err(|_| missing("a bus width"))?;
            (Basis::Own, Formula::Memory { clock_hz: clock, bus_bits })
        }
        Bound::Host => {
            let link = own.pcie.and_then(|(generation, lanes)| Formula::pcie(generation, lanes));
            (Basis::Own, link.ok_or_else(|| missing("a PCIe link of generation 3 to 5"))?)
        }
        Bound::Peer => return Err(missing("its links to peers")),
    };
    let reachable = host_reach(metric, &physical);
    Ok(Bounds { metric, unit: metric.unit(), basis, physical, reachable })
}

impl Model {
    /// The limits of a device of this model.
    ///
    /// # Errors
    /// [`NoBounds::NoFigure`] where the file does not have the figure.
    pub fn bounds(&self, metric: Metric) -> Result<Bounds, NoBounds> {
        let (physical, of) = self
            .physical(metric)
            .zip(self.rated(metric))
            .ok_or_else(|| NoBounds::NoFigure { model: self.name.clone(), metric })?;
        let Memory { read, write, copy, .. } = &self.memory;
        let reach = match metric {
            Metric::Read => read.as_ref(),
            Metric::Write => write.as_ref(),
            Metric::Copy => copy.as_ref(),
            _ => self.rate(metric).and_then(|rate| rate.reach.as_ref()),
        };
        let reachable = reach
            .map(|reach| Reachable { of, reach: reach.clone() })
            .or_else(|| host_reach(metric, &physical));
        let basis = Basis::Listed(self.name.clone());
        Ok(Bounds { metric, unit: metric.unit(), basis, physical, reachable })
    }
}

/// What packets leave of a PCIe link: the same for every device.
fn host_reach(metric: Metric, link: &Formula) -> Option<Reachable> {
    let share = Quantity::new(PCIE_PAYLOAD).ok()?;
    (metric.bound() == Bound::Host).then(|| Reachable {
        of: link.clone(),
        reach: Reach {
            low: share,
            high: share,
            reason: "headers of packets with 256 bytes of payload".to_owned(),
            source:
                "256 / (256 + 26); measured 52 to 55.6 of 57.2 GB/s on generation 5 x16 (nvbandwidth, AzNHC)"
                    .to_owned(),
        },
    })
}

/// Own units and clock with the most operations per clock of any listed model of the vendor.
fn by_vendor(id: Option<PciId>, own: &OwnProperties, metric: Metric) -> Option<Formula> {
    let ours =
        |model: &&Model| model.pci_ids.iter().any(|listed| Some(listed.id.vendor) == id.map(|id| id.vendor));
    let listed = table::built_in().iter().map(|(_, model)| model).filter(ours);
    let (model, rate) = listed
        .filter_map(|model| Some((model, model.rate(metric)?)))
        .max_by(|a, b| a.1.per_clock.get().total_cmp(&b.1.per_clock.get()))?;
    Some(Formula::Compute {
        unit: model.unit.clone(),
        units: Quantity::new(f64::from(own.units?)).ok()?,
        per_clock: rate.per_clock,
        operation: metric.unit(),
        clock_hz: own.clock_hz?,
    })
}
