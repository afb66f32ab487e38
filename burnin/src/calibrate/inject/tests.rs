use kernels::memory::{ERROR_WORDS, LANES, Op, Order, Span, TILE_WORDS, Values, Work};
use kernels::{SelfFault, chain::Work as ChainWork, digest};

use super::*;
use crate::calibrate::checkers::Checker as _;
use crate::calibrate::checkers::{chain, memory};
use crate::device::cpu::Cpu;

const WORK: ChainWork = ChainWork { seed: 5, steps: 8, workgroups: 16 };
const DEADLINE: Duration = Duration::from_secs(10);

struct Outcome {
    arrived: Option<String>,
    /// Words of both buffers that are not what they should be.
    wrong: [usize; 2],
}

/// Digest dispatches: a right one, one of another seed, and the first again with the fault.
fn digest_with(class: Class, seed: u64) -> Outcome {
    let mut device = Injector::new(Cpu::new());
    let buffers = [WORK.lanes(), WORK.groups()].map(|n| device.allocate(Bytes(n as u64 * 4)).unwrap());
    let run = |device: &mut Injector<Cpu>, seed| {
        device.upload(buffers[1], 0, &vec![0; WORK.groups()], DEADLINE).unwrap();
        let params = ChainWork { seed, ..WORK }.params(SelfFault::None);
        let dispatch =
            Dispatch { kernel: &digest::KERNEL, buffers: &buffers, params, workgroups: 16, repeat: 1 };
        device.dispatch(&dispatch, DEADLINE).unwrap();
        [(buffers[0], WORK.lanes()), (buffers[1], WORK.groups())]
            .map(|(buffer, words)| device.words(buffer, words).unwrap())
    };
    let right = run(&mut device, 5);
    run(&mut device, 4);
    device.arm(Some(Injection { class, at: 0, draw: Draw::new(seed), dissect: chain::ALL[0].dissect() }));
    let found = run(&mut device, 5);
    let wrong =
        [0, 1].map(|n| found[n].iter().zip(&right[n]).filter(|(found, right)| found != right).count());
    Outcome { arrived: device.arrived().map(str::to_owned), wrong }
}

/// Many faults of a class.
fn outcomes(class: Class) -> Vec<Outcome> {
    (0..60).map(|seed| digest_with(class, seed)).collect()
}

#[test]
fn a_fault_has_arrived_when_the_data_differ_and_only_then() {
    for class in Class::ALL.into_iter().filter(|class| *class != Class::Golden) {
        let all = outcomes(class);
        for outcome in &all {
            let differs = outcome.wrong != [0, 0];
            assert_eq!(
                outcome.arrived.is_some(),
                differs,
                "{class}: {:?} {:?}",
                outcome.arrived,
                outcome.wrong
            );
        }
        let arrived = all.iter().filter(|outcome| outcome.arrived.is_some()).count();
        assert!(arrived > 10, "{class}: {arrived} of 60 arrived");
    }
}

#[test]
fn damage_reaches_results_and_inputs() {
    let all = outcomes(Class::OneBit);
    let saying = |side: &str| all.iter().any(|o| o.arrived.as_ref().is_some_and(|what| what.contains(side)));
    assert!(saying("after digest buffer 0") && saying("after digest buffer 1"));
    assert!(saying("before digest buffer 1") && !saying("before digest buffer 0"));
    assert!(all.iter().all(|outcome| outcome.wrong.iter().sum::<usize>() == 1));
}

#[test]
fn a_dropped_dispatch_leaves_everything_as_it_was() {
    let outcome = digest_with(Class::Dropped, 1);
    assert_eq!(outcome.wrong, [WORK.lanes(), WORK.groups()]);
}

#[test]
fn a_wrong_buffer_leaves_the_right_one_as_it_was() {
    for outcome in outcomes(Class::WrongBuffer) {
        let wrong = outcome.wrong;
        assert!(wrong == [WORK.lanes(), 0] || wrong == [0, WORK.groups()], "{wrong:?}");
    }
}

#[test]
fn a_fault_within_the_kernel_is_in_one_lane() {
    assert!(outcomes(Class::InKernel).iter().all(|outcome| outcome.wrong == [1, 1]));
}

#[test]
fn a_stale_pipeline_is_another_kernel_or_another_operation() {
    assert!(outcomes(Class::StalePipeline).iter().all(|outcome| outcome.wrong[0] == WORK.lanes()));

    let mut device = Injector::new(Cpu::new());
    let words = [ERROR_WORDS, 2 * TILE_WORDS as usize];
    let buffers = words.map(|n| device.allocate(Bytes(n as u64 * 4)).unwrap());
    let span = Span { first: 0, tiles: 2, base: 0, chunk_tiles: 2, region_tiles: 1 };
    let work =
        Work { op: Op::Write, values: Values::own_address(3), order: Order::Forward, tiles_each: 1, span };
    // A draw of which the stale pipeline is one that compares.
    let dissect = memory::ALL[0].dissect();
    let compared = (0..20).filter(|seed| {
        let draw = Draw::new(*seed);
        device.arm(Some(Injection { class: Class::StalePipeline, at: 0, draw, dissect }));
        let params = work.params();
        let dispatch =
            Dispatch { kernel: &kernels::memory::BOUND, buffers: &buffers, params, workgroups: 2, repeat: 1 };
        let before = device.words(buffers[0], 1).unwrap();
        device.dispatch(&dispatch, DEADLINE).unwrap();
        let strips = device.words(buffers[0], 1).unwrap()[0] - before[0];
        let what = device.arrived().unwrap_or_default();
        assert!(strips == 0 || strips == 2 * LANES && what.contains("memory with first parameter"), "{what}");
        strips > 0
    });
    assert!(compared.count() > 5, "it compared instead of writing");
}

#[test]
fn at_rest_it_changes_nothing_and_counts_dispatches() {
    let mut device = Injector::new(Cpu::new());
    let buffers = [WORK.lanes(), WORK.groups()].map(|n| device.allocate(Bytes(n as u64 * 4)).unwrap());
    let params = WORK.params(SelfFault::None);
    for _ in 0..3 {
        let dispatch =
            Dispatch { kernel: &digest::KERNEL, buffers: &buffers, params, workgroups: 16, repeat: 1 };
        device.dispatch(&dispatch, DEADLINE).unwrap();
    }
    assert_eq!((device.dispatches(), device.arrived()), (3, None));
    let expected = digest::expected(&WORK);
    let lanes = device.words(buffers[0], WORK.lanes()).unwrap();
    assert_eq!(kernels::mix::digest64(lanes), expected.digest(WORK.workgroups));
    device.free(buffers[0]);
}
