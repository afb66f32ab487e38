//! What a simulation found: figures, and what is asked of them; as a table for people and as JSON for programs.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::Duration;

use serde::Serialize;

use super::server::Usage;

/// A distribution, in milliseconds; nearest rank.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Quantiles {
    /// How many.
    pub count: usize,
    /// Half are at most this.
    pub p50_ms: f64,
    /// 99 % are at most this.
    pub p99_ms: f64,
    /// The longest.
    pub max_ms: f64,
}

impl Quantiles {
    /// Of these durations.
    pub fn of(durations: &[Duration]) -> Self {
        let mut sorted = durations.to_vec();
        sorted.sort_unstable();
        let at = |percent: usize| {
            let rank = (sorted.len() * percent).div_ceil(100).max(1) - 1;
            sorted.get(rank).map_or(0.0, |duration| duration.as_secs_f64() * 1e3)
        };
        Self { count: sorted.len(), p50_ms: at(50), p99_ms: at(99), max_ms: at(100) }
    }
}

/// What is asked, and whether it holds.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Demand {
    /// Of what.
    pub what: String,
    /// The figure.
    pub found: String,
    /// What is asked of it.
    pub asked: String,
    /// Is it so?
    pub met: bool,
}

/// All figures of one subject.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Figures {
    /// What was simulated.
    pub subject: String,
    /// The seed.
    pub seed: u64,
    /// Figures in the order in which they are shown, each with its unit in its name.
    pub rows: Vec<(String, String)>,
    /// Refusals, by code.
    pub refused: BTreeMap<String, u64>,
    /// Requests without an answer, by how they broke.
    pub broken: BTreeMap<String, u64>,
    /// What the server used.
    pub server: Usage,
    /// Average number of programs that wanted a processor over the last minute, ours among them.
    pub load_average: f64,
    /// What is asked.
    pub demands: Vec<Demand>,
}

impl Figures {
    /// None yet.
    pub fn of(subject: &str, seed: u64) -> Self {
        Self { subject: subject.to_owned(), seed, ..Self::default() }
    }

    /// Adds a figure.
    pub fn row(&mut self, name: &str, value: impl ToString) {
        self.rows.push((name.to_owned(), value.to_string()));
    }

    /// Adds a distribution.
    pub fn quantiles(&mut self, name: &str, quantiles: Quantiles) {
        let Quantiles { count, p50_ms, p99_ms, max_ms } = quantiles;
        self.row(name, format!("p50 {p50_ms:.1} ms, p99 {p99_ms:.1} ms, max {max_ms:.1} ms ({count})"));
    }

    /// Adds what is asked.
    pub fn demand(&mut self, what: &str, found: impl ToString, asked: impl ToString, met: bool) {
        let (what, found, asked) = (what.to_owned(), found.to_string(), asked.to_string());
        self.demands.push(Demand { what, found, asked, met });
    }

    /// Is all so that is asked?
    pub fn are_as_asked(&self) -> bool {
        self.demands.iter().all(|demand| demand.met)
    }

    /// For people.
    pub fn text(&self) -> String {
        let mut text = String::new();
        let mut line = |name: &str, value: &str| {
            let _ = writeln!(text, "  {name:<28} {value}");
        };
        line("seed", &self.seed.to_string());
        for (name, value) in &self.rows {
            line(name, value);
        }
        for (code, count) in &self.refused {
            line(&format!("refused: {code}"), &count.to_string());
        }
        for (how, count) in &self.broken {
            line(&format!("without answer: {how}"), &count.to_string());
        }
        let Usage { cpu_s, resident_peak_mib, threads, .. } = self.server;
        line("server: processor", &format!("{cpu_s:.1} s"));
        line("server: resident, peak", &format!("{resident_peak_mib} MiB, {threads} threads at the end"));
        line("load average", &format!("{:.1}", self.load_average));
        for Demand { what, found, asked, met } in &self.demands {
            let word = if *met { "ok" } else { "NOT MET" };
            line(what, &format!("{found}; asked {asked}: {word}"));
        }
        format!("{}\n{text}", self.subject)
    }
}

/// The first figure of `/proc/loadavg`; zero where there is none.
pub fn load_average() -> f64 {
    let text = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    text.split_whitespace().next().and_then(|first| first.parse().ok()).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_samples() {
        let durations: Vec<_> = (1..=200).map(Duration::from_millis).collect();
        let found = Quantiles::of(&durations);
        assert_eq!((found.p50_ms, found.p99_ms, found.max_ms), (100.0, 198.0, 200.0));
        assert_eq!(Quantiles::of(&[]), Quantiles::default());
    }

    #[test]
    fn one_demand_that_is_not_met_is_enough_and_is_shown() {
        let mut figures = Figures::of("storm", 1);
        figures.demand("lost", 0, "0", true);
        assert!(figures.are_as_asked());
        figures.demand("p99", "7 s", "at most 5 s", false);
        assert!(!figures.are_as_asked());
        assert!(figures.text().contains("asked at most 5 s: NOT MET"), "{}", figures.text());
    }
}
