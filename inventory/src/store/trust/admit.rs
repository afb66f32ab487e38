//! What the level of a node does to its place: who waits for trust only becomes available, and who no longer has enough
//! leaves the pool. A node that has work keeps it; it is looked at again when it is free.

use report::wire::TrustLevel;
use report::{Plan, Verdict};

use super::super::engine::{Answer, values};
use super::super::tx::{Fault, Step, Tx};
use super::{refresh, standing};
use crate::lifecycle::State;
use crate::trust::TrustPolicy;

/// How many nodes one sweep looks at.
const SWEEP_MAX: u32 = 500;

/// The latest report of a node's current boot.
struct Latest {
    state: State,
    plan: Plan,
    verdict: String,
    revision: u64,
}

/// The pool of nodes that stood that plan.
pub(in crate::store) fn pool_of(plan: &Plan) -> &'static str {
    if plan.is_software() { "software" } else { "gpu" }
}

/// The level that the node needs after its latest report, or after any if there is none.
pub(in crate::store) fn needed(tx: &Tx<'_>, policy: &TrustPolicy, node_id: &str) -> Answer<TrustLevel> {
    let sql = "SELECT plan FROM boots WHERE node_id = ?1 AND is_current = 1";
    let plan: Option<String> = tx.one(sql, values![node_id], |row| row.get(0))?;
    let plan = plan.and_then(|name| Plan::built_in(&name).ok());
    Ok(plan.map_or(policy.minimum, |plan| policy.needed(pool_of(&plan), &plan.name)))
}

/// Moves the node, if its level says so.
pub(in crate::store) fn settle(
    tx: &Tx<'_>,
    policy: &TrustPolicy,
    node_id: &str,
    revision: u64,
) -> Result<(), Fault> {
    let Some(latest) = latest(tx, node_id)? else { return Ok(()) };
    let pool = pool_of(&latest.plan);
    let missing = standing(tx, node_id)?.missing(policy.needed(pool, &latest.plan.name));
    let (to, pool, reason) = match (latest.state, missing) {
        (State::Validating, None) if latest.verdict == Verdict::Healthy.as_str() => {
            (State::Available, Some(pool), None)
        }
        (State::Available, Some(missing)) => (State::Validating, None, Some(missing)),
        _ => return Ok(()),
    };
    tx.step(&Step {
        node_id,
        from: Some(latest.state),
        to,
        cause: reason.as_deref().unwrap_or("trust level reached"),
        actor: "inventory",
        evidence: Some(latest.revision),
        revision,
    })?;
    tx.run(
        "UPDATE nodes SET state = ?2, pool = ?3, reason = ?4, revision = ?5 WHERE id = ?1",
        values![node_id, to.as_str(), pool, &reason, revision],
    )?;
    Ok(())
}

/// Lets the levels fall whose time is over; gives how many were looked at.
pub(in crate::store) fn lapse(tx: &Tx<'_>, policy: &TrustPolicy) -> Result<usize, Fault> {
    let sql = "SELECT id FROM nodes WHERE trust_expires_at_ms <= ?1 ORDER BY trust_expires_at_ms LIMIT ?2";
    let due: Vec<String> = tx.all(sql, values![tx.now, SWEEP_MAX], |row| row.get(0))?;
    for node_id in &due {
        let revision = tx.next_revision("trust_lapsed", node_id)?;
        refresh(tx, node_id)?;
        tx.run("UPDATE nodes SET revision = ?2 WHERE id = ?1", values![node_id, revision])?;
        settle(tx, policy, node_id, revision)?;
    }
    Ok(due.len())
}

fn latest(tx: &Tx<'_>, node_id: &str) -> Answer<Option<Latest>> {
    let sql = "SELECT n.state, r.plan, r.verdict, r.revision FROM nodes n
               JOIN boots b ON b.node_id = n.id AND b.is_current = 1
               JOIN reports r ON r.node_id = n.id AND r.boot_id = b.boot_id
               WHERE n.id = ?1 ORDER BY r.sequence DESC LIMIT 1";
    let found = tx.one(sql, values![node_id], |row| {
        let state = State::parse(row.get(0)?);
        let plan = Plan::built_in(row.get(1)?).ok();
        let (verdict, revision) = (row.get(2)?, row.get(3)?);
        Ok(state.zip(plan).map(|(state, plan)| Latest { state, plan, verdict, revision }))
    })?;
    Ok(found.flatten())
}
