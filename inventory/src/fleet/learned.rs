//! Limits that the fleet teaches: bars for plans, each with the evidence behind it.
//!
//! A learned limit is a proposal for people: it names its population, how many nodes and which reports it rests on, when it
//! was made and at which quantile. [`lint`] refuses what physics forbids and what too few nodes carry; no plan takes a limit by itself.

use jiff::Timestamp;
use report::limits::lint::{Severity, of_plan};
use report::limits::{Model, table};
use report::plan::{Class, DevicePolicy, Limit, Plan, PlannedCheck, Scope};
use report::{Bytes, Quantity};
use serde::{Deserialize, Serialize};

use super::baseline::{Baseline, Baselines, Snapshot};
use super::figures::{Key, Population};
use super::robust::Tails;
use super::rule::Rule;

/// A file of learned limits.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Learned {
    /// Where the figures come from: `fleet`.
    pub origin: String,
    /// When they were made.
    pub made_at: Timestamp,
    /// The snapshot of baselines.
    pub snapshot: String,
    /// Share of healthy nodes that a warning may meet.
    pub quantile: Quantity,
    /// By population.
    pub populations: Vec<LearnedPopulation>,
}

/// The limits of one population.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LearnedPopulation {
    /// Which.
    pub population: Population,
    /// How many nodes it has.
    pub nodes: usize,
    /// Their reports, by the change that stored them.
    pub reports: Vec<u64>,
    /// The limits.
    pub limits: Vec<LearnedLimit>,
}

/// One limit, as a plan has it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LearnedLimit {
    /// Of which check.
    pub check: report::CheckId,
    /// How many nodes have this figure.
    pub nodes: usize,
    /// The usual rate per second.
    pub usual_per_s: Quantity,
    /// The spread between nodes, as a share.
    pub spread: Quantity,
    /// The limit.
    pub limit: Limit,
}

/// A failure is for figures that are this much rarer than those of a warning.
const FAIL_RARER: f64 = 1e-3;

/// The limits that a snapshot teaches; none for populations and metrics with too few nodes.
pub fn learn(snapshot: &Snapshot, rule: &Rule, quantile: Quantity, made_at: Timestamp) -> Learned {
    let of = |baselines: &Baselines| LearnedPopulation {
        population: baselines.population.clone(),
        nodes: baselines.nodes,
        reports: baselines.reports.clone(),
        limits: baselines
            .metrics
            .iter()
            .filter_map(|one| limit(baselines, one, rule, quantile, made_at))
            .collect(),
    };
    Learned {
        origin: "fleet".to_owned(),
        made_at,
        snapshot: snapshot.id(),
        quantile,
        populations: snapshot
            .populations
            .iter()
            .map(of)
            .filter(|learned| !learned.limits.is_empty())
            .collect(),
    }
}

fn limit(
    baselines: &Baselines,
    baseline: &Baseline,
    rule: &Rule,
    quantile: Quantity,
    made_at: Timestamp,
) -> Option<LearnedLimit> {
    let level = &baseline.level;
    if level.count < rule.peers_min {
        return None;
    }
    let highest = level.centre + (1.0 - rule.slowdown_min).ln();
    let bar = |chance: f64, tails| level.bar(chance, rule.spread_floor, tails).min(highest).exp();
    let warn = bar(quantile.get(), Tails::Normal);
    let fail = bar(quantile.get() * FAIL_RARER, Tails::Heavy).min(warn);
    let source = format!(
        "fleet: {} % quantile of {} nodes ({}, {}), reports up to revision {}, {:.0}",
        100.0 * quantile.get(),
        level.count,
        baselines.population.model,
        baselines.population.driver,
        baselines.reports.last().copied().unwrap_or_default(),
        made_at
    );
    Some(LearnedLimit {
        check: baseline.key.check.clone(),
        nodes: level.count,
        usual_per_s: Quantity::new(baseline.centre_per_s()).ok()?,
        spread: Quantity::new(level.spread).ok()?,
        limit: Limit {
            metric: baseline.key.metric.clone(),
            fail_below_per_s: Quantity::new(fail).ok()?,
            warn_below_per_s: Quantity::new(warn).ok()?,
            // Of the levels nothing follows about windows and clocks: these are the plan's to ask.
            worst_to_median_min: Quantity::ZERO,
            clock_tolerance: Quantity::new(1.0).ok()?,
            samples_min: 1,
            source,
        },
    })
}

