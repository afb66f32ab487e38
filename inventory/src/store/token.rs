//! Tokens in the store: made by an operator's process, consumed by the enrolment that uses them.

use jiff::{SignedDuration, Timestamp};
use report::Plan;
use report::plan::PlanError;
use serde::Serialize;

use super::StoreError;
use super::audit::Entry;
use super::engine::{Answer, Location, values};
use super::tx::{Fault, Tx, alone};
use crate::clock::Clock;
use crate::credential::Token;
use crate::refusal::Refusal;

/// Longest life of a token.
pub const TTL_MAX: SignedDuration = SignedDuration::from_hours(24);

/// A token that was just made. The only place where its secret is shown.
#[derive(Clone, Debug, Serialize)]
pub struct IssuedToken {
    /// The token, for the node.
    pub token: String,
    /// Its public id.
    pub id: String,
    /// The plan that the node must run.
    pub plan: String,
    /// When it ends.
    pub expires_at: Timestamp,
}

/// Why no token was made.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// A time to live that makes no sense.
    #[error("a token may live from 1 second to 24 hours, not {0:#}: choose another --ttl")]
    Ttl(SignedDuration),
    /// No such plan.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// The system gives no random bytes.
    #[error("getting random bytes from the system")]
    Random(#[source] getrandom::Error),
    /// The database cannot be opened.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It was refused.
    #[error(transparent)]
    Refused(#[from] Refusal),
}

/// Makes `count` tokens in the database at that place, in one transaction. Works while a server runs.
pub fn issue(
    location: impl Into<Location>,
    clock: &dyn Clock,
    plan: &str,
    ttl: SignedDuration,
    count: usize,
) -> Result<Vec<IssuedToken>, TokenError> {
    if ttl < SignedDuration::from_secs(1) || ttl > TTL_MAX {
        return Err(TokenError::Ttl(ttl));
    }
    let plan = Plan::built_in(plan)?.name;
    let tokens: Vec<_> =
        (0..count).map(|_| Token::generate()).collect::<Result<_, _>>().map_err(TokenError::Random)?;
    let write = |tx: &Tx<'_>| {
        tokens.iter().map(|token| Ok(insert(tx, token, &plan, ttl)?)).collect::<Result<_, Fault>>()
    };
    Ok(alone(location, clock, write)??)
}

fn insert(tx: &Tx<'_>, token: &Token, plan: &str, ttl: SignedDuration) -> Answer<IssuedToken> {
    let expires_at = tx.now.saturating_add(ttl).unwrap_or(tx.now);
    tx.run(
        "INSERT INTO tokens (id, secret_sha256, plan, created_at_ms, expires_at_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
        values![token.id(), &token.secret_sha256(), plan, tx.now, expires_at],
    )?;
    tx.audit(&Entry {
        action: "token_created",
        actor: "operator".to_owned(),
        token_id: Some(token.id().to_owned()),
        detail: Some(format!("plan {plan}, until {expires_at:.0}")),
        ..Entry::default()
    })?;
    Ok(IssuedToken { token: token.reveal(), id: token.id().to_owned(), plan: plan.to_owned(), expires_at })
}

/// A token as it is stored.
pub(super) struct Row {
    pub(super) secret_sha256: Vec<u8>,
    pub(super) plan: String,
    pub(super) expires_at_ms: i64,
    pub(super) consumed: bool,
    pub(super) request_sha256: Option<Vec<u8>>,
    pub(super) response: Option<String>,
}

pub(super) fn find(tx: &Tx<'_>, id: &str) -> Answer<Option<Row>> {
    tx.one(
        "SELECT secret_sha256, plan, expires_at_ms, consumed_at_ms IS NOT NULL, request_sha256, response
         FROM tokens WHERE id = ?1",
        values![id],
        |row| {
            Ok(Row {
                secret_sha256: row.get(0)?,
                plan: row.get(1)?,
                expires_at_ms: row.get(2)?,
                consumed: row.get(3)?,
                request_sha256: row.get(4)?,
                response: row.get(5)?,
            })
        },
    )
}

/// Marks the token as consumed; `false` if it was already. Never undone.
pub(super) fn consume(tx: &Tx<'_>, id: &str) -> Answer<bool> {
    let changed = tx.run(
        "UPDATE tokens SET consumed_at_ms = ?2 WHERE id = ?1 AND consumed_at_ms IS NULL",
        values![id, tx.now],
    )?;
    Ok(changed == 1)
}
