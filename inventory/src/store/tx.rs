//! One write inside the transaction of its batch: the time, the revision, and the only way to move a node.

use std::cell::Cell;

use jiff::Timestamp;
use serde::Serialize;

use super::audit::Entry;
use super::chain::{self, Head, Line};
use super::engine::{Answer, DatabaseError, Engine, Location, Row, Value, values};
use super::{StoreError, schema};
use crate::clock::Clock;
use crate::credential;
use crate::lifecycle::State;
use crate::limits::{Buckets, Rate};
use crate::refusal::{Code, Refusal};

/// Longest text that is kept of what came from outside, in characters.
const TEXT_CHARS_MAX: usize = 300;

/// Why a write did not do what was asked.
pub(super) enum Fault {
    /// It must not be done. What was written up to here stays, and an audit line is added.
    Refused(Refusal),
    /// The database failed: nothing of this write stays.
    Database(DatabaseError),
}

impl From<DatabaseError> for Fault {
    fn from(error: DatabaseError) -> Self {
        Self::Database(error)
    }
}

impl From<Refusal> for Fault {
    fn from(refusal: Refusal) -> Self {
        Self::Refused(refusal)
    }
}

/// One write.
pub(super) struct Tx<'a> {
    engine: &'a dyn Engine,
    pub(super) now: Timestamp,
    pub(super) meter: &'a Buckets<Code>,
    /// The last line of the audit, if it is known.
    head: Cell<Option<Head>>,
}

/// One step of a node's life cycle, and why it is taken.
pub(super) struct Step<'a> {
    pub(super) node_id: &'a str,
    pub(super) from: Option<State>,
    pub(super) to: State,
    pub(super) cause: &'a str,
    pub(super) actor: &'a str,
    pub(super) evidence: Option<u64>,
    pub(super) revision: u64,
}

impl<'a> Tx<'a> {
    pub(super) fn new(engine: &'a dyn Engine, clock: &dyn Clock, meter: &'a Buckets<Code>) -> Self {
        Self { engine, now: clock.now(), meter, head: Cell::new(None) }
    }

    /// The same, with the last line of the audit as the write before it in the same transaction left it.
    pub(super) fn after(self, head: Option<Head>) -> Self {
        self.head.set(head);
        self
    }

    /// The last line of the audit, if this write or one before it had to know.
    pub(super) fn audit_head(&self) -> Option<Head> {
        self.head.get()
    }

    pub(super) fn now_ms(&self) -> i64 {
        self.now.as_millisecond()
    }

