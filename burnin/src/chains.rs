//! What the two chain kernels (`digest`, `fp32`) share: run them, and compare every lane and every workgroup.

use kernels::mix::{GOLDEN, mix32};
use kernels::{Kernel, Params, WORKGROUP_SIZE};
use report::{Bytes, Canary, Mismatch, Mismatches};

use crate::device::{Buffer, DeviceError, Elapsed};
use crate::session::{Launch, Session};

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

    /// Runs the kernel and reads its answers.
    pub fn run(
        &self,
        session: &mut Session<'_>,
        params: Params,
        workgroups: u32,
        repeat: u32,
    ) -> Result<Answers, DeviceError> {
        session.write(self.groups, &vec![0; 1 + workgroups as usize])?;
        let launch = Launch { kernel: self.kernel, buffers: &[self.lanes, self.groups] };
        let elapsed = session.run(launch, params, workgroups, repeat)?;
        let lanes = session.read(self.lanes, workgroups as usize * WORKGROUP_SIZE as usize)?;
        let mut groups = session.read(self.groups, 1 + workgroups as usize)?;
        let completed = groups.remove(0);
        Ok(Answers { elapsed, lanes, groups, completed, repeat })
    }
}

impl Answers {
    /// Compares every lane, and every workgroup's sum, with what they should be; wrong ones are added to `found`.
    ///
    /// The address of a lane is its place in the result buffer, that of a sum comes after all lanes.
    pub fn compare(&self, expected: impl Fn(u32, u32) -> u32, pass: u32, found: &mut Mismatches) {
        let lanes = (0u32..).zip(self.lanes.chunks_exact(WORKGROUP_SIZE as usize));
        for ((workgroup, lanes), sum) in lanes.zip(&self.groups) {
            let mut right = true;
            let mut sum_expected = 0u32;
            for (lane, word) in (0u32..).zip(lanes) {
                let should = expected(workgroup, lane);
                sum_expected =
                    sum_expected.wrapping_add(mix32(should.wrapping_add(lane.wrapping_mul(GOLDEN))));
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
    }
}

/// Counts a mismatch and keeps it if there is room.
pub fn add(found: &mut Mismatches, mismatch: Mismatch) {
    found.count += 1;
    found.bits |= mismatch.expected ^ mismatch.found;
    if found.first.len() < Mismatches::KEPT_MAX {
        found.first.push(mismatch);
    }
}

/// Joins mismatches of one kind of place to those of another.
pub fn merge(found: &mut Mismatches, more: Mismatches) {
    found.count += more.count;
    found.bits |= more.bits;
    let room = Mismatches::KEPT_MAX - found.first.len();
    found.first.extend(more.first.into_iter().take(room));
}

/// Scores one planted fault: found if exactly one place was wrong and it is the planted one. What else was wrong is real
/// and goes to `real`.
pub fn score(canary: &mut Canary, seen: Mismatches, planted_at: u64, real: &mut Mismatches) {
    canary.planted += 1;
    let (hits, strays): (Vec<_>, Vec<_>) = seen.first.into_iter().partition(|m| m.byte_address == planted_at);
    canary.found += u32::from(!hits.is_empty());
    let uncounted = seen.count - (hits.len() + strays.len()) as u64;
    if !strays.is_empty() || uncounted > 0 {
        let count = strays.len() as u64 + uncounted;
        canary.strays = canary.strays.saturating_add(u32::try_from(count).unwrap_or(u32::MAX));
        merge(
            real,
            Mismatches {
                count,
                bits: strays.iter().fold(0, |bits, m| bits | (m.expected ^ m.found)),
                first: strays,
            },
        );
    }
}
