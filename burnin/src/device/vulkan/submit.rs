//! One command buffer, one fence, one set of descriptors: record, submit, wait with a deadline.

use std::sync::Arc;
use std::time::Duration;

use ash::vk;
use kernels::Params;

use super::failed;
use super::logical::Logical;
use super::memory::Memory;
use super::pipeline::Pipeline;
use crate::clock::{Clock, MonotonicClock};
use crate::device::{DeviceError, Elapsed};

/// Most storage buffers of a kernel.
const BINDINGS_MAX: u32 = 6;
/// Most sets of descriptors in use at once: one for each kernel of a submission.
const SETS_MAX: u32 = 4;

/// A place in a buffer.
#[derive(Clone, Copy)]
pub(super) struct Place<'a> {
    pub(super) memory: &'a Memory,
    pub(super) byte: u64,
}

impl Place<'_> {
    fn assert_holds(&self, bytes: u64) {
        assert!(
            self.byte + bytes <= self.memory.bytes().0,
            "{bytes} bytes from {} on leave the buffer",
            self.byte
        );
    }
}

/// A dispatch with what it needs on this device.
pub(super) struct Bound {
    pub(super) pipeline: Arc<Pipeline>,
    pub(super) buffers: Vec<vk::Buffer>,
    pub(super) params: Params,
    pub(super) workgroups: u32,
    pub(super) repeat: u32,
}

/// Owns what a submission needs; one submission at a time.
pub(super) struct Submitter {
    pool: vk::CommandPool,
    commands: vk::CommandBuffer,
    fence: vk::Fence,
    queries: vk::QueryPool,
    descriptors: vk::DescriptorPool,
    clock: MonotonicClock,
    logical: Arc<Logical>,
}

impl Submitter {
    pub(super) fn new(logical: Arc<Logical>) -> Result<Self, DeviceError> {
        let mut this = Self {
            pool: vk::CommandPool::null(),
            commands: vk::CommandBuffer::null(),
            fence: vk::Fence::null(),
            queries: vk::QueryPool::null(),
            descriptors: vk::DescriptorPool::null(),
            clock: MonotonicClock::start(),
            logical,
        };
        let device = this.logical.raw();
        let create = vk::CommandPoolCreateInfo::default().queue_family_index(this.logical.family());
        // SAFETY: the device is alive and has this family.
        this.pool = unsafe { device.create_command_pool(&create, None) }
            .map_err(failed("creating a command pool"))?;
        let allocate =
            vk::CommandBufferAllocateInfo::default().command_pool(this.pool).command_buffer_count(1);
        // SAFETY: the pool is of this device; one buffer is asked for, so one is there.
        this.commands = unsafe { device.allocate_command_buffers(&allocate) }
            .map_err(failed("allocating a command buffer"))?
            .first()
            .copied()
            .unwrap_or_default();
        // SAFETY: the device is alive.
        this.fence = unsafe { device.create_fence(&vk::FenceCreateInfo::default(), None) }
            .map_err(failed("creating a fence"))?;
        let create = vk::QueryPoolCreateInfo::default().query_type(vk::QueryType::TIMESTAMP).query_count(2);
        // SAFETY: the device is alive.
        this.queries =
            unsafe { device.create_query_pool(&create, None) }.map_err(failed("creating a query pool"))?;
        let sizes = [vk::DescriptorPoolSize::default()
            .ty(vk::DescriptorType::STORAGE_BUFFER)
            .descriptor_count(BINDINGS_MAX * SETS_MAX)];
        let create = vk::DescriptorPoolCreateInfo::default().max_sets(SETS_MAX).pool_sizes(&sizes);
        // SAFETY: the device is alive; `create` and `sizes` live through the call.
        this.descriptors = unsafe { device.create_descriptor_pool(&create, None) }
            .map_err(failed("creating a descriptor pool"))?;
        Ok(this)
    }