/// Why a learned limit must not be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum Refused {
    /// Another origin than the fleet.
    #[error("origin `{0}`: learned limits have origin `fleet`")]
    Origin(String),
    /// No such quantile.
    #[error("quantile {0} is not between 0 and 0.5")]
    Quantile(f64),
    /// The evidence is too thin.
    #[error("`{key}` of {model} rests on {nodes} nodes, {needed} are asked for: wait for more reports")]
    NodesFew {
        /// Of what.
        key: Key,
        /// The model.
        model: String,
        /// How many there are.
        nodes: usize,
        /// How many are asked for.
        needed: usize,
    },
    /// Fewer reports are named than nodes.
    #[error("{model}: {nodes} nodes and {reports} reports do not fit: make the limits anew")]
    Evidence {
        /// The model.
        model: String,
        /// Nodes.
        nodes: usize,
        /// Reports.
        reports: usize,
    },
    /// Physics forbids it, or its parts contradict each other.
    #[error("{0}")]
    Impossible(String),
}

/// Every reason not to use these limits.
pub fn lint(learned: &Learned, rule: &Rule) -> Vec<Refused> {
    let mut refused = Vec::new();
    if learned.origin != "fleet" {
        refused.push(Refused::Origin(learned.origin.clone()));
    }
    if !(0.0..0.5).contains(&learned.quantile.get()) || learned.quantile.get() == 0.0 {
        refused.push(Refused::Quantile(learned.quantile.get()));
    }
    for population in &learned.populations {
        let model = &population.population.model;
        if population.reports.len() != population.nodes {
            let (nodes, reports) = (population.nodes, population.reports.len());
            refused.push(Refused::Evidence { model: model.clone(), nodes, reports });
        }
        for one in &population.limits {
            let key = Key { check: one.check.clone(), metric: one.limit.metric.clone() };
            if one.nodes < rule.peers_min || one.nodes > population.nodes {
                let (model, nodes, needed) = (model.clone(), one.nodes, rule.peers_min);
                refused.push(Refused::NodesFew { key, model, nodes, needed });
            } else if one.limit.fail_below_per_s > one.limit.warn_below_per_s
                || one.limit.warn_below_per_s > one.usual_per_s
            {
                refused.push(Refused::Impossible(format!(
                    "`{key}` of {model}: its bars are above what is usual"
                )));
            }
        }
        if let Some(listed) = population.population.pci_id.and_then(table::model_of) {
            refused.extend(physics(population, listed));
        }
    }
    refused
}

/// What the table of limits says of bars and usual rates of a model that it has.
fn physics(population: &LearnedPopulation, model: &Model) -> Vec<Refused> {
    let check = |one: &LearnedLimit| {
        // A fleet whose usual rate is beyond the peak measures something else.
        let usual = Limit { fail_below_per_s: one.usual_per_s, ..one.limit.clone() };
        PlannedCheck {
            id: one.check.clone(),
            scope: Scope::Device,
            required: true,
            class: Class::Performance,
            exact: false,
            canary: false,
            deadline_s: 1,
            measure_s: Quantity::ZERO,
            memory_fraction: Quantity::ZERO,
            memory_max_bytes: Bytes(0),
            floors: Vec::new(),
            limits: vec![usual],
        }
    };
    let plan = Plan {
        name: population.population.model.clone(),
        summary: String::new(),
        devices: DevicePolicy { kinds: Vec::new(), count_min: 1 },
        checks: population.limits.iter().map(check).collect(),
    };
    let grave =
        of_plan(&plan, model).into_iter().filter(|finding| finding.problem.severity() == Severity::Reject);
    grave.map(|finding| Refused::Impossible(finding.to_string())).collect()
}

