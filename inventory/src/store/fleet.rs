//! Figures, snapshots of baselines, policies and judgements: what is written of them, and how they are read.

use report::VerdictRecord;

use super::audit::Entry;
use super::engine::{Answer, DatabaseError, Row, values};
use super::read::View;
use super::tx::{Step, Tx, clean, to_json};
use super::{Location, StoreError, people, schema};
use crate::clock::Clock;
use crate::fleet::{Contribution, Figures, Snapshot};
use crate::lifecycle::{Policy as Times, State};
use crate::limits::{Buckets, Rate};
use crate::policy::Policy;

/// What a verdict rests on beside the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Basis {
    /// [`report::judge::VERSION`] of the judge.
    pub judge: u32,
    /// Digest of the policy.
    pub policy: String,
    /// Id of the snapshot of baselines, where there was one.
    pub snapshot: Option<String>,
}

/// A policy or a snapshot with the number under which it is kept; 0 before the first.
#[derive(Clone, Debug, PartialEq)]
pub struct Numbered<T> {
    /// The number; a later one is higher.
    pub number: u64,
    /// What it is the number of.
    pub value: T,
}

/// The latest report of a node with its last judgement.
#[derive(Clone, Debug, PartialEq)]
pub struct Case {
    /// The node.
    pub node_id: String,
    /// Where it stands.
    pub state: State,
    /// The change by which the report was stored.
    pub report: u64,
    /// Is it of the boot that the node is in?
    pub is_current: bool,
    /// What the judgement rests on.
    pub basis: Basis,
    /// The judgement.
    pub verdict: VerdictRecord,
    /// Its number.
    pub judgement: u64,
    /// Must nobody move the node?
    pub hold: bool,
}

/// A case that is to be decided anew.
#[derive(Clone, Debug, PartialEq)]
pub struct Decision {
    /// The case as it was read.
    pub case: Case,
    /// What the new verdict rests on.
    pub basis: Basis,
    /// The new verdict.
    pub verdict: VerdictRecord,
}

/// Writes what goes with a report that is accepted: its figures and the judgement.
pub(super) fn record(
    tx: &Tx<'_>,
    (node_id, report): (&str, u64),
    figures: &[Figures],
    basis: &Basis,
    verdict: &VerdictRecord,
) -> Answer<()> {
    if figures.is_empty() {
        // A report that has none takes those of the one before with it: they are no longer what the node is.
        tx.run("DELETE FROM figures WHERE node_id = ?1", values![node_id])?;
    } else {
        tx.run(
            "INSERT INTO figures (node_id, report, content) VALUES (?1, ?2, ?3)
             ON CONFLICT (node_id) DO UPDATE SET report = excluded.report, content = excluded.content",
            values![node_id, report, &to_json(&figures)?],
        )?;
    }
    judgement(tx, report, basis, verdict, "report accepted")
}

