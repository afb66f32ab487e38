//! Two clocks that agree.

use std::time::Duration;

use burnin::device::{Device, Dispatch};
use kernels::{SelfFault, digest};
use report::Bytes;

pub(crate) fn host_and_device_time_agree<D: Device>(device: &mut Option<D>) {
    let device = device.as_mut().unwrap();
    let mut work = digest::Work { seed: 1, steps: 512, workgroups: 256 };
    let bytes = |words: usize| Bytes(words as u64 * 4);
    let buffers =
        [device.allocate(bytes(work.lanes())).unwrap(), device.allocate(bytes(work.groups())).unwrap()];
    let elapsed = loop {
        let dispatch = Dispatch {
            kernel: &digest::KERNEL,
            buffers: &buffers,
            params: work.params(SelfFault::None),
            workgroups: work.workgroups,
            repeat: 1,
        };
        let elapsed = device.dispatch(&dispatch, Duration::from_secs(60)).unwrap();
        assert!(elapsed.host > Duration::ZERO);
        if elapsed.host >= Duration::from_millis(50) {
            break elapsed;
        }
        work.steps *= 2;
    };
    assert_eq!(elapsed.device.is_some(), device.info().timestamps);
    if let Some(by_device) = elapsed.device {
        // The host's time contains the device's; its clock may run a little slow.
        assert!(by_device <= elapsed.host.mul_f64(1.5), "{elapsed:?}");
        // A lower bound would time the machine's load; this one finds a wrong unit or a pass that was not timed.
        assert!(by_device >= elapsed.host / 20, "{elapsed:?}");
    }
}

pub(crate) fn a_dispatch_of_no_repeats_submits_and_changes_nothing<D: Device>(device: &mut Option<D>) {
    let device = device.as_mut().unwrap();
    let work = digest::Work { seed: 3, steps: 0, workgroups: 2 };
    let buffers = [work.lanes(), work.groups()].map(|n| device.allocate(Bytes(n as u64 * 4)).unwrap());
    let mut counted = Vec::new();
    for repeat in [0, 1, 0, 3, 0] {
        let dispatch = Dispatch {
            kernel: &digest::KERNEL,
            buffers: &buffers,
            params: work.params(SelfFault::None),
            workgroups: work.workgroups,
            repeat,
        };
        let elapsed = device.dispatch(&dispatch, Duration::from_secs(60)).unwrap();
        assert!(elapsed.host > Duration::ZERO);
        let mut groups = vec![0; work.groups()];
        device.read_back(buffers[1], 0, &mut groups, Duration::from_secs(60)).unwrap();
        counted.push(groups[0]);
    }
    assert_eq!(counted, [0, 2, 2, 8, 8]);
}
