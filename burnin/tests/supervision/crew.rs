//! Workers that break the rules cost their own device, never another's, and never give a better result.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use burnin::clock::{Clock, MonotonicClock};
use burnin::crew::Crew;
use burnin::journal::{Journal, JournalError};
use burnin::progress::Watch;
use burnin::worker::Burn;
use report::{Backend, CheckId, CheckResult, DeviceId, Outcome, Report};

use super::{ends, plan, report};

/// Keeps the process ids that fake workers say, and the details of what ended.
#[derive(Default)]
struct Seen {
    ids: Vec<i32>,
    details: Vec<String>,
    /// Removed as soon as all workers have said their ids.
    doomed: Option<(usize, PathBuf)>,
}

impl Watch for Seen {
    fn started(&mut self, _: &DeviceId, _: &CheckId) {}
    #[expect(clippy::cast_possible_truncation, reason = "a process id")]
    fn progress(&mut self, _: &DeviceId, _: &CheckId, share: f64) {
        self.ids.push(share as i32);
        if let Some((_, folder)) = self.doomed.take_if(|(workers, _)| *workers == self.ids.len()) {
            std::fs::remove_dir_all(folder).unwrap();
        }
    }
    fn finished(&mut self, result: &CheckResult) {
        self.details.extend(result.reason.as_ref().map(|reason| reason.detail.clone()));
    }
    fn note(&mut self, _: &str) {}
}

fn fake() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/supervision/fake-worker.sh")
}

fn burn(device: &str) -> Burn {
    let device = DeviceId(device.to_owned());
    Burn { backend: Backend::Vulkan, device, plan: plan(), host_available: None, fault: None }
}

struct Worked {
    done: Result<bool, JournalError>,
    report: Report,
    seen: Seen,
}

fn work(program: &PathBuf, devices: &[&str], interrupted: bool, doom: bool) -> Worked {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let clock = MonotonicClock::start();
    let mut journal = Journal::begin(&out, report(devices)).unwrap();
    let mut seen = Seen { doomed: doom.then_some((devices.len(), out)), ..Seen::default() };
    let crew = Crew::start(program, devices.iter().map(|device| burn(device)).collect(), &clock);
    let done = crew.work(&clock, &mut seen, &AtomicBool::new(interrupted), &mut journal);
    Worked { done, report: journal.report().clone(), seen }
}

fn burn_in(devices: &[&str]) -> Worked {
    let worked = work(&fake(), devices, false, false);
    assert!(matches!(worked.done, Ok(true)));
    worked
}

fn passes() -> Vec<(Outcome, String)> {
    vec![(Outcome::Pass, String::new()); 3]
}

/// The first check ended so, and the device was given up.
fn given_up(outcome: Outcome, code: &str) -> Vec<(Outcome, String)> {
    let blocked = (Outcome::NotRun, "BLOCKED".to_owned());
    vec![(outcome, code.to_owned()), blocked.clone(), blocked]
}

fn crashed() -> Vec<(Outcome, String)> {
    given_up(Outcome::Error, "WORKER-CRASHED")
}

/// Waits until a process is over; it is a child that nobody has waited for, or gone.
fn is_over(process: i32) {
    let state = || {
        let stat = std::fs::read_to_string(format!("/proc/{process}/stat")).ok()?;
        stat.rsplit_once(") ").map(|(_, rest)| rest.to_owned())
    };
    let clock = MonotonicClock::start();
    while state().is_some_and(|state| !state.starts_with('Z')) {
        assert!(clock.now().as_secs() < 10, "process {process} is still there");
        std::thread::yield_now();
    }
}

#[test]
fn two_devices_burn_in_at_once_and_a_bad_one_costs_only_its_own_verdict() {
    let worked = burn_in(&["good", "early", "chatty"]);
    assert_eq!(ends(&worked.report, "good"), passes());
    assert_eq!(ends(&worked.report, "early"), crashed());
    assert_eq!(ends(&worked.report, "chatty"), passes(), "lines that are no events are passed over");
    assert!(
        worked.seen.details[0].contains("ended during this check: exit code 3"),
        "{:?}",
        worked.seen.details
    );
}

#[test]
fn a_worker_that_ends_without_a_word_crashed_even_with_success() {
    let worked = burn_in(&["silent"]);
    assert_eq!(ends(&worked.report, "silent"), crashed());
    assert!(worked.seen.details[0].contains("before this check began"), "{:?}", worked.seen.details);
}

#[test]
fn a_worker_speaks_for_its_own_device_and_the_check_under_way_only() {
    let worked = burn_in(&["good", "dishonest"]);
    assert_eq!(ends(&worked.report, "good"), passes());
    let mut expected = vec![(Outcome::Pass, String::new())];
    expected.extend(crashed().drain(..2));
    assert_eq!(ends(&worked.report, "dishonest"), expected);
    assert_eq!(worked.report.results.len(), 6);
}

#[test]
fn a_pass_without_evidence_is_not_filed_as_one() {
    let worked = burn_in(&["boastful"]);
    assert_eq!(ends(&worked.report, "boastful")[0], (Outcome::Untrusted, "COVERAGE-LOW".to_owned()));
}

#[test]
fn a_line_without_end_ends_the_worker() {
    assert_eq!(ends(&burn_in(&["endless"]).report, "endless"), crashed());
}

#[test]
fn a_worker_that_ignores_signals_or_begins_anew_for_ever_is_killed_at_its_deadline() {
    let worked = burn_in(&["stubborn", "restarting"]);
    for device in ["stubborn", "restarting"] {
        assert_eq!(ends(&worked.report, device), given_up(Outcome::Fail, "DEVICE-HANG"), "{device}");
    }
    assert!(worked.seen.details[0].contains("not over after 2 s; its worker was killed"));
    worked.seen.ids.into_iter().for_each(is_over);
}

#[test]
fn an_interrupt_ends_every_worker() {
    let worked = work(&fake(), &["stubborn", "good"], true, false);
    assert!(matches!(worked.done, Ok(false)));
    for device in ["stubborn", "good"] {
        assert_eq!(ends(&worked.report, device), given_up(Outcome::NotRun, "INTERRUPTED"), "{device}");
    }
    worked.seen.ids.into_iter().for_each(is_over);
}

#[test]
fn a_worker_that_does_not_start_is_told_apart_from_a_device_that_fails() {
    let worked = work(&PathBuf::from("/nonexistent/burnin"), &["good"], false, false);
    assert!(matches!(worked.done, Ok(true)));
    assert_eq!(ends(&worked.report, "good"), crashed());
}

#[test]
fn when_the_report_cannot_be_written_no_worker_goes_on() {
    let worked = work(&fake(), &["restarting", "stubborn"], false, true);
    assert!(matches!(worked.done, Err(JournalError::Write { .. })));
    assert_eq!(worked.seen.ids.len(), 2);
    worked.seen.ids.into_iter().for_each(is_over);
}
