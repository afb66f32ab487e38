//! The life cycle of a node as data: which states there are, which may follow which, and which way an enrolment or a
//! report takes. Only the store's controller moves a node, and only along [`ALLOWED`].
//!
//! [`wish`] is what an operator wants, apart from where the node stands; [`readiness`] tells what keeps it from work, and
//! decides; [`controller`] finds the next move, by the times in [`policy`].

pub mod wish;
pub mod policy;
pub mod standing;
pub mod readiness;
pub mod controller;

use std::fmt;

use report::Verdict;
use serde::{Serialize, Serializer};

pub use controller::{Move, next_move};
pub use policy::Policy;
pub use readiness::Condition;
pub use standing::Standing;
pub use wish::Wish;

macro_rules! states {
    ($($(#[$doc:meta])* $variant:ident = $word:literal;)*) => {
        /// Where a node stands.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum State { $($(#[$doc])* $variant,)* }

        impl State {
            /// Every state there is.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word used in the store and on the wire.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }
    };
}

states! {
    /// Announced by an operator, not seen yet.
    Expected = "expected";
    /// Enrolled in this boot; no report yet.
    Registering = "registering";
    /// Its facts are being looked at.
    Inspecting = "inspecting";
    /// Its burn-in does not prove it healthy yet.
    Validating = "validating";
    /// Proven healthy: may take work.
    Available = "available";
    /// Has work.
    Allocated = "allocated";
    /// Proven faulty, or not proven in time.
    Failed = "failed";
    /// Being mended.
    Repair = "repair";
    /// Its identity is in doubt: it may report and never becomes available.
    Quarantined = "quarantined";
    /// Taken out by an operator.
    Maintenance = "maintenance";
    /// Gone for good.
    Retired = "retired";
}

use State::{
    Allocated, Available, Expected, Failed, Inspecting, Maintenance, Quarantined, Registering, Repair,
    Retired, Validating,
};

/// Which states may follow which. A new boot leads back to `registering`: what was proven in another boot is not proven
/// in this one.
pub const ALLOWED: &[(State, &[State])] = &[
    (Expected, &[Registering, Quarantined, Maintenance, Retired]),
    (Registering, &[Inspecting, Failed, Quarantined, Maintenance, Retired]),
    (Inspecting, &[Registering, Validating, Failed, Quarantined, Maintenance, Retired]),
    (Validating, &[Registering, Available, Failed, Quarantined, Maintenance, Retired]),
    (Available, &[Registering, Validating, Allocated, Quarantined, Maintenance, Retired]),
    (Allocated, &[Registering, Validating, Available, Quarantined, Maintenance, Retired]),
    (Failed, &[Repair, Quarantined, Maintenance, Retired]),
    (Repair, &[Registering, Quarantined, Maintenance, Retired]),
    (Quarantined, &[Registering, Retired]),
    (Maintenance, &[Registering, Quarantined, Retired]),
    (Retired, &[]),
];

impl State {
    /// The state of that name.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|state| state.as_str() == word)
    }

    /// Which states may follow.
    pub fn followers(self) -> &'static [Self] {
        ALLOWED.iter().find(|(from, _)| *from == self).map_or(&[], |(_, to)| *to)
    }

    /// May `next` follow?
    pub fn may_become(self, next: Self) -> bool {
        self.followers().contains(&next)
    }

    /// The way a node takes when it enrols a boot; empty where it stays.
    ///
    /// A failed node passes through `repair`: the operator's token for it is the word that it was looked at. A retired
    /// node must have been refused before.
    pub fn on_enrolment(self) -> &'static [Self] {
        match self {
            Expected | Inspecting | Validating | Available | Allocated | Repair => &[Registering],
            Failed => &[Repair, Registering],
            Registering | Quarantined | Maintenance | Retired => &[],
        }
    }

    /// The way a node takes when a report with that verdict is accepted; empty where it stays.
    pub fn on_report(self, verdict: Verdict) -> Vec<Self> {
        let to_validating: &[Self] = match (self, verdict) {
            (Registering, _) => &[Inspecting, Validating],
            (Inspecting | Available, _)
            | (Allocated, Verdict::Faulty | Verdict::Degraded | Verdict::Unknown) => &[Validating],
            (Validating, _) => &[],
            (Allocated, Verdict::Healthy)
            | (Expected | Failed | Repair | Quarantined | Maintenance | Retired, _) => return Vec::new(),
        };
        let judged = match verdict {
            Verdict::Healthy => Some(Available),
            Verdict::Faulty => Some(Failed),
            Verdict::Degraded | Verdict::Unknown => None,
        };
        to_validating.iter().copied().chain(judged).collect()
    }

    /// Does a node in this state belong to a pool of nodes that take work?
    pub fn is_in_pool(self) -> bool {
        matches!(self, Available | Allocated)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for State {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use jiff::Timestamp;

    pub(super) const NOW: Timestamp = Timestamp::constant(1_800_000_000, 0);

    /// A node in that state with all that it needs for work.
    pub(super) fn proven(state: State) -> Standing {
        Standing {
            state,
            since: NOW,
            reason: None,
            verdict: Some(Verdict::Healthy),
            reported_at: Some(NOW),
            proven_at: Some(NOW),
            plan: Some("quick-software".to_owned()),
            heard_at: None,
            wish: Wish::InService,
            hold: false,
        }
    }

    const VERDICTS: [Verdict; 4] = [Verdict::Healthy, Verdict::Degraded, Verdict::Faulty, Verdict::Unknown];

    fn assert_way(start: State, way: &[State]) -> State {
        way.iter().fold(start, |from, to| {
            assert!(from.may_become(*to), "{start}: {from} -> {to} is not allowed");
            *to
        })
    }

    #[test]
    fn every_way_is_made_of_allowed_transitions() {
        for state in State::ALL {
            assert_way(*state, state.on_enrolment());
            for verdict in VERDICTS {
                assert_way(*state, &state.on_report(verdict));
            }
        }
    }

    #[test]
    fn only_a_healthy_verdict_ends_in_available_and_never_for_a_node_in_doubt() {
        for state in State::ALL {
            for verdict in VERDICTS {
                let end = state.on_report(verdict).last().copied().unwrap_or(*state);
                if end.is_in_pool() {
                    assert_eq!(verdict, Verdict::Healthy, "{state}");
                }
                if matches!(state, Quarantined | Failed | Repair | Maintenance | Retired | Expected) {
                    assert_eq!(end, *state);
                }
            }
        }
    }

    #[test]
    fn the_table_names_every_state_once_and_retired_is_the_end() {
        let named: Vec<_> = ALLOWED.iter().map(|(from, _)| *from).collect();
        assert_eq!(named, State::ALL);
        assert!(ALLOWED.iter().all(|(from, to)| !to.contains(from)));
        assert!(State::ALL.iter().all(|next| !Retired.may_become(*next)));
        assert!(State::ALL.iter().all(|state| State::parse(state.as_str()) == Some(*state)));
    }
}
