//! The passes of each memory check, as data.

use kernels::memory::{MODULUS, Op, Order, Values};

use crate::sweep::Action;

/// One pass over all memory.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pass {
    /// What it does, for whoever reads a report.
    pub(crate) what: &'static str,
    pub(crate) step: Step,
}

/// What a pass does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step {
    /// Sweeps all memory.
    Sweep(Action),
    /// Leaves it alone for this share of the planned time.
    Wait(f64),
}

const OWN: Values = Values::own_address(0x0a55_a702);
/// Values of the moving inversions: solid, and every other bit.
const SOLID: [u32; 2] = [0x0000_0000, 0x5555_5555];
const SEEDS: [u32; 2] = [0x5eed_0001, 0x9c3d_77a5];
/// Lines of the neighbour test: 2^n words.
const LINES: [u32; 4] = [3, 8, 11, 13];
/// How often the lines between the victims are written.
const HAMMERED: u32 = 16;

const fn pass(what: &'static str, op: Op, values: Values, order: Order) -> Pass {
    Pass { what, step: Step::Sweep(Action { op, values, order, repeat: 1 }) }
}

const fn write(values: Values) -> Pass {
    pass("write", Op::Write, values, Order::Forward)
}

const fn verify(values: Values, order: Order) -> Pass {
    pass("verify", Op::Verify, values, order)
}

const fn invert(values: Values, order: Order) -> Pass {
    pass("verify and invert", Op::VerifyInvert, values, order)
}

const fn others(values: Values, repeat: u32) -> Pass {
    let action = Action { op: Op::WriteOthers, values, order: Order::Forward, repeat };
    Pass { what: "write the neighbours", step: Step::Sweep(action) }
}

const fn wait(share: f64) -> Pass {
    Pass { what: "wait", step: Step::Wait(share) }
}

/// Every word its own value, and the complement.
pub(crate) fn own_address() -> Vec<Pass> {
    let not = OWN.complement();
    vec![write(OWN), verify(OWN, Order::Shuffled), write(not), verify(not, Order::Reverse)]
}

fn inversions(value: Values) -> [Pass; 4] {
    let not = value.complement();
    [write(value), invert(value, Order::Forward), invert(not, Order::Reverse), verify(value, Order::Shuffled)]
}

/// One value everywhere, inverted and back.
pub(crate) fn moving_inversions() -> Vec<Pass> {
    SOLID.into_iter().flat_map(|value| inversions(Values::uniform(value))).collect()
}

/// A single 1, then a single 0, at each place.
pub(super) fn walking_bits() -> Vec<Pass> {
    let walk = |bit: u32| {
        let value = Values::uniform(1u32 << bit);
        [write(value), invert(value, Order::Reverse), verify(value.complement(), Order::Shuffled)]
    };
    (0..32).flat_map(walk).collect()
}

/// Victims in every 20th cell, for each residue and both values.
pub(crate) fn modulo_20() -> Vec<Pass> {
    let round = |(residue, mask)| {
        let values = Values::modulo(residue, mask);
        [write(Values::uniform(mask)), others(values, 2), verify(values, Order::Reverse)]
    };
    (0..MODULUS).flat_map(|residue| [(residue, 0), (residue, u32::MAX)]).flat_map(round).collect()
}

/// March C-.
pub(super) fn march() -> Vec<Pass> {
    let (zero, one) = (Values::uniform(0), Values::uniform(u32::MAX));
    vec![
        write(zero),
        invert(zero, Order::Forward),
        invert(one, Order::Forward),
        invert(zero, Order::Reverse),
        invert(one, Order::Reverse),
        verify(zero, Order::Reverse),
    ]
}

/// Random values and their complement.
pub(crate) fn random() -> Vec<Pass> {
    let round = |seed| {
        let value = Values::random(seed);
        [write(value), invert(value, Order::Shuffled), verify(value.complement(), Order::Reverse)]
    };
    SEEDS.into_iter().flat_map(round).collect()
}

/// Random values that are left alone, and their complement.
pub(super) fn retention() -> Vec<Pass> {
    let value = Values::random(SEEDS[0]);
    [value, value.complement()]
        .into_iter()
        .flat_map(|value| [write(value), wait(0.5), verify(value, Order::Shuffled)])
        .collect()
}

/// Lines between lines that are written many times.
pub(crate) fn neighbour() -> Vec<Pass> {
    let round = |(shift, mask)| {
        let values = Values::lines(shift, mask);
        [write(Values::uniform(mask)), others(values, HAMMERED), verify(values, Order::Shuffled)]
    };
    LINES.into_iter().flat_map(|shift| [(shift, 0), (shift, u32::MAX)]).flat_map(round).collect()
}
