//! The fleet rule: is a node slower than its peers, although it keeps every fixed limit?
//!
//! Four questions, of which each has its share of the false alarms that the policy allows: is the node slow in what one thing
//! bounds (the mean over such metrics: it finds most, and has most of the share); in one metric; is a device slow beside the
//! others of its node; do its windows dip. Who is asked often in one report is asked at a smaller share each time, so that a healthy
//! node is named with the allowed probability at most (Bonferroni). Something is named only if it is both unlikely
//! and by so much slower that it matters.

use report::judge::ReasonCode;
use report::{CheckId, DeviceId, Outcome, Subject, document::Finding};
use serde::{Deserialize, Serialize};

use super::baseline::{Baseline, Baselines, Snapshot, device_distances};
use super::figures::{Figures, Group, Key, Rates, levels};
use super::robust::{Summary, Tails};

/// What a finding of the fleet means for the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Effect {
    /// Nothing: people see it.
    Note,
    /// `degraded` at best.
    Degraded,
    /// `faulty`.
    Faulty,
}

/// The parameters of the rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Rule {
    /// Share of healthy nodes that may be named, for figures whose core is normal.
    pub false_alarms: f64,
    /// A node that is slower by less than this share is not named, however unlikely that is.
    pub slowdown_min: f64,
    /// Spreads below this share count as this: peers that agree to the last digit condemn nobody.
    pub spread_floor: f64,
    /// Windows of a device may lose this share against their own median, beyond what they usually do.
    pub dip_min: f64,
    /// Nodes without which there is no baseline.
    pub peers_min: usize,
    /// What it means for a node.
    pub effect: Effect,
    /// Is a node without enough peers `unknown`? If not, it is judged without them.
    pub required: bool,
}

impl Default for Rule {
    fn default() -> Self {
        Self {
            false_alarms: 0.01,
            slowdown_min: 0.02,
            spread_floor: 0.005,
            dip_min: 0.05,
            peers_min: 8,
            effect: Effect::Degraded,
            required: false,
        }
    }
}

/// Shares of the false alarms by question.
const OF_GROUPS: f64 = 0.9;
const OF_METRICS: f64 = 0.04;
const OF_DEVICES: f64 = 0.03;
const OF_DIPS: f64 = 0.03;

/// What is slow.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(rename_all = "snake_case", tag = "kind")]
pub enum What {
    /// The node, in all that one thing bounds.
    Group {
        /// Which.
        group: Group,
        /// The metric of it that is farthest below.
        worst: Key,
    },
    /// The node, in one metric.
    Metric {
        /// Which.
        worst: Key,
    },
    /// One device, beside the others of its node.
    Device {
        /// Which.
        device: DeviceId,
        /// In what.
        group: Group,
        /// The metric of it that is farthest below.
        worst: Key,
    },
    /// One device, from window to window.
    Unsteady {
        /// Which.
        device: DeviceId,
        /// In what.
        worst: Key,
    },
}

/// Something that is slow, and how far.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Slow {
    /// What.
    #[serde(flatten)]
    pub what: What,
    /// How much slower than usual: 0.06 is 6 %.
    pub slower: f64,
    /// The figure of the worst metric, for people.
    pub found: String,
    /// What is usual for it.
    pub usual: String,
    /// Nodes, or devices, that it was compared with.
    pub peers: usize,
    /// How many spreads it is away.
    pub spreads: f64,
    /// How likely a healthy one is that far away.
    pub chance: f64,
}

/// What the fleet says about a node.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Comparison {
    /// What is slow, the farthest first.
    pub slow: Vec<Slow>,
    /// Populations with fewer nodes than the rule asks for: how many they have.
    pub few: Vec<(super::Population, usize)>,
}

impl Rule {
    /// Compares a node with the fleet.
    pub fn compare(&self, figures: &[Figures], snapshot: &Snapshot) -> Comparison {
        let mut comparison = Comparison::default();
        for figures in figures {
            let baselines = snapshot.baselines(&figures.population);
            let nodes = baselines.map_or(0, |baselines| baselines.nodes);
            match baselines.filter(|_| nodes >= self.peers_min) {
                Some(baselines) => comparison.slow.extend(self.slow(figures, baselines)),
                None => comparison.few.push((figures.population.clone(), nodes)),
            }
        }
        comparison.slow.sort_by(|one, other| one.chance.total_cmp(&other.chance));
        comparison
    }

