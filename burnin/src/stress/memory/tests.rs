//! What each table of passes sees and what it does not, against models of broken memory.

use std::time::Duration;

use report::plan::PlannedCheck;
use report::{Bytes, CheckResult, Plan, Quantity};

use super::broken::{Broken, BrokenMemory, Hands};
use crate::catalogue;
use crate::session::Session;

/// Eight tiles.
const MEMORY: Bytes = Bytes(512 << 10);
const CHECKS: [&str; 8] = [
    "memory-own-address",
    "memory-moving-inversions",
    "memory-walking-bits",
    "memory-modulo-20",
    "memory-march",
    "memory-random",
    "memory-retention",
    "memory-neighbour",
];

fn planned() -> PlannedCheck {
    let plan = Plan::built_in("quick-software").unwrap();
    let mut planned = plan.check(&"memory-own-address".try_into().unwrap()).unwrap().clone();
    planned.memory_max_bytes = MEMORY;
    planned.measure_s = Quantity::new(60.0).unwrap();
    planned
}

fn run(check: &str, broken: Broken) -> CheckResult {
    let clock = Hands::default();
    let mut device = BrokenMemory::new(broken, clock.clone());
    let planned = planned();
    let mut progress = |_| {};
    let mut session = Session {
        device: &mut device,
        clock: &clock,
        planned: &planned,
        host_available: None,
        progress: &mut progress,
    };
    catalogue::find(check).unwrap().run_on(&mut session).unwrap()
}

fn wrong(result: &CheckResult) -> u64 {
    result.mismatches.as_ref().unwrap().count
}

/// The checks whose passes see such a fault; canaries are apart: one that shows up at two addresses is a stray.
fn seen_by(broken: Broken) -> Vec<&'static str> {
    CHECKS.into_iter().filter(|check| run(check, broken).anatomy.is_some()).collect()
}

fn all_but(missing: &[&str]) -> Vec<&'static str> {
    CHECKS.into_iter().filter(|check| !missing.contains(check)).collect()
}

#[test]
fn sound_memory_has_no_errors_and_every_canary_is_found() {
    for check in CHECKS {
        let result = run(check, Broken::No);
        assert_eq!(wrong(&result), 0, "{check}");
        let canary = result.canary.unwrap();
        assert_eq!((canary.planted, canary.found, canary.strays), (4, 4, 0), "{check}");
        assert_eq!(result.anatomy, None);
        let covered = |name| result.coverage.iter().find(|c| c.quantity == name).map(|c| c.achieved.get());
        assert_eq!(covered("verified_bytes"), Some(524288.0), "{check}");
        assert_eq!(covered("waited_s"), (check == "memory-retention").then_some(60.0));
    }
}

// Beyond the four tiles of the canaries, where a fault would be one that nobody planted.
const PLACE: u64 = 7 * 16_384 + 1_234;

#[test]
fn a_stuck_bit_is_seen_by_every_check_at_its_place() {
    for broken in [Broken::StuckAtOne(PLACE, 1 << 21), Broken::StuckAtZero(PLACE, 1 << 21)] {
        for check in CHECKS {
            let result = run(check, broken);
            let mismatches = result.mismatches.unwrap();
            assert!(mismatches.count > 0, "{check} {broken:?}");
            assert_eq!(mismatches.bits, 1 << 21);
            assert!(mismatches.first.iter().all(|m| m.byte_address == PLACE * 4), "{check}");
            let anatomy = result.anatomy.unwrap();
            assert_eq!((anatomy.words, anatomy.stored), (mismatches.count, mismatches.count));
            assert_eq!(anatomy.regions_hit(), 1);
            let up = matches!(broken, Broken::StuckAtOne(..));
            let bit = anatomy.bits[0];
            assert_eq!((bit.bit, bit.set > 0, bit.cleared > 0), (21, up, !up));
        }
    }
}

#[test]
fn an_address_line_between_tiles_is_seen_by_all_but_plain_values() {
    // Walking bits writes, inverts and compares: like moving inversions, it sees the second look at a tile.
    assert_eq!(seen_by(Broken::AddressLine(15)), all_but(&["memory-neighbour"]));
}

#[test]
fn an_address_line_within_a_tile_is_not_seen_by_what_writes_one_value_everywhere() {
    let plain = ["memory-moving-inversions", "memory-walking-bits", "memory-march"];
    assert_eq!(seen_by(Broken::AddressLine(9)), all_but(&[&plain[..], &["memory-neighbour"]].concat()));
}

#[test]
fn an_address_line_within_a_cell_is_seen_by_values_of_single_words_alone() {
    assert_eq!(seen_by(Broken::AddressLine(1)), ["memory-own-address", "memory-random", "memory-retention"]);
}

#[test]
fn a_canary_that_shows_up_at_two_addresses_makes_every_check_fail() {
    for check in CHECKS {
        let result = run(check, Broken::AddressLine(1));
        assert!(result.canary.unwrap().strays > 0 && wrong(&result) > 0, "{check}");
    }
}

#[test]
fn a_bit_that_does_not_rise_is_seen_by_every_check() {
    assert_eq!(seen_by(Broken::NoRise(PLACE, 1 << 3)), CHECKS);
}

#[test]
fn coupled_cells_are_seen_by_what_writes_the_one_after_the_other() {
    // Another cell of another line of 32 bytes; the tile is written whole, the aggressor first.
    let later = Broken::Coupled(PLACE, PLACE - 8, 1 << 7);
    let seen = seen_by(later);
    for check in ["memory-modulo-20", "memory-neighbour", "memory-march", "memory-moving-inversions"] {
        assert!(seen.contains(&check), "{check} of {seen:?}");
    }
}

#[test]
fn a_cell_that_leaks_is_seen_by_the_wait_alone() {
    let leaks = Broken::Leaks(PLACE, 0xffff, Duration::from_secs(25));
    assert_eq!(seen_by(leaks), ["memory-retention"]);
    let slowly = Broken::Leaks(PLACE, 0xffff, Duration::from_secs(31));
    assert_eq!(seen_by(slowly), Vec::<&str>::new());
}

#[test]
fn an_error_that_is_gone_at_the_second_look_is_counted_and_called_transport() {
    for check in CHECKS {
        let result = run(check, Broken::Transient(PLACE, 1 << 30, 0));
        assert_eq!(wrong(&result), 1, "{check}");
        let anatomy = result.anatomy.unwrap();
        assert_eq!((anatomy.recorded, anatomy.transport, anatomy.stored), (1, 1, 0), "{check}");
        assert_eq!(result.mismatches.unwrap().first[0].byte_address, PLACE * 4);
    }
}
