//! The reference kernels as a device: what every other device must agree with.

use std::time::Duration;

use report::{
    Backend, Bytes, DeviceId, DeviceInfo, DeviceKind, Feature, MatrixScope, MatrixShape, MatrixSource,
};

use super::matrix;
use super::{Buffer, Device, DeviceError, Dispatch, Elapsed, Transfer};
use crate::clock::{Clock, MonotonicClock};

/// The processor, running the references one workgroup after the other.
#[derive(Debug)]
pub struct Cpu {
    info: DeviceInfo,
    buffers: Vec<Option<Vec<u32>>>,
    /// After a deadline that passed, as the contract asks.
    dead: bool,
    clock: MonotonicClock,
}

/// What is said about it.
pub fn info() -> DeviceInfo {
    DeviceInfo {
        id: DeviceId("cpu-0".to_owned()),
        backend: Backend::Cpu,
        kind: DeviceKind::Cpu,
        name: "reference kernels".to_owned(),
        pci_id: None,
        address: None,
        uuid: None,
        driver: format!("assay {}", env!("CARGO_PKG_VERSION")),
        api_version: None,
        memory_bytes: Bytes::mib(1024),
        memory_budget_bytes: None,
        binding_bytes_max: Bytes::mib(128),
        timestamps: false,
        features: vec![
            Feature::Float16,
            Feature::Float64,
            Feature::Int64,
            Feature::DotProduct,
            Feature::Addresses,
            Feature::Matrix,
        ],
        units: None,
        subgroup_size: None,
        matrix_shapes: kernels::matrix::Types::ALL.map(shape).into(),
    }
}

/// The references multiply any shape; shown is the smallest usual one of each type.
fn shape(types: kernels::matrix::Types) -> MatrixShape {
    let (a, result) = matrix::components(types);
    MatrixShape {
        m: 8,
        n: 8,
        k: if types.element().per_word() == 4 { 16 } else { 8 },
        b: a.clone(),
        a,
        c: result.clone(),
        result,
        scope: MatrixScope::Subgroup,
        saturating: false,
        source: MatrixSource::Reference,
        workgroup_invocations: None,
    }
}

impl Cpu {
    /// A device without buffers.
    pub fn new() -> Self {
        Self { info: info(), buffers: Vec::new(), dead: false, clock: MonotonicClock::start() }
    }

    /// Words of a buffer.
    #[cfg(test)]
    pub(crate) fn words_of(&mut self, buffer: Buffer) -> usize {
        self.words(buffer).len()
    }

    fn alive(&self) -> Result<(), DeviceError> {
        let lost = DeviceError::Lost { doing: "using a device that was lost before" };
        if self.dead { Err(lost) } else { Ok(()) }
    }

    fn words(&mut self, buffer: Buffer) -> &mut Vec<u32> {
        let Some(words) = self.buffers.get_mut(buffer.0).and_then(Option::as_mut) else {
            panic!("buffer {} was given back or never was", buffer.0)
        };
        words
    }
}

impl Default for Cpu {
    fn default() -> Self {
        Self::new()
    }
}

fn range(first: u64, len: usize) -> std::ops::Range<usize> {
    let first = usize::try_from(first).unwrap_or(usize::MAX);
    first..first.saturating_add(len)
}

impl Device for Cpu {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn allocate(&mut self, bytes: Bytes) -> Result<Buffer, DeviceError> {
        self.alive()?;
        let held: usize = self.buffers.iter().flatten().map(|words| words.len() * 4).sum();
        if (held as u64).saturating_add(bytes.0) > self.info.memory_bytes.0 {
            return Err(DeviceError::OutOfMemory { doing: "allocating a buffer", bytes });
        }
        let words = usize::try_from(bytes.0.div_ceil(4)).unwrap_or(usize::MAX);
        self.buffers.push(Some(vec![0; words]));
        Ok(Buffer(self.buffers.len() - 1))
    }

    fn free(&mut self, buffer: Buffer) {
        self.words(buffer);
        self.buffers[buffer.0] = None;
    }

    fn upload(
        &mut self,
        buffer: Buffer,
        first: u64,
        words: &[u32],
        _deadline: Duration,
    ) -> Result<(), DeviceError> {
        self.alive()?;
        self.words(buffer)[range(first, words.len())].copy_from_slice(words);
        Ok(())
    }

    fn read_back(
        &mut self,
        buffer: Buffer,
        first: u64,
        words: &mut [u32],
        _deadline: Duration,
    ) -> Result<(), DeviceError> {
        self.alive()?;
        words.copy_from_slice(&self.words(buffer)[range(first, words.len())]);
        Ok(())
    }

    fn transfer(
        &mut self,
        buffer: Buffer,
        mut transfer: Transfer<'_>,
        repeat: u32,
        deadline: Duration,
    ) -> Result<Elapsed, DeviceError> {
        let start = self.clock.now();
        for _ in 0..repeat {
            match &mut transfer {
                Transfer::ToDevice(words) => self.upload(buffer, 0, words, deadline)?,
                Transfer::ToHost(words) => self.read_back(buffer, 0, words, deadline)?,
            }
        }
        Ok(Elapsed { device: None, host: self.clock.now() - start })
    }

    fn dispatch(&mut self, dispatch: &Dispatch<'_>, deadline: Duration) -> Result<Elapsed, DeviceError> {
        self.alive()?;
        let start = self.clock.now();
        let mut taken: Vec<_> =
            dispatch.buffers.iter().map(|buffer| std::mem::take(self.words(*buffer))).collect();
        let mut slices: Vec<&mut [u32]> = taken.iter_mut().map(Vec::as_mut_slice).collect();
        // One workgroup after the other, with a look at the clock in between.
        let mut rounds = (0..dispatch.repeat).flat_map(|_| 0..dispatch.workgroups);
        let in_time = rounds.all(|workgroup| {
            (dispatch.kernel.reference)(&mut slices, &dispatch.params, workgroup..workgroup + 1);
            self.clock.now() - start <= deadline
        });
        for (buffer, words) in dispatch.buffers.iter().zip(taken) {
            self.buffers[buffer.0] = Some(words);
        }
        if !in_time {
            self.dead = true;
            let deadline_ms = deadline.as_millis();
            return Err(DeviceError::TimedOut { doing: "running a kernel", deadline_ms });
        }
        Ok(Elapsed { device: None, host: self.clock.now() - start })
    }
}
