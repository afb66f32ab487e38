use std::time::Duration;

use kernels::matrix::Types;
use report::judge::settle;
use report::plan::{Floor, PlannedCheck};
use report::{
    CheckResult, DeviceInfo, DeviceKind, MatrixScope, MatrixShape, MatrixSource, Outcome, Plan, Quantity,
};

use super::shapes::candidates;

use crate::clock::MonotonicClock;
use crate::device::cpu::{self, Cpu};
use crate::device::matrix::kernel_types;
use crate::device::{Buffer, Device, DeviceError, Dispatch, Elapsed};
use crate::session::Session;

/// The references with another list of shapes, a clock that says what it is told to, and a fault.
struct Warped {
    inner: Cpu,
    info: DeviceInfo,
    /// How long a dispatch is said to take.
    time: fn(&Dispatch<'_>) -> Duration,
    /// What becomes of a dispatch, by its number.
    warp: fn(&mut Cpu, &Dispatch<'_>, u32) -> Result<(), DeviceError>,
    dispatches: u32,
}

const LIMIT: Duration = Duration::from_secs(10);

fn usual(_: &Dispatch<'_>) -> Duration {
    Duration::from_millis(50)
}

fn device(types: &[Types]) -> Warped {
    let mut info = cpu::info();
    info.matrix_shapes.retain(|shape| kernel_types(shape).is_some_and(|found| types.contains(&found)));
    Warped { inner: Cpu::new(), info, time: usual, warp: |_, _, _| Ok(()), dispatches: 0 }
}

/// Turns a bit of one word of a buffer.
fn turn(device: &mut Cpu, buffer: Buffer, word: u64) -> Result<(), DeviceError> {
    let mut words = [0];
    device.read_back(buffer, word, &mut words, LIMIT)?;
    device.upload(buffer, word, &[words[0] ^ 1], LIMIT)
}

impl Device for Warped {
    crate::forward_to_device!(inner: allocate, free, upload, read_back, transfer);

    fn info(&self) -> &DeviceInfo {
        &self.info
    }
    fn dispatch(&mut self, dispatch: &Dispatch<'_>, limit: Duration) -> Result<Elapsed, DeviceError> {
        self.inner.dispatch(dispatch, limit)?;
        (self.warp)(&mut self.inner, dispatch, self.dispatches)?;
        self.dispatches += 1;
        Ok(Elapsed { device: None, host: (self.time)(dispatch) })
    }
}

type Check = fn(&mut Session<'_>) -> Result<CheckResult, DeviceError>;

fn planned() -> PlannedCheck {
    let plan = Plan::built_in("quick-software").unwrap();
    let mut planned = plan.check(&"fp32".try_into().unwrap()).unwrap().clone();
    planned.measure_s = Quantity::ZERO;
    planned.limits.clear();
    planned.floors = vec![Floor { quantity: "workgroups".to_owned(), min: Quantity::new(8.0).unwrap() }];
    planned
}

fn check(device: &mut Warped, run: Check) -> (CheckResult, Outcome) {
    let (planned, clock) = (planned(), MonotonicClock::start());
    let mut session =
        Session { device, clock: &clock, planned: &planned, host_available: None, progress: &mut |_| () };
    let result = run(&mut session).unwrap();
    let outcome = settle(&planned, &result).0;
    (result, outcome)
}

fn wrong(result: &CheckResult) -> u64 {
    result.mismatches.as_ref().map_or(0, |found| found.count)
}

fn achieved(result: &CheckResult, quantity: &str) -> f64 {
    result.coverage.iter().find(|c| c.quantity == quantity).unwrap().achieved.get()
}

#[test]
fn every_type_is_verified_measured_and_has_its_canaries_found() {
    let mut device = device(&Types::ALL);
    let (result, outcome) = check(&mut device, super::run);
    assert_eq!((outcome, wrong(&result)), (Outcome::Pass, 0), "{result:#?}");
    let metrics: Vec<_> = result.measurements.iter().map(|m| m.metric.clone()).collect();
    assert_eq!(metrics, Types::ALL.map(|types| format!("matrix-{}", types.name())));
    let canary = result.canary.unwrap();
    assert_eq!((canary.planted, canary.found, canary.strays), (14, 14, 0));
    assert!((achieved(&result, "shapes") - 7.0).abs() < 1e-9);
    assert!((achieved(&result, "shapes_verified_share") - 1.0).abs() < 1e-9);
    assert!(result.notes.iter().any(|note| note.contains("unsupported")), "{:?}", result.notes);
}

#[test]
fn a_shape_that_is_wrong_is_named_with_the_place_and_the_others_are_measured() {
    let mut device = device(&[Types::F16F32, Types::S8S32]);
    device.warp = |cpu, dispatch, _| match dispatch.kernel.name {
        "matrix-f16-f32" => turn(cpu, dispatch.buffers[1], 256 + 64 + 9),
        _ => Ok(()),
    };
    let (result, outcome) = check(&mut device, super::run);
    assert_eq!(outcome, Outcome::Fail);
    let note = "wrong: 8x8x8 f16->f32 subgroup: 1 words, first in workgroup 0, subgroup 1, accumulator 0,1, row 1, column 1";
    assert_eq!(result.notes[0], note);
    assert_eq!(result.measurements.len(), 1);
    assert_eq!(result.measurements[0].metric, "matrix-s8-s32");
    assert!((achieved(&result, "shapes_verified_share") - 0.5).abs() < 1e-9);
}

#[test]
fn one_wrong_bit_in_a_window_of_random_operands_is_found() {
    let mut device = device(&[Types::F16F32]);
    // The stamps of random operands are off.
    device.warp = |cpu, dispatch, _| match dispatch.params[6] {
        0 => turn(cpu, dispatch.buffers[1], 5),
        _ => Ok(()),
    };
    let (result, outcome) = check(&mut device, super::run);
    assert_eq!(outcome, Outcome::Fail);
    let found = result.mismatches.unwrap();
    assert!(found.count >= 1 && found.first.iter().all(|m| m.byte_address == 20), "{found:#?}");
}

#[test]
fn a_repeat_that_went_wrong_and_was_overwritten_is_found_by_its_sum() {
    let mut device = device(&[Types::U8U32]);
    device.warp = |cpu, dispatch, _| match dispatch.repeat {
        1 => Ok(()),
        _ => turn(cpu, dispatch.buffers[2], 1 + 3),
    };
    let (result, outcome) = check(&mut device, super::run);
    assert_eq!(outcome, Outcome::Fail);
    assert!(result.notes[0].ends_with("first in the sum of workgroup 3"), "{:?}", result.notes);
}

#[test]
fn a_workgroup_that_never_ran_is_found() {
    let mut device = device(&[Types::S8S32]);
    device.warp = |cpu, dispatch, number| match number {
        // The last results lie beyond what the smaller dispatches wrote.
        9.. => cpu.upload(dispatch.buffers[1], 3 * 512, &[!0; 512], LIMIT),
        _ => Ok(()),
    };
    let (result, outcome) = check(&mut device, super::run);
    assert_eq!(outcome, Outcome::Fail);
    assert!(result.mismatches.unwrap().first.iter().all(|m| m.workgroup == 3));
}

#[test]
fn a_shape_that_is_emulated_is_named_and_the_fast_one_measured() {
    let mut device = device(&[Types::F16F32]);
    let fast = device.info.matrix_shapes[0].clone();
    device.info.matrix_shapes.insert(0, MatrixShape { m: 16, ..fast });
    device.time = |dispatch| Duration::from_millis(if dispatch.params[0] == 16 { 2000 } else { 50 });
    let (result, outcome) = check(&mut device, super::run);
    assert_eq!(outcome, Outcome::Pass, "{result:#?}");
    assert_eq!(result.notes[0], "slow: 16x8x8 f16->f32 subgroup is 20 times slower than the best");
    assert!(result.measurements[0].method.starts_with("8x8x8"), "{:?}", result.measurements[0].method);
}

#[test]
fn a_shape_that_the_driver_lists_and_refuses_is_no_pass() {
    let mut device = device(&[Types::F16F32, Types::S8S32]);
    device.warp = |_, dispatch, _| match dispatch.kernel.name {
        "matrix-s8-s32" => Err(DeviceError::Driver { doing: "making", message: "no".to_owned() }),
        _ => Ok(()),
    };
    let (result, outcome) = check(&mut device, super::run);
    assert_eq!(outcome, Outcome::Error);
    let detail = result.reason.unwrap().detail;
    assert_eq!(detail, "listed, and then refused: 8x8x16 s8->s32 subgroup: making: no");
}

#[test]
fn a_device_whose_shapes_have_no_kernel_is_skipped_with_the_reason() {
    let mut device = device(&[Types::F16F32]);
    device.info.matrix_shapes[0].saturating = true;
    for run in [super::run as Check, super::product::run] {
        let (result, outcome) = check(&mut device, run);
        assert_eq!(outcome, Outcome::Skip);
        assert_eq!(result.reason.unwrap().code, "UNSUPPORTED");
    }
}

#[test]
fn a_flexible_shape_of_the_same_sizes_is_tried_once_and_one_of_a_workgroup_by_itself() {
    let mut info = device(&[Types::S8S32]).info;
    let shape = MatrixShape { source: MatrixSource::Khr, ..info.matrix_shapes[0].clone() };
    let flexible = MatrixShape { source: MatrixSource::Nv2Flexible, ..shape.clone() };
    let whole = MatrixShape {
        scope: MatrixScope::Workgroup,
        workgroup_invocations: Some(128),
        m: 48,
        ..flexible.clone()
    };
    let unknown = MatrixShape { scope: MatrixScope::Other("cluster".to_owned()), ..shape.clone() };
    info.matrix_shapes = vec![shape.clone(), flexible, whole.clone(), unknown.clone()];
    let (tried, left) = candidates(&info);
    assert_eq!(left, [unknown]);
    assert_eq!(tried.iter().map(|c| c.shape.clone()).collect::<Vec<_>>(), [shape, whole]);
    assert_eq!(tried[0].work.kernel().name, "matrix-s8-s32");
    let work = tried[1].work;
    assert_eq!(work.kernel().name, "matrix-whole-s8-s32");
    assert_eq!((work.m, work.n, work.k, work.invocations, work.owners), (96, 64, 32, 128, 1));
}

#[test]
fn on_a_gpu_the_fastest_layout_is_chosen_and_every_layout_compared() {
    let mut device = device(&[Types::S8S32]);
    device.info.kind = DeviceKind::Discrete;
    device.info.units = Some(3);
    device.info.subgroup_size = Some(32);
    device.info.matrix_shapes[0] = MatrixShape { m: 4, n: 4, k: 4, ..device.info.matrix_shapes[0].clone() };
    // Fast are four matrices of each kind, eight subgroups, and 9 workgroups: three of each unit.
    device.time = |dispatch| {
        let [_, _, _, invocations, 4, 8, ..] = dispatch.params else { return Duration::from_millis(400) };
        assert_eq!(invocations, 256);
        Duration::from_millis(u64::from(dispatch.workgroups) * if dispatch.workgroups == 9 { 3 } else { 9 })
    };
    let (result, outcome) = check(&mut device, super::run);
    assert_eq!(outcome, Outcome::Pass, "{result:#?}");
    let method = &result.measurements[0].method;
    assert!(method.contains("4x4 accumulators, 9 workgroups of 256 (8 subgroups)"), "{method}");
}

#[test]
fn products_are_compared_component_by_component() {
    let mut right = device(&[Types::F16F32]);
    let (result, outcome) = check(&mut right, super::product::run);
    assert_eq!((outcome, wrong(&result)), (Outcome::Pass, 0), "{result:#?}");
    assert_eq!(result.measurements.len(), 1);
    assert!(achieved(&result, "compared_components") > 65536.0 * 7.0);
}

#[test]
fn one_wrong_component_of_one_product_is_found_at_its_place() {
    let mut faulty = device(&[Types::U8U32]);
    faulty.warp =
        |cpu, dispatch, number| if number == 4 { turn(cpu, dispatch.buffers[2], 65535) } else { Ok(()) };
    let (result, outcome) = check(&mut faulty, super::product::run);
    assert_eq!((outcome, wrong(&result)), (Outcome::Fail, 1));
    let first = &result.mismatches.unwrap().first[0];
    // 16 x 16 tiles of 16 x 16, four of them a workgroup.
    assert_eq!((first.byte_address, first.workgroup), (65535 * 4, 63));
}
