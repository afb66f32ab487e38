//! Simulated fleets with parts that are bad on purpose: how many are named, and how many are blamed that are well.

use serde::Serialize;

use super::attribute::{Finding, attribute};
use super::fabric::{Fabric, Leaf, Part, Port};
use super::flow::{Errors, Flow};
use super::schedule::{Class, Rounds, schedule};

/// A rail-optimized fabric: `below` nodes share the leaves of a group, one for each rail.
pub fn fleet(nodes: u32, rails: u32, below: u32, uplinks: u32) -> Fabric {
    let groups = nodes.div_ceil(below);
    let leaf = |group: u32, rail: u32| Leaf { name: format!("leaf-{group:03}-{rail}"), uplinks };
    Fabric {
        nodes: (0..nodes).map(|node| format!("gpu-{node:05}")).collect(),
        rails,
        leaves: (0..groups).flat_map(|group| (0..rails).map(move |rail| leaf(group, rail))).collect(),
        leaf_of: (0..nodes)
            .flat_map(|node| (0..rails).map(move |rail| node / below * rails + rail))
            .collect(),
    }
}

/// A part that is bad on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Fault {
    /// Which.
    pub part: Part,
    /// What it leaves of the rate.
    pub fraction: f64,
}

/// How a simulated fabric behaves.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct World {
    /// Standard deviation of the logarithm of a healthy flow's rate.
    pub spread: f64,
    /// Share of flows that are slow for no lasting reason, down to a third of their rate.
    pub hiccups: f64,
    /// Share of pairs that do not run since a partner is missing.
    pub missing: f64,
    /// Rate across leaves over the rate inside, where nothing is bad.
    pub across: f64,
}

impl Default for World {
    fn default() -> Self {
        Self { spread: 0.015, hiccups: 0.005, missing: 0.01, across: 0.9 }
    }
}

/// Share of the bad cables whose line errors show, and of the bad ports whose host errors do; the others show nothing.
const COUNTED: f64 = 0.8;
/// The same for parts that are well.
const COUNTED_BY_CHANCE: f64 = 0.005;

/// A bad part for each class in turn, all different, never two of them on one node.
pub fn faults(fabric: &Fabric, count: u32, random: &mut fastrand::Rng) -> Vec<Fault> {
    let nodes = u32::try_from(fabric.nodes.len()).unwrap_or(u32::MAX);
    let mut order: Vec<_> = (0..nodes).collect();
    random.shuffle(&mut order);
    let mut leaves: Vec<_> = (0..u32::try_from(fabric.leaves.len()).unwrap_or(u32::MAX)).collect();
    random.shuffle(&mut leaves);
    let has_uplinks = leaves.len() > 1;
    let faults = (0..count).zip(order).map(|(number, node)| {
        let port = fabric.port(node, random.u32(0..fabric.rails));
        let part = match number % 4 {
            0 => Part::Node(node),
            1 => Part::Port(port),
            2 => Part::Cable(port),
            _ if has_uplinks => Part::Uplink(leaves[number as usize / 4 % leaves.len()]),
            _ => Part::Node(node),
        };
        Fault { part, fraction: random.f64().mul_add(0.5, 0.4) }
    });
    faults.collect()
}

/// What the pairs of a schedule measure in that world.
pub fn measure(
    fabric: &Fabric,
    rounds: Rounds,
    faults: &[Fault],
    world: World,
    random: &mut fastrand::Rng,
) -> Vec<Flow> {
    let truth = Truth::new(fabric, faults, world);
    let mut flows = Vec::new();
    for round in schedule(fabric, rounds, random.u64(..)) {
        for (a, b) in round.pairs {
            if random.f64() >= world.missing {
                flows.push(truth.flow(a, b, round.class, random));
            }
        }
    }
    flows
}

/// What is really so in a simulated fabric.
struct Truth<'a> {
    fabric: &'a Fabric,
    world: World,
    bad: Vec<Option<f64>>,
}

impl<'a> Truth<'a> {
    fn new(fabric: &'a Fabric, faults: &[Fault], world: World) -> Self {
        let parts = fabric.nodes.len() + 2 * fabric.leaf_of.len() + fabric.leaves.len();
        let mut truth = Self { fabric, world, bad: vec![None; parts] };
        for fault in faults {
            let number = truth.number(fault.part);
            truth.bad[number] = Some(fault.fraction);
        }
        truth
    }

    /// A number of its own for each part; ports and cables apart.
    fn number(&self, part: Part) -> usize {
        let (nodes, ports) = (self.fabric.nodes.len(), self.fabric.leaf_of.len());
        match part {
            Part::Node(node) => node as usize,
            Part::Port(port) => nodes + port.0 as usize,
            Part::Cable(port) => nodes + ports + port.0 as usize,
            Part::Uplink(leaf) => nodes + 2 * ports + leaf as usize,
        }
    }

