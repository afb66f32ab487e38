//! Every fault that can be planted is found by the check that should find it, for the right reason, in time; and without
//! one the software device is healthy. Whole runs of `burnin` on the software Vulkan device.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "published/mod.rs"]
mod published;

use std::collections::BTreeSet;
use std::time::Duration;

use report::{CheckResult, DeviceKind, Mismatch, Origin, Outcome, Plan, Report, Verdict};
use stories::process::{Ended, run};
use stories::{burnin, report_of, turn};

/// Checks of a device, in the order of the plan.
const CHECKS: [&str; 5] = ["digest", "fp32", "memory-own-address", "memory-moving-inversions", "stream"];
/// What a software device may lack.
const OPTIONAL: [&str; 2] = ["matrix", "matrix-product"];
/// What starting, listing and ending may take beside the checks.
const MARGIN: Duration = Duration::from_secs(30);

fn burn_in(more: &[&str]) -> (Ended, Report) {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let plan = Plan::built_in("quick-software").unwrap();
    let deadline: u32 = plan.checks.iter().map(|check| check.deadline_s).sum();
    let mut command = burnin(&["run", "--plan", "quick-software", "--json", "--quiet", "--out"]);
    let ended = run(command.arg(&out).args(more), Duration::from_secs(deadline.into()) + MARGIN);
    let report = report_of(&ended.stdout);
    assert_eq!(report, stories::report_in(&out), "standard output and report.json");
    published::assert_published(&ended.stdout);
    let page = std::fs::read_to_string(out.join("report.html")).unwrap();
    assert!(page.contains(&format!("</span> {}</h1>", report.verdict.verdict)), "the page says the verdict");
    (ended, report)
}

/// A run with this fault: its exit code fits, and it says that it was a drill.
fn drill(fault: &str, code: i32) -> (Ended, Report) {
    let (ended, report) = burn_in(&["--plant", fault]);
    assert_eq!(ended.code(), Some(code), "{}", ended.stderr);
    assert_eq!(report.origin, Origin::Planted(fault.to_owned()));
    let verdict = if code == 1 { Verdict::Faulty } else { Verdict::Unknown };
    assert_eq!(report.verdict.verdict, verdict);
    (ended, report)
}

fn result<'a>(report: &'a Report, check: &str) -> &'a CheckResult {
    report.results.iter().find(|result| result.check.as_str() == check).unwrap()
}

fn ended_with(result: &CheckResult) -> (Outcome, Option<&str>) {
    (result.outcome, result.reason.as_ref().map(|reason| reason.code.as_str()))
}

/// This check ended so, and every other passed.
fn only(report: &Report, check: &str, outcome: Outcome, code: &str) {
    for found in &report.results {
        let expected = if found.check.as_str() == check {
            (outcome, Some(code))
        } else if OPTIONAL.contains(&found.check.as_str()) && found.outcome == Outcome::Skip {
            (Outcome::Skip, Some("UNSUPPORTED"))
        } else {
            (Outcome::Pass, None)
        };
        assert_eq!(ended_with(found), expected, "{}", found.check);
    }
}

/// This check ended so, those before it passed, those after it were not run: the device was given up.
fn given_up(report: &Report, check: &str, outcome: Outcome, code: &str) {
    let place = CHECKS.iter().position(|name| *name == check).unwrap();
    assert_eq!(ended_with(result(report, "doctor")), (Outcome::Pass, None));
    for (number, name) in CHECKS.iter().enumerate() {
        let expected = match number.cmp(&place) {
            std::cmp::Ordering::Less => (Outcome::Pass, None),
            std::cmp::Ordering::Equal => (outcome, Some(code)),
            std::cmp::Ordering::Greater => (Outcome::NotRun, Some("BLOCKED")),
        };
        assert_eq!(ended_with(result(report, name)), expected, "{name}");
    }
}

/// The wrong words of a check; its canaries were found, and nothing strayed into them.
fn wrong_words<'a>(report: &'a Report, check: &str) -> (u64, &'a [Mismatch]) {
    let result = result(report, check);
    let canary = result.canary.unwrap();
    assert!(canary.planted > 0 && canary.found == canary.planted && canary.strays == 0, "{canary:?}");
    let arrived = |note: &String| note.starts_with("drill: ");
    let drill = report.origin != Origin::Measured;
    assert_eq!(result.notes.iter().any(arrived), drill, "did the fault arrive? {:?}", result.notes);
    let wrong = result.mismatches.as_ref().unwrap();
    (wrong.count, &wrong.first)
}

