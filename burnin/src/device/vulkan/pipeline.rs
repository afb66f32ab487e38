//! Compute pipelines, one for each kernel, made when first asked for.

use std::collections::HashMap;
use std::sync::Arc;

use ash::vk;
use kernels::{Feature, Kernel, Params};

use super::failed;
use super::logical::Logical;
use crate::device::DeviceError;

/// Every pipeline made so far, by the kernel's name and its specialization.
pub(super) struct Pipelines {
    made: HashMap<(&'static str, Vec<u32>), Arc<Pipeline>>,
    logical: Arc<Logical>,
}

impl Pipelines {
    pub(super) fn new(logical: Arc<Logical>) -> Self {
        Self { made: HashMap::new(), logical }
    }

    /// The pipeline of this kernel for these parameters.
    pub(super) fn get(
        &mut self,
        kernel: &'static Kernel,
        params: &Params,
    ) -> Result<Arc<Pipeline>, DeviceError> {
        let key = (kernel.name, kernel.specialization(params).to_vec());
        if let Some(pipeline) = self.made.get(&key) {
            return Ok(Arc::clone(pipeline));
        }
        let pipeline = Arc::new(Pipeline::new(Arc::clone(&self.logical), kernel, &key.1)?);
        self.made.insert(key, Arc::clone(&pipeline));
        Ok(pipeline)
    }
}

/// Owns a pipeline with its layouts.
pub(super) struct Pipeline {
    raw: vk::Pipeline,
    layout: vk::PipelineLayout,
    set_layout: vk::DescriptorSetLayout,
    logical: Arc<Logical>,
}

/// Size of the push constants.
#[expect(clippy::cast_possible_truncation, reason = "48")]
pub(super) const PARAMS_BYTES: u32 = size_of::<Params>() as u32;

impl Pipeline {
    fn new(logical: Arc<Logical>, kernel: &Kernel, specialization: &[u32]) -> Result<Self, DeviceError> {
        let mut pipeline = Self {
            raw: vk::Pipeline::null(),
            layout: vk::PipelineLayout::null(),
            set_layout: vk::DescriptorSetLayout::null(),
            logical,
        };
        pipeline.make_layouts(kernel)?;
        pipeline.make(kernel, specialization)?;
        Ok(pipeline)
    }

    fn make_layouts(&mut self, kernel: &Kernel) -> Result<(), DeviceError> {
        let device = self.logical.raw();
        let bindings: Vec<_> = (0..kernel.bindings + u32::from(kernel.table))
            .map(|binding| {
                vk::DescriptorSetLayoutBinding::default()
                    .binding(binding)
                    .descriptor_type(vk::DescriptorType::STORAGE_BUFFER)
                    .descriptor_count(1)
                    .stage_flags(vk::ShaderStageFlags::COMPUTE)
            })
            .collect();
        let create = vk::DescriptorSetLayoutCreateInfo::default().bindings(&bindings);
        // SAFETY: the device is alive; `create` and `bindings` live through the call.
        self.set_layout = unsafe { device.create_descriptor_set_layout(&create, None) }
            .map_err(failed("creating a descriptor set layout"))?;
        let sets = [self.set_layout];
        let constants =
            [vk::PushConstantRange::default().stage_flags(vk::ShaderStageFlags::COMPUTE).size(PARAMS_BYTES)];
        let create =
            vk::PipelineLayoutCreateInfo::default().set_layouts(&sets).push_constant_ranges(&constants);
        // SAFETY: the set layout is of this device; 48 bytes of push constants are below the 128 that Vulkan guarantees.
        self.layout = unsafe { device.create_pipeline_layout(&create, None) }
            .map_err(failed("creating a pipeline layout"))?;
        Ok(())
    }

    fn make(&mut self, kernel: &Kernel, specialization: &[u32]) -> Result<(), DeviceError> {
        let device = self.logical.raw();
        let words: Vec<u32> =
            kernel.spirv.chunks_exact(4).map(|b| u32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect();
        let create = vk::ShaderModuleCreateInfo::default().code(&words);
        // SAFETY: the code is SPIR-V that our compiler made and the drift test holds to its source.
        let module = unsafe { device.create_shader_module(&create, None) }
            .map_err(failed("loading a kernel's SPIR-V"))?;
        let entries: Vec<_> = (0u32..)
            .zip(specialization)
            .map(|(constant_id, _)| vk::SpecializationMapEntry {
                constant_id,
                offset: constant_id * 4,
                size: 4,
            })
            .collect();
        let values = bytemuck::cast_slice(specialization);
        let constants = vk::SpecializationInfo::default().map_entries(&entries).data(values);
        let mut stage = vk::PipelineShaderStageCreateInfo::default()
            .stage(vk::ShaderStageFlags::COMPUTE)
            .module(module)
            .name(c"main")
            .specialization_info(&constants);
        // Matrices belong to subgroups: each must be full, and of the size that the kernel's shape was chosen for.
        let mut size = vk::PipelineShaderStageRequiredSubgroupSizeCreateInfo::default();
        if kernel.needs.contains(&Feature::Matrix) {
            stage = stage.flags(vk::PipelineShaderStageCreateFlags::REQUIRE_FULL_SUBGROUPS);
            if let Some(required) = self.logical.subgroup_size() {
                size = size.required_subgroup_size(required);
                stage = stage.push_next(&mut size);
            }
        }
        let create = [vk::ComputePipelineCreateInfo::default().stage(stage).layout(self.layout)];
        // SAFETY: module and layout are of this device and fit each other: both follow from the kernel.
        let made = unsafe { device.create_compute_pipelines(vk::PipelineCache::null(), &create, None) };
        // SAFETY: a module may be destroyed once its pipelines are made.
        unsafe { device.destroy_shader_module(module, None) };
        let pipelines = made.map_err(|(_, result)| failed("creating a compute pipeline")(result))?;
        self.raw = pipelines.first().copied().unwrap_or_default();
        Ok(())
    }

    pub(super) fn raw(&self) -> vk::Pipeline {
        self.raw
    }

    pub(super) fn layout(&self) -> vk::PipelineLayout {
        self.layout
    }

    pub(super) fn set_layout(&self) -> vk::DescriptorSetLayout {
        self.set_layout
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        let device = self.logical.raw();
        // SAFETY: of this device, not in use, destroyed once; null where it was never made, which is allowed.
        unsafe { device.destroy_pipeline(self.raw, None) };
        // SAFETY: as above.
        unsafe { device.destroy_pipeline_layout(self.layout, None) };
        // SAFETY: as above.
        unsafe { device.destroy_descriptor_set_layout(self.set_layout, None) };
    }
}
