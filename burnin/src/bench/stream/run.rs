//! Runs the stream bench.

use kernels::pattern::{self, ERROR_WORDS, Errors, QUADS_PER_WORKGROUP};
use kernels::stream::{KERNEL, Op, PATTERN, Work, expected_sum};
use report::{Bytes, Canary, CheckResult, Measurement, Mismatch, Mismatches, Unit};

use crate::device::{Buffer, DeviceError, Elapsed};
use crate::mismatches::{add, merge, score};
use crate::session::{Launch, Session, coverage, measurement, repeats, sample};

const TILE_BYTES: u64 = QUADS_PER_WORKGROUP as u64 * 16;
/// Word and bits of the planted faults.
const CANARIES: [(u32, u32); 3] = [(0, 1), (4097, 1 << 31), (100_000, 1 << 15)];

/// Source, destination, sums and errors.
#[derive(Debug)]
pub(crate) struct Buffers {
    pub(crate) source: Buffer,
    pub(crate) target: Buffer,
    sums: Buffer,
    errors: Buffer,
    pub(crate) quads: u32,
}

/// Runs the bench.
pub fn run(session: &mut Session<'_>) -> Result<CheckResult, DeviceError> {
    let buffers = Buffers::allocate(session)?;
    let mut result = session.result();
    let mut wrong = Mismatches::default();
    buffers.pattern(session, buffers.source, pattern::Op::Write, PATTERN)?;
    result.canary = Some(buffers.canaries(session, &mut wrong)?);
    let mut compared = 0;
    for (name, op) in [("read", Op::Read), ("write", Op::Write), ("copy", Op::Copy)] {
        result.measurements.push(buffers.measure(session, name, op, &mut wrong)?);
        // The sums of a read do not see a source that is wrong everywhere in the same way (`burnin calibrate` shows it).
        let left = if op == Op::Read { buffers.source } else { buffers.target };
        compared += buffers.verify(session, left, &mut wrong)?;
    }
    #[expect(clippy::cast_precision_loss, reason = "byte counts below 2^53")]
    result.coverage.push(coverage("compared_bytes", compared as f64));
    result.mismatches = Some(wrong);
    buffers.free(session);
    Ok(result)
}

fn mismatches(errors: Errors, quads: u32) -> Mismatches {
    let compared = u32::try_from(errors.compared_bytes / 16).unwrap_or(u32::MAX);
    let first = errors.records.into_iter().map(|record| Mismatch {
        byte_address: u64::from(record.word) * 4,
        expected: record.expected,
        found: record.found,
        workgroup: record.workgroup,
        pass: 0,
    });
    let mut wrong = Mismatches { count: errors.count, bits: errors.bits, first: first.collect() };
    if compared != quads {
        // Not all of it was compared: here expected and found count quads.
        add(
            &mut wrong,
            Mismatch { byte_address: 0, expected: quads, found: compared, workgroup: 0, pass: 0 },
        );
    }
    wrong
}

impl Buffers {
    fn allocate(session: &mut Session<'_>) -> Result<Self, DeviceError> {
        let largest = pattern::BYTES_MAX.min(session.device.info().binding_bytes_max.0);
        let bytes = (session.memory_target().0 / 2).min(largest).max(TILE_BYTES) / TILE_BYTES * TILE_BYTES;
        Self::of(session, u32::try_from(bytes / 16).unwrap_or(u32::MAX))
    }

    /// Of so many quads, whole tiles.
    pub(crate) fn of(session: &mut Session<'_>, quads: u32) -> Result<Self, DeviceError> {
        let work = Work { op: Op::Read, quads };
        let bytes = Bytes(u64::from(quads) * 16);
        Ok(Self {
            source: session.device.allocate(bytes)?,
            target: session.device.allocate(bytes)?,
            sums: session.device.allocate(Bytes(work.sums() as u64 * 4))?,
            errors: session.device.allocate(Bytes(ERROR_WORDS as u64 * 4))?,
            quads,
        })
    }

    pub(crate) fn free(self, session: &mut Session<'_>) {
        for buffer in [self.source, self.target, self.sums, self.errors] {
            session.device.free(buffer);
        }
    }

    pub(crate) fn stream(
        &self,
        session: &mut Session<'_>,
        op: Op,
        repeat: u32,
    ) -> Result<Elapsed, DeviceError> {
        let work = Work { op, quads: self.quads };
        session.write(self.sums, &vec![0; work.sums()])?;
        let launch = Launch { kernel: &KERNEL, buffers: &[self.source, self.target, self.sums] };
        session.run(launch, work.params(), work.workgroups(), repeat)
    }

