//! What the clients were told, while it happens and afterwards.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use super::figures::Quantiles;
use super::line::Broken;

/// One acknowledged report.
#[derive(Clone, Debug)]
pub struct Acknowledged {
    /// Number of the node in its fleet.
    pub index: usize,
    /// Its name.
    pub node_id: String,
    /// The boot.
    pub boot_id: String,
    /// Which report of the boot.
    pub sequence: u64,
    /// SHA-256 of what was sent.
    pub sha256: String,
    /// At which revision the server says that it is stored.
    pub revision: u64,
    /// The server's verdict.
    pub verdict: String,
    /// The server's state for the node.
    pub state: String,
}

/// Counts that go up.
#[derive(Clone, Debug, Default)]
pub struct Counts {
    /// Nodes that were powered on.
    pub powered_on: u64,
    /// Nodes that are known.
    pub enrolled: u64,
    /// Reports that were acknowledged.
    pub acknowledged: u64,
    /// Of them, those that were stored before.
    pub duplicates: u64,
    /// Connections tried.
    pub attempts: u64,
    /// Nodes that were refused for good.
    pub turned_away: u64,
    /// Refusals, by code.
    pub refused: BTreeMap<String, u64>,
    /// Requests without an answer, by how they broke.
    pub broken: BTreeMap<&'static str, u64>,
    /// Longest wait that the server asked for.
    pub retry_after_max_s: u64,
}

/// All that is written down.
#[derive(Debug, Default)]
pub struct Told {
    /// The counts.
    pub counts: Counts,
    /// From the first attempt to the answer, for enrolments.
    pub enrol: Vec<Duration>,
    /// The same for reports.
    pub report: Vec<Duration>,
    /// The acknowledged reports.
    pub acknowledged: Vec<Acknowledged>,
}

/// Shared by all nodes.
#[derive(Debug, Default)]
pub struct Tally(Mutex<Told>);

impl Tally {
    fn told(&self) -> MutexGuard<'_, Told> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A node is on.
    pub fn powered_on(&self) {
        self.told().counts.powered_on += 1;
    }

    /// A connection is tried.
    pub fn attempt(&self) {
        self.told().counts.attempts += 1;
    }

    /// A node is known.
    pub fn enrolled(&self, took: Duration) {
        let mut told = self.told();
        told.counts.enrolled += 1;
        told.enrol.push(took);
    }

    /// A report is stored.
    pub fn acknowledged(&self, ack: Acknowledged, duplicate: bool, took: Duration) {
        let mut told = self.told();
        told.counts.acknowledged += 1;
        told.counts.duplicates += u64::from(duplicate);
        told.report.push(took);
        told.acknowledged.push(ack);
    }

    /// A request was refused.
    pub fn refused(&self, code: &str, retry_after: Option<Duration>) {
        let mut told = self.told();
        *told.counts.refused.entry(code.to_owned()).or_default() += 1;
        let seconds = retry_after.unwrap_or_default().as_secs();
        told.counts.retry_after_max_s = told.counts.retry_after_max_s.max(seconds);
    }

    /// A node was refused for good.
    pub fn turned_away(&self) {
        self.told().counts.turned_away += 1;
    }

    /// A request had no answer.
    pub fn broken(&self, how: Broken) {
        *self.told().counts.broken.entry(how.as_str()).or_default() += 1;
    }

    /// The counts as they stand.
    pub fn counts(&self) -> Counts {
        self.told().counts.clone()
    }

    /// How long reports took since the one with that number; and how many there are now.
    pub fn reports_since(&self, number: usize) -> (Quantiles, usize) {
        let told = self.told();
        (Quantiles::of(told.report.get(number..).unwrap_or_default()), told.report.len())
    }

    /// Everything.
    pub fn into_told(self: std::sync::Arc<Self>) -> Told {
        std::mem::take(&mut *self.told())
    }
}
