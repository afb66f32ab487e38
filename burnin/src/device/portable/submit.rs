//! One dispatch at a time: bind, encode, submit, wait, read the timestamps.

use std::sync::Arc;
use std::time::Duration;

use kernels::Params;
use report::Bytes;
use wgpu::BufferUsages;

use super::logical::Logical;
use super::memory;
use super::pipeline::Pipeline;
use crate::device::{DeviceError, Dispatch, Elapsed};

/// Owns what a dispatch needs beside its buffers.
pub(super) struct Submitter {
    params: wgpu::Buffer,
    timer: Option<Timer>,
    logical: Arc<Logical>,
}

/// Two timestamps around a pass, and the way by which the host gets them.
struct Timer {
    queries: wgpu::QuerySet,
    resolved: wgpu::Buffer,
    mapped: wgpu::Buffer,
}

/// Bytes of two timestamps.
const TICKS: u64 = 16;

impl Submitter {
    pub(super) fn new(logical: Arc<Logical>) -> Result<Self, DeviceError> {
        let usage = BufferUsages::UNIFORM | BufferUsages::COPY_DST;
        let params = memory::create(&logical, size_of::<Params>() as u64, usage);
        let timer = logical.timed().then(|| Timer {
            queries: logical.raw().create_query_set(&wgpu::QuerySetDescriptor {
                label: None,
                ty: wgpu::QueryType::Timestamp,
                count: 2,
            }),
            resolved: memory::create(&logical, TICKS, BufferUsages::QUERY_RESOLVE | BufferUsages::COPY_SRC),
            mapped: memory::create(&logical, TICKS, BufferUsages::MAP_READ | BufferUsages::COPY_DST),
        });
        logical.check("making what a dispatch needs", Bytes(TICKS))?;
        Ok(Self { params, timer, logical })
    }

    /// Runs a kernel `repeat` times in one pass; wgpu orders dispatches that write one buffer.
    pub(super) fn dispatch(
        &self,
        pipeline: &Pipeline,
        buffers: &[&wgpu::Buffer],
        dispatch: &Dispatch<'_>,
        deadline: Duration,
    ) -> Result<Elapsed, DeviceError> {
        let logical = &self.logical;
        logical.queue().write_buffer(&self.params, 0, bytemuck::cast_slice(&dispatch.params));
        let group = self.bind(pipeline, buffers);
        let mut encoder = logical.encoder();
        let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor {
            label: Some(dispatch.kernel.name),
            timestamp_writes: self.timer.as_ref().map(|timer| wgpu::ComputePassTimestampWrites {
                query_set: &timer.queries,
                beginning_of_pass_write_index: Some(0),
                end_of_pass_write_index: Some(1),
            }),
        });
        pass.set_pipeline(&pipeline.raw);
        pass.set_bind_group(0, &group, &[]);
        for _ in 0..dispatch.repeat {
            pass.dispatch_workgroups(dispatch.workgroups, 1, 1);
        }
        drop(pass);
        if let Some(timer) = &self.timer {
            encoder.resolve_query_set(&timer.queries, 0..2, &timer.resolved, 0);
            encoder.copy_buffer_to_buffer(&timer.resolved, 0, &timer.mapped, 0, TICKS);
        }
        let host = logical.run("running a kernel", deadline, encoder)?;
        let device = self.timer.as_ref().map(|timer| timer.elapsed(logical)).transpose()?;
        Ok(Elapsed { device, host })
    }

    fn bind(&self, pipeline: &Pipeline, buffers: &[&wgpu::Buffer]) -> wgpu::BindGroup {
        let entries: Vec<_> = (0u32..)
            .zip(buffers.iter().copied().chain([&self.params]))
            .map(|(binding, buffer)| wgpu::BindGroupEntry { binding, resource: buffer.as_entire_binding() })
            .collect();
        self.logical.raw().create_bind_group(&wgpu::BindGroupDescriptor {
            label: None,
            layout: &pipeline.groups,
            entries: &entries,
        })
    }
}

impl Timer {
    fn elapsed(&self, logical: &Logical) -> Result<Duration, DeviceError> {
        let mut ticks = [0u64; 2];
        memory::read(logical, &self.mapped, bytemuck::cast_slice_mut(&mut ticks))?;
        #[expect(clippy::cast_precision_loss, reason = "a window has far fewer than 2^53 ticks")]
        let passed = ticks[1].saturating_sub(ticks[0]) as f64;
        Ok(Duration::from_secs_f64(passed * f64::from(logical.queue().get_timestamp_period()) * 1e-9))
    }
}
