//! What a program asks an instance: which devices there are, and what they say of themselves.

use std::ffi::{CStr, c_char};

use ash::vk;

use crate::armed::Armed;
use crate::chain;
use crate::device;
use crate::plan::Kind;
use crate::{Known, LAYER_NAME, hooks};

pub(crate) static INSTANCES: Known<Instance> = Known::new();

/// An instance, with the functions of who is next.
pub(crate) struct Instance {
    pub(crate) raw: ash::Instance,
    lookup: vk::PFN_vkGetInstanceProcAddr,
    pub(crate) armed: &'static Armed,
}

impl Instance {
    /// Devices in the order of who is next; their place in it is what a plan calls `device=N`.
    fn devices(&self) -> Vec<vk::PhysicalDevice> {
        // SAFETY: the instance is alive.
        unsafe { self.raw.enumerate_physical_devices() }.unwrap_or_default()
    }

    pub(crate) fn ordinal(&self, device: vk::PhysicalDevice) -> Option<u32> {
        let place = self.devices().iter().position(|known| *known == device)?;
        u32::try_from(place).ok()
    }
}

hooks! {
    b"vkGetInstanceProcAddr" => lookup as vk::PFN_vkGetInstanceProcAddr,
    b"vkCreateInstance" => create as vk::PFN_vkCreateInstance,
    b"vkDestroyInstance" => destroy as vk::PFN_vkDestroyInstance,
    b"vkCreateDevice" => device::create as vk::PFN_vkCreateDevice,
    b"vkEnumeratePhysicalDevices" => list as vk::PFN_vkEnumeratePhysicalDevices,
    b"vkEnumerateDeviceExtensionProperties" => extensions as vk::PFN_vkEnumerateDeviceExtensionProperties,
    b"vkGetPhysicalDeviceProperties2" => properties as vk::PFN_vkGetPhysicalDeviceProperties2,
    b"vkGetPhysicalDeviceProperties2KHR" => properties as vk::PFN_vkGetPhysicalDeviceProperties2,
    b"vkGetPhysicalDeviceMemoryProperties" => memory as vk::PFN_vkGetPhysicalDeviceMemoryProperties,
    b"vkGetPhysicalDeviceMemoryProperties2" => memory2 as vk::PFN_vkGetPhysicalDeviceMemoryProperties2,
    b"vkGetPhysicalDeviceMemoryProperties2KHR" => memory2 as vk::PFN_vkGetPhysicalDeviceMemoryProperties2,
}

/// `vkGetInstanceProcAddr`.
pub(crate) unsafe extern "system" fn lookup(
    instance: vk::Instance,
    name: *const c_char,
) -> vk::PFN_vkVoidFunction {
    // SAFETY: the caller passes a zero-terminated name.
    let wanted = unsafe { CStr::from_ptr(name) };
    if let Some(function) = hook(wanted) {
        return Some(function);
    }
    if instance == vk::Instance::null() {
        return None;
    }
    // SAFETY: the instance is alive, the name as it was given.
    let next = unsafe { (INSTANCES.of(instance).lookup)(instance, name) }?;
    // A function of the device that goes through the instance's look-up is spoilt alike.
    device::hook(wanted).or(Some(next))
}

