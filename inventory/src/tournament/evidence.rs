//! How well a set of bad parts explains the flows.
//!
//! Port and cable lie on the same flows, so rates cannot tell them apart: here they are one *line*, and what the ends
//! counted splits them later.

use super::fabric::{Fabric, Part, Port};
use super::flow::Flow;
use super::noise::{Noise, of_classes};

/// A slowdown below this is no fault worth a name, as a fraction.
const EFFECT_MIN: f64 = 0.02;
/// Slow flows that an uplink must explain before it is looked at.
const UPLINK_FLOWS_MIN: usize = 3;
/// Slow flows whose depth is tried as that of an uplink.
const UPLINK_FITS_MAX: usize = 24;
/// What the free depth of a fault costs, in nats: it could have been anything from 2 % to 95 %.
const DEPTH_COST: f64 = 3.0;

/// How a part is bad.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Fit {
    /// Logarithm of the fraction of the usual rate that it leaves.
    pub(super) shift: f64,
    /// Share of its flows that it touches: 1 but for uplinks, over which flows are spread.
    pub(super) share: f64,
}

/// A flow, ready to be looked at.
#[derive(Clone, Copy, Debug)]
struct Observed {
    distance: f64,
    across: bool,
}

/// All flows, what runs through what, and which parts are held to be bad.
#[derive(Debug)]
pub(super) struct Evidence<'a> {
    fabric: &'a Fabric,
    pub(super) flows: &'a [Flow],
    noise: [Noise; 2],
    observed: Vec<Observed>,
    /// Flows by part, one row after the other.
    members: Vec<u32>,
    rows: Vec<u32>,
    bad: Vec<Option<Fit>>,
}

impl<'a> Evidence<'a> {
    /// None if there is no flow.
    pub(super) fn new(fabric: &'a Fabric, flows: &'a [Flow]) -> Option<Self> {
        let noise = of_classes(fabric, flows)?;
        let observed = flows.iter().map(|flow| {
            let across = fabric.crosses(flow.a, flow.b);
            Observed { distance: flow.fraction.ln() - noise[usize::from(across)].centre, across }
        });
        let observed = observed.collect();
        let count = fabric.nodes.len() + fabric.leaf_of.len() + fabric.leaves.len();
        let mut new = Self {
            fabric,
            flows,
            noise,
            observed,
            members: Vec::new(),
            rows: Vec::new(),
            bad: vec![None; count],
        };
        new.index(count);
        Some(new)
    }

    /// Sorts the flows by the parts that they run through.
    fn index(&mut self, count: usize) {
        let mut rows = vec![0u32; count + 1];
        let each = |visit: &mut dyn FnMut(usize, u32)| {
            for (flow, number) in self.flows.iter().zip(0u32..) {
                self.slots(flow).for_each(|slot| visit(slot, number));
            }
        };
        each(&mut |slot, _| rows[slot + 1] += 1);
        for slot in 0..count {
            rows[slot + 1] += rows[slot];
        }
        let mut next = rows.clone();
        let mut members = vec![0u32; rows[count] as usize];
        each(&mut |slot, number| {
            members[next[slot] as usize] = number;
            next[slot] += 1;
        });
        (self.members, self.rows) = (members, rows);
    }

    /// How many parts there are to suspect.
    pub(super) fn count(&self) -> usize {
        self.bad.len()
    }

    /// The part behind a number; a line is called by its port.
    pub(super) fn part(&self, slot: usize) -> Part {
        let number = |slot: usize| u32::try_from(slot).unwrap_or(u32::MAX);
        let (nodes, ports) = (self.fabric.nodes.len(), self.fabric.leaf_of.len());
        match slot {
            slot if slot < nodes => Part::Node(number(slot)),
            slot if slot < nodes + ports => Part::Port(Port(number(slot - nodes))),
            slot => Part::Uplink(number(slot - nodes - ports)),
        }
    }

    /// The number of a part; port and cable have one.
    pub(super) fn slot(&self, part: Part) -> usize {
        let (nodes, ports) = (self.fabric.nodes.len(), self.fabric.leaf_of.len());
        match part {
            Part::Node(node) => node as usize,
            Part::Port(port) | Part::Cable(port) => nodes + port.0 as usize,
            Part::Uplink(leaf) => nodes + ports + leaf as usize,
        }
    }

