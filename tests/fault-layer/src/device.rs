//! A device: its memory, its command buffers, and who is next.

use std::collections::HashMap;
use std::ffi::{CStr, c_char, c_void};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use ash::vk;

use crate::armed::Armed;
use crate::chain::{self, SetDeviceLoaderData};
use crate::flip::Scratch;
use crate::instance::INSTANCES;
use crate::plan::{Fault, Kind};
use crate::{Known, hooks, submit};

pub(crate) static DEVICES: Known<Device> = Known::new();

/// Part of a buffer.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Span {
    pub(crate) buffer: vk::Buffer,
    pub(crate) from: u64,
    pub(crate) bytes: u64,
}

/// A device, with the functions of who is next and what the faults need to know of it.
pub(crate) struct Device {
    pub(crate) raw: ash::Device,
    lookup: vk::PFN_vkGetDeviceProcAddr,
    pub(crate) set_loader_data: Option<SetDeviceLoaderData>,
    pub(crate) memory: vk::PhysicalDeviceMemoryProperties,
    pub(crate) ordinal: Option<u32>,
    pub(crate) armed: &'static Armed,
    /// Families of the queues that were handed out.
    pub(crate) families: Mutex<HashMap<vk::Queue, u32>>,
    /// Buffers in the order in which they were made: size, and whether they have memory.
    pub(crate) buffers: Mutex<Vec<(vk::Buffer, u64, bool)>>,
    /// Where the last copy that was recorded in a command buffer goes.
    pub(crate) copies: Mutex<HashMap<vk::CommandBuffer, Span>>,
    pub(crate) scratch: Mutex<Option<Scratch>>,
    /// No fence is signalled any more.
    pub(crate) hung: AtomicBool,
    /// The device is lost.
    pub(crate) lost: AtomicBool,
}

pub(crate) fn held<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Device {
    pub(crate) fn due(&self, at: fn(&Kind) -> bool) -> Vec<(&Fault, u64)> {
        self.armed.due(self.ordinal, at)
    }

    /// The largest buffer that has memory; of several, the one that was made last: what a check works on is made after
    /// what every check shares.
    pub(crate) fn largest(&self) -> Option<Span> {
        let buffers = held(&self.buffers);
        let bound = buffers.iter().filter(|(_, _, bound)| *bound);
        let (buffer, bytes, _) = bound.max_by_key(|(_, bytes, _)| *bytes)?;
        Some(Span { buffer: *buffer, from: 0, bytes: *bytes })
    }

    fn bound(&self, buffer: vk::Buffer) {
        held(&self.buffers).iter_mut().filter(|known| known.0 == buffer).for_each(|known| known.2 = true);
    }
}

hooks! {
    b"vkGetDeviceProcAddr" => lookup as vk::PFN_vkGetDeviceProcAddr,
    b"vkDestroyDevice" => destroy as vk::PFN_vkDestroyDevice,
    b"vkGetDeviceQueue" => queue as vk::PFN_vkGetDeviceQueue,
    b"vkGetDeviceQueue2" => queue2 as vk::PFN_vkGetDeviceQueue2,
    b"vkAllocateMemory" => allocate as vk::PFN_vkAllocateMemory,
    b"vkCreateBuffer" => create_buffer as vk::PFN_vkCreateBuffer,
    b"vkDestroyBuffer" => destroy_buffer as vk::PFN_vkDestroyBuffer,
    b"vkBindBufferMemory" => bind as vk::PFN_vkBindBufferMemory,
    b"vkBindBufferMemory2" => bind2 as vk::PFN_vkBindBufferMemory2,
    b"vkBindBufferMemory2KHR" => bind2 as vk::PFN_vkBindBufferMemory2,
    b"vkBeginCommandBuffer" => submit::begin as vk::PFN_vkBeginCommandBuffer,
    b"vkCmdDispatch" => submit::dispatch as vk::PFN_vkCmdDispatch,
    b"vkCmdCopyBuffer" => submit::copy as vk::PFN_vkCmdCopyBuffer,
    b"vkQueueSubmit" => submit::submit as vk::PFN_vkQueueSubmit,
    b"vkQueueSubmit2" => submit::submit2 as vk::PFN_vkQueueSubmit2,
    b"vkQueueSubmit2KHR" => submit::submit2 as vk::PFN_vkQueueSubmit2,
    b"vkWaitForFences" => submit::wait_fences as vk::PFN_vkWaitForFences,
    b"vkGetFenceStatus" => submit::fence_status as vk::PFN_vkGetFenceStatus,
    b"vkWaitSemaphores" => submit::wait_semaphores as vk::PFN_vkWaitSemaphores,
    b"vkWaitSemaphoresKHR" => submit::wait_semaphores as vk::PFN_vkWaitSemaphores,
    b"vkGetSemaphoreCounterValue" => submit::semaphore_value as vk::PFN_vkGetSemaphoreCounterValue,
    b"vkGetSemaphoreCounterValueKHR" => submit::semaphore_value as vk::PFN_vkGetSemaphoreCounterValue,
    b"vkQueueWaitIdle" => submit::queue_idle as vk::PFN_vkQueueWaitIdle,
    b"vkDeviceWaitIdle" => submit::device_idle as vk::PFN_vkDeviceWaitIdle,
}

