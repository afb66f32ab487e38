//! Access keys in the store: made, listed and revoked by an operator's process, looked up for each request. When a key was
//! last used is kept in memory and written down now and then.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use crate::access::key::is_name;
use crate::access::{AccessKey, Principal, Role};
use crate::clock::Clock;
use crate::refusal::{Code, Refusal};
use crate::store::audit::Entry;
use crate::store::engine::{Answer, Location, Row, values};
use crate::store::read::View;
use crate::store::tx::{Tx, alone};
use crate::store::{Store, StoreError};

/// Longest life of a key that has an end.
const TTL_MAX: SignedDuration = SignedDuration::from_hours(10 * 366 * 24);

/// A key that was just made. The only place where its secret is shown.
#[derive(Clone, Debug, Serialize)]
pub struct Created {
    /// The key, for its holder.
    pub key: String,
    /// Its public id.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// What it gives.
    pub role: &'static str,
    /// When it ends; never, if absent.
    pub expires_at: Option<Timestamp>,
}

/// One key in a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct KeyRow {
    /// Its public id.
    pub id: String,
    /// What it is called.
    pub name: String,
    /// What it gives.
    pub role: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it ends; never, if absent.
    pub expires_at: Option<Timestamp>,
    /// When it was taken back.
    pub revoked_at: Option<Timestamp>,
    /// When it was last used, to the minute.
    pub used_at: Option<Timestamp>,
}

