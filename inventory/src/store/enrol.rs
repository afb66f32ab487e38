//! An enrolment, as one transaction: look at the token, find the key's record, compare the evidence with all records, and
//! do what follows: go on with the record, make one, quarantine the claimant, or refuse it.
//!
//! The key owns the record. Evidence that belongs to another key's node never moves: whoever claims it is quarantined.

use data_encoding::HEXLOWER;
use report::Plan;
use report::wire::EnrolResponse;

use super::audit::Entry;
use super::engine::{Answer, values};
use super::identify::{self, About, Inputs, identify};
use super::tx::{Fault, Step, Tx, to_json};
use super::{people, token};
use crate::identity::{Effect, Evidence, Weights, effect, node_id};
use crate::lifecycle::{Policy, State};
use crate::refusal::{Code, Refusal};
use crate::token::Token;

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

/// The record that the claimant gets or goes on with.
struct Subject {
    id: String,
    /// Where it stands; absent for a new one.
    before: Option<State>,
}

pub(super) fn enrol(
    tx: &Tx<'_>,
    request: &Enrolment,
    (weights, policy): (&Weights, &Policy),
) -> Result<EnrolResponse, Fault> {
    let (plan, token_for) = match admit(tx, request)? {
        Admission::SameRequest(response) => return Ok(response),
        Admission::Token { plan, for_node } => (plan, for_node),
    };
    let owner = owner(tx, request)?;
    let inputs = identify(tx, owner.as_ref().map(|own| own.id.as_str()), &request.evidence, &[], weights)?;
    let effect = effect(&inputs.claim, &inputs.decision, token_for.as_deref(), weights);
    let subject = subject(tx, request, owner, &effect)?;
    match &effect {
        Effect::RefuseToken => {
            let detail = format!("it is for {}", token_for.unwrap_or_default());
            return Err(Code::TokenBound.because(detail).of_token(request.token.id()).into());
        }
        Effect::Refuse { why } => {
            refuse_claim(tx, request, &subject, (&inputs, weights))?;
            let detail = format!("{} ({}): {}", why.as_str(), subject.id, why.text());
            return Err(Code::IdentityConflict.because(detail).of_node(&subject.id).into());
        }
        _ => {}
    }
    let nonce = nonce()?;
    // From here on everything is done, or the database fails and nothing is.
    if !token::consume(tx, request.token.id())? {
        return Err(Code::TokenUsed.because("consumed at the same time").of_token(request.token.id()).into());
    }
    let revision = tx.next_revision("enrolment", &subject.id)?;
    let state = settle_node(tx, request, &subject, &effect, revision)?;
    identify::hold(tx, &subject.id, &inputs.claim.evidence)?;
    keep(tx, request, (&subject, &effect), (&inputs, weights), revision)?;
    open_boot(tx, request, (&subject.id, &plan.name, &nonce), revision)?;
    let response = EnrolResponse {
        node_id: subject.id.clone(),
        nonce,
        plan_digest: plan.digest(),
        plan: plan.name,
        state: state.as_str().to_owned(),
    };
    finish(tx, request, &response, revision)?;
    people::enrolled(tx, &subject.id, &request.source)?;
    people::refresh(tx, &subject.id, policy)?;
    Ok(response)
}

enum Admission {
    SameRequest(EnrolResponse),
    Token { plan: Plan, for_node: Option<String> },
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
    Ok(Admission::Token { plan, for_node: row.for_node })
}

