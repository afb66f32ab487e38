//! From flows to the parts that are to blame.
//!
//! One after the other the part is taken that explains the flows best beside those taken before, as long as the odds
//! that it is bad are better than [`ODDS_MIN`] to one. Then each is looked at again beside all the others, since what was
//! taken early may be explained better by what came late. For each, the parts that could be bad in its place are ranked.
//!
//! What it does not do: blame a partner that was not there. A pair that did not run is no flow.

use std::cmp::Ordering;
use std::collections::BinaryHeap;

use serde::Serialize;

use super::evidence::{Evidence, Fit, ratio};
use super::fabric::{Fabric, Part, Port};
use super::flow::{Errors, Flow};
use super::separate::{Next, next};

/// Odds that a part is bad, from which on it is named.
pub const ODDS_MIN: f64 = 20.0;
/// Suspects that are listed for one fault.
const SUSPECTS_MAX: usize = 5;
/// Suspects less likely than this are not listed beside a likelier one.
const PROBABILITY_MIN: f64 = 0.001;
/// Slow flows that are named as evidence.
const WITNESSES_MAX: usize = 8;

/// How often a part is bad, before anything was measured: an assumption, only its order of magnitude matters. Cables and
/// optics go first.
fn prior(part: Part) -> f64 {
    match part {
        Part::Node(_) | Part::Cable(_) => 0.004,
        Part::Uplink(_) => 0.003,
        Part::Port(_) => 0.002,
    }
}

/// A part that may be to blame.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Suspect {
    /// Which.
    pub part: Part,
    /// How probable it is that this is the one, among all explanations of these flows, chance included.
    pub probability: f64,
    /// What it leaves of the usual rate.
    pub fraction: f64,
    /// Share of its flows that it touches; below 1 for uplinks.
    pub share: f64,
    /// Its flows.
    pub flows: usize,
    /// How many of them are slow.
    pub slow: usize,
}

/// One fault.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Finding {
    /// Who may be to blame, the likeliest first; never empty.
    pub suspects: Vec<Suspect>,
    /// Slow flows of the first suspect, as indices, the slowest first.
    pub witnesses: Vec<u32>,
    /// What to do to tell the first two apart.
    pub next: Next,
}

/// Names the bad parts, the most certain first.
pub fn attribute(fabric: &Fabric, flows: &[Flow]) -> Vec<Finding> {
    let Some(mut evidence) = Evidence::new(fabric, flows) else { return Vec::new() };
    let taken = take(&mut evidence);
    let kept = reconsider(&mut evidence, taken);
    let mut findings: Vec<_> =
        kept.into_iter().filter_map(|slot| finding(fabric, &mut evidence, slot)).collect();
    findings.sort_by(|a, b| b.suspects[0].probability.total_cmp(&a.suspects[0].probability));
    findings
}

/// A part and the logarithm of the odds that it is bad.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Candidate {
    log_odds: f64,
    slot: usize,
    fit: Fit,
}

impl Eq for Candidate {}

