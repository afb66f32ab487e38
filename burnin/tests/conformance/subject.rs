//! The devices that are put to the test.

use burnin::device::cpu::Cpu;
use burnin::device::faulty::{Fault, Faulty};
use burnin::device::vulkan::{self, Vulkan};
use burnin::device::{self, Device};
use report::{Backend, DeviceId};

/// A way to open a device and to look at it when a test is over.
pub(crate) trait Subject {
    type Device: Device;

    fn open() -> Self::Device;

    /// Is all well at the end?
    fn close(_device: Self::Device) {}
}

/// The first device of a backend.
pub(crate) fn first(backend: Backend) -> DeviceId {
    let listed = device::list(backend).expect("listing devices (Debian: libvulkan1)");
    let first = listed.first().unwrap_or_else(|| {
        panic!("backend `{backend}` shows no device: install a driver (Debian: mesa-vulkan-drivers)")
    });
    first.id.clone()
}

/// Vulkan, with the validation layer listening.
pub(crate) struct ValidatedVulkan;

impl Subject for ValidatedVulkan {
    type Device = Vulkan;

    fn open() -> Vulkan {
        vulkan::open_validated(&first(Backend::Vulkan))
            .expect("opening with the validation layer (Debian: vulkan-validationlayers)")
    }

    fn close(device: Vulkan) {
        let messages = device.close();
        assert!(messages.is_empty(), "the validation layer says: {messages:#?}");
    }
}

/// wgpu.
#[cfg(feature = "portable")]
pub(crate) struct Wgpu;

#[cfg(feature = "portable")]
impl Subject for Wgpu {
    type Device = device::portable::Portable;

    fn open() -> Self::Device {
        device::portable::open(&first(Backend::Portable)).expect("opening a device through wgpu")
    }
}

/// The references.
pub(crate) struct Reference;

impl Subject for Reference {
    type Device = Cpu;

    fn open() -> Cpu {
        Cpu::new()
    }
}

/// A device with a fault that never fires: the wrapper itself must change nothing.
pub(crate) struct FaultAtRest;

impl Subject for FaultAtRest {
    type Device = Faulty<Cpu>;

    fn open() -> Faulty<Cpu> {
        Faulty::new(Cpu::new(), Fault::MissingDevice)
    }

    fn close(device: Faulty<Cpu>) {
        assert_eq!(device.fired(), 0);
    }
}
