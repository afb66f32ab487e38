//! The logical device and its queue.

use std::sync::Arc;

use ash::vk;

use super::adapter::Adapter;
use super::failed;
use super::instance::Instance;
use crate::device::DeviceError;

/// Owns the logical device.
pub(super) struct Logical {
    raw: ash::Device,
    queue: vk::Queue,
    family: u32,
    timestamp_bits: u32,
    timestamp_period: f32,
    memory: vk::PhysicalDeviceMemoryProperties,
    addresses: bool,
    subgroup_size: Option<u32>,
    /// Destroyed after the device.
    _instance: Arc<Instance>,
}

impl Logical {
    /// Opens the physical device with one compute queue and every optional feature that kernels use.
    pub(super) fn new(instance: Arc<Instance>, adapter: &Adapter) -> Result<Self, DeviceError> {
        let priorities = [1.0];
        let queues = [vk::DeviceQueueCreateInfo::default()
            .queue_family_index(adapter.family)
            .queue_priorities(&priorities)];
        let opened = adapter.features.open(&instance, adapter.raw, &queues);
        let raw = opened.map_err(failed("opening the device"))?;
        // SAFETY: the family was asked for with one queue just above.
        let queue = unsafe { raw.get_device_queue(adapter.family, 0) };
        Ok(Self {
            raw,
            queue,
            family: adapter.family,
            timestamp_bits: if adapter.info.timestamps { adapter.timestamp_bits } else { 0 },
            timestamp_period: adapter.timestamp_period,
            memory: adapter.memory,
            addresses: adapter.features.addresses(),
            subgroup_size: adapter.subgroup_size,
            _instance: instance,
        })
    }

    /// The device's functions.
    pub(super) fn raw(&self) -> &ash::Device {
        &self.raw
    }

    /// May buffers be reached by their addresses?
    pub(super) fn addresses(&self) -> bool {
        self.addresses
    }

    /// The size that subgroups of a compute pipeline can be made to have; `None` where it cannot be asked for.
    pub(super) fn subgroup_size(&self) -> Option<u32> {
        self.subgroup_size
    }

    pub(super) fn queue(&self) -> vk::Queue {
        self.queue
    }

    pub(super) fn family(&self) -> u32 {
        self.family
    }

    /// Nanoseconds between two timestamps of this device, which may wrap in between; `None` where it has none.
    pub(super) fn nanoseconds(&self, begin: u64, end: u64) -> Option<f64> {
        let mask = match self.timestamp_bits {
            0 => return None,
            64.. => u64::MAX,
            bits => (1 << bits) - 1,
        };
        #[expect(clippy::cast_precision_loss, reason = "a window has far fewer than 2^53 ticks")]
        let ticks = (end.wrapping_sub(begin) & mask) as f64;
        Some(ticks * f64::from(self.timestamp_period))
    }

    /// The first memory type among `allowed` (a bit for each) that has all of `flags`.
    pub(super) fn memory_type(&self, allowed: u32, flags: vk::MemoryPropertyFlags) -> Option<u32> {
        let types = (0u32..).zip(self.memory.memory_types_as_slice());
        types
            .filter(|(number, _)| allowed & (1 << number) != 0)
            .find(|(_, kind)| kind.property_flags.contains(flags))
            .map(|(number, _)| number)
    }
}

impl Drop for Logical {
    fn drop(&mut self) {
        // SAFETY: every child holds an `Arc` of this, so none is left, and every submission was waited for; a device that
        // was lost or hangs is forgotten and does not come here.
        unsafe { self.raw.destroy_device(None) };
    }
}
