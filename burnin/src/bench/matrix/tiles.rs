//! Runs the matrix kernel and compares every word that it leaves.

use std::collections::HashMap;

use kernels::matrix::{CLASSES, Expected, Work, operands, sum};
use kernels::mix::digest64;
use kernels::{Cost, SelfFault};
use report::{Bytes, Mismatch, Mismatches};

use crate::device::{Buffer, DeviceError, Dispatch, Elapsed};
use crate::mismatches::add;
use crate::session::{Launch, Session};

/// Most words of results: 32 MiB, which the host reads back and compares after every window.
pub(crate) const RESULT_WORDS_MAX: usize = 8 << 20;
/// Most words of operands.
const OPERAND_WORDS_MAX: usize = 4 << 20;
/// Most workgroups.
pub(crate) const WORKGROUPS_MAX: usize = 1 << 14;

/// The buffers of the matrix kernels.
#[derive(Clone, Copy)]
pub(crate) struct Tiles {
    /// Operands, results, groups.
    buffers: [Buffer; 3],
}

/// What came out of a dispatch.
pub(crate) struct Answers {
    pub(crate) work: Work,
    /// Time of all repeats.
    pub(crate) elapsed: Elapsed,
    results: Vec<u32>,
    /// A sum for each workgroup, over all repeats: a repeat that went wrong shows here though its results were overwritten.
    groups: Vec<u32>,
    /// Workgroups that said they were done, over all repeats.
    pub(crate) completed: u32,
    pub(crate) repeat: u32,
}

/// What owners must leave.
pub(crate) enum Expectation {
    /// What the integers say.
    Integers(Expected),
    /// What most owners of each class left before.
    Majority(Vec<Vec<u32>>),
}

impl Expectation {
    fn tile(&self, owner: u32) -> Vec<u32> {
        match self {
            Self::Integers(expected) => expected.tile(owner),
            Self::Majority(classes) => classes[(owner % CLASSES) as usize].clone(),
        }
    }
}

impl Tiles {
    pub(crate) fn allocate(session: &mut Session<'_>) -> Result<Self, DeviceError> {
        let mut buffer = |words: usize| session.device.allocate(Bytes(words as u64 * 4));
        let buffers = [buffer(OPERAND_WORDS_MAX)?, buffer(RESULT_WORDS_MAX)?, buffer(WORKGROUPS_MAX + 1)?];
        Ok(Self { buffers })
    }

    fn operands(&self) -> Buffer {
        self.buffers[0]
    }

    fn results(&self) -> Buffer {
        self.buffers[1]
    }

    fn groups(&self) -> Buffer {
        self.buffers[2]
    }

    pub(crate) fn free(self, session: &mut Session<'_>) {
        self.buffers.into_iter().for_each(|buffer| session.device.free(buffer));
    }

    /// Is there room for this work?
    pub(crate) fn hold(work: &Work) -> bool {
        work.operand_words() <= OPERAND_WORDS_MAX
            && work.result_words() <= RESULT_WORDS_MAX
            && work.workgroups as usize <= WORKGROUPS_MAX
    }

    /// Runs the work so many times in a row and reads its answers.
    pub(crate) fn run(
        &self,
        session: &mut Session<'_>,
        work: &Work,
        fault: SelfFault,
        repeat: u32,
    ) -> Result<Answers, DeviceError> {
        self.prepare(session, work)?;
        let Dispatch { kernel, buffers, params, .. } = self.dispatch(work, fault, repeat);
        let elapsed = session.run(Launch { kernel, buffers }, params, work.workgroups, repeat)?;
        self.collect(session, work, elapsed, repeat)
    }

    /// Puts operands and marks into the buffers.
    pub(crate) fn prepare(&self, session: &mut Session<'_>, work: &Work) -> Result<(), DeviceError> {
        session.write(self.operands(), &operands(work))?;
        // What an earlier dispatch left in the last tile must not pass for an answer.
        session.write(self.results(), &vec![!0; work.result_words()])?;
        session.write(self.groups(), &vec![0; work.groups()])
    }

