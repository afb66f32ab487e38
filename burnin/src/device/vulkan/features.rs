//! Optional features of a device: which it offers, and switching on those that kernels use.

use std::ffi::CStr;

use ash::{khr, nv, vk};
use report::Feature;

use super::instance::Instance;
use super::vkext;

/// What kernels may use and this device has.
#[derive(Clone, Copy, Default)]
pub(super) struct Features {
    core: vk::PhysicalDeviceFeatures,
    v11: vk::PhysicalDeviceVulkan11Features<'static>,
    v12: vk::PhysicalDeviceVulkan12Features<'static>,
    v13: vk::PhysicalDeviceVulkan13Features<'static>,
    matrix: vk::PhysicalDeviceCooperativeMatrixFeaturesKHR<'static>,
    unit_id: vk::PhysicalDeviceShaderSMBuiltinsFeaturesNV<'static>,
    clock: vk::PhysicalDeviceShaderClockFeaturesKHR<'static>,
    matrix2: vkext::CooperativeMatrix2Features,
    bfloat16: vkext::ShaderBfloat16Features,
    float8: vkext::ShaderFloat8Features,
    /// Does the device know the structures of Vulkan 1.2 and 1.3?
    has_v12: bool,
    has_v13: bool,
}

impl Features {
    /// Asks the device, and keeps what kernels use.
    pub(super) fn of(
        instance: &Instance,
        raw: vk::PhysicalDevice,
        version: u32,
        has: impl Fn(&CStr) -> bool,
    ) -> Self {
        let mut all = Self {
            has_v12: version >= vk::API_VERSION_1_2,
            has_v13: version >= vk::API_VERSION_1_3,
            ..Self::default()
        };
        let (mut v11, mut v12, mut v13) = (all.v11, all.v12, all.v13);
        let (mut matrix, mut unit_id, mut clock) = (all.matrix, all.unit_id, all.clock);
        let (mut matrix2, mut bfloat16, mut float8) = (all.matrix2, all.bfloat16, all.float8);
        let mut asked = vk::PhysicalDeviceFeatures2::default();
        if all.has_v12 {
            asked = asked.push_next(&mut v11).push_next(&mut v12);
        }
        if all.has_v13 {
            asked = asked.push_next(&mut v13);
        }
        if has(khr::cooperative_matrix::NAME) {
            asked = asked.push_next(&mut matrix);
        }
        if has(nv::shader_sm_builtins::NAME) {
            asked = asked.push_next(&mut unit_id);
        }
        if has(khr::shader_clock::NAME) {
            asked = asked.push_next(&mut clock);
        }
        if has(vkext::NV_COOPERATIVE_MATRIX2) {
            asked = asked.push_next(&mut matrix2);
        }
        if has(vkext::KHR_SHADER_BFLOAT16) {
            asked = asked.push_next(&mut bfloat16);
        }
        if has(vkext::EXT_SHADER_FLOAT8) {
            asked = asked.push_next(&mut float8);
        }
        // SAFETY: `raw` is of this instance; every structure of the chain is known to the device, by its version or by an
        // extension that it lists, and lives through the call.
        unsafe { instance.raw().get_physical_device_features2(raw, &mut asked) };
        let core = asked.features;
        all.core = vk::PhysicalDeviceFeatures::default();
        all.core.shader_float64 = core.shader_float64;
        all.core.shader_int64 = core.shader_int64;
        all.core.shader_int16 = core.shader_int16;
        all.v11.storage_buffer16_bit_access = v11.storage_buffer16_bit_access;
        all.v12.shader_float16 = v12.shader_float16;
        all.v12.shader_int8 = v12.shader_int8;
        all.v12.storage_buffer8_bit_access = v12.storage_buffer8_bit_access;
        all.v12.buffer_device_address = v12.buffer_device_address;
        all.v12.vulkan_memory_model = v12.vulkan_memory_model;
        all.v12.vulkan_memory_model_device_scope = v12.vulkan_memory_model_device_scope;
        all.v13.shader_integer_dot_product = v13.shader_integer_dot_product;
        all.v13.subgroup_size_control = v13.subgroup_size_control;
        all.v13.compute_full_subgroups = v13.compute_full_subgroups;
        all.v13.maintenance4 = v13.maintenance4;
        all.matrix.cooperative_matrix = matrix.cooperative_matrix;
        all.matrix2.workgroup_scope = matrix2.workgroup_scope;
        all.matrix2.flexible_dimensions = matrix2.flexible_dimensions;
        all.bfloat16.bfloat16_type = bfloat16.bfloat16_type;
        all.bfloat16.bfloat16_cooperative_matrix = bfloat16.bfloat16_cooperative_matrix;
        all.float8.float8 = float8.float8;
        all.float8.float8_cooperative_matrix = float8.float8_cooperative_matrix;
        all.unit_id.shader_sm_builtins = unit_id.shader_sm_builtins;
        all.clock.shader_subgroup_clock = clock.shader_subgroup_clock;
        all.clock.shader_device_clock = clock.shader_device_clock;
        all
    }

