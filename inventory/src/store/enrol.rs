//! An enrolment, as one transaction: consume the token, find or make the node, compare its evidence with all others', open
//! a boot with a fresh nonce.
//!
//! The key owns the record. Evidence that belongs to another key's node never moves: whoever claims it is quarantined.

use data_encoding::HEXLOWER;
use report::Plan;
use report::wire::EnrolResponse;

use super::audit::Entry;
use super::engine::{Answer, values};
use super::tx::{Fault, Step, Tx, to_json};
use super::{people, token};
use crate::credential::Token;
use crate::identity::{Evidence, node_id};
use crate::lifecycle::{Policy, State};
use crate::refusal::Code;

/// Reason of a node whose evidence belongs to another.
const IDENTITY_CONFLICT: &str = "identity_conflict";

/// A request whose proof of possession was verified.
#[derive(Clone, Debug)]
pub struct Enrolment {
    /// The token.
    pub token: Token,
    /// The node's key.
    pub public_key: [u8; 32],
    /// The boot to open.
    pub boot_id: String,
    /// What of the identity can tell machines apart.
    pub evidence: Vec<Evidence>,
    /// What the node calls itself.
    pub hostname: Option<String>,
    /// SHA-256 over key, boot and identity: is this the same request again?
    pub request_sha256: [u8; 32],
    /// Where it came from.
    pub source: String,
}

/// Evidence of the claimant that an incumbent holds.
struct Conflict {
    incumbent_id: String,
    evidence: Evidence,
}

pub(super) fn enrol(tx: &Tx<'_>, request: &Enrolment, policy: &Policy) -> Result<EnrolResponse, Fault> {
    let plan = match admit(tx, request)? {
        Admission::SameRequest(response) => return Ok(response),
        Admission::Token { plan } => plan,
    };
    let id = node_id(&request.public_key);
    let known = find_node(tx, &id, &request.public_key)?;
    if known == Some(State::Retired) {
        return Err(Code::NodeRetired.because(id.clone()).of_node(&id).of_token(request.token.id()).into());
    }
    let nonce = nonce()?;
    // From here on everything is done, or the database fails and nothing is.
    if !token::consume(tx, request.token.id())? {
        return Err(Code::TokenUsed.because("consumed at the same time").of_token(request.token.id()).into());
    }
    let revision = tx.next_revision("enrolment", &id)?;
    let conflicts = conflicts(tx, &id, &request.evidence)?;
    let state = settle_node(tx, request, (&id, known), &conflicts, revision)?;
    record_evidence(tx, &id, &request.evidence, &conflicts, revision)?;
    open_boot(tx, request, (&id, &plan.name, &nonce), revision)?;
    let response = EnrolResponse {
        node_id: id.clone(),
        nonce,
        plan_digest: plan.digest(),
        plan: plan.name,
        state: state.as_str().to_owned(),
    };
    finish(tx, request, &response, revision)?;
    people::enrolled(tx, &id, &request.source)?;
    people::refresh(tx, &id, policy)?;
    Ok(response)
}

enum Admission {
    SameRequest(EnrolResponse),
    Token { plan: Plan },
}

/// May this token be used by this request? An expired token is consumed on the way.
fn admit(tx: &Tx<'_>, request: &Enrolment) -> Result<Admission, Fault> {
    let id = request.token.id();
    let refuse = |code: Code, detail: &str| Fault::Refused(code.because(detail).of_token(id));
    let found = token::find(tx, id)?;
    let stored = found.as_ref().map_or(&[0; 32][..], |row| &row.secret_sha256[..]);
    let matches = request.token.has_secret(stored);
    let Some(row) = found.filter(|_| matches) else {
        // One answer for both: whoever guesses does not learn which ids exist.
        return Err(refuse(Code::TokenInvalid, "no token has this id and secret"));
    };
    if row.consumed {
        let same = row.request_sha256.as_deref() == Some(&request.request_sha256[..]);
        return match (same, row.response, row.request_sha256) {
            (true, Some(response), _) => serde_json::from_str(&response)
                .map(Admission::SameRequest)
                .map_err(|_| refuse(Code::Internal, "the stored answer cannot be read")),
            (_, _, None) => Err(refuse(Code::TokenExpired, "expired before it was used")),
            _ => Err(refuse(Code::TokenUsed, "used by another request")),
        };
    }
    if row.expires_at_ms <= tx.now_ms() {
        token::consume(tx, id)?;
        let late_s = (tx.now_ms() - row.expires_at_ms) / 1000;
        return Err(refuse(Code::TokenExpired, &format!("expired {late_s} s ago")));
    }
    let plan = Plan::built_in(&row.plan).map_err(|_| refuse(Code::PlanUnavailable, &row.plan))?;
    Ok(Admission::Token { plan })
}

