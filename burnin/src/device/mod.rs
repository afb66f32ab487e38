//! The seam to compute devices: allocate, upload, dispatch, read back, each with a deadline.
//!
//! Four implementations pass one conformance suite (`tests/conformance.rs`): [`vulkan`] is the product, [`portable`]
//! (wgpu) the independent second opinion, [`cpu`] the references, and [`faulty`] wraps any of them and plants faults.
//!
//! Contract. Buffers are arrays of 32-bit words, zero when new. A dispatch runs the kernel `repeat` times in a row, each
//! seeing what the one before wrote, and returns when it is done; repeated no times, it submits its synchronization alone. After [`DeviceError::TimedOut`] or
//! [`DeviceError::Lost`] the device is dead: every further call fails, and dropping it leaks what it holds instead of
//! waiting, since a driver may never come back. The process that owns a dead device should end.
//!
//! What this does not do: several queues, events, images, host-visible device memory.

use std::time::Duration;

use kernels::{Kernel, Params};
use report::{Bytes, DeviceInfo};

pub mod matrix;
pub mod cpu;
pub mod faulty;
pub mod metered;
#[cfg(feature = "portable")]
pub mod portable;
#[allow(unsafe_code, reason = "the only unsafe code of this crate: calls of the Vulkan driver")]
pub mod vulkan;

/// A buffer of a device, by its number.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Buffer(pub(crate) usize);

/// One dispatch of a kernel.
#[derive(Clone, Copy, Debug)]
pub struct Dispatch<'a> {
    /// The kernel.
    pub kernel: &'static Kernel,
    /// One buffer for each of its bindings, in order, all different; for a kernel with a table then those of the table.
    pub buffers: &'a [Buffer],
    /// Its parameters.
    pub params: Params,
    /// Workgroups, 1 to [`kernels::WORKGROUPS_MAX`].
    pub workgroups: u32,
    /// How many times in a row; 0 submits no kernel and waits for that.
    pub repeat: u32,
}

/// A copy between memory of the host, which both sides reach, and the first words of a buffer.
#[derive(Debug)]
pub enum Transfer<'a> {
    /// These words go to the device.
    ToDevice(&'a [u32]),
    /// So many words come from the device.
    ToHost(&'a mut [u32]),
}

impl Transfer<'_> {
    /// How much it copies, once.
    pub fn bytes(&self) -> Bytes {
        let words = match self {
            Self::ToDevice(words) => words.len(),
            Self::ToHost(words) => words.len(),
        };
        Bytes(words as u64 * 4)
    }
}

/// How long a dispatch took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Elapsed {
    /// By the device's timestamps, where it has them.
    pub device: Option<Duration>,
    /// By the host's monotonic clock, from submission to completion.
    pub host: Duration,
}

/// Why a device did not do what it was asked.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DeviceError {
    /// Not done before the deadline: the device hangs.
    #[error("{doing} was not done after {deadline_ms} ms")]
    TimedOut {
        /// What was asked.
        doing: &'static str,
        /// The deadline.
        deadline_ms: u128,
    },
    /// The driver says that the device is lost.
    #[error("the device was lost while {doing}")]
    Lost {
        /// What was asked.
        doing: &'static str,
    },
    /// No memory left.
    #[error("no memory left for {bytes} while {doing}")]
    OutOfMemory {
        /// What was asked.
        doing: &'static str,
        /// How much.
        bytes: Bytes,
    },
    /// The driver refused, with its own words.
    #[error("{doing}: {message}")]
    Driver {
        /// What was asked.
        doing: &'static str,
        /// What the driver said.
        message: String,
    },
    /// There is no such device now.
    #[error("there is no device `{id}`: `burnin list` shows those that there are")]
    Missing {
        /// Its id.
        id: String,
    },
}

/// A compute device. See the module for the contract.
pub trait Device {
    /// What the driver says about it.
    fn info(&self) -> &DeviceInfo;

    /// A new buffer of zeros.
    fn allocate(&mut self, bytes: Bytes) -> Result<Buffer, DeviceError>;

    /// Gives a buffer back.
    ///
    /// # Panics
    /// If it was given back before.
    fn free(&mut self, buffer: Buffer);

    /// Writes words to a buffer, from word `first` on.
    fn upload(
        &mut self,
        buffer: Buffer,
        first: u64,
        words: &[u32],
        deadline: Duration,
    ) -> Result<(), DeviceError>;

    /// Reads words of a buffer, from word `first` on.
    fn read_back(
        &mut self,
        buffer: Buffer,
        first: u64,
        words: &mut [u32],
        deadline: Duration,
    ) -> Result<(), DeviceError>;

    /// Copies `repeat` times in a row between pinned memory of the host and a buffer. The time is that of the copies alone:
    /// the host puts the words there before, or takes them from there after.
    fn transfer(
        &mut self,
        buffer: Buffer,
        transfer: Transfer<'_>,
        repeat: u32,
        deadline: Duration,
    ) -> Result<Elapsed, DeviceError>;

