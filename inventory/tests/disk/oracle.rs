//! What the clients were told, against what a database holds: each acknowledgement is there, whole, and nothing is there
//! by half.

use std::path::Path;
use std::sync::Arc;

use inventory::clock::SystemClock;
use inventory::store::Store;
use inventory::store::read::View;
use report::wire::{EnrolResponse, ReportAck};
use rusqlite::Connection;
use sha2::{Digest, Sha256};

use crate::desk::{Desk, Handed};
use crate::support::Node;

/// One acknowledgement.
pub(crate) enum Acked {
    Tokens(Vec<String>),
    Enrolled(EnrolResponse, Node, String),
    Reported(Handed, ReportAck),
}

/// What is wrong with a database.
pub(crate) type Wrong = String;

/// Opens the database as the server would, and compares. `go_on` says whether it must also take more.
pub(crate) fn check(path: &Path, acked: &[Acked], go_on: bool) -> Result<(), Wrong> {
    let store = Store::open(path, Default::default(), Arc::new(SystemClock));
    let store = store.map_err(|error| format!("the store does not open: {error:?}"))?;
    check_open(path, acked).map_err(|error| error.to_string())?;
    drop(store);
    if go_on {
        let desk = Desk::open(path).map_err(|error| format!("the store does not open again: {error:?}"))?;
        let token = desk.tokens(1).map_err(|error| format!("no token: {error:?}"))?.remove(0);
        let answer = desk.enrol(&[(Node::new(), token)]).remove(0);
        answer.map_err(|problem| format!("it takes no enrolment: {problem:?}"))?;
        check_open(path, acked).map_err(|error| error.to_string())?;
    }
    Ok(())
}

fn check_open(path: &Path, acked: &[Acked]) -> Result<(), Box<dyn std::error::Error>> {
    let connection = Connection::open(path)?;
    connection.execute_batch("BEGIN")?;
    nothing_by_half(&connection)?;
    let view = View::open(path)?;
    for acked in acked {
        let missing = match acked {
            Acked::Tokens(tokens) => tokens.iter().any(|token| !has_token(&connection, token)),
            Acked::Enrolled(session, node, token) => !has_boot(&connection, session, node, token)?,
            Acked::Reported(handed, ack) => !has_report(&connection, &view, handed, ack)?,
        };
        if missing {
            return Err(format!("lost: {}", acked.name()).into());
        }
    }
    Ok(())
}

impl Acked {
    fn name(&self) -> String {
        match self {
            Self::Tokens(tokens) => format!("{} tokens", tokens.len()),
            Self::Enrolled(session, node, _) => format!("boot {} of {}", node.boot_id, session.node_id),
            Self::Reported(handed, ack) => {
                format!("report {} of {}, revision {}", handed.sequence, handed.session.node_id, ack.revision)
            }
        }
    }
}

/// The public id stands after the prefix.
fn has_token(connection: &Connection, token: &str) -> bool {
    let mut sql = connection.prepare_cached("SELECT 1 FROM tokens WHERE instr(?1, id) > 0").unwrap();
    sql.exists([token]).unwrap()
}

fn has_boot(
    connection: &Connection,
    session: &EnrolResponse,
    node: &Node,
    token: &str,
) -> rusqlite::Result<bool> {
    let mut boot = connection
        .prepare_cached("SELECT 1 FROM boots WHERE node_id = ?1 AND boot_id = ?2 AND nonce = ?3")?;
    let mut consumed = connection.prepare_cached(
        "SELECT 1 FROM tokens WHERE instr(?1, id) > 0 AND consumed_at_ms IS NOT NULL AND node_id = ?2",
    )?;
    Ok(boot.exists((&session.node_id, &node.boot_id, &session.nonce))?
        && consumed.exists((token, &session.node_id))?)
}

