//! Whom an operator lets vouch for TPMs: makers, by their root certificates, and single endorsement keys.

use jiff::Timestamp;
use serde::Serialize;

use super::super::audit::Entry;
use super::super::engine::{Answer, Engine, Location, values};
use super::super::tx::alone;
use super::super::{ChangeError, StoreError, schema};
use crate::attest::RootCertificate;
use crate::clock::Clock;

/// A maker's root certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TpmRoot {
    /// SHA-256 of the certificate, in hexadecimal.
    pub sha256: String,
    /// The file that it came from.
    pub source: String,
    /// Since when it is trusted.
    pub added_at: Timestamp,
}

/// An endorsement key that is vouched for by itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TpmKey {
    /// SHA-256 of the key, in hexadecimal.
    pub ek_sha256: String,
    /// The only node it is good for, if it was pinned to one.
    pub node_id: Option<String>,
    /// Since when.
    pub added_at: Timestamp,
}

/// Trusts makers' root certificates from now on; gives how many are new.
pub fn add_tpm_roots(
    location: impl Into<Location>,
    clock: &dyn Clock,
    roots: &[RootCertificate],
    source: &str,
) -> Result<u64, ChangeError> {
    alone(location, clock, |tx| {
        let mut new = 0;
        for root in roots {
            let added = tx.run(
                "INSERT INTO tpm_roots (sha256, der, source, added_at_ms) VALUES (?1, ?2, ?3, ?4)
                 ON CONFLICT DO NOTHING",
                values![&root.sha256, &root.der, source, tx.now],
            )?;
            if added == 1 {
                tx.audit(&said("tpm_root_added", None, format!("{} from {source}", root.sha256)))?;
            }
            new += added;
        }
        Ok(new)
    })?
    .map_err(ChangeError::from)
}

/// Trusts one endorsement key in any node from now on.
pub fn add_tpm_key(
    location: impl Into<Location>,
    clock: &dyn Clock,
    ek_sha256: &str,
) -> Result<(), ChangeError> {
    alone(location, clock, |tx| {
        tx.run(
            "INSERT INTO tpm_keys (ek_sha256, node_id, added_at_ms) VALUES (?1, NULL, ?2)
             ON CONFLICT (ek_sha256) DO UPDATE SET node_id = NULL",
            values![ek_sha256, tx.now],
        )?;
        Ok(tx.audit(&said("tpm_key_added", None, ek_sha256.to_owned()))?)
    })?
    .map_err(ChangeError::from)
}

/// The roots that are trusted.
pub fn tpm_roots(location: impl Into<Location>) -> Result<Vec<TpmRoot>, StoreError> {
    let engine = schema::open_for_reading(&location.into())?;
    let sql = "SELECT sha256, source, added_at_ms FROM tpm_roots ORDER BY added_at_ms, sha256";
    let found = engine.all(sql, values![], |row| {
        Ok(TpmRoot { sha256: row.get(0)?, source: row.get(1)?, added_at: row.get(2)? })
    });
    found.map_err(StoreError::Read)
}

/// The single keys that are trusted.
pub fn tpm_keys(location: impl Into<Location>) -> Result<Vec<TpmKey>, StoreError> {
    let engine = schema::open_for_reading(&location.into())?;
    let sql = "SELECT ek_sha256, node_id, added_at_ms FROM tpm_keys ORDER BY added_at_ms, ek_sha256";
    let found = engine.all(sql, values![], |row| {
        Ok(TpmKey { ek_sha256: row.get(0)?, node_id: row.get(1)?, added_at: row.get(2)? })
    });
    found.map_err(StoreError::Read)
}

/// The trusted roots, DER.
pub(in crate::store) fn roots(engine: &dyn Engine) -> Answer<Vec<Vec<u8>>> {
    engine.all("SELECT der FROM tpm_roots", values![], |row| row.get(0))
}

/// Who vouches for that key in that node, apart from its maker.
pub(in crate::store) fn vouched(
    engine: &dyn Engine,
    ek_sha256: &str,
    node_id: &str,
) -> Answer<Option<&'static str>> {
    let sql = "SELECT node_id FROM tpm_keys WHERE ek_sha256 = ?1";
    let found: Option<Option<String>> = engine.one(sql, values![ek_sha256], |row| row.get(0))?;
    Ok(match found {
        Some(None) => Some("operator"),
        Some(Some(pinned)) if pinned == node_id => Some("approval"),
        _ => None,
    })
}

/// An audit line of what an operator said.
pub(super) fn said(action: &'static str, node_id: Option<&str>, detail: String) -> Entry {
    Entry {
        action,
        actor: "operator".to_owned(),
        node_id: node_id.map(ToOwned::to_owned),
        detail: Some(detail),
        ..Entry::default()
    }
}
