//! May a node take work, and if not, what blocks it: conditions in Kubernetes' shape, each a pure function of how the node
//! stands. The step to `available` is taken only where [`blockers`] finds none, so that the answer to "why not" and the
//! decision cannot differ.

use jiff::Timestamp;
use report::Verdict;
use serde::{Deserialize, Serialize};

use super::{Policy, Standing, State, Wish};

/// Is it so?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Status {
    /// Yes.
    True,
    /// No.
    False,
    /// Nobody knows.
    Unknown,
}

/// One thing that is so, or not, about a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Condition {
    /// What.
    #[serde(rename = "type")]
    pub kind: String,
    /// Is it so?
    pub status: Status,
    /// Why, as one stable word.
    pub reason: String,
    /// Why, for people.
    pub message: String,
    /// When `status` last changed.
    pub last_transition_time: Timestamp,
}

/// The condition that sums up the others.
pub const READY: &str = "Ready";

/// What a condition says, before it is known since when.
struct Finding {
    status: Status,
    reason: &'static str,
    message: String,
}

impl Finding {
    fn new(status: Status, reason: &'static str, message: impl Into<String>) -> Self {
        Self { status, reason, message: message.into() }
    }
}

type Rule = fn(&Standing, &Policy, Timestamp) -> Finding;

/// Every condition but `Ready`; each of them blocks admission: by anything but `True`, or only by `False`.
const RULES: [(&str, Blocks, Rule); 5] = [
    ("IdentityConfirmed", Blocks::UnlessTrue, identity_confirmed),
    ("Healthy", Blocks::UnlessTrue, healthy),
    ("ProofFresh", Blocks::UnlessTrue, proof_fresh),
    // Nodes without heartbeats are legion; only one that fell silent is in doubt.
    ("Reachable", Blocks::IfFalse, reachable),
    ("InService", Blocks::UnlessTrue, in_service),
];

#[derive(Clone, Copy, PartialEq, Eq)]
enum Blocks {
    UnlessTrue,
    IfFalse,
}

/// All conditions, `Ready` first. Times of the last change are taken over from `before` where the status is the same.
pub fn conditions(node: &Standing, policy: &Policy, now: Timestamp, before: &[Condition]) -> Vec<Condition> {
    let since = |kind: &str, status: Status| {
        let same = before.iter().find(|old| old.kind == kind && old.status == status);
        same.map_or(now, |old| old.last_transition_time)
    };
    let condition = |kind: &str, finding: Finding| Condition {
        kind: kind.to_owned(),
        status: finding.status,
        reason: finding.reason.to_owned(),
        last_transition_time: since(kind, finding.status),
        message: finding.message,
    };
    let mut all = vec![condition(READY, ready(node, policy, now))];
    all.extend(RULES.iter().map(|(kind, _, rule)| condition(kind, rule(node, policy, now))));
    all
}

/// What keeps the node from work, whatever state it is in; empty if nothing does.
pub fn blockers(node: &Standing, policy: &Policy, now: Timestamp) -> Vec<Condition> {
    let found = RULES.iter().filter_map(|(kind, blocks, rule)| {
        let finding = rule(node, policy, now);
        let blocked = match blocks {
            Blocks::UnlessTrue => finding.status != Status::True,
            Blocks::IfFalse => finding.status == Status::False,
        };
        blocked.then(|| Condition {
            kind: (*kind).to_owned(),
            status: finding.status,
            reason: finding.reason.to_owned(),
            message: finding.message,
            last_transition_time: now,
        })
    });
    found.collect()
}

fn ready(node: &Standing, policy: &Policy, now: Timestamp) -> Finding {
    let blockers = blockers(node, policy, now);
    match (blockers.first(), node.state) {
        (Some(first), _) => {
            let names: Vec<_> = blockers.iter().map(|blocker| blocker.kind.as_str()).collect();
            let message = format!("blocked by {}: {}", names.join(", "), first.message);
            Finding::new(Status::False, "Blocked", message)
        }
        (None, State::Available) => Finding::new(Status::True, "Available", "may take work"),
        (None, State::Allocated) => Finding::new(Status::True, "Allocated", "has work"),
        (None, state) => {
            Finding::new(Status::False, "NotAvailable", format!("is {state}; the controller moves it"))
        }
    }
}

fn identity_confirmed(node: &Standing, _: &Policy, _: Timestamp) -> Finding {
    match node.state {
        State::Quarantined => {
            let why = node.reason.as_deref().unwrap_or("no reason is recorded");
            Finding::new(Status::False, "Quarantined", format!("its identity is in doubt: {why}"))
        }
        State::Expected => Finding::new(Status::Unknown, "NotSeen", "it was never seen"),
        _ => Finding::new(Status::True, "NoConflict", "no other node claims its hardware"),
    }
}

fn healthy(node: &Standing, _: &Policy, _: Timestamp) -> Finding {
    let why = || node.reason.clone().unwrap_or_else(|| "see its last report".to_owned());
    // A state that a burn-in cannot leave says more than the last verdict.
    match (node.state, node.verdict) {
        (State::Failed | State::Repair, _) => Finding::new(Status::False, "Failed", why()),
        (_, Some(Verdict::Healthy)) => {
            Finding::new(Status::True, "BurnInPassed", "the last report proves it healthy")
        }
        (_, Some(Verdict::Degraded)) => Finding::new(Status::False, "BurnInDegraded", why()),
        (_, Some(Verdict::Faulty)) => Finding::new(Status::False, "BurnInFailed", why()),
        (_, Some(Verdict::Unknown)) => Finding::new(Status::Unknown, "BurnInInconclusive", why()),
        (_, None) => Finding::new(Status::Unknown, "NoReport", "there is no report of this boot"),
    }
}

