//! Servers on one database are one inventory: a node that trusts one of them must trust them all. So they show certificates
//! of one CA, whose files the operator copies; the database remembers which it is, and a server with another does not start.

use crate::ca;
use crate::files::DataDir;
use crate::store::Store;

use super::ServeError;

/// Under which name the database remembers it.
const NAME: &str = "ca_sha256";

/// Refuses, before anything is made, a data directory whose CA is not the one of the database. Blocks.
pub(super) fn check(data: &DataDir, store: &Store) -> Result<(), ServeError> {
    let Some(agreed) = store.agreed(NAME)? else { return Ok(()) };
    match ca::fingerprint(data)? {
        Some(own) if own == agreed => Ok(()),
        _ => Err(stranger(data, agreed)),
    }
}

/// Says which CA it is, if this is the first server or it is to be another from now on.
pub(super) async fn agree(data: &DataDir, store: &Store, replace: bool) -> Result<(), ServeError> {
    let own = ca::fingerprint(data)?.unwrap_or_default();
    let agreed = store.agree(NAME, own.clone(), replace).await?;
    if agreed == own { Ok(()) } else { Err(stranger(data, agreed)) }
}

fn stranger(data: &DataDir, sha256: String) -> ServeError {
    ServeError::OtherAuthority { directory: data.tls(), sha256 }
}
