//! The controller: moves nodes after the operator's wish, the deadlines and what they have proven, each move in a
//! transaction that looks at the node again. Several replicas may run it at once.

use jiff::Timestamp;

use super::standing::load;
use crate::lifecycle::readiness::conditions;
use crate::lifecycle::{Move, Policy, Standing, State, next_move};
use crate::store::engine::{Answer, Value, values};
use crate::store::read::View;
use crate::store::tx::{Step, Tx, clean, to_json};
use crate::store::{Store, StoreError};

/// Nodes of one round; the next round follows at once.
const ROUND: u32 = 256;
/// Moves of one node in a row: `validating`, `failed`, `maintenance`; more would be a circle.
const MOVES_MAX: usize = 4;
/// Who moves nodes.
const ACTOR: &str = "controller";

impl Store {
    /// Moves every node that is due; gives how many moves that took. What could not be written is due again next time.
    pub async fn settle_due(&self, now: Timestamp) -> Result<usize, StoreError> {
        let mut moves = 0;
        loop {
            let (store, policy) = (self.clone(), self.policy);
            let due = tokio::task::spawn_blocking(move || store.view(|view| view.due(&policy, now)));
            let due = due.await.unwrap_or_else(|_| Ok(Vec::new()))?;
            let is_last = due.len() < ROUND as usize;
            let round = self.settle_all(due).await;
            moves += round;
            // Where nothing moves, another round would find the same nodes.
            if is_last || round == 0 {
                return Ok(moves);
            }
        }
    }

    async fn settle_all(&self, due: Vec<String>) -> usize {
        let policy = self.policy;
        let work = move |tx: &Tx<'_>| {
            let mut moves = 0;
            for id in &due {
                moves += settle(tx, id, &policy)?;
            }
            Ok(moves)
        };
        self.submit(None, work).await.unwrap_or_else(|refusal| {
            tracing::warn!(%refusal, "nodes that are due could not be moved");
            0
        })
    }
}

impl View {
    /// Nodes that may be due: those that the controller should look at.
    fn due(&self, policy: &Policy, now: Timestamp) -> Result<Vec<String>, StoreError> {
        let before = |age| now.saturating_sub(age).unwrap_or(Timestamp::MIN);
        let mut due = Vec::new();
        let mut find = |rule: &str, values: &[Value<'_>]| -> Result<(), StoreError> {
            let left = (ROUND as usize).saturating_sub(due.len());
            let sql = format!("SELECT id FROM nodes WHERE {rule} LIMIT {left}");
            due.extend(self.all(&sql, values, |row| row.get::<String>(0))?);
            Ok(())
        };
        for state in [State::Registering, State::Inspecting, State::Validating, State::Failed] {
            // The plan's time comes on top; whether that is over too is looked at in the transaction.
            let limit = policy.deadline(state, None).unwrap_or_default();
            let overdue = values![state.as_str(), before(limit)];
            find("state = ?1 AND since_ms < ?2 AND hold = 0 ORDER BY since_ms", overdue)?;
        }
        let proof = values![before(policy.proof)];
        find("state = 'available' AND proven_at_ms < ?1 AND hold = 0 ORDER BY proven_at_ms", proof)?;
        find(
            "state = 'validating' AND verdict = 'healthy' AND proven_at_ms >= ?1 AND hold = 0
             AND wish = 'in_service' ORDER BY id",
            proof,
        )?;
        find("state = 'maintenance' AND wish = 'in_service' ORDER BY id", &[])?;
        find(
            "wish <> 'in_service' AND state NOT IN ('retired', 'maintenance', 'quarantined', 'allocated') ORDER BY id",
            &[],
        )?;
        find("wish <> 'in_service' AND wish = 'maintenance' AND state = 'allocated' ORDER BY id", &[])?;
        find(
            "wish <> 'in_service' AND wish = 'retired' AND state IN ('maintenance', 'quarantined') ORDER BY id",
            &[],
        )?;
        Ok(due)
    }
}

/// Moves one node as far as it must go now; gives how many moves that took.
pub(in crate::store) fn settle(tx: &Tx<'_>, id: &str, policy: &Policy) -> Answer<usize> {
    for moves in 0..MOVES_MAX {
        let Some((node, _)) = load(tx, id)? else { return Ok(moves) };
        let Some(step) = next_move(&node, policy, tx.now) else {
            if moves > 0 {
                refresh(tx, id, policy)?;
            }
            return Ok(moves);
        };
        apply(tx, id, &node, &step)?;
    }
    refresh(tx, id, policy)?;
    Ok(MOVES_MAX)
}

fn apply(tx: &Tx<'_>, id: &str, node: &Standing, step: &Move) -> Answer<()> {
    let revision = tx.next_revision("move", id)?;
    let from = Some(node.state);
    tx.step(&Step {
        node_id: id,
        from,
        to: step.to,
        cause: &step.cause,
        actor: ACTOR,
        evidence: None,
        revision,
    })?;
    let pool = (step.to == State::Available).then(|| node.pool());
    // What led to a failure stays the reason while it is mended.
    let keeps_reason = step.to == State::Repair;
    let is_good = matches!(step.to, State::Available | State::Registering);
    let reason = (!is_good).then(|| clean(&step.cause));
    tx.run(
        "UPDATE nodes SET state = ?2, pool = ?3, revision = ?4,
                          reason = CASE WHEN ?5 = 1 THEN reason ELSE ?6 END,
                          reason_code = CASE WHEN ?5 = 1 THEN reason_code ELSE ?7 END,
                          verdict = CASE WHEN ?8 = 1 THEN NULL ELSE verdict END,
                          owner = NULL
         WHERE id = ?1",
        values![
            id,
            step.to.as_str(),
            pool,
            revision,
            keeps_reason,
            &reason,
            (!is_good).then_some(step.code),
            matches!(step.to, State::Registering | State::Validating),
        ],
    )?;
    Ok(())
}

/// Writes the node's conditions down again if one of them changed.
pub(in crate::store) fn refresh(tx: &Tx<'_>, id: &str, policy: &Policy) -> Answer<()> {
    let Some((node, before)) = load(tx, id)? else { return Ok(()) };
    let after = conditions(&node, policy, tx.now, &before);
    if after != before {
        tx.run("UPDATE nodes SET conditions = ?2 WHERE id = ?1", values![id, &to_json(&after)?])?;
    }
    Ok(())
}