unsafe extern "system" fn create(
    info: *const vk::InstanceCreateInfo<'_>,
    allocator: *const vk::AllocationCallbacks<'_>,
    instance: *mut vk::Instance,
) -> vk::Result {
    let armed = match Armed::from_environment() {
        Ok(armed) => Box::leak(Box::new(armed)),
        Err(error) => {
            // A drill whose plan nobody understood must not look like one that nothing came of.
            eprintln!("{LAYER_NAME}: {error}");
            return vk::Result::ERROR_INITIALIZATION_FAILED;
        }
    };
    // SAFETY: the caller's structure.
    let chain = unsafe { (*info).p_next };
    // SAFETY: the loader's call: the chain is valid.
    let Some(lookup) = (unsafe { chain::next_of_instance(chain) }) else {
        return vk::Result::ERROR_INITIALIZATION_FAILED;
    };
    // SAFETY: who is next answers for this function with no instance.
    let Some(next) = (unsafe { lookup(vk::Instance::null(), c"vkCreateInstance".as_ptr()) }) else {
        return vk::Result::ERROR_INITIALIZATION_FAILED;
    };
    // SAFETY: the function of that name has this type.
    let next = unsafe { std::mem::transmute::<unsafe extern "system" fn(), vk::PFN_vkCreateInstance>(next) };
    // SAFETY: the caller's own arguments.
    let result = unsafe { next(info, allocator, instance) };
    if result == vk::Result::SUCCESS {
        // SAFETY: the call before succeeded, so that an instance stands there.
        let made = unsafe { *instance };
        // SAFETY: the instance was made by who is next, whose look-up this is.
        let find = |name: &CStr| device::raw_pointer(unsafe { lookup(made, name.as_ptr()) });
        // SAFETY: a function of a name has the type under which ash keeps it.
        let raw = unsafe { ash::Instance::load_with(find, made) };
        INSTANCES.put(made, Instance { raw, lookup, armed });
    }
    result
}

unsafe extern "system" fn destroy(instance: vk::Instance, allocator: *const vk::AllocationCallbacks<'_>) {
    if instance == vk::Instance::null() {
        return;
    }
    if let Some(known) = INSTANCES.remove(instance) {
        // SAFETY: the caller's own arguments, passed on.
        unsafe { (known.raw.fp_v1_0().destroy_instance)(instance, allocator) };
    }
}

unsafe extern "system" fn list(
    instance: vk::Instance,
    count: *mut u32,
    devices: *mut vk::PhysicalDevice,
) -> vk::Result {
    let known = INSTANCES.of(instance);
    let all = known.devices();
    let shown: Vec<_> = (0..)
        .zip(all)
        .filter(|(n, _)| known.armed.told(Some(*n), |kind| *kind == Kind::HideDevice).is_empty())
        .map(|(_, device)| device)
        .collect();
    // SAFETY: the caller's own pointers, as Vulkan's two-call lists have them.
    unsafe { hand_out(&shown, count, devices) }
}

unsafe extern "system" fn extensions(
    device: vk::PhysicalDevice,
    layer: *const c_char,
    count: *mut u32,
    properties: *mut vk::ExtensionProperties,
) -> vk::Result {
    if !layer.is_null() {
        // SAFETY: a valid zero-terminated name where it is not null.
        let asked = unsafe { CStr::from_ptr(layer) };
        if asked.to_bytes() == LAYER_NAME.as_bytes() {
            // SAFETY: the caller's own pointers; this layer adds no extension.
            return unsafe { hand_out(&[], count, properties) };
        }
        let known = INSTANCES.of(device);
        // SAFETY: the caller's own arguments, passed on: another layer's extensions.
        return unsafe {
            (known.raw.fp_v1_0().enumerate_device_extension_properties)(device, layer, count, properties)
        };
    }
    let known = INSTANCES.of(device);
    // SAFETY: the device is of this instance.
    let mut all = match unsafe { known.raw.enumerate_device_extension_properties(device) } {
        Ok(all) => all,
        Err(error) => return error,
    };
    let ordinal = known.ordinal(device);
    for fault in known.armed.told(ordinal, |kind| matches!(kind, Kind::HideExtension { .. })) {
        let Kind::HideExtension { name } = &fault.kind else { continue };
        all.retain(|e| e.extension_name_as_c_str().is_ok_and(|e| e.to_bytes() != name.as_bytes()));
    }
    let lies = known.armed.told(ordinal, |kind| matches!(kind, Kind::PciAddress { .. }));
    let has = |e: &vk::ExtensionProperties| e.extension_name_as_c_str() == Ok(ash::ext::pci_bus_info::NAME);
    if !lies.is_empty() && !all.iter().any(has) {
        let mut extension = vk::ExtensionProperties { spec_version: 2, ..Default::default() };
        if extension.extension_name.len() > ash::ext::pci_bus_info::NAME.count_bytes() {
            let name = ash::ext::pci_bus_info::NAME.to_bytes_with_nul();
            for (to, from) in extension.extension_name.iter_mut().zip(name) {
                *to = from.cast_signed();
            }
        }
        all.push(extension);
    }
    // SAFETY: the caller's own pointers, as Vulkan's two-call lists have them.
    unsafe { hand_out(&all, count, properties) }
}

