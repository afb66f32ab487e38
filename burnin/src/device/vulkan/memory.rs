//! Buffers with memory of their own, and the staging buffer through which the host reaches device memory.

use std::sync::Arc;
use std::time::Duration;

use ash::vk;
use report::Bytes;

use super::failed;
use super::logical::Logical;
use super::submit::{Place, Submitter};
use crate::device::DeviceError;

/// Owns a buffer and its memory.
pub(super) struct Memory {
    raw: vk::Buffer,
    memory: vk::DeviceMemory,
    bytes: Bytes,
    logical: Arc<Logical>,
}

impl Memory {
    /// A storage buffer in device-local memory.
    pub(super) fn on_device(logical: Arc<Logical>, bytes: Bytes) -> Result<Self, DeviceError> {
        Self::new(logical, bytes, &[vk::MemoryPropertyFlags::DEVICE_LOCAL])
    }

    /// A buffer in memory that has one of the sets of flags, the first that there is.
    fn new(
        logical: Arc<Logical>,
        bytes: Bytes,
        wishes: &[vk::MemoryPropertyFlags],
    ) -> Result<Self, DeviceError> {
        // `vkCmdFillBuffer` works on whole words; round up.
        let bytes = Bytes(bytes.0.max(4).next_multiple_of(4));
        let mut usage = vk::BufferUsageFlags::STORAGE_BUFFER
            | vk::BufferUsageFlags::TRANSFER_SRC
            | vk::BufferUsageFlags::TRANSFER_DST;
        let mut flags = vk::MemoryAllocateFlagsInfo::default();
        if logical.addresses() {
            usage |= vk::BufferUsageFlags::SHADER_DEVICE_ADDRESS;
            flags = flags.flags(vk::MemoryAllocateFlags::DEVICE_ADDRESS);
        }
        let create = vk::BufferCreateInfo::default()
            .size(bytes.0)
            .usage(usage)
            .sharing_mode(vk::SharingMode::EXCLUSIVE);
        // SAFETY: the device is alive; `create` lives through the call.
        let raw = unsafe { logical.raw().create_buffer(&create, None) }.map_err(out_of(bytes))?;
        let mut buffer = Self { raw, memory: vk::DeviceMemory::null(), bytes, logical };
        // SAFETY: the buffer is of this device.
        let needs = unsafe { buffer.logical.raw().get_buffer_memory_requirements(raw) };
        let kind = wishes
            .iter()
            .find_map(|flags| buffer.logical.memory_type(needs.memory_type_bits, *flags))
            .ok_or_else(|| DeviceError::Driver {
                doing: "choosing a memory type",
                message: format!("none of {wishes:?} is offered for a storage buffer"),
            })?;
        let allocate = vk::MemoryAllocateInfo::default()
            .allocation_size(needs.size)
            .memory_type_index(kind)
            .push_next(&mut flags);
        // SAFETY: the device is alive; the type is one of its own.
        buffer.memory =
            unsafe { buffer.logical.raw().allocate_memory(&allocate, None) }.map_err(out_of(bytes))?;
        // SAFETY: buffer and memory are of this device, neither is bound yet, the size fits by the allocation above.
        unsafe { buffer.logical.raw().bind_buffer_memory(raw, buffer.memory, 0) }.map_err(out_of(bytes))?;
        Ok(buffer)
    }

    /// Its address on the device.
    ///
    /// # Panics
    /// If the device offers none: a check that asks for a table is not run there.
    pub(super) fn address(&self) -> vk::DeviceAddress {
        assert!(self.logical.addresses(), "the device offers no buffer addresses");
        let info = vk::BufferDeviceAddressInfo::default().buffer(self.raw);
        // SAFETY: the buffer has memory and was made for this use, since the feature is on (asserted above).
        unsafe { self.logical.raw().get_buffer_device_address(&info) }
    }

    pub(super) fn raw(&self) -> vk::Buffer {
        self.raw
    }

    pub(super) fn bytes(&self) -> Bytes {
        self.bytes
    }
}

impl Drop for Memory {
    fn drop(&mut self) {
        // SAFETY: of this device, not in use (every submission is waited for), destroyed once.
        unsafe { self.logical.raw().destroy_buffer(self.raw, None) };
        // SAFETY: as above; null where the allocation failed, which is allowed.
        unsafe { self.logical.raw().free_memory(self.memory, None) };
    }
}

