//! The rounds: who measures with whom, each port at most once a round.
//!
//! Two kinds take turns. *Inside a leaf* the circle method walks through all pairs (n - 1 rounds pair everybody with
//! everybody; fewer rounds are as many perfect matchings). *Across leaves* each round is a random perfect matching of a
//! rail, in which no pair shares a leaf if that can be had. A few rounds are enough: what is bad shows in every one.

use serde::Serialize;

use super::fabric::{Fabric, Port};

/// What a round is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Pairs below one leaf.
    InsideLeaf,
    /// Pairs of different leaves.
    AcrossLeaves,
}

/// Pairs that run at the same time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Round {
    /// What for.
    pub class: Class,
    /// The pairs; the first serves.
    pub pairs: Vec<(Port, Port)>,
}

/// How many rounds of each kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rounds {
    /// Inside leaves; more than a full circle are not made.
    pub inside: u32,
    /// Across leaves.
    pub across: u32,
}

/// Makes the rounds. The same seed makes the same rounds.
pub fn schedule(fabric: &Fabric, rounds: Rounds, seed: u64) -> Vec<Round> {
    let mut random = fastrand::Rng::with_seed(seed);
    let mut below: Vec<Vec<Port>> = vec![Vec::new(); fabric.leaves.len()];
    for port in (0..fabric.ports()).map(Port) {
        below[fabric.leaf(port) as usize].push(port);
    }
    for ports in &mut below {
        random.shuffle(ports);
    }
    let full = below.iter().map(|ports| circle_length(ports.len())).max().unwrap_or(0);
    let inside = (0..rounds.inside.min(full)).map(|turn| Round {
        class: Class::InsideLeaf,
        pairs: below.iter().flat_map(|ports| inside_leaf(fabric, ports, turn)).collect(),
    });
    let inside: Vec<_> = inside.collect();
    let across = if fabric.leaves.len() > 1 { rounds.across } else { 0 };
    let across = (0..across)
        .map(|_| Round { class: Class::AcrossLeaves, pairs: across_leaves(fabric, &below, &mut random) });
    interleave(inside, across.collect())
}

/// Rounds of a full circle.
fn circle_length(ports: usize) -> u32 {
    u32::try_from((ports + ports % 2).saturating_sub(1)).unwrap_or(u32::MAX)
}

/// A node does not measure itself, where a leaf has several of its ports.
fn inside_leaf(fabric: &Fabric, ports: &[Port], turn: u32) -> impl Iterator<Item = (Port, Port)> {
    circle(ports, turn).into_iter().filter(|(a, b)| fabric.node_of(*a) != fabric.node_of(*b))
}

/// The pairs of one turn of the circle method: one stands still, the others move on by one place each turn. With an odd
/// number somebody rests.
fn circle(ports: &[Port], turn: u32) -> Vec<(Port, Port)> {
    let places = ports.len() + ports.len() % 2;
    if places < 2 || turn >= circle_length(ports.len()) {
        return Vec::new();
    }
    let moving = places - 1;
    let at = |place: usize| {
        let index = if place == 0 { 0 } else { 1 + (place - 1 + turn as usize) % moving };
        ports.get(index).copied()
    };
    (0..places / 2).filter_map(|place| Some((at(place)?, at(places - 1 - place)?))).collect()
}

/// A random perfect matching of each rail. The ports stand in a row, leaf after leaf, and each is paired with the one half
/// the row away: as long as no leaf holds more than half of a rail, no pair shares a leaf.
fn across_leaves(fabric: &Fabric, below: &[Vec<Port>], random: &mut fastrand::Rng) -> Vec<(Port, Port)> {
    let mut order: Vec<_> = (0..below.len()).collect();
    random.shuffle(&mut order);
    let mut rails: Vec<Vec<Port>> = vec![Vec::new(); fabric.rails as usize];
    for leaf in order {
        let mut ports = below[leaf].clone();
        random.shuffle(&mut ports);
        for port in ports {
            rails[fabric.rail_of(port) as usize].push(port);
        }
    }
    let mut pairs = Vec::new();
    for row in rails {
        let half = row.len() / 2;
        // With an odd number one rests, another in each round.
        let (left, right) = (&row[..half], &row[row.len() - half..]);
        pairs.extend(left.iter().copied().zip(right.iter().copied()).filter(|(a, b)| fabric.crosses(*a, *b)));
    }
    pairs
}

fn interleave(inside: Vec<Round>, across: Vec<Round>) -> Vec<Round> {
    let (mut inside, mut across) = (inside.into_iter(), across.into_iter());
    let mut all = Vec::new();
    loop {
        let pair = [across.next(), inside.next()];
        if pair.iter().all(Option::is_none) {
            return all;
        }
        all.extend(pair.into_iter().flatten());
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use crate::tournament::simulate::fleet;

    fn assert_each_port_once(round: &Round) {
        let mut seen = HashSet::new();
        for (a, b) in &round.pairs {
            assert!(a != b && seen.insert(*a) && seen.insert(*b), "{a:?} {b:?}");
        }
    }

    #[test]
    fn a_full_circle_pairs_everybody_with_everybody_once() {
        for n in [2u32, 3, 7, 8, 31, 32] {
            let ports: Vec<_> = (0..n).map(Port).collect();
            let mut seen = HashSet::new();
            for turn in 0..circle_length(ports.len()) {
                for (a, b) in circle(&ports, turn) {
                    assert!(seen.insert((a.min(b), a.max(b))), "{n} ports, turn {turn}: {a:?} {b:?} again");
                }
            }
            assert_eq!(seen.len(), (n * (n - 1) / 2) as usize, "{n} ports");
        }
    }

    #[test]
    fn no_port_is_in_two_pairs_of_a_round_and_classes_are_what_they_say() {
        let fabric = fleet(100, 4, 16, 8);
        let rounds = schedule(&fabric, Rounds { inside: 3, across: 4 }, 7);
        assert_eq!(rounds.len(), 7);
        for round in &rounds {
            assert_each_port_once(round);
            let across = round.class == Class::AcrossLeaves;
            assert!(round.pairs.iter().all(|(a, b)| fabric.crosses(*a, *b) == across));
            let paired = round.pairs.len() * 2;
            assert!(paired + 2 * fabric.leaves.len() >= fabric.ports() as usize, "{paired} paired");
        }
        assert_eq!(rounds, schedule(&fabric, Rounds { inside: 3, across: 4 }, 7));
        assert_ne!(rounds, schedule(&fabric, Rounds { inside: 3, across: 4 }, 8));
    }

    #[test]
    fn one_leaf_alone_has_no_rounds_across() {
        let fabric = fleet(8, 1, 32, 8);
        let rounds = schedule(&fabric, Rounds { inside: 99, across: 4 }, 1);
        assert_eq!(rounds.len(), 7);
    }
}
