//! What a burn-in did not test, and why: without this list a pass seems to mean more than it does.

use crate::text::line::clip;
use crate::{Outcome, Report, Subject};

/// Something that was not tested.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Untested {
    /// What.
    pub what: String,
    /// On what; the node where it is about all of it.
    pub subject: String,
    /// Why not.
    pub why: String,
}

/// Parts of a node, and the checks that would try them; a part without any is beyond every plan.
const PARTS: &[(&str, &[&str], &str)] = &[
    ("vector units, FP32", &["fp32"], ""),
    ("vector units, FP16", &["fp16"], ""),
    ("vector units, FP64", &["fp64"], ""),
    ("integer units", &["int32", "int64", "digest"], ""),
    ("matrix units", &["matrix", "matrix-product"], ""),
    (
        "device memory, by pattern",
        &[
            "memory-own-address",
            "memory-moving-inversions",
            "memory-march",
            "memory-random",
            "memory-walking-bits",
        ],
        "",
    ),
    ("device memory, that it keeps its contents", &["memory-retention"], ""),
    ("caches", &["cache"], ""),
    ("transfers between host and device", &["transfer"], ""),
    ("all units at once at the highest draw", &["power"], ""),
    ("links between devices of this node", &["peer"], "no check of this version copies between devices"),
    ("links to other nodes", &["link"], "a burn-in is about one node"),
    ("texture, raster, ray-tracing and video units", &[], "no check of this version uses them"),
    (
        "memory, processors and disks of the host",
        &[],
        "a burn-in is about devices; they are listed and not loaded",
    ),
];

/// What this burn-in did not test.
pub fn untested(report: &Report) -> Vec<Untested> {
    let node = |what: &str, why: String| Untested { what: what.to_owned(), subject: "node".to_owned(), why };
    let planned = |id: &&&str| report.plan.checks.iter().any(|check| check.id.as_str() == **id);
    let mut all = Vec::new();
    for (what, checks, beyond) in PARTS {
        if !checks.iter().any(|id| planned(&id)) {
            let unplanned = || format!("plan `{}` has no check of it", clip(&report.plan.name, 24));
            all.push(node(what, if beyond.is_empty() { unplanned() } else { (*beyond).to_owned() }));
        }
    }
    all.extend(not_done(report));
    all.extend(partly(report));
    if report.counters.is_empty() && !report.devices.is_empty() {
        let why = "no device has a PCI address below which Linux keeps counters";
        all.push(node("counters of link errors", why.to_owned()));
    }
    all.truncate(super::view::ROWS_MAX);
    all
}

/// Checks that were skipped, or that were planned and did not run or did not come to a result.
fn not_done(report: &Report) -> impl Iterator<Item = Untested> {
    let open =
        |outcome| matches!(outcome, Outcome::Skip | Outcome::NotRun | Outcome::Error | Outcome::Untrusted);
    report.results.iter().filter(move |result| open(result.outcome)).map(|result| Untested {
        what: format!("{}: {}", result.check, result.outcome.as_str().replace('_', " ")),
        subject: clip(&result.subject.to_string(), 24),
        why: result
            .reason
            .as_ref()
            .map_or_else(|| "no reason was recorded".to_owned(), |r| clip(&r.detail, 240)),
    })
}

/// What was tried only in part: memory that is not the burn-in's to have, and telemetry that nobody gives.
fn partly(report: &Report) -> impl Iterator<Item = Untested> {
    report.devices.iter().take(super::view::ROWS_MAX).flat_map(|device| {
        let of_it = Subject::Device(device.id.clone());
        let results: Vec<_> = report.results.iter().filter(|result| result.subject == of_it).collect();
        let shares =
            results.iter().flat_map(|result| &result.coverage).filter(|c| c.quantity == "memory_fraction");
        let least = shares.map(|c| c.achieved.get()).reduce(f64::min);
        let untested =
            |what: String, why: &str| Untested { what, subject: clip(&device.id.0, 24), why: why.to_owned() };
        let memory = least.filter(|share| *share < 0.999).map(|share| {
            let rest = format!("{:.1} % of the memory", 100.0 * (1.0 - share));
            untested(rest, "driver, other programs or the plan keep it from the burn-in")
        });
        let silent = !results.is_empty() && results.iter().all(|result| result.telemetry.is_none());
        let telemetry = silent.then(|| {
            untested(
                "temperature, power and clocks".to_owned(),
                "nothing that runs here tells them of this device",
            )
        });
        memory.into_iter().chain(telemetry)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_check_that_a_part_names_is_in_a_plan_or_is_still_to_come() {
        let plan = crate::Plan::built_in("quick").unwrap();
        let known = |id: &str| plan.checks.iter().any(|check| check.id.as_str() == id);
        for (what, checks, beyond) in PARTS {
            assert_eq!(checks.iter().any(|id| known(id)), beyond.is_empty(), "{what}");
        }
    }
}
