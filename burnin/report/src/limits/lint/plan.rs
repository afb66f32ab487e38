//! A plan for a device that the table has: no limit may ask for more than there is.

use super::{Finding, Findings, Problem};
use crate::Plan;
use crate::limits::{Metric, Model};

/// Every limit of a plan that a device of this model cannot meet, and shares that are none. Metrics without a physical
/// peak are left alone. A limit far below the peak is no finding: one plan serves many models.
pub fn of_plan(plan: &Plan, model: &Model) -> Vec<Finding> {
    let mut findings = Findings::new(&plan.name);
    let limits = plan.checks.iter().flat_map(|check| check.limits.iter().map(move |limit| (check, limit)));
    for (check, limit) in limits {
        let place = |field: &str| format!("{}.{}.{field}", check.id, limit.metric);
        findings.source(&place("source"), &limit.source);
        let shares =
            [("worst_to_median_min", limit.worst_to_median_min), ("clock_tolerance", limit.clock_tolerance)];
        for (field, share) in shares {
            let share = share.get();
            findings.add_if(share > 1.0, &place(field), Problem::FractionAboveOne, (share, 1.0));
        }
        let floors =
            [("fail_below_per_s", limit.fail_below_per_s), ("warn_below_per_s", limit.warn_below_per_s)];
        let Some(bounds) = Metric::try_from(limit.metric.as_str()).ok().and_then(|m| model.bounds(m).ok())
        else {
            continue;
        };
        let (peak, reachable) =
            (bounds.physical.per_s(), bounds.reachable.map(|reachable| reachable.high_per_s()));
        for (field, floor) in floors {
            let floor = floor.get();
            if floor > peak {
                findings.add(place(field), Problem::AbovePhysical, floor, peak);
            } else if let Some(reachable) = reachable.filter(|reachable| floor > *reachable) {
                findings.add(place(field), Problem::AboveReachable, floor, reachable);
            }
        }
    }
    findings.all
}
