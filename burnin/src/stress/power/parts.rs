//! The parts of the mix: how each is sized, dispatched beside the others, and verified.

use kernels::chain::{Expected, Shape};
use kernels::matrix::{self, Data};
use kernels::memory::{Op, Order, Values};
use kernels::mix::mix32;
use kernels::{Kernel, Params, SelfFault, WORKGROUP_SIZE, fp32, memory};
use report::{Mismatches, Unit};

use crate::bench;
use crate::bench::matrix::Tiles;
use crate::chains::{Chains, Oracle, WORKGROUPS_MAX};
use crate::device::{Buffer, DeviceError, Dispatch, Elapsed};
use crate::mismatches::merge;
use crate::session::Session;
use crate::sweep::{Action, Space};

/// So many seeds take turns, so that no answer can be one of just before.
const SEEDS: u32 = 3;
/// Values of high entropy: nothing in them repeats.
const VALUES: Values = Values::random(0x90e5_0001);

/// A part of the mix.
pub(super) enum Part {
    /// FP32 chains.
    Vector(Vector),
    /// Reads of memory.
    Memory(Memory),
    /// Products of matrices.
    Matrix(Matrix),
}

/// A dispatch that owns the list of its buffers, so that several can stand side by side.
pub(super) struct Owned {
    kernel: &'static Kernel,
    buffers: Vec<Buffer>,
    params: Params,
    workgroups: u32,
}

impl Owned {
    fn of(dispatch: &Dispatch<'_>) -> Self {
        let Dispatch { kernel, buffers, params, workgroups, .. } = *dispatch;
        Self { kernel, buffers: buffers.to_vec(), params, workgroups }
    }

    /// So many rounds of it.
    pub(super) fn rounds(&self, repeat: u32) -> Dispatch<'_> {
        let Self { kernel, buffers, params, workgroups } = self;
        Dispatch { kernel, buffers, params: *params, workgroups: *workgroups, repeat }
    }
}

pub(super) struct Vector {
    chains: Chains,
    oracle: Oracle,
    full: fp32::Work,
    now: fp32::Work,
    known: Vec<(u32, Expected)>,
    pub(super) workgroups: u64,
}

pub(super) struct Memory {
    space: Space,
    /// Tiles that one dispatch reaches, and those of a round.
    reach: u32,
    full: u32,
    now: u32,
    pub(super) compared: u64,
}

pub(super) struct Matrix {
    tiles: Tiles,
    full: matrix::Work,
    now: matrix::Work,
    pub(super) workgroups: u64,
}

impl Part {
    /// Every part that the device can run; and what was wrong while they were set up.
    pub(super) fn all(session: &mut Session<'_>) -> Result<(Vec<Self>, Mismatches), DeviceError> {
        let mut wrong = Mismatches::default();
        let mut parts =
            vec![Self::Vector(Vector::set_up(session, &mut wrong)?), Self::Memory(Memory::set_up(session)?)];
        if !session.device.info().matrix_shapes.is_empty() {
            let tiles = Tiles::allocate(session)?;
            let (work, found) = bench::matrix::fastest(session, tiles)?;
            merge(&mut wrong, found);
            match work {
                Some(work) => {
                    let work = matrix::Work { wanted: Data::Exact, ..work };
                    parts.push(Self::Matrix(Matrix { tiles, full: work, now: work, workgroups: 0 }));
                }
                None => tiles.free(session),
            }
        }
        Ok((parts, wrong))
    }

    /// Gives its buffers back.
    pub(super) fn free(self, session: &mut Session<'_>) {
        match self {
            Self::Vector(part) => part.chains.free(session),
            Self::Memory(part) => part.space.free(session),
            Self::Matrix(part) => part.tiles.free(session),
        }
    }

    /// What it measures.
    pub(super) fn metric(&self) -> String {
        match self {
            Self::Vector(_) => "power-fp32".to_owned(),
            Self::Memory(_) => "power-read".to_owned(),
            Self::Matrix(part) => format!("power-{}", part.now.kernel().name),
        }
    }

