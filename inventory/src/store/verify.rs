//! Is what is stored what was written? Everything is read again: the file's own structure, references, the digest and the
//! signature of each report, stored answers, each node's way through its life cycle, the audit's chain.
//!
//! What it cannot see in SQLite, whose pages carry no checksums: a change to what nothing else speaks of, such as labels,
//! conditions, reasons, times, the digest of a token's secret. It vouches for what nodes sent and signed, who they are,
//! where they stand and how they came there, and for the audit.

use std::collections::HashMap;

use data_encoding::HEXLOWER;
use ed25519_dalek::{Signature, VerifyingKey};
use report::wire::{EnrolResponse, ReportAck, signing_context};
use serde::Serialize;
use sha2::{Digest, Sha256};

use super::chain::{self, Head};
use super::engine::{Answer, Dialect, Engine, Location, Row, values};
use super::{StoreError, schema};
use crate::identity::node_id;
use crate::lifecycle::State;

/// Findings that are kept; a file that is damaged all over needs no longer list.
const WRONG_MAX: usize = 100;
/// Reports that are read at once.
const REPORTS_AT_ONCE: u32 = 64;

/// What was read, and what is wrong with it.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Verified {
    /// Nodes whose id, state and steps were compared.
    pub nodes: u64,
    /// Reports whose bytes were compared with their digest.
    pub reports: u64,
    /// Reports whose signature was verified; the others were stored before their nonce was kept with them.
    pub signatures: u64,
    /// Lines of the audit.
    pub audit_lines: u64,
    /// The head of the audit, as `inventory audit head` prints it.
    pub audit_head: Option<String>,
    /// What is wrong, the first of it.
    pub wrong: Vec<Wrong>,
}

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Wrong {
    /// With what.
    pub subject: String,
    /// What.
    pub detail: String,
}

/// Reads all of the database at that place. A server may run meanwhile.
pub fn verify(location: &Location, noted: Option<Head>) -> Result<Verified, StoreError> {
    let engine = schema::open_for_reading(location)?;
    engine.begin_read().map_err(StoreError::Read)?;
    Ok(verified(engine.as_ref(), noted))
}

pub(super) fn verified(engine: &dyn Engine, noted: Option<Head>) -> Verified {
    let mut reading = Reading { engine, found: Verified::default() };
    reading.stage("the file", Reading::file);
    reading.stage("changes", Reading::changes);
    reading.stage("nodes", Reading::nodes);
    reading.stage("transitions", Reading::transitions);
    reading.stage("reports", Reading::reports);
    reading.stage("tokens", Reading::tokens);
    reading.stage("the audit", |this| this.audit(noted));
    reading.found
}

struct Reading<'a> {
    engine: &'a dyn Engine,
    found: Verified,
}

