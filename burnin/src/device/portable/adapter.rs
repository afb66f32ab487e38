//! What an adapter says about itself.

use report::{Backend, Bdf, Bytes, DeviceId, DeviceInfo, DeviceKind, Feature, PciId};

/// An adapter and what it says.
pub(super) struct Adapter {
    pub(super) raw: wgpu::Adapter,
    pub(super) info: DeviceInfo,
}

/// Every adapter, in the order of their ids: the PCI address where wgpu tells it, else `portable-N`.
///
/// wgpu tells no UUID, so that devices of one name without an address keep the loader's order among themselves.
pub(super) fn all() -> Vec<Adapter> {
    let mut descriptor = wgpu::InstanceDescriptor::new_without_display_handle();
    descriptor.backends = wgpu::Backends::VULKAN;
    // By default a debug build would look for the validation layer and write to a log that nobody reads.
    descriptor.flags = wgpu::InstanceFlags::empty();
    let instance = wgpu::Instance::new(descriptor);
    let raws = pollster::block_on(instance.enumerate_adapters(wgpu::Backends::VULKAN));
    let mut adapters: Vec<_> = raws.into_iter().map(adapter).collect();
    adapters.sort_by(|a, b| {
        let key = |x: &Adapter| (x.info.address, x.info.name.clone(), x.info.driver.clone());
        key(a).cmp(&key(b))
    });
    for (number, adapter) in adapters.iter_mut().enumerate() {
        let id =
            adapter.info.address.map_or_else(|| format!("portable-{number}"), |address| address.to_string());
        adapter.info.id = DeviceId(id);
    }
    adapters
}

/// What of wgpu's features kernels use. Dot products need none: where the device has no instruction, the compiler writes
/// them out.
pub(super) const OFFERED: [(wgpu::Features, Feature); 4] = [
    (wgpu::Features::SHADER_F16, Feature::Float16),
    (wgpu::Features::SHADER_F64, Feature::Float64),
    (wgpu::Features::SHADER_INT64, Feature::Int64),
    (wgpu::Features::empty(), Feature::DotProduct),
];

fn adapter(raw: wgpu::Adapter) -> Adapter {
    let (told, limits) = (raw.get_info(), raw.limits());
    let info = DeviceInfo {
        id: DeviceId(String::new()),
        backend: Backend::Portable,
        kind: kind(told.device_type),
        name: told.name,
        pci_id: Some(PciId { vendor: low16(told.vendor), device: low16(told.device) }),
        address: told.device_pci_bus_id.parse::<Bdf>().ok(),
        uuid: None,
        driver: format!("{} {}", told.driver, told.driver_info).trim().to_owned(),
        api_version: None,
        // wgpu does not tell the size of a heap; the largest buffer is the most that is known to fit.
        memory_bytes: Bytes(limits.max_buffer_size),
        memory_budget_bytes: None,
        binding_bytes_max: Bytes(limits.max_storage_buffer_binding_size),
        timestamps: raw.features().contains(wgpu::Features::TIMESTAMP_QUERY),
        features: OFFERED
            .iter()
            .filter(|(on, _)| raw.features().contains(*on))
            .map(|(_, f)| f.clone())
            .collect(),
        units: None,
        subgroup_size: None,
        matrix_shapes: Vec::new(),
    };
    Adapter { raw, info }
}

fn kind(raw: wgpu::DeviceType) -> DeviceKind {
    match raw {
        wgpu::DeviceType::DiscreteGpu => DeviceKind::Discrete,
        wgpu::DeviceType::IntegratedGpu => DeviceKind::Integrated,
        wgpu::DeviceType::VirtualGpu => DeviceKind::Virtual,
        wgpu::DeviceType::Cpu => DeviceKind::Cpu,
        wgpu::DeviceType::Other => DeviceKind::Other("wgpu-other".to_owned()),
    }
}

/// PCI numbers have 16 bits; software drivers use numbers of Khronos above that, cut here.
fn low16(number: u32) -> u16 {
    u16::try_from(number & 0xffff).unwrap_or_default()
}
