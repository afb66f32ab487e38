//! What the host does beside the devices: references, expected answers, digests, writing, reading and judging a report,
//! comparing benches, and the way of a submission.
//!
//! `cargo bench -p benches --bench host`

use std::hint::black_box;
use std::time::Duration;

use burnin::device::{self, Device, Dispatch};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use kernels::fp32::Rounding;
use kernels::memory::{ERROR_WORDS, Errors, Op, Order, Span, TILE_WORDS, Values};
use kernels::{SelfFault, digest, fp32, memory, mix};
use report::bench::{Bench, compare};
use report::judge::{judge, judge_bytes, summarize};
use report::{
    Backend, Bytes, Canary, CheckResult, Coverage, Measurement, Mismatches, NodeFacts, Origin, Outcome, Plan,
    Planned, Quantity, Report, SCHEMA, Sample, Seconds, Tool, Unit, Verdict, VerdictRecord,
};

fn expected_answers(c: &mut Criterion) {
    let mut group = c.benchmark_group("expected answers");
    let work = digest::Work { seed: 1, steps: 4096, workgroups: digest::CLASSES };
    group.throughput(Throughput::Elements(digest::cost(&work).operations));
    group.bench_function("digest: all classes, 4096 steps (OP)", |b| {
        b.iter(|| digest::expected(&black_box(work)))
    });
    let work = fp32::Work { seed: 1, steps: 2048, workgroups: 1 };
    group.throughput(Throughput::Elements(fp32::cost(&work).operations));
    for rounding in [Rounding::Fused, Rounding::Separate] {
        group.bench_function(format!("fp32: 2048 steps, {rounding:?} (FLOP)"), |b| {
            b.iter(|| fp32::expected(&black_box(work), rounding));
        });
    }
    group.finish();
}

/// The references, as the `cpu` backend runs them.
fn references(c: &mut Criterion) {
    let mut group = c.benchmark_group("references");
    let work = digest::Work { seed: 1, steps: 1024, workgroups: 16 };
    let (mut lanes, mut groups) = (vec![0; work.lanes()], vec![0; work.groups()]);
    let params = work.params(SelfFault::None);
    group.throughput(Throughput::Elements(digest::cost(&work).operations));
    group.bench_function("digest: 16 workgroups, 1024 steps (OP)", |b| {
        b.iter(|| (digest::KERNEL.reference)(&mut [&mut lanes, &mut groups], black_box(&params), 0..16));
    });
    let work = fp32::Work { seed: 1, steps: 256, workgroups: 1 };
    let params = work.params(SelfFault::None);
    group.throughput(Throughput::Elements(fp32::cost(&work).operations));
    group.bench_function("fp32: 1 workgroup, 256 steps (FLOP)", |b| {
        b.iter(|| (fp32::KERNEL.reference)(&mut [&mut lanes, &mut groups], black_box(&params), 0..1));
    });
    let mut memory = vec![0; 4 * TILE_WORDS as usize];
    let mut errors = vec![0; ERROR_WORDS];
    for (op, name) in [(Op::Write, "memory: write 256 KiB"), (Op::Verify, "memory: verify 256 KiB")] {
        let span = Span { first: 0, tiles: 4, base: 0, chunk_tiles: 4, region_tiles: 1 };
        let values = Values::own_address(0);
        let work = memory::Work { op, values, order: Order::Forward, tiles_each: 1, span };
        let (params, workgroups) = (work.params(), work.workgroups());
        group.throughput(Throughput::BytesDecimal(work.cost().bytes));
        group.bench_function(name, |b| {
            b.iter(|| {
                let buffers: &mut [&mut [u32]] = &mut [&mut errors, &mut memory];
                (memory::BOUND.reference)(buffers, black_box(&params), 0..workgroups);
            });
        });
    }
    assert_eq!(Errors::from_words(&errors).count, 0, "the reference verifies what it wrote");
    group.finish();
}