#[cfg(test)]
mod tests {
    use super::super::simulated::Fleet;
    use super::*;

    fn learned(change: impl FnOnce(&mut Population)) -> Learned {
        let mut fleet = Fleet { nodes: 16, ..Fleet::default() }.simulate(5, &[]);
        let mut population = fleet[0].figures[0].population.clone();
        change(&mut population);
        for node in &mut fleet {
            node.figures[0].population = population.clone();
        }
        let made_at = "2026-11-25T12:00:00Z".parse().unwrap();
        learn(&Snapshot::of(&fleet), &Rule::default(), Quantity::new(0.01).unwrap(), made_at)
    }

    #[test]
    fn limits_name_their_evidence_and_survive_a_file() {
        let learned = learned(|_| {});
        let [population] = &learned.populations[..] else { panic!("one population") };
        assert_eq!((population.nodes, population.reports.len(), population.limits.len()), (16, 16, 8));
        for one in &population.limits {
            let (fail, warn) = (one.limit.fail_below_per_s.get(), one.limit.warn_below_per_s.get());
            assert!(
                fail < warn && warn < 0.98 * one.usual_per_s.get() && warn > 0.9 * one.usual_per_s.get(),
                "{one:?}"
            );
            assert!(one.limit.source.starts_with("fleet: 1 % quantile of 16 nodes"), "{}", one.limit.source);
        }
        assert_eq!(lint(&learned, &Rule::default()), []);
        let copy: Learned = toml::from_str(&toml::to_string(&learned).unwrap()).unwrap();
        assert_eq!(copy, learned);
    }

    #[test]
    fn too_few_nodes_teach_nothing_and_a_file_that_says_so_is_refused() {
        let strict = Rule { peers_min: 17, ..Rule::default() };
        let learned = learned(|_| {});
        let refused = lint(&learned, &strict);
        assert_eq!(refused.len(), 8);
        assert!(refused.iter().all(|one| matches!(one, Refused::NodesFew { nodes: 16, needed: 17, .. })));
        let few = Fleet { nodes: 7, ..Fleet::default() }.simulate(5, &[]);
        let made_at = "2026-11-25T12:00:00Z".parse().unwrap();
        let none = learn(&Snapshot::of(&few), &Rule::default(), Quantity::new(0.01).unwrap(), made_at);
        assert_eq!(none.populations, []);
    }

    #[test]
    fn what_physics_forbids_is_refused_whatever_the_fleet_says() {
        // 1e13 per second is beyond the memory of an H200 (4.9e12 B/s), and within its FP32 rate.
        let learned = learned(|population| population.pci_id = Some("10de:2335".parse().unwrap()));
        let refused: Vec<String> = lint(&learned, &Rule::default()).iter().map(ToString::to_string).collect();
        assert!(
            refused.iter().any(|text| text.contains("read.read.fail_below_per_s") && text.contains("above")),
            "{refused:?}"
        );
        assert!(!refused.iter().any(|text| text.contains("fp32.fp32")), "{refused:?}");
    }

    #[test]
    fn a_file_with_another_origin_quantile_or_evidence_is_refused() {
        let rule = Rule::default();
        let mut wrong = learned(|_| {});
        wrong.origin = "hand".to_owned();
        wrong.quantile = Quantity::ZERO;
        wrong.populations[0].reports.pop();
        wrong.populations[0].limits[0].limit.fail_below_per_s = Quantity::new(1e14).unwrap();
        let refused = lint(&wrong, &rule);
        assert!(
            matches!(refused[0], Refused::Origin(_)) && matches!(refused[1], Refused::Quantile(_)),
            "{refused:?}"
        );
        assert!(matches!(refused[2], Refused::Evidence { nodes: 16, reports: 15, .. }), "{refused:?}");
        assert!(matches!(refused[3], Refused::Impossible(_)) && refused.len() == 4, "{refused:?}");
    }
}
