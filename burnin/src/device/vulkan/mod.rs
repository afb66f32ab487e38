//! Vulkan through `ash`: the product.
//!
//! One file for each kind of object, each with one owner that creates and destroys it: [`instance`], [`features`],
//! [`matrices`] and [`adapter`] (what a physical device offers and says; [`vkext`] has what `ash` lacks), [`logical`] (device and queue), [`memory`], [`pipeline`], [`submit`]. A child holds an [`Arc`]
//! of its parent, so the order of destruction follows. After a hang or a loss nothing is destroyed: [`Vulkan`] forgets what
//! it holds, since destroying objects in use is undefined and waiting could last for ever.

use std::sync::Arc;
use std::time::Duration;

use report::{Bytes, DeviceId, DeviceInfo};

use super::{Buffer, Device, DeviceError, Dispatch, Elapsed, Transfer};
use ash::vk;

mod instance;
mod vkext;
mod features;
mod matrices;
mod adapter;
mod logical;
mod memory;
mod pipeline;
mod submit;

pub use instance::VALIDATION_VARIABLE;

use instance::Instance;
use logical::Logical;
use memory::{Memory, Staging, Tables};
use pipeline::Pipelines;
use submit::{Bound, Place, Submitter};

/// Physical devices that Vulkan shows, in the order of their ids.
pub fn list() -> Result<Vec<DeviceInfo>, DeviceError> {
    let instance = Instance::new(instance::validation_wished())?;
    Ok(adapter::all(&instance)?.into_iter().map(|adapter| adapter.info).collect())
}

/// Opens the device of this id.
pub fn open(id: &DeviceId) -> Result<Vulkan, DeviceError> {
    open_in(Instance::new(instance::validation_wished())?, id)
}

/// Opens the device of this id with the validation layer on, which must be installed; see [`Vulkan::validation_messages`].
pub fn open_validated(id: &DeviceId) -> Result<Vulkan, DeviceError> {
    open_in(Instance::new(true)?, id)
}

fn open_in(instance: Instance, id: &DeviceId) -> Result<Vulkan, DeviceError> {
    let instance = Arc::new(instance);
    let adapter = adapter::all(&instance)?
        .into_iter()
        .find(|adapter| adapter.info.id == *id)
        .ok_or_else(|| DeviceError::Missing { id: id.0.clone() })?;
    let info = adapter.info.clone();
    let logical = Arc::new(Logical::new(Arc::clone(&instance), &adapter)?);
    let live = Live {
        submitter: Submitter::new(Arc::clone(&logical))?,
        pipelines: Pipelines::new(Arc::clone(&logical)),
        staging: Staging::new(Arc::clone(&logical), Staging::WORDS)?,
        pinned: None,
        tables: Tables::new(Arc::clone(&logical)),
        buffers: Vec::new(),
        logical,
    };
    Ok(Vulkan { info, live: Some(live), instance })
}

/// A Vulkan device that is open.
pub struct Vulkan {
    info: DeviceInfo,
    /// Absent after a hang or a loss.
    live: Option<Live>,
    /// Outlives `live`, so that messages can be read after a loss.
    instance: Arc<Instance>,
}

/// Fields in the order of destruction.
struct Live {
    submitter: Submitter,
    pipelines: Pipelines,
    staging: Staging,
    /// For transfers that are measured; as large as the largest so far.
    pinned: Option<Staging>,
    tables: Tables,
    buffers: Vec<Option<Memory>>,
    logical: Arc<Logical>,
}

impl std::fmt::Debug for Vulkan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Vulkan").field("info", &self.info).field("live", &self.live.is_some()).finish()
    }
}

impl Vulkan {
    /// Messages of the validation layer so far; empty where it is off.
    pub fn validation_messages(&self) -> Vec<String> {
        self.instance.messages()
    }

    /// Closes the device; all messages of the validation layer, those about what was left behind included.
    pub fn close(mut self) -> Vec<String> {
        drop(self.live.take());
        self.validation_messages()
    }

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
    /// Takes the buffer for measured transfers, a larger one where it is too small; whoever takes it puts it back.
    fn pinned(&mut self, bytes: u64) -> Result<Staging, DeviceError> {
        let words = usize::try_from(bytes / 4).unwrap_or(usize::MAX);
        match self.pinned.take().filter(|pinned| pinned.words() >= words) {
            Some(pinned) => Ok(pinned),
            None => Staging::new(Arc::clone(&self.logical), words),
        }
    }

    fn memory(&self, buffer: Buffer) -> &Memory {
        let Some(memory) = self.buffers.get(buffer.0).and_then(Option::as_ref) else {
            panic!("buffer {} was given back or never was", buffer.0)
        };
        memory
    }