/// Why no key was made or revoked.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// A time to live that makes no sense.
    #[error("a key may live from 1 second to 10 years, not {0:#}: choose another --ttl, or none")]
    Ttl(SignedDuration),
    /// A name that makes no sense.
    #[error("`{0}` is no name of a key: use up to 63 letters, digits, `.`, `-`, `_` and `@`")]
    Name(String),
    /// A role that keys do not give.
    #[error("a key cannot give the role {0}: choose operator, reader or metrics")]
    Role(Role),
    /// No such key.
    #[error("there is no key `{0}`: `inventory access-key list` lists those there are")]
    Unknown(String),
    /// The system gives no random bytes.
    #[error("getting random bytes from the system")]
    Random(#[source] getrandom::Error),
    /// The database cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It must not be written.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// Makes a key in the database at that place. Works while a server runs.
pub fn create(
    location: impl Into<Location>,
    clock: &dyn Clock,
    (role, name): (Role, &str),
    ttl: Option<SignedDuration>,
) -> Result<Created, KeyError> {
    if !Role::OF_KEYS.contains(&role) {
        return Err(KeyError::Role(role));
    }
    if !is_name(name) {
        return Err(KeyError::Name(crate::store::clean(name)));
    }
    if let Some(ttl) = ttl.filter(|ttl| *ttl < SignedDuration::from_secs(1) || *ttl > TTL_MAX) {
        return Err(KeyError::Ttl(ttl));
    }
    let key = AccessKey::generate().map_err(KeyError::Random)?;
    let made = alone(location, clock, |tx| Ok(insert(tx, &key, (role, name), ttl)?))?;
    Ok(made?)
}

fn insert(
    tx: &Tx<'_>,
    key: &AccessKey,
    (role, name): (Role, &str),
    ttl: Option<SignedDuration>,
) -> Answer<Created> {
    let expires_at = ttl.map(|ttl| tx.now.saturating_add(ttl).unwrap_or(Timestamp::MAX));
    tx.run(
        "INSERT INTO access_keys (id, name, role, secret_sha256, created_at_ms, expires_at_ms)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        values![key.id(), name, role.as_str(), &key.secret_sha256(), tx.now, expires_at],
    )?;
    let until = expires_at.map_or_else(|| "until it is revoked".to_owned(), |at| format!("until {at:.0}"));
    tx.audit(&Entry {
        action: "key_created",
        actor: "operator".to_owned(),
        detail: Some(format!("{} for {role} `{name}`, {until}", key.id())),
        ..Entry::default()
    })?;
    let (id, name) = (key.id().to_owned(), name.to_owned());
    Ok(Created { key: key.reveal(), id, name, role: role.as_str(), expires_at })
}

/// Takes a key back, for good. Works while a server runs, which heeds it with the next request.
pub fn revoke(
    location: impl Into<Location>,
    clock: &dyn Clock,
    id: &str,
    cause: &str,
) -> Result<(), KeyError> {
    let revoked = alone(location, clock, |tx| {
        let revoked = tx.run(
            "UPDATE access_keys SET revoked_at_ms = coalesce(revoked_at_ms, ?2) WHERE id = ?1",
            values![id, tx.now],
        )?;
        if revoked > 0 {
            tx.audit(&Entry {
                action: "key_revoked",
                actor: "operator".to_owned(),
                detail: Some(format!("{id}: {cause}")),
                ..Entry::default()
            })?;
        }
        Ok(revoked)
    })?;
    match revoked? {
        0 => Err(KeyError::Unknown(crate::store::clean(id))),
        _ => Ok(()),
    }
}

impl View {
    /// All keys, without secrets, by name.
    pub fn access_keys(&self) -> Result<Vec<KeyRow>, StoreError> {
        self.all(
            "SELECT id, name, role, created_at_ms, expires_at_ms, revoked_at_ms, used_at_ms FROM access_keys
             ORDER BY name, id",
            &[],
            |row| {
                Ok(KeyRow {
                    id: row.get(0)?,
                    name: row.get(1)?,
                    role: row.get(2)?,
                    created_at: row.get(3)?,
                    expires_at: row.get(4)?,
                    revoked_at: row.get(5)?,
                    used_at: row.get(6)?,
                })
            },
        )
    }
}

/// A key as it is stored.
struct Stored {
    name: String,
    role: String,
    secret_sha256: Vec<u8>,
    expires_at: Option<Timestamp>,
    revoked: bool,
}

impl Store {
    /// Who holds this key. Blocks on disk or network.
    pub fn holder(&self, key: &AccessKey, now: Timestamp) -> Result<Principal, Refusal> {
        let sql =
            "SELECT name, role, secret_sha256, expires_at_ms, revoked_at_ms IS NOT NULL FROM access_keys
                   WHERE id = ?1";
        let found = self.readers.with(|engine| engine.one(sql, values![key.id()], stored))?;
        let matches = key.has_secret(found.as_ref().map_or(&[0; 32][..], |stored| &stored.secret_sha256));
        // One answer for both: whoever guesses does not learn which ids exist.
        let Some(stored) = found.filter(|_| matches) else {
            return Err(Code::KeyUnknown.because("no key has this id and secret"));
        };
        let unknown = || Code::Internal.because(format!("unknown role `{}`", stored.role));
        let role =
            Role::parse(&stored.role).filter(|role| Role::OF_KEYS.contains(role)).ok_or_else(unknown)?;
        let principal = Principal::Key { id: key.id().to_owned(), name: stored.name, role };
        if stored.revoked {
            return Err(Code::KeyRevoked.because(key.id()).of_actor(principal.actor()));
        }
        if let Some(at) = stored.expires_at.filter(|at| *at <= now) {
            return Err(Code::KeyExpired.because(format!("at {at:.0}")).of_actor(principal.actor()));
        }
        self.uses.note(key.id(), now);
        Ok(principal)
    }

    /// Key and nonce of a node's current boot; absent if that boot is not the current one. Blocks on disk or network.
    pub fn current_session(
        &self,
        node_id: &str,
        boot_id: &str,
    ) -> Result<Option<([u8; 32], String)>, StoreError> {
        let sql = "SELECT n.public_key, b.nonce FROM nodes n JOIN boots b ON b.node_id = n.id
                   WHERE n.id = ?1 AND b.boot_id = ?2 AND b.is_current = 1";
        self.readers
            .with(|engine| engine.one(sql, values![node_id, boot_id], |row| Ok((row.get(0)?, row.get(1)?))))
    }

    /// Writes down when keys were last used.
    pub async fn flush_uses(&self) -> Result<(), Refusal> {
        let uses = self.uses.take();
        if uses.is_empty() {
            return Ok(());
        }
        let work = move |tx: &Tx<'_>| {
            for (id, at) in &uses {
                tx.run(
                    "UPDATE access_keys SET used_at_ms = ?2 WHERE id = ?1 AND coalesce(used_at_ms, 0) < ?2",
                    values![id, *at],
                )?;
            }
            Ok(())
        };
        self.submit(None, work).await
    }
}

fn stored(row: &Row<'_>) -> Answer<Stored> {
    Ok(Stored {
        name: row.get(0)?,
        role: row.get(1)?,
        secret_sha256: row.get(2)?,
        expires_at: row.get(3)?,
        revoked: row.get(4)?,
    })
}

/// When keys were last used, as far as it is not written down.
#[derive(Debug, Default)]
pub(in crate::store) struct Uses(Mutex<HashMap<String, Timestamp>>);

impl Uses {
    fn note(&self, id: &str, at: Timestamp) {
        let mut uses = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        match uses.get_mut(id) {
            Some(last) => *last = at,
            None => drop(uses.insert(id.to_owned(), at)),
        }
    }

    fn take(&self) -> HashMap<String, Timestamp> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}
