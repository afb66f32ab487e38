//! Trust in the store: what holds a node's level up, certificates, TPM keys, challenges. Each write sets the level that is
//! stored with the record anew, from the evidence of the node's current boot and key.

mod certificate;
mod challenge;
mod tpm;
mod approve;
mod identity;

pub use approve::approve;
pub use certificate::{CertificateHolder, CertificateOrder};
pub use challenge::{Challenge, ChallengeAnswer, OpenChallenge};
pub use tpm::{TpmKey, TpmRoot, add_tpm_key, add_tpm_roots, tpm_keys, tpm_roots};

use tpm::vouched;

use jiff::Timestamp;
use report::wire::{TrustLevel, TrustStanding};
use serde::Serialize;

use super::engine::{Answer, DatabaseError, Engine, Row, values};
use super::tx::{Fault, Tx};
use super::read::View;
use super::{Store, StoreError};
use crate::lifecycle::State;
use crate::refusal::{Code, Refusal};
use crate::trust::{Trust, TrustEvidence, kind};

/// Evidence of the current boot by the record's own key; all else counts for nothing.
const CURRENT: &str = "
    SELECT t.level, t.kind, t.subject, t.detail, t.at_ms, t.expires_at_ms FROM trust t
    JOIN boots b ON b.node_id = t.node_id AND b.boot_id = t.boot_id AND b.is_current = 1
    JOIN nodes n ON n.id = t.node_id AND n.public_key = t.public_key
    WHERE t.node_id = ?1 ORDER BY t.revision DESC";

/// What holds a node's level up, the latest first; expired evidence too.
pub(super) fn evidence(engine: &dyn Engine, node_id: &str) -> Answer<Vec<TrustEvidence>> {
    engine.all(CURRENT, values![node_id], read_evidence)
}

fn read_evidence(row: &Row<'_>) -> Answer<TrustEvidence> {
    let level = row.get::<&str>(0)?.parse();
    Ok(TrustEvidence {
        level: level.map_err(|_| DatabaseError::Value { column: 0, expected: "trust level" })?,
        kind: row.get(1)?,
        subject: row.get(2)?,
        detail: row.get(3)?,
        at: row.get(4)?,
        expires_at: row.get(5)?,
    })
}

/// The level of a node now.
pub(super) fn standing(tx: &Tx<'_>, node_id: &str) -> Answer<Trust> {
    Ok(Trust::of(&tx.all(CURRENT, values![node_id], read_evidence)?, tx.now))
}

/// Adds evidence for the boot, by the key that the record has now, and sets the level.
pub(super) fn add(
    tx: &Tx<'_>,
    (node_id, boot_id): (&str, &str),
    evidence: &TrustEvidence,
    revision: u64,
) -> Answer<Trust> {
    tx.run(
        "INSERT INTO trust (node_id, boot_id, public_key, level, kind, subject, detail, at_ms, expires_at_ms, revision)
         SELECT n.id, ?2, n.public_key, ?3, ?4, ?5, ?6, ?7, ?8, ?9 FROM nodes n WHERE n.id = ?1",
        values![
            node_id,
            boot_id,
            evidence.level.as_str(),
            &evidence.kind,
            &evidence.subject,
            &evidence.detail,
            evidence.at,
            evidence.expires_at,
            revision
        ],
    )?;
    refresh(tx, node_id)
}

/// Sets the level that is stored with the record.
pub(super) fn refresh(tx: &Tx<'_>, node_id: &str) -> Answer<Trust> {
    let trust = standing(tx, node_id)?;
    tx.run(
        "UPDATE nodes SET trust_level = ?2, trust_expires_at_ms = ?3 WHERE id = ?1",
        values![node_id, trust.level.as_str(), trust.expires_at],
    )?;
    Ok(trust)
}

/// The token that let this boot in.
pub(super) fn add_token(
    tx: &Tx<'_>,
    place: (&str, &str),
    token_id: &str,
    revision: u64,
) -> Answer<Trust> {
    let evidence = TrustEvidence {
        level: TrustLevel::Token,
        kind: kind::TOKEN.to_owned(),
        subject: token_id.to_owned(),
        detail: None,
        at: tx.now,
        expires_at: None,
    };
    add(tx, place, &evidence, revision)
}