fn judgement(tx: &Tx<'_>, report: u64, basis: &Basis, verdict: &VerdictRecord, cause: &str) -> Answer<()> {
    tx.run(
        "INSERT INTO judgements (id, report, judge, policy, snapshot, verdict, record, cause, at_ms)
         VALUES ((SELECT coalesce(max(id), 0) + 1 FROM judgements), ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        values![
            report,
            basis.judge,
            &basis.policy,
            &basis.snapshot,
            verdict.verdict.as_str(),
            &to_json(verdict)?,
            cause,
            tx.now
        ],
    )?;
    Ok(())
}

/// Keeps a snapshot, unless the very same is kept already.
pub(super) fn keep_snapshot(tx: &Tx<'_>, snapshot: &Snapshot, nodes: usize) -> Answer<()> {
    tx.run(
        "INSERT INTO snapshots (number, id, nodes, content, at_ms)
         VALUES ((SELECT coalesce(max(number), 0) + 1 FROM snapshots), ?1, ?2, ?3, ?4) ON CONFLICT (id) DO NOTHING",
        values![&snapshot.id(), nodes as u64, &to_json(snapshot)?, tx.now],
    )?;
    Ok(())
}

/// Why decisions were not written.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The database cannot be opened.
    #[error(transparent)]
    Open(#[from] StoreError),
    /// The database failed; what was written before stays, and the same command goes on from there.
    #[error("writing the new verdicts: what was written stays, repeat the command to go on")]
    Write(#[source] DatabaseError),
}

/// Writes decisions, each batch as one transaction.
#[derive(Debug)]
pub struct Applier {
    engine: Box<dyn super::engine::Engine>,
    cause: String,
}

impl Applier {
    /// Opens the database.
    pub fn open(location: &Location, cause: &str) -> Result<Self, ApplyError> {
        Ok(Self { engine: schema::open_for_writing(location, 0)?, cause: clean(cause) })
    }

    /// Puts a policy in force, if it is not.
    pub fn put_in_force(&self, clock: &dyn Clock, policy: &Policy, content: &str) -> Result<(), ApplyError> {
        self.write(clock, |tx| {
            let digest = policy.digest();
            let before = tx
                .one("SELECT digest FROM policies ORDER BY number DESC LIMIT 1", &[], |row| {
                    row.get::<String>(0)
                })?
                .unwrap_or_else(|| Policy::built_in().digest());
            if before == digest {
                return Ok(());
            }
            tx.run(
                "INSERT INTO policies (number, digest, name, content, cause, at_ms)
                 VALUES ((SELECT coalesce(max(number), 0) + 1 FROM policies), ?1, ?2, ?3, ?4, ?5)",
                values![&digest, &clean(&policy.name), content, &self.cause, tx.now],
            )?;
            tx.audit(&Entry {
                action: "policy_in_force",
                actor: "operator".to_owned(),
                detail: Some(format!("{} ({digest}), before {before}: {}", policy.name, self.cause)),
                ..Entry::default()
            })
        })
    }

    /// Writes these decisions; gives how many. One whose node has reported or was judged since is left for the next time.
    pub fn apply(&self, clock: &dyn Clock, decisions: &[Decision]) -> Result<usize, ApplyError> {
        self.write(clock, |tx| {
            let mut written = 0;
            for decision in decisions {
                written += usize::from(self.decide(tx, decision)?);
            }
            Ok(written)
        })
    }

    fn write<T>(&self, clock: &dyn Clock, work: impl FnOnce(&Tx<'_>) -> Answer<T>) -> Result<T, ApplyError> {
        let meter = Buckets::new(Rate { per_s: 0.0, burst: 0.0 }, 0);
        let run = || {
            self.engine.begin_write()?;
            let done = work(&Tx::new(self.engine.as_ref(), clock, &meter))?;
            self.engine.commit()?;
            Ok(done)
        };
        run().map_err(|error| {
            // What failed is undone when the connection goes, if not here.
            let _ = self.engine.rollback();
            ApplyError::Write(error)
        })
    }

    fn decide(&self, tx: &Tx<'_>, decision: &Decision) -> Answer<bool> {
        let case = &decision.case;
        let now = tx.one(&format!("{CASES} WHERE n.id = ?1"), values![&case.node_id], read_case)?.flatten();
        if now.as_ref() != Some(case) {
            return Ok(false);
        }
        let word = decision.verdict.verdict;
        judgement(tx, case.report, &decision.basis, &decision.verdict, &self.cause)?;
        tx.run("UPDATE reports SET verdict = ?2 WHERE revision = ?1", values![case.report, word.as_str()])?;
        let (before, cause) = (case.verdict.verdict, &self.cause);
        tx.audit(&Entry {
            action: "verdict_changed",
            actor: "operator".to_owned(),
            node_id: Some(case.node_id.clone()),
            detail: Some(format!("{before} -> {word}, report {}: {cause}", case.report)),
            ..Entry::default()
        })?;
        if case.is_current {
            tx.run(
                "UPDATE nodes SET verdict = ?2, reason = ?3, reason_code = ?4,
                        proven_at_ms = CASE WHEN ?2 = 'healthy' THEN reported_at_ms ELSE proven_at_ms END
                 WHERE id = ?1",
                values![
                    &case.node_id,
                    word.as_str(),
                    &super::accept::reason(&decision.verdict).map(|text| clean(&text)),
                    &super::accept::reason_code(&decision.verdict),
                ],
            )?;
            self.move_node(tx, decision)?;
            people::refresh(tx, &case.node_id, &Times::default())?;
        }
        Ok(true)
    }

    fn move_node(&self, tx: &Tx<'_>, decision: &Decision) -> Answer<()> {
        let (case, word) = (&decision.case, decision.verdict.verdict);
        let way = decision.way();
        let Some(state) = way.last().copied() else { return Ok(()) };
        let revision = tx.next_revision("rejudged", &case.node_id)?;
        let mut from = case.state;
        for to in way {
            let cause = format!("verdict {word}: {}", self.cause);
            let (node_id, evidence) = (case.node_id.as_str(), Some(case.report));
            tx.step(&Step {
                node_id,
                from: Some(from),
                to,
                cause: &cause,
                actor: "operator",
                evidence,
                revision,
            })?;
            from = to;
        }
        // No way from here ends in a pool.
        tx.run(
            "UPDATE nodes SET state = ?2, pool = NULL, revision = ?3 WHERE id = ?1",
            values![&case.node_id, state.as_str(), revision],
        )?;
        Ok(())
    }
}

impl Decision {
    /// The way that the node takes, as if its report had come with that verdict; empty where it stays: if the verdict is the same,
    /// if the report is of another boot, or if the node is held. Never into the pool: that step is the controller's,
    /// who asks what else blocks it.
    pub fn way(&self) -> Vec<State> {
        let (case, word) = (&self.case, self.verdict.verdict);
        if !case.is_current || case.hold || case.verdict.verdict == word {
            return Vec::new();
        }
        let mut way = case.state.on_report(word);
        way.retain(|state| !state.is_in_pool());
        way
    }
}

/// The latest report of each node with its last judgement.
const CASES: &str = "
    SELECT n.id, n.state, r.revision, b.is_current, j.judge, j.policy, j.snapshot, j.record, j.id, n.hold
    FROM nodes n
    JOIN reports r ON r.revision = (SELECT max(revision) FROM reports WHERE node_id = n.id)
    JOIN boots b ON b.node_id = r.node_id AND b.boot_id = r.boot_id
    JOIN judgements j ON j.id = (SELECT max(id) FROM judgements WHERE report = r.revision)";

/// `None` if the node is in a state that this version does not know: nobody moves it.
fn read_case(row: &Row<'_>) -> Answer<Option<Case>> {
    let unreadable = |_| DatabaseError::Value { column: 7, expected: "verdict with its findings" };
    let Some(state) = State::parse(row.get(1)?) else { return Ok(None) };
    Ok(Some(Case {
        node_id: row.get(0)?,
        state,
        report: row.get(2)?,
        is_current: row.get(3)?,
        basis: Basis { judge: row.get(4)?, policy: row.get(5)?, snapshot: row.get(6)? },
        verdict: serde_json::from_str(row.get(7)?).map_err(unreadable)?,
        judgement: row.get(8)?,
        hold: row.get(9)?,
    }))
}

impl View {
    /// The latest report of each node with its last judgement, by the nodes' names.
    pub fn cases(&self) -> Result<Vec<Case>, StoreError> {
        let cases = self.all(&format!("{CASES} WHERE n.state <> 'retired' ORDER BY n.id"), &[], read_case)?;
        Ok(cases.into_iter().flatten().collect())
    }

    /// What the nodes measured in their latest reports. Nodes whose identity is in doubt, and those that are gone, are no
    /// peers to anybody.
    pub fn contributions(&self) -> Result<Vec<Contribution>, StoreError> {
        let sql = "SELECT f.node_id, f.report, f.content FROM figures f JOIN nodes n ON n.id = f.node_id
                   WHERE n.state NOT IN ('quarantined', 'retired') ORDER BY f.node_id";
        self.all(sql, &[], |row| {
            let unreadable = |_| DatabaseError::Value { column: 2, expected: "figures" };
            let figures = serde_json::from_str(row.get(2)?).map_err(unreadable)?;
            Ok(Contribution { node_id: row.get(0)?, revision: row.get(1)?, figures })
        })
    }

    /// The numbers of the policy in force and of the latest snapshot: has anything changed?
    pub fn basis_numbers(&self) -> Result<(u64, u64), StoreError> {
        let sql = "SELECT (SELECT coalesce(max(number), 0) FROM policies), (SELECT coalesce(max(number), 0) FROM snapshots)";
        Ok(self.one(sql, &[], |row| Ok((row.get(0)?, row.get(1)?)))?.unwrap_or_default())
    }

    /// The policy in force.
    pub fn policy_in_force(&self) -> Result<Numbered<Policy>, StoreError> {
        self.policy("SELECT number, content FROM policies ORDER BY number DESC LIMIT 1", None)
            .map(|found| found.unwrap_or_else(|| Numbered { number: 0, value: Policy::built_in() }))
    }

    /// The policy of that digest, if it was ever in force.
    pub fn policy_of(&self, digest: &str) -> Result<Option<Policy>, StoreError> {
        if digest == Policy::built_in().digest() {
            return Ok(Some(Policy::built_in()));
        }
        let sql = "SELECT number, content FROM policies WHERE digest = ?1 ORDER BY number DESC LIMIT 1";
        Ok(self.policy(sql, Some(digest))?.map(|found| found.value))
    }

    fn policy(&self, sql: &str, digest: Option<&str>) -> Result<Option<Numbered<Policy>>, StoreError> {
        let read = |row: &Row<'_>| {
            let unreadable = |_| DatabaseError::Value { column: 1, expected: "policy" };
            let value = Policy::from_toml(row.get(1)?).map_err(unreadable)?;
            Ok(Numbered { number: row.get(0)?, value })
        };
        match digest {
            Some(digest) => self.one(sql, values![digest], read),
            None => self.one(sql, &[], read),
        }
    }

    /// The latest snapshot, how many nodes it rests on, and its number; an empty one before the first.
    pub fn latest_snapshot(&self) -> Result<Numbered<(Snapshot, usize)>, StoreError> {
        let sql = "SELECT number, content, nodes FROM snapshots ORDER BY number DESC LIMIT 1";
        let found = self.one(sql, &[], |row| {
            Ok(Numbered { number: row.get(0)?, value: (snapshot(row)?, row.get(2)?) })
        })?;
        Ok(found.unwrap_or_else(|| Numbered { number: 0, value: (Snapshot::default(), 0) }))
    }

    /// The snapshot of that id, if there is one.
    pub fn snapshot_of(&self, id: &str) -> Result<Option<Snapshot>, StoreError> {
        self.one("SELECT number, content FROM snapshots WHERE id = ?1", values![id], snapshot)
    }
}

fn snapshot(row: &Row<'_>) -> Answer<Snapshot> {
    let unreadable = |_| DatabaseError::Value { column: 1, expected: "snapshot of baselines" };
    serde_json::from_str(row.get(1)?).map_err(unreadable)
}
