//! How one node stands, read for readiness and the controller.

use jiff::Timestamp;
use serde::Serialize;

use crate::lifecycle::readiness::{blockers, conditions};
use crate::lifecycle::{Condition, Policy, Standing, State, Wish};
use crate::store::StoreError;
use crate::store::engine::{Answer, DatabaseError, Row, values};
use crate::store::read::View;
use crate::store::tx::Tx;
use report::Verdict;

const SQL: &str = "
    SELECT n.state, n.since_ms, n.reason, n.verdict, n.reported_at_ms, n.proven_at_ms, b.plan, n.heard_at_ms, n.wish,
           n.hold, n.conditions
    FROM nodes n LEFT JOIN boots b ON b.node_id = n.id AND b.is_current = 1 WHERE n.id = ?1";

/// How a node stands, with its conditions as they were last written down.
type Found = Option<(Standing, Vec<Condition>)>;

/// Inside a write.
pub(in crate::store) fn load(tx: &Tx<'_>, id: &str) -> Answer<Found> {
    tx.one(SQL, values![id], standing)
}

/// May a node take work, and if not, why.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Readiness {
    /// May it?
    pub ready: bool,
    /// Where it stands.
    pub state: State,
    /// What blocks it, by type of condition.
    pub blocking: Vec<String>,
    /// All conditions, `Ready` first.
    pub conditions: Vec<Condition>,
}

impl View {
    /// How a node stands.
    pub fn standing(&self, id: &str) -> Result<Option<Standing>, StoreError> {
        Ok(self.one(SQL, values![id], standing)?.map(|(standing, _)| standing))
    }

    /// Its conditions; none if there is no such node.
    pub fn conditions(
        &self,
        id: &str,
        policy: &Policy,
        now: Timestamp,
    ) -> Result<Vec<Condition>, StoreError> {
        let found = self.one(SQL, values![id], standing)?;
        Ok(found.map_or_else(Vec::new, |(node, before)| conditions(&node, policy, now, &before)))
    }

    /// May it take work, and if not, what blocks it.
    pub fn readiness(
        &self,
        id: &str,
        policy: &Policy,
        now: Timestamp,
    ) -> Result<Option<Readiness>, StoreError> {
        let Some((node, before)) = self.one(SQL, values![id], standing)? else { return Ok(None) };
        let blocking: Vec<_> = blockers(&node, policy, now).into_iter().map(|blocker| blocker.kind).collect();
        Ok(Some(Readiness {
            ready: blocking.is_empty() && node.state.is_in_pool(),
            state: node.state,
            blocking,
            conditions: conditions(&node, policy, now, &before),
        }))
    }
}

fn standing(row: &Row<'_>) -> Answer<(Standing, Vec<Condition>)> {
    let unreadable = |column, expected| DatabaseError::Value { column, expected };
    let verdict = match row.get::<Option<&str>>(3)? {
        None => None,
        Some(word) => Some(verdict(word).ok_or_else(|| unreadable(3, "verdict"))?),
    };
    let node = Standing {
        state: State::parse(row.get(0)?).ok_or_else(|| unreadable(0, "state"))?,
        since: row.get(1)?,
        reason: row.get(2)?,
        verdict,
        reported_at: row.get(4)?,
        proven_at: row.get(5)?,
        plan: row.get(6)?,
        heard_at: row.get(7)?,
        wish: Wish::parse(row.get(8)?).ok_or_else(|| unreadable(8, "wish"))?,
        hold: row.get(9)?,
    };
    let before = serde_json::from_str(row.get(10)?).map_err(|_| unreadable(10, "conditions"))?;
    Ok((node, before))
}

fn verdict(word: &str) -> Option<Verdict> {
    [Verdict::Healthy, Verdict::Degraded, Verdict::Faulty, Verdict::Unknown]
        .into_iter()
        .find(|verdict| verdict.as_str() == word)
}