/// What a submission costs on every device at hand; the same without a device shows what our own layers cost.
fn submissions(c: &mut Criterion) {
    const DEADLINE: Duration = Duration::from_secs(20);
    let mut group = c.benchmark_group("submission");
    for backend in [Backend::Vulkan, Backend::Cpu] {
        let Some(info) = device::list(backend).ok().and_then(|listed| listed.into_iter().next()) else {
            eprintln!("left out: {backend} shows no device");
            continue;
        };
        let mut device = device::open(backend, &info.id).expect("opening a listed device");
        let work = digest::Work { seed: 1, steps: 0, workgroups: 1 };
        let words = [work.lanes(), work.groups()];
        let buffers = words.map(|words| device.allocate(Bytes(words as u64 * 4)).expect("room for a tile"));
        let mut due = 0u32;
        for (name, repeat) in [("nothing", 0), ("one dispatch", 1)] {
            let params = work.params(SelfFault::None);
            let dispatch =
                Dispatch { kernel: &digest::KERNEL, buffers: &buffers, params, workgroups: 1, repeat };
            group.bench_function(format!("{name}, {backend}"), |b| {
                b.iter(|| {
                    due = due.wrapping_add(repeat);
                    device.dispatch(black_box(&dispatch), DEADLINE)
                });
            });
        }
        group.bench_function(format!("four bytes there and back, {backend}"), |b| {
            let mut word = [0];
            b.iter(|| {
                device.upload(buffers[0], 0, black_box(&[7]), DEADLINE).expect("an upload");
                device.read_back(buffers[0], 0, &mut word, DEADLINE).expect("a read");
                assert_eq!(word, [7]);
            });
        });
        let mut counted = [0];
        device.read_back(buffers[1], 0, &mut counted, DEADLINE).expect("reading the count");
        assert_eq!(counted, [due], "every dispatch ran");
    }
    group.finish();
}

fn digests(c: &mut Criterion) {
    let words: Vec<u32> = (0..1 << 16).map(mix::mix32).collect();
    let mut group = c.benchmark_group("digest64");
    group.throughput(Throughput::BytesDecimal(words.len() as u64 * 4));
    group.bench_function("256 KiB", |b| b.iter(|| mix::digest64(black_box(&words).iter().copied())));
    group.finish();
}

fn reports(c: &mut Criterion) {
    let json = serde_json::to_vec(&healthy()).expect("a report is JSON");
    let record = judge_bytes(&json);
    assert_eq!(record.verdict, Verdict::Healthy, "{:#?}", record.findings);
    let mut group = c.benchmark_group("report");
    group.throughput(Throughput::Bytes(json.len() as u64));
    group.bench_function("read", |b| b.iter(|| Report::from_json(black_box(&json))));
    group.bench_function("read and judge", |b| b.iter(|| judge_bytes(black_box(&json))));
    let report = healthy();
    group.bench_function("judge", |b| b.iter(|| judge(black_box(&report))));
    group.bench_function("write", |b| b.iter(|| serde_json::to_vec_pretty(black_box(&report))));
    group.bench_function("text", |b| b.iter(|| report::text::render(black_box(&report), &record)));
    let bench = Bench::of(&report);
    group.bench_function("figures", |b| b.iter(|| Bench::of(black_box(&report))));
    group.bench_function("compare figures", |b| b.iter(|| compare(black_box(&bench), &bench)));
    group.finish();
}

/// A whole report of the software plan with all the evidence that it asks for.
fn healthy() -> Report {
    let plan = Plan::built_in("quick-software").expect("a built-in plan");
    let devices = vec![burnin::device::cpu::info()];
    let planned: Vec<_> =
        plan.expand(&devices).map(|(check, subject)| Planned { check: check.id.clone(), subject }).collect();
    let results = plan.expand(&devices).map(|(check, subject)| CheckResult {
        coverage: check
            .floors
            .iter()
            .map(|floor| Coverage { quantity: floor.quantity.clone(), achieved: floor.min })
            .collect(),
        canary: check.canary.then_some(Canary { planted: 2, found: 2, strays: 0 }),
        mismatches: check.exact.then(Mismatches::default),
        measurements: check.limits.iter().map(|limit| measurement(&limit.metric)).collect(),
        ..CheckResult::without_evidence(check.id.clone(), subject, Outcome::Pass, None)
    });
    let results = results.collect();
    Report {
        schema: SCHEMA.to_owned(),
        run_id: "0".repeat(32),
        tool: Tool { version: "0".to_owned(), kernels_digest: "0".repeat(64) },
        origin: Origin::Measured,
        started_at: "2026-01-01T00:00:00Z".parse().expect("a time"),
        completed_at: Some("2026-01-01T00:01:00Z".parse().expect("a time")),
        verdict: VerdictRecord { verdict: Verdict::Healthy, findings: Vec::new() },
        plan_digest: plan.digest(),
        plan,
        devices,
        planned,
        results,
        counters: Vec::new(),
        node: NodeFacts::default(),
    }
}

/// Thirty windows of 10^12 in 0.1 s.
fn measurement(metric: &str) -> Measurement {
    let number = |value| Quantity::new(value).expect("a quantity");
    let second: Seconds = number(0.1);
    let samples = vec![Sample { work: number(1e12), device_s: Some(second), host_s: second }; 30];
    let (median, worst) = summarize(&samples).expect("windows");
    let method = "made up".to_owned();
    Measurement {
        metric: metric.to_owned(),
        unit: Unit::BytesPerS,
        median,
        worst,
        method,
        warm_up: None,
        samples,
    }
}

criterion_group! {
    name = host;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_secs(1));
    targets = references, expected_answers, digests, reports, submissions
}
criterion_main!(host);