    /// Fills a buffer with zeros.
    pub(super) fn zero(&self, memory: &Memory, deadline: Duration) -> Result<(), DeviceError> {
        let (buffer, bytes) = (memory.raw(), memory.bytes().0);
        self.run("zeroing a buffer", deadline, |device, commands| {
            // SAFETY: `commands` is recording; the buffer is of this device, a whole number of words, not in use.
            unsafe { device.cmd_fill_buffer(commands, buffer, 0, bytes, 0) };
        })
        .map(|_| ())
    }

    /// Writes at most 64 KiB, a whole number of words, to the start of a buffer.
    pub(super) fn update(
        &self,
        memory: &Memory,
        bytes: &[u8],
        deadline: Duration,
    ) -> Result<(), DeviceError> {
        assert!(
            bytes.len() <= 1 << 16 && bytes.len().is_multiple_of(4) && bytes.len() as u64 <= memory.bytes().0
        );
        let buffer = memory.raw();
        self.run("writing a buffer", deadline, |device, commands| {
            // SAFETY: `commands` is recording; the bytes fit the buffer and the command (asserted above).
            unsafe { device.cmd_update_buffer(commands, buffer, 0, bytes) };
        })
        .map(|_| ())
    }

    /// Copies `bytes` from one buffer to another, `repeat` times in a row.
    #[expect(
        clippy::too_many_arguments,
        reason = "from where, to where, how much, how often, and how long at most"
    )]
    pub(super) fn copy(
        &self,
        source: Place<'_>,
        target: Place<'_>,
        bytes: u64,
        repeat: u32,
        deadline: Duration,
    ) -> Result<Elapsed, DeviceError> {
        source.assert_holds(bytes);
        target.assert_holds(bytes);
        let region = [vk::BufferCopy { src_offset: source.byte, dst_offset: target.byte, size: bytes }];
        let (source, target) = (source.memory.raw(), target.memory.raw());
        self.run("copying a buffer", deadline, |device, commands| {
            for n in 0..repeat {
                if n > 0 {
                    barrier(device, commands, vk::PipelineStageFlags::TRANSFER);
                }
                // SAFETY: `commands` is recording; the regions lie within both buffers (asserted above) and do not overlap: the buffers differ.
                unsafe { device.cmd_copy_buffer(commands, source, target, &region) };
            }
        })
    }

    /// Most kernels of one submission.
    pub(super) const TOGETHER_MAX: usize = SETS_MAX as usize;

    /// Runs kernels in rounds: those of one round wait for what the round before wrote, not for each other.
    ///
    /// # Panics
    /// If there are more than [`Self::TOGETHER_MAX`].
    pub(super) fn dispatch(&self, dispatches: &[Bound], deadline: Duration) -> Result<Elapsed, DeviceError> {
        assert!(dispatches.len() <= Self::TOGETHER_MAX, "{} kernels are too many at once", dispatches.len());
        let device = self.logical.raw();
        // SAFETY: the pool is of this device and no submission that uses its sets is under way.
        unsafe { device.reset_descriptor_pool(self.descriptors, vk::DescriptorPoolResetFlags::empty()) }
            .map_err(failed("resetting the descriptor pool"))?;
        let sets: Result<Vec<_>, _> =
            dispatches.iter().map(|bound| self.bind(&bound.pipeline, &bound.buffers)).collect();
        let dispatches: Vec<_> = dispatches.iter().zip(sets?).collect();
        let rounds = dispatches.iter().map(|(bound, _)| bound.repeat).max().unwrap_or(0);
        self.run("running a kernel", deadline, |device, commands| {
            for round in 0..rounds {
                if round > 0 {
                    barrier(device, commands, vk::PipelineStageFlags::COMPUTE_SHADER);
                }
                for (bound, set) in dispatches.iter().filter(|(bound, _)| round < bound.repeat) {
                    // What is bound stays so through the rounds of a kernel that is alone.
                    if round == 0 || dispatches.len() > 1 {
                        bound.record(device, commands, *set);
                    }
                    // SAFETY: recording; everything is bound; the number of workgroups is below the least limit that
                    // Vulkan allows.
                    unsafe { device.cmd_dispatch(commands, bound.workgroups, 1, 1) };
                }
            }
        })
    }

    /// A set of descriptors that shows these buffers.
    fn bind(&self, pipeline: &Pipeline, buffers: &[vk::Buffer]) -> Result<vk::DescriptorSet, DeviceError> {
        let device = self.logical.raw();
        let layouts = [pipeline.set_layout()];
        let allocate =
            vk::DescriptorSetAllocateInfo::default().descriptor_pool(self.descriptors).set_layouts(&layouts);
        // SAFETY: pool and layout are of this device; the pool has room for TOGETHER_MAX of them.
        let sets = unsafe { device.allocate_descriptor_sets(&allocate) }
            .map_err(failed("allocating descriptors"))?;
        let set = sets.first().copied().unwrap_or_default();
        let infos: Vec<_> = buffers
            .iter()
            .map(|buffer| [vk::DescriptorBufferInfo::default().buffer(*buffer).range(vk::WHOLE_SIZE)])
            .collect();
        let writes: Vec<_> = (0u32..)
            .zip(&infos)
            .map(|(binding, info)| {
                vk::WriteDescriptorSet::default()
                    .dst_set(set)
                    .dst_binding(binding)
                    .descriptor_type(vk::DescriptorType::STORAGE_BUFFER)
                    .buffer_info(info)
            })
            .collect();
        // SAFETY: the set is not in use; buffers are of this device; `writes` lives through the call.
        unsafe { device.update_descriptor_sets(&writes, &[]) };
        Ok(set)
    }

    /// Records, submits and waits; the time between two timestamps around what was recorded, and the host's.
    fn run(
        &self,
        doing: &'static str,
        deadline: Duration,
        record: impl FnOnce(&ash::Device, vk::CommandBuffer),
    ) -> Result<Elapsed, DeviceError> {
        let device = self.logical.raw();
        // SAFETY: no command buffer of the pool is under way: every submission is waited for.
        unsafe { device.reset_command_pool(self.pool, vk::CommandPoolResetFlags::empty()) }
            .map_err(failed(doing))?;
        let begin = vk::CommandBufferBeginInfo::default().flags(vk::CommandBufferUsageFlags::ONE_TIME_SUBMIT);
        // SAFETY: the command buffer was just reset.
        unsafe { device.begin_command_buffer(self.commands, &begin) }.map_err(failed(doing))?;
        let timed = self.logical.nanoseconds(0, 0).is_some();
        if timed {
            // SAFETY: recording, outside a render pass; the pool has two queries.
            unsafe { device.cmd_reset_query_pool(self.commands, self.queries, 0, 2) };
            // SAFETY: as above; the family has timestamps.
            unsafe {
                device.cmd_write_timestamp(
                    self.commands,
                    vk::PipelineStageFlags::TOP_OF_PIPE,
                    self.queries,
                    0,
                )
            };
        }
        record(device, self.commands);
        if timed {
            // SAFETY: as above.
            unsafe {
                device.cmd_write_timestamp(
                    self.commands,
                    vk::PipelineStageFlags::BOTTOM_OF_PIPE,
                    self.queries,
                    1,
                );
            };
        }
        barrier(device, self.commands, vk::PipelineStageFlags::HOST);
        // SAFETY: recording was begun above.
        unsafe { device.end_command_buffer(self.commands) }.map_err(failed(doing))?;
        let host = self.submit(doing, deadline)?;
        let device_time = if timed { self.device_time(doing)? } else { None };
        Ok(Elapsed { device: device_time, host })
    }

    fn submit(&self, doing: &'static str, deadline: Duration) -> Result<Duration, DeviceError> {
        let device = self.logical.raw();
        let fences = [self.fence];
        // SAFETY: the fence is not in use.
        unsafe { device.reset_fences(&fences) }.map_err(failed(doing))?;
        let commands = [self.commands];
        let submits = [vk::SubmitInfo::default().command_buffers(&commands)];
        let start = self.clock.now();
        // SAFETY: the queue is used by this owner alone; commands and fence are of this device and not in use.
        unsafe { device.queue_submit(self.logical.queue(), &submits, self.fence) }.map_err(failed(doing))?;
        let nanoseconds = u64::try_from(deadline.as_nanos()).unwrap_or(u64::MAX);
        // SAFETY: the fence is of this device and was submitted.
        match unsafe { device.wait_for_fences(&fences, true, nanoseconds) } {
            Ok(()) => Ok(self.clock.now() - start),
            Err(vk::Result::TIMEOUT) => {
                Err(DeviceError::TimedOut { doing, deadline_ms: deadline.as_millis() })
            }
            Err(other) => Err(failed(doing)(other)),
        }
    }

    fn device_time(&self, doing: &'static str) -> Result<Option<Duration>, DeviceError> {
        let mut ticks = [0u64; 2];
        // SAFETY: both queries were written by the submission that has completed; 64-bit results fit `ticks`.
        unsafe {
            self.logical.raw().get_query_pool_results(
                self.queries,
                0,
                &mut ticks,
                vk::QueryResultFlags::TYPE_64,
            )
        }
        .map_err(failed(doing))?;
        let nanoseconds = self.logical.nanoseconds(ticks[0], ticks[1]);
        Ok(nanoseconds.map(|ns| Duration::from_secs_f64(ns * 1e-9)))
    }
}