#[test]
fn a_flipped_bit_of_memory_is_found_at_its_address() {
    let _turn = turn();
    let (_, report) = drill("flipped-bit", 1);
    only(&report, "memory-own-address", Outcome::Fail, "DATA-MISMATCH");
    let (count, first) = wrong_words(&report, "memory-own-address");
    assert_eq!((count, first.len()), (1, 1));
    assert_eq!((first[0].byte_address, first[0].expected ^ first[0].found), (10_007 * 4, 1 << 21));
    assert!(result(&report, "memory-own-address").reason.as_ref().unwrap().detail.contains("bit 21"));
}

#[test]
fn a_wrong_word_of_a_digest_is_found_with_its_bits() {
    let _turn = turn();
    let (_, report) = drill("wrong-word", 1);
    only(&report, "digest", Outcome::Fail, "DATA-MISMATCH");
    let (count, first) = wrong_words(&report, "digest");
    assert_eq!((count, first.len()), (1, 1));
    // 10007 modulo 64, the lanes of a workgroup.
    assert_eq!((first[0].byte_address, first[0].expected ^ first[0].found), (23 * 4, 0x8100));
}

#[test]
fn a_stuck_lane_is_the_only_one_blamed() {
    let _turn = turn();
    let (_, mut report) = drill("stuck-lane", 1);
    // The latency check counts on the same kernel, and compares its answers too.
    let latency = report.results.iter().position(|result| result.check.as_str() == "latency").unwrap();
    assert_eq!(ended_with(&report.results.remove(latency)), (Outcome::Fail, Some("DATA-MISMATCH")));
    only(&report, "digest", Outcome::Fail, "DATA-MISMATCH");
    let (count, first) = wrong_words(&report, "digest");
    let lanes: BTreeSet<_> = first.iter().map(|wrong| wrong.byte_address / 4 % 32).collect();
    assert_eq!(lanes, [13].into(), "lanes of 32 that were wrong");
    // About half of the words have the bit set anyway; a lane is wrong in many workgroups, not in one.
    assert!(count > 64 && first.len() == 64, "{count} wrong");
    assert!(first.iter().map(|wrong| wrong.workgroup).collect::<BTreeSet<_>>().len() > 1);
}

#[test]
fn a_stale_tile_is_found_whole() {
    let _turn = turn();
    let (_, report) = drill("stale-tile", 1);
    only(&report, "fp32", Outcome::Fail, "DATA-MISMATCH");
    let (count, first) = wrong_words(&report, "fp32");
    let addresses: Vec<_> = first.iter().map(|wrong| wrong.byte_address).collect();
    assert_eq!((count, addresses), (64, (0..64).map(|lane| lane * 4).collect()));
    assert!(first.iter().all(|wrong| wrong.workgroup == 0));
}

#[test]
fn a_kernel_that_is_slow_for_a_while_is_unstable_though_its_answers_are_right() {
    let _turn = turn();
    let (_, report) = drill("slow-kernel", 1);
    only(&report, "fp32", Outcome::Fail, "RATE-UNSTABLE");
    assert_eq!(wrong_words(&report, "fp32").0, 0);
}

#[test]
fn a_hang_ends_at_the_deadline_of_its_check() {
    // No turn: it waits for most of its time, and no rate of it is judged.
    let (ended, report) = drill("hang", 1);
    given_up(&report, "fp32", Outcome::Fail, "DEVICE-HANG");
    let deadline = report.plan.check(&"fp32".try_into().unwrap()).unwrap().deadline_s;
    assert!(ended.took >= Duration::from_secs(deadline.into()), "{:?}", ended.took);
    assert!(ended.took < Duration::from_secs(deadline.into()) + MARGIN, "{:?}", ended.took);
}

#[test]
fn a_lost_device_fails_the_check_that_lost_it_and_is_given_up() {
    let _turn = turn();
    let (ended, report) = drill("lost-device", 1);
    given_up(&report, "fp32", Outcome::Fail, "DEVICE-LOST");
    assert!(ended.took < MARGIN, "{:?}", ended.took);
}

#[test]
fn a_crashed_worker_says_nothing_about_the_device() {
    let _turn = turn();
    let (ended, report) = drill("crashed-worker", 4);
    given_up(&report, "fp32", Outcome::Error, "WORKER-CRASHED");
    assert!(result(&report, "fp32").reason.as_ref().unwrap().detail.contains("signal 6"));
    assert!(ended.took < MARGIN, "{:?}", ended.took);
}

#[test]
fn a_device_that_is_gone_fails_the_first_check() {
    let _turn = turn();
    let (ended, report) = drill("missing-device", 1);
    given_up(&report, "digest", Outcome::Fail, "DEVICE-MISSING");
    assert!(ended.took < MARGIN, "{:?}", ended.took);
}

