use kernels::{SelfFault, digest, fp32};

use super::*;
use crate::device::cpu::Cpu;

fn faulty(fault: Fault) -> (Faulty<Cpu>, [Buffer; 2]) {
    let mut device = Faulty::new(Cpu::new(), fault);
    let buffers = [(); 2].map(|()| device.allocate(Bytes::mib(1)).unwrap());
    (device, buffers)
}

fn digest_work(seed: u32, fault: SelfFault) -> (&'static kernels::Kernel, kernels::Params) {
    (&digest::KERNEL, digest::Work { seed, steps: 16, workgroups: 4 }.params(fault))
}

fn fp32_work(seed: u32, fault: SelfFault) -> (&'static kernels::Kernel, kernels::Params) {
    (&fp32::KERNEL, fp32::Work { seed, steps: 16, workgroups: 4 }.params(fault))
}

/// The lanes that a dispatch of four workgroups gives.
fn lanes(
    device: &mut dyn Device,
    buffers: [Buffer; 2],
    (kernel, params): (&'static kernels::Kernel, kernels::Params),
) -> Result<Vec<u32>, DeviceError> {
    let dispatch = Dispatch { kernel, buffers: &buffers, params, workgroups: 4, repeat: 1 };
    device.dispatch(&dispatch, DEADLINE)?;
    let mut words = vec![0; 4 * TILE];
    device.read_back(buffers[0], 0, &mut words, DEADLINE)?;
    Ok(words)
}

/// What a device without a fault gives.
fn right(work: (&'static kernels::Kernel, kernels::Params)) -> Vec<u32> {
    let mut cpu = Cpu::new();
    let buffers = [(); 2].map(|()| cpu.allocate(Bytes::mib(1)).unwrap());
    lanes(&mut cpu, buffers, work).unwrap()
}

/// Lanes that are wrong after so many dispatches, with their wrong bits.
fn wrong(
    device: &mut dyn Device,
    buffers: [Buffer; 2],
    work: (&'static kernels::Kernel, kernels::Params),
) -> Vec<(usize, u32)> {
    let (found, right) = (lanes(device, buffers, work).unwrap(), right(work));
    let pairs = found.iter().zip(&right).map(|(found, right)| found ^ right);
    pairs.enumerate().filter(|(_, bits)| *bits != 0).collect()
}

#[test]
fn a_wrong_word_is_wrong_once_and_at_its_place() {
    let (mut device, buffers) = faulty(Fault::WrongWord);
    for seed in 0..6 {
        let expected = if seed == HIT { vec![(23, WRONG_BITS)] } else { vec![] };
        assert_eq!(wrong(&mut device, buffers, digest_work(seed, SelfFault::None)), expected, "{seed}");
    }
    assert_eq!(device.fired(), 1);
}

#[test]
fn a_stuck_lane_stays_stuck() {
    let (mut device, buffers) = faulty(Fault::StuckLane);
    for seed in 0..6 {
        let wrong = wrong(&mut device, buffers, digest_work(seed, SelfFault::None));
        assert_eq!(wrong.is_empty(), seed < HIT, "{seed}");
        assert!(wrong.iter().all(|(lane, _)| lane % 32 == 13), "{wrong:?}");
    }
    assert_eq!(device.fired(), 3);
}

#[test]
fn a_stale_tile_is_that_of_the_dispatch_before() {
    let (mut device, buffers) = faulty(Fault::StaleTile);
    for seed in 0..6 {
        let found = lanes(&mut device, buffers, fp32_work(seed, SelfFault::None)).unwrap();
        let source = if seed == HIT { seed - 1 } else { seed };
        assert_eq!(found[..TILE], right(fp32_work(source, SelfFault::None))[..TILE], "{seed}");
        assert_eq!(found[TILE..], right(fp32_work(seed, SelfFault::None))[TILE..], "{seed}");
    }
    assert_eq!(device.fired(), 1);
}

#[test]
fn a_slow_kernel_gives_right_answers_and_takes_its_time() {
    let (mut device, buffers) = faulty(Fault::SlowKernel);
    for seed in 0..SLOW_FROM[0] + SLOW.1 + 2 {
        assert_eq!(wrong(&mut device, buffers, fp32_work(seed, SelfFault::None)), []);
    }
    assert_eq!(device.fired(), SLOW.1);
}

#[test]
fn a_lost_device_is_lost_in_the_middle() {
    let (mut device, buffers) = faulty(Fault::LostDevice);
    for seed in 0..HIT {
        assert_eq!(wrong(&mut device, buffers, fp32_work(seed, SelfFault::None)), []);
    }
    let lost = lanes(&mut device, buffers, fp32_work(HIT, SelfFault::None));
    assert!(matches!(lost, Err(DeviceError::Lost { .. })));
    assert_eq!(device.fired(), 1);
}

#[test]
fn a_canary_of_a_chain_does_not_count_as_a_dispatch() {
    let (mut device, buffers) = faulty(Fault::WrongWord);
    for seed in 0..9 {
        let planted = SelfFault::Flip { workgroup: 0, lane: 0, mask: 1 };
        assert_eq!(wrong(&mut device, buffers, digest_work(seed, planted)), []);
    }
    assert_eq!(device.fired(), 0);
}

#[test]
fn a_bit_flips_once_whatever_form_of_sweep_compares_first() {
    use kernels::memory::{BOUND, ERROR_WORDS, Errors, Op, Order, Span, TABLE, Values, Work};
    let (mut device, buffers) = faulty(Fault::FlippedBit);
    let mut sweep = |kernel, op| {
        let span = Span { first: 0, tiles: 2, base: 0, chunk_tiles: 2, region_tiles: 1 };
        let work = Work { op, values: Values::random(1), order: Order::Forward, tiles_each: 1, span };
        device.upload(buffers[0], 0, &[0; ERROR_WORDS], DEADLINE).unwrap();
        let (params, workgroups) = (work.params(), work.workgroups());
        let dispatch = Dispatch { kernel, buffers: &buffers, params, workgroups, repeat: 1 };
        device.dispatch(&dispatch, DEADLINE).unwrap();
        let mut words = [0; ERROR_WORDS];
        device.read_back(buffers[0], 0, &mut words, DEADLINE).unwrap();
        let found = Errors::from_words(&words);
        (found.records.first().map(|record| (record.word, record.expected ^ record.found)), device.fired())
    };
    assert_eq!(sweep(&BOUND, Op::Write), (None, 0));
    // A canary of the check itself, and the look for it.
    assert_eq!(sweep(&BOUND, Op::Flip { word: 3, mask: 1 }), (None, 0));
    assert_eq!(sweep(&BOUND, Op::Verify), (Some((3, 1)), 0));
    assert_eq!(sweep(&BOUND, Op::Write), (None, 0));
    assert_eq!(sweep(&TABLE, Op::Verify), (Some(FLIPPED), 1));
    assert_eq!(sweep(&BOUND, Op::Write), (None, 1));
    assert_eq!(sweep(&BOUND, Op::VerifyInvert), (None, 1));
}
