//! From the shapes that a device lists to work for a kernel, and how fast each is.

use kernels::SelfFault;
use kernels::matrix::{CLASSES, Data, Work};
use report::{DeviceInfo, DeviceKind, MatrixScope, MatrixShape, MatrixSource, Mismatches};

use super::tiles::{Answers, RESULT_WORDS_MAX, Tiles, WORKGROUPS_MAX, place};
use crate::device::matrix::kernel_types;
use crate::device::{DeviceError, Elapsed};
use crate::mismatches::merge;
use crate::session::{Session, repeats};

/// A shape with the work that tries it.
#[derive(Clone, Debug)]
pub(crate) struct Candidate {
    pub(super) shape: MatrixShape,
    pub(crate) work: Work,
    /// Operations per second.
    pub(super) rate: f64,
}

/// Least rows and columns of a matrix that a whole workgroup owns, and least length of its products: 64 x 64 accumulators in
/// single precision are 16 registers of each of 256 invocations.
const WHOLE: (u32, u32) = (64, 32);

/// Work of few owners for each different shape that a kernel of ours multiplies; and the shapes for which there is none.
pub(crate) fn candidates(info: &DeviceInfo) -> (Vec<Candidate>, Vec<MatrixShape>) {
    let mut seen: Vec<MatrixShape> = Vec::new();
    let (mut tried, mut left) = (Vec::new(), Vec::new());
    for shape in &info.matrix_shapes {
        // A flexible shape of the same sizes is the same to a kernel.
        let bare = MatrixShape { source: MatrixSource::Khr, workgroup_invocations: None, ..shape.clone() };
        if seen.contains(&bare) {
            continue;
        }
        seen.push(bare);
        match work(info, shape).filter(Tiles::hold) {
            Some(work) => tried.push(Candidate { shape: shape.clone(), work, rate: 0.0 }),
            None => left.push(shape.clone()),
        }
    }
    (tried, left)
}

fn work(info: &DeviceInfo, shape: &MatrixShape) -> Option<Work> {
    let types = kernel_types(shape)?;
    let whole = shape.scope == MatrixScope::Workgroup;
    let at_least = |step: u32, least: u32| if whole { least.div_ceil(step) * step } else { step };
    let owners = if whole { 1 } else { 2 };
    let subgroup = info.subgroup_size.unwrap_or(8);
    let work = Work {
        types,
        whole,
        m: at_least(shape.m, WHOLE.0),
        n: at_least(shape.n, WHOLE.0),
        k: at_least(shape.k, WHOLE.1),
        fragments: 2,
        owners,
        invocations: shape.workgroup_invocations.unwrap_or(subgroup * owners),
        workgroups: 16 / owners,
        rounds: 32,
        seed: 0x0a55_a7e1,
        wanted: Data::Exact,
    };
    let words = work.m > 0 && work.n.is_multiple_of(4) && work.k > 0 && work.k.is_multiple_of(4);
    let exact = words && work.rounds_max() >= 2;
    exact.then(|| Work { rounds: work.rounds.min(work.rounds_max()), ..work })
}

/// How the work of a shape may be laid out: matrices of an owner, owners of a workgroup, and where the device tells its
/// compute units, workgroups of each, since a last wave that is not full costs its share of the rate.
///
/// A software device compiles 64 products for most of a minute, so it gets the layout alone that it has compiled already.
pub(super) fn layouts(info: &DeviceInfo, work: &Work) -> Vec<Work> {
    let subgroup = info.subgroup_size.unwrap_or(8);
    let all: &[(u32, u32)] = match (&info.kind, work.whole) {
        (_, true) => &[(2, 1)],
        (DeviceKind::Cpu, false) => &[(2, 2)],
        (_, false) => &[(2, 4), (2, 8), (4, 4), (4, 8)],
    };
    let multiples = if info.units.is_some() { &WORKGROUPS_OF_A_UNIT[..] } else { &[1] };
    let lay = |(fragments, owners): &(u32, u32), multiple: u32| Work {
        fragments: *fragments,
        owners: *owners,
        invocations: if work.whole { work.invocations } else { subgroup * owners },
        // Random answers are held against those of the class: three owners make a majority.
        workgroups: (info.units.unwrap_or(1) * multiple).max((3 * CLASSES).div_ceil(*owners)),
        ..*work
    };
    let mut works: Vec<_> =
        all.iter().flat_map(|layout| multiples.iter().map(move |multiple| lay(layout, *multiple))).collect();
    works.retain(|work| work.rounds_max() >= 2 && Tiles::hold(work));
    works.dedup();
    works
}

