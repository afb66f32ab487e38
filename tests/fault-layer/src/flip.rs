//! The layer's own work on the device: a bit of memory changed, and memory filled to pass the time.

use ash::vk;
use ash::vk::Handle as _;

use crate::device::{Device, Span, held};

const WORD: u64 = 4;
const MIB: u64 = 1 << 20;

/// What happens to a word.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Change {
    /// These bits are turned over.
    Flip(u32),
    /// These bits are set.
    Set(u32),
}

/// A buffer of the layer's own, with its memory.
pub(crate) struct Scratch {
    buffer: vk::Buffer,
    memory: vk::DeviceMemory,
    bytes: u64,
}

impl Scratch {
    fn new(known: &Device, bytes: u64, flags: vk::MemoryPropertyFlags) -> Result<Self, vk::Result> {
        let info = vk::BufferCreateInfo::default()
            .size(bytes)
            .usage(vk::BufferUsageFlags::TRANSFER_SRC | vk::BufferUsageFlags::TRANSFER_DST);
        // SAFETY: the device is alive; `info` lives through the call.
        let buffer = unsafe { known.raw.create_buffer(&info, None) }?;
        let mut scratch = Self { buffer, memory: vk::DeviceMemory::null(), bytes };
        let filled = scratch.back(known, flags);
        match filled {
            Ok(()) => Ok(scratch),
            Err(error) => {
                scratch.destroy(known);
                Err(error)
            }
        }
    }

    fn back(&mut self, known: &Device, flags: vk::MemoryPropertyFlags) -> Result<(), vk::Result> {
        // SAFETY: the buffer is of this device.
        let needs = unsafe { known.raw.get_buffer_memory_requirements(self.buffer) };
        let kinds = &known.memory.memory_types[..known.memory.memory_type_count as usize];
        let kind = (0u32..)
            .zip(kinds)
            .find(|(n, kind)| needs.memory_type_bits & (1 << n) != 0 && kind.property_flags.contains(flags))
            .ok_or(vk::Result::ERROR_FEATURE_NOT_PRESENT)?;
        let info = vk::MemoryAllocateInfo::default().allocation_size(needs.size).memory_type_index(kind.0);
        // SAFETY: the device is alive; the type is one of its own.
        self.memory = unsafe { known.raw.allocate_memory(&info, None) }?;
        // SAFETY: buffer and memory are of this device, neither is bound yet, and the size fits.
        unsafe { known.raw.bind_buffer_memory(self.buffer, self.memory, 0) }
    }

    pub(crate) fn destroy(self, known: &Device) {
        // SAFETY: of this device, destroyed once; no work uses it: what did was waited for.
        unsafe { known.raw.destroy_buffer(self.buffer, None) };
        // SAFETY: as above; null where the allocation failed, which is allowed.
        unsafe { known.raw.free_memory(self.memory, None) };
    }
}

/// Changes one word of `span`, at this share of its words, once everything on the queue is done.
pub(crate) fn change(
    known: &Device,
    queue: vk::Queue,
    span: Span,
    place: f64,
    change: Change,
) -> Result<(), vk::Result> {
    let words = span.bytes / WORD;
    if words == 0 {
        return Ok(());
    }
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        clippy::cast_precision_loss,
        reason = "a share below 1 of a number of words: any word near it will do"
    )]
    let word = ((words as f64 * place) as u64).min(words - 1);
    let offset = span.from + word * WORD;
    // SAFETY: the queue is of this device; the program does not submit beside us, since it waits for this call.
    unsafe { known.raw.queue_wait_idle(queue) }?;
    let flags = vk::MemoryPropertyFlags::HOST_VISIBLE | vk::MemoryPropertyFlags::HOST_COHERENT;
    let scratch = Scratch::new(known, WORD, flags)?;
    let changed = by_way_of(known, queue, &scratch, Span { from: offset, bytes: WORD, ..span }, change);
    scratch.destroy(known);
    changed
}

