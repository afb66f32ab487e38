//! Latencies: how long something small takes, as a distribution. A rate has windows; what takes microseconds has many
//! samples, and its tail matters more than its middle.

use serde::{Deserialize, Serialize};

/// How long something takes. Figures are samples (nearest rank), so that anybody can compute them again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Latency {
    /// Of what, for example `launch`.
    pub metric: String,
    /// How it was done and by which clock.
    pub method: String,
    /// Half of the samples are at most this.
    pub median_ns: u64,
    /// 95 % of the samples are at most this.
    pub p95_ns: u64,
    /// 99 % of the samples are at most this.
    pub p99_ns: u64,
    /// The longest.
    pub max_ns: u64,
    /// All of them in order, without the warm-up, in nanoseconds.
    pub samples_ns: Vec<u64>,
}

impl Latency {
    /// The figures of these samples; `None` if there are none.
    pub fn new(metric: &str, method: &str, samples_ns: Vec<u64>) -> Option<Self> {
        let [median_ns, p95_ns, p99_ns, max_ns] = figures(&samples_ns)?;
        let (metric, method) = (metric.to_owned(), method.to_owned());
        Some(Self { metric, method, median_ns, p95_ns, p99_ns, max_ns, samples_ns })
    }

    /// Are its figures those of its samples, and did time pass in each?
    pub fn is_consistent(&self) -> bool {
        figures(&self.samples_ns) == Some([self.median_ns, self.p95_ns, self.p99_ns, self.max_ns])
            && self.samples_ns.iter().all(|sample| *sample > 0)
    }
}

fn figures(samples: &[u64]) -> Option<[u64; 4]> {
    let mut sorted = samples.to_vec();
    sorted.sort_unstable();
    // Nearest rank: the smallest sample that so many percent do not exceed.
    let at = |percent: usize| sorted.get((sorted.len() * percent).div_ceil(100).max(1) - 1).copied();
    Some([at(50)?, at(95)?, at(99)?, at(100)?])
}

/// A duration for people, for example `12.3 us`.
pub fn show(nanoseconds: u64) -> String {
    #[expect(clippy::cast_precision_loss, reason = "three digits are printed")]
    let ns = nanoseconds as f64;
    match nanoseconds {
        0..1_000 => format!("{nanoseconds} ns"),
        1_000..1_000_000 => format!("{:.1} us", ns / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} ms", ns / 1e6),
        _ => format!("{:.1} s", ns / 1e9),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_are_samples_by_nearest_rank() {
        let of = |samples: Vec<u64>| {
            let latency = Latency::new("launch", "", samples).unwrap();
            [latency.median_ns, latency.p95_ns, latency.p99_ns, latency.max_ns]
        };
        assert_eq!(of((1..=200).rev().collect()), [100, 190, 198, 200]);
        assert_eq!(of(vec![7]), [7; 4]);
        assert_eq!(of(vec![1, 9]), [1, 9, 9, 9]);
        assert_eq!(Latency::new("launch", "", vec![]), None);
    }

    #[test]
    fn figures_of_other_samples_and_times_of_nothing_are_noticed() {
        let latency = Latency::new("launch", "", (1..=200).collect()).unwrap();
        assert!(latency.is_consistent());
        assert!(!Latency { p99_ns: 197, ..latency.clone() }.is_consistent());
        assert!(!Latency { samples_ns: vec![], ..latency }.is_consistent());
        assert!(!Latency::new("launch", "", vec![0; 9]).unwrap().is_consistent());
    }

    #[test]
    fn durations_have_the_unit_that_fits() {
        let shown = [0, 999, 12_345, 8_100_000, 2_000_000_000].map(show);
        assert_eq!(shown, ["0 ns", "999 ns", "12.3 us", "8.1 ms", "2.0 s"]);
    }
}