/// How many workgroups of each compute unit are tried.
const WORKGROUPS_OF_A_UNIT: [u32; 6] = [1, 2, 3, 4, 6, 8];

/// What trying shapes has found so far.
#[derive(Default)]
pub(super) struct Findings {
    pub(super) wrong: Mismatches,
    /// Workgroups whose every word was compared.
    pub(super) workgroups: u64,
    pub(super) notes: Vec<String>,
}

impl Findings {
    /// Compares exact answers; true if every word is right.
    pub(super) fn take(&mut self, shape: &MatrixShape, answers: &Answers, pass: u32) -> bool {
        let mut found = Mismatches::default();
        answers.compare(&answers.expectation(), pass, &mut found);
        self.keep(shape, answers, found)
    }

    /// Counts what was compared and what was wrong, which is named the first time.
    pub(super) fn keep(&mut self, shape: &MatrixShape, answers: &Answers, found: Mismatches) -> bool {
        self.workgroups += u64::from(answers.completed);
        let right = found.count == 0;
        if let Some(first) = found.first.first() {
            let at = place(&answers.work, first.byte_address);
            let note = format!("wrong: {shape}: {} words, first in {at}", found.count);
            if self.notes.iter().filter(|note| note.starts_with("wrong")).count() < 16 {
                self.notes.push(note);
            }
        }
        merge(&mut self.wrong, found);
        right
    }
}

/// Grows the work until few dispatches fill a window, comparing all it computes on the way: more workgroups where the
/// device does not tell its compute units (else their number has been chosen), then more rounds. With the work how many
/// dispatches make a window.
pub(super) fn grow(
    session: &mut Session<'_>,
    tiles: &Tiles,
    candidate: &Candidate,
    findings: &mut Findings,
) -> Result<(Candidate, u32), DeviceError> {
    let mut work = candidate.work;
    let room = RESULT_WORDS_MAX / (work.tile_words() * work.owners as usize);
    let room = if session.device.info().units.is_some() { 0 } else { room.min(WORKGROUPS_MAX) };
    let room = u32::try_from(room).unwrap_or(u32::MAX);
    loop {
        work.seed = work.seed.wrapping_add(0x0101);
        let answers = tiles.run(session, &work, SelfFault::None, 1)?;
        findings.take(&candidate.shape, &answers, 0);
        let repeat = repeats(answers.elapsed);
        if repeat <= 4 || (work.workgroups >= room && work.rounds >= work.rounds_max()) {
            return Ok((Candidate { work, rate: rate(&answers), ..candidate.clone() }, repeat));
        }
        if work.workgroups < room {
            work.workgroups = work.workgroups.saturating_mul(4).min(room);
        } else {
            // No more than a second's work, should the first run have been a slow one.
            let times = (repeat / 3).clamp(2, 64);
            work.rounds = work.rounds.saturating_mul(times).min(work.rounds_max());
        }
    }
}

/// Operations per second of a dispatch.
pub(super) fn rate(answers: &Answers) -> f64 {
    let Elapsed { device, host } = answers.elapsed;
    let seconds = device.unwrap_or(host).as_secs_f64().max(1e-9);
    #[expect(clippy::cast_precision_loss, reason = "an estimate")]
    let work = answers.cost().operations as f64 * f64::from(answers.repeat);
    work / seconds
}
