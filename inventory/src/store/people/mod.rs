//! What people and their programs ask of the record: keys, wishes, labels, allocations; pages, streams and figures; and the
//! controller that moves nodes after wishes and deadlines.

mod keys;
mod standing;
mod controller;
mod wish;
mod labels;
mod allocation;
mod heartbeats;
mod page;
mod lists;
mod changes;
mod fleet;

pub use allocation::Allocation;
pub use changes::Change;
pub(super) use controller::refresh;
pub use heartbeats::Heartbeats;
pub(super) use keys::Uses;
pub use keys::{Created, KeyError, KeyRow, create as create_key, revoke as revoke_key};
pub use labels::Facets;
pub(super) use labels::derive;
pub use page::{Filter, Page};
pub use standing::Readiness;
pub(super) use standing::load;
pub use wish::{WishChange, WishRow};

use std::collections::BTreeMap;

use super::StoreError;
use super::audit::Entry;
use super::engine::{Answer, Location, values};
use super::tx::{Fault, Tx, alone};
use crate::clock::Clock;
use crate::refusal::{Code, Refusal};

/// A change that someone asks for.
#[derive(Clone, Debug)]
pub struct Order {
    /// Of which node.
    pub node_id: String,
    /// Who asks.
    pub actor: String,
    /// Why.
    pub cause: String,
    /// From where.
    pub source: Option<String>,
}

impl Order {
    /// The audit line of what was done.
    fn entry(&self, action: &'static str, detail: String) -> Entry {
        Entry {
            action,
            actor: self.actor.clone(),
            source: self.source.clone(),
            node_id: Some(self.node_id.clone()),
            detail: Some(format!("{detail}: {}", self.cause)),
            ..Entry::default()
        }
    }

    fn unknown(&self) -> Fault {
        Code::NodeUnknown
            .because(self.node_id.clone())
            .of_node(&self.node_id)
            .of_actor(self.actor.clone())
            .into()
    }
}

/// Why a change from an operator's process was not made.
#[derive(Debug, thiserror::Error)]
pub enum ChangeError {
    /// The database cannot be opened or written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// It must not be made.
    #[error("{0}: {action}", action = .0.code.action())]
    Refused(#[from] Refusal),
}

/// Changes what is wanted of a node, in the database at that place. A running server moves the node after it.
pub fn wish(
    location: impl Into<Location>,
    clock: &dyn Clock,
    order: &Order,
    change: WishChange,
) -> Result<WishRow, ChangeError> {
    Ok(alone(location, clock, |tx| wish::record(tx, order, change))??)
}

/// Changes labels of a node, in the database at that place; gives all that it has then.
pub fn label(
    location: impl Into<Location>,
    clock: &dyn Clock,
    order: &Order,
    changes: &BTreeMap<String, Option<String>>,
) -> Result<BTreeMap<String, String>, ChangeError> {
    Ok(alone(location, clock, |tx| labels::change(tx, order, changes))??)
}

/// What an enrolment says of a node beside its identity. What was proven in another boot is not proven in this one.
pub(super) fn enrolled(tx: &Tx<'_>, id: &str, source: &str) -> Answer<()> {
    tx.run(
        "UPDATE nodes SET address = ?2, verdict = NULL, heard_at_ms = NULL, owner = NULL,
                          reason_code = CASE WHEN state = 'quarantined' THEN reason END
         WHERE id = ?1",
        values![id, source],
    )?;
    Ok(())
}
