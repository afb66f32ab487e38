//! What the checks of the chain kernels share: run a kernel, compare every lane and every workgroup ([`Chains`],
//! [`Answers`]), the check itself ([`check()`]), which a [`Recipe`] makes that of one kernel, and running one tile of it
//! again and again ([`replay()`]).

use kernels::chain::{Expected, Shape, Work};
use kernels::{Kernel, SelfFault, WORKGROUP_SIZE};
use report::{Bytes, Mismatch, Mismatches};

use crate::device::{Buffer, DeviceError, Elapsed};
use crate::mismatches::add;
use crate::session::{Launch, Session};

mod check;
mod recipe;
mod sweep;

pub use check::check;
pub use recipe::{Oracle, Recipe};

/// The buffers of a chain kernel, large enough for so many workgroups.
#[derive(Clone, Debug)]
pub struct Chains {
    kernel: &'static Kernel,
    buffers: Vec<Buffer>,
}

/// What came out of a dispatch.
#[derive(Clone, Debug)]
pub struct Answers {
    /// Time of all repeats.
    pub elapsed: Elapsed,
    /// A word for each invocation.
    pub lanes: Vec<u32>,
    /// A sum for each workgroup, over all repeats: a repeat that went wrong shows here though its lanes were overwritten.
    groups: Vec<u32>,
    /// Workgroups that said they were done, over all repeats.
    pub completed: u32,
    repeat: u32,
}

/// Most workgroups used: a million invocations fill any device of today, and their results are 4 MiB.
pub const WORKGROUPS_MAX: u32 = 16_384;

impl Chains {
    /// Allocates for [`WORKGROUPS_MAX`].
    pub fn allocate(session: &mut Session<'_>, kernel: &'static Kernel) -> Result<Self, DeviceError> {
        let lanes =
            session.device.allocate(Bytes(u64::from(WORKGROUPS_MAX) * u64::from(WORKGROUP_SIZE) * 4))?;
        let groups = session.device.allocate(Bytes(u64::from(WORKGROUPS_MAX + 1) * 4))?;
        Ok(Self { kernel, buffers: vec![lanes, groups] })
    }

    /// Gives the buffers back.
    pub fn free(self, session: &mut Session<'_>) {
        self.buffers.into_iter().for_each(|buffer| session.device.free(buffer));
    }

    /// Runs the work in this shape so many times in a row and reads its answers.
    pub fn run(
        &self,
        session: &mut Session<'_>,
        (work, shape): (&Work, Shape),
        fault: SelfFault,
        repeat: u32,
    ) -> Result<Answers, DeviceError> {
        session.write(self.buffers[1], &vec![0; work.groups()])?;
        let launch = Launch { kernel: self.kernel, buffers: &self.buffers };
        let dispatched = shape.dispatched(work.workgroups);
        let elapsed = session.run(launch, work.params_in(shape, fault), dispatched, repeat)?;
        let lanes = session.read(self.buffers[0], work.lanes())?;
        let mut groups = session.read(self.buffers[1], work.groups())?;
        let completed = groups.remove(0);
        Ok(Answers { elapsed, lanes, groups, completed, repeat })
    }
}

impl Answers {
    /// Compares every lane, and every workgroup's sum, with what they should be; wrong ones are added to `found`.
    ///
    /// The address of a lane is its place in the result buffer, that of a sum comes after all lanes, and that of the number
    /// of completed workgroups, which must be all of them, after all sums.
    pub fn compare(&self, expected: &Expected, pass: u32, found: &mut Mismatches) {
        let lanes = (0u32..).zip(self.lanes.chunks_exact(WORKGROUP_SIZE as usize));
        for ((workgroup, lanes), sum) in lanes.zip(&self.groups) {
            let (should, sum_expected) = expected.tile(workgroup);
            let first = u64::from(workgroup) * u64::from(WORKGROUP_SIZE);
            if *lanes != should {
                for (lane, (expected, found_word)) in (0u64..).zip(should.into_iter().zip(lanes)) {
                    if *found_word != expected {
                        let byte_address = (first + lane) * 4;
                        add(found, Mismatch { byte_address, expected, found: *found_word, workgroup, pass });
                    }
                }
                continue;
            }
            let sum_expected = sum_expected.wrapping_mul(self.repeat);
            if *sum != sum_expected {
                let byte_address = (self.lanes.len() as u64 + u64::from(workgroup)) * 4;
                add(found, Mismatch { byte_address, expected: sum_expected, found: *sum, workgroup, pass });
            }
        }
        let workgroup = u32::try_from(self.groups.len()).unwrap_or(u32::MAX);
        let all = workgroup.wrapping_mul(self.repeat);
        if self.completed != all {
            let byte_address = (self.lanes.len() + self.groups.len()) as u64 * 4;
            add(found, Mismatch { byte_address, expected: all, found: self.completed, workgroup, pass });
        }
    }
}
