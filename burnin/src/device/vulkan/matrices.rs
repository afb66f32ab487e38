//! Shapes of cooperative matrices, as the driver lists them.

use ash::{khr, vk};
use report::{Component, MatrixScope, MatrixShape, MatrixSource};

use super::failed;
use super::instance::Instance;
use super::vkext;
use crate::device::DeviceError;

/// Every shape of a device that offers matrices; with `flexible` those of `VK_NV_cooperative_matrix2` after them.
pub(super) fn shapes(
    instance: &Instance,
    raw: vk::PhysicalDevice,
    flexible: bool,
) -> Result<Vec<MatrixShape>, DeviceError> {
    let functions = khr::cooperative_matrix::Instance::new(instance.entry(), instance.raw());
    // SAFETY: `raw` is of this instance and lists the extension.
    let listed = unsafe { functions.get_physical_device_cooperative_matrix_properties(raw) }
        .map_err(failed("listing matrix shapes"))?;
    let mut shapes: Vec<_> = listed.iter().map(shape).collect();
    if flexible {
        let listed = vkext::flexible_dimensions(instance.entry(), instance.raw(), raw)
            .map_err(failed("listing flexible matrix shapes"))?;
        shapes.extend(listed.iter().map(flexible_shape));
    }
    Ok(shapes)
}

fn shape(raw: &vk::CooperativeMatrixPropertiesKHR<'_>) -> MatrixShape {
    MatrixShape {
        m: raw.m_size,
        n: raw.n_size,
        k: raw.k_size,
        a: component(raw.a_type),
        b: component(raw.b_type),
        c: component(raw.c_type),
        result: component(raw.result_type),
        scope: scope(raw.scope),
        saturating: raw.saturating_accumulation == vk::TRUE,
        source: MatrixSource::Khr,
        workgroup_invocations: None,
    }
}

fn flexible_shape(raw: &vkext::FlexibleDimensions) -> MatrixShape {
    MatrixShape {
        m: raw.m_granularity,
        n: raw.n_granularity,
        k: raw.k_granularity,
        a: component(raw.a_type),
        b: component(raw.b_type),
        c: component(raw.c_type),
        result: component(raw.result_type),
        scope: scope(raw.scope),
        saturating: raw.saturating_accumulation == vk::TRUE,
        source: MatrixSource::Nv2Flexible,
        workgroup_invocations: (raw.workgroup_invocations > 0).then_some(raw.workgroup_invocations),
    }
}

fn component(raw: vk::ComponentTypeKHR) -> Component {
    match raw {
        vk::ComponentTypeKHR::FLOAT16 => Component::F16,
        vk::ComponentTypeKHR::FLOAT32 => Component::F32,
        vk::ComponentTypeKHR::FLOAT64 => Component::F64,
        vk::ComponentTypeKHR::SINT8 => Component::S8,
        vk::ComponentTypeKHR::SINT16 => Component::S16,
        vk::ComponentTypeKHR::SINT32 => Component::S32,
        vk::ComponentTypeKHR::SINT64 => Component::S64,
        vk::ComponentTypeKHR::UINT8 => Component::U8,
        vk::ComponentTypeKHR::UINT16 => Component::U16,
        vk::ComponentTypeKHR::UINT32 => Component::U32,
        vk::ComponentTypeKHR::UINT64 => Component::U64,
        vkext::BFLOAT16 => Component::Bf16,
        vkext::FLOAT8_E4M3 => Component::E4m3,
        vkext::FLOAT8_E5M2 => Component::E5m2,
        other => Component::Other(format!("vulkan-component-{}", other.as_raw())),
    }
}

fn scope(raw: vk::ScopeKHR) -> MatrixScope {
    match raw {
        vk::ScopeKHR::SUBGROUP => MatrixScope::Subgroup,
        vk::ScopeKHR::WORKGROUP => MatrixScope::Workgroup,
        other => MatrixScope::Other(format!("vulkan-scope-{}", other.as_raw())),
    }
}
