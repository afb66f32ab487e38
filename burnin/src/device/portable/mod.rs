//! wgpu: the independent second opinion, with another shader compiler and another host stack.
//!
//! The kernels' WGSL is compiled at run time with wgpu's bounds checks on, so its rates are not those of the product. The
//! files have the names of their Vulkan siblings. What wgpu does not tell (memory, UUID, Vulkan version) stays out of
//! [`DeviceInfo`] or is bounded from below. After a hang or a loss all of wgpu's objects are leaked on purpose: dropping its
//! queue waits for the device without a deadline.

use std::sync::Arc;
use std::time::Duration;

use report::{Bytes, DeviceId, DeviceInfo};

use super::{Buffer, Device, DeviceError, Dispatch, Elapsed, Transfer};

mod adapter;
mod logical;
mod memory;
mod pipeline;
mod submit;

use logical::Logical;
use memory::Staging;
use pipeline::Pipelines;
use submit::Submitter;

/// Adapters that wgpu shows, in the order of their ids.
pub fn list() -> Result<Vec<DeviceInfo>, DeviceError> {
    Ok(adapter::all().into_iter().map(|adapter| adapter.info).collect())
}

/// Opens the adapter of this id.
pub fn open(id: &DeviceId) -> Result<Portable, DeviceError> {
    let adapter = adapter::all()
        .into_iter()
        .find(|adapter| adapter.info.id == *id)
        .ok_or_else(|| DeviceError::Missing { id: id.0.clone() })?;
    let logical = Arc::new(Logical::new(&adapter)?);
    let live = Live {
        submitter: Submitter::new(Arc::clone(&logical))?,
        pipelines: Pipelines::new(Arc::clone(&logical)),
        staging: Staging::new(Arc::clone(&logical))?,
        buffers: Vec::new(),
        logical,
    };
    Ok(Portable { info: adapter.info, live: Some(live) })
}

/// A device that is driven through wgpu.
pub struct Portable {
    info: DeviceInfo,
    /// Absent after a hang or a loss.
    live: Option<Live>,
}

struct Live {
    submitter: Submitter,
    pipelines: Pipelines,
    staging: Staging,
    buffers: Vec<Option<wgpu::Buffer>>,
    logical: Arc<Logical>,
}

impl std::fmt::Debug for Portable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Portable").field("info", &self.info).field("live", &self.live.is_some()).finish()
    }
}

impl Portable {
    /// Runs `work`; after a hang or a loss the device is dead and what it holds is leaked on purpose.
    fn guarded<T>(
        &mut self,
        work: impl FnOnce(&mut Live) -> Result<T, DeviceError>,
    ) -> Result<T, DeviceError> {
        let live =
            self.live.as_mut().ok_or(DeviceError::Lost { doing: "using a device that was lost before" })?;
        let result = work(live);
        if let Err(DeviceError::TimedOut { .. } | DeviceError::Lost { .. }) = result {
            std::mem::forget(self.live.take());
        }
        result
    }
}

impl Live {
    fn buffer(&self, buffer: Buffer) -> &wgpu::Buffer {
        let Some(raw) = self.buffers.get(buffer.0).and_then(Option::as_ref) else {
            panic!("buffer {} was given back or never was", buffer.0)
        };
        raw
    }
}

impl Device for Portable {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn allocate(&mut self, bytes: Bytes) -> Result<Buffer, DeviceError> {
        self.guarded(|live| {
            live.buffers.push(Some(memory::on_device(&live.logical, bytes)?));
            Ok(Buffer(live.buffers.len() - 1))
        })
    }

    fn free(&mut self, buffer: Buffer) {
        // Called for its effect on a dead device; there is nothing that the caller could do about it.
        let _ = self.guarded(|live| {
            live.buffer(buffer).destroy();
            live.buffers[buffer.0] = None;
            live.logical.collect()
        });
    }

    fn upload(
        &mut self,
        buffer: Buffer,
        first: u64,
        words: &[u32],
        deadline: Duration,
    ) -> Result<(), DeviceError> {
        self.guarded(|live| memory::upload(&live.logical, live.buffer(buffer), first, words, deadline))
    }

    fn read_back(
        &mut self,
        buffer: Buffer,
        first: u64,
        words: &mut [u32],
        deadline: Duration,
    ) -> Result<(), DeviceError> {
        self.guarded(|live| live.staging.read_back(live.buffer(buffer), first, words, deadline))
    }

    fn transfer(
        &mut self,
        buffer: Buffer,
        transfer: Transfer<'_>,
        repeat: u32,
        deadline: Duration,
    ) -> Result<Elapsed, DeviceError> {
        self.guarded(|live| memory::transfer(&live.logical, live.buffer(buffer), transfer, repeat, deadline))
    }

    fn dispatch(&mut self, dispatch: &Dispatch<'_>, deadline: Duration) -> Result<Elapsed, DeviceError> {
        self.guarded(|live| {
            let pipeline = live.pipelines.get(dispatch.kernel, &dispatch.params)?;
            let buffers: Vec<_> = dispatch.buffers.iter().map(|buffer| live.buffer(*buffer)).collect();
            live.submitter.dispatch(&pipeline, &buffers, dispatch, deadline)
        })
    }
}
