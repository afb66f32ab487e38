//! All that readiness and the controller know of one node, as plain data.

use jiff::Timestamp;
use report::{Plan, Verdict};

use super::{State, Wish};

/// How a node stands.
#[derive(Clone, Debug, PartialEq)]
pub struct Standing {
    /// Where.
    pub state: State,
    /// Since when.
    pub since: Timestamp,
    /// What keeps it from better, as the record has it.
    pub reason: Option<String>,
    /// Verdict on the last report of the current boot; none before there is one.
    pub verdict: Option<Verdict>,
    /// When that report came in.
    pub reported_at: Option<Timestamp>,
    /// When it was last proven healthy.
    pub proven_at: Option<Timestamp>,
    /// The burn-in that its current boot was asked for.
    pub plan: Option<String>,
    /// Last heartbeat; none if it never sent one.
    pub heard_at: Option<Timestamp>,
    /// What the operator wants.
    pub wish: Wish,
    /// Must the controller leave it where it is?
    pub hold: bool,
}

impl Standing {
    /// The plan of its current boot.
    pub fn plan(&self) -> Option<Plan> {
        Plan::built_in(self.plan.as_deref()?).ok()
    }

    /// The pool it takes work from once it is available.
    pub fn pool(&self) -> &'static str {
        if self.plan().is_some_and(|plan| plan.is_software()) { "software" } else { "gpu" }
    }
}