    pub(crate) fn pattern(
        &self,
        session: &mut Session<'_>,
        buffer: Buffer,
        op: pattern::Op,
        pattern: pattern::Pattern,
    ) -> Result<Errors, DeviceError> {
        let work = pattern::Work { op, pattern, base_word: 0, quads: self.quads };
        session.write(self.errors, &[0; ERROR_WORDS])?;
        let launch = Launch { kernel: &pattern::KERNEL, buffers: &[buffer, self.errors] };
        session.run(launch, work.params(), work.workgroups(), 1)?;
        Ok(Errors::from_words(&session.read(self.errors, ERROR_WORDS)?))
    }

    /// Compares a buffer with the data; bytes that were compared.
    pub(crate) fn verify(
        &self,
        session: &mut Session<'_>,
        buffer: Buffer,
        wrong: &mut Mismatches,
    ) -> Result<u64, DeviceError> {
        let left = self.pattern(session, buffer, pattern::Op::Verify, PATTERN)?;
        let compared = left.compared_bytes;
        merge(wrong, mismatches(left, self.quads));
        Ok(compared)
    }

    fn measure(
        &self,
        session: &mut Session<'_>,
        name: &str,
        op: Op,
        wrong: &mut Mismatches,
    ) -> Result<Measurement, DeviceError> {
        let work = Work { op, quads: self.quads };
        // The destination must not hold the answer before.
        self.pattern(session, self.target, pattern::Op::Write, PATTERN.complement())?;
        // The first run of a kernel includes its compilation on some drivers.
        self.stream(session, op, 1)?;
        let repeat = repeats(self.stream(session, op, 1)?);
        let samples = session.measure(1.0 / 3.0, |session, number| {
            let elapsed = self.stream(session, op, repeat)?;
            if op == Op::Read {
                self.compare_sums(session, repeat, number, wrong)?;
            }
            Ok(sample(work.cost().bytes, repeat, elapsed))
        })?;
        let size = Bytes(u64::from(self.quads) * 16);
        let method = format!("{size} buffers, {repeat} dispatches a window");
        Ok(measurement(name, Unit::BytesPerS, method, samples))
    }

    /// The address of a sum is that of the 16 KiB it is of, that of the number of completed workgroups comes after them.
    pub(crate) fn compare_sums(
        &self,
        session: &mut Session<'_>,
        repeat: u32,
        pass: u32,
        wrong: &mut Mismatches,
    ) -> Result<(), DeviceError> {
        let sums = session.read(self.sums, Work { op: Op::Read, quads: self.quads }.sums())?;
        for (workgroup, found) in (0u32..).zip(&sums[1..]) {
            let expected = expected_sum(workgroup).wrapping_mul(repeat);
            if *found != expected {
                let byte_address = u64::from(workgroup) * TILE_BYTES;
                add(wrong, Mismatch { byte_address, expected, found: *found, workgroup, pass });
            }
        }
        let workgroup = Work { op: Op::Read, quads: self.quads }.workgroups();
        let expected = workgroup.wrapping_mul(repeat);
        if sums[0] != expected {
            let byte_address = u64::from(workgroup) * TILE_BYTES;
            add(wrong, Mismatch { byte_address, expected, found: sums[0], workgroup, pass });
        }
        Ok(())
    }

    /// Flips bits of the source, one fault at a time, and sees that a read finds exactly the 16 KiB that have it.
    fn canaries(&self, session: &mut Session<'_>, wrong: &mut Mismatches) -> Result<Canary, DeviceError> {
        let mut canary = Canary { planted: 0, found: 0, strays: 0 };
        for (word, mask) in CANARIES.into_iter().filter(|(word, _)| *word < self.quads * 4) {
            self.pattern(session, self.source, pattern::Op::Flip { word, mask }, PATTERN)?;
            self.stream(session, Op::Read, 1)?;
            let mut seen = Mismatches::default();
            self.compare_sums(session, 1, 0, &mut seen)?;
            score(&mut canary, seen, u64::from(word) * 4 / TILE_BYTES * TILE_BYTES, wrong);
            self.pattern(session, self.source, pattern::Op::Flip { word, mask }, PATTERN)?;
        }
        Ok(canary)
    }
}
