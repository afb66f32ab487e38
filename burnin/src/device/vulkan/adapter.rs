//! What a physical device says about itself.

use std::ffi::CStr;
use std::fmt::Write as _;

use ash::{amd, ext, nv, vk};
use report::{Backend, Bdf, Bytes, DeviceId, DeviceInfo, DeviceKind, Feature, PciId};

use super::failed;
use super::features::Features;
use super::instance::Instance;
use super::matrices;
use crate::device::DeviceError;

/// A physical device and what is needed to open it.
pub(super) struct Adapter {
    pub(super) raw: vk::PhysicalDevice,
    pub(super) info: DeviceInfo,
    /// The queue family to use.
    pub(super) family: u32,
    /// Bits of a timestamp of that family; 0 where it has none.
    pub(super) timestamp_bits: u32,
    /// Nanoseconds of one tick.
    pub(super) timestamp_period: f32,
    pub(super) memory: vk::PhysicalDeviceMemoryProperties,
    pub(super) features: Features,
    /// The size that subgroups of a compute pipeline can be made to have: the device's usual one.
    pub(super) subgroup_size: Option<u32>,
}

/// Every physical device with a compute queue, in the order of their ids.
///
/// The loader's order changes between runs; where a driver tells the PCI address, that is the id, else `vulkan-N` with N
/// counted over the devices sorted by name and UUID.
pub(super) fn all(instance: &Instance) -> Result<Vec<Adapter>, DeviceError> {
    // SAFETY: the instance is alive.
    let raws =
        unsafe { instance.raw().enumerate_physical_devices() }.map_err(failed("listing physical devices"))?;
    let mut adapters = Vec::new();
    for raw in raws {
        let Some(mut adapter) = adapter(instance, raw)? else { continue };
        if adapter.info.features.contains(&Feature::Matrix) {
            adapter.info.matrix_shapes = matrices::shapes(instance, raw, adapter.features.matrix2())?;
        }
        adapters.push(adapter);
    }
    adapters.sort_by(|a, b| {
        let key = |x: &Adapter| (x.info.address, x.info.name.clone(), x.info.uuid.clone());
        key(a).cmp(&key(b))
    });
    for (number, adapter) in adapters.iter_mut().enumerate() {
        let id =
            adapter.info.address.map_or_else(|| format!("vulkan-{number}"), |address| address.to_string());
        adapter.info.id = DeviceId(id);
    }
    Ok(adapters)
}

fn adapter(instance: &Instance, raw: vk::PhysicalDevice) -> Result<Option<Adapter>, DeviceError> {
    let Some((family, timestamp_bits)) = compute_family(instance, raw) else { return Ok(None) };
    // SAFETY: `raw` is of this instance.
    let extensions = unsafe { instance.raw().enumerate_device_extension_properties(raw) }
        .map_err(failed("listing device extensions"))?;
    let has = |name: &CStr| extensions.iter().any(|e| e.extension_name_as_c_str() == Ok(name));

    let mut pci = vk::PhysicalDevicePCIBusInfoPropertiesEXT::default();
    let mut ids = vk::PhysicalDeviceIDProperties::default();
    let mut driver = vk::PhysicalDeviceDriverProperties::default();
    let mut subgroup = vk::PhysicalDeviceSubgroupProperties::default();
    let mut subgroup_control = vk::PhysicalDeviceSubgroupSizeControlProperties::default();
    let mut sm = vk::PhysicalDeviceShaderSMBuiltinsPropertiesNV::default();
    let mut cores = vk::PhysicalDeviceShaderCoreProperties2AMD::default();
    let mut properties =
        vk::PhysicalDeviceProperties2::default().push_next(&mut ids).push_next(&mut subgroup);
    if has(nv::shader_sm_builtins::NAME) {
        properties = properties.push_next(&mut sm);
    }
    if has(amd::shader_core_properties2::NAME) {
        properties = properties.push_next(&mut cores);
    }
    if has(ext::pci_bus_info::NAME) {
        properties = properties.push_next(&mut pci);
    }
    // SAFETY: `raw` is of this instance.
    let version = unsafe { instance.raw().get_physical_device_properties(raw) }.api_version;
    if version >= vk::API_VERSION_1_2 || has(ash::khr::driver_properties::NAME) {
        properties = properties.push_next(&mut driver);
    }
    if version >= vk::API_VERSION_1_3 {
        properties = properties.push_next(&mut subgroup_control);
    }
    // SAFETY: `raw` is of this instance; the chain's structures are known to the device and live through the call.
    unsafe { instance.raw().get_physical_device_properties2(raw, &mut properties) };
    let base = properties.properties;
    let features = Features::of(instance, raw, version, has);
    let units = has(nv::shader_sm_builtins::NAME).then_some(sm.shader_sm_count);
    let core_units = has(amd::shader_core_properties2::NAME).then_some(cores.active_compute_unit_count);
    let subgroup_size = subgroup.subgroup_size;
    let (memory, memory_budget_bytes) = memory(instance, raw, has(ext::memory_budget::NAME));
    let heap = largest_local_heap(&memory);
    let info = DeviceInfo {
        id: DeviceId(String::new()),
        backend: Backend::Vulkan,
        kind: kind(base.device_type),
        name: text(base.device_name_as_c_str().ok()),
        pci_id: PciId { vendor: low16(base.vendor_id), device: low16(base.device_id) }.into(),
        address: has(ext::pci_bus_info::NAME).then(|| address(&pci)).flatten(),
        uuid: Some(hex(&ids.device_uuid)),
        driver: driver_text(&driver, base.driver_version),
        api_version: Some(version_text(base.api_version)),
        memory_bytes: heap.map_or(Bytes(0), |(_, bytes)| bytes),
        memory_budget_bytes: memory_budget_bytes.zip(heap).map(|(budgets, (index, _))| Bytes(budgets[index])),
        binding_bytes_max: Bytes(u64::from(base.limits.max_storage_buffer_range)),
        timestamps: timestamp_bits > 0 && base.limits.timestamp_period > 0.0,
        features: features.offered(),
        units: units.or(core_units),
        subgroup_size: (version >= vk::API_VERSION_1_1).then_some(subgroup_size),
        matrix_shapes: Vec::new(),
    };
    Ok(Some(Adapter {
        raw,
        info,
        family,
        timestamp_bits,
        timestamp_period: base.limits.timestamp_period,
        memory,
        features,
        subgroup_size: subgroup_control
            .required_subgroup_size_stages
            .contains(vk::ShaderStageFlags::COMPUTE)
            .then_some(subgroup_size),
    }))
}