fn find_node(tx: &Tx<'_>, id: &str, public_key: &[u8; 32]) -> Result<Option<State>, Fault> {
    let found: Option<([u8; 32], String)> =
        tx.one("SELECT public_key, state FROM nodes WHERE id = ?1", values![id], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    match found {
        None => Ok(None),
        Some((key, _)) if key != *public_key => Err(Code::NodeIdTaken.because(id).of_node(id).into()),
        Some((_, state)) => match State::parse(&state) {
            Some(state) => Ok(Some(state)),
            None => Err(Code::Internal.because(format!("unknown state `{state}`")).of_node(id).into()),
        },
    }
}

/// Evidence that a node in good standing holds. Quarantined nodes own nothing, retired ones no longer do.
fn conflicts(tx: &Tx<'_>, id: &str, evidence: &[Evidence]) -> Answer<Vec<Conflict>> {
    let sql = "SELECT n.id FROM evidence e JOIN nodes n ON n.id = e.node_id
               WHERE e.kind = ?1 AND e.value = ?2 AND n.id <> ?3 AND n.state NOT IN ('quarantined', 'retired')
               ORDER BY n.revision LIMIT 1";
    let mut found = Vec::new();
    for evidence in evidence {
        let incumbents = tx.all(sql, values![&evidence.kind, &evidence.value, id], |row| row.get(0))?;
        found.extend(
            incumbents.into_iter().map(|incumbent_id| Conflict { incumbent_id, evidence: evidence.clone() }),
        );
    }
    Ok(found)
}

/// Makes the node or moves it; gives where it stands then.
fn settle_node(
    tx: &Tx<'_>,
    request: &Enrolment,
    (id, before): (&str, Option<State>),
    conflicts: &[Conflict],
    revision: u64,
) -> Result<State, Fault> {
    let in_doubt = !conflicts.is_empty() && before != Some(State::Quarantined);
    let way: &[State] = match (in_doubt, before) {
        (true, _) => &[State::Quarantined],
        (false, None) => &[State::Registering],
        (false, Some(state)) => state.on_enrolment(),
    };
    let after = way.last().copied().or(before).unwrap_or(State::Registering);
    let reason = if in_doubt { Some(IDENTITY_CONFLICT) } else { None };
    // A node that stays in quarantine keeps its reason.
    let sql = "INSERT INTO nodes (id, public_key, state, reason, pool, hostname, created_at_ms, revision)
               VALUES (?1, ?2, ?3, ?4, NULL, ?5, ?6, ?7)
               ON CONFLICT (id) DO UPDATE SET
                   state = ?3, hostname = ?5, revision = ?7,
                   reason = CASE WHEN nodes.state = ?3 THEN nodes.reason ELSE ?4 END,
                   pool = NULL";
    let state = after.as_str();
    tx.run(sql, values![id, &request.public_key, state, reason, &request.hostname, tx.now, revision])?;
    let cause = if in_doubt { IDENTITY_CONFLICT } else { "enrolment" };
    let actor = format!("token:{}", request.token.id());
    let mut from = before;
    for to in way {
        tx.step(&Step { node_id: id, from, to: *to, cause, actor: &actor, evidence: None, revision })?;
        from = Some(*to);
    }
    Ok(after)
}

/// Keeps every claim with the node, those that belong to others as conflicts beside it.
fn record_evidence(
    tx: &Tx<'_>,
    id: &str,
    evidence: &[Evidence],
    conflicts: &[Conflict],
    revision: u64,
) -> Answer<()> {
    for claim in evidence {
        tx.run(
            "INSERT INTO evidence (node_id, kind, value, first_seen_at_ms) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO NOTHING",
            values![id, &claim.kind, &claim.value, tx.now],
        )?;
    }
    for conflict in conflicts {
        let Conflict { incumbent_id, evidence: Evidence { kind, value } } = conflict;
        tx.run(
            "INSERT INTO conflicts (claimant_id, incumbent_id, kind, value, at_ms, revision)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
            values![id, incumbent_id, kind, value, tx.now, revision],
        )?;
    }
    if let Some(Conflict { incumbent_id, evidence: Evidence { kind, value } }) = conflicts.first() {
        tx.audit(&Entry {
            action: "conflict",
            code: Some(IDENTITY_CONFLICT),
            actor: "inventory".to_owned(),
            node_id: Some(id.to_owned()),
            detail: Some(format!(
                "{} claims belong to others; the first is {kind} {value} of {incumbent_id}",
                conflicts.len()
            )),
            ..Entry::default()
        })?;
    }
    Ok(())
}

fn nonce() -> Result<String, Fault> {
    let mut nonce = [0; 32];
    getrandom::fill(&mut nonce).map_err(|_| Code::Internal.because("the system gives no random bytes"))?;
    Ok(HEXLOWER.encode(&nonce))
}

/// Makes this boot the node's current one, with a fresh nonce.
fn open_boot(
    tx: &Tx<'_>,
    request: &Enrolment,
    (id, plan, nonce): (&str, &str, &str),
    revision: u64,
) -> Answer<()> {
    tx.run("UPDATE boots SET is_current = 0 WHERE node_id = ?1 AND is_current = 1", values![id])?;
    tx.run(
        "INSERT INTO boots (node_id, boot_id, nonce, plan, is_current, opened_at_ms, revision)
         VALUES (?1, ?2, ?3, ?4, 1, ?5, ?6)
         ON CONFLICT (node_id, boot_id) DO UPDATE SET
             nonce = excluded.nonce, plan = excluded.plan, is_current = 1,
             opened_at_ms = excluded.opened_at_ms, revision = excluded.revision",
        values![id, &request.boot_id, nonce, plan, tx.now, revision],
    )?;
    Ok(())
}

/// Keeps the answer for the same request again, and writes down who came in.
fn finish(tx: &Tx<'_>, request: &Enrolment, response: &EnrolResponse, revision: u64) -> Answer<()> {
    tx.run(
        "UPDATE tokens SET request_sha256 = ?2, response = ?3, node_id = ?4 WHERE id = ?1",
        values![request.token.id(), &request.request_sha256, &to_json(response)?, &response.node_id],
    )?;
    tx.audit(&Entry {
        action: "enrolled",
        actor: format!("token:{}", request.token.id()),
        source: Some(request.source.clone()),
        node_id: Some(response.node_id.clone()),
        token_id: Some(request.token.id().to_owned()),
        detail: Some(format!(
            "boot {}, plan {}, {} (revision {revision})",
            request.boot_id, response.plan, response.state
        )),
        ..Entry::default()
    })
}
