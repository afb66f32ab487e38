//! Each kernel against its reference, bit for bit.

use std::time::Duration;

use burnin::device::{Device, Dispatch};
use kernels::fp32::Rounding;
use kernels::memory::errors::HEADER_WORDS;
use kernels::memory::{ERROR_WORDS, Errors, Op, Order, Span, TILE_WORDS, Values};
use kernels::mix::{digest64, mix32};
use kernels::{Kernel, Params, SelfFault, digest, fp32, memory};
use report::Bytes;

const DEADLINE: Duration = Duration::from_secs(60);

/// One dispatch with its buffers as the host sees them.
#[derive(Clone)]
pub(crate) struct Run {
    pub(crate) kernel: &'static Kernel,
    pub(crate) reference: kernels::Reference,
    pub(crate) buffers: Vec<Vec<u32>>,
    pub(crate) params: Params,
    pub(crate) workgroups: u32,
    pub(crate) repeat: u32,
}

impl Run {
    pub(crate) fn new(
        kernel: &'static Kernel,
        buffers: Vec<Vec<u32>>,
        params: Params,
        workgroups: u32,
    ) -> Self {
        Self { kernel, reference: kernel.reference, buffers, params, workgroups, repeat: 1 }
    }

    /// The buffers as the reference leaves them.
    pub(crate) fn expected(&self) -> Vec<Vec<u32>> {
        let mut buffers = self.buffers.clone();
        for _ in 0..self.repeat {
            let mut slices: Vec<_> = buffers.iter_mut().map(Vec::as_mut_slice).collect();
            (self.reference)(&mut slices, &self.params, 0..self.workgroups);
        }
        buffers
    }

    /// The buffers as the device leaves them.
    pub(crate) fn found(&self, device: &mut impl Device) -> Vec<Vec<u32>> {
        Self::act(std::slice::from_ref(self), device).0.swap_remove(0)
    }

    /// How long it takes, by the device's clock where there is one.
    pub(crate) fn time(&self, device: &mut impl Device) -> Duration {
        Self::act(std::slice::from_ref(self), device).1
    }

    /// The buffers of each as the device leaves them when all run at once.
    fn found_together(runs: &[Self], device: &mut impl Device) -> Vec<Vec<Vec<u32>>> {
        Self::act(runs, device).0
    }

    fn act(runs: &[Self], device: &mut impl Device) -> (Vec<Vec<Vec<u32>>>, Duration) {
        let upload = |words: &Vec<u32>| {
            let buffer = device.allocate(Bytes(words.len() as u64 * 4)).unwrap();
            device.upload(buffer, 0, words, DEADLINE).unwrap();
            buffer
        };
        let buffers: Vec<Vec<_>> = {
            let mut upload = upload;
            runs.iter().map(|run| run.buffers.iter().map(&mut upload).collect()).collect()
        };
        let dispatches: Vec<_> = runs
            .iter()
            .zip(&buffers)
            .map(|(run, buffers)| {
                let Self { kernel, params, workgroups, repeat, .. } = *run;
                Dispatch { kernel, buffers, params, workgroups, repeat }
            })
            .collect();
        let elapsed = device.dispatch_together(&dispatches, DEADLINE).unwrap();
        assert!(elapsed.host > Duration::ZERO);
        let mut read = |(buffer, words): (&_, &Vec<u32>)| {
            let mut found = vec![0; words.len()];
            device.read_back(*buffer, 0, &mut found, DEADLINE).unwrap();
            device.free(*buffer);
            found
        };
        let found = runs
            .iter()
            .zip(&buffers)
            .map(|(run, buffers)| buffers.iter().zip(&run.buffers).map(&mut read).collect())
            .collect();
        (found, elapsed.device.unwrap_or(elapsed.host))
    }