    fn slow(&self, figures: &Figures, baselines: &Baselines) -> Vec<Slow> {
        let mut slow = self.groups(figures, baselines);
        slow.extend(self.metrics(figures, baselines));
        slow.extend(self.devices(figures, baselines));
        slow.extend(self.dips(figures, baselines));
        slow
    }

    /// Named, if it matters and is unlikely: `share` of the false alarms, asked `times` times.
    fn name(
        &self,
        peers: &Summary,
        level: f64,
        (share, times): (f64, usize),
        tails: Tails,
    ) -> Option<Distance> {
        let slower = 1.0 - (level - peers.centre).exp();
        if peers.count < self.peers_min || slower < self.slowdown_min {
            return None;
        }
        let chance = peers.chance_below(level, self.spread_floor, tails);
        let allowed = self.false_alarms * share / times.max(1) as f64;
        (chance < allowed).then(|| Distance {
            slower,
            peers: peers.count,
            spreads: (peers.centre - level) / peers.spread.max(self.spread_floor),
            chance,
        })
    }

    fn groups(&self, figures: &Figures, baselines: &Baselines) -> Vec<Slow> {
        let distances = baselines.distances(figures);
        let times = distances.len();
        let named = baselines.groups.iter().filter_map(|group| {
            let level = *distances.get(&group.group)?;
            let distance = self.name(&group.level, level, (OF_GROUPS, times), Tails::Normal)?;
            let worst = worst(figures, baselines, group.group, Rates::of_node)?;
            Some(worst.slow(distance, |worst| What::Group { group: group.group, worst }))
        });
        named.collect()
    }

    fn metrics(&self, figures: &Figures, baselines: &Baselines) -> Vec<Slow> {
        let levels = levels(figures);
        let named = baselines.metrics.iter().filter_map(|baseline| {
            let level = *levels.get(&baseline.key)?;
            let distance = self.name(&baseline.level, level, (OF_METRICS, levels.len()), Tails::Heavy)?;
            Some(Worst::of(baseline, level.exp()).slow(distance, |worst| What::Metric { worst }))
        });
        named.collect()
    }

    fn devices(&self, figures: &Figures, baselines: &Baselines) -> Vec<Slow> {
        let by_group = device_distances(figures);
        let times = by_group.values().flatten().flatten().count();
        let mut slow = Vec::new();
        for (group, levels) in &by_group {
            let Some(peers) =
                baselines.groups.iter().find(|one| one.group == *group).and_then(|one| one.device)
            else {
                continue;
            };
            for (place, level) in levels.iter().enumerate() {
                let named =
                    level.and_then(|level| self.name(&peers, level, (OF_DEVICES, times), Tails::Heavy));
                let of_device = |rates: &Rates| rates.per_s.get(place).copied().flatten();
                let Some((distance, worst)) = named.zip(worst(figures, baselines, *group, of_device)) else {
                    continue;
                };
                let device = figures.devices[place].clone();
                slow.push(worst.slow(distance, |worst| What::Device { device, group: *group, worst }));
            }
        }
        slow
    }

    fn dips(&self, figures: &Figures, baselines: &Baselines) -> Vec<Slow> {
        let times = figures.rates.iter().flat_map(|rates| &rates.dip).flatten().count();
        let mut slow = Vec::new();
        for baseline in &baselines.metrics {
            let Some(rates) = figures.rates.iter().find(|rates| rates.key == baseline.key) else { continue };
            let Some(peers) = baseline.dip.filter(|peers| peers.count >= self.peers_min) else { continue };
            for (device, dip) in figures.devices.iter().zip(&rates.dip) {
                let Some(dip) = *dip else { continue };
                if dip - peers.centre < self.dip_min {
                    continue;
                }
                // More is worse here: the same distance to the other side.
                let mirrored = 2.0 * peers.centre - dip;
                let chance = peers.chance_below(mirrored, self.spread_floor, Tails::Heavy);
                if chance >= self.false_alarms * OF_DIPS / times.max(1) as f64 {
                    continue;
                }
                let distance = Distance {
                    slower: dip - peers.centre,
                    peers: peers.count,
                    spreads: (dip - peers.centre) / peers.spread.max(self.spread_floor),
                    chance,
                };
                let share = |dip: f64| format!("{:.1} % lost in slow windows", dip * 100.0);
                let worst =
                    Worst { key: baseline.key.clone(), found: share(dip), usual: share(peers.centre) };
                let device = device.clone();
                slow.push(worst.slow(distance, |worst| What::Unsteady { device, worst }));
            }
        }
        slow
    }
}

