//! Each chain kernel against its reference, bit for bit, in every shape; those whose last bits are the device's own against
//! the bounds of the specification and against themselves.

use burnin::device::{Device, offers};
use kernels::chain::{Expected, Shape, Work};
use kernels::mix::digest64;
use kernels::transcendental::{self, CLASSES, Function, Sampled};
use kernels::{Kernel, SelfFault, WORKGROUP_SIZE, dot, fp16, fp32, fp64, int32, int64};

use crate::kernels_agree::{FAULTS, Run, stale};

/// Does the device offer what the kernel needs? Every device of this suite has 64-bit integers and dot products.
fn offered(device: &impl Device, kernel: &Kernel) -> bool {
    let missing = kernel.needs.iter().find(|need| !offers(device.info(), **need));
    if let Some(need) = missing {
        eprintln!("{} does not offer {need:?}: kernel `{}` is not tried", device.info().name, kernel.name);
    }
    missing.is_none()
}

fn run(kernel: &'static Kernel, work: Work, shape: Shape, fault: SelfFault) -> Run {
    let buffers = vec![stale(work.lanes()), vec![0; work.groups()]];
    Run::new(kernel, buffers, work.params_in(shape, fault), shape.dispatched(work.workgroups))
}

/// Every shape that a check tries, for kernels with so many chains.
fn shapes(chains: &[u32]) -> Vec<Shape> {
    let counts = [0].iter().chain(chains);
    counts.flat_map(|chains| [64, 128].map(|invocations| Shape { invocations, chains: *chains })).collect()
}

/// Steps and workgroups: no whole block, one, several.
const SHORT: [(u32, u32); 3] = [(2, 2), (64, 34), (256, 6)];

