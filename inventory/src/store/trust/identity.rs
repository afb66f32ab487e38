//! What a TPM says about which machine it is: an endorsement key that was proven is evidence of identity, and the strongest.
//! A node whose TPM was another one before, or whose TPM is another node's, is in doubt from then on.

use super::super::audit::Entry;
use super::super::engine::{Answer, values};
use super::super::people;
use super::super::tx::{Fault, Step, Tx};
use crate::lifecycle::{Policy, State};
use crate::refusal::Code;

/// Kind of the evidence.
const TPM_EK: &str = "tpm_ek";
/// Reason of a node whose evidence contradicts itself or belongs to another.
const IDENTITY_CONFLICT: &str = "identity_conflict";

/// Keeps the key with the node. A contradiction quarantines the node, and is the answer.
pub(super) fn bind(
    tx: &Tx<'_>,
    (node_id, from): (&str, State),
    ek_sha256: &str,
    policy: &Policy,
) -> Result<(), Fault> {
    let Some((incumbent, what)) = contradiction(tx, node_id, ek_sha256)? else {
        tx.run(
            "INSERT INTO evidence (node_id, kind, value, first_seen_at_ms) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT DO NOTHING",
            values![node_id, TPM_EK, ek_sha256, tx.now],
        )?;
        return Ok(());
    };
    let revision = tx.next_revision("conflict", node_id)?;
    tx.run(
        "INSERT INTO conflicts (claimant_id, incumbent_id, kind, value, at_ms, revision)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING",
        values![node_id, &incumbent, TPM_EK, ek_sha256, tx.now, revision],
    )?;
    tx.step(&Step {
        node_id,
        from: Some(from),
        to: State::Quarantined,
        cause: IDENTITY_CONFLICT,
        actor: "inventory",
        evidence: None,
        revision,
    })?;
    tx.run(
        "UPDATE nodes SET state = ?2, pool = NULL, owner = NULL, reason = ?3, reason_code = ?3, revision = ?4
         WHERE id = ?1",
        values![node_id, State::Quarantined.as_str(), IDENTITY_CONFLICT, revision],
    )?;
    tx.audit(&Entry {
        action: "conflict",
        code: Some(IDENTITY_CONFLICT),
        actor: "inventory".to_owned(),
        node_id: Some(node_id.to_owned()),
        detail: Some(format!("{what}: {TPM_EK} {ek_sha256}")),
        ..Entry::default()
    })?;
    people::refresh(tx, node_id, policy)?;
    Err(Code::NodeInDoubt.because(what).of_node(node_id).into())
}

/// Whom the key contradicts, and how: the node itself, or another in good standing.
fn contradiction(tx: &Tx<'_>, node_id: &str, ek_sha256: &str) -> Answer<Option<(String, String)>> {
    let before = "SELECT value FROM evidence WHERE node_id = ?1 AND kind = ?2 AND value <> ?3 LIMIT 1";
    if tx.one(before, values![node_id, TPM_EK, ek_sha256], |row| row.get::<String>(0))?.is_some() {
        return Ok(Some((node_id.to_owned(), "this node had another TPM, or its TPM was reset".to_owned())));
    }
    let other = "SELECT n.id FROM evidence e JOIN nodes n ON n.id = e.node_id
                 WHERE e.kind = ?1 AND e.value = ?2 AND n.id <> ?3 AND n.state NOT IN ('quarantined', 'retired')
                 ORDER BY n.revision LIMIT 1";
    let other: Option<String> = tx.one(other, values![TPM_EK, ek_sha256, node_id], |row| row.get(0))?;
    Ok(other.map(|other| (other.clone(), format!("this TPM is that of {other}"))))
}
