//! Checks run whole on the first software device: figures come with compared answers and with every planted fault found.

#![expect(clippy::unwrap_used, reason = "a test ends there; clippy sees only functions marked `#[test]`")]

use burnin::catalogue;
use burnin::clock::MonotonicClock;
use burnin::device::{self, Device};
use burnin::session::Session;
use report::{Backend, Bytes, CheckResult, Plan, Quantity};

fn run(backend: Backend, check: &str) -> CheckResult {
    let id = device::list(backend).unwrap()[0].id.clone();
    let mut device: Box<dyn Device> = device::open(backend, &id).unwrap();
    let plan = Plan::built_in("quick-software").unwrap();
    let mut planned = plan.check(&"stream".try_into().unwrap()).unwrap().clone();
    planned.memory_max_bytes = Bytes::mib(8);
    planned.measure_s = Quantity::new(0.2).unwrap();
    planned.limits.clear();
    let clock = MonotonicClock::start();
    let mut progress = |_| {};
    let mut session = Session {
        device: &mut *device,
        clock: &clock,
        planned: &planned,
        host_available: None,
        progress: &mut progress,
    };
    catalogue::find(check).unwrap().run_on(&mut session).unwrap()
}

#[track_caller]
fn assert_believable(result: &CheckResult, metrics: &[&str]) {
    let canary = result.canary.unwrap();
    assert!(canary.planted > 0 && canary.found == canary.planted && canary.strays == 0, "{canary:?}");
    assert_eq!(result.mismatches.as_ref().unwrap().count, 0);
    let named: Vec<_> = result.measurements.iter().map(|m| m.metric.as_str()).collect();
    assert_eq!(named, metrics);
    for measured in &result.measurements {
        assert!(measured.median.get() > 1e6 && measured.samples.len() >= 4, "{measured:?}");
    }
    let compared = result.coverage.iter().find(|c| c.quantity == "compared_bytes").unwrap();
    assert!(compared.achieved.get() >= f64::from(8 << 20), "{compared:?}");
}

#[test]
fn the_stream_bench_compares_what_it_moved_and_rates_every_region() {
    let result = run(Backend::Vulkan, "stream");
    assert_believable(&result, &["write", "read", "read-modify-write", "copy"]);
    let [regions] = &result.regions[..] else { panic!("one metric by region") };
    assert_eq!((regions.bytes_per_s.len(), regions.region_bytes), (64, Bytes(128 << 10)));
    assert!(regions.evenness().unwrap() > 0.0);
    assert!(result.measurements[0].method.contains("bytes a lane"));
}

#[test]
fn the_transfer_bench_compares_on_both_sides() {
    for backend in [Backend::Vulkan, Backend::Cpu] {
        let result = run(backend, "transfer");
        assert_believable(&result, &["host-to-device", "device-to-host"]);
        assert_eq!(result.canary.unwrap().planted, 4);
    }
}

#[test]
fn a_memory_check_covers_what_it_took() {
    let result = run(Backend::Vulkan, "memory-modulo-20");
    let covered = result.coverage.iter().find(|c| c.quantity == "verified_bytes").unwrap();
    assert!((covered.achieved.get() - f64::from(8 << 20)).abs() < 1.0, "{covered:?}");
    assert_eq!(result.canary.unwrap().found, 4);
}

#[test]
fn latency_and_bandwidth_have_a_row_for_every_footprint_and_find_every_planted_fault() {
    let names = ["4-kib", "16-kib", "64-kib", "256-kib", "1-mib", "4-mib"];
    for backend in [Backend::Vulkan, Backend::Cpu] {
        let latency = run(backend, "latency-memory");
        let named: Vec<_> = latency.latencies.iter().map(|l| l.metric.as_str()).collect();
        assert_eq!(named, names);
        assert!(
            latency.latencies.iter().all(|latency| latency.is_consistent() && latency.samples_ns.len() >= 4)
        );
        let cache = run(backend, "cache");
        let named: Vec<_> = cache.measurements.iter().map(|m| m.metric.as_str()).collect();
        assert_eq!(named, [&["shared"][..], &names].concat());
        assert!(cache.measurements.iter().all(|measured| measured.median.get() > 1e6));
        for result in [latency, cache] {
            let canary = result.canary.unwrap();
            assert_eq!((canary.planted, canary.found, canary.strays), (4, 4, 0), "{}", result.check);
            assert_eq!(result.mismatches.unwrap().count, 0, "{}", result.check);
            assert!(result.coverage[0].achieved.get() >= 32_768.0, "{:?}", result.coverage);
        }
    }
}