pub(crate) fn every_integer_chain_equals_its_reference_in_every_shape<D: Device>(device: &mut Option<D>) {
    let device = device.as_mut().unwrap();
    let kernels: [(&'static Kernel, &[u32]); 3] =
        [(&int32::KERNEL, &[16, 8, 4]), (&int64::KERNEL, &[8, 4]), (&dot::KERNEL, &[4])];
    for (kernel, chains) in kernels {
        assert!(offered(device, kernel), "{}", kernel.name);
        for shape in shapes(chains) {
            for (steps, workgroups) in SHORT {
                run(kernel, Work { seed: steps, steps, workgroups }, shape, SelfFault::None).agrees(device);
            }
        }
        for fault in FAULTS {
            let work = Work { seed: 7, steps: 128, workgroups: 40 };
            run(kernel, work, Shape { invocations: 128, chains: 0 }, fault).agrees(device);
        }
    }
}

/// A kernel with a reference for each way of rounding.
struct Rounded {
    kernel: &'static Kernel,
    chains: &'static [u32],
    ways: Vec<(&'static str, Expect, kernels::Reference)>,
}

type Expect = fn(&Work, u32) -> Expected;

fn rounded() -> [Rounded; 3] {
    use fp32::Rounding;
    let way32: [(_, Expect, kernels::Reference); 2] = [
        ("fused", |w, c| fp32::expected_of(w, c, Rounding::Fused), fp32::reference::run),
        (
            "separate",
            |w, c| fp32::expected_of(w, c, Rounding::Separate),
            |b, p, w| {
                fp32::reference::run_rounded(b, p, w, Rounding::Separate);
            },
        ),
    ];
    let way64: [(_, Expect, kernels::Reference); 2] = [
        ("fused", |w, c| fp64::expected(w, c, Rounding::Fused), fp64::reference::run),
        (
            "separate",
            |w, c| fp64::expected(w, c, Rounding::Separate),
            |b, p, w| {
                fp64::reference::run_rounded(b, p, w, Rounding::Separate);
            },
        ),
    ];
    let way16: [(_, Expect, kernels::Reference); 2] = [
        ("fused", |w, c| fp16::expected(w, c, Rounding::Fused), fp16::reference::run),
        (
            "separate",
            |w, c| fp16::expected(w, c, Rounding::Separate),
            |b, p, w| {
                fp16::reference::run_rounded(b, p, w, Rounding::Separate);
            },
        ),
    ];
    [
        Rounded { kernel: &fp32::KERNEL, chains: &[16, 8, 4], ways: way32.into() },
        Rounded { kernel: &fp64::KERNEL, chains: &[8, 4], ways: way64.into() },
        Rounded { kernel: &fp16::KERNEL, chains: &[8, 4], ways: way16.into() },
    ]
}

pub(crate) fn every_floating_point_chain_rounds_one_way_throughout<D: Device>(device: &mut Option<D>) {
    let device = device.as_mut().unwrap();
    for Rounded { kernel, chains, ways } in rounded() {
        if !offered(device, kernel) {
            continue;
        }
        // Long enough that the ways differ.
        let long = Work { seed: 0xf10a7, steps: 1024, workgroups: 2 };
        let found = run(kernel, long, Shape::BASE, SelfFault::None).found(device).swap_remove(0);
        let digest = digest64(found);
        let way = ways.iter().find(|(_, expected, _)| expected(&long, 0).digest(2) == digest);
        let (name, _, reference) = way.unwrap_or_else(|| panic!("`{}` is rounded no known way", kernel.name));
        eprintln!("{} rounds `{}`: {name}", device.info().name, kernel.name);
        for shape in shapes(chains) {
            for (steps, workgroups) in SHORT {
                let work = Work { seed: steps, steps, workgroups };
                Run { reference: *reference, ..run(kernel, work, shape, SelfFault::None) }.agrees(device);
            }
        }
        // Low bits of the first word, which are mantissa in every format.
        for mask in [1, 1 << 7, 0x101] {
            let work = Work { seed: 7, steps: 128, workgroups: 6 };
            let fault = SelfFault::Flip { workgroup: 5, lane: 63, mask };
            Run { reference: *reference, ..run(kernel, work, Shape::BASE, fault) }.agrees(device);
        }
    }
}

/// Where the device cannot tell its units, a stand-in for them.
#[test]
fn the_stand_ins_for_compute_units_equal_their_references_on_vulkan() {
    use crate::subject::{Subject, ValidatedVulkan};
    let mut device = ValidatedVulkan::open();
    let work = Work { seed: 1, steps: 64, workgroups: 40 };
    for shape in [Shape::BASE, Shape { invocations: 128, chains: 0 }] {
        let of = |kernel| {
            let mut run = run(kernel, work, shape, SelfFault::None);
            run.buffers.push(vec![0; work.workgroups as usize * kernels::units::WORDS]);
            run
        };
        of(&kernels::units::DIGEST_STAND_IN).agrees(&mut device);
        let fp32 = of(&kernels::units::FP32_STAND_IN);
        let (found, expected) = (fp32.found(&mut device), fp32.expected());
        // Its rounding is the device's own.
        assert_eq!(found[2], expected[2]);
        let plain = run(&fp32::KERNEL, work, shape, SelfFault::None).found(&mut device);
        assert_eq!(found[..2], plain[..2]);
    }
    ValidatedVulkan::close(device);
}

pub(crate) fn transcendental_functions_are_within_their_bounds_and_agree_with_themselves<D: Device>(
    device: &mut Option<D>,
) {
    let device = device.as_mut().unwrap();
    let kernel = &transcendental::KERNEL;
    for function in Function::ALL {
        for seed in 0..3 {
            let sampled = Sampled { seed, function };
            let shape = Shape { chains: function.number(), ..Shape::BASE };
            let found = run(kernel, sampled.work(), shape, SelfFault::None).found(device);
            assert_eq!(found[1][0], CLASSES);
            assert_eq!(sampled.beyond(&found[0]), [], "{function:?}");
        }
    }
    let work = Work { seed: 3, steps: 64, workgroups: 4 * CLASSES };
    let of = |shape, device: &mut D| run(kernel, work, shape, SelfFault::None).found(device).swap_remove(0);
    let found = of(Shape::BASE, device);
    let agreed = transcendental::agreed(&work, &found);
    let right: Vec<u32> = (0..work.workgroups).flat_map(|workgroup| agreed.tile(workgroup).0).collect();
    assert!(found == right);
    assert!(of(Shape { invocations: 128, chains: 0 }, device) == right, "a larger workgroup");
}

pub(crate) fn a_flip_in_any_lane_of_a_transcendental_function_is_outvoted<D: Device>(device: &mut Option<D>) {
    let device = device.as_mut().unwrap();
    let work = Work { seed: 5, steps: 8, workgroups: 3 * CLASSES };
    for lane in 0..WORKGROUP_SIZE {
        let workgroup = lane * 5 % work.workgroups;
        let fault = SelfFault::Flip { workgroup, lane, mask: 1 << (lane % 32) };
        let found = run(&transcendental::KERNEL, work, Shape::BASE, fault).found(device).swap_remove(0);
        let agreed = transcendental::agreed(&work, &found);
        let right = (0..work.workgroups).flat_map(|workgroup| agreed.tile(workgroup).0);
        let wrong: Vec<_> =
            right.zip(found).enumerate().filter(|(_, (a, b))| a != b).map(|(at, _)| at).collect();
        assert_eq!(wrong, [(workgroup * WORKGROUP_SIZE + lane) as usize]);
    }
}
