//! A report, as one transaction: is it new, is its boot current; then store its bytes with our own verdict and move the
//! node along its life cycle.

use report::wire::ReportAck;
use report::{Plan, Verdict, VerdictRecord};

use super::audit::Entry;
use super::engine::{Answer, values};
use super::people::{self, Facets};
use super::tx::{Fault, Step, Tx, clean, to_json};
use crate::lifecycle::readiness::blockers;
use crate::lifecycle::{Policy, Standing, State};
use crate::refusal::{Code, Refusal};

/// A report whose signature was verified with the nonce, and that was judged here.
#[derive(Clone, Debug)]
pub struct Submission {
    /// Whose.
    pub node_id: String,
    /// Of which boot.
    pub boot_id: String,
    /// Which of this boot.
    pub sequence: u64,
    /// The nonce that the signature covers.
    pub nonce: String,
    /// The signature.
    pub signature: Vec<u8>,
    /// The very bytes.
    pub bytes: Vec<u8>,
    /// Their SHA-256.
    pub sha256: String,
    /// Id of the burn-in.
    pub run_id: String,
    /// Digest of the plan in the report, recomputed from it.
    pub plan_digest: String,
    /// Our verdict.
    pub verdict: VerdictRecord,
    /// What of it the node is listed by.
    pub facets: Facets,
    /// Where it came from.
    pub source: String,
}

/// The boot of the report, with its node.
struct Session {
    state: State,
    plan: String,
}

pub(super) fn accept(tx: &Tx<'_>, report: &Submission, policy: &Policy) -> Result<ReportAck, Fault> {
    if let Some(ack) = stored_before(tx, report)? {
        return Ok(ack);
    }
    let session = current_session(tx, report)?;
    check_new(tx, report)?;
    let plan = Plan::built_in(&session.plan)
        .ok()
        .filter(|plan| plan.digest() == report.plan_digest)
        .ok_or_else(|| {
            refuse(report, Code::PlanNotAccepted, format!("the enrolment asked for plan `{}`", session.plan))
        })?;
    let revision = tx.next_revision("report", &report.node_id)?;
    let way = way(tx, report, &session, policy)?;
    let state = way.last().copied().unwrap_or(session.state);
    let pool = state.is_in_pool().then(|| if plan.is_software() { "software" } else { "gpu" });
    let ack = ReportAck {
        revision,
        verdict: report.verdict.clone(),
        state: state.as_str().to_owned(),
        pool: pool.map(ToOwned::to_owned),
        duplicate: false,
    };
    insert(tx, report, &plan.name, &ack)?;
    move_node(tx, report, session.state, &way, revision)?;
    tx.run(
        "UPDATE nodes SET state = ?2, pool = ?3, revision = ?4, reason = CASE WHEN ?5 THEN ?6 ELSE reason END,
                          reason_code = CASE WHEN ?5 THEN ?7 ELSE reason_code END, verdict = ?8,
                          reported_at_ms = ?9, proven_at_ms = CASE WHEN ?8 = 'healthy' THEN ?9 ELSE proven_at_ms END
         WHERE id = ?1",
        values![
            &report.node_id,
            state.as_str(),
            pool,
            revision,
            !way.is_empty() || state == State::Validating,
            &reason(&report.verdict).map(|text| clean(&text)),
            &reason_code(&report.verdict),
            report.verdict.verdict.as_str(),
            tx.now,
        ],
    )?;
    people::derive(tx, &report.node_id, &report.facets)?;
    people::refresh(tx, &report.node_id, policy)?;
    Ok(ack)
}

/// The way that the report leads the node. The last step, into the pool, is taken only if nothing else blocks it.
fn way(tx: &Tx<'_>, report: &Submission, session: &Session, policy: &Policy) -> Result<Vec<State>, Fault> {
    let verdict = report.verdict.verdict;
    let mut way = session.state.on_report(verdict);
    if way.last() == Some(&State::Available)
        && let Some((before, _)) = people::load(tx, &report.node_id)?
    {
        let node =
            Standing { state: State::Validating, verdict: Some(verdict), proven_at: Some(tx.now), ..before };
        if !blockers(&node, policy, tx.now).is_empty() {
            way.pop();
        }
    }
    Ok(way)
}

fn refuse(report: &Submission, code: Code, detail: String) -> Refusal {
    code.because(detail).of_node(&report.node_id)
}

/// The answer to the very same report, if it was stored before; other bytes in its place are refused.
fn stored_before(tx: &Tx<'_>, report: &Submission) -> Result<Option<ReportAck>, Fault> {
    let found: Option<(String, String)> = tx.one(
        "SELECT sha256, ack FROM reports WHERE node_id = ?1 AND boot_id = ?2 AND sequence = ?3",
        values![&report.node_id, &report.boot_id, report.sequence],
        |row| Ok((row.get(0)?, row.get(1)?)),
    )?;
    match found {
        None => Ok(None),
        Some((sha256, _)) if sha256 != report.sha256 => Err(refuse(
            report,
            Code::SequenceConflict,
            format!("sequence {} has other bytes; {}", report.sequence, highest(tx, report)?),
        )
        .into()),
        Some((_, ack)) => match serde_json::from_str(&ack) {
            Ok(ack) => Ok(Some(ReportAck { duplicate: true, ..ack })),
            Err(_) => {
                Err(refuse(report, Code::Internal, "the stored answer cannot be read".to_owned()).into())
            }
        },
    }
}

