//! The memory under test, in chunks.

use kernels::mix::mix32;
use kernels::pattern::{BYTES_MAX, ERROR_WORDS, Errors, KERNEL, Op, Pattern, QUADS_PER_WORKGROUP, Work};
use report::{Bytes, Mismatch, Mismatches};

use crate::device::{Buffer, DeviceError};
use crate::mismatches::{add, merge};
use crate::session::{Launch, Session};

/// A tile of the kernel; chunks are whole tiles.
const TILE_BYTES: u64 = QUADS_PER_WORKGROUP as u64 * 16;

/// All chunks and the error buffer.
#[derive(Debug)]
pub(crate) struct Chunks {
    chunks: Vec<Chunk>,
    pub(crate) errors: Buffer,
}

/// One chunk.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Chunk {
    pub(crate) buffer: Buffer,
    /// Number of its first word among all.
    pub(crate) first_word: u64,
    pub(crate) quads: u32,
}

impl Chunk {
    /// The pattern for this chunk: word numbers have 32 bits, so every 16 GiB get another mask.
    fn pattern(&self, pattern: Pattern) -> Pattern {
        let high = u32::try_from(self.first_word >> 32).unwrap_or(u32::MAX);
        let mask =
            if high == 0 || pattern.multiplier == 0 { pattern.mask } else { pattern.mask ^ mix32(high) };
        Pattern { mask, ..pattern }
    }

    fn work(&self, op: Op, pattern: Pattern) -> Work {
        #[expect(clippy::cast_possible_truncation, reason = "the high half is in the mask")]
        let base_word = (self.first_word & u64::from(u32::MAX)) as u32;
        Work { op, pattern: self.pattern(pattern), base_word, quads: self.quads }
    }
}

impl Chunks {
    /// One chunk of so many quads, and an error buffer twice as long as is needed.
    pub(crate) fn one(session: &mut Session<'_>, quads: u32) -> Result<Self, DeviceError> {
        let errors = session.device.allocate(Bytes(2 * ERROR_WORDS as u64 * 4))?;
        let buffer = session.device.allocate(Bytes(u64::from(quads) * 16))?;
        Ok(Self { chunks: vec![Chunk { buffer, first_word: 0, quads }], errors })
    }

    /// Takes memory until the target is reached or the device has no more; at least one chunk, or an error.
    pub(super) fn allocate(session: &mut Session<'_>) -> Result<Self, DeviceError> {
        let target = session.memory_target().0 / TILE_BYTES * TILE_BYTES;
        let largest = BYTES_MAX.min(session.device.info().binding_bytes_max.0) / TILE_BYTES * TILE_BYTES;
        let errors = session.device.allocate(Bytes(ERROR_WORDS as u64 * 4))?;
        let mut this = Self { chunks: Vec::new(), errors };
        let mut taken = 0;
        while taken < target {
            let bytes = largest.min(target - taken);
            let buffer = match session.device.allocate(Bytes(bytes)) {
                Ok(buffer) => buffer,
                // Less memory than its driver said: the coverage will say how much was tested.
                Err(DeviceError::OutOfMemory { .. }) if !this.chunks.is_empty() => break,
                Err(error) => return Err(error),
            };
            let quads = u32::try_from(bytes / 16).unwrap_or(u32::MAX);
            this.chunks.push(Chunk { buffer, first_word: taken / 4, quads });
            taken += bytes;
        }
        Ok(this)
    }

    pub(crate) fn free(self, session: &mut Session<'_>) {
        for chunk in self.chunks {
            session.device.free(chunk.buffer);
        }
        session.device.free(self.errors);
    }

    pub(crate) fn first(&self) -> Option<Chunk> {
        self.chunks.first().copied()
    }

    /// Does the same to every chunk; what was compared and what was wrong, over all.
    pub(crate) fn sweep(
        &self,
        session: &mut Session<'_>,
        op: Op,
        pattern: Pattern,
        pass: u32,
    ) -> Result<Swept, DeviceError> {
        let mut swept = Swept::default();
        for chunk in &self.chunks {
            swept.add(self.run(session, chunk, op, pattern, pass)?);
        }
        Ok(swept)
    }

    /// Does something to one chunk.
    #[expect(clippy::too_many_arguments, reason = "where, what, with which values, and in which pass")]
    pub(crate) fn run(
        &self,
        session: &mut Session<'_>,
        chunk: &Chunk,
        op: Op,
        pattern: Pattern,
        pass: u32,
    ) -> Result<Swept, DeviceError> {
        let work = chunk.work(op, pattern);
        session.write(self.errors, &[0; ERROR_WORDS])?;
        let launch = Launch { kernel: &KERNEL, buffers: &[chunk.buffer, self.errors] };
        session.run(launch, work.params(), work.workgroups(), 1)?;
        if matches!(op, Op::Write | Op::Flip { .. }) {
            return Ok(Swept::default());
        }
        let errors = Errors::from_words(&session.read(self.errors, ERROR_WORDS)?);
        let first = errors.records.iter().map(|record| Mismatch {
            byte_address: (chunk.first_word + u64::from(record.word)) * 4,
            expected: record.expected,
            found: record.found,
            workgroup: record.workgroup,
            pass,
        });
        let mut wrong = Mismatches { count: errors.count, bits: errors.bits, first: first.collect() };
        let compared = u32::try_from(errors.compared_bytes / 16).unwrap_or(u32::MAX);
        if compared != chunk.quads {
            // A count of quads that is not the chunk's: its address is that of the chunk, its expected and found are counts.
            let byte_address = chunk.first_word * 4;
            add(
                &mut wrong,
                Mismatch { byte_address, expected: chunk.quads, found: compared, workgroup: 0, pass },
            );
        }
        Ok(Swept { compared_bytes: errors.compared_bytes, wrong })
    }
}

/// What a sweep compared and found.
#[derive(Clone, Debug, Default)]
pub(crate) struct Swept {
    pub(crate) compared_bytes: u64,
    pub(crate) wrong: Mismatches,
}

impl Swept {
    fn add(&mut self, more: Self) {
        self.compared_bytes += more.compared_bytes;
        merge(&mut self.wrong, more.wrong);
    }
}
