//! Structures of extensions that are newer than `ash` 0.38 (Vulkan headers 1.3.281), as `vulkan_core.h` of 1.4.352 has
//! them. Plain structures of a chain need nothing of the loader; the one function is fetched by its name.

use std::ffi::{CStr, c_void};

use ash::vk;

/// `VK_NV_cooperative_matrix2`.
pub(super) const NV_COOPERATIVE_MATRIX2: &CStr = c"VK_NV_cooperative_matrix2";
/// `VK_KHR_shader_bfloat16`.
pub(super) const KHR_SHADER_BFLOAT16: &CStr = c"VK_KHR_shader_bfloat16";
/// `VK_EXT_shader_float8`.
pub(super) const EXT_SHADER_FLOAT8: &CStr = c"VK_EXT_shader_float8";

/// Component types that `ash` does not name.
pub(super) const BFLOAT16: vk::ComponentTypeKHR = vk::ComponentTypeKHR::from_raw(1_000_141_000);
pub(super) const FLOAT8_E4M3: vk::ComponentTypeKHR = vk::ComponentTypeKHR::from_raw(1_000_491_002);
pub(super) const FLOAT8_E5M2: vk::ComponentTypeKHR = vk::ComponentTypeKHR::from_raw(1_000_491_003);

/// A structure of features: its head, and `$field`s of 32 bits. New, it asks for nothing.
macro_rules! features {
    ($(#[$doc:meta])* $name:ident = $number:literal { $($field:ident),+ $(,)? }) => {
        $(#[$doc])*
        #[repr(C)]
        #[derive(Clone, Copy)]
        pub(super) struct $name {
            s_type: vk::StructureType,
            p_next: *mut c_void,
            $(pub(super) $field: vk::Bool32,)+
        }

        impl Default for $name {
            fn default() -> Self {
                Self {
                    s_type: vk::StructureType::from_raw($number),
                    p_next: std::ptr::null_mut(),
                    $($field: vk::FALSE,)+
                }
            }
        }

        // SAFETY: `repr(C)` with the head of every Vulkan structure; the specification lets it extend this one.
        unsafe impl vk::ExtendsPhysicalDeviceFeatures2 for $name {}
        // SAFETY: as above.
        unsafe impl vk::ExtendsDeviceCreateInfo for $name {}
    };
}

features! {
    /// `VkPhysicalDeviceCooperativeMatrix2FeaturesNV`.
    CooperativeMatrix2Features = 1_000_593_000 {
        workgroup_scope,
        flexible_dimensions,
        reductions,
        conversions,
        per_element_operations,
        tensor_addressing,
        block_loads,
    }
}

features! {
    /// `VkPhysicalDeviceShaderBfloat16FeaturesKHR`.
    ShaderBfloat16Features = 1_000_141_000 { bfloat16_type, bfloat16_dot_product, bfloat16_cooperative_matrix }
}

features! {
    /// `VkPhysicalDeviceShaderFloat8FeaturesEXT`.
    ShaderFloat8Features = 1_000_567_000 { float8, float8_cooperative_matrix }
}

/// `VkCooperativeMatrixFlexibleDimensionsPropertiesNV`.
#[repr(C)]
#[derive(Clone, Copy)]
pub(super) struct FlexibleDimensions {
    s_type: vk::StructureType,
    p_next: *mut c_void,
    pub(super) m_granularity: u32,
    pub(super) n_granularity: u32,
    pub(super) k_granularity: u32,
    pub(super) a_type: vk::ComponentTypeKHR,
    pub(super) b_type: vk::ComponentTypeKHR,
    pub(super) c_type: vk::ComponentTypeKHR,
    pub(super) result_type: vk::ComponentTypeKHR,
    pub(super) saturating_accumulation: vk::Bool32,
    pub(super) scope: vk::ScopeKHR,
    pub(super) workgroup_invocations: u32,
}

impl Default for FlexibleDimensions {
    fn default() -> Self {
        Self {
            s_type: vk::StructureType::from_raw(1_000_593_001),
            p_next: std::ptr::null_mut(),
            m_granularity: 0,
            n_granularity: 0,
            k_granularity: 0,
            a_type: vk::ComponentTypeKHR::default(),
            b_type: vk::ComponentTypeKHR::default(),
            c_type: vk::ComponentTypeKHR::default(),
            result_type: vk::ComponentTypeKHR::default(),
            saturating_accumulation: vk::FALSE,
            scope: vk::ScopeKHR::default(),
            workgroup_invocations: 0,
        }
    }
}

/// `PFN_vkGetPhysicalDeviceCooperativeMatrixFlexibleDimensionsPropertiesNV`.
type GetFlexibleDimensions =
    unsafe extern "system" fn(vk::PhysicalDevice, *mut u32, *mut FlexibleDimensions) -> vk::Result;

/// The flexible dimensions of a device that lists `VK_NV_cooperative_matrix2`; empty where the function is not there.
pub(super) fn flexible_dimensions(
    entry: &ash::Entry,
    instance: &ash::Instance,
    raw: vk::PhysicalDevice,
) -> Result<Vec<FlexibleDimensions>, vk::Result> {
    let name = c"vkGetPhysicalDeviceCooperativeMatrixFlexibleDimensionsPropertiesNV";
    // SAFETY: the instance is alive, the name ends in zero.
    let found = unsafe { entry.get_instance_proc_addr(instance.handle(), name.as_ptr()) };
    let Some(found) = found else { return Ok(Vec::new()) };
    // SAFETY: the loader gives the function of that name, whose type this is; both are function pointers.
    let get = unsafe { std::mem::transmute::<unsafe extern "system" fn(), GetFlexibleDimensions>(found) };
    let mut count = 0;
    // SAFETY: `raw` is of this instance and lists the extension; without a list the count alone is written.
    unsafe { get(raw, &raw mut count, std::ptr::null_mut()) }.result()?;
    let mut list = vec![FlexibleDimensions::default(); count as usize];
    // SAFETY: as above; the list has room for `count` structures with their heads set.
    unsafe { get(raw, &raw mut count, list.as_mut_ptr()) }.result()?;
    list.truncate(count as usize);
    Ok(list)
}