    #[track_caller]
    pub(crate) fn agrees(&self, device: &mut impl Device) {
        let (expected, found) = (self.expected(), self.found(device));
        for (binding, (expected, found)) in expected.iter().zip(&found).enumerate() {
            let wrong = expected.iter().zip(found).position(|(expected, found)| expected != found);
            if let Some(at) = wrong {
                panic!(
                    "kernel `{}`, {} workgroups, parameters {:x?}: word {at} of buffer {binding} is {:#010x}, expected {:#010x}",
                    self.kernel.name, self.workgroups, self.params, found[at], expected[at]
                );
            }
        }
    }
}

/// Words that no kernel writes by chance.
pub(crate) fn stale(words: usize) -> Vec<u32> {
    vec![0xdead_beef; words]
}

fn noise(seed: u32, words: usize) -> Vec<u32> {
    (seed..).take(words).map(mix32).collect()
}

/// Steps and workgroups: least, odd, more than the classes, not a power of two, many.
const SHAPES: [(u32, u32); 6] = [(2, 1), (64, 3), (512, 17), (1000, 40), (32, 257), (4, 2049)];

/// In the mantissa: what an infinity or a NaN becomes differs between devices.
pub(crate) const FAULTS: [SelfFault; 5] = [
    SelfFault::None,
    SelfFault::Flip { workgroup: 0, lane: 0, mask: 1 },
    SelfFault::Flip { workgroup: 2, lane: 63, mask: 0x0040_0001 },
    SelfFault::StuckLane { lane: 0, mask: 1 << 7 },
    SelfFault::StuckLane { lane: 31, mask: 0x0010_0000 },
];

fn digest_run(work: digest::Work, fault: SelfFault) -> Run {
    let buffers = vec![stale(work.lanes()), vec![0; work.groups()]];
    Run::new(&digest::KERNEL, buffers, work.params(fault), work.workgroups)
}

pub(crate) fn the_digest_kernel_equals_its_reference<D: Device>(device: &mut Option<D>) {
    let device = device.as_mut().unwrap();
    for (steps, workgroups) in SHAPES {
        for fault in FAULTS {
            digest_run(digest::Work { seed: 0x5eed ^ steps, steps, workgroups }, fault).agrees(device);
        }
    }
}

fn fp32_run(work: fp32::Work, fault: SelfFault, rounding: Rounding) -> Run {
    let buffers = vec![stale(work.lanes()), vec![0; work.groups()]];
    let run = Run::new(&fp32::KERNEL, buffers, work.params(fault), work.workgroups);
    let reference: kernels::Reference = match rounding {
        Rounding::Fused => run.reference,
        Rounding::Separate => |buffers, params, workgroups| {
            fp32::reference::run_rounded(buffers, params, workgroups, Rounding::Separate);
        },
    };
    Run { reference, ..run }
}

pub(crate) fn the_fp32_kernel_rounds_one_way_throughout<D: Device>(device: &mut Option<D>) {
    let device = device.as_mut().unwrap();
    let mut ways: Vec<(Rounding, fp32::Work)> = Vec::new();
    for (steps, workgroups) in SHAPES {
        let work = fp32::Work { seed: 0xf32 ^ workgroups, steps, workgroups };
        let lanes = digest64(fp32_run(work, SelfFault::None, Rounding::Fused).found(device).swap_remove(0));
        let expected = |rounding| fp32::expected(&work, rounding).digest(workgroups);
        let (fused, separate) = (expected(Rounding::Fused), expected(Rounding::Separate));
        assert!(lanes == fused || lanes == separate, "{work:?} is rounded neither way");
        // Few steps may come out the same both ways.
        if fused != separate {
            ways.push((if lanes == fused { Rounding::Fused } else { Rounding::Separate }, work));
        }
    }
    let rounding = ways.first().expect("works that tell the two ways apart").0;
    assert!(ways.iter().all(|(way, _)| *way == rounding), "both ways: {ways:?}");
    eprintln!("{} rounds fp32: {rounding:?}", device.info().name);
    for (steps, workgroups) in SHAPES {
        for fault in FAULTS {
            fp32_run(fp32::Work { seed: 0xf32, steps, workgroups }, fault, rounding).agrees(device);
        }
    }
}