/// The boot must be the node's current one with the nonce that was signed, and the node neither retired nor in doubt.
fn current_boot(tx: &Tx<'_>, node_id: &str, boot_id: &str, nonce: &str) -> Result<State, Fault> {
    let sql = "SELECT n.state, b.nonce, b.is_current FROM boots b JOIN nodes n ON n.id = b.node_id
               WHERE b.node_id = ?1 AND b.boot_id = ?2";
    let found: Option<(String, String, bool)> =
        tx.one(sql, values![node_id, boot_id], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?;
    let refuse = |code: Code, detail: String| Err(code.because(detail).of_node(node_id).into());
    let Some((state, current, is_current)) = found else {
        return refuse(Code::BadProof, "this boot is not enrolled".to_owned());
    };
    if !is_current || current != nonce {
        return refuse(Code::StaleBoot, format!("boot {boot_id} is not the current one"));
    }
    match State::parse(&state) {
        Some(State::Retired) => refuse(Code::NodeRetired, node_id.to_owned()),
        Some(State::Quarantined) => refuse(Code::NodeInDoubt, node_id.to_owned()),
        Some(state) => Ok(state),
        None => refuse(Code::Internal, format!("unknown state `{state}`")),
    }
}

/// A level and its end, in that column and the next.
pub(super) fn read_level(row: &Row<'_>, column: usize) -> Answer<Trust> {
    let level = row.get::<&str>(column)?.parse();
    let level = level.map_err(|_| DatabaseError::Value { column, expected: "trust level" })?;
    Ok(Trust { level, expires_at: row.get(column + 1)? })
}

/// Sets the level anew if it has ended; was it so?
pub(super) fn lapse(tx: &Tx<'_>, node_id: &str) -> Answer<bool> {
    let sql = "SELECT trust_level, trust_expires_at_ms FROM nodes WHERE id = ?1";
    let stored = tx.one(sql, values![node_id], |row| read_level(row, 0))?;
    let ended = stored.is_some_and(|stored| stored.has_ended(tx.now));
    if ended {
        refresh(tx, node_id)?;
    }
    Ok(ended)
}

/// How well a node is known, as its record has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TrustRecord {
    /// The level, as of the last look: one that has ended falls within seconds.
    #[serde(flatten)]
    pub now: Trust,
    /// What holds it up, or did so earlier in this boot, the latest first.
    pub evidence: Vec<TrustEvidence>,
}

impl View {
    /// How well a node is known.
    pub(super) fn trust(&self, id: &str) -> Result<TrustRecord, StoreError> {
        let sql = "SELECT trust_level, trust_expires_at_ms FROM nodes WHERE id = ?1";
        let now = self.one(sql, values![id], |row| read_level(row, 0))?;
        Ok(TrustRecord { now: now.unwrap_or_default(), evidence: self.all(CURRENT, values![id], read_evidence)? })
    }
}

impl View {
    /// The level of a node at that time.
    pub(super) fn trust_at(&self, id: &str, now: Timestamp) -> Result<Trust, StoreError> {
        Ok(Trust::of(&self.all(CURRENT, values![id], read_evidence)?, now))
    }
}

impl Store {
    /// Gives out a certificate, or the one there is for that key if it is good for long enough; with its end.
    pub async fn issue_certificate(&self, order: CertificateOrder) -> Result<(String, Timestamp), Refusal> {
        let (source, policy) = (order.source.clone(), self.policy.clone());
        self.submit(Some(source), move |tx: &Tx<'_>| certificate::issue(tx, &policy, &order)).await
    }

    /// Who holds the certificate with this SHA-256, if it was given out here. Blocks on disk or network.
    pub fn certificate_holder(&self, sha256: &str) -> Result<Option<CertificateHolder>, StoreError> {
        self.readers.with(|engine| certificate::holder(engine, sha256))
    }

    /// The makers' roots (DER), and who else vouches for that endorsement key in that node. Blocks on disk or network.
    pub fn tpm_trust(
        &self,
        ek_sha256: &str,
        node_id: &str,
    ) -> Result<(Vec<Vec<u8>>, Option<&'static str>), StoreError> {
        self.readers.with(|engine| Ok((tpm::roots(engine)?, vouched(engine, ek_sha256, node_id)?)))
    }

    /// Keeps a challenge until it is answered.
    pub async fn open_challenge(&self, challenge: OpenChallenge, source: String) -> Result<(), Refusal> {
        self.submit(Some(source), move |tx: &Tx<'_>| challenge::open(tx, &challenge)).await
    }

    /// A challenge of that node. Blocks on disk or network.
    pub fn challenge(&self, node_id: &str, id: &str) -> Result<Option<Challenge>, StoreError> {
        self.readers.with(|engine| challenge::find(engine, node_id, id))
    }

    /// Takes the answer to a challenge, the first only.
    pub async fn answer_challenge(&self, answer: ChallengeAnswer) -> Result<TrustStanding, Refusal> {
        let (source, policy) = (answer.source.clone(), self.policy.clone());
        self.submit(Some(source), move |tx: &Tx<'_>| challenge::answer(tx, &policy, &answer)).await
    }

}
