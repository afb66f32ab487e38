//! What operators decide where the rule cannot: merge two records of one machine, take evidence off a record, put one
//! machine in another's place, let a node out of quarantine. Each is one transaction with a cause, is in the audit and
//! among the decisions, and may be asked for again.
//!
//! None of them is enough to take work: whoever goes on must enrol and prove itself again. Retired is the end.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::audit::Entry;
use super::engine::{Answer, Location, values};
use super::identify::{self, disowned, held, identify};
use super::people::ChangeError;
use super::tx::{Fault, Step, Tx, alone, clean, to_json};
use crate::clock::Clock;
use crate::identity::{Comparison, Evidence, Outcome, Weights};
use crate::lifecycle::State;
use crate::refusal::{Code, Refusal};

/// What an operator decides.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "snake_case", deny_unknown_fields)]
pub enum Resolution {
    /// Both records are of one machine: `keep` goes on with the key and the evidence of `gone`, which ends.
    Merge {
        /// The record that goes on.
        keep: String,
        /// The one that ends.
        gone: String,
    },
    /// This evidence is not of this node, now and in future.
    Split {
        /// The node.
        node: String,
        /// What is taken off it.
        evidence: Vec<Evidence>,
    },
    /// The machine `new` stands where `old` stood, which ends.
    Replace {
        /// The record that ends.
        old: String,
        /// The one in its place.
        new: String,
    },
    /// The node may leave quarantine: what it was there for is settled.
    Release {
        /// The node.
        node: String,
    },
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resolved {
    /// The record that goes on.
    pub node_id: String,
    /// Where it stands now.
    pub state: String,
    /// The change by which it was done; absent if it had been done before.
    pub revision: Option<u64>,
}

impl Resolution {
    /// The records that it names.
    pub fn nodes(&self) -> impl Iterator<Item = &str> {
        let (one, other) = match self {
            Self::Merge { keep, gone } => (keep, Some(gone)),
            Self::Replace { old, new } => (old, Some(new)),
            Self::Split { node, .. } | Self::Release { node } => (node, None),
        };
        std::iter::once(one).chain(other).map(String::as_str)
    }

    /// Its verb.
    pub fn verb(&self) -> &'static str {
        match self {
            Self::Merge { .. } => "merge",
            Self::Split { .. } => "split",
            Self::Replace { .. } => "replace",
            Self::Release { .. } => "release",
        }
    }
}

impl fmt::Display for Resolution {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Merge { keep, gone } => write!(f, "merge {gone} into {keep}"),
            Self::Split { node, evidence } => {
                let values: Vec<_> = evidence.iter().map(|e| format!("{}={}", e.kind, e.value)).collect();
                write!(f, "split {} from {node}", values.join(", "))
            }
            Self::Replace { old, new } => write!(f, "replace {old} by {new}"),
            Self::Release { node } => write!(f, "release {node}"),
        }
    }
}

/// A record as it is before.
struct Record {
    id: String,
    state: State,
    reason: Option<String>,
}

/// One decision while it is carried out.
struct Work<'a> {
    tx: &'a Tx<'a>,
    resolution: &'a Resolution,
    actor: &'a str,
    cause: &'a str,
    weights: &'a Weights,
}

/// Carries out what an operator decided, in a process of its own beside a running server.
pub fn resolve(
    location: impl Into<Location>,
    clock: &dyn Clock,
    resolution: &Resolution,
    by: (&str, &str),
    weights: &Weights,
) -> Result<Resolved, ChangeError> {
    Ok(alone(location, clock, |tx| carry_out(tx, resolution, by, weights))??)
}

