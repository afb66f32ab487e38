//! Each kernel against its reference, bit for bit.

use std::collections::HashMap;
use std::time::Duration;

use burnin::device::{Device, Dispatch};
use kernels::fp32::Rounding;
use kernels::mix::{digest64, mix32};
use kernels::pattern::{ERROR_WORDS, Errors, Op, Pattern, QUADS_PER_WORKGROUP, Record};
use kernels::{Kernel, Params, SelfFault, digest, fp32, pattern, stream};
use report::Bytes;

const DEADLINE: Duration = Duration::from_secs(60);

/// One dispatch with its buffers as the host sees them.
#[derive(Clone)]
pub(crate) struct Run {
    kernel: &'static Kernel,
    reference: kernels::Reference,
    buffers: Vec<Vec<u32>>,
    params: Params,
    workgroups: u32,
    repeat: u32,
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
        let buffers: Vec<_> = self
            .buffers
            .iter()
            .map(|words| {
                let buffer = device.allocate(Bytes(words.len() as u64 * 4)).unwrap();
                device.upload(buffer, 0, words, DEADLINE).unwrap();
                buffer
            })
            .collect();
        let Self { kernel, params, workgroups, repeat, .. } = *self;
        let dispatch = Dispatch { kernel, buffers: &buffers, params, workgroups, repeat };
        let elapsed = device.dispatch(&dispatch, DEADLINE).unwrap();
        assert!(elapsed.host > Duration::ZERO);
        let read = |(buffer, words): (_, &Vec<u32>)| {
            let mut found = vec![0; words.len()];
            device.read_back(buffer, 0, &mut found, DEADLINE).unwrap();
            device.free(buffer);
            found
        };
        buffers.into_iter().zip(&self.buffers).map(read).collect()
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
fn stale(words: usize) -> Vec<u32> {
    vec![0xdead_beef; words]
}

fn noise(seed: u32, words: usize) -> Vec<u32> {
    (seed..).take(words).map(mix32).collect()
}

/// Steps and workgroups: least, odd, more than the classes, not a power of two, many.
const SHAPES: [(u32, u32); 6] = [(2, 1), (64, 3), (512, 17), (1000, 40), (32, 257), (4, 2049)];

/// In the mantissa: what an infinity or a NaN becomes differs between devices.
const FAULTS: [SelfFault; 5] = [
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

fn pattern_run(work: pattern::Work, memory: Vec<u32>) -> Run {
    Run::new(&pattern::KERNEL, vec![memory, vec![0; ERROR_WORDS]], work.params(), work.workgroups())
}

/// Quads: one, one tile, one more, many, and a last tile that is not full.
const QUADS: [u32; 6] =
    [1, 7, QUADS_PER_WORKGROUP, QUADS_PER_WORKGROUP + 1, 3 * QUADS_PER_WORKGROUP - 1, 40_001];

pub(crate) fn the_pattern_kernel_equals_its_reference<D: Device>(device: &mut Option<D>) {
    let device = device.as_mut().unwrap();
    for quads in QUADS {
        let words = quads * 4;
        for pattern in [Pattern::own_address(0x1234_5678), Pattern::uniform(0xaaaa_5555)] {
            let base_word = 0xffff_fff0;
            let work = |op| pattern::Work { op, pattern, base_word, quads };
            // Three quads more than the dispatch may touch.
            let mut right: Vec<u32> =
                (0..words).map(|word| pattern.value(base_word.wrapping_add(word))).collect();
            right.extend(stale(12));
            pattern_run(work(Op::Write), stale(right.len())).agrees(device);
            pattern_run(work(Op::Verify), right.clone()).agrees(device);
            pattern_run(work(Op::VerifyInvert), right.clone()).agrees(device);
            let last = words - 1;
            pattern_run(work(Op::Flip { word: last, mask: 0x8000_0001 }), right.clone()).agrees(device);
            right[last as usize] ^= 0x8000_0001;
            pattern_run(work(Op::Verify), right.clone()).agrees(device);
            pattern_run(work(Op::VerifyInvert), right).agrees(device);
        }
    }
}

pub(crate) fn more_mismatches_than_records_are_all_counted<D: Device>(device: &mut Option<D>) {
    let device = device.as_mut().unwrap();
    let quads = 5 * QUADS_PER_WORKGROUP + 3;
    let pattern = Pattern::own_address(7);
    for op in [Op::Verify, Op::VerifyInvert] {
        let work = pattern::Work { op, pattern, base_word: 64, quads };
        let mut memory: Vec<u32> = (0..quads * 4).map(|word| pattern.value(64 + word)).collect();
        memory.iter_mut().step_by(97).for_each(|word| *word ^= 0x0000_0110);
        let wrong: HashMap<u32, Record> = (0..quads * 4)
            .step_by(97)
            .map(|word| {
                let (expected, found) = (pattern.value(64 + word), memory[word as usize]);
                (word, Record { word, expected, found, workgroup: word / 4 / QUADS_PER_WORKGROUP })
            })
            .collect();
        assert!(wrong.len() > 64);
        let run = pattern_run(work, memory);
        let (expected, found) = (run.expected(), run.found(device));
        assert!(expected[0] == found[0], "memory after {op:?}");
        assert_eq!(expected[1][..4], found[1][..4]);
        let errors = Errors::from_words(&found[1]);
        assert_eq!((errors.count, errors.bits), (wrong.len() as u64, 0x110));
        assert_eq!(errors.records.len(), 64);
        assert!(errors.records.iter().all(|record| wrong.get(&record.word) == Some(record)));
        let mut words: Vec<_> = errors.records.iter().map(|record| record.word).collect();
        words.dedup();
        assert_eq!(words.len(), 64, "each record another word");
    }
}

pub(crate) fn the_stream_kernel_equals_its_reference<D: Device>(device: &mut Option<D>) {
    let device = device.as_mut().unwrap();
    for workgroups in [1, 3, 37, 300] {
        for op in [stream::Op::Read, stream::Op::Write, stream::Op::Copy] {
            let work = stream::Work { op, quads: workgroups * QUADS_PER_WORKGROUP };
            // A quad more than the dispatch may touch.
            let words = work.quads as usize * 4 + 4;
            let buffers = vec![noise(workgroups, words), stale(words), vec![0; work.sums()]];
            Run::new(&stream::KERNEL, buffers, work.params(), workgroups).agrees(device);
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

    // Every second inverting sweep finds every word wrong: so few words that no record is left out.
    let work =
        pattern::Work { op: Op::VerifyInvert, pattern: Pattern::uniform(5), base_word: 0, quads: 100_000 };
    for (repeat, wrong) in [(2, 400_000), (3, 800_000), (9, 3_200_000)] {
        let mut run = pattern_run(work, vec![5; 400_000]);
        run.repeat = repeat;
        let (expected, found) = (run.expected(), run.found(device));
        assert!(expected[0] == found[0], "memory after {repeat} sweeps");
        assert_eq!(expected[1][..4], found[1][..4]);
        assert_eq!(found[1][1], wrong);
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
