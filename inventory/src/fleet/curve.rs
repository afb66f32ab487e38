//! How much the rule finds: recall and false alarms on simulated fleets, by slowdown and size.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use serde::Serialize;

use super::baseline::Snapshot;
use super::rule::Rule;
use super::simulated::{Fault, Fleet};

/// One point of the curve.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Point {
    /// Nodes of each fleet.
    pub nodes: usize,
    /// What the slow ones lose.
    pub slowdown: f64,
    /// Fleets that were simulated.
    pub fleets: usize,
    /// Slow nodes that were named.
    pub found: Share,
    /// Healthy nodes that were named.
    pub alarms: Share,
}

/// So many of so many.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Share {
    /// So many.
    pub of: usize,
    /// Of so many.
    pub all: usize,
}

impl Share {
    /// As a share.
    pub fn ratio(&self) -> f64 {
        self.of as f64 / self.all.max(1) as f64
    }

    /// Where the true share lies with 95 % confidence (Wilson, 1927).
    pub fn interval(&self) -> (f64, f64) {
        const Z: f64 = 1.96;
        let (n, p) = (self.all.max(1) as f64, self.ratio());
        let centre = (p + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
        let half = Z / (1.0 + Z * Z / n) * (p * (1.0 - p) / n + Z * Z / (4.0 * n * n)).sqrt();
        ((centre - half).max(0.0), (centre + half).min(1.0))
    }

    fn add(self, other: Self) -> Self {
        Self { of: self.of + other.of, all: self.all + other.all }
    }
}

/// One node in so many is slow; at least one of each fleet.
const SLOW_ONE_OF: usize = 20;

/// Measures one point: so many fleets like this one, in which one node in twenty has the fault.
pub fn measure(
    fleet: &Fleet,
    rule: &Rule,
    fault: fn(f64) -> Fault,
    slowdown: f64,
    fleets: usize,
    seed: u64,
) -> Point {
    let next = AtomicUsize::new(0);
    let work = || {
        let mut sums = (Share::default(), Share::default());
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= fleets {
                return sums;
            }
            // Streams of neighbouring seeds have nothing in common.
            let (found, alarms) = one(fleet, rule, fault(slowdown), seed.wrapping_add(number as u64));
            sums = (sums.0.add(found), sums.1.add(alarms));
        }
    };
    let threads = thread::available_parallelism().map_or(1, usize::from);
    let (found, alarms) = thread::scope(|scope| {
        let workers: Vec<_> = (0..threads).map(|_| scope.spawn(work)).collect();
        let sums = workers.into_iter().filter_map(|worker| worker.join().ok());
        sums.fold((Share::default(), Share::default()), |sum, one| (sum.0.add(one.0), sum.1.add(one.1)))
    });
    Point { nodes: fleet.nodes, slowdown, fleets, found, alarms }
}

fn one(fleet: &Fleet, rule: &Rule, fault: Fault, seed: u64) -> (Share, Share) {
    let slow = (fleet.nodes / SLOW_ONE_OF).max(1);
    let nodes = fleet.simulate(seed, &vec![fault; slow]);
    let snapshot = Snapshot::of(&nodes);
    let named: Vec<bool> =
        nodes.iter().map(|node| !rule.compare(&node.figures, &snapshot).slow.is_empty()).collect();
    let share = |named: &[bool]| Share { of: named.iter().filter(|named| **named).count(), all: named.len() };
    (share(&named[..slow]), share(&named[slow..]))
}

/// Points as a table in Markdown.
pub fn table(points: &[Point]) -> String {
    let mut out = String::from(
        "| Nodes | Slower by | Slow nodes found | 95 % interval | False alarms | 95 % interval | Fleets |\n|---|---|---|---|---|---|---|\n",
    );
    for point in points {
        let percent = |share: f64, digits: usize| format!("{:.digits$} %", 100.0 * share);
        let interval = |share: &Share, digits: usize| {
            let (low, high) = share.interval();
            format!("{:.digits$} to {}", 100.0 * low, percent(high, digits))
        };
        let cells = [
            point.nodes.to_string(),
            percent(point.slowdown, 0),
            percent(point.found.ratio(), 1),
            interval(&point.found, 1),
            percent(point.alarms.ratio(), 2),
            interval(&point.alarms, 2),
            point.fleets.to_string(),
        ];
        let _ = writeln!(out, "| {} |", cells.join(" | "));
    }
    out
}