/// Carries out what an operator decided; `actor` says who, `cause` why.
pub(super) fn carry_out(
    tx: &Tx<'_>,
    resolution: &Resolution,
    (actor, cause): (&str, &str),
    weights: &Weights,
) -> Result<Resolved, Fault> {
    let cause = clean(cause);
    if cause.trim().is_empty() {
        return Err(Code::ResolutionRefused.because("it has no cause").into());
    }
    let work = Work { tx, resolution, actor, cause: &cause, weights };
    match resolution {
        Resolution::Merge { keep, gone } => work.merge(keep, gone),
        Resolution::Split { node, evidence } => work.split(node, evidence),
        Resolution::Replace { old, new } => work.replace(old, new),
        Resolution::Release { node } => work.release(node),
    }
}

impl Work<'_> {
    fn merge(&self, keep: &str, gone: &str) -> Result<Resolved, Fault> {
        let (keep, gone) = self.pair(keep, gone)?;
        let ended = format!("merged into {}", keep.id);
        if gone.reason.as_deref() == Some(&ended) {
            return Ok(already(keep));
        }
        self.check_not_retired(&[&keep, &gone])?;
        self.check_out_of_use(&[&keep, &gone])?;
        let mut evidence = held(self.tx, &gone.id)?;
        let older = held(self.tx, &keep.id)?;
        evidence.extend(
            older
                .into_iter()
                .filter(|old| !evidence.iter().any(|new| new.kind == old.kind))
                .collect::<Vec<_>>(),
        );
        self.check_free_of_others(&evidence, &[&keep.id, &gone.id])?;
        let revision = self.tx.next_revision("merge", &keep.id)?;
        self.swap_keys(&keep.id, &gone.id, revision)?;
        identify::hold(self.tx, &keep.id, &evidence)?;
        self.end(&gone, &ended, revision)?;
        let state = self.send_back(&keep, revision)?;
        self.keep_decision(&keep.id, Some(&gone.id), revision)?;
        Ok(Resolved { node_id: keep.id, state: state.to_string(), revision: Some(revision) })
    }

    fn split(&self, node: &str, evidence: &[Evidence]) -> Result<Resolved, Fault> {
        let record = self.record(node)?;
        self.check_not_retired(&[&record])?;
        if evidence.is_empty() {
            return Err(self.refuse("it names no evidence").into());
        }
        let (held, before) = (held(self.tx, node)?, disowned(self.tx, node)?);
        let among =
            |set: &[Evidence], one: &Evidence| set.iter().any(|e| e.kind == one.kind && e.value == one.value);
        if let Some(none) = evidence.iter().find(|one| !among(&held, one) && !among(&before, one)) {
            return Err(self.refuse(&format!("{node} does not hold {} {}", none.kind, none.value)).into());
        }
        if evidence.iter().all(|one| among(&before, one)) {
            return Ok(already(record));
        }
        let revision = self.tx.next_revision("split", node)?;
        for one in evidence {
            identify::stand(self.tx, node, one, "disowned")?;
        }
        self.touch(node, revision)?;
        self.keep_decision(node, None, revision)?;
        Ok(Resolved { node_id: record.id, state: record.state.to_string(), revision: Some(revision) })
    }

    fn replace(&self, old: &str, new: &str) -> Result<Resolved, Fault> {
        let (old, new) = self.pair(old, new)?;
        let ended = format!("replaced by {}", new.id);
        if old.reason.as_deref() == Some(&ended) {
            return Ok(already(new));
        }
        self.check_not_retired(&[&old, &new])?;
        self.check_out_of_use(&[&old])?;
        if new.state == State::Quarantined {
            self.check_free_of_others(&held(self.tx, &new.id)?, &[&old.id, &new.id])?;
        }
        let revision = self.tx.next_revision("replace", &new.id)?;
        self.end(&old, &ended, revision)?;
        let state = match new.state {
            State::Quarantined => self.send_back(&new, revision)?,
            other => {
                self.touch(&new.id, revision)?;
                other
            }
        };
        self.keep_decision(&new.id, Some(&old.id), revision)?;
        Ok(Resolved { node_id: new.id, state: state.to_string(), revision: Some(revision) })
    }

    fn release(&self, node: &str) -> Result<Resolved, Fault> {
        let record = self.record(node)?;
        self.check_not_retired(&[&record])?;
        if record.state != State::Quarantined {
            let sql = "SELECT outcome FROM decisions WHERE node_id = ?1 ORDER BY id DESC LIMIT 1";
            let last: Option<String> = self.tx.one(sql, values![node], |row| row.get(0))?;
            return match last.as_deref() {
                Some("release") => Ok(already(record)),
                _ => Err(self.refuse(&format!("{node} is {}, not quarantined", record.state)).into()),
            };
        }
        self.check_free_of_others(&held(self.tx, node)?, &[node])?;
        let revision = self.tx.next_revision("release", node)?;
        let state = self.send_back(&record, revision)?;
        self.keep_decision(node, None, revision)?;
        Ok(Resolved { node_id: record.id, state: state.to_string(), revision: Some(revision) })
    }

    fn refuse(&self, detail: &str) -> Refusal {
        Code::ResolutionRefused.because(format!("{}: {detail}", self.resolution))
    }

    fn record(&self, id: &str) -> Result<Record, Fault> {
        let sql = "SELECT state, reason FROM nodes WHERE id = ?1";
        let found: Option<(String, Option<String>)> =
            self.tx.one(sql, values![id], |row| Ok((row.get(0)?, row.get(1)?)))?;
        let (state, reason) = found.ok_or_else(|| Code::NodeUnknown.because(clean(id)))?;
        let state = State::parse(&state)
            .ok_or_else(|| Code::Internal.because(format!("unknown state `{state}`")).of_node(id))?;
        Ok(Record { id: id.to_owned(), state, reason })
    }

    fn pair(&self, one: &str, other: &str) -> Result<(Record, Record), Fault> {
        if one == other {
            return Err(self.refuse("they are one record").into());
        }
        Ok((self.record(one)?, self.record(other)?))
    }

    fn check_not_retired(&self, records: &[&Record]) -> Result<(), Fault> {
        match records.iter().find(|record| record.state == State::Retired) {
            Some(retired) => {
                let detail = format!("{} is retired, which is the end", retired.id);
                Err(self.refuse(&detail).of_node(&retired.id).into())
            }
            None => Ok(()),
        }
    }

    /// Work is running there.
    fn check_out_of_use(&self, records: &[&Record]) -> Result<(), Fault> {
        match records.iter().find(|record| record.state == State::Allocated) {
            Some(busy) => Err(self
                .refuse(&format!("{} is allocated: drain it first", busy.id))
                .of_node(&busy.id)
                .into()),
            None => Ok(()),
        }
    }

    /// Would it still claim what belongs to a third record?
    fn check_free_of_others(&self, evidence: &[Evidence], besides: &[&str]) -> Result<(), Fault> {
        let inputs = identify(self.tx, None, evidence, besides, self.weights)?;
        let is_close = |c: &&Comparison| c.outcome != Outcome::New;
        match inputs.decision.comparisons.iter().find(is_close) {
            Some(other) => {
                let matched: Vec<_> =
                    other.matched.iter().map(|m| format!("{} {}", m.kind, m.values.join(" "))).collect();
                let detail = format!("it still claims {} of {}", matched.join(", "), other.node);
                Err(Code::StillInConflict.because(detail).of_node(&other.node).into())
            }
            None => Ok(()),
        }
    }

    /// `keep` gets the key of `gone`, so that the machine goes on as `keep`; the key of `keep` ends with `gone`.
    fn swap_keys(&self, keep: &str, gone: &str, revision: u64) -> Result<(), Fault> {
        let key = |id| {
            let sql = "SELECT public_key FROM nodes WHERE id = ?1";
            self.tx.one(sql, values![id], |row| row.get::<[u8; 32]>(0))
        };
        let (Some(of_keep), Some(of_gone)) = (key(keep)?, key(gone)?) else {
            return Err(Code::NodeUnknown.because(keep).into());
        };
        let set = "UPDATE nodes SET public_key = ?2, revision = ?3 WHERE id = ?1";
        // No two records have one key, not even for a moment.
        let mut between = [0; 32];
        getrandom::fill(&mut between)
            .map_err(|_| Code::Internal.because("the system gives no random bytes"))?;
        for (id, key) in [(gone, &between), (keep, &of_gone), (gone, &of_keep)] {
            self.tx.run(set, values![id, key, revision])?;
        }
        Ok(())
    }

    /// A record ends; its evidence is free and its boots are over.
    fn end(&self, record: &Record, reason: &str, revision: u64) -> Answer<()> {
        self.step(record, State::Retired, revision)?;
        self.tx.run(
            "UPDATE nodes SET state = 'retired', reason = ?2, reason_code = ?3, pool = NULL, owner = NULL, revision = ?4
             WHERE id = ?1",
            values![&record.id, reason, self.resolution.verb(), revision],
        )?;
        self.close_boots(&record.id)?;
        super::parts::leave(self.tx, &record.id, revision)
    }

    /// A record starts from its enrolment again, where its state allows that.
    fn send_back(&self, record: &Record, revision: u64) -> Answer<State> {
        let way: &[State] = match record.state {
            State::Quarantined => &[State::Registering],
            other => other.on_enrolment(),
        };
        let mut at = Record { id: record.id.clone(), state: record.state, reason: None };
        for to in way {
            self.step(&at, *to, revision)?;
            at.state = *to;
        }
        self.tx.run(
            "UPDATE nodes SET state = ?2, pool = NULL, owner = NULL, verdict = NULL, revision = ?3,
                 reason = CASE WHEN state = ?2 THEN reason ELSE NULL END,
                 reason_code = CASE WHEN state = ?2 THEN reason_code ELSE NULL END
             WHERE id = ?1",
            values![&record.id, at.state.as_str(), revision],
        )?;
        self.close_boots(&record.id)?;
        Ok(at.state)
    }

    fn step(&self, record: &Record, to: State, revision: u64) -> Answer<()> {
        self.tx.step(&Step {
            node_id: &record.id,
            from: Some(record.state),
            to,
            cause: &format!("{}: {}", self.resolution, self.cause),
            actor: self.actor,
            evidence: None,
            revision,
        })
    }

    /// What was reported in them was reported by another.
    fn close_boots(&self, node: &str) -> Answer<()> {
        self.tx
            .run("UPDATE boots SET is_current = 0 WHERE node_id = ?1 AND is_current = 1", values![node])?;
        Ok(())
    }

    fn touch(&self, node: &str, revision: u64) -> Answer<()> {
        self.tx.run("UPDATE nodes SET revision = ?2 WHERE id = ?1", values![node, revision])?;
        Ok(())
    }

    fn keep_decision(&self, node: &str, other: Option<&str>, revision: u64) -> Answer<()> {
        let verb = self.resolution.verb();
        self.tx.run(
            "INSERT INTO decisions (id, node_id, outcome, other_id, score, effect, inputs, actor, cause, at_ms, revision)
             VALUES ((SELECT coalesce(max(id), 0) + 1 FROM decisions), ?1, ?2, ?3, 0, ?2, ?4, ?5, ?6, ?7, ?8)",
            values![node, verb, other, &to_json(self.resolution)?, self.actor, self.cause, self.tx.now, revision],
        )?;
        self.tx.audit(&Entry {
            action: verb,
            actor: self.actor.to_owned(),
            node_id: Some(node.to_owned()),
            detail: Some(format!("{}: {} (revision {revision})", self.resolution, self.cause)),
            ..Entry::default()
        })
    }
}

fn already(record: Record) -> Resolved {
    Resolved { node_id: record.id, state: record.state.to_string(), revision: None }
}
