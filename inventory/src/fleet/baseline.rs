//! Baselines: what the nodes of a population usually reach, in short. A snapshot holds those of the whole fleet at one
//! moment; it never changes, its id is the digest of its content, and verdicts name the snapshot that they rest on.

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use report::Unit;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::figures::{Figures, Group, Key, Population, levels};
use super::robust::Summary;

/// What one node contributes.
#[derive(Clone, Debug, PartialEq)]
pub struct Contribution {
    /// The node.
    pub node_id: String,
    /// The change by which its report was stored.
    pub revision: u64,
    /// What it measured.
    pub figures: Vec<Figures>,
}

/// The baselines of a fleet at one moment.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// One for each population, in their order.
    pub populations: Vec<Baselines>,
}

/// The baselines of one population.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Baselines {
    /// Which.
    pub population: Population,
    /// How many nodes it has.
    pub nodes: usize,
    /// The reports they rest on, by the change that stored them.
    pub reports: Vec<u64>,
    /// By metric.
    pub metrics: Vec<Baseline>,
    /// By what bounds them.
    pub groups: Vec<GroupBaseline>,
}

/// The baseline of one metric.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Baseline {
    /// What.
    #[serde(flatten)]
    pub key: Key,
    /// Of what it is a rate.
    pub unit: Unit,
    /// Natural logarithms of the nodes' figures.
    pub level: Summary,
    /// What windows lose against their median, over all devices; absent where there are too few.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dip: Option<Summary>,
}

/// The baseline of several metrics that one thing bounds: the mean of a node's distances from the metrics' centres says
/// more than each of them, since what is by chance in one is not in the others.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct GroupBaseline {
    /// Which.
    pub group: Group,
    /// Over the nodes.
    pub level: Summary,
    /// Over the devices, each beside the median of its own node; absent where nodes have fewer than three.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub device: Option<Summary>,
}

impl Baseline {
    /// The usual rate per second.
    pub fn centre_per_s(&self) -> f64 {
        self.level.centre.exp()
    }
}

impl Snapshot {
    /// Of what these nodes measured, whatever their order.
    pub fn of(fleet: &[Contribution]) -> Self {
        let mut by_population: BTreeMap<&Population, Vec<(u64, &Figures)>> = BTreeMap::new();
        for node in fleet {
            for figures in &node.figures {
                by_population.entry(&figures.population).or_default().push((node.revision, figures));
            }
        }
        let populations =
            by_population.into_iter().map(|(population, nodes)| Baselines::of(population, nodes)).collect();
        Self { populations }
    }

    /// SHA-256 of its canonical JSON, in hexadecimal.
    pub fn id(&self) -> String {
        HEXLOWER.encode(&Sha256::digest(serde_json::to_vec(self).unwrap_or_default()))
    }

    /// The baselines of a population, if it has any.
    pub fn baselines(&self, population: &Population) -> Option<&Baselines> {
        let place =
            self.populations.binary_search_by(|baselines| baselines.population.cmp(population)).ok()?;
        self.populations.get(place)
    }
}

impl Baselines {
    fn of(population: &Population, mut nodes: Vec<(u64, &Figures)>) -> Self {
        nodes.sort_by_key(|(revision, _)| *revision);
        let levels: Vec<_> = nodes.iter().map(|(_, figures)| levels(figures)).collect();
        let mut by_key: BTreeMap<&Key, (Unit, Vec<f64>, Vec<f64>)> = BTreeMap::new();
        for ((_, figures), levels) in nodes.iter().zip(&levels) {
            for rates in &figures.rates {
                let (_, nodes, dips) =
                    by_key.entry(&rates.key).or_insert_with(|| (rates.unit, Vec::new(), Vec::new()));
                nodes.extend(levels.get(&rates.key));
                dips.extend(rates.dip.iter().flatten());
            }
        }
        let metrics = by_key.into_iter().filter_map(|(key, (unit, nodes, dips))| {
            Some(Baseline { key: key.clone(), unit, level: Summary::of(&nodes)?, dip: Summary::of(&dips) })
        });
        let mut baselines = Self {
            population: population.clone(),
            nodes: nodes.len(),
            reports: nodes.iter().map(|(revision, _)| *revision).collect(),
            metrics: metrics.collect(),
            groups: Vec::new(),
        };
        baselines.groups = baselines.groups_of(&nodes);
        baselines
    }

