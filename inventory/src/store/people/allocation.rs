//! A scheduler takes a node for an owner, and gives it back. The same functions that tell people what blocks a node decide
//! here.

use serde::Serialize;

use super::Order;
use super::controller::{refresh, settle};
use super::standing::load;
use crate::lifecycle::readiness::blockers;
use crate::lifecycle::{Policy, Standing, State};
use crate::refusal::{Code, Refusal};
use crate::store::Store;
use crate::store::engine::values;
use crate::store::tx::{Fault, Step, Tx, clean};

/// Longest name of an owner, in characters.
const OWNER_CHARS_MAX: usize = 128;

/// Who has a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Allocation {
    /// Which node.
    pub node_id: String,
    /// Who has work on it.
    pub owner: Option<String>,
    /// Where it stands.
    pub state: State,
}

impl Store {
    /// Gives a ready node to an owner.
    pub async fn allocate(&self, order: Order, owner: String) -> Result<Allocation, Refusal> {
        let policy = self.policy;
        let source = order.source.clone();
        self.submit(source, move |tx: &Tx<'_>| allocate(tx, &order, &owner, &policy)).await
    }

    /// Takes a node back; with `validate` it must prove itself before its next work.
    pub async fn release(&self, order: Order, owner: String, validate: bool) -> Result<Allocation, Refusal> {
        let policy = self.policy;
        let source = order.source.clone();
        self.submit(source, move |tx: &Tx<'_>| release(tx, &order, (&owner, validate), &policy)).await
    }
}

/// The node and who has it.
fn look(tx: &Tx<'_>, order: &Order) -> Result<(Standing, Option<String>), Fault> {
    let owner = tx.one("SELECT owner FROM nodes WHERE id = ?1", values![&order.node_id], |row| row.get(0))?;
    match (load(tx, &order.node_id)?, owner) {
        (Some((node, _)), Some(owner)) => Ok((node, owner)),
        _ => Err(order.unknown()),
    }
}

fn refuse(order: &Order, refusal: Refusal) -> Fault {
    refusal.of_node(&order.node_id).of_actor(order.actor.clone()).into()
}

fn no_way(order: &Order, node: &Standing, to: &str) -> Fault {
    let detail = format!("a node that is {} cannot be {to}", node.state);
    refuse(order, Code::TransitionNotAllowed.because(detail).allowing(node.state.followers()))
}

fn allocate(tx: &Tx<'_>, order: &Order, owner: &str, policy: &Policy) -> Result<Allocation, Fault> {
    let owner = clean(owner.trim());
    if owner.is_empty() || owner.chars().count() > OWNER_CHARS_MAX {
        let detail = format!("`owner` has from 1 to {OWNER_CHARS_MAX} characters");
        return Err(refuse(order, Code::BodyMalformed.because(detail)));
    }
    let (node, has) = look(tx, order)?;
    let allocated = |owner| Allocation { node_id: order.node_id.clone(), owner, state: State::Allocated };
    match (node.state, has) {
        (State::Allocated, Some(has)) if has == owner => return Ok(allocated(Some(has))),
        (State::Allocated, _) => return Err(refuse(order, Code::AllocatedToAnother.into())),
        (state, _) if !state.may_become(State::Allocated) => return Err(no_way(order, &node, "allocated")),
        _ => {}
    }
    let blocked = blockers(&node, policy, tx.now);
    if !blocked.is_empty() {
        let names: Vec<_> = blocked.iter().map(|blocker| blocker.kind.as_str()).collect();
        return Err(refuse(order, Code::NodeNotReady.because(format!("blocked by {}", names.join(", ")))));
    }
    step(tx, order, &node, (State::Allocated, &format!("allocated: for {owner}: {}", order.cause)))?;
    tx.run("UPDATE nodes SET owner = ?2 WHERE id = ?1", values![&order.node_id, &owner])?;
    tx.audit(&order.entry("allocated", format!("for {owner}")))?;
    refresh(tx, &order.node_id, policy)?;
    Ok(allocated(Some(owner)))
}

fn release(
    tx: &Tx<'_>,
    order: &Order,
    (owner, validate): (&str, bool),
    policy: &Policy,
) -> Result<Allocation, Fault> {
    let (node, has) = look(tx, order)?;
    if node.state != State::Allocated {
        return Err(no_way(order, &node, "released"));
    }
    if has.as_deref() != Some(owner) {
        return Err(refuse(order, Code::AllocatedToAnother.into()));
    }
    let to = if validate || !blockers(&node, policy, tx.now).is_empty() {
        State::Validating
    } else {
        State::Available
    };
    step(tx, order, &node, (to, &format!("released: by {owner}: {}", order.cause)))?;
    tx.audit(&order.entry("released", format!("by {owner}, {to}")))?;
    if settle(tx, &order.node_id, policy)? == 0 {
        refresh(tx, &order.node_id, policy)?;
    }
    let (node, owner) = look(tx, order)?;
    Ok(Allocation { node_id: order.node_id.clone(), owner, state: node.state })
}

/// Moves the node; who had it has it no longer.
fn step(tx: &Tx<'_>, order: &Order, node: &Standing, (to, cause): (State, &str)) -> Result<(), Fault> {
    let id = &order.node_id;
    let revision = tx.next_revision("allocation", id)?;
    let (from, cause) = (Some(node.state), clean(cause));
    tx.step(&Step { node_id: id, from, to, cause: &cause, actor: &order.actor, evidence: None, revision })?;
    let pool = to.is_in_pool().then(|| node.pool());
    tx.run(
        "UPDATE nodes SET state = ?2, pool = ?3, revision = ?4, owner = NULL,
                          verdict = CASE WHEN ?2 = 'validating' THEN NULL ELSE verdict END
         WHERE id = ?1",
        values![id, to.as_str(), pool, revision],
    )?;
    Ok(())
}
