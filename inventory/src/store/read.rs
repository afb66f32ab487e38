//! The record as people and programs read it, straight from the database; a server may run meanwhile.

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use jiff::Timestamp;
use report::VerdictRecord;
use report::wire::ReportAck;
use serde::Serialize;

use super::chain::{self, Broken, Head};
use super::engine::{Answer, DatabaseError, Engine, Location, Row, Value, values};
use super::{StoreError, schema};
use crate::identity::Evidence;

/// One node in a list.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NodeSummary {
    /// Its name.
    pub id: String,
    /// Where it stands.
    pub state: String,
    /// Since when.
    pub since: Timestamp,
    /// The pool it takes work from.
    pub pool: Option<String>,
    /// Who has work on it.
    pub owner: Option<String>,
    /// What keeps it from better.
    pub reason: Option<String>,
    /// The same as one word.
    pub reason_code: Option<String>,
    /// What it calls itself; a hint.
    pub hostname: Option<String>,
    /// Where it last enrolled from.
    pub address: Option<String>,
    /// The model of its devices.
    pub model: Option<String>,
    /// How many of them there are.
    pub devices: Option<u32>,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// Verdict on the last report of its current boot.
    pub verdict: Option<String>,
    /// When its last report came in.
    pub reported_at: Option<Timestamp>,
    /// What the operator wants of it.
    pub wish: String,
    /// Is it held where it is?
    pub hold: bool,
    /// When it first enrolled.
    pub created_at: Timestamp,
    /// Its last change.
    pub revision: u64,
}

/// All about one node.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct NodeDetail {
    /// The record.
    #[serde(flatten)]
    pub summary: NodeSummary,
    /// Its Ed25519 key, in hexadecimal.
    pub public_key: String,
    /// What it claims to be.
    pub evidence: Vec<Evidence>,
    /// Claims that belong to other nodes, or that others make to what belongs to this one.
    pub conflicts: Vec<Conflict>,
    /// Its boots, the latest first.
    pub boots: Vec<Boot>,
    /// Its reports, the latest first.
    pub reports: Vec<ReportRow>,
    /// How it came to where it stands, the latest first.
    pub transitions: Vec<Transition>,
}

/// Two nodes claim one piece of hardware.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Conflict {
    /// Who came later.
    pub claimant_id: String,
    /// Who owns it.
    pub incumbent_id: String,
    /// What they both claim.
    #[serde(flatten)]
    pub evidence: Evidence,
    /// When it was noticed.
    pub at: Timestamp,
    /// By which change.
    pub revision: u64,
}

/// One boot of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Boot {
    /// Linux's id of it.
    pub boot_id: String,
    /// The plan that was asked for.
    pub plan: String,
    /// Is it the one that may report?
    pub is_current: bool,
    /// When it was enrolled.
    pub opened_at: Timestamp,
    /// By which change.
    pub revision: u64,
}

/// One report of a node, without its bytes.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct ReportRow {
    /// The change that stored it.
    pub revision: u64,
    /// Of which boot.
    pub boot_id: String,
    /// Which of this boot.
    pub sequence: u64,
    /// Id of the burn-in.
    pub run_id: String,
    /// The plan.
    pub plan: String,
    /// The inventory's verdict, with what led to it.
    pub verdict: VerdictRecord,
    /// SHA-256 of the bytes.
    pub sha256: String,
    /// When it came in.
    pub received_at: Timestamp,
}

/// One report of a node, as it is told apart from others.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredReport {
    /// The change that stored it.
    pub revision: u64,
    /// Of which boot.
    pub boot_id: String,
    /// Which of this boot.
    pub sequence: u64,
    /// SHA-256 of the bytes.
    pub sha256: String,
}

/// One step of a node's life.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Transition {
    /// Where it stood; absent for a new node.
    pub from: Option<String>,
    /// Where it stands since.
    pub to: String,
    /// Why.
    pub cause: String,
    /// Who moved it.
    pub actor: String,
    /// Revision of the report that led to it.
    pub evidence: Option<u64>,
    /// When.
    pub at: Timestamp,
    /// The change that it is part of.
    pub revision: u64,
}

/// One line of the audit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AuditRow {
    /// Its number; rises with time even if the clock does not.
    pub id: u64,
    /// When.
    pub at: Timestamp,
    /// What.
    pub action: String,
    /// Code of the refusal or conflict.
    pub code: Option<String>,
    /// Who.
    pub actor: String,
    /// From where.
    pub source: Option<String>,
    /// About which node.
    pub node_id: Option<String>,
    /// About which token.
    pub token_id: Option<String>,
    /// The figures.
    pub detail: Option<String>,
    /// How many like it were counted and not written before it.
    pub dropped: u64,
}

