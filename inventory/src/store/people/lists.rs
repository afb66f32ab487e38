//! Lists with the latest first, page by page.

use crate::store::StoreError;
use crate::store::engine::{Answer, Row, values};
use crate::store::read::{
    AUDIT_COLUMNS, AuditRow, ReportRow, Transition, View, audit_row, report_row, transition,
};

/// Rows, and below which number to go on; absent at the end.
type Listed<T> = (Vec<T>, Option<u64>);

impl View {
    /// Steps of a node's life below a number; absent if there is no such node.
    pub fn history(
        &self,
        id: &str,
        before: u64,
        limit: u32,
    ) -> Result<Option<Listed<Transition>>, StoreError> {
        if !self.has_node(id)? {
            return Ok(None);
        }
        let sql = "SELECT from_state, to_state, cause, actor, evidence, at_ms, revision, id FROM transitions
                   WHERE node_id = ?1 AND id < ?2 ORDER BY id DESC LIMIT ?3";
        let read = |row: &Row<'_>| -> Answer<_> { Ok((row.get(7)?, transition(row)?)) };
        Ok(Some(cut(self.all(sql, values![id, before, limit + 1], read)?, limit)))
    }

    /// Reports of a node below a revision; absent if there is no such node.
    pub fn reports(
        &self,
        id: &str,
        before: u64,
        limit: u32,
    ) -> Result<Option<Listed<ReportRow>>, StoreError> {
        if !self.has_node(id)? {
            return Ok(None);
        }
        let sql = "SELECT revision, boot_id, sequence, run_id, plan, ack, sha256, received_at_ms FROM reports
                   WHERE node_id = ?1 AND revision < ?2 ORDER BY revision DESC LIMIT ?3";
        let read = |row: &Row<'_>| -> Answer<_> { Ok((row.get(0)?, report_row(row)?)) };
        Ok(Some(cut(self.all(sql, values![id, before, limit + 1], read)?, limit)))
    }

    /// Lines of the audit below a number.
    pub fn audit_before(&self, before: u64, limit: u32) -> Result<Listed<AuditRow>, StoreError> {
        let sql = format!("SELECT {AUDIT_COLUMNS} FROM audit WHERE id < ?1 ORDER BY id DESC LIMIT ?2");
        let read = |row: &Row<'_>| -> Answer<_> { Ok((row.get(0)?, audit_row(row)?)) };
        Ok(cut(self.all(&sql, values![before, limit + 1], read)?, limit))
    }

    fn has_node(&self, id: &str) -> Result<bool, StoreError> {
        let found = self.one("SELECT 1 FROM nodes WHERE id = ?1", values![id], |row| row.get::<i64>(0))?;
        Ok(found.is_some())
    }
}

/// One row more than is asked for tells that there are more.
fn cut<T>(mut rows: Vec<(u64, T)>, limit: u32) -> Listed<T> {
    let more = rows.len() > limit as usize;
    rows.truncate(limit as usize);
    let next = rows.last().map(|(number, _)| *number).filter(|_| more);
    (rows.into_iter().map(|(_, row)| row).collect(), next)
}