fn has_report(
    connection: &Connection,
    view: &View,
    handed: &Handed,
    ack: &ReportAck,
) -> Result<bool, Box<dyn std::error::Error>> {
    let mut sql = connection.prepare_cached(
        "SELECT 1 FROM reports WHERE revision = ?1 AND node_id = ?2 AND boot_id = ?3 AND sequence = ?4",
    )?;
    let key = (ack.revision, &handed.session.node_id, &handed.node.boot_id, handed.sequence);
    Ok(sql.exists(key)? && view.report_bytes(ack.revision)?.as_ref() == Some(&handed.bytes))
}

/// Each change has all of its rows, and no row is without its change.
fn nothing_by_half(connection: &Connection) -> Result<(), Box<dyn std::error::Error>> {
    let intact: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0))?;
    if intact != "ok" {
        return Err(intact.into());
    }
    if connection.prepare("PRAGMA foreign_key_check")?.exists([])? {
        return Err("a row refers to one that is not there".into());
    }
    let laws = [
        ("revisions have a gap", "SELECT coalesce(max(revision), 0) <> count(*) FROM changes"),
        (
            "an enrolment is there by half",
            "SELECT exists(SELECT 1 FROM changes c WHERE kind = 'enrolment' AND (
                 (SELECT count(*) FROM audit a WHERE a.action = 'enrolled' AND a.node_id = c.node_id
                      AND a.detail LIKE '%(revision ' || c.revision || ')') <> 1
                 OR NOT exists(SELECT 1 FROM nodes n WHERE n.id = c.node_id AND n.revision >= c.revision)
                 OR NOT exists(SELECT 1 FROM boots b WHERE b.node_id = c.node_id AND b.revision = c.revision)))",
        ),
        (
            "a report is there by half",
            "SELECT exists(SELECT 1 FROM changes c WHERE kind = 'report' AND (
                 NOT exists(SELECT 1 FROM reports r WHERE r.revision = c.revision AND r.node_id = c.node_id)
                 OR (SELECT count(*) FROM audit a WHERE a.action = 'report_accepted' AND a.node_id = c.node_id
                      AND a.detail LIKE '%(revision ' || c.revision || ')') <> 1))",
        ),
        (
            "a report has no change",
            "SELECT (SELECT count(*) FROM reports) <> (SELECT count(*) FROM changes WHERE kind = 'report')",
        ),
        (
            "a token is consumed by half",
            "SELECT (SELECT count(*) FROM tokens WHERE consumed_at_ms IS NOT NULL AND response IS NOT NULL
                     AND request_sha256 IS NOT NULL AND node_id IS NOT NULL)
                 <> (SELECT count(*) FROM changes WHERE kind = 'enrolment')
                 OR exists(SELECT 1 FROM tokens WHERE (consumed_at_ms IS NULL) <> (response IS NULL))",
        ),
        (
            "a token has no audit line",
            "SELECT (SELECT count(*) FROM tokens)
                 <> (SELECT count(*) FROM audit WHERE action = 'token_created')",
        ),
        (
            "a step has no audit line",
            "SELECT (SELECT count(*) FROM transitions)
                 <> (SELECT count(*) FROM audit WHERE action = 'transition')",
        ),
        (
            "a node is not where its last step led",
            "SELECT exists(SELECT 1 FROM nodes n WHERE n.state <> (
                 SELECT to_state FROM transitions t WHERE t.node_id = n.id ORDER BY id DESC LIMIT 1))",
        ),
    ];
    for (wrong, sql) in laws {
        if connection.prepare_cached(sql)?.query_row([], |row| row.get::<_, bool>(0))? {
            return Err(wrong.into());
        }
    }
    let mut reports = connection.prepare_cached("SELECT bytes, sha256 FROM reports")?;
    let mut rows = reports.query([])?;
    while let Some(row) = rows.next()? {
        let (bytes, sha256): (Vec<u8>, String) = (row.get(0)?, row.get(1)?);
        if data_encoding::HEXLOWER.encode(&Sha256::digest(&bytes)) != sha256 {
            return Err("a report has other bytes than its digest".into());
        }
    }
    Ok(())
}
