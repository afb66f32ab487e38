//! What follows from a decision: whose record it is from now on, who is quarantined, who is refused.
//!
//! A key alone moves no record to other hardware, and hardware alone moves no record to another key. The one way in
//! between is an operator's word: a token made for that node.

use serde::{Deserialize, Serialize};

use super::decide::{Claim, Decision, Outcome, Why};
use super::weights::{NewKey, Weights};

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "do", rename_all = "snake_case")]
pub enum Effect {
    /// The key's own record goes on.
    Keep,
    /// A new record.
    Create,
    /// The record of the same machine goes on under the new key.
    Rekey {
        /// Its name.
        node: String,
    },
    /// The claimant gets a record in quarantine, or its own record goes there; the other one stays as it is.
    Quarantine {
        /// The record that it conflicts with.
        with: String,
        /// In which way.
        why: Why,
    },
    /// The claimant is not let in, and its key's record stays as it is: who speaks may not be its machine.
    Refuse {
        /// In which way it conflicts with the key's record.
        why: Why,
    },
    /// The token was made for another node.
    RefuseToken,
}

/// What follows from a decision on a claim that came with a token, perhaps one that was made for a certain node.
pub fn effect(claim: &Claim, decision: &Decision, token_for: Option<&str>, weights: &Weights) -> Effect {
    if token_for.is_some_and(|node| !is_about(claim, decision, node)) {
        return Effect::RefuseToken;
    }
    match (&decision.outcome, &claim.owner_of) {
        (Outcome::New, _) => Effect::Create,
        (Outcome::Same { .. }, Some(_)) => Effect::Keep,
        (Outcome::Conflict { with, why }, Some(own)) if with == own => Effect::Refuse { why: *why },
        (Outcome::Conflict { with, why }, Some(_)) => Effect::Quarantine { with: with.clone(), why: *why },
        (Outcome::Same { node }, None) if may_rekey(weights.new_key, token_for, node) => {
            Effect::Rekey { node: node.clone() }
        }
        (Outcome::Same { node }, None) => Effect::Quarantine { with: node.clone(), why: Why::KeyChanged },
        // The operator named the node, and nothing speaks against it.
        (Outcome::Conflict { with, why: Why::Ambiguous }, None)
            if token_for == Some(with) && weights.new_key != NewKey::Never && is_alone(decision) =>
        {
            Effect::Rekey { node: with.clone() }
        }
        (Outcome::Conflict { with, why }, None) => Effect::Quarantine { with: with.clone(), why: *why },
    }
}

fn may_rekey(policy: NewKey, token_for: Option<&str>, node: &str) -> bool {
    match policy {
        NewKey::Never => false,
        NewKey::BoundToken => token_for == Some(node),
        NewKey::AnyToken => true,
    }
}

/// Can this claim be meant by a token for that node?
fn is_about(claim: &Claim, decision: &Decision, node: &str) -> bool {
    match (&claim.owner_of, &decision.outcome) {
        (Some(own), _) => own == node,
        (None, Outcome::Same { node: found }) => found == node,
        (None, Outcome::Conflict { .. }) => {
            decision.comparisons.iter().any(|c| c.node == node && c.score > 0)
        }
        (None, Outcome::New) => false,
    }
}

/// Is there but one record that it could be?
fn is_alone(decision: &Decision) -> bool {
    decision.comparisons.iter().filter(|c| c.outcome != Outcome::New).count() == 1
}