/// What [`summary`] reads, of nodes called `n`.
pub(super) const SUMMARY_COLUMNS: &str = "
    n.id, n.state, n.since_ms, n.pool, n.owner, n.reason, n.reason_code, n.hostname, n.address, n.model, n.devices,
    n.labels, n.verdict, n.reported_at_ms, n.wish, n.hold, n.created_at_ms, n.revision";

/// What [`audit_row`] reads.
pub(super) const AUDIT_COLUMNS: &str =
    "id, at_ms, action, code, actor, source, node_id, token_id, detail, dropped";

/// Rows of each list in the page of one node.
const LIST_MAX: u32 = 50;

/// A view of the database at one moment.
#[derive(Debug)]
pub struct View {
    engine: Box<dyn Engine>,
}

impl View {
    /// Opens the database at that place; it must be there.
    pub fn open(location: impl Into<Location>) -> Result<Self, StoreError> {
        Self::of(schema::open_for_reading(&location.into())?)
    }

    /// Everything that this connection shows is of one moment: now.
    pub(super) fn of(engine: Box<dyn Engine>) -> Result<Self, StoreError> {
        engine.begin_read().map_err(StoreError::Read)?;
        Ok(Self { engine })
    }

    /// The connection, for the next view.
    pub(super) fn into_engine(self) -> Answer<Box<dyn Engine>> {
        self.engine.rollback()?;
        Ok(self.engine)
    }

    /// All about one node, if there is one of that name; of boots, reports and transitions the latest.
    pub fn node(&self, id: &str) -> Result<Option<NodeDetail>, StoreError> {
        let sql = format!("SELECT {SUMMARY_COLUMNS}, n.public_key FROM nodes n WHERE n.id = ?1");
        let found = self.one(&sql, values![id], |row| Ok((summary(row)?, HEXLOWER.encode(row.get(18)?))))?;
        let Some((summary, public_key)) = found else { return Ok(None) };
        Ok(Some(NodeDetail {
            summary,
            public_key,
            evidence: self.all(
                "SELECT kind, value FROM evidence WHERE node_id = ?1 ORDER BY kind, value",
                values![id],
                evidence,
            )?,
            conflicts: self.all(
                "SELECT kind, value, claimant_id, incumbent_id, at_ms, revision FROM conflicts
                 WHERE claimant_id = ?1 OR incumbent_id = ?1 ORDER BY revision DESC, kind, value",
                values![id],
                conflict,
            )?,
            boots: self.all(
                "SELECT boot_id, plan, is_current, opened_at_ms, revision FROM boots
                 WHERE node_id = ?1 ORDER BY revision DESC LIMIT ?2",
                values![id, LIST_MAX],
                boot,
            )?,
            reports: self.all(
                "SELECT revision, boot_id, sequence, run_id, plan, ack, sha256,
                        received_at_ms FROM reports WHERE node_id = ?1 ORDER BY revision DESC LIMIT ?2",
                values![id, LIST_MAX],
                report_row,
            )?,
            transitions: self.all(
                "SELECT from_state, to_state, cause, actor, evidence, at_ms, revision FROM transitions
                 WHERE node_id = ?1 ORDER BY id DESC LIMIT ?2",
                values![id, LIST_MAX],
                transition,
            )?,
        }))
    }

    /// All reports of a node, the first of them first; none if there is no such node.
    pub fn stored_reports(&self, node_id: &str) -> Result<Vec<StoredReport>, StoreError> {
        self.all(
            "SELECT revision, boot_id, sequence, sha256 FROM reports WHERE node_id = ?1 ORDER BY revision",
            values![node_id],
            |row| {
                Ok(StoredReport {
                    revision: row.get(0)?,
                    boot_id: row.get(1)?,
                    sequence: row.get(2)?,
                    sha256: row.get(3)?,
                })
            },
        )
    }

    /// The bytes of the report that was stored by that change.
    pub fn report_bytes(&self, revision: u64) -> Result<Option<Vec<u8>>, StoreError> {
        self.one("SELECT bytes FROM reports WHERE revision = ?1", values![revision], |row| row.get(0))
    }

