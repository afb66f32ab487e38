use report::Mismatches;

use super::checkers::{Rounds, Touch};
use super::matrix::Shot;
use super::*;
use crate::clock::MonotonicClock;
use crate::device::cpu::Cpu;
use crate::session::Session;

fn options(names: &[&str], injections: u32) -> Options {
    let checkers = checkers::all().into_iter().filter(|checker| names.contains(&checker.name())).collect();
    Options { checkers, classes: Class::ALL.to_vec(), injections, clean_rounds: 100 }
}

fn calibrate(options: &Options) -> Calibration {
    run(options, Box::new(Cpu::new()), &MonotonicClock::start(), &mut |_, _| ()).unwrap()
}

#[test]
fn the_digest_sees_every_class_on_the_reference_device() {
    let calibration = calibrate(&options(&["digest"], 20));
    assert!(calibration.holds(), "{}", table::text(&calibration));
    assert!(calibration.cells.iter().all(|cell| (cell.injected, cell.found) == (20, 20)));
    assert!(calibration.clean.rounds >= 100);
}

#[test]
fn the_memory_checks_see_what_they_claim_on_the_reference_device() {
    let calibration = calibrate(&options(&["memory-own-address", "memory-moving-inversions"], 4));
    assert!(calibration.holds(), "{}", table::text(&calibration));
    let claimed = calibration.cells.iter().filter(|cell| cell.claimed).count();
    assert_eq!(claimed, 15 + 13);
}

/// A checker that compares as many tools do: by the XOR of all results.
#[derive(Debug)]
struct Blind {
    alarms: bool,
}

struct BlindRounds {
    inner: Box<dyn Rounds>,
    alarms: bool,
}

static BLIND: Blind = Blind { alarms: false };
static NERVOUS: Blind = Blind { alarms: true };

impl Checker for Blind {
    fn name(&self) -> &'static str {
        "blind"
    }
    fn kernels(&self) -> Vec<&'static kernels::Kernel> {
        Vec::new()
    }
    fn claims(&self, class: Class) -> bool {
        matches!(class, Class::LaneBit | Class::OneBit)
    }
    fn dissect(&self) -> anatomy::Dissect {
        checkers::chain::ALL[0].dissect()
    }
    fn prepare(&self, session: &mut Session<'_>) -> Result<Box<dyn Rounds>, DeviceError> {
        let inner = checkers::chain::ALL[0].prepare(session)?;
        Ok(Box::new(BlindRounds { inner, alarms: self.alarms }))
    }
}

impl Rounds for BlindRounds {
    fn round(
        &mut self,
        session: &mut Session<'_>,
        golden: Touch<'_>,
        seed: u32,
    ) -> Result<Mismatches, DeviceError> {
        let seen = self.inner.round(session, golden, seed)?;
        let xor = seen.first.iter().fold(0, |all, m| all ^ m.expected ^ m.found);
        let count = u64::from(xor != 0 || self.alarms && seed.is_multiple_of(8));
        Ok(Mismatches { count, ..Mismatches::default() })
    }
    fn canary(&mut self, session: &mut Session<'_>, seed: u32) -> Result<Mismatches, DeviceError> {
        self.inner.canary(session, seed)
    }
    fn free(self: Box<Self>, session: &mut Session<'_>) {
        self.inner.free(session);
    }
}

fn blind(checker: &'static Blind, injections: u32) -> Calibration {
    let classes = vec![Class::OneBit, Class::LaneBit];
    calibrate(&Options { checkers: vec![checker], classes, injections, clean_rounds: 100 })
}

#[test]
fn a_checker_that_compares_the_xor_of_all_is_shown_to_be_blind_and_its_misses_can_be_replayed() {
    let calibration = blind(&BLIND, 30);
    assert!(!calibration.holds());
    let cell = calibration.cells.iter().find(|cell| cell.class == Class::LaneBit).unwrap();
    assert!(cell.broken() && cell.missed() > 3, "{cell:?}");
    assert_eq!(calibration.clean.alarms, 0);
    let text = table::text(&calibration);
    let miss = cell.misses.first().unwrap();
    assert!(text.contains("MISSED blind, lane-bit") && text.contains(&miss.seed), "{text}");
    assert!(text.ends_with("A CLAIM IS BROKEN\n"));

    let seed = u64::from_str_radix(miss.seed.trim_start_matches("0x"), 16).unwrap();
    let (clock, planned) = (MonotonicClock::start(), planned());
    let device: Box<dyn Device> = Box::new(Cpu::new());
    let mut bench = Bench { device: Injector::new(device), clock: &clock, planned: &planned };
    let (shot, _) = bench.replay(&BLIND, Class::LaneBit, seed).unwrap();
    assert_eq!(shot, Shot::Missed(miss.what.clone()));
}

#[test]
fn a_false_alarm_breaks_the_calibration_and_is_listed_by_its_seed() {
    let calibration = blind(&NERVOUS, 30);
    assert!(!calibration.holds());
    assert!(calibration.clean.alarms > 5, "{:?}", calibration.clean.alarms);
    let text = table::text(&calibration);
    assert!(text.contains("FALSE ALARM blind seed 0x"), "{text}");
}

#[test]
fn a_claim_that_cannot_be_tried_is_a_broken_one() {
    let cell = |claimed| document::Cell {
        checker: "x".to_owned(),
        class: Class::Golden,
        claimed,
        injected: 0,
        found: 0,
        redrawn: 64,
        absent: 0,
        misses: Vec::new(),
    };
    assert!(cell(true).broken() && !cell(false).broken());
}

#[test]
fn the_document_reads_back_as_it_was_and_one_miss_never_reads_as_none() {
    let mut calibration = calibrate(&options(&["digest"], 3));
    calibration.cells[0].injected = 100_000;
    calibration.cells[0].found = 99_999;
    let text = serde_json::to_string(&calibration).unwrap();
    assert_eq!(serde_json::from_str::<Calibration>(&text).unwrap(), calibration);
    assert!(
        table::text(&calibration).contains("!99.9") && table::markdown(&calibration).contains("| !99.9 |")
    );
}

#[test]
fn a_changed_kernel_that_nobody_noticed_breaks_the_calibration_and_is_listed() {
    let mut calibration = calibrate(&options(&["digest"], 1));
    let mutant = |number, fate| document::Mutant {
        kernel: "digest".to_owned(),
        number,
        change: format!("instruction {number}: add to subtract"),
        fate,
    };
    let noticed = document::Fate::Caught { checker: "digest".to_owned(), by_canary: false };
    calibration.mutants =
        Some(document::Mutants { tried: vec![mutant(1, noticed), mutant(2, document::Fate::Hung)] });
    assert!(calibration.holds());
    let all = calibration.mutants.as_mut().unwrap();
    all.tried.push(mutant(3, document::Fate::Survived));
    assert!(!calibration.holds());
    let text = table::text(&calibration);
    assert!(text.contains("HOLE digest mutant 3: instruction 3: add to subtract"), "{text}");
}