/// The record that the key owns, if it owns one. A key that owned one before is refused.
fn owner(tx: &Tx<'_>, request: &Enrolment) -> Result<Option<Subject>, Fault> {
    let found: Option<(String, String)> =
        tx.one("SELECT id, state FROM nodes WHERE public_key = ?1", values![&request.public_key], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    if let Some((id, state)) = found {
        let state = parse(&id, &state)?;
        if state == State::Retired {
            return Err(Code::NodeRetired
                .because(id.clone())
                .of_node(&id)
                .of_token(request.token.id())
                .into());
        }
        return Ok(Some(Subject { id, before: Some(state) }));
    }
    let sql = "SELECT node_id FROM past_keys WHERE public_key = ?1";
    match tx.one(sql, values![&request.public_key], |row| row.get::<String>(0))? {
        Some(id) => {
            Err(Code::KeySuperseded.because(id.clone()).of_node(&id).of_token(request.token.id()).into())
        }
        None => Ok(None),
    }
}

/// Whose record the effect is about.
fn subject(
    tx: &Tx<'_>,
    request: &Enrolment,
    owner: Option<Subject>,
    effect: &Effect,
) -> Result<Subject, Fault> {
    if let Some(owner) = owner {
        return Ok(owner);
    }
    let id = match effect {
        Effect::Rekey { node } => node.clone(),
        _ => node_id(&request.public_key),
    };
    let sql = "SELECT state FROM nodes WHERE id = ?1";
    let found: Option<String> = tx.one(sql, values![&id], |row| row.get(0))?;
    match (found, effect) {
        (Some(state), Effect::Rekey { .. }) => Ok(Subject { before: Some(parse(&id, &state)?), id }),
        // 80 bits of two keys are the same.
        (Some(_), _) => Err(Code::NodeIdTaken.because(&*id).of_node(&id).into()),
        (None, _) => Ok(Subject { id, before: None }),
    }
}

fn parse(id: &str, state: &str) -> Result<State, Refusal> {
    State::parse(state).ok_or_else(|| Code::Internal.because(format!("unknown state `{state}`")).of_node(id))
}

/// Makes the node or moves it; gives where it stands then.
fn settle_node(
    tx: &Tx<'_>,
    request: &Enrolment,
    Subject { id, before }: &Subject,
    effect: &Effect,
    revision: u64,
) -> Result<State, Fault> {
    let before = *before;
    let in_doubt = matches!(effect, Effect::Quarantine { .. });
    let way: &[State] = match (in_doubt, before) {
        (true, Some(State::Quarantined)) => &[],
        (true, _) => &[State::Quarantined],
        (false, None) => &[State::Registering],
        (false, Some(state)) => state.on_enrolment(),
    };
    let after = way.last().copied().or(before).unwrap_or(State::Registering);
    let reason = identify::reason(effect);
    if let Effect::Rekey { .. } = effect {
        change_key(tx, id, &request.public_key, revision)?;
    }
    // A node that stays in quarantine keeps its reason.
    let sql = "INSERT INTO nodes (id, public_key, state, reason, pool, hostname, created_at_ms, revision, reason_code)
               VALUES (?1, ?2, ?3, ?4, NULL, ?5, ?6, ?7, ?8)
               ON CONFLICT (id) DO UPDATE SET
                   state = ?3, hostname = ?5, revision = ?7,
                   reason = CASE WHEN nodes.state = ?3 THEN nodes.reason ELSE ?4 END,
                   reason_code = CASE WHEN nodes.state = ?3 THEN nodes.reason_code ELSE ?8 END,
                   pool = NULL";
    let state = after.as_str();
    let code = in_doubt.then_some(identify::IDENTITY_CONFLICT);
    let (key, hostname) = (&request.public_key, &request.hostname);
    tx.run(sql, values![id, key, state, &reason, hostname, tx.now, revision, code])?;
    let cause = reason.as_deref().unwrap_or(match effect {
        Effect::Rekey { .. } => "enrolment with a new key",
        _ => "enrolment",
    });
    let actor = format!("token:{}", request.token.id());
    let mut from = before;
    for to in way {
        tx.step(&Step { node_id: id, from, to: *to, cause, actor: &actor, evidence: None, revision })?;
        from = Some(*to);
    }
    Ok(after)
}

/// The record goes on under another key; the one before can never enrol again.
fn change_key(tx: &Tx<'_>, id: &str, key: &[u8; 32], revision: u64) -> Answer<()> {
    tx.run(
        "INSERT INTO past_keys (public_key, node_id, until_ms, revision)
         VALUES ((SELECT public_key FROM nodes WHERE id = ?1), ?1, ?2, ?3)",
        values![id, tx.now, revision],
    )?;
    tx.run("UPDATE nodes SET public_key = ?2 WHERE id = ?1", values![id, key])?;
    Ok(())
}

/// Keeps the decision, and the conflict if it is one.
fn keep(
    tx: &Tx<'_>,
    request: &Enrolment,
    (subject, effect): (&Subject, &Effect),
    (inputs, weights): (&Inputs, &Weights),
    revision: u64,
) -> Answer<()> {
    let actor = format!("token:{}", request.token.id());
    let about = About {
        node: &subject.id,
        effect: identify::word(effect),
        actor: &actor,
        request_sha256: None,
        revision,
    };
    identify::keep_decision(tx, inputs, weights, &about)?;
    match effect {
        Effect::Quarantine { .. } => identify::keep_conflict(tx, &subject.id, inputs, revision),
        Effect::Rekey { .. } => tx.audit(&Entry {
            action: "key_changed",
            actor,
            source: Some(request.source.clone()),
            node_id: Some(subject.id.clone()),
            detail: Some(format!("key {} (revision {revision})", HEXLOWER.encode(&request.public_key))),
            ..Entry::default()
        }),
        _ => Ok(()),
    }
}

/// Keeps a claim that is refused: the key's record stays as it is, and so does the token.
fn refuse_claim(
    tx: &Tx<'_>,
    request: &Enrolment,
    subject: &Subject,
    (inputs, weights): (&Inputs, &Weights),
) -> Answer<()> {
    let sql = "SELECT 1 FROM decisions WHERE request_sha256 = ?1";
    if tx.one(sql, values![&request.request_sha256], |row| row.get::<i64>(0))?.is_some() {
        return Ok(());
    }
    let revision = tx.next_revision("claim_refused", &subject.id)?;
    let actor = format!("token:{}", request.token.id());
    let request_sha256 = Some(&request.request_sha256);
    let about = About { node: &subject.id, effect: "refuse", actor: &actor, request_sha256, revision };
    identify::keep_decision(tx, inputs, weights, &about)
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
