//! The fault matrix as CI runs it: every checker that claims a class sees 300 injections of it on the reference device and
//! 100 on the first Vulkan device. A test for each checker, so that each has a process of its own.
//!
//! The full form, with 3,000 injections a cell, 300,000 clean rounds and changed kernels, is `make calibrate`.

#![expect(clippy::unwrap_used, reason = "a test ends there; clippy sees only functions marked `#[test]`")]

mod crew;
mod mutants;
mod program;

use burnin::calibrate::checkers::{self, Checker};
use burnin::calibrate::class::Class;
use burnin::calibrate::document::Calibration;
use burnin::calibrate::{Options, run, table};
use burnin::clock::MonotonicClock;
use burnin::device;
use report::Backend;

/// Injections of a cell. A submission to a software Vulkan device takes a hundred times as long as one to the reference.
const INJECTIONS: [(Backend, u32); 2] = [(Backend::Cpu, 300), (Backend::Vulkan, 100)];
/// Rounds without a fault, for each checker on each device.
const CLEAN_ROUNDS: u64 = 500;

fn calibrate(checker: &'static dyn Checker, backend: Backend, injections: u32) -> Calibration {
    let listed = device::list(backend).expect("listing devices (Debian: libvulkan1)");
    let first = listed.first().unwrap_or_else(|| {
        panic!("backend `{backend}` shows no device: install a driver (Debian: mesa-vulkan-drivers)")
    });
    let device = device::open(backend, &first.id).unwrap();
    let classes = Class::ALL.to_vec();
    let options = Options { checkers: vec![checker], classes, injections, clean_rounds: CLEAN_ROUNDS };
    run(&options, device, &MonotonicClock::start(), &mut |_, _| ()).unwrap()
}

/// Claims hold, clean rounds are quiet, and nothing was left out.
fn sees_what_it_claims(name: &str) {
    let checker = checkers::all().into_iter().find(|checker| checker.name() == name).unwrap();
    for (backend, injections) in INJECTIONS {
        let calibration = calibrate(checker, backend, injections);
        // The reference offers everything; a Vulkan device of the day may not, and says what is missing.
        if backend != Backend::Cpu && !calibration.skipped.is_empty() {
            assert!(calibration.cells.is_empty() && name.starts_with("matrix-"), "{:?}", calibration.skipped);
            continue;
        }
        assert!(calibration.holds(), "{}", table::text(&calibration));
        assert!(calibration.clean.rounds >= CLEAN_ROUNDS, "{:?}", calibration.clean);
        for class in Class::ALL {
            let cell = calibration.cells.iter().find(|cell| cell.class == class).unwrap();
            assert_eq!(cell.claimed, checker.claims(class));
            assert!(!cell.claimed || cell.injected == injections, "{cell:?}");
        }
    }
}

/// A test for each checker, and one that sees that none was forgotten.
macro_rules! checkers {
    ($($test:ident: $name:literal),+ $(,)?) => {
        $(
            #[test]
            fn $test() {
                sees_what_it_claims($name);
            }
        )+

        #[test]
        fn every_checker_has_a_test_here() {
            let names: Vec<_> = checkers::all().iter().map(|checker| checker.name()).collect();
            assert_eq!(names, [$($name),+]);
        }
    };
}

checkers! {
    digest_sees_what_it_claims: "digest",
    fp32_sees_what_it_claims: "fp32",
    fp16_sees_what_it_claims: "fp16",
    fp64_sees_what_it_claims: "fp64",
    int32_sees_what_it_claims: "int32",
    int64_sees_what_it_claims: "int64",
    dot_sees_what_it_claims: "dot",
    transcendental_sees_what_it_claims: "transcendental",
    matrix_f16_f16_sees_what_it_claims: "matrix-f16-f16",
    matrix_f16_f32_sees_what_it_claims: "matrix-f16-f32",
    matrix_bf16_f32_sees_what_it_claims: "matrix-bf16-f32",
    matrix_e4m3_f32_sees_what_it_claims: "matrix-e4m3-f32",
    matrix_e5m2_f32_sees_what_it_claims: "matrix-e5m2-f32",
    matrix_s8_s32_sees_what_it_claims: "matrix-s8-s32",
    matrix_u8_u32_sees_what_it_claims: "matrix-u8-u32",
    memory_own_address_sees_what_it_claims: "memory-own-address",
    memory_moving_inversions_sees_what_it_claims: "memory-moving-inversions",
    memory_random_sees_what_it_claims: "memory-random",
    memory_victims_sees_what_it_claims: "memory-victims",
    stream_sees_what_it_claims: "stream",
}
