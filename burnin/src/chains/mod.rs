//! What the checks of the two chain kernels (`digest`, `fp32`) share: run a kernel, compare every lane and every workgroup
//! ([`Chains`], [`Answers`]), and the check itself ([`check()`]), which a [`Recipe`] makes one or the other.

use kernels::chain::{Expected, Work, share};
use kernels::{Kernel, SelfFault, WORKGROUP_SIZE};
use report::{Bytes, Mismatch, Mismatches};

use crate::device::{Buffer, DeviceError, Elapsed};
use crate::mismatches::add;
use crate::session::{Launch, Session};

mod check;

pub use check::{Expect, Recipe, check};

/// The buffers of a chain kernel, large enough for so many workgroups.
#[derive(Clone, Copy, Debug)]
pub struct Chains {
    kernel: &'static Kernel,
    lanes: Buffer,
    groups: Buffer,
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
        Ok(Self { kernel, lanes, groups })
    }

    /// Gives the buffers back.
    pub fn free(self, session: &mut Session<'_>) {
        session.device.free(self.lanes);
        session.device.free(self.groups);
    }

    /// Runs the work so many times in a row and reads its answers.
    pub fn run(
        &self,
        session: &mut Session<'_>,
        work: &Work,
        fault: SelfFault,
        repeat: u32,
    ) -> Result<Answers, DeviceError> {
        session.write(self.groups, &vec![0; work.groups()])?;
        let launch = Launch { kernel: self.kernel, buffers: &[self.lanes, self.groups] };
        let elapsed = session.run(launch, work.params(fault), work.workgroups, repeat)?;
        let lanes = session.read(self.lanes, work.lanes())?;
        let mut groups = session.read(self.groups, work.groups())?;
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
            let mut right = true;
            let mut sum_expected = 0u32;
            for (lane, word) in (0u32..).zip(lanes) {
                let should = expected.lane(workgroup, lane);
                sum_expected = sum_expected.wrapping_add(share(lane, should));
                if *word != should {
                    right = false;
                    let byte_address =
                        (u64::from(workgroup) * u64::from(WORKGROUP_SIZE) + u64::from(lane)) * 4;
                    add(found, Mismatch { byte_address, expected: should, found: *word, workgroup, pass });
                }
            }
            let sum_expected = sum_expected.wrapping_mul(self.repeat);
            if right && *sum != sum_expected {
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