/// The boot must be the node's current one, and its nonce still the one that was signed.
fn current_session(tx: &Tx<'_>, report: &Submission) -> Result<Session, Fault> {
    let found: Option<(String, String, String, bool)> = tx.one(
        "SELECT n.state, b.plan, b.nonce, b.is_current FROM boots b JOIN nodes n ON n.id = b.node_id
         WHERE b.node_id = ?1 AND b.boot_id = ?2",
        values![&report.node_id, &report.boot_id],
        |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?)),
    )?;
    let Some((state, plan, nonce, is_current)) = found else {
        return Err(refuse(report, Code::BadSignature, "this boot is not enrolled".to_owned()).into());
    };
    if !is_current || nonce != report.nonce {
        let detail = format!("boot {} is not the current one", report.boot_id);
        return Err(refuse(report, Code::StaleBoot, detail).into());
    }
    match State::parse(&state) {
        Some(State::Retired) => Err(refuse(report, Code::NodeRetired, report.node_id.clone()).into()),
        Some(state) => Ok(Session { state, plan }),
        None => Err(refuse(report, Code::Internal, format!("unknown state `{state}`")).into()),
    }
}

/// Later than every report of this boot, and of a burn-in that was never reported.
fn check_new(tx: &Tx<'_>, report: &Submission) -> Result<(), Fault> {
    let last = last_sequence(tx, report)?;
    if report.sequence <= last {
        let detail = format!("sequence {} comes late; {}", report.sequence, highest(tx, report)?);
        return Err(refuse(report, Code::SequenceConflict, detail).into());
    }
    let seen: Option<u64> =
        tx.one("SELECT revision FROM reports WHERE run_id = ?1", values![&report.run_id], |row| row.get(0))?;
    match seen {
        None => Ok(()),
        Some(revision) => {
            let detail = format!("run {} was stored at revision {revision}", report.run_id);
            Err(refuse(report, Code::ReportReplayed, detail).into())
        }
    }
}

fn last_sequence(tx: &Tx<'_>, report: &Submission) -> Answer<u64> {
    let last = tx.one(
        "SELECT coalesce(max(sequence), 0) FROM reports WHERE node_id = ?1 AND boot_id = ?2",
        values![&report.node_id, &report.boot_id],
        |row| row.get(0),
    )?;
    Ok(last.unwrap_or(0))
}

fn highest(tx: &Tx<'_>, report: &Submission) -> Answer<String> {
    Ok(format!("the highest of this boot is {}", last_sequence(tx, report)?))
}

fn insert(tx: &Tx<'_>, report: &Submission, plan: &str, ack: &ReportAck) -> Answer<()> {
    tx.run(
        "INSERT INTO reports (revision, node_id, boot_id, sequence, run_id, plan, verdict, ack, sha256,
                              signature, nonce, received_at_ms, bytes)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)",
        values![
            ack.revision,
            &report.node_id,
            &report.boot_id,
            report.sequence,
            &report.run_id,
            plan,
            ack.verdict.verdict.as_str(),
            &to_json(ack)?,
            &report.sha256,
            &report.signature,
            &report.nonce,
            tx.now,
            &report.bytes,
        ],
    )?;
    tx.audit(&Entry {
        action: "report_accepted",
        actor: "node".to_owned(),
        source: Some(report.source.clone()),
        node_id: Some(report.node_id.clone()),
        detail: Some(format!(
            "sequence {}, run {}, verdict {} (revision {})",
            report.sequence, report.run_id, ack.verdict.verdict, ack.revision
        )),
        ..Entry::default()
    })
}

fn move_node(tx: &Tx<'_>, report: &Submission, start: State, way: &[State], revision: u64) -> Answer<()> {
    let judged = format!("verdict {}", report.verdict.verdict);
    let mut from = start;
    for (left, to) in (0..way.len()).rev().zip(way) {
        // The verdict decides where the way ends, not that it is gone.
        let cause = if left == 0 { judged.as_str() } else { "report accepted" };
        tx.step(&Step {
            node_id: &report.node_id,
            from: Some(from),
            to: *to,
            cause,
            actor: "inventory",
            evidence: Some(revision),
            revision,
        })?;
        from = *to;
    }
    Ok(())
}

/// The same as one word, to be found by.
fn reason_code(verdict: &VerdictRecord) -> Option<String> {
    if verdict.verdict == Verdict::Healthy {
        return None;
    }
    let code = verdict.findings.first().map(|finding| clean(&finding.reason.code.to_string()));
    Some(code.unwrap_or_else(|| verdict.verdict.as_str().to_owned()))
}

/// What keeps the node from better, in one line.
fn reason(verdict: &VerdictRecord) -> Option<String> {
    if verdict.verdict == Verdict::Healthy {
        return None;
    }
    let grave = verdict.findings.first().map_or_else(String::new, |finding| {
        let check = finding.check.as_ref().map_or("report", |check| check.as_str());
        format!(": {check} on {}: {} {}", finding.subject, finding.reason.code, finding.reason.detail)
    });
    Some(format!("{}{grave}", verdict.verdict))
}
