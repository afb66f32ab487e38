//! Where the controller moves a node next: what the operator wants first, then what the node has proven, then the
//! deadlines. A pure function, so that it can be asked again inside the transaction that does it, by any replica.

use jiff::Timestamp;
use report::Verdict;

use super::readiness::{blockers, is_stale};
use super::{Policy, Standing, State, Wish};

/// One move of the controller.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Move {
    /// Where to.
    pub to: State,
    /// Stable code of the cause: `wish_drain`, `deadline_registering`, `proof_too_old`, `ready` and so on.
    pub code: &'static str,
    /// The cause with its figures.
    pub cause: String,
}

impl Move {
    fn new(to: State, code: &'static str, detail: impl AsRef<str>) -> Self {
        Self { to, code, cause: format!("{code}: {}", detail.as_ref()) }
    }
}

/// The next move, if one is due.
pub fn next_move(node: &Standing, policy: &Policy, now: Timestamp) -> Option<Move> {
    let due = follow_wish(node).or_else(|| {
        if node.hold { None } else { proven(node, policy, now).or_else(|| overdue(node, policy, now)) }
    })?;
    // The wish of a node that cannot follow it waits until it can.
    node.state.may_become(due.to).then_some(due)
}

fn follow_wish(node: &Standing) -> Option<Move> {
    use State::{Allocated, Maintenance, Registering, Retired};
    match (node.wish, node.state) {
        (_, Retired) | (Wish::Drain | Wish::Maintenance, Maintenance) => None,
        (Wish::InService, Maintenance) => {
            Some(Move::new(Registering, "wish_in_service", "its next report decides"))
        }
        (Wish::InService, _) | (Wish::Drain | Wish::Retired, Allocated) => None,
        (Wish::Drain, _) => Some(Move::new(Maintenance, "wish_drain", "it has no work")),
        (Wish::Maintenance, _) => Some(Move::new(Maintenance, "wish_maintenance", "an operator wants it")),
        (Wish::Retired, _) => Some(Move::new(Retired, "wish_retired", "an operator wants it")),
    }
}

fn overdue(node: &Standing, policy: &Policy, now: Timestamp) -> Option<Move> {
    if let (State::Available, Some(at)) = (node.state, node.proven_at)
        && is_stale(at, policy, now)
    {
        return Some(Move::new(State::Validating, "proof_too_old", format!("proven at {at:.0}")));
    }
    let (to, code) = match node.state {
        State::Registering => (State::Failed, "deadline_registering"),
        State::Inspecting => (State::Failed, "deadline_inspecting"),
        State::Validating => (State::Failed, "deadline_validating"),
        State::Failed => (State::Repair, "deadline_failed"),
        _ => return None,
    };
    let limit = policy.deadline(node.state, node.plan().as_ref())?;
    let is_due = now.duration_since(node.since) > limit;
    is_due.then(|| {
        Move::new(to, code, format!("{} since {:.0}, longer than {limit:#}", node.state, node.since))
    })
}

/// A node that waited for an operator only, and is proven.
fn proven(node: &Standing, policy: &Policy, now: Timestamp) -> Option<Move> {
    let waits = node.state == State::Validating && node.verdict == Some(Verdict::Healthy);
    (waits && blockers(node, policy, now).is_empty())
        .then(|| Move::new(State::Available, "ready", "nothing blocks it any more"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::tests::{NOW, proven};
    use jiff::SignedDuration;

    fn moved(node: &Standing) -> Option<(State, &'static str)> {
        next_move(node, &Policy::default(), NOW).map(|step| (step.to, step.code))
    }

    #[test]
    fn an_operators_wish_is_followed_from_every_state_that_can() {
        for state in State::ALL {
            for wish in Wish::ALL {
                let node = Standing { wish, verdict: None, ..proven(*state) };
                let expected = match (wish, state) {
                    (Wish::InService, State::Maintenance) => Some(State::Registering),
                    (Wish::InService, _) | (_, State::Retired) => None,
                    (Wish::Retired | Wish::Drain, State::Allocated) => None,
                    (Wish::Retired, _) => Some(State::Retired),
                    // In doubt means out of every pool; only `retired` leads on.
                    (_, State::Maintenance | State::Quarantined) => None,
                    (Wish::Drain | Wish::Maintenance, _) => Some(State::Maintenance),
                };
                assert_eq!(moved(&node).map(|(to, _)| to), expected, "{state} {wish}");
            }
        }
    }

    #[test]
    fn who_stays_too_long_fails_with_a_code_of_its_state() {
        let long_ago = NOW - SignedDuration::from_hours(2);
        for (state, to, code) in [
            (State::Registering, State::Failed, "deadline_registering"),
            (State::Inspecting, State::Failed, "deadline_inspecting"),
            (State::Validating, State::Failed, "deadline_validating"),
            (State::Failed, State::Repair, "deadline_failed"),
        ] {
            let node = Standing { since: long_ago, verdict: None, plan: None, ..proven(state) };
            assert_eq!(moved(&node), Some((to, code)));
            assert_eq!(moved(&Standing { hold: true, ..node.clone() }), None, "held: {state}");
            let limit = Policy::default().deadline(state, None).unwrap();
            assert_eq!(moved(&Standing { since: NOW - limit, ..node }), None, "in time: {state}");
        }
    }

    #[test]
    fn an_old_proof_leads_back_to_validating_and_not_while_there_is_work() {
        let old = Some(NOW - SignedDuration::from_hours(24 * 31));
        let node = Standing { proven_at: old, ..proven(State::Available) };
        assert_eq!(moved(&node), Some((State::Validating, "proof_too_old")));
        assert_eq!(moved(&Standing { state: State::Allocated, ..node }), None);
    }

    #[test]
    fn a_proven_node_is_admitted_when_the_operator_lets_it_go() {
        let node = proven(State::Validating);
        assert_eq!(moved(&node), Some((State::Available, "ready")));
        assert_eq!(moved(&Standing { hold: true, ..node.clone() }), None);
        assert_eq!(moved(&Standing { verdict: Some(Verdict::Degraded), ..node.clone() }), None);
        assert_eq!(moved(&Standing { verdict: None, ..node }), None);
    }

    #[test]
    fn every_move_is_along_the_table_and_only_the_proven_get_into_the_pool() {
        let verdicts = [None, Some(Verdict::Healthy), Some(Verdict::Faulty), Some(Verdict::Unknown)];
        for (state, wish) in State::ALL.iter().flat_map(|state| Wish::ALL.map(|wish| (*state, wish))) {
            for (verdict, hours) in verdicts.iter().flat_map(|verdict| [0, 2, 900].map(|h| (*verdict, h))) {
                let then = NOW - SignedDuration::from_hours(hours);
                let node = Standing { wish, verdict, since: then, proven_at: Some(then), ..proven(state) };
                let Some(step) = next_move(&node, &Policy::default(), NOW) else { continue };
                assert!(state.may_become(step.to), "{state} -> {}", step.to);
                if step.to.is_in_pool() {
                    assert!(verdict == Some(Verdict::Healthy) && hours < 900, "{state} {hours}");
                }
                assert!(step.cause.starts_with(step.code));
            }
        }
    }
}
