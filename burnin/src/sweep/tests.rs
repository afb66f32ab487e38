use kernels::memory::errors::HEADER_WORDS;
use kernels::memory::{ERROR_WORDS, Op, Order, TILE_BYTES, Values};

use super::{Action, Space};
use crate::calibrate::anatomy::{Anatomy, Region};
use crate::calibrate::class::Class;
use crate::calibrate::draw::Draw;
use crate::calibrate::inject::{Injection, Injector};
use crate::calibrate::planned;
use crate::clock::MonotonicClock;
use crate::device::Dispatch;
use crate::device::cpu::Cpu;
use crate::session::Session;

const TILES: u32 = 5;

/// The error buffer, and parameter 4: fewer tiles.
fn counters(_: &Dispatch<'_>) -> Anatomy {
    let regions = vec![
        Region { buffer: 0, words: ERROR_WORDS, before: false, after: false },
        Region { buffer: 0, words: HEADER_WORDS, before: true, after: true },
    ];
    Anatomy { regions, params: vec![(4, 4)], ..Anatomy::default() }
}

/// A write, and a comparison that suffers a fault of this class; bytes compared and wrong words.
fn with_fault(class: Option<Class>, seed: u64) -> (u64, u64, bool) {
    let (mut device, clock, planned) = (Injector::new(Cpu::new()), MonotonicClock::start(), planned());
    let found = {
        let mut session = Session {
            device: &mut device,
            clock: &clock,
            planned: &planned,
            host_available: None,
            progress: &mut |_| (),
        };
        Space::of(&mut session, TILES, 2).unwrap()
    };
    let mut space = found;
    let mut sweep = |device: &mut Injector<Cpu>, op| {
        let mut session =
            Session { device, clock: &clock, planned: &planned, host_available: None, progress: &mut |_| () };
        let action = Action { op, values: Values::own_address(7), order: Order::Forward, repeat: 1 };
        space.sweep(&mut session, &action, 0..TILES, 0).unwrap().found
    };
    sweep(&mut device, Op::Write);
    let injection = |class| Injection { class, at: 0, draw: Draw::new(seed), dissect: counters };
    device.arm(class.map(injection));
    let found = sweep(&mut device, Op::Verify);
    (found.compared_bytes, found.wrong.count, device.arrived().is_some())
}

#[test]
fn a_comparison_that_did_not_run_or_compared_less_is_a_mismatch() {
    let all = u64::from(TILES) * TILE_BYTES;
    assert_eq!(with_fault(None, 1), (all, 0, false));
    assert_eq!(with_fault(Some(Class::Dropped), 1), (TILE_BYTES, 1, true));
    assert_eq!(with_fault(Some(Class::AlteredParameter), 1), (TILE_BYTES, 1, true));
}

#[test]
fn every_counter_that_is_damaged_is_noticed() {
    for seed in 0..100 {
        for class in [Class::OneBit, Class::ManyBits, Class::LaneBit, Class::ZeroedTile] {
            let (_, wrong, arrived) = with_fault(Some(class), seed);
            assert_eq!(wrong > 0, arrived, "{class} {seed}");
        }
    }
}
