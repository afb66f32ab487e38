//! An operator vouches for a node's key, and by it for the TPM that vouched for the key, if the site wants it so.

use report::wire::TrustLevel;

use super::super::engine::{Location, values};
use super::super::ChangeError;
use super::super::tx::{Fault, Tx, alone};
use super::tpm::said;
use super::{add, evidence, vouched};
use crate::clock::Clock;
use crate::lifecycle::State;
use crate::refusal::Code;
use crate::trust::{Trust, TrustEvidence, kind};

/// Vouches for the node's current key; gives its level then. With `pin`, the TPM that the node showed in this boot is
/// trusted too from now on, in this node only. A running server, which knows what the site asks for, then looks at the node.
pub fn approve(
    location: impl Into<Location>,
    clock: &dyn Clock,
    node_id: &str,
    pin: bool,
) -> Result<Trust, ChangeError> {
    Ok(alone(location, clock, |tx| approve_in(tx, node_id, pin))??)
}

fn approve_in(tx: &Tx<'_>, node_id: &str, pin: bool) -> Result<Trust, Fault> {
    let refuse = |code: Code, detail: &str| Fault::Refused(code.because(detail).of_node(node_id));
    let sql = "SELECT n.state, b.boot_id FROM nodes n JOIN boots b ON b.node_id = n.id AND b.is_current = 1
               WHERE n.id = ?1";
    let found: Option<(String, String)> =
        tx.one(sql, values![node_id], |row| Ok((row.get(0)?, row.get(1)?)))?;
    let Some((state, boot_id)) = found else {
        return Err(refuse(Code::NodeUnknown, "no such node has enrolled"));
    };
    match State::parse(&state) {
        Some(State::Retired) => return Err(refuse(Code::NodeRetired, node_id)),
        Some(State::Quarantined) => return Err(refuse(Code::NodeInDoubt, "decide its identity first")),
        _ => {}
    }
    let revision = tx.next_revision("approval", node_id)?;
    let place = (node_id, boot_id.as_str());
    let word = TrustEvidence {
        level: TrustLevel::Approved,
        kind: kind::OPERATOR.to_owned(),
        subject: "approval".to_owned(),
        detail: None,
        at: tx.now,
        expires_at: None,
    };
    let mut trust = add(tx, place, &word, revision)?;
    let mut pinned = String::new();
    if let Some(shown) = shown_tpm(tx, node_id, pin)? {
        pinned = format!(", endorsement key {} pinned", shown.subject);
        let tpm = TrustEvidence { level: TrustLevel::Tpm, kind: kind::TPM.to_owned(), at: tx.now, ..shown };
        trust = add(tx, place, &tpm, revision)?;
    }
    // Due now: the server looks at it in its next round.
    tx.run(
        "UPDATE nodes SET revision = ?2, trust_expires_at_ms = ?3 WHERE id = ?1",
        values![node_id, revision, tx.now],
    )?;
    let detail = format!("trust level {}{pinned} (revision {revision})", trust.level);
    tx.audit(&said("approved", Some(node_id), detail))?;
    Ok(trust)
}

/// The TPM that the node showed in this boot and that nobody vouched for; from now on it is pinned to this node. A key that
/// is pinned to another stays with that.
fn shown_tpm(tx: &Tx<'_>, node_id: &str, pin: bool) -> Result<Option<TrustEvidence>, Fault> {
    let shown = evidence(tx.engine(), node_id)?.into_iter().find(|one| one.kind == kind::TPM_UNVOUCHED);
    let Some(shown) = shown.filter(|_| pin) else { return Ok(None) };
    tx.run(
        "INSERT INTO tpm_keys (ek_sha256, node_id, added_at_ms) VALUES (?1, ?2, ?3) ON CONFLICT DO NOTHING",
        values![&shown.subject, node_id, tx.now],
    )?;
    let is_ours = vouched(tx.engine(), &shown.subject, node_id)?.is_some();
    Ok(is_ours.then_some(shown))
}