/// Recall over slowdown, a line for each size, as SVG.
pub fn svg(points: &[Point]) -> String {
    const COLOURS: [&str; 6] = ["#4053d3", "#ddb310", "#b51d14", "#00b25d", "#00beff", "#555555"];
    let x = |slowdown: f64| 60.0 + 5_600.0 * slowdown;
    let y = |recall: f64| 320.0 - 280.0 * recall;
    let mut out = String::from(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 740 380\" font-family=\"sans-serif\" font-size=\"13\">\n\
         <rect width=\"740\" height=\"380\" fill=\"#fff\"/>\n",
    );
    let mut line = |text: String| {
        out.push_str(&text);
        out.push('\n');
    };
    for tenth in 0..=5 {
        let recall = f64::from(tenth) / 5.0;
        let at = y(recall);
        line(format!("<path d=\"M60 {at:.0}H620\" stroke=\"#ddd\"/>"));
        line(format!(
            "<text x=\"52\" y=\"{:.0}\" text-anchor=\"end\">{:.0} %</text>",
            at + 4.0,
            100.0 * recall
        ));
    }
    for percent in 1..=10 {
        let at = x(f64::from(percent) / 100.0);
        line(format!("<text x=\"{at:.0}\" y=\"340\" text-anchor=\"middle\">{percent} %</text>"));
    }
    line(
        "<text x=\"340\" y=\"365\" text-anchor=\"middle\">how much slower one node in twenty is</text>"
            .to_owned(),
    );
    line(
        "<text x=\"60\" y=\"24\">share of slow nodes that are named; the dashed line is 95 %</text>"
            .to_owned(),
    );
    line(format!("<path d=\"M60 {0:.0}H620\" stroke=\"#000\" stroke-dasharray=\"4\"/>", y(0.95)));
    let mut sizes: Vec<usize> = points.iter().map(|point| point.nodes).collect();
    sizes.dedup();
    for (place, size) in sizes.iter().enumerate() {
        let colour = COLOURS[place % COLOURS.len()];
        let of_size: Vec<_> = points.iter().filter(|point| point.nodes == *size).collect();
        let places =
            of_size.iter().map(|point| format!("{:.0},{:.0}", x(point.slowdown), y(point.found.ratio())));
        let places = places.collect::<Vec<_>>().join(" ");
        line(format!("<polyline points=\"{places}\" fill=\"none\" stroke=\"{colour}\" stroke-width=\"2\"/>"));
        let at = 60 + 22 * place;
        line(format!("<path d=\"M636 {at}h24\" stroke=\"{colour}\" stroke-width=\"2\"/>"));
        line(format!("<text x=\"666\" y=\"{}\">{size} nodes</text>", at + 4));
    }
    out.push_str("</svg>\n");
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_64_nodes_those_that_are_5_percent_slower_are_found_and_healthy_ones_left_alone() {
        let point = measure(&Fleet::default(), &Rule::default(), Fault::Node, 0.05, 60, 1);
        assert_eq!((point.found.all, point.alarms.all), (180, 60 * 61));
        assert!(point.found.ratio() >= 0.95, "{point:?}");
        assert!(point.alarms.ratio() <= 0.01, "{point:?}");
    }

    #[test]
    fn healthy_fleets_of_any_size_are_left_alone() {
        for (nodes, fleets) in [(8, 40), (16, 20), (300, 1)] {
            let fleet = Fleet { nodes, ..Fleet::default() };
            let point = measure(&fleet, &Rule::default(), Fault::Node, 0.0, fleets, 100);
            let alarms = point.alarms.add(point.found);
            // Two standard deviations of what is allowed.
            let allowed = 0.01 + 2.0 * (0.01 / alarms.all as f64).sqrt();
            assert!(alarms.ratio() <= allowed, "{point:?}");
        }
    }

    #[test]
    fn one_slow_or_uneven_device_of_eight_is_found_although_its_node_is_not_slow() {
        for (fault, share) in [(Fault::Device as fn(f64) -> Fault, 0.08), (Fault::Dips, 0.5)] {
            let point = measure(&Fleet::default(), &Rule::default(), fault, share, 6, 300);
            assert!(point.found.ratio() >= 0.9, "{point:?}");
            assert!(point.alarms.ratio() <= 0.02, "{point:?}");
        }
    }

    #[test]
    fn a_seed_gives_the_same_point_and_the_interval_holds_the_share() {
        let measure =
            || measure(&Fleet { nodes: 16, ..Fleet::default() }, &Rule::default(), Fault::Node, 0.06, 4, 9);
        assert_eq!(measure(), measure());
        assert_eq!(Share { of: 0, all: 100 }.interval().0, 0.0);
        let (low, high) = Share { of: 95, all: 100 }.interval();
        assert!((low - 0.888).abs() < 0.001 && (high - 0.978).abs() < 0.001, "{low} {high}");
    }
}
