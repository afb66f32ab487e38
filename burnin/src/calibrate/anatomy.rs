//! What a dispatch of a checker's round is made of: where a fault can be put so that it matters.

use kernels::{Kernel, SelfFault, WORKGROUP_SIZE};

use crate::device::Dispatch;

/// Words of a buffer that a dispatch reads or writes.
#[derive(Clone, Copy, Debug)]
pub struct Region {
    /// Which of the dispatch's buffers.
    pub buffer: usize,
    /// So many words from its start on.
    pub words: usize,
    /// Does the dispatch read them, so that damage before it matters?
    pub before: bool,
    /// Is what the dispatch leaves there read later in the round, so that damage after it matters?
    pub after: bool,
}

/// The parts of one dispatch. It must name every word that this dispatch, or one that runs in its place, touches; into one
/// without regions nothing is put. A region that is left out although it matters shows as a false alarm of a round whose
/// injection seemed not to arrive.
#[derive(Clone, Debug, Default)]
pub struct Anatomy {
    /// Its data.
    pub regions: Vec<Region>,
    /// Parameters by number, with bits that can be another without touching words that no region names.
    pub params: Vec<(usize, u32)>,
    /// What may run in its place: another kernel, or this one with another first parameter.
    pub stale: Vec<(&'static Kernel, u32)>,
    /// Does the kernel have a fault hook (parameters 2 to 5, see [`SelfFault`])?
    pub hook: bool,
}

/// Tells the anatomy of the dispatches of a checker.
pub type Dissect = fn(&Dispatch<'_>) -> Anatomy;

/// The parameters of a chain kernel with this fault in them.
pub fn hooked(params: &kernels::Params, workgroup: u32, lane: u32, mask: u32) -> kernels::Params {
    let work = kernels::chain::Work { seed: 0, steps: 0, workgroups: 0 };
    let fault = work.params(SelfFault::Flip { workgroup, lane, mask });
    let mut hooked = *params;
    hooked[4..8].copy_from_slice(&fault[4..8]);
    hooked
}

/// Words of results of so many workgroups of a chain kernel.
pub fn lanes(workgroups: u32) -> usize {
    workgroups as usize * WORKGROUP_SIZE as usize
}
