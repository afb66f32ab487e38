//! Buffers, and the staging buffer through which the host reads them.

use std::sync::{Arc, mpsc};
use std::time::Duration;

use report::Bytes;
use wgpu::BufferUsages;

use super::logical::Logical;
use crate::device::{DeviceError, Elapsed, Transfer};

/// Clearing a buffer is one fill at memory speed.
const CLEAR_DEADLINE: Duration = Duration::from_secs(30);

/// Size of the staging buffer in words: 16 MiB in bytes.
const STAGING_WORDS: usize = 4 << 20;

/// A storage buffer of zeros.
pub(super) fn on_device(logical: &Logical, bytes: Bytes) -> Result<wgpu::Buffer, DeviceError> {
    const DOING: &str = "allocating a buffer";
    if bytes.0 > logical.raw().limits().max_buffer_size {
        return Err(DeviceError::OutOfMemory { doing: DOING, bytes });
    }
    // Bindings of `vec4<u32>` need one of them at least.
    let size = bytes.0.max(16).next_multiple_of(4);
    let usage = BufferUsages::STORAGE | BufferUsages::COPY_SRC | BufferUsages::COPY_DST;
    let buffer = create(logical, size, usage);
    logical.check(DOING, bytes)?;
    // wgpu clears a buffer when it is first used; done here, no later measurement contains it.
    let mut encoder = logical.encoder();
    encoder.clear_buffer(&buffer, 0, None);
    logical.run("zeroing a buffer", CLEAR_DEADLINE, encoder).map_err(|error| match error {
        DeviceError::OutOfMemory { doing, .. } => DeviceError::OutOfMemory { doing, bytes },
        other => other,
    })?;
    Ok(buffer)
}

pub(super) fn create(logical: &Logical, size: u64, usage: BufferUsages) -> wgpu::Buffer {
    let descriptor = wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false };
    logical.raw().create_buffer(&descriptor)
}

/// Writes words from word `first` on, in parts that bound what wgpu stages.
pub(super) fn upload(
    logical: &Logical,
    buffer: &wgpu::Buffer,
    first: u64,
    words: &[u32],
    deadline: Duration,
) -> Result<(), DeviceError> {
    assert_holds(buffer, first, words.len());
    let mut at = first * 4;
    for part in words.chunks(STAGING_WORDS) {
        logical.queue().write_buffer(buffer, at, bytemuck::cast_slice(part));
        logical.run("writing a buffer", deadline, logical.encoder())?;
        at += part.len() as u64 * 4;
    }
    Ok(())
}

/// Copies between a buffer that the host maps and the first words of another, `repeat` times in a row; the host's time of
/// the copies alone. wgpu has timestamps within passes only.
pub(super) fn transfer(
    logical: &Logical,
    buffer: &wgpu::Buffer,
    transfer: Transfer<'_>,
    repeat: u32,
    deadline: Duration,
) -> Result<Elapsed, DeviceError> {
    const DOING: &str = "copying between host and device";
    let Bytes(bytes) = transfer.bytes();
    assert_holds(buffer, 0, usize::try_from(bytes / 4).unwrap_or(usize::MAX));
    let usage = match transfer {
        Transfer::ToDevice(_) => BufferUsages::MAP_WRITE | BufferUsages::COPY_SRC,
        Transfer::ToHost(_) => BufferUsages::MAP_READ | BufferUsages::COPY_DST,
    };
    let mapped_at_creation = matches!(transfer, Transfer::ToDevice(_));
    let pinned = logical.raw().create_buffer(&wgpu::BufferDescriptor {
        label: None,
        size: bytes,
        usage,
        mapped_at_creation,
    });
    logical.check(DOING, Bytes(bytes))?;
    if let Transfer::ToDevice(words) = &transfer {
        let failed =
            |error: wgpu::MapRangeError| DeviceError::Driver { doing: DOING, message: error.to_string() };
        pinned.slice(..).get_mapped_range_mut().map_err(failed)?.copy_from_slice(bytemuck::cast_slice(words));
        pinned.unmap();
    }
    let (source, target) = match transfer {
        Transfer::ToDevice(_) => (&pinned, buffer),
        Transfer::ToHost(_) => (buffer, &pinned),
    };
    let mut encoder = logical.encoder();
    for _ in 0..repeat {
        encoder.copy_buffer_to_buffer(source, 0, target, 0, bytes);
    }
    let host = logical.run(DOING, deadline, encoder)?;
    if let Transfer::ToHost(words) = transfer {
        read(logical, &pinned, bytemuck::cast_slice_mut(words))?;
    }
    Ok(Elapsed { device: None, host })
}

/// Our own bug, to be told from the driver's errors.
fn assert_holds(buffer: &wgpu::Buffer, first: u64, words: usize) {
    assert!((first + words as u64) * 4 <= buffer.size(), "{words} words from {first} on leave the buffer");
}

/// Owns a buffer that can be mapped.
pub(super) struct Staging {
    raw: wgpu::Buffer,
    logical: Arc<Logical>,
}

impl Staging {
    pub(super) fn new(logical: Arc<Logical>) -> Result<Self, DeviceError> {
        let bytes = Bytes(STAGING_WORDS as u64 * 4);
        let raw = create(&logical, bytes.0, BufferUsages::MAP_READ | BufferUsages::COPY_DST);
        logical.check("allocating the staging buffer", bytes)?;
        Ok(Self { raw, logical })
    }

    /// Reads words from word `first` on.
    pub(super) fn read_back(
        &self,
        buffer: &wgpu::Buffer,
        first: u64,
        words: &mut [u32],
        deadline: Duration,
    ) -> Result<(), DeviceError> {
        assert_holds(buffer, first, words.len());
        let mut at = first * 4;
        for part in words.chunks_mut(STAGING_WORDS) {
            let bytes = part.len() as u64 * 4;
            let mut encoder = self.logical.encoder();
            encoder.copy_buffer_to_buffer(buffer, at, &self.raw, 0, bytes);
            self.logical.run("reading a buffer", deadline, encoder)?;
            read(&self.logical, &self.raw, bytemuck::cast_slice_mut(part))?;
            at += bytes;
        }
        Ok(())
    }
}

/// Copies the first bytes of a buffer that can be mapped and that no submission under way uses.
pub(super) fn read(logical: &Logical, buffer: &wgpu::Buffer, bytes: &mut [u8]) -> Result<(), DeviceError> {
    const DOING: &str = "mapping the staging buffer";
    let failed = |message: String| DeviceError::Driver { doing: DOING, message };
    let (sender, mapped) = mpsc::channel();
    let slice = buffer.slice(..bytes.len() as u64);
    slice.map_async(wgpu::MapMode::Read, move |outcome| {
        // The receiver lives until the end of this function; nobody listens to a later call.
        let _ = sender.send(outcome);
    });
    logical.collect()?;
    match mapped.try_recv() {
        Ok(Ok(())) => {}
        Ok(Err(error)) => return Err(failed(error.to_string())),
        Err(_) => return Err(failed("wgpu did not call back for an idle buffer".to_owned())),
    }
    let view = slice.get_mapped_range().map_err(|error| failed(error.to_string()))?;
    bytes.copy_from_slice(&view);
    drop(view);
    buffer.unmap();
    Ok(())
}
