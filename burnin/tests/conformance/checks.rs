//! The checks of the chain kernels as a whole: what passes, what a fault makes of them, which unit it is blamed on, and that
//! the command they print runs the same tile again.

use std::time::Duration;

use burnin::catalogue::CHAINS;
use burnin::chains::{Recipe, Replayed, Tile, check, replay};
use burnin::clock::MonotonicClock;
use burnin::device::faulty::{Fault, Faulty};
use burnin::device::{Device, DeviceError, Dispatch, Elapsed, offers};
use burnin::session::Session;
use kernels::units::{self, STAND_IN_UNITS, stand_in_unit};
use report::plan::{Class, PlannedCheck, Scope};
use report::{Bytes, CheckResult, Quantity};

use crate::subject::{Reference, Subject, ValidatedVulkan};

/// A device on which one lane of every chain kernel goes wrong, once, in a dispatch that plants nothing itself.
struct Flipping<D> {
    inner: D,
    /// How many dispatches are left before it happens.
    left: u32,
}

/// Where it goes wrong: workgroup, lane, bits.
const FLIPPED: [u32; 3] = [5, 33, 1 << 9];

impl<D: Device> Device for Flipping<D> {
    burnin::forward_to_device!(inner: info, allocate, free, upload, read_back, transfer);

    fn dispatch(&mut self, dispatch: &Dispatch<'_>, wait: Duration) -> Result<Elapsed, DeviceError> {
        let mut dispatch = *dispatch;
        if dispatch.params[4] == 0 {
            if self.left == 0 {
                dispatch.params[4] = 1;
                dispatch.params[5..8].copy_from_slice(&FLIPPED);
            }
            self.left = self.left.wrapping_sub(1);
        }
        self.inner.dispatch(&dispatch, wait)
    }
}

/// Four windows, whatever time they take.
fn planned(name: &str) -> PlannedCheck {
    PlannedCheck {
        id: name.try_into().unwrap(),
        scope: Scope::Device,
        required: true,
        class: Class::Correctness,
        exact: true,
        canary: true,
        deadline_s: 60,
        measure_s: Quantity::ZERO,
        memory_fraction: Quantity::ZERO,
        memory_max_bytes: Bytes(0),
        floors: Vec::new(),
        limits: Vec::new(),
    }
}