impl Reading<'_> {
    /// What cannot even be read is wrong too, and the rest is still looked at.
    fn stage(&mut self, name: &str, read: impl FnOnce(&mut Self) -> Answer<()>) {
        if let Err(error) = read(self) {
            let cause =
                std::error::Error::source(&error).map_or_else(String::new, |cause| format!(": {cause}"));
            self.wrong(name, format!("{error}{cause}"));
        }
    }

    fn wrong(&mut self, subject: impl Into<String>, detail: impl Into<String>) {
        if self.found.wrong.len() < WRONG_MAX {
            self.found.wrong.push(Wrong { subject: subject.into(), detail: detail.into() });
        }
    }

    /// SQLite's own structure and references. PostgreSQL keeps references by itself and has checksums in its pages.
    fn file(&mut self) -> Answer<()> {
        if self.engine.dialect() != Dialect::Sqlite {
            return Ok(());
        }
        let sql = format!("PRAGMA integrity_check({WRONG_MAX})");
        for found in self.engine.all(&sql, &[], |row| row.get::<String>(0))? {
            if found != "ok" {
                self.wrong("the file", found);
            }
        }
        let broken = self.engine.all("PRAGMA foreign_key_check", &[], |row| {
            Ok((row.get::<String>(0)?, row.get::<Option<i64>>(1)?, row.get::<String>(2)?))
        })?;
        for (table, row, parent) in broken {
            let row = row.map_or_else(|| "a row".to_owned(), |row| format!("row {row}"));
            self.wrong(table, format!("{row} refers to one of {parent} that is not there"));
        }
        self.columns()?;
        self.values()
    }

    /// A wrong letter in how a table is worded would change what a column is called.
    fn columns(&mut self) -> Answer<()> {
        let [there, new] = schema::columns(self.engine)?;
        for column in there.iter().filter(|column| !new.contains(column)) {
            self.wrong("the schema", format!("this version does not make `{column}`"));
        }
        for column in new.iter().filter(|column| !there.contains(column)) {
            self.wrong("the schema", format!("`{column}` is missing"));
        }
        Ok(())
    }

    /// Every value has the form of its type: SQLite itself does not look whether a text is one.
    fn values(&mut self) -> Answer<()> {
        for table in self.engine.tables()? {
            let sql = format!("SELECT {} FROM {}", table.columns.join(", "), table.name);
            let read = self.engine.each(&sql, &[], &mut |row| {
                (0..table.columns.len()).try_for_each(|column| row.value(column).map(drop))
            });
            if let Err(error) = read {
                self.wrong(&table.name, error.to_string());
            }
        }
        Ok(())
    }

    /// Numbered without a gap, but for those that a restore leaves out.
    fn changes(&mut self) -> Answer<()> {
        let sql = "SELECT c.revision FROM changes c WHERE c.kind <> 'restored' AND c.revision > 1
                   AND NOT EXISTS (SELECT 1 FROM changes b WHERE b.revision = c.revision - 1)";
        for revision in self.engine.all(sql, &[], |row| row.get::<i64>(0))? {
            self.wrong(format!("change {revision}"), "the change before it is missing");
        }
        Ok(())
    }

    /// Each node has the name of its key, and stands where its last step led.
    fn nodes(&mut self) -> Answer<()> {
        let sql = "SELECT n.id, n.public_key, n.state,
                       (SELECT t.to_state FROM transitions t WHERE t.node_id = n.id ORDER BY t.id DESC LIMIT 1)
                   FROM nodes n ORDER BY n.id";
        let nodes = self.engine.all(sql, &[], |row| {
            Ok((
                row.get::<String>(0)?,
                row.get::<[u8; 32]>(1)?,
                row.get::<String>(2)?,
                row.get::<Option<String>>(3)?,
            ))
        })?;
        for (id, key, state, last) in nodes {
            self.found.nodes += 1;
            if id != node_id(&key) {
                self.wrong(&id, "its key belongs to another name");
            }
            if State::parse(&state).is_none() {
                self.wrong(&id, format!("there is no state `{state}`"));
            } else if last.as_deref() != Some(&state) {
                let last = last.unwrap_or_else(|| "nowhere".to_owned());
                self.wrong(&id, format!("it is {state}, its last step led to {last}"));
            }
        }
        Ok(())
    }

    /// Each step begins where the one before ended, is one that the life cycle has, and has its line in the audit.
    fn transitions(&mut self) -> Answer<()> {
        let sql = "SELECT id, node_id, from_state, to_state FROM transitions ORDER BY id";
        let steps = self.engine.all(sql, &[], |row| {
            let (id, node): (u64, String) = (row.get(0)?, row.get(1)?);
            Ok((id, node, row.get::<Option<String>>(2)?, row.get::<String>(3)?))
        })?;
        let count = steps.len() as u64;
        let mut stands: HashMap<String, String> = HashMap::new();
        for (id, node, from, to) in steps {
            let before = stands.insert(node.clone(), to.clone());
            let states = (from.as_deref().map(State::parse), State::parse(&to));
            let is_legal = match states {
                (None, Some(_)) => before.is_none(),
                (Some(Some(from)), Some(to)) => from.may_become(to),
                _ => false,
            };
            if before != from {
                let before = before.unwrap_or_else(|| "new".to_owned());
                self.wrong(
                    format!("step {id} of {node}"),
                    format!("it does not begin where {node} was, {before}"),
                );
            } else if !is_legal {
                let from = from.unwrap_or_else(|| "new".to_owned());
                self.wrong(
                    format!("step {id} of {node}"),
                    format!("the life cycle has no way from {from} to {to}"),
                );
            }
        }
        let sql = "SELECT count(*) FROM audit WHERE action = 'transition'";
        let lines = self.engine.one(sql, &[], |row| row.get::<u64>(0))?.unwrap_or(0);
        if lines != count {
            self.wrong(
                "transitions",
                format!("there are {count} steps and {lines} lines of the audit for them"),
            );
        }
        Ok(())
    }

    /// Bytes, digest, signature and answer of each report. A few at once: together they may be larger than the memory.
    fn reports(&mut self) -> Answer<()> {
        let sql = format!(
            "SELECT r.revision, r.node_id, r.boot_id, r.sequence, r.sha256, r.signature, r.bytes, r.nonce,
                 r.ack, r.verdict, n.public_key
             FROM reports r JOIN nodes n ON n.id = r.node_id
             WHERE r.revision > ?1 ORDER BY r.revision LIMIT {REPORTS_AT_ONCE}"
        );
        let mut last = i64::MIN;
        loop {
            let before = self.found.reports;
            let mut wrong = Vec::new();
            let found = &mut self.found;
            self.engine.each(&sql, values![last], &mut |row| {
                last = row.get(0)?;
                found.reports += 1;
                match report(row) {
                    Ok(is_verified) => found.signatures += u64::from(is_verified),
                    Err(detail) => wrong.push((format!("report {last}"), detail)),
                }
                Ok(())
            })?;
            wrong.into_iter().for_each(|(subject, detail)| self.wrong(subject, detail));
            if self.found.reports == before {
                return Ok(());
            }
        }
    }

    /// Stored answers can be given again.
    fn tokens(&mut self) -> Answer<()> {
        let sql = "SELECT id, response, node_id FROM tokens WHERE response IS NOT NULL ORDER BY id";
        let tokens = self.engine.all(sql, &[], |row| {
            Ok((row.get::<String>(0)?, row.get::<String>(1)?, row.get::<Option<String>>(2)?))
        })?;
        for (id, response, node) in tokens {
            match serde_json::from_str::<EnrolResponse>(&response) {
                Ok(response) if Some(&response.node_id) == node.as_ref() => {}
                Ok(_) => self.wrong(format!("token {id}"), "its answer names another node"),
                Err(_) => self.wrong(format!("token {id}"), "its answer cannot be read"),
            }
        }
        Ok(())
    }

    fn audit(&mut self, noted: Option<Head>) -> Answer<()> {
        match chain::walk(self.engine, noted)? {
            Ok(head) => {
                (self.found.audit_lines, self.found.audit_head) = (head.id, Some(head.to_string()));
            }
            Err(broken) => self.wrong("the audit", broken.to_string()),
        }
        Ok(())
    }
}

