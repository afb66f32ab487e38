//! The numbered changes of the record, for those who watch.

use jiff::Timestamp;
use serde::Serialize;

use crate::store::StoreError;
use crate::store::engine::values;
use crate::store::read::View;

/// One change.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Its number.
    pub revision: u64,
    /// `enrolment`, `report`, `move`, `wish`, `labels`, `allocation` and so on.
    pub kind: String,
    /// Of which node.
    pub node_id: String,
    /// When.
    pub at: Timestamp,
    /// Where that node stands now, which may be later than this change.
    pub state: Option<String>,
}

impl View {
    /// The last change; 0 if there is none.
    pub fn head(&self) -> Result<u64, StoreError> {
        Ok(self.span()?.1)
    }

    /// The first and the last change that are kept; the first is 1 and the last 0 where there is none.
    pub fn span(&self) -> Result<(u64, u64), StoreError> {
        // Two look-ups in the index each; both at once would read it whole.
        let sql = "SELECT (SELECT coalesce(min(revision), 1) FROM changes), (SELECT coalesce(max(revision), 0) FROM changes)";
        let span = self.one(sql, &[], |row| Ok((row.get(0)?, row.get(1)?)))?;
        Ok(span.unwrap_or((1, 0)))
    }

    /// Changes after a revision, the first of them first.
    pub fn changes(&self, since: u64, limit: u32) -> Result<Vec<Change>, StoreError> {
        self.all(
            "SELECT c.revision, c.kind, c.node_id, c.at_ms, n.state FROM changes c LEFT JOIN nodes n ON n.id = c.node_id
             WHERE c.revision > ?1 ORDER BY c.revision LIMIT ?2",
            values![since, limit],
            |row| {
                Ok(Change {
                    revision: row.get(0)?,
                    kind: row.get(1)?,
                    node_id: row.get(2)?,
                    at: row.get(3)?,
                    state: row.get(4)?,
                })
            },
        )
    }
}
