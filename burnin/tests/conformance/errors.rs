//! What goes wrong is told as what it is.

use std::time::Duration;

use burnin::clock::{Clock, MonotonicClock};
use burnin::device::{self, Device, DeviceError, Dispatch};
use kernels::memory::{ERROR_WORDS, Op, Order, Span, Values};
use kernels::{SelfFault, fp32, memory};
use report::{Backend, Bytes, DeviceId};

use crate::subject::{Subject, ValidatedVulkan};

pub(crate) fn a_passed_deadline_kills_the_device_and_dropping_it_returns_at_once<D: Device>(
    device: &mut Option<D>,
) {
    let mut owned = device.take().unwrap();
    // 1 TFLOP: most of a minute on two cores, ten milliseconds and more on the fastest GPU. The references do each workgroup's
    // like work once, in less than two seconds, and cannot be interrupted.
    let work = fp32::Work { seed: 1, steps: 1 << 16, workgroups: 4096 };
    let bytes = |words: usize| Bytes(words as u64 * 4);
    let buffers =
        [owned.allocate(bytes(work.lanes())).unwrap(), owned.allocate(bytes(work.groups())).unwrap()];
    let dispatch = Dispatch {
        kernel: &fp32::KERNEL,
        buffers: &buffers,
        params: work.params(SelfFault::None),
        workgroups: work.workgroups,
        repeat: 1,
    };
    let clock = MonotonicClock::start();
    let late = owned.dispatch(&dispatch, Duration::from_millis(1)).unwrap_err();
    assert!(matches!(late, DeviceError::TimedOut { deadline_ms: 1, .. }), "{late:?}");

    let lost = |outcome: Result<(), DeviceError>| {
        assert!(matches!(outcome, Err(DeviceError::Lost { .. })), "{outcome:?}");
    };
    let second = Duration::from_secs(1);
    lost(owned.dispatch(&dispatch, second).map(|_| ()));
    lost(owned.allocate(Bytes(4)).map(|_| ()));
    lost(owned.upload(buffers[0], 0, &[1], second));
    lost(owned.read_back(buffers[0], 0, &mut [1], second));
    owned.free(buffers[0]);
    drop(owned);
    assert!(clock.now() < Duration::from_secs(10), "a dead device took {:?}", clock.now());
}

pub(crate) fn a_listed_device_is_what_it_was_listed_as<D: Device>(device: &mut Option<D>) {
    let info = device.as_ref().unwrap().info();
    let listed = device::list(info.backend).unwrap();
    assert!(listed.contains(info), "{info:#?} is not in {listed:#?}");
    assert_eq!(device::list(info.backend).unwrap(), listed);
    let mut ids: Vec<_> = listed.iter().map(|info| &info.id).collect();
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), listed.len());
    assert!(info.memory_bytes.0 > 0 && info.binding_bytes_max.0 > 0 && !info.driver.is_empty());
}

fn assert_missing(backend: Backend) {
    let missing = device::open(backend, &DeviceId("no-such-device".to_owned())).err();
    assert_eq!(missing, Some(DeviceError::Missing { id: "no-such-device".to_owned() }));
}

#[test]
fn an_id_that_vulkan_does_not_show_is_missing() {
    assert_missing(Backend::Vulkan);
}

#[test]
#[cfg(feature = "portable")]
fn an_id_that_wgpu_does_not_show_is_missing() {
    assert_missing(Backend::Portable);
}

#[test]
fn an_id_that_is_not_the_processor_is_missing() {
    assert_missing(Backend::Cpu);
}

/// A sweep over more than one binding may show.
fn beyond_the_binding(device: &mut impl Device) -> Result<(), DeviceError> {
    let bytes = Bytes(device.info().binding_bytes_max.0 + 4096);
    let buffers = [device.allocate(Bytes(ERROR_WORDS as u64 * 4))?, device.allocate(bytes)?];
    let span = Span { first: 0, tiles: 1, base: 0, chunk_tiles: 1, region_tiles: 1 };
    let values = Values::uniform(1);
    let work = memory::Work { op: Op::Write, values, order: Order::Forward, tiles_each: 1, span };
    let dispatch = Dispatch {
        kernel: &memory::BOUND,
        buffers: &buffers,
        params: work.params(),
        workgroups: work.workgroups(),
        repeat: 1,
    };
    device.dispatch(&dispatch, Duration::from_secs(60)).map(|_| ())
}

/// The positive control of every other Vulkan test: messages do arrive.
#[test]
fn the_validation_layer_reports_a_descriptor_beyond_the_limit() {
    let mut device = ValidatedVulkan::open();
    // The driver may take it; the specification does not.
    let _ = beyond_the_binding(&mut device);
    let messages = device.close();
    assert!(messages.iter().any(|message| message.contains("maxStorageBufferRange")), "{messages:#?}");
}

#[test]
#[cfg(feature = "portable")]
fn wgpu_refuses_a_binding_beyond_the_limit_and_goes_on() {
    let mut device = crate::subject::Wgpu::open();
    let refused = beyond_the_binding(&mut device).unwrap_err();
    assert!(matches!(refused, DeviceError::Driver { .. }), "{refused:?}");
    device.allocate(Bytes(64)).unwrap();
}