    /// The dispatch of prepared work.
    pub(crate) fn dispatch(&self, work: &Work, fault: SelfFault, repeat: u32) -> Dispatch<'_> {
        let (params, workgroups) = (work.params(fault), work.workgroups);
        Dispatch { kernel: work.kernel(), buffers: &self.buffers, params, workgroups, repeat }
    }

    /// Reads the answers of a dispatch that is over.
    pub(crate) fn collect(
        &self,
        session: &mut Session<'_>,
        work: &Work,
        elapsed: Elapsed,
        repeat: u32,
    ) -> Result<Answers, DeviceError> {
        let results = session.read(self.results(), work.result_words())?;
        let mut groups = session.read(self.groups(), work.groups())?;
        let completed = groups.remove(0);
        Ok(Answers { work: *work, elapsed, results, groups, completed, repeat })
    }
}

impl Answers {
    /// The work of all repeats.
    pub(crate) fn cost(&self) -> Cost {
        self.work.cost()
    }

    /// What the answers must be: known to the processor, or what most owners of each class say.
    pub(crate) fn expectation(&self) -> Expectation {
        if self.work.is_exact() {
            return Expectation::Integers(Expected::new(&self.work));
        }
        let tiles: Vec<_> = self.results.chunks_exact(self.work.tile_words()).collect();
        let majority = |class: usize| {
            let mut votes: HashMap<u64, (usize, &[u32])> = HashMap::new();
            for tile in tiles.iter().skip(class).step_by(CLASSES as usize) {
                votes.entry(digest64(tile.iter().copied())).or_insert((0, *tile)).0 += 1;
            }
            votes
                .into_values()
                .max_by_key(|(count, _)| *count)
                .map_or_else(Vec::new, |(_, tile)| tile.to_vec())
        };
        Expectation::Majority((0..CLASSES as usize).map(majority).collect())
    }

    /// Compares every word of every owner, every workgroup's sum and how many were done; wrong ones are added to `found`.
    ///
    /// The address of a word is its place in the results, that of a sum comes after all of them, and that of the number of
    /// workgroups done after all sums.
    pub(crate) fn compare(&self, expectation: &Expectation, pass: u32, found: &mut Mismatches) {
        let all = self.work.workgroups.wrapping_mul(self.repeat);
        if self.completed != all {
            let byte_address = (self.results.len() + self.groups.len()) as u64 * 4;
            let (found_word, workgroup) = (self.completed, self.work.workgroups);
            add(found, Mismatch { byte_address, expected: all, found: found_word, workgroup, pass });
        }
        let owners = self.work.owners as usize;
        let workgroups = self.results.chunks_exact(self.work.tile_words() * owners);
        for ((workgroup, results), sum_found) in (0u32..).zip(workgroups).zip(&self.groups) {
            let first = workgroup * self.work.owners;
            let should: Vec<u32> =
                (first..first + self.work.owners).flat_map(|owner| expectation.tile(owner)).collect();
            if should == results {
                let expected = sum(&should).wrapping_mul(self.repeat);
                if *sum_found != expected {
                    let byte_address = (self.results.len() as u64 + u64::from(workgroup)) * 4;
                    add(found, Mismatch { byte_address, expected, found: *sum_found, workgroup, pass });
                }
                continue;
            }
            let place = u64::from(workgroup) * results.len() as u64;
            for (at, (expected, result)) in (place..).zip(should.iter().zip(results)) {
                let (expected, result) = (*expected, *result);
                if expected != result {
                    let byte_address = at * 4;
                    add(found, Mismatch { byte_address, expected, found: result, workgroup, pass });
                }
            }
        }
    }
}

/// Where in the results of some work a word is, for a reader.
pub(crate) fn place(work: &Work, byte_address: u64) -> String {
    let word = usize::try_from(byte_address / 4).unwrap_or(usize::MAX);
    if word >= work.result_words() + work.workgroups as usize {
        return "the number of workgroups done".to_owned();
    }
    if word >= work.result_words() {
        return format!("the sum of workgroup {}", word - work.result_words());
    }
    let per_word = work.types.accumulator().per_word();
    let (owner, in_tile) = (word / work.tile_words(), word % work.tile_words());
    let (m, n, fragments) = (work.m as usize, work.n as usize, work.fragments as usize);
    let (fragment, component) = (in_tile * per_word / (m * n), in_tile * per_word % (m * n));
    let who = if work.whole { "" } else { ", subgroup " };
    let subgroup = if work.whole { String::new() } else { (owner % work.owners as usize).to_string() };
    format!(
        "workgroup {}{who}{subgroup}, accumulator {},{}, row {}, column {}",
        owner / work.owners as usize,
        fragment / fragments,
        fragment % fragments,
        component / n,
        component % n
    )
}