    fn bad(&self, part: Part) -> Option<f64> {
        self.bad[self.number(part)]
    }

    fn flow(&self, a: Port, b: Port, class: Class, random: &mut fastrand::Rng) -> Flow {
        let slowest = self.fabric.parts(a, b).filter_map(|part| {
            let fraction = self.bad(part)?;
            let meets = match part {
                Part::Uplink(leaf) => random.u32(0..self.fabric.leaves[leaf as usize].uplinks) == 0,
                _ => true,
            };
            meets.then_some(fraction)
        });
        let slowest = slowest.fold(1.0, f64::min);
        let usual = if class == Class::AcrossLeaves { self.world.across } else { 1.0 };
        let hiccup = if random.f64() < self.world.hiccups { random.f64().mul_add(0.6, 0.35) } else { 1.0 };
        let fraction = usual * slowest * hiccup * (self.world.spread * normal(random)).exp();
        Flow { a, b, fraction, a_errors: self.errors(a, random), b_errors: self.errors(b, random) }
    }

    /// Whether a bad part shows in counters is a matter of the part, not of the flow.
    fn errors(&self, port: Port, random: &mut fastrand::Rng) -> Errors {
        let draw = f64::from(port.0.wrapping_mul(2_654_435_761) >> 8) / f64::from(1 << 24);
        let mut rises = |part: Part| {
            let shows = self.bad(part).is_some() && draw < COUNTED;
            u64::from(shows || random.f64() < COUNTED_BY_CHANCE)
        };
        Errors { line: rises(Part::Cable(port)), host: rises(Part::Port(port)) }
    }
}

/// A standard normal number (Box and Muller).
fn normal(random: &mut fastrand::Rng) -> f64 {
    let radius = (-2.0 * (1.0 - random.f64()).ln()).sqrt();
    radius * (2.0 * std::f64::consts::PI * random.f64()).cos()
}

/// How well one class of faults was named.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Score {
    /// Planted.
    pub planted: u32,
    /// Of these, named first in a finding.
    pub first: u32,
    /// Of these, named first or second: a port and its cable lie on the same flows, and so do a node and its only port.
    pub second: u32,
    /// Of these, the right end named first: the node with its ports and their cables, or the leaf.
    pub end: u32,
}

/// How well all of them were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Scores {
    /// Nodes.
    pub node: Score,
    /// Ports.
    pub port: Score,
    /// Cables.
    pub cable: Score,
    /// Uplinks.
    pub uplink: Score,
    /// Findings whose suspects were all well.
    pub false_alarms: u32,
}

impl Scores {
    /// The class of a part.
    pub fn of(&mut self, part: Part) -> &mut Score {
        match part {
            Part::Node(_) => &mut self.node,
            Part::Port(_) => &mut self.port,
            Part::Cable(_) => &mut self.cable,
            Part::Uplink(_) => &mut self.uplink,
        }
    }

    /// All classes, by name.
    pub fn classes(&self) -> [(&'static str, Score); 4] {
        [("node", self.node), ("port", self.port), ("cable", self.cable), ("uplink", self.uplink)]
    }

    /// Adds what was planted and found in one fleet.
    pub fn add(&mut self, fabric: &Fabric, faults: &[Fault], findings: &[Finding]) {
        let named = |finding: &Finding, part: Part, places: usize| {
            finding.suspects.iter().take(places).any(|suspect| suspect.part == part)
        };
        for Fault { part, .. } in faults {
            let score = self.of(*part);
            score.planted += 1;
            score.first += u32::from(findings.iter().any(|finding| named(finding, *part, 1)));
            score.second += u32::from(findings.iter().any(|finding| named(finding, *part, 2)));
            let at_end = |finding: &Finding| end(fabric, finding.suspects[0].part) == end(fabric, *part);
            score.end += u32::from(findings.iter().any(at_end));
        }
        let well = findings.iter().filter(|finding| {
            !finding.suspects.iter().any(|suspect| faults.iter().any(|fault| fault.part == suspect.part))
        });
        self.false_alarms += u32::try_from(well.count()).unwrap_or(u32::MAX);
    }
}

/// The node or leaf that a part belongs to.
fn end(fabric: &Fabric, part: Part) -> Part {
    match part {
        Part::Port(port) | Part::Cable(port) => Part::Node(fabric.node_of(port)),
        Part::Node(_) | Part::Uplink(_) => part,
    }
}

/// One fleet from beginning to end: faults, rounds, findings.
pub fn play(
    fabric: &Fabric,
    rounds: Rounds,
    count: u32,
    world: World,
    seed: u64,
) -> (Vec<Fault>, Vec<Finding>) {
    let mut random = fastrand::Rng::with_seed(seed);
    let faults = faults(fabric, count, &mut random);
    let flows = measure(fabric, rounds, &faults, world, &mut random);
    (faults, attribute(fabric, &flows))
}
