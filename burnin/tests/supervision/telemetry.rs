//! A sampler that hangs, ends or finds nothing costs its samples and nothing else.

use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use burnin::clock::MonotonicClock;
use burnin::crew::Crew;
use burnin::journal::Journal;
use burnin::progress::Watch;
use burnin::telemetry::{PATIENCE, Sampler};
use burnin::worker::Burn;
use report::{Backend, CheckId, CheckResult, DeviceId, DeviceInfo, DeviceKind, Outcome, Report};

use super::{device, ends, plan, report};

/// Keeps the notes.
#[derive(Default)]
struct Notes(Vec<String>);

impl Watch for Notes {
    fn started(&mut self, _: &DeviceId, _: &CheckId) {}
    fn progress(&mut self, _: &DeviceId, _: &CheckId, _: f64) {}
    fn finished(&mut self, _: &CheckResult) {}
    fn note(&mut self, text: &str) {
        self.0.push(text.to_owned());
    }
}

fn script(name: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/supervision").join(name)
}

fn gpu(address: &str) -> DeviceInfo {
    DeviceInfo { kind: DeviceKind::Discrete, address: address.parse().ok(), ..device("slow") }
}

/// Works on one device, which takes 0.4 s a check, beside the sampler that this address means.
fn work(address: &str, patience: Duration) -> (Report, Vec<String>) {
    let gpu = gpu(address);
    let mut report = report(&["slow"]);
    report.devices = vec![gpu.clone()];
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::begin(&folder.path().join("out"), report).unwrap();
    let clock = MonotonicClock::start();
    let burn = Burn {
        backend: Backend::Vulkan,
        device: gpu.id.clone(),
        plan: plan(),
        host_available: None,
        fault: None,
    };
    let sampler = Sampler::start(&script("fake-sampler.sh"), &[gpu], patience);
    assert_eq!(sampler.silence(), None);
    let crew = Crew::start(&script("fake-worker.sh"), vec![burn], &clock).with_sampler(sampler);
    let mut notes = Notes::default();
    assert!(crew.work(&clock, &mut notes, &AtomicBool::new(false), &mut journal).unwrap());
    (journal.close(None).unwrap(), notes.0)
}

fn notes_of(report: &Report) -> Vec<String> {
    report.results.iter().flat_map(|result| result.notes.clone()).collect()
}

#[test]
fn readings_stand_beside_the_check_in_which_they_were_taken() {
    let (report, notes) = work("0000:02:00.0", PATIENCE);
    assert_eq!(notes, Vec::<String>::new());
    for result in &report.results {
        let telemetry = result.telemetry.as_ref().unwrap();
        assert!((1..=40).contains(&telemetry.samples), "{telemetry:?}");
        assert_eq!(telemetry.power_w.unwrap().median.get(), 300.0);
        assert_eq!(telemetry.throttle, Some(vec!["sw-power-cap".to_owned()]));
    }
}

#[test]
fn a_sampler_that_hangs_is_killed_and_the_checks_go_on_without_it() {
    let (report, notes) = work("0000:01:00.0", Duration::from_millis(500));
    assert!(ends(&report, "slow").iter().all(|(outcome, _)| *outcome == Outcome::Pass), "{report:?}");
    assert_eq!(notes, ["telemetry: the sampler said nothing for 0 s and was ended"]);
    assert!(
        notes_of(&report).contains(&"no telemetry: the sampler said nothing for 0 s and was ended".into())
    );
    assert!(report.results[2].telemetry.is_none());
}

#[test]
fn a_device_that_tells_nothing_has_the_reason_beside_its_checks() {
    let (report, notes) = work("0000:03:00.0", PATIENCE);
    assert_eq!(notes, ["telemetry: opening libnvidia-ml.so.1: not there"]);
    assert_eq!(notes_of(&report), ["no telemetry: opening libnvidia-ml.so.1: not there"; 3]);
}

#[test]
fn software_devices_and_those_without_an_address_need_no_sampler() {
    let nowhere = Path::new("/nonexistent/program");
    let sampler = Sampler::start(nowhere, &[device("good")], PATIENCE);
    assert_eq!(sampler.silence(), Some("no GPU with a PCI address"));
    let sampler = Sampler::start(nowhere, &[gpu("0000:01:00.0")], PATIENCE);
    assert!(sampler.silence().unwrap().starts_with("the sampler did not start"));
}
