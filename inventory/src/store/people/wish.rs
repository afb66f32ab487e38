//! What an operator wants of a node. A change names the revision of the wish that it is based on.

use serde::Serialize;

use super::Order;
use super::controller::{refresh, settle};
use super::standing::load;
use crate::lifecycle::{State, Wish};
use crate::refusal::{Code, Refusal};
use crate::store::engine::{Answer, DatabaseError, Row, values};
use crate::store::read::View;
use crate::store::tx::{Fault, Tx};
use crate::store::{Store, StoreError};

/// What is wanted of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct WishRow {
    /// What is to become of it.
    pub desired: Wish,
    /// Must the controller leave it where it is?
    pub hold: bool,
    /// Why.
    pub cause: Option<String>,
    /// The change that said so; 0 if nobody said anything yet.
    pub revision: u64,
}

/// A new wish.
#[derive(Clone, Copy, Debug)]
pub struct WishChange {
    /// What is to become of the node.
    pub desired: Wish,
    /// Must the controller leave it where it is? As it was if absent.
    pub hold: Option<bool>,
    /// The revision of the wish that this one follows; any if absent.
    pub based_on: Option<u64>,
}

const SQL: &str = "SELECT wish, hold, wish_cause, wish_revision FROM nodes WHERE id = ?1";

impl Store {
    /// Changes what is wanted of a node, and moves it at once if it can follow.
    pub async fn change_wish(&self, order: Order, change: WishChange) -> Result<WishRow, Refusal> {
        let policy = self.policy;
        let source = order.source.clone();
        let work = move |tx: &Tx<'_>| {
            let wish = record(tx, &order, change)?;
            if settle(tx, &order.node_id, &policy)? == 0 {
                refresh(tx, &order.node_id, &policy)?;
            }
            Ok(wish)
        };
        self.submit(source, work).await
    }
}

impl View {
    /// What is wanted of a node.
    pub fn wish(&self, id: &str) -> Result<Option<WishRow>, StoreError> {
        self.one(SQL, values![id], row)
    }
}

/// Writes a wish down; the controller follows it.
pub(super) fn record(tx: &Tx<'_>, order: &Order, change: WishChange) -> Result<WishRow, Fault> {
    let id = &order.node_id;
    let (Some(before), Some((node, _))) = (tx.one(SQL, values![id], row)?, load(tx, id)?) else {
        return Err(order.unknown());
    };
    let refuse = |refusal: Refusal| refusal.of_node(id).of_actor(order.actor.clone());
    if change.based_on.is_some_and(|revision| revision != before.revision) {
        let detail = format!("the wish is of revision {}", before.revision);
        return Err(refuse(Code::PreconditionFailed.because(detail)).into());
    }
    let hold = change.hold.unwrap_or(before.hold);
    if (change.desired, hold) == (before.desired, before.hold) {
        return Ok(before);
    }
    if !can_follow(node.state, change.desired) {
        let detail = format!("a node that is {} cannot be wished {}", node.state, change.desired);
        return Err(
            refuse(Code::TransitionNotAllowed.because(detail).allowing(node.state.followers())).into()
        );
    }
    let revision = tx.next_revision("wish", id)?;
    tx.run(
        "UPDATE nodes SET wish = ?2, hold = ?3, wish_cause = ?4, wish_revision = ?5, revision = ?5 WHERE id = ?1",
        values![id, change.desired.as_str(), hold, &order.cause, revision],
    )?;
    let held = if hold { ", held" } else { "" };
    let detail = format!("{} -> {}{held} (revision {revision})", before.desired, change.desired);
    tx.audit(&order.entry("wish_changed", detail))?;
    Ok(WishRow { desired: change.desired, hold, cause: Some(order.cause.clone()), revision })
}

/// A wish that the life cycle can never fulfil is refused now, not kept for ever.
fn can_follow(state: State, wish: Wish) -> bool {
    let is_in_doubt = state == State::Quarantined;
    state != State::Retired && !(is_in_doubt && matches!(wish, Wish::Drain | Wish::Maintenance))
}

fn row(row: &Row<'_>) -> Answer<WishRow> {
    let unreadable = || DatabaseError::Value { column: 0, expected: "wish" };
    Ok(WishRow {
        desired: Wish::parse(row.get(0)?).ok_or_else(unreadable)?,
        hold: row.get(1)?,
        cause: row.get(2)?,
        revision: row.get(3)?,
    })
}