    /// In what unit.
    pub(super) fn unit(&self) -> Unit {
        match self {
            Self::Memory(_) => Unit::BytesPerS,
            Self::Matrix(part) if part.now.types.element().is_integer() => Unit::OpsPerS,
            Self::Vector(_) | Self::Matrix(_) => Unit::FlopPerS,
        }
    }

    /// Work of one round.
    pub(super) fn work(&self) -> u64 {
        match self {
            Self::Vector(part) => fp32::cost(&part.now).operations,
            Self::Memory(part) => u64::from(part.now) * memory::TILE_BYTES,
            Self::Matrix(part) => part.now.cost().operations,
        }
    }

    /// Its full size from now on is so many times what it is; as far as there is room.
    pub(super) fn resize(&mut self, times: f64) {
        match self {
            Self::Vector(part) => {
                part.full.workgroups = scaled(part.full.workgroups, times, WORKGROUPS_MAX);
                part.now = part.full;
            }
            Self::Memory(part) => {
                part.full = scaled(part.full, times, part.reach);
                part.now = part.full;
            }
            Self::Matrix(part) => {
                part.full.rounds = even(scaled(part.full.rounds, times, part.full.rounds_max()));
                part.now = part.full;
            }
        }
    }

    /// It does this share of its full size in each round.
    pub(super) fn share(&mut self, share: f64) {
        match self {
            Self::Vector(part) => part.now.workgroups = scaled(part.full.workgroups, share, WORKGROUPS_MAX),
            Self::Memory(part) => part.now = scaled(part.full, share, part.full),
            Self::Matrix(part) => {
                part.now.rounds = even(scaled(part.full.rounds, share, part.full.rounds_max()));
            }
        }
    }

    /// Makes a window's buffers ready, and gives its dispatch.
    pub(super) fn prepare(
        &mut self,
        session: &mut Session<'_>,
        number: u32,
        fault: SelfFault,
    ) -> Result<Owned, DeviceError> {
        match self {
            Self::Vector(part) => {
                part.now.seed = part.full.seed ^ mix32(1 + number % SEEDS);
                part.chains.prepare(session, &part.now)?;
                Ok(Owned::of(&part.chains.dispatch((&part.now, Shape::BASE), fault, 1)))
            }
            Self::Memory(part) => {
                let (buffers, work) = part.dispatch(session);
                let (params, workgroups) = (work.params(), work.workgroups());
                Ok(Owned { kernel: part.space.shape().kernel, buffers, params, workgroups })
            }
            Self::Matrix(part) => {
                part.now.seed = part.full.seed ^ ((1 + number % SEEDS) << 8);
                part.tiles.prepare(session, &part.now)?;
                Ok(Owned::of(&part.tiles.dispatch(&part.now, fault, 1)))
            }
        }
    }

    /// What was wrong in a window of so many rounds.
    pub(super) fn verify(
        &mut self,
        session: &mut Session<'_>,
        elapsed: Elapsed,
        repeat: u32,
        pass: u32,
    ) -> Result<Mismatches, DeviceError> {
        let mut wrong = Mismatches::default();
        match self {
            Self::Vector(part) => {
                let answers = part.chains.collect(session, &part.now, elapsed, repeat)?;
                part.workgroups += u64::from(answers.completed);
                let expected = part.expected(&answers.lanes);
                answers.compare(&expected, pass, &mut wrong);
            }
            Self::Memory(part) => {
                let (_, work) = part.dispatch(session);
                let found = part.space.collect(session, &work, repeat, pass)?;
                part.compared += found.compared_bytes;
                wrong = found.wrong;
            }
            Self::Matrix(part) => {
                let answers = part.tiles.collect(session, &part.now, elapsed, repeat)?;
                part.workgroups += u64::from(answers.completed);
                answers.compare(&answers.expectation(), pass, &mut wrong);
            }
        }
        Ok(wrong)
    }