    /// The numbers of the parts that a flow runs through, each once.
    fn slots(&self, flow: &Flow) -> impl Iterator<Item = usize> + use<'_> {
        let parts = self.fabric.parts(flow.a, flow.b);
        parts.filter(|part| !matches!(part, Part::Cable(_))).map(|part| self.slot(part))
    }

    /// The numbers of the flows that run through a part.
    pub(super) fn through(&self, slot: usize) -> &[u32] {
        &self.members[self.rows[slot] as usize..self.rows[slot + 1] as usize]
    }

    /// The parts that lie on flows through this one, this one among them.
    pub(super) fn neighbours(&self, slot: usize, only_slow: bool) -> Vec<usize> {
        let flows = self.through(slot).iter().filter(|flow| !only_slow || self.is_slow(**flow));
        let mut found: Vec<_> =
            flows.flat_map(|flow| self.slots(&self.flows[*flow as usize])).chain([slot]).collect();
        found.sort_unstable();
        found.dedup();
        found
    }

    /// Is it slower than chance explains?
    pub(super) fn is_slow(&self, flow: u32) -> bool {
        let observed = self.observed[flow as usize];
        self.noise[usize::from(observed.across)].is_slow(observed.distance)
    }

    /// What is held to be wrong with that part.
    pub(super) fn bad(&self, slot: usize) -> Option<Fit> {
        self.bad[slot]
    }

    /// Holds a part to be bad, or no longer.
    pub(super) fn hold(&mut self, slot: usize, fit: Option<Fit>) {
        self.bad[slot] = fit;
    }

    /// Is nothing on the way between two ports held to be bad but that part?
    pub(super) fn only_suspects(&self, a: Port, b: Port, part: Part) -> bool {
        let allowed = self.slot(part);
        let all = self.fabric.parts(a, b).map(|part| self.slot(part));
        all.filter(|slot| *slot != allowed).all(|slot| self.bad[slot].is_none())
    }

    /// How likely a flow is under all that is held to be bad, and `more` beside it.
    fn likelihood(&self, flow: u32, more: Option<(usize, Fit)>) -> f64 {
        let observed = self.observed[flow as usize];
        let noise = self.noise[usize::from(observed.across)];
        let mut shift = 0.0f64;
        let (mut soft, mut left) = ([None; 2], 1.0);
        for slot in self.slots(&self.flows[flow as usize]) {
            let fit = match more {
                Some((other, fit)) if other == slot => Some(fit),
                _ => self.bad[slot],
            };
            match fit {
                Some(fit) if fit.share >= 1.0 => shift = shift.min(fit.shift),
                Some(fit) => {
                    soft[usize::from(soft[0].is_some())] = Some(fit);
                    left -= fit.share;
                }
                None => {}
            }
        }
        let touched = soft.iter().flatten();
        let touched: f64 =
            touched.map(|fit| fit.share * noise.density(observed.distance, shift.min(fit.shift))).sum();
        left.max(0.0).mul_add(noise.density(observed.distance, shift), touched).ln()
    }

    /// The best way in which that part could be bad given all else that is held to be, and how much better the flows are
    /// explained then, in nats; none if it does not help.
    pub(super) fn best_fit(&self, slot: usize) -> Option<(Fit, f64)> {
        let flows = self.through(slot);
        if !flows.iter().any(|flow| self.is_slow(*flow)) {
            return None;
        }
        let before: f64 = flows.iter().map(|flow| self.likelihood(*flow, None)).sum();
        let gain = |fit: Fit| {
            let after: f64 = flows.iter().map(|flow| self.likelihood(*flow, Some((slot, fit)))).sum();
            (fit, after - before - DEPTH_COST)
        };
        self.fits(slot, flows).into_iter().map(gain).max_by(|a, b| a.1.total_cmp(&b.1))
    }

    /// Ways in which a part could be bad, from its own flows.
    fn fits(&self, slot: usize, flows: &[u32]) -> Vec<Fit> {
        let distance = |flow: &u32| self.observed[*flow as usize].distance;
        let worth = |fit: &Fit| fit.shift < (1.0 - EFFECT_MIN).ln();
        let Part::Uplink(leaf) = self.part(slot) else {
            // It bounds all its flows from above; those that meet another bad part are slower still.
            let mut distances: Vec<_> = flows.iter().map(distance).collect();
            distances.sort_unstable_by(f64::total_cmp);
            let quantiles = [distances.len() / 2, distances.len() * 3 / 4];
            let fits = quantiles.map(|index| Fit { shift: distances[index], share: 1.0 });
            return fits.into_iter().filter(worth).collect();
        };
        let slow: Vec<_> = flows.iter().filter(|flow| self.is_slow(**flow)).map(distance).collect();
        if slow.len() < UPLINK_FLOWS_MIN {
            return Vec::new();
        }
        let one = 1.0 / f64::from(self.fabric.leaves[leaf as usize].uplinks.max(1));
        let shares = [one, ratio(slow.len(), flows.len()).max(one)];
        // Hiccups are among the slow ones: each may be the one that shows how slow the uplink is.
        let shifts = slow.into_iter().step_by(1 + flows.len() / 1024).take(UPLINK_FITS_MAX);
        let fits = shifts.flat_map(|shift| shares.map(|share| Fit { shift, share: share.min(0.5) }));
        fits.filter(worth).collect()
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts of flows are far below 2^52")]
pub(super) fn ratio(part: usize, whole: usize) -> f64 {
    part as f64 / whole.max(1) as f64
}