impl PartialOrd for Candidate {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Candidate {
    fn cmp(&self, other: &Self) -> Ordering {
        self.log_odds.total_cmp(&other.log_odds).then(other.slot.cmp(&self.slot))
    }
}

fn candidate(evidence: &Evidence<'_>, slot: usize) -> Option<Candidate> {
    let (fit, gain) = evidence.best_fit(slot)?;
    let log_odds = gain + line_prior(evidence.part(slot)).ln();
    (log_odds >= ODDS_MIN.ln()).then_some(Candidate { log_odds, slot, fit })
}

/// A port stands for its cable, too, as long as only rates are looked at.
fn line_prior(part: Part) -> f64 {
    match part {
        Part::Port(port) => prior(part) + prior(Part::Cable(port)),
        other => prior(other),
    }
}

/// Takes the best again and again. The gain of a part falls when a neighbour is taken; what lies in the heap may be
/// older, so it is worked out again before it is believed.
fn take(evidence: &mut Evidence<'_>) -> Vec<usize> {
    let mut heap: BinaryHeap<_> =
        (0..evidence.count()).filter_map(|slot| candidate(evidence, slot)).collect();
    let mut taken = Vec::new();
    while let Some(old) = heap.pop() {
        if evidence.bad(old.slot).is_some() {
            continue;
        }
        let Some(now) = candidate(evidence, old.slot) else { continue };
        if heap.peek().is_some_and(|best| best.log_odds > now.log_odds + 1e-9) {
            heap.push(now);
            continue;
        }
        evidence.hold(now.slot, Some(now.fit));
        taken.push(now.slot);
    }
    taken
}

/// Each again beside all others: refitted, or let go.
fn reconsider(evidence: &mut Evidence<'_>, taken: Vec<usize>) -> Vec<usize> {
    let mut kept = Vec::new();
    for slot in taken.into_iter().rev() {
        evidence.hold(slot, None);
        if let Some(again) = candidate(evidence, slot) {
            evidence.hold(slot, Some(again.fit));
            kept.push(slot);
        }
    }
    kept
}

/// The fault with all that could be bad in its place.
fn finding(fabric: &Fabric, evidence: &mut Evidence<'_>, slot: usize) -> Option<Finding> {
    let held = evidence.bad(slot)?;
    evidence.hold(slot, None);
    let rivals = evidence.neighbours(slot, true).into_iter();
    let rivals = rivals.filter(|rival| evidence.bad(*rival).is_none());
    let fitted = rivals.filter_map(|rival| Some((rival, evidence.best_fit(rival)?)));
    let weighed: Vec<_> = fitted.flat_map(|(rival, (fit, gain))| weigh(evidence, rival, fit, gain)).collect();
    let suspects = rank(weighed);
    let Some(first) = suspects.first() else {
        evidence.hold(slot, Some(held));
        return None;
    };
    // Counters may have moved the blame, to a node from its only port, say.
    let slot = evidence.slot(first.part);
    evidence.hold(slot, Some(Fit { shift: first.fraction.ln(), share: first.share }));
    let mut witnesses: Vec<_> =
        evidence.through(slot).iter().copied().filter(|flow| evidence.is_slow(*flow)).collect();
    witnesses.sort_by(|a, b| {
        evidence.flows[*a as usize].fraction.total_cmp(&evidence.flows[*b as usize].fraction)
    });
    witnesses.truncate(WITNESSES_MAX);
    let next = next(fabric, evidence, first.part, suspects.get(1).map(|second| second.part));
    Some(Finding { suspects, witnesses, next })
}

/// A suspect with the logarithm of its odds; a line becomes a port and a cable.
fn weigh(evidence: &Evidence<'_>, slot: usize, fit: Fit, gain: f64) -> Vec<(Suspect, f64)> {
    let flows = evidence.through(slot);
    let slow = flows.iter().filter(|flow| evidence.is_slow(**flow)).count();
    let weighed = |part: Part| {
        let log_odds = gain + prior(part).ln() + counted(evidence, slot, part);
        let Fit { shift, share } = fit;
        let flows = flows.len();
        (Suspect { part, probability: 0.0, fraction: shift.exp(), share, flows, slow }, log_odds)
    };
    match evidence.part(slot) {
        Part::Port(port) => vec![weighed(Part::Port(port)), weighed(Part::Cable(port))],
        part => vec![weighed(part)],
    }
}

/// Share of a bad cable's flows in which the line's errors rise, and of a bad port's in which the host's do; a quarter of
/// bad ones show nothing. Assumptions; only their order of magnitude matters.
const COUNTED_IF_BAD: f64 = 0.75;
/// The same for parts that are well.
const COUNTED_IF_WELL: f64 = 0.02;
/// What counters may say at most, in nats: they lie, too.
const COUNTED_MAX: f64 = 8.0;

/// What the counters at a port say for its cable, or for the port itself.
fn counted(evidence: &Evidence<'_>, slot: usize, part: Part) -> f64 {
    let (port, of): (Port, fn(Errors) -> u64) = match part {
        Part::Cable(port) => (port, |errors| errors.line),
        Part::Port(port) => (port, |errors| errors.host),
        Part::Node(_) | Part::Uplink(_) => return 0.0,
    };
    let flows = evidence.through(slot);
    let rising = flows.iter().filter(|flow| of(evidence.flows[**flow as usize].errors_at(port)) > 0).count();
    let share = ratio(rising, flows.len());
    let seen = (COUNTED_IF_BAD / COUNTED_IF_WELL).ln();
    let unseen = ((1.0 - COUNTED_IF_BAD) / (1.0 - COUNTED_IF_WELL)).ln();
    // As if of one flow and no more than a few: errors of one port come together.
    (share.mul_add(seen, (1.0 - share) * unseen) * 3.0).clamp(-COUNTED_MAX, COUNTED_MAX)
}

/// Odds to probabilities; the rest is chance.
fn rank(mut weighed: Vec<(Suspect, f64)>) -> Vec<Suspect> {
    weighed.sort_by(|a, b| b.1.total_cmp(&a.1).then(a.0.part.cmp(&b.0.part)));
    let highest = weighed.first().map_or(0.0, |(_, log_odds)| log_odds.max(0.0));
    let chance = (-highest).exp();
    let whole: f64 = chance + weighed.iter().map(|(_, log_odds)| (log_odds - highest).exp()).sum::<f64>();
    let suspects = weighed
        .into_iter()
        .map(|(suspect, log_odds)| Suspect { probability: (log_odds - highest).exp() / whole, ..suspect });
    let mut suspects: Vec<_> = suspects.take(SUSPECTS_MAX).collect();
    let listed = suspects.iter().take_while(|suspect| suspect.probability >= PROBABILITY_MIN).count();
    suspects.truncate(listed.max(1));
    suspects
}

#[cfg(test)]
mod tests {
    use super::super::schedule::Rounds;
    use super::super::separate::Next;
    use super::super::simulate::{Fault, World, fleet, measure, play};
    use super::*;

