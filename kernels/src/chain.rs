//! What the chain kernels share: the shape of their work, and how answers stand in their buffers.
//!
//! Every invocation runs chains of steps from a start that follows from the seed. Buffer 0: a word for each invocation,
//! stamped with dispatch and workgroup, so that a stale or exchanged tile is seen. Buffer 1, zero before: word 0 counts
//! completed workgroups, to word 1+n each run of workgroup n adds its sum, so that with repeated dispatches it carries
//! them all.
//!
//! A workgroup here is [`WORKGROUP_SIZE`] invocations, the unit of work and of blame. A device may run several side by side
//! as one of its own ([`Shape::invocations`]): that changes no answer.

use std::ops::Range;
use std::panic::resume_unwind;

use crate::mix::{GOLDEN, digest64, mix32, stamp, unmix32};
use crate::{Params, SelfFault, WORKGROUP_SIZE};

/// What one dispatch does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Work {
    /// Start of all chains; another in every dispatch.
    pub seed: u32,
    /// Steps of each chain; even.
    pub steps: u32,
    /// Workgroups.
    pub workgroups: u32,
}

/// How a dispatch is laid out: two specialization constants of every chain kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Shape {
    /// Invocations of the device's workgroup: a multiple of [`WORKGROUP_SIZE`].
    pub invocations: u32,
    /// Independent chains of an invocation, the first so many of the kernel's; 0 for all of them.
    pub chains: u32,
}

impl Shape {
    /// The shape of canonical work.
    pub const BASE: Self = Self { invocations: WORKGROUP_SIZE, chains: 0 };

    /// The device's workgroups for so many of ours.
    ///
    /// # Panics
    /// If they do not come out even.
    pub fn dispatched(self, workgroups: u32) -> u32 {
        let side_by_side = self.invocations / WORKGROUP_SIZE;
        assert_eq!(workgroups % side_by_side, 0, "{workgroups} workgroups in {self:?}");
        workgroups / side_by_side
    }
}

impl Work {
    /// Parameters of the dispatch in the base shape, with a fault planted or not.
    pub fn params(&self, fault: SelfFault) -> Params {
        self.params_in(Shape::BASE, fault)
    }

