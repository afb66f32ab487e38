//! How long a node may stay in a state, how long a proof is good, how often a node should be heard of.

use jiff::SignedDuration;
use report::Plan;

use super::State;

/// The times that the controller keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// From the enrolment to the first report, beside the time that the plan takes: a node reports when its burn-in is
    /// done.
    pub registering: SignedDuration,
    /// Looking at the facts.
    pub inspecting: SignedDuration,
    /// Until the burn-in proves the node, beside the time that the plan takes. Someone may have to start it again.
    pub validating: SignedDuration,
    /// Until a faulty node is given to repair.
    pub failed: SignedDuration,
    /// Until a repair counts as overdue; the node stays there.
    pub repair: SignedDuration,
    /// How long a proof of health is good.
    pub proof: SignedDuration,
    /// How often a node should be heard of while it sends heartbeats.
    pub heartbeat: SignedDuration,
}

impl Default for Policy {
    fn default() -> Self {
        Self {
            registering: SignedDuration::from_secs(60),
            inspecting: SignedDuration::from_secs(120),
            validating: SignedDuration::from_hours(1),
            failed: SignedDuration::from_hours(1),
            repair: SignedDuration::from_hours(7 * 24),
            proof: SignedDuration::from_hours(30 * 24),
            heartbeat: SignedDuration::from_secs(30),
        }
    }
}

/// A text that sets no time of the policy.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` sets no time: write STATE=TIME with one of {names}, and a time such as 90s, 10m or 30d", names = NAMES.join(", "))]
pub struct BadTime(String);

const NAMES: [&str; 7] =
    ["registering", "inspecting", "validating", "failed", "repair", "proof", "heartbeat"];

/// Heartbeats that may be missed before a node counts as unreachable.
const MISSED_MAX: i32 = 4;

impl Policy {
    /// Sets one time from a text such as `validating=2h`.
    pub fn set(&mut self, text: &str) -> Result<(), BadTime> {
        let bad = || BadTime(text.to_owned());
        let (name, time) = text.split_once('=').ok_or_else(bad)?;
        let time = days(time).or_else(|| time.parse().ok()).filter(SignedDuration::is_positive);
        let time = time.ok_or_else(bad)?;
        let place = match name {
            "registering" => &mut self.registering,
            "inspecting" => &mut self.inspecting,
            "validating" => &mut self.validating,
            "failed" => &mut self.failed,
            "repair" => &mut self.repair,
            "proof" => &mut self.proof,
            "heartbeat" => &mut self.heartbeat,
            _ => return Err(bad()),
        };
        *place = time;
        Ok(())
    }

    /// How long a node with that plan may stay in a state; no bound where none makes sense.
    pub fn deadline(&self, state: State, plan: Option<&Plan>) -> Option<SignedDuration> {
        let burn_in = || plan.map_or(SignedDuration::ZERO, plan_time);
        match state {
            State::Registering => Some(self.registering.saturating_add(burn_in())),
            State::Inspecting => Some(self.inspecting.saturating_add(burn_in())),
            State::Validating => Some(self.validating.saturating_add(burn_in())),
            State::Failed => Some(self.failed),
            State::Repair => Some(self.repair),
            State::Expected
            | State::Available
            | State::Allocated
            | State::Quarantined
            | State::Maintenance
            | State::Retired => None,
        }
    }

    /// How long after its last sign of life a node is unreachable.
    pub fn silence(&self) -> SignedDuration {
        self.heartbeat.saturating_mul(MISSED_MAX)
    }
}

/// The longest that a burn-in may take, and a fifth more.
fn plan_time(plan: &Plan) -> SignedDuration {
    let seconds: i64 = plan.checks.iter().map(|check| i64::from(check.deadline_s)).sum();
    SignedDuration::from_millis(seconds.saturating_mul(1200))
}

/// `30d`: jiff's durations know no days, since a day has no fixed length; here it has 24 hours.
fn days(text: &str) -> Option<SignedDuration> {
    let days: i64 = text.strip_suffix('d')?.parse().ok()?;
    Some(SignedDuration::from_secs(days.checked_mul(24 * 3600)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_burn_in_is_given_its_plans_time_and_a_fifth_more() {
        let (policy, plan) = (Policy::default(), Plan::built_in("quick-software").unwrap());
        let seconds: u32 = plan.checks.iter().map(|check| check.deadline_s).sum();
        let with_plan = policy.deadline(State::Registering, Some(&plan)).unwrap();
        assert_eq!(with_plan.as_secs_f64(), 60.0 + 1.2 * f64::from(seconds));
        assert_eq!(policy.deadline(State::Registering, None), Some(SignedDuration::from_secs(60)));
        assert_eq!(policy.deadline(State::Available, Some(&plan)), None);
    }

    #[test]
    fn times_are_set_by_name_and_nonsense_is_refused() {
        let mut policy = Policy::default();
        policy.set("validating=2h").unwrap();
        policy.set("proof=7d").unwrap();
        assert_eq!(policy.validating, SignedDuration::from_hours(2));
        assert_eq!(policy.proof, SignedDuration::from_hours(168));
        for bad in
            ["", "validating", "validating=", "validating=0s", "validating=-1h", "sleeping=1h", "proof=d"]
        {
            let error = policy.set(bad).unwrap_err();
            assert!(error.to_string().contains("registering"), "{error}");
        }
    }

    #[test]
    fn every_name_in_the_message_can_be_set() {
        for name in NAMES {
            Policy::default().set(&format!("{name}=5s")).unwrap();
        }
    }
}
