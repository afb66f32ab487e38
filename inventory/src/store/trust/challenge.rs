//! Credential challenges: opened, and answered once. An answer consumes its challenge whether it is right or wrong.

use jiff::Timestamp;
use report::wire::TrustStanding;

use super::super::audit::Entry;
use super::super::engine::{Answer, Engine, values};
use super::super::tx::{Fault, Tx, to_json};
use super::super::people;
use super::{add, current_boot, identity};
use crate::lifecycle::Policy;
use crate::refusal::{Code, Refusal};
use crate::trust::{Trust, TrustEvidence};

/// A challenge on its way out.
#[derive(Clone, Debug)]
pub struct OpenChallenge {
    /// Its name.
    pub id: String,
    /// For whom.
    pub node_id: String,
    /// In which boot.
    pub boot_id: String,
    /// The nonce that the request's proof covers.
    pub nonce: String,
    /// SHA-256 of the endorsement key, in hexadecimal.
    pub ek_sha256: String,
    /// Who says that it is a TPM's.
    pub vouched_by: Option<&'static str>,
    /// Public area of the attestation key.
    pub ak_public: Vec<u8>,
    /// SHA-256 of the secret in the credential.
    pub secret_sha256: [u8; 32],
    /// Until when it can be answered.
    pub expires_at: Timestamp,
}

/// A challenge as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Challenge {
    /// The boot.
    pub boot_id: String,
    /// The nonce of the boot when it was opened.
    pub nonce: String,
    /// The record's key.
    pub public_key: [u8; 32],
    /// The endorsement key.
    pub ek_sha256: String,
    /// Who says that it is a TPM's.
    pub vouched_by: Option<String>,
    /// Public area of the attestation key.
    pub ak_public: Vec<u8>,
    /// SHA-256 of the secret.
    pub secret_sha256: [u8; 32],
    /// Until when it can be answered.
    pub expires_at: Timestamp,
}

/// An answer, looked at from all sides but whether it is the first.
#[derive(Clone, Debug)]
pub struct ChallengeAnswer {
    /// Which challenge.
    pub id: String,
    /// Whose.
    pub node_id: String,
    /// The challenge as it was read.
    pub challenge: Challenge,
    /// SHA-256 of the answer: is it the same again?
    pub request_sha256: [u8; 32],
    /// What it proves, or why nothing.
    pub proven: Result<Vec<TrustEvidence>, Refusal>,
    /// Where it came from.
    pub source: String,
}

pub(in crate::store) fn open(tx: &Tx<'_>, challenge: &OpenChallenge) -> Result<(), Fault> {
    let OpenChallenge { id, node_id, boot_id, .. } = challenge;
    current_boot(tx, node_id, boot_id, &challenge.nonce)?;
    // One at a time; what was answered stays, so that the same answer again is known.
    tx.run("DELETE FROM challenges WHERE node_id = ?1 AND answered_at_ms IS NULL", values![node_id])?;
    tx.run(
        "INSERT INTO challenges (id, node_id, boot_id, nonce, ek_sha256, vouched_by, ak_public, secret_sha256,
                                 expires_at_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)",
        values![
            id,
            node_id,
            boot_id,
            &challenge.nonce,
            &challenge.ek_sha256,
            challenge.vouched_by,
            &challenge.ak_public,
            &challenge.secret_sha256,
            challenge.expires_at
        ],
    )?;
    Ok(())
}

pub(in crate::store) fn find(engine: &dyn Engine, node_id: &str, id: &str) -> Answer<Option<Challenge>> {
    let sql = "SELECT c.boot_id, c.nonce, n.public_key, c.ek_sha256, c.vouched_by, c.ak_public, c.secret_sha256,
                      c.expires_at_ms
               FROM challenges c JOIN nodes n ON n.id = c.node_id WHERE c.node_id = ?1 AND c.id = ?2";
    engine.one(sql, values![node_id, id], |row| {
        Ok(Challenge {
            boot_id: row.get(0)?,
            nonce: row.get(1)?,
            public_key: row.get(2)?,
            ek_sha256: row.get(3)?,
            vouched_by: row.get(4)?,
            ak_public: row.get(5)?,
            secret_sha256: row.get(6)?,
            expires_at: row.get(7)?,
        })
    })
}

