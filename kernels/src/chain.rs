//! What the two chain kernels (`digest`, `fp32`) share: the shape of their work, and how answers stand in their buffers.
//!
//! Every invocation runs chains of steps from a start that follows from the seed. Buffer 0: a word for each invocation,
//! stamped with dispatch and workgroup, so that a stale or exchanged tile is seen. Buffer 1, zero before: word 0 counts
//! completed workgroups, to word 1+n each run of workgroup n adds its sum, so that with repeated dispatches it carries
//! them all.

use std::ops::Range;

use crate::mix::{GOLDEN, digest64, mix32, stamp};
use crate::{Params, SelfFault, WORKGROUP_SIZE};

/// What one dispatch does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Work {
    /// Start of all chains; another in every dispatch.
    pub seed: u32,
    /// Steps of each chain; even.
    pub steps: u32,
    /// Workgroups.
    pub workgroups: u32,
}

impl Work {
    /// Parameters of the dispatch, with a fault planted or not.
    pub fn params(&self, fault: SelfFault) -> Params {
        let [kind, workgroup, lane, mask] = fault.words();
        [self.seed, self.steps, kind, workgroup, lane, mask, 0, 0, 0, 0, 0, 0]
    }

    /// Words of buffer 0, one for each invocation.
    pub fn lanes(&self) -> usize {
        self.workgroups as usize * WORKGROUP_SIZE as usize
    }

    /// Words of buffer 1.
    pub fn groups(&self) -> usize {
        1 + self.workgroups as usize
    }

    /// Steps of all invocations.
    pub(crate) fn steps_in_all(&self) -> u64 {
        u64::from(self.workgroups) * u64::from(WORKGROUP_SIZE) * u64::from(self.steps)
    }
}

/// The right answers of a dispatch.
#[derive(Clone, Debug)]
pub struct Expected {
    seed: u32,
    /// The unstamped word of each lane, for one class of workgroups after the other.
    words: Vec<u32>,
}

impl Expected {
    /// Workgroup n is of class n mod the number of classes; `words` has a workgroup's words for each class.
    pub(crate) fn new(seed: u32, words: Vec<u32>) -> Self {
        Self { seed, words }
    }

    /// The word that buffer 0 must hold for this lane of this workgroup.
    pub fn lane(&self, workgroup: u32, lane: u32) -> u32 {
        let at = (workgroup as usize * WORKGROUP_SIZE as usize + lane as usize) % self.words.len();
        mix32(self.words[at] ^ stamp(self.seed, workgroup))
    }

    /// The words that all others follow from, to be damaged where it is to be seen that they matter.
    pub fn words_mut(&mut self) -> &mut [u32] {
        &mut self.words
    }

    /// The digest of a whole dispatch.
    pub fn digest(&self, workgroups: u32) -> u64 {
        digest64(
            (0..workgroups).flat_map(|group| (0..WORKGROUP_SIZE).map(move |lane| self.lane(group, lane))),
        )
    }
}

/// What a lane's word adds to the sum of its workgroup.
pub fn share(lane: u32, word: u32) -> u32 {
    mix32(word.wrapping_add(lane.wrapping_mul(GOLDEN)))
}

/// Runs a chain kernel: `chain` gives the unstamped word of a lane of a workgroup.
///
/// Every chain of every workgroup is computed, as a device does: a rate of the reference is a rate of work done.
pub(crate) fn run(
    buffers: &mut [&mut [u32]],
    seed: u32,
    workgroups: Range<u32>,
    chain: impl Fn(u32, u32) -> u32,
) {
    let [lanes, groups] = buffers else {
        panic!("a chain kernel binds two buffers, {} are bound", buffers.len())
    };
    for workgroup in workgroups {
        let total = &mut groups[1 + workgroup as usize];
        for lane in 0..WORKGROUP_SIZE {
            let word = mix32(chain(workgroup, lane) ^ stamp(seed, workgroup));
            lanes[(workgroup * WORKGROUP_SIZE + lane) as usize] = word;
            *total = total.wrapping_add(share(lane, word));
        }
        groups[0] = groups[0].wrapping_add(1);
    }
}
