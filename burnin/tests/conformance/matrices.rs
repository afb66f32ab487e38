//! Cooperative matrices: every shape that a device lists, against the integers and the reference.
//!
//! A device that lists none is what Mesa before 26 is, and the test says so; with `ASSAY_EXPECT_FEATURES=matrix` in the
//! environment it fails there, as it must where a newer Mesa is put to the test.

use burnin::device::matrix::kernel_types;
use burnin::device::{Device, offers};
use kernels::matrix::product::{self, Product};
use kernels::matrix::{Data, Work, operands};
use kernels::{Feature, SelfFault};
use report::{Backend, MatrixScope, MatrixShape};

use crate::kernels_agree::{Run, stale};

/// The environment variable that names features, separated by commas, without which tests fail.
const EXPECT_VARIABLE: &str = "ASSAY_EXPECT_FEATURES";

fn expected(feature: &str) -> bool {
    std::env::var(EXPECT_VARIABLE).is_ok_and(|list| list.split(',').any(|one| one == feature))
}

/// Small work of every shape that a kernel of ours multiplies; none where the device says that it has no matrices.
fn works(device: &impl Device) -> Vec<Work> {
    let info = device.info();
    if !offers(info, Feature::Matrix) {
        let missing = format!("{} ({}) offers no cooperative matrices", info.name, info.driver);
        // wgpu has them for two types only, and our kernels are SPIR-V.
        let excused = info.backend == Backend::Portable;
        assert!(excused || !expected("matrix"), "{EXPECT_VARIABLE} asks for `matrix`, and {missing}");
        assert_eq!(info.matrix_shapes, []);
        eprintln!("NOT TRIED: {missing}");
        return Vec::new();
    }
    let works: Vec<_> = info.matrix_shapes.iter().filter_map(|shape| work(device, shape)).collect();
    assert!(!works.is_empty(), "no kernel for any of {:?}", info.matrix_shapes);
    works
}

fn work(device: &impl Device, shape: &MatrixShape) -> Option<Work> {
    let types = kernel_types(shape)?;
    let whole = shape.scope == MatrixScope::Workgroup;
    let subgroup = device.info().subgroup_size.unwrap_or(8);
    let owners = if whole { 1 } else { 2 };
    Some(Work {
        types,
        whole,
        m: shape.m,
        n: shape.n,
        k: shape.k,
        fragments: 2,
        owners,
        invocations: shape.workgroup_invocations.unwrap_or(subgroup * owners),
        workgroups: 19,
        rounds: 34,
        seed: 0x3a71,
        wanted: Data::Exact,
    })
}

fn run(work: &Work, fault: SelfFault) -> Run {
    let buffers = vec![operands(work), stale(work.result_words()), vec![0; work.groups()]];
    Run::new(work.kernel(), buffers, work.params(fault), work.workgroups)
}

pub(crate) fn every_shape_that_is_listed_multiplies_exactly<D: Device>(device: &mut Option<D>) {
    let device = device.as_mut().unwrap();
    for work in works(device) {
        eprintln!("{work:?}");
        run(&work, SelfFault::None).agrees(device);
        let longest = Work { rounds: work.rounds_max().min(1000), seed: 0x3a72, workgroups: 3, ..work };
        run(&longest, SelfFault::None).agrees(device);
    }
}

pub(crate) fn a_planted_fault_is_the_only_wrong_word<D: Device>(device: &mut Option<D>) {
    let device = device.as_mut().unwrap();
    for work in works(device) {
        let clean = run(&work, SelfFault::None).found(device);
        for (workgroup, owner, from) in [(0, 0, 0), (18, work.owners - 1, 9)] {
            let (fault, word) = work.fault(workgroup, owner, from, 1 << 30);
            let planted = run(&work, fault);
            planted.agrees(device);
            let found = planted.found(device);
            let differ: Vec<_> = (0..found[1].len()).filter(|at| found[1][*at] != clean[1][*at]).collect();
            assert_eq!(differ, [word], "{work:?}");
        }
        // In the mantissa: what an infinity becomes differs between devices.
        run(&work, SelfFault::StuckLane { lane: 3, mask: 1 << 9 }).agrees(device);
    }
}

pub(crate) fn products_are_exact_and_a_planted_fault_shows<D: Device>(device: &mut Option<D>) {
    let device = device.as_mut().unwrap();
    for work in works(device).into_iter().filter(|work| !work.whole) {
        let Work { types, m, n, k, fragments, owners, invocations, seed, .. } = work;
        let size = m.max(n).max(k) * 8;
        let work = product::Work { types, m, n, k, fragments, owners, invocations, size, seed };
        assert!(work.divides(), "{work:?}");
        let product = Product::new(&work);
        for fault in [SelfFault::None, product.fault(work.workgroups() - 1, 5, 1 << 3)] {
            let buffers =
                vec![product.left(), product.right(), stale(work.result_words()), vec![0; work.groups()]];
            let run = Run::new(work.kernel(), buffers, work.params(fault), work.workgroups());
            run.agrees(device);
            let right = run.found(device)[2] == product.answer();
            assert_eq!(right, fault == SelfFault::None, "{work:?} {fault:?}");
        }
    }
}

/// A compiler that takes products out of the loop leaves a loop of additions, or none. With operands that it knows, the loop
/// of Mesa 26.1's llvmpipe seems to run at hundreds of GFLOP/s; honest products grow in time as they grow in number.
pub(crate) fn the_time_grows_with_the_products_so_none_is_left_out<D: Device>(device: &mut Option<D>) {
    let device = device.as_mut().unwrap();
    for work in works(device).into_iter().filter(|work| !work.whole) {
        let few = Work { rounds: 64, workgroups: 4, ..work };
        let many = Work { rounds: 64 * 8, ..few };
        let best = |device: &mut D, work: &Work| {
            let run = run(work, SelfFault::None);
            (0..5).map(|_| run.time(device)).min().unwrap()
        };
        let (short, long) = (best(device, &few), best(device, &many));
        let grown = long.as_secs_f64() / short.as_secs_f64();
        eprintln!("{}: {short:?}, 8 times the products {long:?}, {grown:.1} times", work.kernel().name);
        // The rest is the start of a dispatch, and of the software device's threads.
        assert!(grown > 1.5, "{work:?}: 8 times the products took {grown:.2} times as long");
    }
}
