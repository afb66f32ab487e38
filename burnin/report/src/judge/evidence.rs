//! From the evidence of one check to its outcome.

use super::ReasonCode;
use super::trust::{Demands, distrust};
use crate::plan::{Limit, PlannedCheck};
use crate::{CheckResult, Measurement, Outcome, Reason};

/// How a check ended as far as its evidence carries it, and why.
///
/// A stated `pass` or `warn` is tested against plan and evidence and can only get worse; any other stated outcome stays.
/// The order of rules: wrong answers, planted faults, coverage, clocks, rates. The first that fails is the reason.
pub fn settle(planned: &PlannedCheck, result: &CheckResult) -> (Outcome, Option<Reason>) {
    if let Some(reason) = wrong_answers(result) {
        // Wrong answers are a failure even where the check also broke later.
        return (Outcome::Fail, Some(reason));
    }
    if !matches!(result.outcome, Outcome::Pass | Outcome::Warn) {
        return (result.outcome, Some(stated_reason(result)));
    }
    let rules = [answers_compared, canary_found, floors_reached, rates_trusted, rates_sufficient];
    if let Some((outcome, reason)) = rules.iter().find_map(|rule| rule(planned, result)) {
        return (outcome, Some(reason));
    }
    match (near_limit(planned, result), result.outcome) {
        (Some(reason), _) => (Outcome::Warn, Some(reason)),
        (None, Outcome::Warn) => (Outcome::Warn, Some(stated_reason(result))),
        (None, _) => (Outcome::Pass, None),
    }
}

fn stated_reason(result: &CheckResult) -> Reason {
    let code = match result.outcome {
        Outcome::NotRun => ReasonCode::NotRun,
        _ => ReasonCode::EvidenceMissing,
    };
    result.reason.clone().unwrap_or_else(|| code.because("no reason was recorded"))
}

type Finding = Option<(Outcome, Reason)>;

fn untrusted(code: ReasonCode, detail: String) -> Finding {
    Some((Outcome::Untrusted, code.because(detail)))
}

fn wrong_answers(result: &CheckResult) -> Option<Reason> {
    let wrong = result.mismatches.as_ref().filter(|m| m.count > 0 || m.bits != 0 || !m.first.is_empty())?;
    let place = wrong.first.first().map_or_else(String::new, |m| {
        let bits = m.expected ^ m.found;
        let which = if bits.count_ones() == 1 {
            format!("bit {}", bits.trailing_zeros())
        } else {
            format!("{} bits {bits:#010x}", bits.count_ones())
        };
        format!(
            "; first at byte address {:#x}: expected {:#010x}, found {:#010x} ({which}), workgroup {}",
            m.byte_address, m.expected, m.found, m.workgroup
        )
    });
    Some(ReasonCode::Mismatch.because(format!(
        "{} wrong word{}{place}",
        wrong.count,
        if wrong.count == 1 { "" } else { "s" }
    )))
}

fn answers_compared(planned: &PlannedCheck, result: &CheckResult) -> Finding {
    let missing = planned.exact && result.mismatches.is_none();
    missing.then(|| untrusted(ReasonCode::EvidenceMissing, "answers were not compared".to_owned())).flatten()
}

fn canary_found(planned: &PlannedCheck, result: &CheckResult) -> Finding {
    if !planned.canary {
        return None;
    }
    match result.canary {
        None => untrusted(ReasonCode::CanaryMissed, "no fault was planted to try the check".to_owned()),
        Some(c) if c.planted == 0 || c.found != c.planted || c.strays != 0 => untrusted(
            ReasonCode::CanaryMissed,
            format!(
                "{} faults planted, {} found, {} reported that nobody planted",
                c.planted, c.found, c.strays
            ),
        ),
        Some(_) => None,
    }
}

fn floors_reached(planned: &PlannedCheck, result: &CheckResult) -> Finding {
    if planned.floors.is_empty() {
        // Nothing wrong among nothing covered is no pass.
        return untrusted(ReasonCode::Coverage, "the plan asks for no coverage".to_owned());
    }
    planned.floors.iter().find_map(|floor| {
        // Of several entries for one quantity the least counts.
        let entries = result.coverage.iter().filter(|c| c.quantity == floor.quantity);
        let achieved = entries.map(|c| c.achieved.get()).reduce(f64::min);
        match achieved {
            Some(achieved) if achieved >= floor.min.get() && achieved > 0.0 => None,
            Some(achieved) => untrusted(
                ReasonCode::Coverage,
                format!("{} is {achieved}, the plan asks for {}", floor.quantity, floor.min.get()),
            ),
            None => untrusted(ReasonCode::Coverage, format!("{} was not recorded", floor.quantity)),
        }
    })
}

fn rates_trusted(planned: &PlannedCheck, result: &CheckResult) -> Finding {
    let limited = planned.limits.iter().find_map(|limit| match measurement(result, limit) {
        Some(found) => distrust(found, &Demands::of(limit)),
        None => Some((
            ReasonCode::EvidenceMissing,
            format!("`{}` was not measured once and only once", limit.metric),
        )),
    });
    // What nobody set a limit for is shown to people all the same.
    let asked = |m: &&Measurement| planned.limits.iter().any(|limit| limit.metric == m.metric);
    let free = || result.measurements.iter().filter(|m| !asked(m)).find_map(|m| distrust(m, &Demands::LEAST));
    let latency = || {
        let found = result.latencies.iter().find(|latency| !latency.is_consistent())?;
        let detail = format!("figures of `{}` are not those of its samples, or no time passed", found.metric);
        Some((ReasonCode::EvidenceMissing, detail))
    };
    let (code, detail) = limited.or_else(free).or_else(latency)?;
    untrusted(code, detail)
}

fn rates_sufficient(planned: &PlannedCheck, result: &CheckResult) -> Finding {
    planned.limits.iter().find_map(|limit| {
        let found = measurement(result, limit)?;
        let (median, worst) = (found.median.get(), found.worst.get());
        if median < limit.fail_below_per_s.get() {
            let detail = format!(
                "`{}` is {}, the limit is {} ({})",
                limit.metric,
                found.unit.show(median),
                found.unit.show(limit.fail_below_per_s.get()),
                limit.source
            );
            return Some((Outcome::Fail, ReasonCode::RateLow.because(detail)));
        }
        (worst < median * limit.worst_to_median_min.get()).then(|| {
            let detail = format!(
                "`{}` fell to {} over {} windows, {:.0} % of its median {}; at least {:.0} % is asked",
                limit.metric,
                found.unit.show(worst),
                super::SUSTAINED_WINDOWS,
                100.0 * worst / median,
                found.unit.show(median),
                100.0 * limit.worst_to_median_min.get()
            );
            (Outcome::Fail, ReasonCode::RateUnstable.because(detail))
        })
    })
}

fn near_limit(planned: &PlannedCheck, result: &CheckResult) -> Option<Reason> {
    planned.limits.iter().find_map(|limit| {
        let found = measurement(result, limit).filter(|m| m.median < limit.warn_below_per_s)?;
        let (rate, bar) =
            (found.unit.show(found.median.get()), found.unit.show(limit.warn_below_per_s.get()));
        Some(
            ReasonCode::RateNearLimit
                .because(format!("`{}` is {rate}, below {bar} ({})", limit.metric, limit.source)),
        )
    })
}

fn measurement<'a>(result: &'a CheckResult, limit: &Limit) -> Option<&'a Measurement> {
    // Two of one name: either could hide the other.
    let mut found = result.measurements.iter().filter(|m| m.metric == limit.metric);
    found.next().filter(|_| found.next().is_none())
}
