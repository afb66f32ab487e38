//! Certificates: given out, and looked up by those who show one.

use jiff::Timestamp;
use report::wire::TrustLevel;

use super::super::audit::Entry;
use super::super::engine::{Answer, DatabaseError, Engine, values};
use super::super::tx::{Fault, Tx};
use super::super::people;
use super::{add, current_boot};
use crate::certificate::NodeCertificate;
use crate::lifecycle::{Policy, State};
use crate::trust::{TrustEvidence, kind};

/// A certificate that was made for a node whose proof holds.
#[derive(Clone, Debug)]
pub struct CertificateOrder {
    /// Whose.
    pub node_id: String,
    /// In which boot.
    pub boot_id: String,
    /// The nonce that the proof covers.
    pub nonce: String,
    /// The key that is certified.
    pub public_key: [u8; 32],
    /// The certificate.
    pub certificate: NodeCertificate,
    /// When it ends.
    pub expires_at: Timestamp,
    /// One that ends later than this is given out again instead.
    pub good_until: Timestamp,
    /// Where the request came from.
    pub source: String,
}

/// Who was given a certificate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateHolder {
    /// The node.
    pub node_id: String,
    /// Where it stands.
    pub state: State,
    /// When the certificate ends.
    pub expires_at: Timestamp,
}

/// Gives out the certificate, or the one there is for that key if it is good for long enough; with its end.
pub(in crate::store) fn issue(
    tx: &Tx<'_>,
    policy: &Policy,
    order: &CertificateOrder,
) -> Result<(String, Timestamp), Fault> {
    let CertificateOrder { node_id, boot_id, certificate, expires_at, .. } = order;
    current_boot(tx, node_id, boot_id, &order.nonce)?;
    let sql = "SELECT pem, expires_at_ms FROM certificates
               WHERE node_id = ?1 AND boot_id = ?2 AND public_key = ?3 AND expires_at_ms > ?4
               ORDER BY expires_at_ms DESC LIMIT 1";
    let good: Option<(String, Timestamp)> =
        tx.one(sql, values![node_id, boot_id, &order.public_key, order.good_until], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    if let Some(good) = good {
        return Ok(good);
    }
    let revision = tx.next_revision("certificate", node_id)?;
    tx.run(
        "INSERT INTO certificates (sha256, node_id, boot_id, public_key, pem, issued_at_ms, expires_at_ms, revision)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        values![
            &certificate.sha256,
            node_id,
            boot_id,
            &order.public_key,
            &certificate.pem,
            tx.now,
            *expires_at,
            revision
        ],
    )?;
    let evidence = TrustEvidence {
        level: TrustLevel::Key,
        kind: kind::CERTIFICATE.to_owned(),
        subject: certificate.sha256.clone(),
        detail: None,
        at: tx.now,
        expires_at: Some(*expires_at),
    };
    add(tx, (node_id, boot_id), &evidence, revision)?;
    tx.run("UPDATE nodes SET revision = ?2 WHERE id = ?1", values![node_id, revision])?;
    people::follow(tx, node_id, policy)?;
    tx.audit(&Entry {
        action: "certificate_issued",
        actor: "node".to_owned(),
        source: Some(order.source.clone()),
        node_id: Some(node_id.clone()),
        detail: Some(format!("{} until {expires_at:.0} (revision {revision})", certificate.sha256)),
        ..Entry::default()
    })?;
    Ok((certificate.pem.clone(), *expires_at))
}

/// Who holds the certificate with this SHA-256, if it was given out here.
pub(in crate::store) fn holder(engine: &dyn Engine, sha256: &str) -> Answer<Option<CertificateHolder>> {
    let sql = "SELECT c.node_id, n.state, c.expires_at_ms FROM certificates c JOIN nodes n ON n.id = c.node_id
               WHERE c.sha256 = ?1";
    engine.one(sql, values![sha256], |row| {
        let state = State::parse(row.get(1)?);
        Ok(CertificateHolder {
            node_id: row.get(0)?,
            state: state.ok_or(DatabaseError::Value { column: 1, expected: "state" })?,
            expires_at: row.get(2)?,
        })
    })
}
