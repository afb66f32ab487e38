//! The kernels whose loads are what is measured: the chase and the reads of a footprint, against reference and law.

use burnin::device::Device;
use kernels::chain::{Expected, Work};
use kernels::chase::{self, Walk};
use kernels::reread::{self, Reads};
use kernels::{SelfFault, WORKGROUP_SIZE};

use crate::kernels_agree::{FAULTS, Run, stale};

/// The lanes that the law gives; no fault is planted.
fn lawful(expected: &Expected, workgroups: u32) -> Vec<u32> {
    (0..workgroups).flat_map(|workgroup| expected.tile(workgroup).0).collect()
}

pub(crate) fn a_chase_ends_where_its_law_says<D: Device>(device: &mut Option<D>) {
    let device = device.as_mut().unwrap();
    let table = chase::table(0..4096);
    for (nodes, steps, workgroups) in
        [(1, 2, 1), (64, 18, 2), (4096, 1000, 3), (1024, 5002, 1), (64, 131_074, 1)]
    {
        let work = Work { seed: 0xc4a5e ^ steps, steps, workgroups };
        let walk = Walk { work, nodes, first: 0x1234_5677 };
        for fault in FAULTS {
            let buffers = vec![stale(work.lanes()), vec![0; work.groups()], table.clone()];
            let run = Run::new(&chase::KERNEL, buffers, walk.params(fault), workgroups);
            run.agrees(device);
            if fault == SelfFault::None {
                assert_eq!(run.found(device)[0], lawful(&walk.expected(), workgroups), "{walk:?}");
            }
        }
    }
}

pub(crate) fn what_is_read_again_is_what_is_there<D: Device>(device: &mut Option<D>) {
    let device = device.as_mut().unwrap();
    let words: Vec<u32> = (0..1 << 16).map(reread::word).collect();
    let memory =
        [(4096, 64, 5, 2), (1 << 18, 32, 12, 8), (1 << 14, 16, 3, 1)].map(|of| (&reread::MEMORY, of));
    let shared = [(reread::SHARED_BYTES, 64, 6, 2)].map(|of| (&reread::SHARED, of));
    for (kernel, (footprint, steps, workgroups, parts)) in memory.into_iter().chain(shared) {
        let work = Work { seed: 0x2ead ^ steps, steps, workgroups };
        let reads = Reads { work, footprint, parts };
        assert_eq!(reads.cost().bytes, u64::from(workgroups * WORKGROUP_SIZE * steps * reread::LOAD_BYTES));
        for fault in FAULTS {
            let buffers = vec![stale(work.lanes()), vec![0; work.groups()], words.clone()];
            let run = Run::new(kernel, buffers, reads.params(fault), workgroups);
            run.agrees(device);
            if fault == SelfFault::None {
                assert_eq!(run.found(device)[0], lawful(&reads.expected(), workgroups), "{reads:?}");
            }
        }
    }
}
