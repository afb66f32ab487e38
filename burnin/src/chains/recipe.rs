//! What makes the check of a chain kernel that of one kernel.

use kernels::chain::{Expected, Work};
use kernels::{Cost, Kernel};
use report::{DeviceInfo, Unit};

use super::Answers;
use crate::device::offers;

/// What makes the check that of one kernel.
#[derive(Clone, Copy, Debug)]
pub struct Recipe {
    /// The kernel.
    pub kernel: &'static Kernel,
    /// The same kernel, which also says on which compute unit each workgroup ran; used where the device offers it.
    pub by_unit: Option<&'static Kernel>,
    /// What is measured.
    pub metric: &'static str,
    /// In what unit.
    pub unit: Unit,
    /// The work whose digest stands in the report, the same for every device and every version of the check.
    pub canonical: Work,
    /// The work of a window, before its number of workgroups has grown to fill one.
    pub window: Work,
    /// The work in which faults are planted.
    pub canary: Work,
    /// The planted faults: workgroup, lane, bits.
    pub canaries: [(u32, u32, u32); 4],
    /// Cost of a dispatch with all chains.
    pub cost: fn(&Work) -> Cost,
    /// How many independent chains an invocation has.
    pub chains: u32,
    /// Fewer chains to try on the device, beside all of them, each in several sizes of workgroups; empty: the base shape alone.
    pub tried: &'static [u32],
    /// Who knows the right answers from now on, by the answers to the canonical work; and what a reader should know.
    pub oracle: fn(&Answers) -> (Oracle, Option<String>),
}

impl Recipe {
    /// The kernel to use on this device: where it tells its compute units, the one that writes them down.
    pub(super) fn kernel_on(&self, info: &DeviceInfo) -> &'static Kernel {
        let told = |kernel: &&Kernel| kernel.needs.iter().all(|need| offers(info, *need));
        self.by_unit.filter(told).unwrap_or(self.kernel)
    }
}

/// Who knows the right answers of a dispatch.
#[derive(Clone, Copy, Debug)]
pub enum Oracle {
    /// The processor, given the work and the number of chains (0: all).
    Reference(fn(&Work, u32) -> Expected),
    /// Most of the device's own workgroups, given the work and the words of all lanes: for answers whose last bits are the
    /// device's own. What they say first must be said again by every later dispatch of that seed.
    Agreement(fn(&Work, &[u32]) -> Expected),
}

/// Right answers that are known, so that each is worked out once however often a seed comes again.
#[derive(Debug)]
pub(super) struct Expectations {
    oracle: Oracle,
    known: Vec<((u32, u32, u32), Expected)>,
}

impl Expectations {
    pub(super) fn new(oracle: Oracle) -> Self {
        Self { oracle, known: Vec::new() }
    }

    /// The right answers of this work with so many chains; `lanes` are those that the device gave.
    pub(super) fn of(&mut self, work: &Work, chains: u32, lanes: &[u32]) -> &Expected {
        let key = (work.seed, work.steps, chains);
        let at = self.known.iter().position(|(known, _)| *known == key).unwrap_or_else(|| {
            let expected = match self.oracle {
                Oracle::Reference(expected) => expected(work, chains),
                Oracle::Agreement(agreed) => agreed(work, lanes),
            };
            self.known.push((key, expected));
            self.known.len() - 1
        });
        &self.known[at].1
    }
}