/// What was written before is seen by what comes after: copies and kernels, also those of the next submission (the fence
/// between makes writes available, not visible), and the host where it is named.
fn barrier(device: &ash::Device, commands: vk::CommandBuffer, after: vk::PipelineStageFlags) {
    let all = vk::AccessFlags::MEMORY_READ | vk::AccessFlags::MEMORY_WRITE;
    let barrier =
        [vk::MemoryBarrier::default().src_access_mask(vk::AccessFlags::MEMORY_WRITE).dst_access_mask(all)];
    let before = vk::PipelineStageFlags::COMPUTE_SHADER | vk::PipelineStageFlags::TRANSFER;
    let after = after | before;
    // SAFETY: `commands` is recording, outside a render pass; the stages are ones of compute and transfer queues.
    unsafe {
        device.cmd_pipeline_barrier(commands, before, after, vk::DependencyFlags::empty(), &barrier, &[], &[])
    };
}

impl Bound {
    /// Binds pipeline, buffers and parameters.
    fn record(&self, device: &ash::Device, commands: vk::CommandBuffer, set: vk::DescriptorSet) {
        let (raw, layout) = (self.pipeline.raw(), self.pipeline.layout());
        // SAFETY: `commands` is recording; pipeline, layout and set are of this device and fit the kernel.
        unsafe { device.cmd_bind_pipeline(commands, vk::PipelineBindPoint::COMPUTE, raw) };
        let point = vk::PipelineBindPoint::COMPUTE;
        // SAFETY: as above.
        unsafe { device.cmd_bind_descriptor_sets(commands, point, layout, 0, &[set], &[]) };
        let bytes = bytemuck::cast_slice(&self.params);
        // SAFETY: the range is the one of the layout.
        unsafe { device.cmd_push_constants(commands, layout, vk::ShaderStageFlags::COMPUTE, 0, bytes) };
    }
}

impl Drop for Submitter {
    fn drop(&mut self) {
        let device = self.logical.raw();
        // SAFETY: of this device, not in use (every submission is waited for), destroyed once; null is allowed.
        unsafe { device.destroy_descriptor_pool(self.descriptors, None) };
        // SAFETY: as above.
        unsafe { device.destroy_query_pool(self.queries, None) };
        // SAFETY: as above.
        unsafe { device.destroy_fence(self.fence, None) };
        // SAFETY: as above; its command buffer goes with it.
        unsafe { device.destroy_command_pool(self.pool, None) };
    }
}