/// A function as ash's loading takes it.
pub(crate) fn raw_pointer(function: vk::PFN_vkVoidFunction) -> *const c_void {
    function.map_or(std::ptr::null(), |function| function as *const c_void)
}

/// `vkGetDeviceProcAddr`: a function that who is next does not have is not had here.
pub(crate) unsafe extern "system" fn lookup(
    device: vk::Device,
    name: *const c_char,
) -> vk::PFN_vkVoidFunction {
    // SAFETY: the device is alive, the name as it was given.
    let next = unsafe { (DEVICES.of(device).lookup)(device, name) }?;
    // SAFETY: the caller passes a zero-terminated name.
    hook(unsafe { CStr::from_ptr(name) }).or(Some(next))
}

pub(crate) unsafe extern "system" fn create(
    physical: vk::PhysicalDevice,
    info: *const vk::DeviceCreateInfo<'_>,
    allocator: *const vk::AllocationCallbacks<'_>,
    device: *mut vk::Device,
) -> vk::Result {
    let instance = INSTANCES.of(physical);
    // SAFETY: the caller's structure.
    let chain = unsafe { (*info).p_next };
    // SAFETY: the loader's call: the chain is valid.
    let set_loader_data = unsafe { chain::loader_data(chain) };
    // SAFETY: as above.
    let Some(lookup) = (unsafe { chain::next_of_device(chain) }) else {
        return vk::Result::ERROR_INITIALIZATION_FAILED;
    };
    // SAFETY: the caller's own arguments, passed on; the link was moved to who comes after.
    let result = unsafe { (instance.raw.fp_v1_0().create_device)(physical, info, allocator, device) };
    if result != vk::Result::SUCCESS {
        return result;
    }
    // SAFETY: the call before succeeded, so that a device stands there.
    let made = unsafe { *device };
    // The newer functions of a device of Vulkan 1.1 go by the names of their extensions.
    let find = |name: &CStr| {
        // SAFETY: the device was made by who is next, whose look-up this is.
        let core = unsafe { lookup(made, name.as_ptr()) };
        let function = core.or_else(|| {
            let khr = [name.to_bytes(), b"KHR\0"].concat();
            // SAFETY: as above; the name ends with its zero.
            unsafe { lookup(made, khr.as_ptr().cast()) }
        });
        raw_pointer(function)
    };
    // SAFETY: a function of a name has the type under which ash keeps it.
    let raw = unsafe { ash::Device::load_with(find, made) };
    // SAFETY: the physical device is of this instance.
    let memory = unsafe { instance.raw.get_physical_device_memory_properties(physical) };
    let known = Device {
        raw,
        lookup,
        set_loader_data,
        memory,
        ordinal: instance.ordinal(physical),
        armed: instance.armed,
        families: Mutex::default(),
        buffers: Mutex::default(),
        copies: Mutex::default(),
        scratch: Mutex::default(),
        hung: AtomicBool::new(false),
        lost: AtomicBool::new(false),
    };
    DEVICES.put(made, known);
    result
}

unsafe extern "system" fn destroy(device: vk::Device, allocator: *const vk::AllocationCallbacks<'_>) {
    if device == vk::Device::null() {
        return;
    }
    if let Some(known) = DEVICES.remove(device) {
        if let Some(scratch) = held(&known.scratch).take() {
            scratch.destroy(&known);
        }
        if known.hung.load(Ordering::Relaxed) {
            // A driver waits here for work that never ends.
            submit::stand_still();
        }
        // SAFETY: the caller's own arguments, passed on.
        unsafe { (known.raw.fp_v1_0().destroy_device)(device, allocator) };
    }
}

