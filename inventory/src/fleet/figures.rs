//! What of a report can be compared with other nodes: the rates of its devices that their evidence carries.
//!
//! Only rates are compared, and only those whose check ended with `pass` or `warn` by the judge's own reading, on a device
//! as it is (no fault planted): a figure that is not believed is no peer to anybody, and has none.

use std::collections::BTreeMap;

use report::judge::settle_on_device;
use report::limits::{Metric, metric::Bound};
use report::{
    CheckId, DeviceId, DeviceInfo, Measurement, Origin, Outcome, PciId, Report, Sample, Subject, Unit,
};
use serde::{Deserialize, Serialize};

use super::{robust, similarity};

/// Devices whose figures can be compared: one model, one driver, the same kernels, the same plan.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Population {
    /// What the driver calls the model.
    pub model: String,
    /// Its PCI number, where there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pci_id: Option<PciId>,
    /// Driver and version.
    pub driver: String,
    /// SHA-256 over all kernels of the tool.
    pub kernels: String,
    /// The plan: a longer one measures hotter devices.
    pub plan: String,
}

impl Population {
    fn of(report: &Report, device: &DeviceInfo) -> Self {
        Self {
            model: device.name.clone(),
            pci_id: device.pci_id,
            driver: device.driver.clone(),
            kernels: report.tool.kernels_digest.clone(),
            plan: report.plan.name.clone(),
        }
    }
}

/// What is compared.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Key {
    /// The check that measured it.
    pub check: CheckId,
    /// What it measured.
    pub metric: String,
}

impl std::fmt::Display for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if self.check.as_str() == self.metric {
            f.pad(&self.metric)
        } else {
            f.pad(&format!("{}/{}", self.check, self.metric))
        }
    }
}

/// Metrics that one fault slows together: what bounds them is the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Group {
    /// Clock and compute units.
    Compute,
    /// Device memory.
    Memory,
    /// The link to the host.
    Host,
    /// The links to peers.
    Peer,
}

impl Group {
    /// The word for people.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Compute => "compute",
            Self::Memory => "memory",
            Self::Host => "host link",
            Self::Peer => "peer links",
        }
    }

    /// That of a metric; none for one without a physical bound.
    pub fn of(metric: &str) -> Option<Self> {
        Some(match Metric::try_from(metric).ok()?.bound() {
            Bound::Compute => Self::Compute,
            Bound::Memory => Self::Memory,
            Bound::Host => Self::Host,
            Bound::Peer => Self::Peer,
        })
    }
}

/// The figures of a node's devices that belong to one population.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Figures {
    /// Which.
    pub population: Population,
    /// The devices.
    pub devices: Vec<DeviceId>,
    /// What was measured on them.
    pub rates: Vec<Rates>,
}

/// One metric on the devices of [`Figures`], in their order; absent where there is no figure to believe.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Rates {
    /// What.
    #[serde(flatten)]
    pub key: Key,
    /// Of what it is a rate.
    pub unit: Unit,
    /// Median of the windows per second.
    pub per_s: Vec<Option<f64>>,
    /// What the windows lose against their median, see [`similarity::dip`].
    pub dip: Vec<Option<f64>>,
}

impl Rates {
    /// The node's figure: the median of its devices.
    pub fn of_node(&self) -> Option<f64> {
        let figures: Vec<f64> = self.per_s.iter().flatten().copied().collect();
        (!figures.is_empty()).then(|| robust::median_of(figures))
    }
}

impl Figures {
    /// Those of a report, one for each population in it.
    pub fn of(report: &Report) -> Vec<Self> {
        if report.origin != Origin::Measured {
            return Vec::new();
        }
        let mut all: BTreeMap<Population, Vec<&DeviceInfo>> = BTreeMap::new();
        for device in &report.devices {
            all.entry(Population::of(report, device)).or_default().push(device);
        }
        let of = |(population, devices): (Population, Vec<&DeviceInfo>)| Self {
            population,
            rates: rates(report, &devices),
            devices: devices.iter().map(|device| device.id.clone()).collect(),
        };
        all.into_iter().map(of).filter(|figures| !figures.rates.is_empty()).collect()
    }
}

fn rates(report: &Report, devices: &[&DeviceInfo]) -> Vec<Rates> {
    let mut rates: BTreeMap<Key, Rates> = BTreeMap::new();
    for result in &report.results {
        let Subject::Device(id) = &result.subject else { continue };
        let Some(place) = devices.iter().position(|device| device.id == *id) else { continue };
        let Some(planned) = report.plan.check_on(&result.check, Some(devices[place])) else { continue };
        let (outcome, _) = settle_on_device(Some(devices[place]), &planned, result);
        if !matches!(outcome, Outcome::Pass | Outcome::Warn) {
            continue;
        }
        for found in &result.measurements {
            let key = Key { check: result.check.clone(), metric: found.metric.clone() };
            let nothing = || vec![None; devices.len()];
            let rates = rates.entry(key.clone()).or_insert_with(|| Rates {
                key,
                unit: found.unit,
                per_s: nothing(),
                dip: nothing(),
            });
            // Of two of one name either could hide the other.
            let alone = result.measurements.iter().filter(|m| m.metric == found.metric).count() == 1;
            if let Some((rate, dip)) = figure(found).filter(|_| alone && rates.unit == found.unit) {
                rates.per_s[place] = Some(rate);
                rates.dip[place] = Some(dip);
            }
        }
    }
    rates.into_values().filter(|rates| rates.per_s.iter().any(Option::is_some)).collect()
}

/// Median and dip, with six digits: they are kept for every node, and no clock tells more.
fn figure(found: &Measurement) -> Option<(f64, f64)> {
    let windows: Vec<f64> = found.samples.iter().map(Sample::rate).collect::<Option<_>>()?;
    let rate = found.median.get();
    (rate > 0.0 && !windows.is_empty()).then(|| {
        let digits = 10f64.powf(5.0 - rate.log10().floor());
        ((rate * digits).round() / digits, (similarity::dip(&windows) * 1e6).round() / 1e6)
    })
}

/// By key, the figure of a node as the natural logarithm: ratios become differences, and a share is a share at any rate.
pub(super) fn levels(figures: &Figures) -> BTreeMap<&Key, f64> {
    let level = |rates: &Rates| rates.of_node().filter(|rate| *rate > 0.0).map(f64::ln);
    figures.rates.iter().filter_map(|rates| Some((&rates.key, level(rates)?))).collect()
}