pub(in crate::store) fn answer(
    tx: &Tx<'_>,
    policy: &Policy,
    answer: &ChallengeAnswer,
) -> Result<TrustStanding, Fault> {
    let ChallengeAnswer { id, node_id, challenge, .. } = answer;
    let refuse = |code: Code, detail: &str| Fault::Refused(code.because(detail).of_node(node_id));
    let taken = tx.run(
        "UPDATE challenges SET answered_at_ms = ?2 WHERE id = ?1 AND answered_at_ms IS NULL",
        values![id, tx.now],
    )?;
    if taken != 1 {
        return answered_before(tx, answer);
    }
    if challenge.expires_at <= tx.now {
        return Err(refuse(Code::ChallengeExpired, "answered too late"));
    }
    let state = current_boot(tx, node_id, &challenge.boot_id, &challenge.nonce)?;
    let proven = answer.proven.as_ref().map_err(|refusal| refusal.clone().of_node(node_id))?;
    identity::bind(tx, (node_id, state), &challenge.ek_sha256, policy)?;
    let revision = tx.next_revision("attestation", node_id)?;
    for evidence in proven {
        add(tx, (node_id, &challenge.boot_id), evidence, revision)?;
    }
    tx.run("UPDATE nodes SET revision = ?2 WHERE id = ?1", values![node_id, revision])?;
    people::follow(tx, node_id, policy)?;
    let trust = super::standing(tx, node_id)?;
    let standing = told(trust, people::load(tx, node_id)?.and_then(|(node, _)| node.distrust(policy)), tx.now);
    tx.run(
        "UPDATE challenges SET request_sha256 = ?2, response = ?3 WHERE id = ?1",
        values![id, &answer.request_sha256, &to_json(&standing)?],
    )?;
    let vouched_by = challenge.vouched_by.as_deref().unwrap_or("nobody");
    tx.audit(&Entry {
        action: "attested",
        actor: "node".to_owned(),
        source: Some(answer.source.clone()),
        node_id: Some(node_id.clone()),
        detail: Some(format!(
            "endorsement key {} (vouched for by {vouched_by}), trust level {} (revision {revision})",
            challenge.ek_sha256, trust.level
        )),
        ..Entry::default()
    })?;
    Ok(standing)
}

/// The same answer again gets the same answer of ours; another gets none.
fn answered_before(tx: &Tx<'_>, answer: &ChallengeAnswer) -> Result<TrustStanding, Fault> {
    let refuse = |code: Code, detail: &str| Fault::Refused(code.because(detail).of_node(&answer.node_id));
    let sql = "SELECT request_sha256, response FROM challenges WHERE id = ?1 AND node_id = ?2";
    let found: Option<(Option<Vec<u8>>, Option<String>)> =
        tx.one(sql, values![&answer.id, &answer.node_id], |row| Ok((row.get(0)?, row.get(1)?)))?;
    match found {
        None => Err(refuse(Code::ChallengeUnknown, "a later one took its place")),
        Some((Some(sha256), Some(response))) if sha256 == answer.request_sha256 => {
            serde_json::from_str(&response)
                .map_err(|_| refuse(Code::Internal, "the stored answer cannot be read"))
        }
        Some(_) => Err(refuse(Code::ChallengeUsed, "each is answered once, right or wrong")),
    }
}

/// A level as a node is told it.
fn told(trust: Trust, missing: Option<String>, now: Timestamp) -> TrustStanding {
    let seconds = |end: Timestamp| u64::try_from(end.duration_since(now).as_secs()).unwrap_or(0);
    TrustStanding {
        level: trust.level,
        valid_s: trust.expires_at.map(seconds),
        missing,
    }
}