unsafe extern "system" fn queue(device: vk::Device, family: u32, index: u32, queue: *mut vk::Queue) {
    let known = DEVICES.of(device);
    // SAFETY: the caller's own arguments, passed on.
    unsafe { (known.raw.fp_v1_0().get_device_queue)(device, family, index, queue) };
    // SAFETY: filled by the call before.
    held(&known.families).insert(unsafe { *queue }, family);
}

unsafe extern "system" fn queue2(
    device: vk::Device,
    info: *const vk::DeviceQueueInfo2<'_>,
    queue: *mut vk::Queue,
) {
    let known = DEVICES.of(device);
    // SAFETY: the caller's own arguments, passed on.
    unsafe { (known.raw.fp_v1_1().get_device_queue2)(device, info, queue) };
    // SAFETY: the caller's structure.
    let family = unsafe { (*info).queue_family_index };
    // SAFETY: filled by the call before.
    held(&known.families).insert(unsafe { *queue }, family);
}

unsafe extern "system" fn allocate(
    device: vk::Device,
    info: *const vk::MemoryAllocateInfo<'_>,
    allocator: *const vk::AllocationCallbacks<'_>,
    memory: *mut vk::DeviceMemory,
) -> vk::Result {
    let known = DEVICES.of(device);
    if !known.due(|kind| *kind == Kind::OutOfMemory).is_empty() {
        return vk::Result::ERROR_OUT_OF_DEVICE_MEMORY;
    }
    // SAFETY: the caller's own arguments, passed on.
    unsafe { (known.raw.fp_v1_0().allocate_memory)(device, info, allocator, memory) }
}

/// Every buffer is made one that copies can read and write, so that the layer can reach it.
unsafe extern "system" fn create_buffer(
    device: vk::Device,
    info: *const vk::BufferCreateInfo<'_>,
    allocator: *const vk::AllocationCallbacks<'_>,
    buffer: *mut vk::Buffer,
) -> vk::Result {
    let known = DEVICES.of(device);
    // SAFETY: the caller's structure; the copy's chain lives as long as the caller's.
    let mut info = unsafe { *info };
    info.usage |= vk::BufferUsageFlags::TRANSFER_SRC | vk::BufferUsageFlags::TRANSFER_DST;
    // SAFETY: the caller's own arguments, passed on.
    let result = unsafe { (known.raw.fp_v1_0().create_buffer)(device, &raw const info, allocator, buffer) };
    if result == vk::Result::SUCCESS {
        // SAFETY: filled by the call before.
        held(&known.buffers).push((unsafe { *buffer }, info.size, false));
    }
    result
}

unsafe extern "system" fn destroy_buffer(
    device: vk::Device,
    buffer: vk::Buffer,
    allocator: *const vk::AllocationCallbacks<'_>,
) {
    let known = DEVICES.of(device);
    held(&known.buffers).retain(|known| known.0 != buffer);
    held(&known.copies).retain(|_, span| span.buffer != buffer);
    // SAFETY: the caller's own arguments, passed on.
    unsafe { (known.raw.fp_v1_0().destroy_buffer)(device, buffer, allocator) };
}

unsafe extern "system" fn bind(
    device: vk::Device,
    buffer: vk::Buffer,
    memory: vk::DeviceMemory,
    offset: vk::DeviceSize,
) -> vk::Result {
    let known = DEVICES.of(device);
    known.bound(buffer);
    // SAFETY: the caller's own arguments, passed on.
    unsafe { (known.raw.fp_v1_0().bind_buffer_memory)(device, buffer, memory, offset) }
}

unsafe extern "system" fn bind2(
    device: vk::Device,
    count: u32,
    infos: *const vk::BindBufferMemoryInfo<'_>,
) -> vk::Result {
    let known = DEVICES.of(device);
    // SAFETY: the caller's array of `count`.
    let binds = unsafe { crate::listed(infos, count) };
    binds.iter().for_each(|info| known.bound(info.buffer));
    // SAFETY: the caller's own arguments, passed on.
    unsafe { (known.raw.fp_v1_1().bind_buffer_memory2)(device, count, infos) }
}