/// Vulkan's lists: asked without a place, how many there are; with one, as many as it holds.
///
/// # Safety
/// `count` is valid; `place` is null or has room for `*count`.
unsafe fn hand_out<T: Copy>(all: &[T], count: *mut u32, place: *mut T) -> vk::Result {
    // SAFETY: the caller's promise.
    let count = unsafe { &mut *count };
    let there = u32::try_from(all.len()).unwrap_or(u32::MAX);
    if place.is_null() {
        *count = there;
        return vk::Result::SUCCESS;
    }
    let room = *count;
    *count = room.min(there);
    // SAFETY: the caller's promise: there is room for `*count`, and it is at most what there is.
    unsafe { std::ptr::copy_nonoverlapping(all.as_ptr(), place, *count as usize) };
    if room < there { vk::Result::INCOMPLETE } else { vk::Result::SUCCESS }
}

unsafe extern "system" fn properties(
    device: vk::PhysicalDevice,
    properties: *mut vk::PhysicalDeviceProperties2<'_>,
) {
    let known = INSTANCES.of(device);
    // SAFETY: the caller's own arguments, passed on.
    unsafe { (known.raw.fp_v1_1().get_physical_device_properties2)(device, properties) };
    for fault in known.armed.told(known.ordinal(device), |kind| matches!(kind, Kind::PciAddress { .. })) {
        let Kind::PciAddress { address: [domain, bus, number, function] } = fault.kind else { continue };
        // SAFETY: the caller's structure.
        let mut next = unsafe { (*properties).p_next }.cast::<vk::BaseOutStructure<'_>>();
        while !next.is_null() {
            // SAFETY: every structure of a chain begins with its type and its successor.
            if unsafe { (*next).s_type } == vk::StructureType::PHYSICAL_DEVICE_PCI_BUS_INFO_PROPERTIES_EXT {
                // SAFETY: its type says what it is; it is the caller's, to be written.
                let pci = unsafe { &mut *next.cast::<vk::PhysicalDevicePCIBusInfoPropertiesEXT<'_>>() };
                (pci.pci_domain, pci.pci_bus, pci.pci_device, pci.pci_function) =
                    (domain, bus, number, function);
                break;
            }
            // SAFETY: as above.
            next = unsafe { (*next).p_next };
        }
    }
}

unsafe extern "system" fn memory(
    device: vk::PhysicalDevice,
    properties: *mut vk::PhysicalDeviceMemoryProperties,
) {
    let known = INSTANCES.of(device);
    // SAFETY: the caller's own arguments, passed on.
    unsafe { (known.raw.fp_v1_0().get_physical_device_memory_properties)(device, properties) };
    // SAFETY: the caller's structure, filled by the call before.
    resize(&known, device, unsafe { &mut *properties });
}

unsafe extern "system" fn memory2(
    device: vk::PhysicalDevice,
    properties: *mut vk::PhysicalDeviceMemoryProperties2<'_>,
) {
    let known = INSTANCES.of(device);
    // SAFETY: the caller's own arguments, passed on.
    unsafe { (known.raw.fp_v1_1().get_physical_device_memory_properties2)(device, properties) };
    // SAFETY: the caller's structure, filled by the call before.
    resize(&known, device, unsafe { &mut (*properties).memory_properties });
}

fn resize(known: &Instance, device: vk::PhysicalDevice, memory: &mut vk::PhysicalDeviceMemoryProperties) {
    for fault in known.armed.told(known.ordinal(device), |kind| matches!(kind, Kind::MemorySize { .. })) {
        let Kind::MemorySize { bytes } = fault.kind else { continue };
        let heaps = memory.memory_heap_count as usize;
        memory.memory_heaps.iter_mut().take(heaps).for_each(|heap| heap.size = bytes);
    }
}