fn with<T>(device: &mut dyn Device, name: &str, act: impl FnOnce(&mut Session<'_>) -> T) -> T {
    let (clock, planned) = (MonotonicClock::start(), planned(name));
    let mut progress = |_| ();
    act(&mut Session {
        device,
        clock: &clock,
        planned: &planned,
        host_available: None,
        progress: &mut progress,
    })
}

fn run(device: &mut dyn Device, name: &str, recipe: &Recipe) -> CheckResult {
    with(device, name, |session| check(session, recipe)).unwrap()
}

fn wrong(result: &CheckResult) -> u64 {
    result.mismatches.as_ref().unwrap().count
}

/// The canaries were found, and nothing else was there.
#[track_caller]
fn canaries_found(result: &CheckResult) {
    let canary = result.canary.unwrap();
    assert_eq!((canary.planted, canary.found, canary.strays), (4, 4, 0), "{}", result.check);
}

fn passes_and_finds_a_fault<S: Subject>(checks: &[(&str, &Recipe)]) {
    for (name, recipe) in checks {
        let mut device = S::open();
        if !recipe.kernel.needs.iter().all(|need| offers(device.info(), *need)) {
            eprintln!("{} does not offer what `{name}` needs", device.info().name);
            S::close(device);
            continue;
        }
        let result = run(&mut device, name, recipe);
        canaries_found(&result);
        assert_eq!(wrong(&result), 0, "{name}");
        assert!(result.coverage[0].achieved.get() >= 256.0 && result.measurements[0].median.get() > 0.0);

        // The canonical dispatch comes first; the one after it is wrong.
        let mut flipping = Flipping { inner: device, left: 1 };
        let result = run(&mut flipping, name, recipe);
        canaries_found(&result);
        assert_eq!(wrong(&result), 1, "{name}");
        let [workgroup, lane, _] = FLIPPED;
        let first = &result.mismatches.as_ref().unwrap().first[0];
        assert_eq!((first.workgroup, first.byte_address), (workgroup, u64::from(workgroup * 64 + lane) * 4));
        let note = result.notes.iter().find(|note| note.contains("burnin replay")).unwrap();
        assert!(
            note.contains(&format!("--check {name} --seed ")) && note.contains("--workgroup 5 "),
            "{note}"
        );
        S::close(flipping.inner);
    }
}

#[test]
fn every_chain_check_passes_on_vulkan_and_finds_a_fault() {
    passes_and_finds_a_fault::<ValidatedVulkan>(&CHAINS);
}

/// One of them: the kernels themselves are compared one by one.
#[test]
#[cfg(feature = "portable")]
fn a_chain_check_passes_through_wgpu_in_its_best_shape_and_finds_a_fault() {
    passes_and_finds_a_fault::<crate::subject::Wgpu>(&CHAINS[1..2]);
}

/// A digest with a stand-in for the units, on a device where one lane of every 32 is stuck from the fourth dispatch on.
fn blamed(device: impl Device) {
    let (_, recipe) = CHAINS[0];
    let recipe = Recipe { by_unit: Some(&units::DIGEST_STAND_IN), ..*recipe };
    let mut device = device;
    let clean = run(&mut device, "digest", &recipe);
    canaries_found(&clean);
    assert_eq!(clean.digest.as_deref(), Some("af89a8460c2d02c3"), "the variant gives the same answers");
    let seen = &clean.units.as_ref().unwrap().units;
    assert_eq!(
        seen.iter().map(|load| load.unit).collect::<Vec<_>>(),
        (0..STAND_IN_UNITS).collect::<Vec<_>>()
    );
    assert!(seen.iter().all(|load| load.workgroups > 0 && load.mismatches == 0));
    assert!(seen.iter().all(|load| load.median_ticks == u64::from(100 + load.unit)), "{seen:?}");
    let coverage = clean.coverage.iter().find(|coverage| coverage.quantity == "units").unwrap();
    assert_eq!(coverage.achieved.get(), f64::from(STAND_IN_UNITS));

    let mut flipping = Flipping { inner: device, left: 1 };
    let result = run(&mut flipping, "digest", &recipe);
    let units = &result.units.as_ref().unwrap().units;
    let unit = stand_in_unit(FLIPPED[0]);
    assert!(units.iter().all(|load| load.mismatches == u64::from(load.unit == unit)), "{units:?}");
    let named = format!("1 wrong words in workgroup 5 on compute unit {unit}, ");
    assert!(result.notes.iter().any(|note| note.starts_with(&named)), "{:?}", result.notes);
}

#[test]
fn a_wrong_workgroup_is_blamed_on_its_unit_on_the_processor() {
    blamed(Reference::open());
}

#[test]
fn a_wrong_workgroup_is_blamed_on_its_unit_on_vulkan() {
    blamed(ValidatedVulkan::open());
}

fn again(device: &mut dyn Device, tile: &Tile, times: u64) -> Replayed {
    let (_, recipe) = CHAINS.into_iter().find(|(name, _)| *name == tile.check).unwrap();
    assert_eq!(tile.refusal(recipe), None);
    with(device, &tile.check, |session| replay(session, recipe, tile, (times, 60.0))).unwrap()
}

fn tile(device: &dyn Device, check: &str) -> Tile {
    let info = device.info();
    Tile {
        backend: info.backend,
        device: info.id.clone(),
        check: check.to_owned(),
        seed: 77,
        workgroup: 5,
        steps: Some(64),
        workgroups: Some(8),
        chains: None,
        invocations: Some(128),
    }
}

#[test]
fn a_tile_is_run_again_and_only_its_own_faults_are_its_own() {
    let device = ValidatedVulkan::open();
    let tile = tile(&device, "fp32");
    // The canonical dispatch, and four of the tile, of which the third is wrong.
    let mut flipping = Flipping { inner: device, left: 3 };
    let replayed = again(&mut flipping, &tile, 4);
    assert_eq!((replayed.dispatches, replayed.wrong_dispatches, replayed.wrong_words), (4, 1, 1));
    assert_eq!((replayed.wrong_words_elsewhere, replayed.first[0].pass), (0, 2));
    assert_eq!(replayed.bits, replayed.first[0].expected ^ replayed.first[0].found);
    flipping.left = 3;
    let other = Tile { workgroup: 4, ..tile };
    let replayed = again(&mut flipping, &other, 4);
    assert_eq!((replayed.wrong_dispatches, replayed.wrong_words, replayed.wrong_words_elsewhere), (0, 0, 1));
    assert_eq!(replayed.first[0].workgroup, 5);
    assert!(flipping.inner.close().is_empty());
}

#[test]
fn a_lane_that_stays_stuck_is_wrong_every_time_it_is_run_again() {
    let mut device = Faulty::new(Reference::open(), Fault::StuckLane);
    let tile = Tile { invocations: None, ..tile(&device, "digest") };
    let replayed = again(&mut device, &tile, 9);
    // Stuck from the fourth dispatch on, of which the canonical one is the first.
    assert_eq!((replayed.dispatches, replayed.wrong_dispatches + 2), (9, 9), "{replayed:?}");
}

#[test]
fn a_tile_that_no_dispatch_contains_is_refused() {
    let device = Reference::open();
    let (_, recipe) = CHAINS[1];
    let refused = |change: fn(&mut Tile)| {
        let mut tile = tile(&device, "fp32");
        change(&mut tile);
        tile.refusal(recipe).is_some()
    };
    assert!(!refused(|_| ()));
    assert!(refused(|tile| tile.workgroup = 8));
    assert!(refused(|tile| tile.workgroups = Some(0)));
    assert!(refused(|tile| tile.workgroups = Some(7)));
    assert!(refused(|tile| tile.chains = Some(5)));
    assert!(refused(|tile| tile.invocations = Some(96)));
    assert!(refused(|tile| tile.invocations = Some(0)));
}