    /// Parameters of the dispatch in a shape, with a fault planted or not.
    pub fn params_in(&self, shape: Shape, fault: SelfFault) -> Params {
        let [kind, workgroup, lane, mask] = fault.words();
        let Shape { invocations, chains } = shape;
        [invocations, chains, self.seed, self.steps, kind, workgroup, lane, mask, 0, 0, 0, 0]
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

/// The words of one workgroup.
pub type Tile = [u32; WORKGROUP_SIZE as usize];

/// The right answers of a dispatch.
#[derive(Clone, Debug)]
pub struct Expected {
    seed: u32,
    /// The unstamped words, for one class of workgroups after the other.
    tiles: Vec<Tile>,
    /// By so many lanes a class's items move from one of its workgroups to the next.
    rotation: u32,
}

impl Expected {
    /// Workgroup n is of class n mod the number of classes; `words` has a workgroup's words for each class.
    pub(crate) fn new(seed: u32, words: &[u32]) -> Self {
        Self::rotated(seed, words, 0)
    }

    /// The same where the items of a class move by so many lanes from one of its workgroups to the next.
    pub(crate) fn rotated(seed: u32, words: &[u32], rotation: u32) -> Self {
        let tile = |at: usize| std::array::from_fn(|lane| words[at * WORKGROUP_SIZE as usize + lane]);
        Self { seed, tiles: (0..words.len() / WORKGROUP_SIZE as usize).map(tile).collect(), rotation }
    }

    /// The words that buffer 0 must hold for this workgroup, and what a run of it adds to its sum.
    pub fn tile(&self, workgroup: u32) -> (Tile, u32) {
        let mut unstamped = self.tiles[workgroup as usize % self.tiles.len()];
        let turns = self.rotation as usize * (workgroup as usize / self.tiles.len());
        unstamped.rotate_left(turns % WORKGROUP_SIZE as usize);
        let stamp = stamp(self.seed, workgroup);
        let words: Tile = unstamped.map(|word| mix32(word ^ stamp));
        let sum = (0u32..).zip(words).fold(0, |sum: u32, (lane, word)| sum.wrapping_add(share(lane, word)));
        (words, sum)
    }

    /// The word that buffer 0 must hold for this lane of this workgroup.
    pub fn lane(&self, workgroup: u32, lane: u32) -> u32 {
        self.tile(workgroup).0[lane as usize]
    }

    /// The words that all others follow from, to be damaged where it is to be seen that they matter.
    pub fn words_mut(&mut self) -> &mut [u32] {
        self.tiles.as_flattened_mut()
    }

    /// The digest of a whole dispatch.
    pub fn digest(&self, workgroups: u32) -> u64 {
        digest64((0..workgroups).flat_map(|workgroup| self.tile(workgroup).0))
    }
}

/// What a lane's word adds to the sum of its workgroup.
pub fn share(lane: u32, word: u32) -> u32 {
    mix32(word.wrapping_add(lane.wrapping_mul(GOLDEN)))
}

/// The word that a lane computed, from the one that it stored.
pub fn unstamped(seed: u32, workgroup: u32, word: u32) -> u32 {
    unmix32(word) ^ stamp(seed, workgroup)
}

/// One word more in a hash that keeps their order.
pub(crate) fn fold(hash: u32, word: u32) -> u32 {
    mix32(hash ^ word).wrapping_add(GOLDEN)
}

/// The independent chains of one invocation.
pub(crate) trait Chains {
    /// Goes on by so many steps.
    fn steps(&mut self, count: u32);
    /// Puts a fault into the word in which kernels plant one.
    fn plant(&mut self, fault: impl Fn(u32) -> u32);
    /// The first so many chains as one word, in their order.
    fn fold(&self, chains: usize) -> u32;
}

/// Runs a kernel whose every workgroup computes the same chains: `start` gives those of a lane.
pub(crate) fn run_chains<C: Chains>(
    buffers: &mut [&mut [u32]],
    params: &Params,
    workgroups: Range<u32>,
    start: impl Fn(u32) -> C,
) {
    let (chains, steps) = (params[1] as usize, params[3]);
    run(buffers, params, workgroups, |workgroup, lane| {
        let mut lanes = start(lane);
        lanes.steps(steps / 2);
        lanes.plant(|word| SelfFault::apply(params, workgroup, lane, word));
        lanes.steps(steps / 2);
        lanes.fold(chains)
    });
}

/// What such a kernel must answer with so many chains (0: all). Long work is shared by all processors: the device waits.
pub(crate) fn expected_chains<C: Chains>(
    work: &Work,
    chains: u32,
    start: impl Fn(u32) -> C + Sync,
) -> Expected {
    let ends = |lanes: Range<u32>| -> Vec<u32> {
        let end = |lane| {
            let mut lanes = start(lane);
            lanes.steps(work.steps);
            lanes.fold(chains as usize)
        };
        lanes.map(end).collect()
    };
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    if work.steps < SHARED_STEPS || processors == 1 {
        return Expected::new(work.seed, &ends(0..WORKGROUP_SIZE));
    }
    let share = WORKGROUP_SIZE.div_ceil(u32::try_from(processors).unwrap_or(u32::MAX));
    let starts = (0..WORKGROUP_SIZE).step_by(share as usize);
    let words: Vec<u32> = std::thread::scope(|scope| {
        let shares = starts.map(|first| {
            let lanes = first..(first + share).min(WORKGROUP_SIZE);
            scope.spawn(|| ends(lanes))
        });
        let shares: Vec<_> = shares.collect();
        let joined =
            shares.into_iter().map(|share| share.join().unwrap_or_else(|panic| resume_unwind(panic)));
        joined.flatten().collect()
    });
    Expected::new(work.seed, &words)
}

/// Steps from which on several threads are faster than one, which is busy for a tenth of a millisecond or more.
const SHARED_STEPS: u32 = 256;

/// The first so many of `all`, or all of them for 0.
pub(crate) fn first<T>(all: &[T], chains: usize) -> &[T] {
    if chains == 0 { all } else { &all[..chains] }
}

/// Runs a chain kernel: `chain` gives the unstamped word of a lane of a workgroup.
///
/// Every chain of every workgroup is computed, as a device does: a rate of the reference is a rate of work done.
pub(crate) fn run(
    buffers: &mut [&mut [u32]],
    params: &Params,
    workgroups: Range<u32>,
    chain: impl Fn(u32, u32) -> u32,
) {
    let [lanes, groups, ..] = buffers else {
        panic!("a chain kernel binds two buffers, {} are bound", buffers.len())
    };
    let (side_by_side, seed) = (params[0] / WORKGROUP_SIZE, params[2]);
    for workgroup in workgroups.start * side_by_side..workgroups.end * side_by_side {
        let total = &mut groups[1 + workgroup as usize];
        for lane in 0..WORKGROUP_SIZE {
            let word = mix32(chain(workgroup, lane) ^ stamp(seed, workgroup));
            lanes[(workgroup * WORKGROUP_SIZE + lane) as usize] = word;
            *total = total.wrapping_add(share(lane, word));
        }
        groups[0] = groups[0].wrapping_add(1);
    }
}
