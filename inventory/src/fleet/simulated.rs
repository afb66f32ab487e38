//! Fleets that were never built, with noise as fleets have it and slow nodes that are known: what the rule is measured with.
//!
//! A node's rate is the usual one, times its own luck (silicon, cooling; part of it common to all that one thing bounds, part
//! of the metric alone), times the luck of each device, times a warming that takes some of the rate in the course of the windows, times the noise of
//! each window. All luck has tails heavier than normal ones.

use report::{CheckId, DeviceId, Unit};

use super::baseline::Contribution;
use super::figures::{Figures, Key, Population, Rates};
use super::random::Random;
use super::similarity;

/// Windows of a measurement.
const WINDOWS: usize = 12;

/// What a fleet is like. Shares are of the usual rate.
#[derive(Clone, Copy, Debug)]
pub struct Fleet {
    /// Nodes.
    pub nodes: usize,
    /// Devices of each.
    pub devices: usize,
    /// Metrics that the compute units bound.
    pub compute: usize,
    /// Metrics that the memory bounds.
    pub memory: usize,
    /// Standard deviation between nodes, that of their warming included, drawn evenly from this range for each fleet; half as
    /// much for memory, whose clock is fixed.
    pub spread: (f64, f64),
    /// How much of that variance is common to the metrics of a group.
    pub common: f64,
    /// Standard deviation between the devices of a node.
    pub device_spread: f64,
    /// Standard deviation between the windows of a device.
    pub window_noise: f64,
    /// What warming takes from the first to the last window at most, a quarter of that from memory; each node has its own
    /// share of it.
    pub drift: f64,
    /// Degrees of freedom of Student's distribution from which all luck is drawn.
    pub tails: u32,
}

impl Default for Fleet {
    /// 64 nodes of eight devices, with more noise than is published for identical devices at a fixed power limit.
    fn default() -> Self {
        Self {
            nodes: 64,
            devices: 8,
            compute: 5,
            memory: 3,
            spread: (0.010, 0.015),
            common: 0.5,
            device_spread: 0.008,
            window_noise: 0.005,
            drift: 0.02,
            tails: 8,
        }
    }
}

/// What is wrong with a node, as a share of its rate.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Fault {
    /// All of its devices are slower in all that the compute units bound: heat, power, clocks.
    Node(f64),
    /// One of its devices is.
    Device(f64),
    /// One of its devices loses this share in one window of six.
    Dips(f64),
}

const COMPUTE: [&str; 8] =
    ["fp32", "fp16", "int32", "matrix-fp16", "dot-int8", "fp64", "int64", "matrix-int8"];
const MEMORY: [&str; 3] = ["read", "write", "copy"];

impl Fleet {
    /// A fleet of that seed in which node i has the i-th of these faults; the other nodes are healthy.
    pub fn simulate(&self, seed: u64, faults: &[Fault]) -> Vec<Contribution> {
        let mut random = Random::new(seed);
        let spread = random.between(self.spread.0, self.spread.1);
        let node = |place: usize| Contribution {
            node_id: format!("node-{place:04}"),
            revision: place as u64 + 1,
            figures: vec![self.node(&mut random, spread, faults.get(place).copied())],
        };
        (0..self.nodes).map(node).collect()
    }

    fn node(&self, random: &mut Random, spread: f64, fault: Option<Fault>) -> Figures {
        let population = Population {
            model: "Simulated GPU".to_owned(),
            pci_id: None,
            driver: "simulated 1.0".to_owned(),
            kernels: "0".repeat(64),
            plan: "quick".to_owned(),
        };
        let warmth = random.uniform();
        let mut rates = Vec::new();
        let groups = [
            (&COMPUTE[..self.compute.min(8)], Unit::FlopPerS, spread, self.drift),
            (&MEMORY[..self.memory.min(3)], Unit::BytesPerS, 0.5 * spread, 0.25 * self.drift),
        ];
        for (metrics, unit, spread, drift) in groups {
            let slow = fault.filter(|_| unit == Unit::FlopPerS);
            // Of what nodes have in common within a group, warming is a part.
            let common = (spread.powi(2) * self.common - variance_of_warming(drift)).max(0.0).sqrt();
            let node = self.luck(random, common);
            let devices: Vec<f64> = (0..self.devices)
                .map(|_| self.luck(random, self.device_spread * self.common.sqrt()))
                .collect();
            for metric in metrics {
                let level = node + self.luck(random, spread * (1.0 - self.common).sqrt());
                let of_device = |(place, device): (usize, &f64)| {
                    let own = self.luck(random, self.device_spread * (1.0 - self.common).sqrt());
                    let fault = slow.and_then(|fault| fault.on_device(place));
                    self.windows(random, level + device + own, drift * warmth, fault)
                };
                let (per_s, dip) = devices.iter().enumerate().map(of_device).unzip();
                let key = Key { check: check(metric), metric: (*metric).to_owned() };
                rates.push(Rates { key, unit, per_s, dip });
            }
        }
        Figures {
            population,
            devices: (0..self.devices).map(|n| DeviceId(format!("gpu-{n}"))).collect(),
            rates,
        }
    }

    fn luck(&self, random: &mut Random, spread: f64) -> f64 {
        spread * random.student(self.tails)
    }

    /// Median and dip of the windows of one measurement.
    fn windows(
        &self,
        random: &mut Random,
        level: f64,
        drift: f64,
        fault: Option<Fault>,
    ) -> (Option<f64>, Option<f64>) {
        const USUAL_PER_S: f64 = 1e13;
        let mut windows: Vec<f64> = (0..WINDOWS)
            .map(|window| {
                let warm = drift * warming(window as f64 / WINDOWS as f64);
                let lost = match fault {
                    Some(Fault::Node(share) | Fault::Device(share)) => share,
                    Some(Fault::Dips(share)) if window % 6 == 3 => share,
                    _ => 0.0,
                };
                // Few degrees of freedom: now and then a window is far off.
                let noise = self.window_noise * random.student(4);
                USUAL_PER_S * (level + noise - warm).exp() * (1.0 - lost)
            })
            .collect();
        windows.sort_by(f64::total_cmp);
        (Some(super::robust::median(&windows)), Some(similarity::dip(&windows)))
    }
}

/// Of medians over windows, between nodes whose warming takes evenly from nothing to this: that of an even distribution,
/// at the middle window.
fn variance_of_warming(drift: f64) -> f64 {
    (drift * warming(0.5)).powi(2) / 12.0
}

/// How far warming is after this share of the windows: it settles with about a quarter of them.
fn warming(share: f64) -> f64 {
    1.0 - (-4.0 * share).exp()
}

impl Fault {
    fn on_device(self, place: usize) -> Option<Self> {
        (matches!(self, Self::Node(_)) || place == 0).then_some(self)
    }
}

/// The check of that name; the names above are names of checks.
fn check(metric: &str) -> CheckId {
    #[expect(clippy::unwrap_used, reason = "the names above are made of letters, digits and hyphens")]
    CheckId::try_from(metric).unwrap()
}
