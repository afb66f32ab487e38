//! The matrix kernels: a row for each pair of types, on the first shape of them that the device lists for subgroups.
//!
//! Rounds are exact: every word is known. A wrong operand is not claimed word for word, since a product by zero forgets it;
//! that operands as a whole are others is.

use kernels::matrix::{Data, Types, Work};
use kernels::{Kernel, SelfFault};
use report::{DeviceInfo, Mismatches};

use super::{Checker, Rounds, Touch, unlike};
use crate::bench::matrix::shapes::candidates;
use crate::bench::matrix::tiles::Tiles;
use crate::calibrate::anatomy::{Anatomy, Dissect, Region};
use crate::calibrate::class::Class;
use crate::calibrate::draw::Draw;
use crate::device::{DeviceError, Dispatch};
use crate::mismatches::merge;
use crate::session::Session;

/// The check of a pair of types.
#[derive(Clone, Copy, Debug)]
pub struct Matrix(Types);

/// Every pair.
pub static ALL: [Matrix; 7] = [
    Matrix(Types::F16F16),
    Matrix(Types::F16F32),
    Matrix(Types::Bf16F32),
    Matrix(Types::E4m3F32),
    Matrix(Types::E5m2F32),
    Matrix(Types::S8S32),
    Matrix(Types::U8U32),
];

/// Work of a round.
const WORKGROUPS: u32 = 5;
const ROUNDS: u32 = 8;

impl Matrix {
    fn work(self, info: &DeviceInfo) -> Option<Work> {
        let (candidates, _) = candidates(info);
        let mine = candidates.into_iter().map(|candidate| candidate.work);
        let work = mine.into_iter().find(|work| work.types == self.0 && !work.whole)?;
        let rounds = ROUNDS.min(work.rounds_max());
        Some(Work { workgroups: WORKGROUPS, rounds, ..work })
    }
}

impl Checker for Matrix {
    fn name(&self) -> &'static str {
        self.0.subgroup().name
    }

    fn lacks(&self, info: &DeviceInfo) -> Option<String> {
        self.work(info).is_none().then(|| format!("the device lists no shape of {}", self.0.name()))
    }

    fn kernels(&self) -> Vec<&'static Kernel> {
        vec![self.0.subgroup()]
    }

    fn claims(&self, class: Class) -> bool {
        // No other kernel fits its buffers; its hook has parameters of its own, see the canary; the answers stay in the bench.
        !matches!(class, Class::StalePipeline | Class::InKernel | Class::Golden)
    }

    fn dissect(&self) -> Dissect {
        dissect
    }

    fn prepare(&self, session: &mut Session<'_>) -> Result<Box<dyn Rounds>, DeviceError> {
        let Some(work) = self.work(session.device.info()) else {
            panic!("{} was prepared on a device that lacks it", self.name())
        };
        Ok(Box::new(Ready { tiles: Tiles::allocate(session)?, work }))
    }
}

fn dissect(dispatch: &Dispatch<'_>) -> Anatomy {
    let [m, n, k, invocations, fragments, owners, seed, rounds, ..] = dispatch.params;
    let types = Types::ALL.into_iter().find(|types| types.subgroup().name == dispatch.kernel.name);
    let Some(types) = types else { return Anatomy::default() };
    let workgroups = dispatch.workgroups;
    let (whole, wanted) = (false, Data::Exact);
    let work =
        Work { types, whole, m, n, k, fragments, owners, invocations, workgroups, rounds, seed, wanted };
    Anatomy {
        regions: vec![
            Region { buffer: 0, words: work.operand_words(), before: false, after: false },
            Region { buffer: 1, words: work.result_words(), before: false, after: true },
            Region { buffer: 2, words: work.groups(), before: true, after: true },
        ],
        // The bits of the seed that stamps keep of every type; and the rounds, which are even.
        params: vec![(6, u32::MAX), (7, 0xe)],
        ..Anatomy::default()
    }
}

/// The matrix kernel on a device.
struct Ready {
    tiles: Tiles,
    work: Work,
}

impl Ready {
    fn compare(
        &self,
        session: &mut Session<'_>,
        work: &Work,
        fault: SelfFault,
    ) -> Result<Mismatches, DeviceError> {
        let answers = self.tiles.run(session, work, fault, 1)?;
        let mut found = Mismatches::default();
        answers.compare(&answers.expectation(), 0, &mut found);
        Ok(found)
    }
}

impl Rounds for Ready {
    fn round(
        &mut self,
        session: &mut Session<'_>,
        _golden: Touch<'_>,
        seed: u32,
    ) -> Result<Mismatches, DeviceError> {
        self.compare(session, &Work { seed: seed.max(1), ..self.work }, SelfFault::None)
    }

    fn canary(&mut self, session: &mut Session<'_>, seed: u32) -> Result<Mismatches, DeviceError> {
        let mut draw = Draw::new(u64::from(seed));
        let mut wrong = Mismatches::default();
        for (workgroup, owner) in [(0, 0), (WORKGROUPS - 1, self.work.owners - 1)] {
            let work = Work { seed: draw.word().max(1), ..self.work };
            let (fault, word) = work.fault(workgroup, owner, draw.word() % 64, draw.bit());
            let seen = self.compare(session, &work, fault)?;
            let planted_at = word as u64 * 4;
            let found_at = seen.first.first().map_or(u64::MAX, |mismatch| mismatch.byte_address);
            if (seen.count, found_at) != (1, planted_at) {
                merge(&mut wrong, unlike(planted_at, found_at));
            }
        }
        Ok(wrong)
    }

    fn free(self: Box<Self>, session: &mut Session<'_>) {
        self.tiles.free(session);
    }
}
