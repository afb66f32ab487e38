//! The part ledger: which part was in which node from when to when. Only what changed is written, so that a report like
//! the one before costs one read.
//!
//! A part that another node shows is not taken away from the first: it may have moved, or be there twice. It has moved if
//! the first shows up without it; it is in two nodes at once if the first shows it again, and then that is a finding.

use std::collections::BTreeMap;

use super::audit::Entry;
use super::engine::{Answer, values};
use super::tx::{Tx, clean};
use crate::parts::{Part, PartList};

/// A part of which the ledger says that it is here.
struct Open {
    id: u64,
    kind: String,
    serial: String,
    place: Option<String>,
    contested: u32,
    from_revision: u64,
}

/// A serial number that so many nodes show at once is a default of its maker and names no part.
const SHARED_MAX: u32 = 8;
/// Code of the audit line of a part that is in two nodes at once.
const PART_TWICE: &str = "part_twice";

/// Brings the ledger of a node to what its report shows.
pub(super) fn note(tx: &Tx<'_>, node: &str, list: &PartList, revision: u64) -> Answer<()> {
    let open = open(tx, node)?;
    let mut here: BTreeMap<(&str, &str), &Part> =
        list.parts.iter().map(|part| ((part.kind.as_str(), part.serial.as_str()), part)).collect();
    for known in &open {
        match here.remove(&(known.kind.as_str(), known.serial.as_str())) {
            Some(part) if part.place == known.place => still_here(tx, node, known, revision)?,
            // It went to another slot.
            Some(part) => {
                close(tx, known, revision)?;
                put(tx, node, part, revision)?;
            }
            None if list.whole.iter().any(|kind| kind.as_str() == known.kind) => close(tx, known, revision)?,
            None => {}
        }
    }
    here.values().try_for_each(|part| put(tx, node, part, revision))
}

/// The node is no more: nothing is in it from now on.
pub(super) fn leave(tx: &Tx<'_>, node: &str, revision: u64) -> Answer<()> {
    open(tx, node)?.iter().try_for_each(|part| close(tx, part, revision))
}

fn open(tx: &Tx<'_>, node: &str) -> Answer<Vec<Open>> {
    tx.all(
        "SELECT id, kind, serial, place, contested, from_revision FROM part_places
         WHERE node_id = ?1 AND to_ms IS NULL",
        values![node],
        |row| {
            Ok(Open {
                id: row.get(0)?,
                kind: row.get(1)?,
                serial: row.get(2)?,
                place: row.get(3)?,
                contested: row.get(4)?,
                from_revision: row.get(5)?,
            })
        },
    )
}

fn close(tx: &Tx<'_>, part: &Open, revision: u64) -> Answer<()> {
    let sql = "UPDATE part_places SET to_ms = ?2, to_revision = ?3 WHERE id = ?1";
    tx.run(sql, values![part.id, tx.now, revision])?;
    if part.contested > 0 {
        // With one place left nobody contests it.
        tx.run(
            "UPDATE part_places SET contested = 0 WHERE kind = ?1 AND serial = ?2 AND to_ms IS NULL AND 1 = (
                 SELECT count(*) FROM part_places o WHERE o.kind = ?1 AND o.serial = ?2 AND o.to_ms IS NULL)",
            values![&part.kind, &part.serial],
        )?;
    }
    Ok(())
}

fn put(tx: &Tx<'_>, node: &str, part: &Part, revision: u64) -> Answer<()> {
    let (kind, serial) = (part.kind.as_str(), &clean(&part.serial));
    let open =
        "SELECT count(*) FROM (SELECT 1 FROM part_places WHERE kind = ?1 AND serial = ?2 AND to_ms IS NULL
                                      LIMIT ?3) AS open";
    let shown: u32 = tx.one(open, values![kind, serial, SHARED_MAX], |row| row.get(0))?.unwrap_or(0);
    if shown >= SHARED_MAX {
        return Ok(());
    }
    let text = |text: &Option<String>| text.as_deref().map(clean);
    tx.run(
        "INSERT INTO parts (kind, serial, model, first_seen_ms) VALUES (?1, ?2, ?3, ?4)
         ON CONFLICT (kind, serial) DO UPDATE SET model = coalesce(excluded.model, parts.model)",
        values![kind, serial, &text(&part.model), tx.now],
    )?;
    let elsewhere = tx.run(
        "UPDATE part_places SET contested = CASE WHEN contested = 0 THEN 1 ELSE contested END
         WHERE kind = ?1 AND serial = ?2 AND to_ms IS NULL AND node_id <> ?3",
        values![kind, serial, node],
    )?;
    tx.run(
        "INSERT INTO part_places (id, kind, serial, node_id, place, from_ms, from_revision, contested)
         VALUES ((SELECT coalesce(max(id), 0) + 1 FROM part_places), ?1, ?2, ?3, ?4, ?5, ?6, ?7)",
        values![kind, serial, node, &text(&part.place), tx.now, revision, elsewhere > 0],
    )?;
    Ok(())
}

/// Nothing to write, unless another node has shown the part since: then it is in two at once.
fn still_here(tx: &Tx<'_>, node: &str, known: &Open, revision: u64) -> Answer<()> {
    if known.contested != 1 {
        return Ok(());
    }
    // The other is one that came later than this one, or that has shown it again since this one came.
    let other: Option<String> = tx.one(
        "SELECT p.node_id FROM part_places p
         WHERE p.kind = ?1 AND p.serial = ?2 AND p.to_ms IS NULL AND p.node_id <> ?3
           AND (p.from_revision > ?4 OR EXISTS (
               SELECT 1 FROM reports r WHERE r.node_id = p.node_id AND r.revision > ?4))
         ORDER BY p.id LIMIT 1",
        values![&known.kind, &known.serial, node, known.from_revision],
        |row| row.get(0),
    )?;
    let Some(other) = other else { return Ok(()) };
    tx.run(
        "UPDATE part_places SET contested = 2 WHERE kind = ?1 AND serial = ?2 AND to_ms IS NULL",
        values![&known.kind, &known.serial],
    )?;
    tx.audit(&Entry {
        action: "finding",
        code: Some(PART_TWICE),
        actor: "inventory".to_owned(),
        node_id: Some(node.to_owned()),
        detail: Some(format!("{} {} is in {other} too (revision {revision})", known.kind, known.serial)),
        ..Entry::default()
    })
}