    /// The last lines of the audit, the oldest of them first.
    pub fn audit(&self, last: u32) -> Result<Vec<AuditRow>, StoreError> {
        let mut rows = self.all(
            &format!("SELECT {AUDIT_COLUMNS} FROM audit ORDER BY id DESC LIMIT ?1"),
            values![last],
            audit_row,
        )?;
        rows.reverse();
        Ok(rows)
    }

    pub(super) fn one<T>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        read: impl Fn(&Row<'_>) -> Answer<T>,
    ) -> Result<Option<T>, StoreError> {
        self.engine.one(sql, values, read).map_err(StoreError::Read)
    }

    /// The last line of the audit, and the hash that stands for all lines up to it.
    pub fn audit_head(&self) -> Result<Head, StoreError> {
        Head::stored(self.engine.as_ref()).map_err(StoreError::Read)
    }

    /// Follows the audit's chain of hashes, past the noted head if there is one; gives the head, or where it breaks.
    pub fn follow_audit(&self, noted: Option<Head>) -> Result<Result<Head, Broken>, StoreError> {
        chain::walk(self.engine.as_ref(), noted).map_err(StoreError::Read)
    }

    pub(super) fn all<T>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        read: impl Fn(&Row<'_>) -> Answer<T>,
    ) -> Result<Vec<T>, StoreError> {
        self.engine.all(sql, values, read).map_err(StoreError::Read)
    }
}

pub(super) fn summary(row: &Row<'_>) -> Answer<NodeSummary> {
    // Empty until the first label.
    let labels: &str = row.get(11)?;
    let labels = if labels.is_empty() { Ok(BTreeMap::new()) } else { serde_json::from_str(labels) };
    Ok(NodeSummary {
        id: row.get(0)?,
        state: row.get(1)?,
        since: row.get(2)?,
        pool: row.get(3)?,
        owner: row.get(4)?,
        reason: row.get(5)?,
        reason_code: row.get(6)?,
        hostname: row.get(7)?,
        address: row.get(8)?,
        model: row.get(9)?,
        devices: row.get(10)?,
        labels: labels.map_err(|_| DatabaseError::Value { column: 11, expected: "labels" })?,
        verdict: row.get(12)?,
        reported_at: row.get(13)?,
        wish: row.get(14)?,
        hold: row.get(15)?,
        created_at: row.get(16)?,
        revision: row.get(17)?,
    })
}

fn evidence(row: &Row<'_>) -> Answer<Evidence> {
    Ok(Evidence { kind: row.get(0)?, value: row.get(1)? })
}

fn conflict(row: &Row<'_>) -> Answer<Conflict> {
    Ok(Conflict {
        evidence: evidence(row)?,
        claimant_id: row.get(2)?,
        incumbent_id: row.get(3)?,
        at: row.get(4)?,
        revision: row.get(5)?,
    })
}

fn boot(row: &Row<'_>) -> Answer<Boot> {
    Ok(Boot {
        boot_id: row.get(0)?,
        plan: row.get(1)?,
        is_current: row.get(2)?,
        opened_at: row.get(3)?,
        revision: row.get(4)?,
    })
}

pub(super) fn report_row(row: &Row<'_>) -> Answer<ReportRow> {
    let unreadable = |_| DatabaseError::Value { column: 5, expected: "answer to a report" };
    let ack: ReportAck = serde_json::from_str(row.get(5)?).map_err(unreadable)?;
    Ok(ReportRow {
        revision: row.get(0)?,
        boot_id: row.get(1)?,
        sequence: row.get(2)?,
        run_id: row.get(3)?,
        plan: row.get(4)?,
        verdict: ack.verdict,
        sha256: row.get(6)?,
        received_at: row.get(7)?,
    })
}

pub(super) fn transition(row: &Row<'_>) -> Answer<Transition> {
    Ok(Transition {
        from: row.get(0)?,
        to: row.get(1)?,
        cause: row.get(2)?,
        actor: row.get(3)?,
        evidence: row.get(4)?,
        at: row.get(5)?,
        revision: row.get(6)?,
    })
}

pub(super) fn audit_row(row: &Row<'_>) -> Answer<AuditRow> {
    Ok(AuditRow {
        id: row.get(0)?,
        at: row.get(1)?,
        action: row.get(2)?,
        code: row.get(3)?,
        actor: row.get(4)?,
        source: row.get(5)?,
        node_id: row.get(6)?,
        token_id: row.get(7)?,
        detail: row.get(8)?,
        dropped: row.get(9)?,
    })
}