    /// Those that a report names.
    pub(super) fn offered(&self) -> Vec<Feature> {
        let on = |bits: &[vk::Bool32]| bits.iter().all(|bit| *bit == vk::TRUE);
        let matrix = [
            self.matrix.cooperative_matrix,
            self.v12.vulkan_memory_model,
            self.v13.subgroup_size_control,
            self.v13.compute_full_subgroups,
            self.v13.maintenance4,
        ];
        [
            (Feature::Float16, on(&[self.v12.shader_float16, self.v11.storage_buffer16_bit_access])),
            (Feature::Float64, on(&[self.core.shader_float64])),
            (Feature::Int64, on(&[self.core.shader_int64])),
            (Feature::DotProduct, on(&[self.v13.shader_integer_dot_product])),
            (Feature::Addresses, self.addresses()),
            (Feature::Matrix, on(&matrix)),
            (Feature::UnitId, on(&[self.unit_id.shader_sm_builtins])),
            (Feature::ShaderClock, on(&[self.clock.shader_device_clock])),
        ]
        .into_iter()
        .filter_map(|(feature, offered)| offered.then_some(feature))
        .collect()
    }

    /// May buffers be reached by their addresses? Kernels that do so compute with 64-bit integers.
    pub(super) fn addresses(&self) -> bool {
        self.v12.buffer_device_address == vk::TRUE && self.core.shader_int64 == vk::TRUE
    }

    /// Are there flexible shapes, or matrices of a whole workgroup?
    pub(super) fn matrix2(&self) -> bool {
        self.matrix2.flexible_dimensions == vk::TRUE
    }

    /// Opens the physical device with all of these switched on.
    pub(super) fn open(
        mut self,
        instance: &Instance,
        raw: vk::PhysicalDevice,
        queues: &[vk::DeviceQueueCreateInfo<'_>],
    ) -> Result<ash::Device, vk::Result> {
        let mut names = Vec::new();
        let mut create =
            vk::DeviceCreateInfo::default().queue_create_infos(queues).enabled_features(&self.core);
        if self.has_v12 {
            create = create.push_next(&mut self.v11).push_next(&mut self.v12);
        }
        if self.has_v13 {
            create = create.push_next(&mut self.v13);
        }
        if self.matrix.cooperative_matrix == vk::TRUE {
            names.push(khr::cooperative_matrix::NAME.as_ptr());
            create = create.push_next(&mut self.matrix);
        }
        if self.unit_id.shader_sm_builtins == vk::TRUE {
            names.push(nv::shader_sm_builtins::NAME.as_ptr());
            create = create.push_next(&mut self.unit_id);
        }
        if self.clock.shader_device_clock == vk::TRUE {
            names.push(khr::shader_clock::NAME.as_ptr());
            create = create.push_next(&mut self.clock);
        }
        if self.matrix2.flexible_dimensions == vk::TRUE {
            names.push(vkext::NV_COOPERATIVE_MATRIX2.as_ptr());
            create = create.push_next(&mut self.matrix2);
        }
        if self.bfloat16.bfloat16_type == vk::TRUE {
            names.push(vkext::KHR_SHADER_BFLOAT16.as_ptr());
            create = create.push_next(&mut self.bfloat16);
        }
        if self.float8.float8 == vk::TRUE {
            names.push(vkext::EXT_SHADER_FLOAT8.as_ptr());
            create = create.push_next(&mut self.float8);
        }
        let create = create.enabled_extension_names(&names);
        // SAFETY: the physical device is of this instance; features and extensions are ones that it lists; `create` and all
        // it points to live through the call.
        unsafe { instance.raw().create_device(raw, &create, None) }
    }
}