    const FULL_CIRCLE: Rounds = Rounds { inside: 7, across: 0 };
    const BOTH: Rounds = Rounds { inside: 4, across: 4 };

    fn findings(fabric: &Fabric, rounds: Rounds, faults: &[Fault], world: World) -> Vec<Finding> {
        let flows = measure(fabric, rounds, faults, world, &mut fastrand::Rng::with_seed(1));
        attribute(fabric, &flows)
    }

    fn first(findings: &[Finding]) -> Vec<Part> {
        findings.iter().map(|finding| finding.suspects[0].part).collect()
    }

    #[test]
    fn a_bad_node_does_not_smear_over_its_partners() {
        let fabric = fleet(64, 8, 32, 16);
        let fault = Fault { part: Part::Node(17), fraction: 0.8 };
        let found = findings(&fabric, BOTH, &[fault], World::default());
        assert_eq!(first(&found), [fault.part]);
        let suspect = found[0].suspects[0];
        assert!((suspect.fraction - 0.8).abs() < 0.03 && suspect.probability > 0.99, "{suspect:?}");
        assert!(!found[0].witnesses.is_empty() && matches!(found[0].next, Next::Mend(_)), "{:?}", found[0]);
    }

    #[test]
    fn a_slow_rail_of_a_node_is_its_port_or_cable_and_a_swap_tells_which() {
        let fabric = fleet(64, 8, 32, 16);
        let port = fabric.port(9, 3);
        let world = World::default();
        let flows = measure(
            &fabric,
            BOTH,
            &[Fault { part: Part::Port(port), fraction: 0.7 }],
            world,
            &mut fastrand::Rng::with_seed(1),
        );
        // Nobody counted anything.
        let silent: Vec<_> = flows
            .iter()
            .map(|flow| Flow { a_errors: Errors::default(), b_errors: Errors::default(), ..*flow })
            .collect();
        let found = attribute(&fabric, &silent);
        assert_eq!(found.len(), 1);
        assert_eq!(found[0].next, Next::SwapCable(port));
        // The port's own counters speak.
        let at = |end: Port| Errors { host: u64::from(end == port), ..Errors::default() };
        let spoken: Vec<_> =
            silent.iter().map(|flow| Flow { a_errors: at(flow.a), b_errors: at(flow.b), ..*flow }).collect();
        assert_eq!(first(&attribute(&fabric, &spoken)), [Part::Port(port)]);
        let at = |end: Port| Errors { line: u64::from(end == port), ..Errors::default() };
        let spoken: Vec<_> =
            silent.iter().map(|flow| Flow { a_errors: at(flow.a), b_errors: at(flow.b), ..*flow }).collect();
        assert_eq!(first(&attribute(&fabric, &spoken)), [Part::Cable(port)]);
    }