struct Distance {
    slower: f64,
    peers: usize,
    spreads: f64,
    chance: f64,
}

/// A metric with its figure and what is usual, for people.
struct Worst {
    key: Key,
    found: String,
    usual: String,
}

impl Worst {
    fn of(baseline: &Baseline, per_s: f64) -> Self {
        let (found, usual) =
            (baseline.unit.show_finely(per_s), baseline.unit.show_finely(baseline.centre_per_s()));
        Self { key: baseline.key.clone(), found, usual }
    }

    fn slow(self, distance: Distance, what: impl FnOnce(Key) -> What) -> Slow {
        let Distance { slower, peers, spreads, chance } = distance;
        Slow { what: what(self.key), slower, found: self.found, usual: self.usual, peers, spreads, chance }
    }
}

/// The metric of the group in which this figure is farthest below the usual one.
fn worst(
    figures: &Figures,
    baselines: &Baselines,
    group: Group,
    figure: impl Fn(&Rates) -> Option<f64>,
) -> Option<Worst> {
    let of_group = baselines.metrics.iter().filter(|baseline| Group::of(&baseline.key.metric) == Some(group));
    let found = of_group.filter_map(|baseline| {
        let rates = figures.rates.iter().find(|rates| rates.key == baseline.key)?;
        Some((baseline, figure(rates)?))
    });
    let ratio = |(baseline, per_s): &(&Baseline, f64)| per_s / baseline.centre_per_s();
    let (baseline, per_s) = found.min_by(|one, other| ratio(one).total_cmp(&ratio(other)))?;
    Some(Worst::of(baseline, per_s))
}

impl Slow {
    /// The reason code.
    pub fn code(&self) -> ReasonCode {
        match self.what {
            What::Unsteady { .. } => ReasonCode::FleetUnsteady,
            _ => ReasonCode::FleetSlow,
        }
    }

    /// About what.
    pub fn subject(&self) -> Subject {
        match &self.what {
            What::Group { .. } | What::Metric { .. } => Subject::Node,
            What::Device { device, .. } | What::Unsteady { device, .. } => Subject::Device(device.clone()),
        }
    }

    /// The metric that shows it best.
    pub fn worst(&self) -> &Key {
        match &self.what {
            What::Group { worst, .. }
            | What::Metric { worst }
            | What::Device { worst, .. }
            | What::Unsteady { worst, .. } => worst,
        }
    }

    fn detail(&self) -> String {
        let percent = 100.0 * self.slower;
        let peers = self.peers;
        let (found, usual, key) = (&self.found, &self.usual, self.worst());
        let beside = match &self.what {
            What::Group { group, .. } => {
                format!(
                    "{percent:.1} % slower than its {peers} peers in all that is bound by {}",
                    group.as_str()
                )
            }
            What::Metric { .. } => format!("{percent:.1} % slower than its {peers} peers"),
            What::Device { group, .. } => format!(
                "{percent:.1} % slower than the other devices of its node in all that is bound by {}",
                group.as_str()
            ),
            What::Unsteady { .. } => "windows scatter more than those of its peers".to_owned(),
        };
        format!("{beside}: `{key}` {found}, usual is {usual}; {:.1} spreads away", self.spreads)
    }

    /// As a finding of the judge.
    pub fn finding(&self, outcome: Outcome) -> Finding {
        Finding {
            check: Some(self.worst().check.clone()),
            subject: self.subject(),
            outcome,
            reason: self.code().because(self.detail()),
        }
    }
}

/// The finding that there are too few peers to say anything: never a pass.
pub fn few_peers((population, nodes): &(super::Population, usize), rule: &Rule) -> Finding {
    not_compared(
        rule,
        format!(
            "insufficient peers: {nodes} nodes have {} with {} under this plan and these kernels, {} are asked for",
            population.model, population.driver, rule.peers_min
        ),
    )
}

/// The finding that a node has no figure at all that could be compared.
pub fn nothing_to_compare(rule: &Rule) -> Finding {
    not_compared(
        rule,
        "insufficient peers: no rate of this report is believed, so that there is nothing to compare"
            .to_owned(),
    )
}

fn not_compared(rule: &Rule, detail: String) -> Finding {
    let outcome = if rule.required { Outcome::NotRun } else { Outcome::Skip };
    let reason = ReasonCode::FleetPeersFew.because(detail);
    Finding { check: None::<CheckId>, subject: Subject::Node, outcome, reason }
}
