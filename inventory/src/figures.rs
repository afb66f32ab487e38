//! Figures of the service and the fleet, as Prometheus reads them. Labels are states, codes and causes of ours, so that
//! their number is bounded and nobody is named.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::lifecycle::State;
use crate::refusal::Code;
use crate::store::Store;

/// Upper bounds of the histogram of acknowledgements, in microseconds.
const BUCKETS_US: [u64; 14] = [
    250, 500, 1_000, 2_500, 5_000, 10_000, 25_000, 50_000, 100_000, 250_000, 500_000, 1_000_000, 2_500_000,
    5_000_000,
];

/// What the service counts while it runs.
#[derive(Debug, Default)]
pub struct Counters {
    acknowledged: [AtomicU64; BUCKETS_US.len() + 1],
    acknowledged_us: AtomicU64,
    waiting: AtomicU64,
    refusals: Mutex<BTreeMap<&'static str, u64>>,
    transitions: Mutex<Transitions>,
}

/// Transitions up to one of them.
#[derive(Debug, Default)]
pub struct Transitions {
    /// Is it known where to begin?
    pub begun: bool,
    /// The last that was counted.
    pub last: u64,
    /// How many, by where from, where to, and the code of the cause.
    pub counts: BTreeMap<(String, String, String), u64>,
}

/// A write that waits for its commit; it is timed until it is dropped.
#[derive(Debug)]
pub struct Waiting<'a> {
    counters: &'a Counters,
    since: tokio::time::Instant,
}

impl Counters {
    /// A write begins to wait.
    pub fn wait(&self) -> Waiting<'_> {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        Waiting { counters: self, since: tokio::time::Instant::now() }
    }

    /// A request was refused.
    pub fn refused(&self, code: Code) {
        let mut refusals = self.refusals.lock().unwrap_or_else(PoisonError::into_inner);
        *refusals.entry(code.as_str()).or_default() += 1;
    }

    /// What is known of transitions.
    pub fn transitions(&self) -> std::sync::MutexGuard<'_, Transitions> {
        self.transitions.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn acknowledge(&self, after: Duration) {
        let us = u64::try_from(after.as_micros()).unwrap_or(u64::MAX);
        let bucket = BUCKETS_US.iter().position(|bound| us <= *bound).unwrap_or(BUCKETS_US.len());
        self.acknowledged[bucket].fetch_add(1, Ordering::Relaxed);
        self.acknowledged_us.fetch_add(us, Ordering::Relaxed);
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.counters.waiting.fetch_sub(1, Ordering::Relaxed);
        self.counters.acknowledge(self.since.elapsed());
    }
}

/// What the store says of the fleet at one moment.
#[derive(Clone, Debug, Default)]
pub struct Fleet {
    /// The last change.
    pub revision: u64,
    /// The last line of the audit.
    pub audit_head: u64,
    /// For each state: how many nodes, the sum of the seconds that they are in it, and the longest.
    pub states: Vec<(State, u64, f64, f64)>,
}

/// The code of a cause: what stands before the colon, in words of ours. What people wrote is only `operator`.
pub fn cause_code(cause: &str) -> String {
    let code = cause.split_once(": ").map_or(cause, |(code, _)| code);
    let is_word = |c: char| c.is_ascii_lowercase() || c == '_' || c == ' ';
    if code.len() <= 40 && code.chars().all(is_word) { code.replace(' ', "_") } else { "operator".to_owned() }
}