    fn groups_of(&self, nodes: &[(u64, &Figures)]) -> Vec<GroupBaseline> {
        let mut of_nodes: BTreeMap<Group, Vec<f64>> = BTreeMap::new();
        let mut of_devices: BTreeMap<Group, Vec<f64>> = BTreeMap::new();
        for (_, figures) in nodes {
            for (group, distance) in self.distances(figures) {
                of_nodes.entry(group).or_default().push(distance);
            }
            for (group, distances) in device_distances(figures) {
                of_devices.entry(group).or_default().extend(distances.into_iter().flatten());
            }
        }
        let device = |group| of_devices.get(&group).and_then(|distances| Summary::of(distances));
        of_nodes
            .into_iter()
            .filter_map(|(group, distances)| {
                Some(GroupBaseline { group, level: Summary::of(&distances)?, device: device(group) })
            })
            .collect()
    }

    /// By group, the mean distance of a node's figures from the centres, as natural logarithms of ratios.
    pub fn distances(&self, figures: &Figures) -> BTreeMap<Group, f64> {
        let levels = levels(figures);
        let mut by_group: BTreeMap<Group, Vec<f64>> = BTreeMap::new();
        for baseline in &self.metrics {
            let found = Group::of(&baseline.key.metric).zip(levels.get(&baseline.key));
            if let Some((group, level)) = found {
                by_group.entry(group).or_default().push(level - baseline.level.centre);
            }
        }
        by_group.into_iter().map(|(group, distances)| (group, mean(&distances))).collect()
    }
}

/// By group, each device's mean distance from the median of its own node; absent for a device without a figure. Only of
/// nodes with three devices and more: of two nobody knows which is slow.
pub(super) fn device_distances(figures: &Figures) -> BTreeMap<Group, Vec<Option<f64>>> {
    const DEVICES_MIN: usize = 3;
    let mut sums: BTreeMap<Group, Vec<(f64, f64)>> = BTreeMap::new();
    for rates in &figures.rates {
        let known = rates.per_s.iter().flatten().count();
        let Some((group, middle)) = Group::of(&rates.key.metric).zip(rates.of_node()) else { continue };
        if known < DEVICES_MIN {
            continue;
        }
        let sums = sums.entry(group).or_insert_with(|| vec![(0.0, 0.0); rates.per_s.len()]);
        for (sum, rate) in sums.iter_mut().zip(&rates.per_s) {
            if let Some(rate) = rate {
                *sum = (sum.0 + (rate / middle).ln(), sum.1 + 1.0);
            }
        }
    }
    let means =
        |sums: Vec<(f64, f64)>| sums.iter().map(|(sum, count)| (*count > 0.0).then(|| sum / count)).collect();
    sums.into_iter().map(|(group, sums)| (group, means(sums))).collect()
}

fn mean(figures: &[f64]) -> f64 {
    figures.iter().sum::<f64>() / figures.len() as f64
}

/// How one population differs from another of the same model: a driver or kernels that slow every node move the baseline.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Shift {
    /// What moved.
    #[serde(flatten)]
    pub key: Key,
    /// From where.
    pub from: Population,
    /// To where.
    pub to: Population,
    /// New over old usual rate, less one: -0.05 is 5 % slower.
    pub ratio: f64,
    /// That, in standard deviations of the difference of two medians.
    pub deviations: f64,
}

/// Every shift between populations of one model and plan that is more than `min` and more than three standard deviations.
pub fn shifts(snapshot: &Snapshot, min: f64) -> Vec<Shift> {
    const DEVIATIONS_MIN: f64 = 3.0;
    let pairs = snapshot.populations.iter().enumerate().flat_map(|(place, one)| {
        snapshot.populations[place + 1..].iter().map(move |other| in_order(one, other))
    });
    let same = |(old, new): &(&Baselines, &Baselines)| {
        (&old.population.model, &old.population.plan) == (&new.population.model, &new.population.plan)
    };
    let mut shifts = Vec::new();
    for (old, new) in pairs.filter(same) {
        for after in &new.metrics {
            let Some(before) = old.metrics.iter().find(|before| before.key == after.key) else { continue };
            let distance = after.level.centre - before.level.centre;
            // The variance of a median of n normal figures is about pi / 2n of theirs.
            let variance = |summary: &Summary| summary.spread.powi(2) / summary.count as f64;
            let deviation =
                (std::f64::consts::FRAC_PI_2 * (variance(&after.level) + variance(&before.level))).sqrt();
            let (ratio, deviations) = (distance.exp() - 1.0, distance / deviation.max(f64::MIN_POSITIVE));
            if ratio.abs() > min && deviations.abs() > DEVIATIONS_MIN {
                let (from, to) = (old.population.clone(), new.population.clone());
                shifts.push(Shift { key: after.key.clone(), from, to, ratio, deviations });
            }
        }
    }
    shifts
}

/// The population with the older reports first.
fn in_order<'a>(one: &'a Baselines, other: &'a Baselines) -> (&'a Baselines, &'a Baselines) {
    let middle = |baselines: &Baselines| baselines.reports.get(baselines.reports.len() / 2).copied();
    if middle(one) <= middle(other) { (one, other) } else { (other, one) }
}
