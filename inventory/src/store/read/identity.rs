//! Decisions on identity, as people and programs read them.

use jiff::Timestamp;
use serde::Serialize;
use serde_json::Value as Json;

use super::{Answer, DatabaseError, Row, StoreError, View, values};

/// One decision on which machine a node is.
#[derive(Clone, Debug, Serialize)]
pub struct DecisionRow {
    /// Its number.
    pub id: u64,
    /// When.
    pub at: Timestamp,
    /// The claimant; of an operator's decision the record that goes on.
    pub node_id: String,
    /// `same`, `new`, `conflict`; of an operator `merge`, `split`, `replace`, `release`.
    pub outcome: String,
    /// The other record that it is about.
    pub other_id: Option<String>,
    /// In which way they conflict.
    pub why: Option<String>,
    /// Points that speak for the other record.
    pub score: u32,
    /// What was done.
    pub effect: String,
    /// Who asked or decided.
    pub actor: String,
    /// An operator's reason.
    pub cause: Option<String>,
    /// SHA-256 of the weights.
    pub weights: Option<String>,
    /// The change that it is part of.
    pub revision: u64,
}

/// A decision with all that it was made of.
#[derive(Clone, Debug, Serialize)]
pub struct DecisionDetail {
    /// The decision.
    #[serde(flatten)]
    pub row: DecisionRow,
    /// Claim, candidates and comparisons, or what the operator asked for.
    pub inputs: Json,
    /// The weights that it was made with.
    pub weights_used: Option<Json>,
}

const DECISION: &str = "
    SELECT d.id, d.at_ms, d.node_id, d.outcome, d.other_id, d.why, d.score, d.effect, d.actor, d.cause, d.weights,
           d.revision";

impl View {
    /// The last decisions below that number, of all nodes or about one, the oldest of them first.
    pub fn decisions(
        &self,
        node: Option<&str>,
        before: u64,
        last: u32,
    ) -> Result<Vec<DecisionRow>, StoreError> {
        let about = node.map_or("", |_| "AND (d.node_id = ?3 OR d.other_id = ?3)");
        let sql = format!("{DECISION} FROM decisions d WHERE d.id < ?1 {about} ORDER BY d.id DESC LIMIT ?2");
        let mut rows = match node {
            None => self.all(&sql, values![before, last], decision)?,
            Some(node) => self.all(&sql, values![before, last, node], decision)?,
        };
        rows.reverse();
        Ok(rows)
    }

    /// One decision with all that it was made of.
    pub fn decision(&self, id: u64) -> Result<Option<DecisionDetail>, StoreError> {
        let sql = format!(
            "{DECISION}, d.inputs, w.body FROM decisions d LEFT JOIN weights w ON w.sha256 = d.weights WHERE d.id = ?1"
        );
        self.one(&sql, values![id], |row| {
            let body: Option<String> = row.get(13)?;
            Ok(DecisionDetail {
                row: decision(row)?,
                inputs: json(row.get(12)?, 12)?,
                weights_used: body.map(|body| json(&body, 13)).transpose()?,
            })
        })
    }
}

fn json(text: &str, column: usize) -> Answer<Json> {
    serde_json::from_str(text).map_err(|_| DatabaseError::Value { column, expected: "JSON" })
}

fn decision(row: &Row<'_>) -> Answer<DecisionRow> {
    Ok(DecisionRow {
        id: row.get(0)?,
        at: row.get(1)?,
        node_id: row.get(2)?,
        outcome: row.get(3)?,
        other_id: row.get(4)?,
        why: row.get(5)?,
        score: row.get(6)?,
        effect: row.get(7)?,
        actor: row.get(8)?,
        cause: row.get(9)?,
        weights: row.get(10)?,
        revision: row.get(11)?,
    })
}
