//! Tokens in the store: made by an operator's process, consumed by the enrolment that uses them.

use jiff::{SignedDuration, Timestamp};
use report::Plan;
use report::plan::PlanError;
use serde::Serialize;

use super::StoreError;
use super::audit::Entry;
use super::engine::{Answer, Location, values};
use super::tx::{Tx, alone};
use crate::clock::Clock;
use crate::refusal::Code;
use crate::token::Token;

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
    /// There is no node that it could be for.
    #[error("there is no node `{0}` that could enrol: `inventory nodes` lists those there are")]
    NoNode(String),
}

/// Makes `count` tokens in the database at that place, in one transaction. Works while a server runs.
pub fn issue(
    location: impl Into<Location>,
    clock: &dyn Clock,
    plan: &str,
    ttl: SignedDuration,
    count: usize,
) -> Result<Vec<IssuedToken>, TokenError> {
    make(&location.into(), clock, (plan, ttl, count), None)
}

/// Makes a token that is good for one node only, and lets it change its key if nothing speaks against it.
pub fn issue_for(
    location: impl Into<Location>,
    clock: &dyn Clock,
    plan: &str,
    ttl: SignedDuration,
    node: &str,
) -> Result<IssuedToken, TokenError> {
    let mut issued = make(&location.into(), clock, (plan, ttl, 1), Some(node))?;
    issued.pop().ok_or_else(|| TokenError::NoNode(node.to_owned()))
}

fn make(
    location: &Location,
    clock: &dyn Clock,
    (plan, ttl, count): (&str, SignedDuration, usize),
    node: Option<&str>,
) -> Result<Vec<IssuedToken>, TokenError> {
    if ttl < SignedDuration::from_secs(1) || ttl > TTL_MAX {
        return Err(TokenError::Ttl(ttl));
    }
    let plan = Plan::built_in(plan)?.name;
    let tokens: Vec<_> =
        (0..count).map(|_| Token::generate()).collect::<Result<_, _>>().map_err(TokenError::Random)?;
    let made = alone(location, clock, |tx| {
        let sql = "SELECT 1 FROM nodes WHERE id = ?1 AND state <> 'retired'";
        let is_there =
            |node| tx.one(sql, values![node], |row| row.get::<i64>(0)).map(|found| found.is_some());
        if let Some(node) = node
            && !is_there(node)?
        {
            return Err(Code::NodeUnknown.because(node).into());
        }
        let made = tokens.iter().map(|token| insert(tx, token, &plan, ttl, node)).collect::<Answer<_>>();
        Ok(made?)
    })?;
    made.map_err(|_| TokenError::NoNode(node.unwrap_or_default().to_owned()))
}

fn insert(
    tx: &Tx<'_>,
    token: &Token,
    plan: &str,
    ttl: SignedDuration,
    node: Option<&str>,
) -> Answer<IssuedToken> {
    let expires_at = tx.now.saturating_add(ttl).unwrap_or(tx.now);
    tx.run(
        "INSERT INTO tokens (id, secret_sha256, plan, created_at_ms, expires_at_ms, for_node)
         VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        values![token.id(), &token.secret_sha256(), plan, tx.now, expires_at, node],
    )?;
    tx.audit(&Entry {
        action: "token_created",
        actor: "operator".to_owned(),
        node_id: node.map(ToOwned::to_owned),
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
    /// The one node that it is for.
    pub(super) for_node: Option<String>,
}

pub(super) fn find(tx: &Tx<'_>, id: &str) -> Answer<Option<Row>> {
    tx.one(
        "SELECT secret_sha256, plan, expires_at_ms, consumed_at_ms IS NOT NULL, request_sha256, response, for_node
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
                for_node: row.get(6)?,
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