    /// A fault for the next window, and the address at which it must be found. Memory is changed at once.
    pub(super) fn plant(
        &mut self,
        session: &mut Session<'_>,
        number: u32,
    ) -> Result<(SelfFault, u64), DeviceError> {
        match self {
            Self::Vector(_) => {
                // A bit of the mantissa, which the chains carry to the end.
                let lane = WORKGROUP_SIZE / 2 + 1;
                Ok((SelfFault::Flip { workgroup: 0, lane, mask: 1 << 12 }, u64::from(lane) * 4))
            }
            Self::Memory(part) => {
                part.space.forget(session)?;
                part.flip(session)?;
                Ok((SelfFault::None, u64::from(FLIPPED.0) * 4))
            }
            Self::Matrix(part) => {
                part.now.seed = part.full.seed ^ ((1 + number % SEEDS) << 8);
                let (fault, word) = part.now.fault(0, 0, 3, 1 << 7);
                Ok((fault, word as u64 * 4))
            }
        }
    }

    /// Takes back what [`Self::plant`] changed.
    pub(super) fn mend(&mut self, session: &mut Session<'_>) -> Result<(), DeviceError> {
        let Self::Memory(part) = self else { return Ok(()) };
        part.flip(session)?;
        part.space.forget(session)
    }
}

/// Word and bits that are flipped in the first tile of memory.
const FLIPPED: (u32, u32) = (4_465, 1 << 9);

fn scaled(count: u32, times: f64, most: u32) -> u32 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 1..=most")]
    let scaled = (f64::from(count) * times).round().clamp(1.0, f64::from(most.max(1))) as u32;
    scaled
}

fn even(rounds: u32) -> u32 {
    (rounds & !1).max(2)
}

impl Vector {
    fn set_up(session: &mut Session<'_>, wrong: &mut Mismatches) -> Result<Self, DeviceError> {
        let recipe = &bench::fp32::RECIPE;
        let chains = Chains::allocate(session, recipe.kernel)?;
        let answers = chains.run(session, (&recipe.canonical, Shape::BASE), SelfFault::None, 1)?;
        let (oracle, _) = (recipe.oracle)(&answers);
        let full = recipe.window;
        let this = Self { chains, oracle, full, now: recipe.canonical, known: Vec::new(), workgroups: 0 };
        answers.compare(&this.told(&answers.lanes), 0, wrong);
        Ok(Self { now: full, ..this })
    }

    fn told(&self, lanes: &[u32]) -> Expected {
        match self.oracle {
            Oracle::Reference(expected) => expected(&self.now, 0),
            Oracle::Agreement(agreed) => agreed(&self.now, lanes),
        }
    }

    /// The right answers, worked out once for each seed.
    fn expected(&mut self, lanes: &[u32]) -> Expected {
        if let Some((_, expected)) = self.known.iter().find(|(seed, _)| *seed == self.now.seed) {
            return expected.clone();
        }
        let expected = self.told(lanes);
        self.known.push((self.now.seed, expected.clone()));
        expected
    }
}

impl Memory {
    fn set_up(session: &mut Session<'_>) -> Result<Self, DeviceError> {
        let mut space = Space::allocate(session)?;
        space.forget(session)?;
        let write = Action { op: Op::Write, values: VALUES, order: Order::Forward, repeat: 1 };
        let all = 0..space.tiles();
        space.sweep(session, &write, all, 0)?;
        let reach = Self::part(&space, session, space.tiles()).1.span.tiles;
        let full = reach.min(FIRST_TILES);
        Ok(Self { space, reach, full, now: full, compared: 0 })
    }

    fn part(space: &Space, session: &Session<'_>, tiles: u32) -> (Vec<Buffer>, memory::Work) {
        let action = Action { op: Op::Verify, values: VALUES, order: Order::Forward, repeat: 1 };
        space.first_part(session.device.info(), &action, tiles)
    }

    fn dispatch(&self, session: &Session<'_>) -> (Vec<Buffer>, memory::Work) {
        Self::part(&self.space, session, self.now)
    }

    fn flip(&mut self, session: &mut Session<'_>) -> Result<(), DeviceError> {
        self.space.flip(session, 0, FLIPPED.0, FLIPPED.1)
    }
}

/// Tiles of a round before it is sized.
const FIRST_TILES: u32 = 64;