pub(crate) fn every_dispatch_has_its_own_parameters<D: Device>(device: &mut Option<D>) {
    let device = device.as_mut().unwrap();
    for seed in 0..100 {
        let workgroups = 1 + seed % 7;
        digest_run(digest::Work { seed, steps: 2 + 2 * (seed % 3), workgroups }, SelfFault::None)
            .agrees(device);
    }
}

pub(crate) fn repeated_dispatches_see_what_the_one_before_wrote<D: Device>(device: &mut Option<D>) {
    let device = device.as_mut().unwrap();
    let mut run = digest_run(digest::Work { seed: 3, steps: 16, workgroups: 33 }, SelfFault::None);
    run.repeat = 3;
    run.agrees(device);
    assert_eq!(run.found(device)[1][0], 3 * 33);

    // Every second inverting sweep finds every word wrong; which of them are recorded is the device's own.
    for (repeat, wrong_sweeps) in [(2, 1), (3, 2), (9, 8)] {
        let mut run = sweep_run(Op::VerifyInvert, 3, vec![5; 3 * TILE_WORDS as usize]);
        run.repeat = repeat;
        let (expected, found) = (run.expected(), run.found(device));
        assert!(expected[1] == found[1], "memory after {repeat} sweeps");
        assert_eq!(expected[0][..HEADER_WORDS], found[0][..HEADER_WORDS]);
        assert_eq!(Errors::from_words(&found[0]).count, wrong_sweeps * 3 * TILE_WORDS);
    }
}

/// A sweep over so many tiles of fives.
fn sweep_run(op: Op, tiles: u32, memory: Vec<u32>) -> Run {
    let span = Span { first: 0, tiles, base: 0, chunk_tiles: tiles, region_tiles: 1 };
    let work = memory::Work { op, values: Values::uniform(5), order: Order::Forward, tiles_each: 1, span };
    Run::new(&memory::BOUND, vec![vec![0; ERROR_WORDS], memory], work.params(), work.workgroups())
}

pub(crate) fn kernels_that_run_together_answer_as_they_do_alone<D: Device>(device: &mut Option<D>) {
    let device = device.as_mut().unwrap();
    let work = digest::Work { seed: 77, steps: 512, workgroups: 40 };
    let words = TILE_WORDS as usize;
    let mut runs = [
        digest_run(work, SelfFault::None),
        sweep_run(Op::VerifyInvert, 3, vec![5; 3 * words]),
        sweep_run(Op::Copy { tiles: 2 }, 2, noise(5, 4 * words)),
    ];
    // Some go on when others have ended.
    for (run, repeat) in runs.iter_mut().zip([3, 1, 2]) {
        run.repeat = repeat;
    }
    let found = Run::found_together(&runs, device);
    for (run, found) in runs.iter().zip(found) {
        assert!(run.expected() == found, "kernel `{}` in company", run.kernel.name);
    }
}

/// The work whose digest every conforming device must give.
#[cfg(feature = "portable")]
const CANONICAL: digest::Work = digest::Work { seed: 0xa55a_0001, steps: 4096, workgroups: 1021 };

#[cfg(feature = "portable")]
fn canonical_digest(device: &mut impl Device) -> u64 {
    let found = digest_run(CANONICAL, SelfFault::None).found(device);
    assert_eq!(found[1][0], CANONICAL.workgroups);
    digest64(found[0].iter().copied())
}

#[test]
#[cfg(feature = "portable")]
fn vulkan_portable_and_cpu_give_the_same_digests() {
    use crate::subject::{Reference, Subject, ValidatedVulkan, Wgpu};
    let expected = digest::expected(&CANONICAL).digest(CANONICAL.workgroups);
    assert_eq!(canonical_digest(&mut Reference::open()), expected);
    assert_eq!(canonical_digest(&mut ValidatedVulkan::open()), expected);
    assert_eq!(canonical_digest(&mut Wgpu::open()), expected);
}