    /// Runs one statement; gives the number of rows that it changed.
    pub(super) fn run(&self, sql: &str, values: &[Value<'_>]) -> Answer<u64> {
        self.engine.run(sql, values)
    }

    /// The first row of an answer, if there is one.
    pub(super) fn one<T>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        read: impl Fn(&Row<'_>) -> Answer<T>,
    ) -> Answer<Option<T>> {
        self.engine.one(sql, values, read)
    }

    /// All rows of an answer.
    pub(super) fn all<T>(
        &self,
        sql: &str,
        values: &[Value<'_>],
        read: impl Fn(&Row<'_>) -> Answer<T>,
    ) -> Answer<Vec<T>> {
        self.engine.all(sql, values, read)
    }

    /// The number of the change that is being made.
    pub(super) fn next_revision(&self, kind: &str, node_id: &str) -> Answer<u64> {
        // One more than the highest; rows are never deleted.
        let sql = "INSERT INTO changes (revision, kind, node_id, at_ms)
                   VALUES ((SELECT coalesce(max(revision), 0) + 1 FROM changes), ?1, ?2, ?3) RETURNING revision";
        let revision = self.one(sql, values![kind, node_id, self.now], |row| row.get(0))?;
        revision.ok_or(DatabaseError::Value { column: 0, expected: "revision" })
    }

    /// Writes down that a node moves, and the audit line for it. The caller updates the node itself.
    pub(super) fn step(&self, step: &Step<'_>) -> Answer<()> {
        if let Some(from) = step.from {
            assert!(from.may_become(step.to), "the life cycle has no way from {from} to {}", step.to);
        }
        self.run(
            "INSERT INTO transitions (id, node_id, from_state, to_state, cause, actor, evidence, at_ms, revision)
             VALUES ((SELECT coalesce(max(id), 0) + 1 FROM transitions), ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
            values![
                step.node_id,
                step.from.map(State::as_str),
                step.to.as_str(),
                step.cause,
                step.actor,
                step.evidence,
                self.now,
                step.revision,
            ],
        )?;
        self.run(
            "UPDATE nodes SET since_ms = ?2 WHERE id = ?1 AND since_ms <> ?2",
            values![step.node_id, self.now],
        )?;
        let from = step.from.map_or("new", State::as_str);
        let entry = Entry {
            action: "transition",
            actor: step.actor.to_owned(),
            node_id: Some(step.node_id.to_owned()),
            detail: Some(format!("{from} -> {}: {} (revision {})", step.to, step.cause, step.revision)),
            ..Entry::default()
        };
        self.audit(&entry)
    }

    /// Writes one audit line, chained to the one before.
    pub(super) fn audit(&self, entry: &Entry) -> Answer<()> {
        let before = match self.head.get() {
            Some(head) => head,
            None => Head::stored(self.engine)?,
        };
        let detail = entry.detail.as_deref().map(clean);
        let line = Line {
            id: before.id + 1,
            at_ms: self.now_ms(),
            action: entry.action,
            code: entry.code,
            actor: &entry.actor,
            source: entry.source.as_deref(),
            node_id: entry.node_id.as_deref(),
            token_id: entry.token_id.as_deref(),
            detail: detail.as_deref(),
            dropped: entry.dropped,
        };
        let head = before.then(&line);
        self.run(chain::INSERT, &line.values(&head))?;
        self.head.set(Some(head));
        Ok(())
    }

    /// Writes the audit line of a refusal, unless there were too many of its kind; then it is counted.
    pub(super) fn audit_refusal(&self, source: Option<&str>, refusal: &Refusal) -> Answer<()> {
        match self.meter.take(refusal.code) {
            Ok(dropped) => self.audit(&Entry::of_refusal(source, refusal, dropped)),
            Err(_) => Ok(()),
        }
    }
}

/// Does one write from a process of its own, in its own transaction; works while a server runs. What is refused leaves its
/// audit line.
pub(super) fn alone<T>(
    location: impl Into<Location>,
    clock: &dyn Clock,
    work: impl FnOnce(&Tx<'_>) -> Result<T, Fault>,
) -> Result<Result<T, Refusal>, StoreError> {
    let engine = schema::open_for_writing(&location.into(), 0)?;
    let write = || -> Answer<Result<T, Refusal>> {
        engine.begin_write()?;
        let meter = Buckets::new(Rate { per_s: 0.0, burst: 1.0 }, 1);
        let tx = Tx::new(engine.as_ref(), clock, &meter);
        let done = match work(&tx) {
            Ok(done) => Ok(done),
            Err(Fault::Database(error)) => return Err(error),
            Err(Fault::Refused(refusal)) => {
                tx.audit_refusal(None, &refusal)?;
                Err(refusal)
            }
        };
        engine.commit()?;
        engine.finish()?;
        Ok(done)
    };
    write().map_err(StoreError::Write)
}

/// A text from outside, fit to be kept and shown: short, without control characters, without the secret of a token.
pub(crate) fn clean(text: &str) -> String {
    let short: String =
        report::text::clean(&credential::redact(text)).chars().take(TEXT_CHARS_MAX + 1).collect();
    match short.char_indices().nth(TEXT_CHARS_MAX) {
        Some((end, _)) => format!("{}...", &short[..end]),
        None => short,
    }
}

/// A value as it is stored.
pub(super) fn to_json(value: &impl Serialize) -> Answer<String> {
    serde_json::to_string(value).map_err(|error| DatabaseError::Rejected(Box::new(error)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_is_short_and_plain_and_without_secrets() {
        let token = credential::Token::generate().unwrap().reveal();
        let text = clean(&format!("\x1b[2J\n{token} {}", "long ".repeat(1000)));
        assert!(!text.chars().any(char::is_control));
        assert!(text.chars().count() <= TEXT_CHARS_MAX + 3);
        assert!(!text.contains(&token[20..]), "{text}");
        assert_eq!(clean("plain"), "plain");
    }
}
