//! The wgpu device and its queue. Every wait has a deadline, and no error of wgpu becomes a panic of ours.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use report::Bytes;

use super::adapter::{Adapter, OFFERED};
use crate::clock::{Clock, MonotonicClock};
use crate::device::DeviceError;

/// Owns device and queue.
pub(super) struct Logical {
    raw: wgpu::Device,
    queue: wgpu::Queue,
    timed: bool,
    faults: Arc<Faults>,
    clock: MonotonicClock,
}

/// What wgpu reported from its callbacks and nobody has asked for yet.
#[derive(Default)]
struct Faults {
    lost: AtomicBool,
    first: Mutex<Option<wgpu::Error>>,
}

impl Logical {
    /// Opens the adapter with all that it can hold and, where it has them, timestamps.
    pub(super) fn new(adapter: &Adapter) -> Result<Self, DeviceError> {
        let descriptor = wgpu::DeviceDescriptor {
            label: Some("assay"),
            required_features: adapter.raw.features()
                & OFFERED.iter().fold(wgpu::Features::TIMESTAMP_QUERY, |all, (one, _)| all | *one),
            required_limits: adapter.raw.limits(),
            // Few large buffers: pools of blocks would take memory that a memory check wants to see.
            memory_hints: wgpu::MemoryHints::MemoryUsage,
            ..Default::default()
        };
        let (raw, queue) = pollster::block_on(adapter.raw.request_device(&descriptor)).map_err(|error| {
            DeviceError::Driver { doing: "opening the device", message: error.to_string() }
        })?;
        let faults = Arc::new(Faults::default());
        let sink = Arc::clone(&faults);
        raw.on_uncaptured_error(Arc::new(move |error| {
            tracing::error!(%error, "wgpu");
            sink.first.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert(error);
        }));
        let sink = Arc::clone(&faults);
        raw.set_device_lost_callback(move |_, _| sink.lost.store(true, Ordering::Release));
        Ok(Self { raw, queue, timed: adapter.info.timestamps, faults, clock: MonotonicClock::start() })
    }

    pub(super) fn raw(&self) -> &wgpu::Device {
        &self.raw
    }

    pub(super) fn queue(&self) -> &wgpu::Queue {
        &self.queue
    }

    /// Has it timestamps?
    pub(super) fn timed(&self) -> bool {
        self.timed
    }

    /// The first fault that wgpu has reported since the last time this was asked.
    pub(super) fn check(&self, doing: &'static str, bytes: Bytes) -> Result<(), DeviceError> {
        if self.faults.lost.load(Ordering::Acquire) {
            return Err(DeviceError::Lost { doing });
        }
        match self.faults.first.lock().unwrap_or_else(PoisonError::into_inner).take() {
            None => Ok(()),
            Some(wgpu::Error::OutOfMemory { .. }) => Err(DeviceError::OutOfMemory { doing, bytes }),
            Some(other) => Err(DeviceError::Driver { doing, message: other.to_string() }),
        }
    }

    /// An encoder for [`Self::run`].
    pub(super) fn encoder(&self) -> wgpu::CommandEncoder {
        self.raw.create_command_encoder(&wgpu::CommandEncoderDescriptor::default())
    }

    /// Submits what was encoded, and all writes queued before, and waits; the host's time from submission to completion.
    pub(super) fn run(
        &self,
        doing: &'static str,
        deadline: Duration,
        encoder: wgpu::CommandEncoder,
    ) -> Result<Duration, DeviceError> {
        let commands = encoder.finish();
        // What is malformed must not be submitted: the submission would be refused, and there would be nothing to wait for.
        self.check(doing, Bytes(0))?;
        let start = self.clock.now();
        let index = self.queue.submit([commands]);
        self.check(doing, Bytes(0))?;
        let wait = wgpu::PollType::Wait { submission_index: Some(index), timeout: Some(deadline) };
        self.poll(doing, deadline, wait)?;
        Ok(self.clock.now() - start)
    }

    /// Lets wgpu give back what is no longer used, and call back what is due.
    pub(super) fn collect(&self) -> Result<(), DeviceError> {
        self.poll("giving memory back", Duration::ZERO, wgpu::PollType::Poll)
    }

    fn poll(&self, doing: &'static str, deadline: Duration, how: wgpu::PollType) -> Result<(), DeviceError> {
        // wgpu 30 panics when the driver says, in a wait, that the device is lost (`Device::poll` ends in
        // `handle_error_fatal`). What was half done then is of no interest: the caller forgets all of it.
        match catch_unwind(AssertUnwindSafe(|| self.raw.poll(how))) {
            Ok(Ok(_)) => self.check(doing, Bytes(0)),
            Ok(Err(wgpu::PollError::Timeout)) => {
                Err(DeviceError::TimedOut { doing, deadline_ms: deadline.as_millis() })
            }
            Ok(Err(other)) => Err(DeviceError::Driver { doing, message: other.to_string() }),
            Err(_) => Err(DeviceError::Lost { doing }),
        }
    }
}
