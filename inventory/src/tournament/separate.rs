//! The next pairing: the one flow whose result tells the first two suspects apart.

use serde::Serialize;

use super::evidence::Evidence;
use super::fabric::{Fabric, Part, Port};

/// Pairs that are tried before it is said that none separates.
const TRIED_MAX: usize = 4096;

/// What to do next about a fault.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Next {
    /// One part is left: look at it.
    Mend(Part),
    /// Measure this pair: if it is slow, it is the first; else the second.
    Measure {
        /// One end.
        a: Port,
        /// The other.
        b: Port,
        /// The first suspect: on the way of this pair.
        if_slow: Part,
        /// The second: not on it.
        if_fast: Part,
    },
    /// Port and cable lie on the same flows: move the cable to another port, and see which of them the fault follows.
    SwapCable(Port),
    /// Every flow through the one runs through the other: look at both, the first one first.
    LookAtBoth(Part, Part),
}

/// What tells the first suspect from the second.
pub(super) fn next(fabric: &Fabric, evidence: &Evidence<'_>, first: Part, second: Option<Part>) -> Next {
    let Some(second) = second else { return Next::Mend(first) };
    if let (Part::Port(a) | Part::Cable(a), Part::Port(b) | Part::Cable(b)) = (first, second)
        && a == b
    {
        return Next::SwapCable(a);
    }
    let found = pair_with(fabric, evidence, first, second).map(|(a, b)| (a, b, first, second));
    let found = found.or_else(|| {
        // No way through the first alone: one through the second alone says as much.
        pair_with(fabric, evidence, second, first).map(|(a, b)| (a, b, second, first))
    });
    match found {
        Some((a, b, if_slow, if_fast)) => Next::Measure { a, b, if_slow, if_fast },
        None => Next::LookAtBoth(first, second),
    }
}

/// A pair through `one`, not through `other`, and otherwise only through parts that nobody suspects.
fn pair_with(fabric: &Fabric, evidence: &Evidence<'_>, one: Part, other: Part) -> Option<(Port, Port)> {
    let ports = |of: &dyn Fn(Port) -> bool| -> Vec<Port> {
        (0..fabric.ports()).map(Port).filter(|port| of(*port)).take(64).collect()
    };
    let ends = match one {
        Part::Node(node) => (0..fabric.rails).map(|rail| fabric.port(node, rail)).collect(),
        Part::Port(port) | Part::Cable(port) => vec![port],
        Part::Uplink(leaf) => ports(&|port| fabric.leaf(port) == leaf),
    };
    let fits = |a: Port, b: Port| {
        fabric.rail_of(a) == fabric.rail_of(b)
            && fabric.node_of(a) != fabric.node_of(b)
            && fabric.runs_through(a, b, one)
            && !fabric.runs_through(a, b, other)
            && evidence.only_suspects(a, b, one)
    };
    let partners = (0..fabric.ports()).map(Port);
    let pairs = partners.flat_map(|b| ends.iter().map(move |a| (*a, b)));
    pairs
        .filter(|(a, b)| fabric.rail_of(*a) == fabric.rail_of(*b))
        .take(TRIED_MAX)
        .find(|(a, b)| fits(*a, *b))
}
