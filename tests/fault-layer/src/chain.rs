//! The loader's own structures (`vk_layer.h`), which no crate of Vulkan's interface holds.

use std::ffi::c_void;

use ash::vk;

/// `VkNegotiateLayerInterface`.
#[repr(C)]
#[derive(Debug)]
pub struct Interface {
    s_type: u32,
    next: *mut c_void,
    pub(crate) version: u32,
    pub(crate) instance_lookup: Option<vk::PFN_vkGetInstanceProcAddr>,
    pub(crate) device_lookup: Option<vk::PFN_vkGetDeviceProcAddr>,
    pub(crate) physical_device_lookup: Option<vk::PFN_vkGetInstanceProcAddr>,
}

/// `VkLayerInstanceLink`: who is next.
#[repr(C)]
pub(crate) struct InstanceLink {
    next: *mut Self,
    instance_lookup: vk::PFN_vkGetInstanceProcAddr,
    physical_device_lookup: Option<vk::PFN_vkGetInstanceProcAddr>,
}

/// `VkLayerDeviceLink`: who is next.
#[repr(C)]
pub(crate) struct DeviceLink {
    next: *mut Self,
    instance_lookup: vk::PFN_vkGetInstanceProcAddr,
    device_lookup: vk::PFN_vkGetDeviceProcAddr,
}

/// `PFN_vkSetDeviceLoaderData`: makes a command buffer of the layer's own one that the next layers know.
pub(crate) type SetDeviceLoaderData =
    unsafe extern "system" fn(device: vk::Device, object: *mut c_void) -> vk::Result;

/// `VkLayerFunction`: the link to who is next.
const LINK: u32 = 0;
/// `VkLayerFunction`: the loader's function for objects of the layer's own.
const LOADER_DATA: u32 = 1;

/// `VkLayerInstanceCreateInfo` and `VkLayerDeviceCreateInfo`: their unions hold one pointer in what is used here.
#[repr(C)]
struct Info {
    s_type: vk::StructureType,
    next: *const c_void,
    function: u32,
    union: *mut c_void,
}

/// The loader's structure with this function in the chain from `next` on.
///
/// # Safety
/// `next` begins a valid chain of Vulkan's structures that the caller may write to.
unsafe fn find(mut next: *const c_void, s_type: vk::StructureType, function: u32) -> Option<*mut Info> {
    while !next.is_null() {
        let info = next.cast::<Info>().cast_mut();
        // SAFETY: every structure of a chain begins with its type and its successor.
        let found = unsafe { (*info).s_type } == s_type;
        // SAFETY: it is one of the loader's structures, so that it has this field.
        if found && unsafe { (*info).function } == function {
            return Some(info);
        }
        // SAFETY: as above.
        next = unsafe { (*info).next };
    }
    None
}

/// Who is next, and moves the link on for the one after.
///
/// # Safety
/// `next` is the chain of the loader's call to `vkCreateInstance`.
pub(crate) unsafe fn next_of_instance(next: *const c_void) -> Option<vk::PFN_vkGetInstanceProcAddr> {
    // SAFETY: the caller's promise.
    let info = unsafe { find(next, vk::StructureType::LOADER_INSTANCE_CREATE_INFO, LINK) }?;
    // SAFETY: found above; in a structure of the function `LINK` the union is the link.
    let link = unsafe { (*info).union }.cast::<InstanceLink>();
    // SAFETY: the loader's link is valid for the length of the call.
    let link = unsafe { &*link };
    // SAFETY: found above; the loader means it to be written.
    unsafe { (*info).union = link.next.cast() };
    Some(link.instance_lookup)
}

/// Who is next for the device's functions, and moves the link on.
///
/// # Safety
/// `next` is the chain of the loader's call to `vkCreateDevice`.
pub(crate) unsafe fn next_of_device(next: *const c_void) -> Option<vk::PFN_vkGetDeviceProcAddr> {
    // SAFETY: the caller's promise.
    let info = unsafe { find(next, vk::StructureType::LOADER_DEVICE_CREATE_INFO, LINK) }?;
    // SAFETY: found above; in a structure of the function `LINK` the union is the link.
    let link = unsafe { (*info).union }.cast::<DeviceLink>();
    // SAFETY: the loader's link is valid for the length of the call.
    let link = unsafe { &*link };
    // SAFETY: found above; the loader means it to be written.
    unsafe { (*info).union = link.next.cast() };
    Some(link.device_lookup)
}

/// The loader's function for objects of the layer's own.
///
/// # Safety
/// `next` is the chain of the loader's call to `vkCreateDevice`.
pub(crate) unsafe fn loader_data(next: *const c_void) -> Option<SetDeviceLoaderData> {
    // SAFETY: the caller's promise.
    let info = unsafe { find(next, vk::StructureType::LOADER_DEVICE_CREATE_INFO, LOADER_DATA) }?;
    // SAFETY: found above.
    let function = unsafe { (*info).union };
    // SAFETY: in a structure of the function `LOADER_DATA` the union is this function, or null.
    unsafe { std::mem::transmute::<*mut c_void, Option<SetDeviceLoaderData>>(function) }
}
