//! JUnit's XML, for what collects the results of tests: a suite for each subject, a case for each check, and a case for the
//! verdict itself. `fail` is a failure; what broke, did not run or cannot be believed is an error; only `skip` is skipped.

use maud::{Markup, PreEscaped, html};

use super::view::{Device, View, evidence, shown};
use crate::document::Finding;
use crate::judge::Verdict;
use crate::text::line::clip;
use crate::{CheckResult, Outcome};

pub(super) fn suites(view: &View<'_>) -> String {
    let of_node = suite(view, "node", &view.of_node);
    let of_devices = view.devices.iter().map(|device| suite(view, &name(device), &device.results));
    let all: Vec<_> = of_devices.collect();
    let document = html! {
        (PreEscaped("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"))
        testsuites name={ "burn-in of " (view.node()) } {
            (verdict(view))
            (of_node)
            @for suite in &all { (suite) }
        }
    };
    document.into_string() + "\n"
}

fn name(device: &Device<'_>) -> String {
    format!("{} {}", clip(&device.info.id.0, 24), clip(&device.info.name, 60))
}

fn verdict(view: &View<'_>) -> Markup {
    let verdict = view.judged.verdict;
    let (failures, errors) = match verdict {
        Verdict::Healthy => (0, 0),
        Verdict::Faulty | Verdict::Degraded => (1, 0),
        Verdict::Unknown => (0, 1),
    };
    html! {
        testsuite name="verdict" tests="1" failures=(failures) errors=(errors) skipped="0" time="0.000" timestamp=(view.report.started_at) {
            properties {
                property name="verdict" value=(verdict) {}
                property name="plan" value=(shown(&view.report.plan.name)) {}
                property name="run_id" value=(shown(&view.report.run_id)) {}
                property name="burnin" value=(shown(&view.report.tool.version)) {}
            }
            testcase classname="verdict" name="the node may take work" time="0.000" {
                @if failures > 0 { failure type=(verdict) message=(view.why()) { (view.action()) } }
                @if errors > 0 { error type=(verdict) message=(view.why()) { (view.action()) } }
            }
        }
    }
}

fn suite(view: &View<'_>, name: &str, results: &[&CheckResult]) -> Markup {
    let outcomes: Vec<_> = results.iter().map(|result| view.outcome(result)).collect();
    let count = |wanted: &[Outcome]| outcomes.iter().filter(|outcome| wanted.contains(outcome)).count();
    let broken = [Outcome::Error, Outcome::Untrusted, Outcome::NotRun];
    let time: f64 = results.iter().map(|result| result.took_s.get().min(1e9)).sum();
    html! {
        @if !results.is_empty() {
            testsuite name=(name) tests=(results.len()) failures=(count(&[Outcome::Fail])) errors=(count(&broken))
                skipped=(count(&[Outcome::Skip])) time=(format!("{time:.3}")) timestamp=(view.report.started_at) {
                @for (result, outcome) in results.iter().zip(&outcomes) { (case(view, name, result, *outcome)) }
            }
        }
    }
}

fn case(view: &View<'_>, suite: &str, result: &CheckResult, outcome: Outcome) -> Markup {
    let of_it = |f: &&Finding| f.check.as_ref() == Some(&result.check) && f.subject == result.subject;
    let reason =
        view.judged.findings.iter().find(of_it).map(|finding| &finding.reason).or(result.reason.as_ref());
    let detail =
        reason.map_or_else(|| "no reason was recorded".to_owned(), |reason| clip(&reason.detail, 400));
    let code = reason.map_or_else(String::new, |reason| clip(&reason.code, 24));
    let action = reason.map_or_else(String::new, |reason| shown(&reason.action));
    html! {
        testcase classname=(suite) name=(result.check) time=(format!("{:.3}", result.took_s.get().min(1e9))) {
            @match outcome {
                Outcome::Fail => { failure type=(code) message=(detail) { (action) } },
                Outcome::Error | Outcome::Untrusted | Outcome::NotRun => { error type=(code) message={ (outcome) ": " (detail) } { (action) } },
                Outcome::Skip => { skipped message=(detail) {} },
                Outcome::Pass | Outcome::Warn => {},
            }
            system-out { (evidence(result)) @if outcome == Outcome::Warn { "; warning: " (detail) } }
        }
    }
}