fn by_way_of(
    known: &Device,
    queue: vk::Queue,
    scratch: &Scratch,
    word: Span,
    change: Change,
) -> Result<(), vk::Result> {
    let out = vk::BufferCopy { src_offset: word.from, dst_offset: 0, size: WORD };
    let back = vk::BufferCopy { src_offset: 0, dst_offset: word.from, size: WORD };
    run(known, queue, |commands| {
        // SAFETY: recording; both buffers are of this device and hold the word.
        unsafe { known.raw.cmd_copy_buffer(commands, word.buffer, scratch.buffer, &[out]) };
    })?;
    let whole = vk::WHOLE_SIZE;
    // SAFETY: host-visible memory of this device that is not mapped.
    let mapped = unsafe { known.raw.map_memory(scratch.memory, 0, whole, vk::MemoryMapFlags::empty()) }?;
    let mapped = mapped.cast::<u32>();
    // SAFETY: the mapping holds one word and is aligned; the device is idle and the memory coherent.
    let before = unsafe { mapped.read_volatile() };
    let after = match change {
        Change::Flip(bits) => before ^ bits,
        Change::Set(bits) => before | bits,
    };
    // SAFETY: as above.
    unsafe { mapped.write_volatile(after) };
    // SAFETY: mapped above.
    unsafe { known.raw.unmap_memory(scratch.memory) };
    run(known, queue, |commands| {
        // SAFETY: recording; both buffers are of this device and hold the word.
        unsafe { known.raw.cmd_copy_buffer(commands, scratch.buffer, word.buffer, &[back]) };
    })
}

/// Records, submits and waits.
fn run(known: &Device, queue: vk::Queue, record: impl FnOnce(vk::CommandBuffer)) -> Result<(), vk::Result> {
    let family = held(&known.families).get(&queue).copied().ok_or(vk::Result::ERROR_UNKNOWN)?;
    let info = vk::CommandPoolCreateInfo::default().queue_family_index(family);
    // SAFETY: the device is alive and has this family.
    let pool = unsafe { known.raw.create_command_pool(&info, None) }?;
    let ran = run_in(known, queue, pool, record);
    // SAFETY: of this device; its one command buffer is done, or the device is lost.
    unsafe { known.raw.destroy_command_pool(pool, None) };
    ran
}

fn run_in(
    known: &Device,
    queue: vk::Queue,
    pool: vk::CommandPool,
    record: impl FnOnce(vk::CommandBuffer),
) -> Result<(), vk::Result> {
    let info = vk::CommandBufferAllocateInfo::default().command_pool(pool).command_buffer_count(1);
    // SAFETY: the pool is of this device.
    let all = unsafe { known.raw.allocate_command_buffers(&info) }?;
    let commands = all.first().copied().ok_or(vk::Result::ERROR_UNKNOWN)?;
    if let Some(set) = known.set_loader_data {
        let object = std::ptr::with_exposed_provenance_mut(usize::try_from(commands.as_raw()).unwrap_or(0));
        // SAFETY: the loader's function, on a command buffer that was just made on this device.
        unsafe { set(known.raw.handle(), object) }.result()?;
    }
    let begin = vk::CommandBufferBeginInfo::default().flags(vk::CommandBufferUsageFlags::ONE_TIME_SUBMIT);
    // SAFETY: a fresh command buffer.
    unsafe { known.raw.begin_command_buffer(commands, &begin) }?;
    record(commands);
    // SAFETY: it is recording.
    unsafe { known.raw.end_command_buffer(commands) }?;
    let buffers = [commands];
    let submit = vk::SubmitInfo::default().command_buffers(&buffers);
    // SAFETY: the queue is of this device; the program waits for this call and submits nothing beside it.
    unsafe { known.raw.queue_submit(queue, &[submit], vk::Fence::null()) }?;
    // SAFETY: as above.
    unsafe { known.raw.queue_wait_idle(queue) }
}

/// Records work that only takes time: so much memory filled, with what is before it done and what is after it waiting.
pub(crate) fn dawdle(known: &Device, commands: vk::CommandBuffer, mib: u64) {
    let mut scratch = held(&known.scratch);
    if scratch.is_none() {
        let made = Scratch::new(known, 64 * MIB, vk::MemoryPropertyFlags::DEVICE_LOCAL);
        assert!(made.is_ok(), "memory to pass the time with: {:?}", made.err());
        *scratch = made.ok();
    }
    let Some(scratch) = scratch.as_ref() else { return };
    let mut left = mib * MIB;
    while left > 0 {
        barrier(known, commands);
        let bytes = left.min(scratch.bytes);
        // SAFETY: recording, outside of a render pass; the buffer holds this many bytes, whole words.
        unsafe { known.raw.cmd_fill_buffer(commands, scratch.buffer, 0, bytes, 0x5a5a_5a5a) };
        left -= bytes;
    }
    barrier(known, commands);
}

fn barrier(known: &Device, commands: vk::CommandBuffer) {
    let all = vk::PipelineStageFlags::ALL_COMMANDS;
    let memory = vk::MemoryBarrier::default()
        .src_access_mask(vk::AccessFlags::MEMORY_WRITE)
        .dst_access_mask(vk::AccessFlags::MEMORY_READ | vk::AccessFlags::MEMORY_WRITE);
    // SAFETY: recording.
    unsafe {
        known.raw.cmd_pipeline_barrier(commands, all, all, vk::DependencyFlags::empty(), &[memory], &[], &[]);
    }
}