fn out_of(bytes: Bytes) -> impl FnOnce(vk::Result) -> DeviceError {
    move |result| match failed("allocating a buffer")(result) {
        DeviceError::OutOfMemory { doing, .. } => DeviceError::OutOfMemory { doing, bytes },
        other => other,
    }
}

/// Memory that host and device both reach, mapped as long as it lives.
pub(super) struct Staging {
    memory: Memory,
    mapped: *mut u32,
    words: usize,
}

impl Staging {
    /// Size in words of the one that every device has: 16 MiB in bytes.
    pub(super) const WORDS: usize = 4 << 20;

    /// One of so many words.
    pub(super) fn new(logical: Arc<Logical>, words: usize) -> Result<Self, DeviceError> {
        let coherent = vk::MemoryPropertyFlags::HOST_VISIBLE | vk::MemoryPropertyFlags::HOST_COHERENT;
        // Cached memory first: uncached host reads are an order of magnitude slower.
        let wishes = [coherent | vk::MemoryPropertyFlags::HOST_CACHED, coherent];
        let memory = Memory::new(logical, Bytes(words as u64 * 4), &wishes)?;
        // SAFETY: the memory is host-visible, of this device and not mapped; the whole of it is mapped.
        let mapped = unsafe {
            memory.logical.raw().map_memory(memory.memory, 0, vk::WHOLE_SIZE, vk::MemoryMapFlags::empty())
        }
        .map_err(failed("mapping the staging buffer"))?;
        Ok(Self { memory, mapped: mapped.cast(), words })
    }

    /// Its size in words.
    pub(super) fn words(&self) -> usize {
        self.words
    }

    /// Its first byte, for copies.
    pub(super) fn start(&self) -> Place<'_> {
        Place { memory: &self.memory, byte: 0 }
    }

    /// Puts words at the start.
    ///
    /// # Panics
    /// If there are more than [`Self::words`].
    pub(super) fn write(&mut self, words: &[u32]) {
        assert!(words.len() <= self.words, "{} words do not fit the staging buffer", words.len());
        // SAFETY: the mapping has `self.words` words and is aligned to 64 bytes at least (minMemoryMapAlignment); the device
        // does not use it, since every submission is waited for; the memory is coherent, so no flush is needed.
        unsafe { std::ptr::copy_nonoverlapping(words.as_ptr(), self.mapped, words.len()) };
    }

    /// Takes words from the start.
    ///
    /// # Panics
    /// If more than [`Self::words`] are asked for.
    pub(super) fn read(&self, words: &mut [u32]) {
        assert!(words.len() <= self.words, "{} words are more than the staging buffer has", words.len());
        // SAFETY: as in `write`; `words` is borrowed exclusively and does not overlap the mapping.
        unsafe { std::ptr::copy_nonoverlapping(self.mapped, words.as_mut_ptr(), words.len()) };
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        // SAFETY: the memory was mapped in `new` and is unmapped once, before it is freed.
        unsafe { self.memory.logical.raw().unmap_memory(self.memory.memory) };
    }
}

/// The addresses of buffers that kernels reach without a binding, in buffers of their own.
pub(super) struct Tables {
    /// The last ones, the newest at the end.
    shown: Vec<(Vec<vk::DeviceAddress>, Memory)>,
    logical: Arc<Logical>,
}

impl Tables {
    /// How many are kept: as many as kernels that may run together.
    const KEPT: usize = Submitter::TOGETHER_MAX;

    pub(super) fn new(logical: Arc<Logical>) -> Self {
        Self { shown: Vec::new(), logical }
    }

    /// A buffer with these addresses, 64 bits each; written only when none of the last ones holds them.
    pub(super) fn show(
        &mut self,
        submitter: &Submitter,
        addresses: Vec<vk::DeviceAddress>,
        deadline: Duration,
    ) -> Result<vk::Buffer, DeviceError> {
        if let Some((_, memory)) = self.shown.iter().find(|(shown, _)| *shown == addresses) {
            return Ok(memory.raw());
        }
        if self.shown.len() == Self::KEPT {
            self.shown.remove(0);
        }
        let bytes: &[u8] = bytemuck::cast_slice(&addresses);
        let memory = Memory::on_device(Arc::clone(&self.logical), Bytes(bytes.len() as u64))?;
        submitter.update(&memory, bytes, deadline)?;
        let raw = memory.raw();
        self.shown.push((addresses, memory));
        Ok(raw)
    }
}