    /// Pipeline and buffers of a dispatch; the addresses of its table are written.
    fn bind(&mut self, dispatch: &Dispatch<'_>, deadline: Duration) -> Result<Bound, DeviceError> {
        let pipeline = self.pipelines.get(dispatch.kernel, &dispatch.params)?;
        let (bound, table) = dispatch.buffers.split_at(dispatch.kernel.bindings as usize);
        let mut buffers: Vec<vk::Buffer> = bound.iter().map(|buffer| self.memory(*buffer).raw()).collect();
        if dispatch.kernel.table {
            let addresses = table.iter().map(|buffer| self.memory(*buffer).address()).collect();
            buffers.push(self.tables.show(&self.submitter, addresses, deadline)?);
        }
        let Dispatch { params, workgroups, repeat, .. } = *dispatch;
        Ok(Bound { pipeline, buffers, params, workgroups, repeat })
    }
}

impl Device for Vulkan {
    fn info(&self) -> &DeviceInfo {
        &self.info
    }

    fn allocate(&mut self, bytes: Bytes) -> Result<Buffer, DeviceError> {
        // Some drivers promise more memory than there is; the first use would then end the process.
        if bytes > self.info.memory_bytes {
            return Err(DeviceError::OutOfMemory { doing: "allocating a buffer", bytes });
        }
        self.guarded(|live| {
            let memory = Memory::on_device(Arc::clone(&live.logical), bytes)?;
            live.submitter.zero(&memory, ZERO_DEADLINE)?;
            live.buffers.push(Some(memory));
            Ok(Buffer(live.buffers.len() - 1))
        })
    }

    fn free(&mut self, buffer: Buffer) {
        if let Some(live) = &mut self.live {
            live.memory(buffer);
            live.buffers[buffer.0] = None;
        }
    }

    fn upload(
        &mut self,
        buffer: Buffer,
        first: u64,
        words: &[u32],
        deadline: Duration,
    ) -> Result<(), DeviceError> {
        self.guarded(|live| {
            let mut at = first;
            for part in words.chunks(Staging::WORDS) {
                live.staging.write(part);
                let target = Place { memory: live.memory(buffer), byte: at * 4 };
                live.submitter.copy(live.staging.start(), target, part.len() as u64 * 4, 1, deadline)?;
                at += part.len() as u64;
            }
            Ok(())
        })
    }

    fn read_back(
        &mut self,
        buffer: Buffer,
        first: u64,
        words: &mut [u32],
        deadline: Duration,
    ) -> Result<(), DeviceError> {
        self.guarded(|live| {
            let mut at = first;
            for part in words.chunks_mut(Staging::WORDS) {
                let source = Place { memory: live.memory(buffer), byte: at * 4 };
                live.submitter.copy(source, live.staging.start(), part.len() as u64 * 4, 1, deadline)?;
                live.staging.read(part);
                at += part.len() as u64;
            }
            Ok(())
        })
    }

    fn transfer(
        &mut self,
        buffer: Buffer,
        transfer: Transfer<'_>,
        repeat: u32,
        deadline: Duration,
    ) -> Result<Elapsed, DeviceError> {
        self.guarded(|live| {
            let Bytes(bytes) = transfer.bytes();
            let mut pinned = live.pinned(bytes)?;
            let place = Place { memory: live.memory(buffer), byte: 0 };
            let elapsed = match transfer {
                Transfer::ToDevice(words) => {
                    pinned.write(words);
                    live.submitter.copy(pinned.start(), place, bytes, repeat, deadline)?
                }
                Transfer::ToHost(words) => {
                    let elapsed = live.submitter.copy(place, pinned.start(), bytes, repeat, deadline)?;
                    pinned.read(words);
                    elapsed
                }
            };
            live.pinned = Some(pinned);
            Ok(elapsed)
        })
    }

    fn dispatch(&mut self, dispatch: &Dispatch<'_>, deadline: Duration) -> Result<Elapsed, DeviceError> {
        self.dispatch_together(std::slice::from_ref(dispatch), deadline)
    }

    fn dispatch_together(
        &mut self,
        dispatches: &[Dispatch<'_>],
        deadline: Duration,
    ) -> Result<Elapsed, DeviceError> {
        self.guarded(|live| {
            let bound: Result<Vec<_>, _> =
                dispatches.iter().map(|dispatch| live.bind(dispatch, deadline)).collect();
            live.submitter.dispatch(&bound?, deadline)
        })
    }
}

/// Zeroing a buffer is one fill at memory speed; 512 MiB take far less on any device that works.
const ZERO_DEADLINE: Duration = Duration::from_secs(30);

/// Turns a Vulkan result into an error of this layer.
fn failed(doing: &'static str) -> impl FnOnce(vk::Result) -> DeviceError {
    move |result| match result {
        vk::Result::ERROR_DEVICE_LOST => DeviceError::Lost { doing },
        vk::Result::ERROR_OUT_OF_DEVICE_MEMORY | vk::Result::ERROR_OUT_OF_HOST_MEMORY => {
            DeviceError::OutOfMemory { doing, bytes: Bytes(0) }
        }
        other => DeviceError::Driver { doing, message: format!("{other:?}") },
    }
}