/// The page.
pub fn text(fleet: &Fleet, store: &Store, lanes: &[(&'static str, usize)]) -> String {
    let (counters, mut page) = (store.counters(), Page::default());
    page.head("assay_inventory_nodes", "gauge", "Nodes by state.");
    for (state, count, ..) in &fleet.states {
        page.row(&format!("assay_inventory_nodes{{state=\"{state}\"}}"), *count as f64);
    }
    page.head("assay_inventory_state_seconds_sum", "gauge", "Time that nodes are in their state, summed.");
    for (state, _, sum, _) in &fleet.states {
        page.row(&format!("assay_inventory_state_seconds_sum{{state=\"{state}\"}}"), *sum);
    }
    page.head("assay_inventory_state_seconds_max", "gauge", "Longest time that a node is in its state.");
    for (state, .., max) in &fleet.states {
        page.row(&format!("assay_inventory_state_seconds_max{{state=\"{state}\"}}"), *max);
    }
    transitions(&mut page, counters);
    page.head("assay_inventory_refusals_total", "counter", "Refused requests and connections by code.");
    for (code, count) in counters.refusals.lock().unwrap_or_else(PoisonError::into_inner).iter() {
        page.row(&format!("assay_inventory_refusals_total{{code=\"{code}\"}}"), *count as f64);
    }
    acknowledgements(&mut page, counters);
    page.gauge(
        "assay_inventory_writes_waiting",
        "Writes that wait for their commit.",
        counters.waiting.load(Ordering::Relaxed),
    );
    page.gauge("assay_inventory_revision", "The last change of the record.", fleet.revision);
    page.gauge("assay_inventory_audit_head", "The last line of the audit.", fleet.audit_head);
    page.gauge(
        "assay_inventory_heartbeats_tracked",
        "Nodes that sent a heartbeat to this server.",
        store.heartbeats().len() as u64,
    );
    page.head("assay_inventory_requests_in_work", "gauge", "Places that are taken, by kind of client.");
    for (lane, taken) in lanes {
        page.row(&format!("assay_inventory_requests_in_work{{lane=\"{lane}\"}}"), *taken as f64);
    }
    page.0
}

fn transitions(page: &mut Page, counters: &Counters) {
    page.head(
        "assay_inventory_transitions_total",
        "counter",
        "Transitions of all replicas since this server started, by cause; take the maximum over replicas.",
    );
    for ((from, to, cause), count) in &counters.transitions().counts {
        let labels = format!("from=\"{from}\",to=\"{to}\",cause=\"{cause}\"");
        page.row(&format!("assay_inventory_transitions_total{{{labels}}}"), *count as f64);
    }
}

fn acknowledgements(page: &mut Page, counters: &Counters) {
    const NAME: &str = "assay_inventory_acknowledge_seconds";
    page.head(NAME, "histogram", "From handing a write to the store until it is durable.");
    let mut total = 0;
    for (bucket, bound) in counters.acknowledged.iter().zip(BUCKETS_US.iter().map(Some).chain([None])) {
        total += bucket.load(Ordering::Relaxed);
        let bound = bound.map_or_else(|| "+Inf".to_owned(), |us| (*us as f64 / 1e6).to_string());
        page.row(&format!("{NAME}_bucket{{le=\"{bound}\"}}"), total as f64);
    }
    page.row(&format!("{NAME}_sum"), counters.acknowledged_us.load(Ordering::Relaxed) as f64 / 1e6);
    page.row(&format!("{NAME}_count"), total as f64);
}

/// Text in Prometheus' format.
#[derive(Default)]
struct Page(String);

impl Page {
    fn head(&mut self, name: &str, kind: &str, help: &str) {
        let _ = writeln!(self.0, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    fn row(&mut self, series: &str, value: f64) {
        let _ = writeln!(self.0, "{series} {value}");
    }

    fn gauge(&mut self, name: &str, help: &str, value: u64) {
        self.head(name, "gauge", help);
        self.row(name, value as f64);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn causes_of_ours_are_codes_and_what_people_write_is_not() {
        assert_eq!(cause_code("deadline_registering: registering since ..."), "deadline_registering");
        assert_eq!(cause_code("verdict healthy"), "verdict_healthy");
        assert_eq!(cause_code("report accepted"), "report_accepted");
        assert_eq!(cause_code("Fan of gpu-17 is loud"), "operator");
        assert_eq!(cause_code(&"a".repeat(41)), "operator");
    }

    #[test]
    fn the_histogram_counts_each_write_once_and_up() {
        let counters = Counters::default();
        for us in [100, 300, 6_000_000] {
            counters.acknowledge(Duration::from_micros(us));
        }
        let mut page = Page::default();
        acknowledgements(&mut page, &counters);
        for row in [
            "_bucket{le=\"0.00025\"} 1\n",
            "_bucket{le=\"0.0005\"} 2\n",
            "_bucket{le=\"5\"} 2\n",
            "_bucket{le=\"+Inf\"} 3\n",
            "_count 3\n",
            "_sum 6.0004\n",
        ] {
            assert!(page.0.contains(row), "{row} in\n{}", page.0);
        }
    }
}