fn proof_fresh(node: &Standing, policy: &Policy, now: Timestamp) -> Finding {
    match node.proven_at {
        None => Finding::new(Status::Unknown, "NeverProven", "it was never proven healthy"),
        Some(at) if is_stale(at, policy, now) => Finding::new(
            Status::False,
            "ProofTooOld",
            format!("proven healthy at {at:.0}, more than {:#} ago: burn it in again", policy.proof),
        ),
        Some(at) => Finding::new(Status::True, "Proven", format!("proven healthy at {at:.0}")),
    }
}

/// Is a proof of that time too old?
pub(super) fn is_stale(proven_at: Timestamp, policy: &Policy, now: Timestamp) -> bool {
    now.duration_since(proven_at) > policy.proof
}

fn reachable(node: &Standing, policy: &Policy, now: Timestamp) -> Finding {
    match node.heard_at {
        None => Finding::new(Status::Unknown, "NoHeartbeat", "it sent no heartbeat in this boot"),
        Some(at) if now.duration_since(at) > policy.silence() => {
            Finding::new(Status::False, "HeartbeatLost", format!("the last heartbeat came at {at:.0}"))
        }
        Some(_) => Finding::new(Status::True, "HeartbeatSeen", "heartbeats come in time"),
    }
}

fn in_service(node: &Standing, _: &Policy, _: Timestamp) -> Finding {
    match (node.wish, node.state) {
        (_, State::Retired) => Finding::new(Status::False, "Retired", "it is gone for good"),
        (Wish::InService, _) if node.hold => {
            Finding::new(Status::False, "OnHold", "an operator holds it where it is")
        }
        (Wish::InService, State::Maintenance) => {
            Finding::new(Status::False, "Maintenance", "it comes back from maintenance")
        }
        (Wish::InService, _) => Finding::new(Status::True, "Wanted", "the operator wants it in service"),
        (Wish::Drain, _) => Finding::new(Status::False, "Drain", "an operator drains it"),
        (Wish::Maintenance, _) => {
            Finding::new(Status::False, "Maintenance", "an operator wants it in maintenance")
        }
        (Wish::Retired, _) => Finding::new(Status::False, "Retiring", "an operator retires it"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::tests::{NOW, proven};
    use jiff::SignedDuration;

    fn kinds(node: &Standing) -> Vec<String> {
        blockers(node, &Policy::default(), NOW).into_iter().map(|blocker| blocker.kind).collect()
    }

    #[test]
    fn each_thing_that_is_wrong_blocks_by_its_own_name() {
        let good = proven(State::Available);
        assert_eq!(kinds(&good), [] as [&str; 0]);
        let old = NOW - SignedDuration::from_hours(24 * 31);
        let silent = NOW - SignedDuration::from_mins(10);
        for (node, kind) in [
            (Standing { state: State::Quarantined, ..good.clone() }, "IdentityConfirmed"),
            (Standing { verdict: None, ..good.clone() }, "Healthy"),
            (Standing { verdict: Some(Verdict::Degraded), ..good.clone() }, "Healthy"),
            (Standing { verdict: Some(Verdict::Unknown), ..good.clone() }, "Healthy"),
            (Standing { state: State::Failed, ..good.clone() }, "Healthy"),
            (Standing { proven_at: Some(old), ..good.clone() }, "ProofFresh"),
            (Standing { proven_at: None, ..good.clone() }, "ProofFresh"),
            (Standing { heard_at: Some(silent), ..good.clone() }, "Reachable"),
            (Standing { wish: Wish::Drain, ..good.clone() }, "InService"),
            (Standing { hold: true, ..good.clone() }, "InService"),
        ] {
            assert_eq!(kinds(&node), [kind], "{node:?}");
            let all = conditions(&node, &Policy::default(), NOW, &[]);
            assert_eq!((all[0].kind.as_str(), all[0].status), (READY, Status::False));
            assert!(all[0].message.contains(kind), "{}", all[0].message);
        }
    }

    #[test]
    fn a_node_that_never_sent_a_heartbeat_is_not_blocked_by_that() {
        let all = conditions(&proven(State::Available), &Policy::default(), NOW, &[]);
        let reachable = all.iter().find(|condition| condition.kind == "Reachable").unwrap();
        assert_eq!(reachable.status, Status::Unknown);
        assert_eq!(all[0].status, Status::True);
    }

    #[test]
    fn the_time_of_the_last_change_stays_until_the_status_changes() {
        let (policy, node) = (Policy::default(), proven(State::Available));
        let first = conditions(&node, &policy, NOW, &[]);
        let later = NOW + SignedDuration::from_secs(60);
        let second = conditions(&node, &policy, later, &first);
        assert_eq!(first, second);
        let drained = Standing { wish: Wish::Drain, ..node };
        let third = conditions(&drained, &policy, later, &second);
        let moved: Vec<_> = third
            .iter()
            .filter(|condition| condition.last_transition_time == later)
            .map(|condition| condition.kind.as_str())
            .collect();
        assert_eq!(moved, [READY, "InService"]);
    }

    #[test]
    fn the_shape_is_that_of_kubernetes() {
        let all = conditions(&proven(State::Available), &Policy::default(), NOW, &[]);
        assert_eq!(
            serde_json::to_value(&all[0]).unwrap(),
            serde_json::json!({
                "type": "Ready", "status": "True", "reason": "Available", "message": "may take work",
                "lastTransitionTime": NOW.to_string(),
            })
        );
        for condition in &all {
            assert!(condition.reason.bytes().all(|b| b.is_ascii_alphabetic()), "{}", condition.reason);
        }
    }
}
