//! How flows spread when nothing is bad, and how likely one is under a fault.
//!
//! Rates are looked at as logarithms of the fraction of what the links allow, for flows inside a leaf and across leaves
//! apart: an oversubscribed fabric is slower across by design. Centre and spread come from the flows themselves. Bad parts
//! only make flows slower, and two of eight nodes already touch nearly half of all pairs: so the centre is that of the
//! highest dense cluster, and the spread is measured above it.

use super::evidence::ratio;
use super::fabric::Fabric;
use super::flow::Flow;

/// Share of flows that are slow for no lasting reason: a daemon, a burst of other traffic.
const HICCUPS: f64 = 0.01;
/// Their density: evenly over the logarithm of 5 % to 105 % of the usual rate.
const HICCUP_DENSITY: f64 = 1.0 / 3.05;
/// Smallest spread that is believed, as a fraction: clocks and counters are no better.
const SPREAD_MIN: f64 = 0.004;
/// A fault is not as even as a healthy fabric: its flows spread by this share of its depth more.
const FAULT_SPREAD: f64 = 0.1;
/// Share of the flows that make a cluster, as a fraction.
const CLUSTER: (usize, usize) = (2, 5);
/// What lies within so many standard deviations belongs to the cluster.
const CLUSTER_REACH: f64 = 3.0;
/// How often the cluster is looked at again with its own centre and spread.
const REFINEMENTS: u32 = 3;
/// From the median absolute deviation to the standard deviation of a normal distribution.
const MAD_TO_SIGMA: f64 = 1.4826;

/// One class of flows when nothing is bad.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Noise {
    /// Median of the logarithm of the fraction.
    pub(super) centre: f64,
    /// Standard deviation around it.
    pub(super) spread: f64,
}

impl Noise {
    /// Of these logarithms; none without any.
    fn of(mut logs: Vec<f64>) -> Option<Self> {
        logs.sort_unstable_by(f64::total_cmp);
        // Of few flows the spread is not well known: then it is taken as larger.
        let unsure = 1.0 + 2.0 / ratio(logs.len(), 1).sqrt();
        let spread = |distances: &mut [f64]| Some((median(distances)? * MAD_TO_SIGMA).max(SPREAD_MIN));
        let centre = highest_cluster(&logs)?;
        let mut above: Vec<_> = logs.iter().map(|log| log - centre).filter(|above| *above >= 0.0).collect();
        let mut noise = Self { centre, spread: spread(&mut above)? };
        // The cluster is found; now all that belongs to it counts, which is surer than its core alone.
        for _ in 0..REFINEMENTS {
            let reach = CLUSTER_REACH * noise.spread * unsure;
            let mut own: Vec<_> =
                logs.iter().copied().filter(|log| (log - noise.centre).abs() <= reach).collect();
            let centre = median(&mut own)?;
            let mut distances: Vec<_> = own.iter().map(|log| (log - centre).abs()).collect();
            noise = Self { centre, spread: spread(&mut distances)? };
        }
        Some(Self { spread: noise.spread * unsure, ..noise })
    }

    /// Density of a flow that lies at `distance` from the centre, where the parts on its way are slow by `shift` (both
    /// logarithms, 0 for as usual).
    pub(super) fn density(&self, distance: f64, shift: f64) -> f64 {
        let spread = self.spread.hypot(shift * FAULT_SPREAD);
        let z = (distance - shift) / spread;
        let normal = (-0.5 * z * z).exp() / (spread * (2.0 * std::f64::consts::PI).sqrt());
        (1.0 - HICCUPS).mul_add(normal, HICCUPS * HICCUP_DENSITY)
    }

    /// Is a flow at that distance slower than chance explains?
    pub(super) fn is_slow(&self, distance: f64) -> bool {
        distance < -4.0 * self.spread
    }
}

/// The noise of flows inside a leaf, and across leaves; a class without flows takes over the other's.
pub(super) fn of_classes(fabric: &Fabric, flows: &[Flow]) -> Option<[Noise; 2]> {
    let of = |across: bool| {
        let logs = flows.iter().filter(|flow| fabric.crosses(flow.a, flow.b) == across);
        Noise::of(logs.map(|flow| flow.fraction.ln()).collect())
    };
    let (inside, across) = (of(false), of(true));
    Some([inside.or(across)?, across.or(inside)?])
}

/// Middle of the narrowest window that holds [`CLUSTER`] of the values, or of one that lies wholly above it and is at most
/// twice as wide.
fn highest_cluster(sorted: &[f64]) -> Option<f64> {
    let size = (sorted.len() * CLUSTER.0).div_ceil(CLUSTER.1).max(1);
    let width = |start: usize, values: &[f64]| values[start + size - 1] - values[start];
    let narrowest = |values: &[f64]| {
        let starts = 0..(values.len() + 1).saturating_sub(size);
        starts.min_by(|a, b| width(*a, values).total_cmp(&width(*b, values)))
    };
    let first = narrowest(sorted)?;
    let bound = (2.0 * width(first, sorted)).max(SPREAD_MIN);
    let above = &sorted[first + size..];
    let mut core = match narrowest(above).filter(|start| width(*start, above) <= bound) {
        Some(start) => above[start..start + size].to_vec(),
        None => sorted[first..first + size].to_vec(),
    };
    median(&mut core)
}

/// The middle; the mean of the two middle ones for an even number.
pub(super) fn median(values: &mut [f64]) -> Option<f64> {
    let (middle, is_odd) = (values.len() / 2, values.len() % 2 == 1);
    if values.is_empty() {
        return None;
    }
    let (below, upper, _) = values.select_nth_unstable_by(middle, f64::total_cmp);
    let upper = *upper;
    if is_odd {
        return Some(upper);
    }
    let lower = below.iter().copied().max_by(f64::total_cmp)?;
    Some(f64::midpoint(lower, upper))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_flows_do_not_move_what_is_usual_as_long_as_two_in_five_are_well() {
        let healthy = (0..200).map(|i| f64::from(i % 21 - 10) * 0.001);
        let bad = (0..290).map(|i| -0.3 - f64::from(i % 7) * 0.1);
        let noise = Noise::of(healthy.chain(bad).collect()).unwrap();
        assert!(noise.centre.abs() < 0.01 && noise.spread < 0.02, "{noise:?}");
    }

    #[test]
    fn a_density_has_area_one_over_the_range_of_hiccups() {
        let noise = Noise { centre: 0.0, spread: 0.01 };
        for shift in [0.0, -0.5] {
            let steps = 200_000;
            let width = 3.05 / f64::from(steps);
            let area: f64 =
                (0..steps).map(|i| noise.density((f64::from(i) + 0.5) * width - 3.0, shift) * width).sum();
            assert!((area - 1.0).abs() < 1e-3, "{area}");
        }
    }

    #[test]
    fn the_median_is_in_the_middle() {
        assert_eq!(median(&mut []), None);
        assert_eq!(median(&mut [3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&mut [4.0, 1.0, 2.0, 3.0]), Some(2.5));
    }
}