    #[test]
    fn one_of_sixteen_uplinks_is_found_by_the_few_flows_that_met_it() {
        let fabric = fleet(256, 4, 32, 16);
        let fault = Fault { part: Part::Uplink(5), fraction: 0.5 };
        let found = findings(&fabric, Rounds { inside: 4, across: 8 }, &[fault], World::default());
        assert_eq!(first(&found), [fault.part]);
        let share = found[0].suspects[0].share;
        assert!((0.03..0.15).contains(&share), "{share}");
    }

    #[test]
    fn nothing_is_blamed_where_nothing_is_bad_or_nothing_ran() {
        let fabric = fleet(64, 8, 32, 16);
        assert_eq!(findings(&fabric, BOTH, &[], World::default()), []);
        assert_eq!(findings(&fabric, BOTH, &[], World { missing: 1.0, ..World::default() }), []);
        // A third of the pairs did not run: that is nobody's fault.
        assert_eq!(findings(&fabric, BOTH, &[], World { missing: 0.3, ..World::default() }), []);
        // Across is slow by design.
        assert_eq!(findings(&fabric, BOTH, &[], World { across: 0.5, ..World::default() }), []);
    }

    #[test]
    fn the_next_pairing_runs_through_the_first_suspect_and_not_the_second() {
        // Two nodes that only ever met each other, in a fabric of eight.
        let fabric = fleet(8, 1, 32, 16);
        let flow = |a: u32, b: u32, fraction: f64| Flow {
            a: fabric.port(a, 0),
            b: fabric.port(b, 0),
            fraction,
            a_errors: Errors::default(),
            b_errors: Errors::default(),
        };
        let others = (2..8).flat_map(|a| (a + 1..8).map(move |b| (a, b)));
        let mut flows: Vec<_> =
            others.zip(0i32..).map(|((a, b), i)| flow(a, b, 1.0 + f64::from(i % 5 - 2) * 0.003)).collect();
        flows.extend((0..6).map(|i| flow(0, 1, 0.5 + f64::from(i) * 0.001)));
        let found = attribute(&fabric, &flows);
        assert_eq!(found.len(), 1, "{found:?}");
        let [one, other] = [found[0].suspects[0].part, found[0].suspects[1].part];
        assert_eq!([one, other], [Part::Node(0), Part::Node(1)]);
        let Next::Measure { a, b, if_slow, if_fast } = found[0].next else { panic!("{found:?}") };
        assert_eq!((if_slow, if_fast), (one, other));
        assert!(fabric.runs_through(a, b, one) && !fabric.runs_through(a, b, other));
    }

    #[test]
    fn of_eight_nodes_the_bad_end_is_named_first_whatever_the_seed() {
        let fabric = fleet(8, 1, 32, 16);
        let node = |part: Part| match part {
            Part::Node(node) => node,
            Part::Port(port) | Part::Cable(port) => fabric.node_of(port),
            Part::Uplink(leaf) => panic!("leaf {leaf} has no flows across"),
        };
        let named = |count: u32, seed: u64| {
            let (faults, found) = play(&fabric, FULL_CIRCLE, count, World::default(), seed);
            let mut bad: Vec<_> = faults.iter().map(|fault| node(fault.part)).collect();
            let mut blamed: Vec<_> = first(&found).into_iter().map(node).collect();
            bad.sort_unstable();
            blamed.sort_unstable();
            bad == blamed
        };
        let right = |count: u32| (0..100).filter(|seed| named(count, *seed)).count();
        assert_eq!(right(0), 100);
        assert_eq!(right(1), 100);
        assert!(right(2) >= 95, "{}", right(2));
    }
}
