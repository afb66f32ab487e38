//! Compute pipelines, one for each kernel, made from its WGSL when first asked for.

use std::collections::HashMap;
use std::sync::Arc;

use kernels::{Kernel, Params};
use report::Bytes;

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
        let pipeline = Arc::new(Pipeline::new(&self.logical, kernel, &key.1)?);
        self.made.insert(key, Arc::clone(&pipeline));
        Ok(pipeline)
    }
}

/// Owns a pipeline with its layout.
pub(super) struct Pipeline {
    pub(super) raw: wgpu::ComputePipeline,
    pub(super) groups: wgpu::BindGroupLayout,
}

impl Pipeline {
    fn new(logical: &Logical, kernel: &Kernel, specialization: &[u32]) -> Result<Self, DeviceError> {
        let device = logical.raw();
        let wgsl = kernel.wgsl.ok_or_else(|| DeviceError::Driver {
            doing: "compiling a kernel's WGSL",
            message: format!("kernel `{}` has none: run it through Vulkan", kernel.name),
        })?;
        let module = device.create_shader_module(wgpu::ShaderModuleDescriptor {
            label: Some(kernel.name),
            source: wgpu::ShaderSource::Wgsl(wgsl.into()),
        });
        // Storage buffers first, the parameters last.
        let storage = wgpu::BufferBindingType::Storage { read_only: false };
        let entries: Vec<_> = (0..kernel.bindings)
            .map(|binding| entry(binding, storage))
            .chain([entry(kernel.bindings, wgpu::BufferBindingType::Uniform)])
            .collect();
        let groups = device.create_bind_group_layout(&wgpu::BindGroupLayoutDescriptor {
            label: Some(kernel.name),
            entries: &entries,
        });
        let layout = device.create_pipeline_layout(&wgpu::PipelineLayoutDescriptor {
            label: Some(kernel.name),
            bind_group_layouts: &[Some(&groups)],
            ..Default::default()
        });
        let names: Vec<_> = (0..specialization.len()).map(|id| id.to_string()).collect();
        let constants: Vec<_> =
            names.iter().map(String::as_str).zip(specialization.iter().copied().map(f64::from)).collect();
        let raw = device.create_compute_pipeline(&wgpu::ComputePipelineDescriptor {
            label: Some(kernel.name),
            layout: Some(&layout),
            module: &module,
            entry_point: Some("main"),
            compilation_options: wgpu::PipelineCompilationOptions {
                constants: &constants,
                ..Default::default()
            },
            cache: None,
        });
        logical.check("compiling a kernel's WGSL", Bytes(0))?;
        Ok(Self { raw, groups })
    }
}

fn entry(binding: u32, ty: wgpu::BufferBindingType) -> wgpu::BindGroupLayoutEntry {
    wgpu::BindGroupLayoutEntry {
        binding,
        visibility: wgpu::ShaderStages::COMPUTE,
        ty: wgpu::BindingType::Buffer { ty, has_dynamic_offset: false, min_binding_size: None },
        count: None,
    }
}
