//! The plan of a bench: the checks of a burn-in's plan that are about speed, with as much time as is asked for and
//! without bars. What they run on, what they must cover and which clocks they need stays as it is.

use crate::plan::{Class, DevicePolicy, Limit, Scope};
use crate::{CheckId, DeviceInfo, DeviceKind, Plan, Quantity};

/// What may be added to the measuring of a check, as a multiple of it: other metrics, warm-ups, a slow host.
const DEADLINE_FACTOR: f64 = 10.0;

/// Why there is no such bench.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PlanBenchError {
    /// A name that is not a check's.
    #[error("there is no bench `{name}`: those of plan `{plan}` are {known}")]
    Unknown {
        /// The name.
        name: CheckId,
        /// The plan that the bench is made of.
        plan: String,
        /// The names there are.
        known: String,
    },
}

/// The plan for a bench of these devices: of `base`, the checks named in `only`, or else those that are about speed; each
/// measures for so many seconds, or as long as in `base`.
pub fn plan(
    base: &Plan,
    devices: &[DeviceInfo],
    only: &[CheckId],
    seconds: Option<Quantity>,
) -> Result<Plan, PlanBenchError> {
    let on_device = || base.checks.iter().filter(|check| check.scope == Scope::Device);
    if let Some(name) = only.iter().find(|name| !on_device().any(|check| check.id == **name)) {
        let known = on_device().map(|check| format!("`{}`", check.id)).collect::<Vec<_>>().join(", ");
        return Err(PlanBenchError::Unknown { name: name.clone(), plan: base.name.clone(), known });
    }
    let chosen = on_device().filter(|check| match only {
        [] => check.class == Class::Performance,
        only => only.contains(&check.id),
    });
    let mut checks: Vec<_> = chosen.cloned().collect();
    for check in &mut checks {
        if let Some(seconds) = seconds {
            check.measure_s = seconds;
        }
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to a day")]
        let longer = (check.measure_s.get() * DEADLINE_FACTOR).ceil().clamp(0.0, 86_400.0) as u32;
        check.deadline_s = check.deadline_s.max(longer);
        check.limits.iter_mut().for_each(lower);
    }
    let mut kinds: Vec<DeviceKind> = Vec::new();
    for device in devices {
        if !kinds.contains(&device.kind) {
            kinds.push(device.kind.clone());
        }
    }
    Ok(Plan {
        name: "bench".to_owned(),
        summary: format!("The figures of plan `{}`, without its bars", base.name),
        devices: DevicePolicy { kinds, count_min: 1 },
        checks,
    })
}

/// No bar is left; what makes a rate one to be believed stays.
fn lower(limit: &mut Limit) {
    limit.fail_below_per_s = Quantity::ZERO;
    limit.warn_below_per_s = Quantity::ZERO;
    limit.worst_to_median_min = Quantity::ZERO;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn base() -> Plan {
        Plan::built_in("quick-software").unwrap()
    }

    fn names(plan: &Plan) -> Vec<&str> {
        plan.checks.iter().map(|check| check.id.as_str()).collect()
    }

    #[test]
    fn a_bench_is_what_the_plan_has_of_speed_with_its_trust_and_without_its_bars() {
        let bench = plan(&base(), &[], &[], Quantity::new(7.0).ok()).unwrap();
        let names = names(&bench);
        assert!(names.contains(&"fp32") && names.contains(&"stream"), "{names:?}");
        assert!(!names.contains(&"doctor") && !names.contains(&"memory-own-address"), "{names:?}");
        for check in &bench.checks {
            let before = base().check(&check.id).unwrap().clone();
            assert_eq!(
                (&check.floors, check.exact, check.canary),
                (&before.floors, before.exact, before.canary)
            );
            assert_eq!((check.measure_s.get(), check.deadline_s), (7.0, before.deadline_s.max(70)));
            for (now, before) in check.limits.iter().zip(&before.limits) {
                assert_eq!(
                    (now.samples_min, now.clock_tolerance),
                    (before.samples_min, before.clock_tolerance)
                );
                assert_eq!(now.fail_below_per_s, Quantity::ZERO);
            }
        }
    }

    #[test]
    fn checks_can_be_named_whatever_they_are_about_and_an_unknown_name_is_answered_with_those_there_are() {
        let id = |name: &str| CheckId::try_from(name).unwrap();
        assert_eq!(names(&plan(&base(), &[], &[id("digest")], None).unwrap()), ["digest"]);
        let error = plan(&base(), &[], &[id("doctor")], None).unwrap_err().to_string();
        assert!(
            error.starts_with("there is no bench `doctor`: those of plan `quick-software` are `digest`, ")
        );
    }
}
