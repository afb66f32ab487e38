//! From a report to its verdict under a policy: a pure function of evidence, policy and snapshot of baselines.

use report::judge::{ReasonCode, review};
use report::plan::{Limit, Plan};
use report::{Outcome, Quantity, Report, Subject, Verdict, VerdictRecord, document::Finding};

use super::{Demands, Policy, Pool, SiteLimit};
use crate::fleet::{Effect, Figures, Rule, Snapshot, rule};

impl Policy {
    /// The verdict on a report: that of [`review`] under its plan as the policy tightens it, then compared with the
    /// fleet. No part of it makes the verdict better than the part before: nothing that is absent, of the policy or of the
    /// baselines, helps.
    pub fn judge(&self, report: &Report, figures: &[Figures], snapshot: &Snapshot) -> VerdictRecord {
        let demands = self.demands(Pool::of(&report.plan));
        let mut verdict = under_plan(report, &demands);
        with_demands(&mut verdict, report, &demands);
        with_fleet(&mut verdict, figures, snapshot, &demands.fleet);
        verdict
    }
}

/// How grave a verdict is: the graver of two counts.
fn gravity(verdict: Verdict) -> u8 {
    match verdict {
        Verdict::Healthy => 0,
        Verdict::Degraded => 1,
        Verdict::Unknown => 2,
        Verdict::Faulty => 3,
    }
}

/// The judge's verdict, under the plan or under the tightened plan, whichever is graver.
fn under_plan(report: &Report, demands: &Demands) -> VerdictRecord {
    let verdict = review(report);
    let Some(plan) = tightened(report, demands).filter(|_| report.plan.digest() == report.plan_digest) else {
        return verdict;
    };
    let plan_digest = plan.digest();
    let strict = review(&Report { plan, plan_digest, ..report.clone() });
    if gravity(strict.verdict) >= gravity(verdict.verdict) { strict } else { verdict }
}

/// The plan with what the policy asks beside it; `None` if that is nothing.
fn tightened(report: &Report, demands: &Demands) -> Option<Plan> {
    let mut plan = report.plan.clone();
    for check in &mut plan.checks {
        check.required |= demands.require.contains(&check.id);
        let about = |limit: &&SiteLimit| {
            let model = |name: &String| report.devices.iter().any(|device| device.name == *name);
            limit.check == check.id && limit.model.as_ref().is_none_or(model)
        };
        for limit in demands.limits.iter().filter(about) {
            raise(&mut check.limits, limit);
        }
    }
    (plan != report.plan).then_some(plan)
}

fn raise(limits: &mut Vec<Limit>, by: &SiteLimit) {
    let higher = |one: Quantity, other: Quantity| if other > one { other } else { one };
    if !limits.iter().any(|limit| limit.metric == by.metric) {
        limits.push(Limit {
            metric: by.metric.clone(),
            fail_below_per_s: Quantity::ZERO,
            warn_below_per_s: Quantity::ZERO,
            worst_to_median_min: Quantity::ZERO,
            // As the judge has it where a plan asks for nothing.
            clock_tolerance: Quantity::new(0.25).unwrap_or_default(),
            samples_min: 1,
            source: by.source.clone(),
        });
    }
    for limit in limits.iter_mut().filter(|limit| limit.metric == by.metric) {
        let before = limit.clone();
        limit.fail_below_per_s = higher(limit.fail_below_per_s, by.fail_below_per_s);
        limit.warn_below_per_s = higher(limit.warn_below_per_s, by.warn_below_per_s);
        limit.worst_to_median_min = higher(limit.worst_to_median_min, by.worst_to_median_min);
        if *limit != before {
            limit.source.clone_from(&by.source);
        }
    }
}

/// Adds findings that allow this verdict at best: in front where they make it graver, else behind what was found before.
fn add(verdict: &mut VerdictRecord, at_best: Verdict, mut findings: Vec<Finding>) {
    if gravity(at_best) > gravity(verdict.verdict) {
        verdict.verdict = at_best;
        findings.append(&mut verdict.findings);
        verdict.findings = findings;
    } else {
        verdict.findings.append(&mut findings);
    }
}

/// What no plan can say: that it is not believed, or lacks a check.
fn with_demands(verdict: &mut VerdictRecord, report: &Report, demands: &Demands) {
    let mut findings = Vec::new();
    let refused = |plans: &Vec<String>| Some(report.plan.digest()).filter(|digest| !plans.contains(digest));
    if let Some(digest) = demands.plans.as_ref().and_then(refused) {
        let detail = format!("the policy does not accept plan `{}` with digest {digest}", report.plan.name);
        let reason = ReasonCode::PlanRefused.because(detail);
        findings.push(Finding { check: None, subject: Subject::Node, outcome: Outcome::Untrusted, reason });
    }
    for id in demands.require.iter().filter(|id| report.plan.check(id).is_none()) {
        let detail = format!("the policy requires `{id}`, plan `{}` does not have it", report.plan.name);
        let (check, reason) = (Some(id.clone()), ReasonCode::NotRun.because(detail));
        findings.push(Finding { check, subject: Subject::Node, outcome: Outcome::NotRun, reason });
    }
    if !findings.is_empty() {
        add(verdict, Verdict::Unknown, findings);
    }
}

fn with_fleet(verdict: &mut VerdictRecord, figures: &[Figures], snapshot: &Snapshot, rule: &Rule) {
    let comparison = rule.compare(figures, snapshot);
    let (at_best, outcome) = match rule.effect {
        Effect::Note => (Verdict::Healthy, Outcome::Warn),
        Effect::Degraded => (Verdict::Degraded, Outcome::Warn),
        Effect::Faulty => (Verdict::Faulty, Outcome::Fail),
    };
    if !comparison.slow.is_empty() {
        add(verdict, at_best, comparison.slow.iter().map(|slow| slow.finding(outcome)).collect());
    }
    let mut few: Vec<_> = comparison.few.iter().map(|few| rule::few_peers(few, rule)).collect();
    // A node without any figure has not been compared either.
    few.extend(figures.is_empty().then(|| rule::nothing_to_compare(rule)));
    add(verdict, if rule.required && !few.is_empty() { Verdict::Unknown } else { Verdict::Healthy }, few);
}
