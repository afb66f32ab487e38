//! The server's judge: which policy is in force, which baselines are the latest, and when they are made anew.
//!
//! A report is compared with the latest snapshot, which is kept in memory: a few hundred comparisons, no table is read.
//! Whenever a quarter of the fleet has reported since, one task reads all figures, makes a snapshot and keeps it, so that a report costs
//! its share of that and no more. Other servers on the same database, and `inventory rejudge`, change policy and
//! snapshot too: two numbers tell whether to read them again.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use report::{Report, VerdictRecord};

use crate::fleet::{Figures, Snapshot};
use crate::policy::Policy;
use crate::store::{Basis, Store, StoreError};

/// A snapshot is due when one node in so many has reported since the last one, and at least [`REPORTS_MIN`] have.
const NODES_PER_REPORT: usize = 4;
const REPORTS_MIN: usize = 8;

/// What reports are judged with. Clones share it.
#[derive(Clone, Debug)]
pub struct Judging {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    store: Store,
    current: Mutex<Arc<Current>>,
    reports: AtomicUsize,
    in_work: AtomicBool,
}

/// The policy in force and the latest snapshot.
#[derive(Debug)]
struct Current {
    numbers: (u64, u64),
    policy: Policy,
    snapshot: Snapshot,
    nodes: usize,
    basis: Basis,
}

/// A judged report: verdict, what it rests on, and the figures that were compared.
#[derive(Clone, Debug)]
pub struct Judged {
    /// The verdict.
    pub verdict: VerdictRecord,
    /// What it rests on.
    pub basis: Basis,
    /// What the report has to be compared.
    pub figures: Vec<Figures>,
}

impl Judging {
    /// With what the store has. Blocks on disk or network.
    pub fn new(store: Store) -> Result<Self, StoreError> {
        let current = Mutex::new(Arc::new(Current::read(&store)?));
        let shared = Shared { store, current, reports: AtomicUsize::new(0), in_work: AtomicBool::new(false) };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Judges a report. Blocks on disk or network.
    pub fn judge(&self, report: &Report) -> Result<Judged, StoreError> {
        let current = self.current()?;
        let figures = Figures::of(report);
        let verdict = current.policy.judge(report, &figures, &current.snapshot);
        Ok(Judged { verdict, basis: current.basis.clone(), figures })
    }

    /// A report was stored: makes a snapshot in the background, if one is due.
    pub fn stored(&self) {
        let reports = self.shared.reports.fetch_add(1, Ordering::Relaxed) + 1;
        let nodes = self.shared.current.lock().unwrap_or_else(PoisonError::into_inner).nodes;
        if reports < REPORTS_MIN.max(nodes / NODES_PER_REPORT)
            || self.shared.in_work.swap(true, Ordering::AcqRel)
        {
            return;
        }
        self.shared.reports.store(0, Ordering::Relaxed);
        let judging = self.clone();
        tokio::spawn(async move {
            judging.make_snapshot().await;
            judging.shared.in_work.store(false, Ordering::Release);
        });
    }

    /// A failure is no harm: the snapshot before stays in use, and the next is due soon.
    async fn make_snapshot(&self) {
        let store = self.shared.store.clone();
        let made = tokio::task::spawn_blocking(move || {
            let fleet = store.view(|view| view.contributions())?;
            Ok::<_, StoreError>((Snapshot::of(&fleet), fleet.len()))
        });
        match made.await {
            Ok(Ok((snapshot, nodes))) => {
                if let Err(refusal) = self.shared.store.keep_snapshot(snapshot, nodes).await {
                    tracing::warn!(%refusal, "the baselines could not be kept");
                }
            }
            Ok(Err(error)) => tracing::warn!(%error, "the baselines could not be made"),
            Err(error) => tracing::error!(%error, "making the baselines failed inside"),
        }
    }

    fn current(&self) -> Result<Arc<Current>, StoreError> {
        let numbers = self.shared.store.view(|view| view.basis_numbers())?;
        let mut current = self.shared.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.numbers != numbers {
            *current = Arc::new(Current::read(&self.shared.store)?);
        }
        Ok(Arc::clone(&current))
    }
}

impl Current {
    fn read(store: &Store) -> Result<Self, StoreError> {
        store.view(|view| {
            let (policy, snapshot) = (view.policy_in_force()?, view.latest_snapshot()?);
            let (numbers, (snapshot, nodes)) = ((policy.number, snapshot.number), snapshot.value);
            let basis = Basis {
                judge: report::judge::VERSION,
                policy: policy.value.digest(),
                snapshot: (numbers.1 > 0).then(|| snapshot.id()),
            };
            Ok(Self { numbers, policy: policy.value, snapshot, nodes, basis })
        })
    }
}