    /// Runs a kernel and waits until it is done.
    fn dispatch(&mut self, dispatch: &Dispatch<'_>, deadline: Duration) -> Result<Elapsed, DeviceError>;

    /// Runs kernels that share no buffer, at the same time where the device can, and waits until all are done. Each goes its
    /// `repeat` rounds; all are in the same round.
    ///
    /// A device that cannot runs one after the other.
    fn dispatch_together(
        &mut self,
        dispatches: &[Dispatch<'_>],
        deadline: Duration,
    ) -> Result<Elapsed, DeviceError> {
        let mut all = Elapsed { device: Some(Duration::ZERO), host: Duration::ZERO };
        for dispatch in dispatches {
            let one = self.dispatch(dispatch, deadline.saturating_sub(all.host))?;
            all.host += one.host;
            all.device = all.device.zip(one.device).map(|(all, one)| all + one);
        }
        Ok(all)
    }
}

/// Forwards the methods of [`Device`] that are named to a field, for a device that wraps another.
#[macro_export]
macro_rules! forward_to_device {
    ($inner:ident: $($method:ident),+ $(,)?) => { $($crate::forward_to_device!(@ $inner $method);)+ };
    (@ $inner:ident info) => {
        fn info(&self) -> &report::DeviceInfo {
            self.$inner.info()
        }
    };
    (@ $inner:ident allocate) => {
        fn allocate(
            &mut self,
            bytes: report::Bytes,
        ) -> Result<$crate::device::Buffer, $crate::device::DeviceError> {
            self.$inner.allocate(bytes)
        }
    };
    (@ $inner:ident free) => {
        fn free(&mut self, buffer: $crate::device::Buffer) {
            self.$inner.free(buffer);
        }
    };
    (@ $inner:ident upload) => {
        fn upload(
            &mut self,
            buffer: $crate::device::Buffer,
            first: u64,
            words: &[u32],
            deadline: std::time::Duration,
        ) -> Result<(), $crate::device::DeviceError> {
            self.$inner.upload(buffer, first, words, deadline)
        }
    };
    (@ $inner:ident read_back) => {
        fn read_back(
            &mut self,
            buffer: $crate::device::Buffer,
            first: u64,
            words: &mut [u32],
            deadline: std::time::Duration,
        ) -> Result<(), $crate::device::DeviceError> {
            self.$inner.read_back(buffer, first, words, deadline)
        }
    };
    (@ $inner:ident transfer) => {
        fn transfer(
            &mut self,
            buffer: $crate::device::Buffer,
            transfer: $crate::device::Transfer<'_>,
            repeat: u32,
            deadline: std::time::Duration,
        ) -> Result<$crate::device::Elapsed, $crate::device::DeviceError> {
            self.$inner.transfer(buffer, transfer, repeat, deadline)
        }
    };
}

impl Device for Box<dyn Device> {
    fn info(&self) -> &DeviceInfo {
        (**self).info()
    }
    fn allocate(&mut self, bytes: Bytes) -> Result<Buffer, DeviceError> {
        (**self).allocate(bytes)
    }
    fn free(&mut self, buffer: Buffer) {
        (**self).free(buffer);
    }
    fn upload(
        &mut self,
        buffer: Buffer,
        first: u64,
        words: &[u32],
        deadline: Duration,
    ) -> Result<(), DeviceError> {
        (**self).upload(buffer, first, words, deadline)
    }
    fn read_back(
        &mut self,
        buffer: Buffer,
        first: u64,
        words: &mut [u32],
        deadline: Duration,
    ) -> Result<(), DeviceError> {
        (**self).read_back(buffer, first, words, deadline)
    }
    fn transfer(
        &mut self,
        buffer: Buffer,
        transfer: Transfer<'_>,
        repeat: u32,
        deadline: Duration,
    ) -> Result<Elapsed, DeviceError> {
        (**self).transfer(buffer, transfer, repeat, deadline)
    }
    fn dispatch(&mut self, dispatch: &Dispatch<'_>, deadline: Duration) -> Result<Elapsed, DeviceError> {
        (**self).dispatch(dispatch, deadline)
    }
    fn dispatch_together(
        &mut self,
        dispatches: &[Dispatch<'_>],
        deadline: Duration,
    ) -> Result<Elapsed, DeviceError> {
        (**self).dispatch_together(dispatches, deadline)
    }
}

/// Does the device offer what a kernel may need?
pub fn offers(info: &DeviceInfo, need: kernels::Feature) -> bool {
    use report::Feature;
    info.features.contains(&match need {
        kernels::Feature::Float16 => Feature::Float16,
        kernels::Feature::Float64 => Feature::Float64,
        kernels::Feature::Int64 => Feature::Int64,
        kernels::Feature::DotProduct => Feature::DotProduct,
        kernels::Feature::Addresses => Feature::Addresses,
        kernels::Feature::Matrix => Feature::Matrix,
        kernels::Feature::UnitId => Feature::UnitId,
        kernels::Feature::ShaderClock => Feature::ShaderClock,
    })
}

/// Devices of a backend, in a stable order.
pub fn list(backend: report::Backend) -> Result<Vec<DeviceInfo>, DeviceError> {
    match backend {
        report::Backend::Vulkan => vulkan::list(),
        #[cfg(feature = "portable")]
        report::Backend::Portable => portable::list(),
        #[cfg(not(feature = "portable"))]
        report::Backend::Portable => Err(left_out()),
        report::Backend::Cpu => Ok(vec![cpu::info()]),
    }
}

/// Opens a device that [`list`] showed.
pub fn open(backend: report::Backend, id: &report::DeviceId) -> Result<Box<dyn Device>, DeviceError> {
    match backend {
        report::Backend::Vulkan => Ok(Box::new(vulkan::open(id)?)),
        #[cfg(feature = "portable")]
        report::Backend::Portable => Ok(Box::new(portable::open(id)?)),
        #[cfg(not(feature = "portable"))]
        report::Backend::Portable => Err(left_out()),
        report::Backend::Cpu if *id == cpu::info().id => Ok(Box::new(cpu::Cpu::new())),
        report::Backend::Cpu => Err(DeviceError::Missing { id: id.0.clone() }),
    }
}

#[cfg(not(feature = "portable"))]
fn left_out() -> DeviceError {
    DeviceError::Driver {
        doing: "opening the portable backend",
        message: "it was left out of this build: use one with the feature `portable`".to_owned(),
    }
}
