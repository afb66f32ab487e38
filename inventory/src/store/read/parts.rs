//! The part ledger, as people and programs read it.

use jiff::Timestamp;
use serde::Serialize;

use super::{Answer, Row, StoreError, View, values};

/// A part in a node for a time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PartPlace {
    /// `gpu`, `nic`, `nvme`, `disk` or `board`.
    pub kind: String,
    /// What names it: serial number, UUID or address.
    pub serial: String,
    /// What it is.
    pub model: Option<String>,
    /// The node.
    pub node_id: String,
    /// Where in the node.
    pub place: Option<String>,
    /// The report that first showed it there came then.
    pub from: Timestamp,
    /// That report.
    pub from_revision: u64,
    /// The report that first showed the node without it came then; absent while it is there.
    pub to: Option<Timestamp>,
    /// Another node shows it since: `moved` if this one has not reported after that, `twice` if it has, with the part.
    pub contested: Option<&'static str>,
}

/// Which entries of the ledger are asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct PartFilter<'a> {
    /// Of this node.
    pub node: Option<&'a str>,
    /// Of the part with this name.
    pub part: Option<&'a str>,
    /// Those that are in two nodes at once.
    pub twice: bool,
    /// What has ended too.
    pub past: bool,
}

impl View {
    /// Entries of the ledger, by part, the oldest of each first.
    pub fn parts(&self, filter: &PartFilter<'_>) -> Result<Vec<PartPlace>, StoreError> {
        let base = "SELECT l.kind, l.serial, p.model, l.node_id, l.place, l.from_ms, l.from_revision, l.to_ms, l.contested,
                      EXISTS (SELECT 1 FROM part_places o WHERE o.kind = l.kind AND o.serial = l.serial
                              AND o.to_ms IS NULL AND o.id > l.id)
                    FROM part_places l JOIN parts p ON p.kind = l.kind AND p.serial = l.serial";
        let order = "ORDER BY l.kind, l.serial, l.id";
        let now = "(l.to_ms IS NULL OR ?2 = 1)";
        let past = filter.past;
        if filter.twice {
            return self.all(
                &format!("{base} WHERE l.contested = 2 AND l.to_ms IS NULL {order}"),
                &[],
                place,
            );
        }
        match (filter.node, filter.part) {
            (Some(node), None) => self.all(
                &format!("{base} WHERE l.node_id = ?1 AND {now} {order}"),
                values![node, past],
                place,
            ),
            // The history of a part is what it is asked for.
            (None, Some(part)) => {
                self.all(&format!("{base} WHERE l.serial = ?1 {order}"), values![part], place)
            }
            (Some(node), Some(part)) => self.all(
                &format!("{base} WHERE l.serial = ?1 AND l.node_id = ?2 {order}"),
                values![part, node],
                place,
            ),
            (None, None) => {
                self.all(&format!("{base} WHERE (l.to_ms IS NULL OR ?1 = 1) {order}"), values![past], place)
            }
        }
    }
}

fn place(row: &Row<'_>) -> Answer<PartPlace> {
    let (to, contested, later): (Option<Timestamp>, u32, bool) = (row.get(7)?, row.get(8)?, row.get(9)?);
    Ok(PartPlace {
        kind: row.get(0)?,
        serial: row.get(1)?,
        model: row.get(2)?,
        node_id: row.get(3)?,
        place: row.get(4)?,
        from: row.get(5)?,
        from_revision: row.get(6)?,
        to,
        contested: match (to, contested, later) {
            (None, 1, true) => Some("moved"),
            (None, 2, _) => Some("twice"),
            _ => None,
        },
    })
}