#[test]
fn every_fault_of_the_command_line_has_a_drill_here() {
    let help = run(&mut burnin(&["run", "--help"]), MARGIN).text();
    let listed = help.lines().filter_map(|line| line.trim().strip_prefix("- "));
    let faults: BTreeSet<_> = listed.filter_map(|line| line.split_once(':').map(|(name, _)| name)).collect();
    let drills: BTreeSet<_> = include_str!("planted_faults.rs")
        .split("drill(\"")
        .skip(1)
        .filter_map(|rest| rest.split_once("\", ").map(|(name, _)| name))
        .collect();
    let backends: BTreeSet<_> = ["vulkan", "portable", "cpu"].into();
    assert_eq!(faults.difference(&backends).copied().collect::<BTreeSet<_>>(), drills);
}

#[test]
fn without_a_fault_the_software_device_is_healthy_through_every_backend_with_the_same_digests() {
    let _turn = turn();
    let mut digests = BTreeSet::new();
    let mut fp32 = BTreeSet::new();
    for backend in ["vulkan", "portable", "cpu"] {
        let (ended, report) = burn_in(&["--backend", backend]);
        assert_eq!(ended.code(), Some(0), "{backend}: {:?}", report.verdict.findings);
        assert_eq!(report.verdict.verdict, Verdict::Healthy);
        assert_eq!(report.origin, Origin::Measured, "{backend}");
        assert_eq!(report.results.len(), report.plan.checks.len());
        let not_tried = |check: &str| OPTIONAL.contains(&check);
        let skipped = |finding: &report::document::Finding| {
            finding.outcome == Outcome::Skip
                && finding.check.as_ref().is_some_and(|id| not_tried(id.as_str()))
        };
        assert!(report.verdict.findings.iter().all(skipped), "{backend}: {:?}", report.verdict.findings);
        for found in report.results.iter().filter(|found| found.check.as_str() != "doctor") {
            let check = found.check.as_str();
            if found.outcome == Outcome::Skip && not_tried(check) {
                continue;
            }
            assert_eq!(ended_with(found), (Outcome::Pass, None), "{check} through {backend}");
            assert_eq!(wrong_words(&report, check).0, 0);
        }
        assert!(CHECKS.iter().all(|check| result(&report, check).outcome == Outcome::Pass));
        digests.insert(result(&report, "digest").digest.clone().unwrap());
        let fp32_result = result(&report, "fp32");
        fp32.insert((fp32_result.notes.clone(), fp32_result.digest.clone().unwrap()));
    }
    assert_eq!(digests.len(), 1, "one right answer on every device: {digests:?}");
    // A device may round a multiply-add once or twice; between devices that round alike there is one answer.
    let roundings: BTreeSet<_> = fp32.iter().map(|(notes, _)| notes).collect();
    assert_eq!(roundings.len(), fp32.len(), "{fp32:?}");
}

/// On a machine with a GPU this burns the GPU in; without one, the software device must not stand in for it.
#[test]
fn the_plan_for_gpus_is_never_passed_by_a_software_device() {
    let _turn = turn();
    let listed = run(&mut burnin(&["list", "--json"]), MARGIN);
    let devices: Vec<report::DeviceInfo> = serde_json::from_slice(&listed.stdout).unwrap();
    let plan = Plan::built_in("quick").unwrap();
    let has_gpu = devices.iter().any(|device| plan.accepts(&device.kind));

    let folder = tempfile::tempdir().unwrap();
    let deadline: u32 = plan.checks.iter().map(|check| check.deadline_s).sum();
    let mut command = burnin(&["run", "--plan", "quick", "--out"]);
    let ended = run(command.arg(folder.path()), Duration::from_secs(deadline.into()) + MARGIN);
    let report = stories::report_in(folder.path());
    let first = ended.text().lines().next().unwrap().to_owned();
    if has_gpu {
        assert!(report.devices.iter().all(|device| plan.accepts(&device.kind)), "{:?}", report.devices);
        assert!(!first.contains("SOFTWARE"), "{first}");
        return;
    }
    assert_eq!(ended.code(), Some(4), "{}", ended.stderr);
    assert!(first.starts_with("UNKNOWN: ") && first.contains("SOFTWARE DEVICE, NO GPU"), "{first}");
    assert_eq!(ended_with(result(&report, "doctor")), (Outcome::Error, Some("NO-GPU")));
    assert!(report.devices.iter().all(|device| device.kind == DeviceKind::Cpu));
    assert_eq!(report.verdict.findings[0].reason.code, "NO-GPU");
}