/// A family with compute and, if there is one, without graphics: work there does not wait for a display.
fn compute_family(instance: &Instance, raw: vk::PhysicalDevice) -> Option<(u32, u32)> {
    // SAFETY: `raw` is of this instance.
    let families = unsafe { instance.raw().get_physical_device_queue_family_properties(raw) };
    let compute =
        (0u32..).zip(&families).filter(|(_, family)| family.queue_flags.contains(vk::QueueFlags::COMPUTE));
    // Graphics before compute-only: on NVIDIA family 0 has the widest set of engines, and without a display nothing waits.
    let best = compute
        .min_by_key(|(number, family)| (!family.queue_flags.contains(vk::QueueFlags::GRAPHICS), *number))?;
    Some((best.0, best.1.timestamp_valid_bits))
}

type Budgets = [vk::DeviceSize; vk::MAX_MEMORY_HEAPS];

fn memory(
    instance: &Instance,
    raw: vk::PhysicalDevice,
    with_budget: bool,
) -> (vk::PhysicalDeviceMemoryProperties, Option<Budgets>) {
    let mut budget = vk::PhysicalDeviceMemoryBudgetPropertiesEXT::default();
    let mut properties = vk::PhysicalDeviceMemoryProperties2::default();
    if with_budget {
        properties = properties.push_next(&mut budget);
    }
    // SAFETY: `raw` is of this instance; the chain is known to the device and lives through the call.
    unsafe { instance.raw().get_physical_device_memory_properties2(raw, &mut properties) };
    let memory = properties.memory_properties;
    (memory, with_budget.then_some(budget.heap_budget))
}

fn largest_local_heap(memory: &vk::PhysicalDeviceMemoryProperties) -> Option<(usize, Bytes)> {
    let heaps = memory.memory_heaps_as_slice().iter().enumerate();
    let local = heaps.filter(|(_, heap)| heap.flags.contains(vk::MemoryHeapFlags::DEVICE_LOCAL));
    local.map(|(index, heap)| (index, Bytes(heap.size))).max_by_key(|(_, size)| *size)
}

fn kind(raw: vk::PhysicalDeviceType) -> DeviceKind {
    match raw {
        vk::PhysicalDeviceType::DISCRETE_GPU => DeviceKind::Discrete,
        vk::PhysicalDeviceType::INTEGRATED_GPU => DeviceKind::Integrated,
        vk::PhysicalDeviceType::VIRTUAL_GPU => DeviceKind::Virtual,
        vk::PhysicalDeviceType::CPU => DeviceKind::Cpu,
        other => DeviceKind::Other(format!("vulkan-type-{}", other.as_raw())),
    }
}

fn address(pci: &vk::PhysicalDevicePCIBusInfoPropertiesEXT<'_>) -> Option<Bdf> {
    Some(Bdf {
        domain: pci.pci_domain,
        bus: u8::try_from(pci.pci_bus).ok()?,
        device: u8::try_from(pci.pci_device).ok()?,
        function: u8::try_from(pci.pci_function).ok()?,
    })
}

/// PCI numbers have 16 bits; software drivers use numbers of Khronos above that, cut here.
fn low16(number: u32) -> u16 {
    u16::try_from(number & 0xffff).unwrap_or_default()
}

fn driver_text(driver: &vk::PhysicalDeviceDriverProperties<'_>, version: u32) -> String {
    let name = text(driver.driver_name_as_c_str().ok());
    let info = text(driver.driver_info_as_c_str().ok());
    match (name.is_empty(), info.is_empty()) {
        (false, false) => format!("{name} {info}"),
        (false, true) => format!("{name} {version:#x}"),
        (true, _) => format!("driver version {version:#x}"),
    }
}

fn version_text(version: u32) -> String {
    let (major, minor) = (vk::api_version_major(version), vk::api_version_minor(version));
    format!("{major}.{minor}.{}", vk::api_version_patch(version))
}

fn text(raw: Option<&CStr>) -> String {
    raw.map(|text| text.to_string_lossy().into_owned()).unwrap_or_default()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut out, byte| {
        // Writing to a String cannot fail.
        let _ = write!(out, "{byte:02x}");
        out
    })
}