/// Is a report what its node signed? `true` if the signature could be verified, `false` if its nonce was not kept.
fn report(row: &Row<'_>) -> Result<bool, String> {
    let unreadable = |error: super::DatabaseError| error.to_string();
    let bytes: &[u8] = row.get(6).map_err(unreadable)?;
    let digest: &str = row.get(4).map_err(unreadable)?;
    if HEXLOWER.encode(&Sha256::digest(bytes)) != digest {
        return Err("its bytes are not those of its digest".to_owned());
    }
    let ack: &str = row.get(8).map_err(unreadable)?;
    let ack: ReportAck = serde_json::from_str(ack).map_err(|_| "its answer cannot be read".to_owned())?;
    let verdict: &str = row.get(9).map_err(unreadable)?;
    if row.get::<u64>(0).map_err(unreadable)? != ack.revision || verdict != ack.verdict.verdict.as_str() {
        return Err("its answer is that of another".to_owned());
    }
    let Some(nonce) = row.get::<Option<&str>>(7).map_err(unreadable)? else { return Ok(false) };
    let (node, boot): (&str, &str) = (row.get(1).map_err(unreadable)?, row.get(2).map_err(unreadable)?);
    let context = signing_context(node, boot, row.get(3).map_err(unreadable)?, nonce, bytes);
    let (key, signature): ([u8; 32], [u8; 64]) =
        (row.get(10).map_err(unreadable)?, row.get(5).map_err(unreadable)?);
    VerifyingKey::from_bytes(&key)
        .and_then(|key| key.verify_strict(&context, &Signature::from_bytes(&signature)))
        .map_err(|_| "its signature is not that of its node".to_owned())?;
    Ok(true)
}
