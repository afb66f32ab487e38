//! A node of eight GPUs as a burn-in by plan `quick` would report it, with what such nodes suffer from: one device with a
//! bad bit in its memory, one that is too hot, one on a link that trained at half its width. Figures are made up around
//! what an H100 is known to reach; the same figures every time.

use report::judge::settle_on_device;
use report::node::{Cpu, Dmi, Linux, Memory, Nic, NumaNode, PciFunction, PciLink};
use report::plan::PlannedCheck;
use report::telemetry::Reading;
use report::*;

use super::{healthy, measurement, quantity};

/// Which device suffers from what.
const HOT: usize = 2;
const BAD_BIT: usize = 5;
const HALF_LINK: usize = 7;

const BUSES: [u8; 8] = [0x19, 0x3b, 0x4c, 0x5d, 0x9b, 0xab, 0xbb, 0xcb];

/// Rates by check: figure, unit, what a healthy device reaches.
const RATES: &[(&str, &[(&str, Unit, f64)])] = &[
    ("fp32", &[("fp32", Unit::FlopPerS, 61.8e12)]),
    ("fp16", &[("fp16", Unit::FlopPerS, 118.0e12)]),
    ("fp64", &[("fp64", Unit::FlopPerS, 31.1e12)]),
    ("int32", &[("int32", Unit::OpsPerS, 30.4e12)]),
    ("int64", &[("int64", Unit::OpsPerS, 6.2e12)]),
    ("dot", &[("dot-int8", Unit::OpsPerS, 121.0e12)]),
    (
        "matrix",
        &[
            ("matrix-fp16", Unit::FlopPerS, 612.0e12),
            ("matrix-bf16", Unit::FlopPerS, 615.0e12),
            ("matrix-fp8", Unit::FlopPerS, 1.19e15),
            ("matrix-int8", Unit::OpsPerS, 1.21e15),
        ],
    ),
    (
        "stream",
        &[
            ("read", Unit::BytesPerS, 3.11e12),
            ("write", Unit::BytesPerS, 3.18e12),
            ("copy", Unit::BytesPerS, 2.87e12),
        ],
    ),
    ("cache", &[("cache-l2", Unit::BytesPerS, 7.4e12), ("shared", Unit::BytesPerS, 31.0e12)]),
    ("transfer", &[("h2d", Unit::BytesPerS, 54.9e9), ("d2h", Unit::BytesPerS, 54.1e9)]),
];

/// A sequence of numbers from 0 to 1 that looks like noise (the multiplier of Knuth's MMIX).
pub(crate) struct Noise(pub(crate) u64);

impl Noise {
    pub(crate) fn next(&mut self) -> f64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        f64::from(u32::try_from(self.0 >> 32).unwrap()) / f64::from(u32::MAX)
    }

    pub(crate) fn byte(&mut self) -> u8 {
        self.next();
        self.0.to_be_bytes()[1]
    }

    /// About a bell: the sum of four.
    pub(crate) fn bell(&mut self) -> f64 {
        (0..4).map(|_| self.next() - 0.5).sum()
    }
}

fn device(place: usize) -> DeviceInfo {
    let address: Bdf = format!("0000:{:02x}:00.0", BUSES[place]).parse().unwrap();
    DeviceInfo {
        id: DeviceId(address.to_string()),
        name: "NVIDIA H100 80GB HBM3".into(),
        pci_id: Some(PciId { vendor: 0x10de, device: 0x2330 }),
        address: Some(address),
        uuid: Some(format!("{:032x}", 0x5d3e_91c4_0f2b_77aa_u128 * (place as u128 + 3))),
        driver: "NVIDIA 580.95.05".into(),
        api_version: Some("1.4.312".into()),
        features: vec![Feature::Float16, Feature::Float64, Feature::Int64, Feature::Matrix, Feature::UnitId],
        units: Some(132),
        subgroup_size: Some(32),
        ..super::device(1)
    }
}

fn node() -> NodeFacts {
    let function = |address: Bdf, parent: Option<Bdf>, id, class, lanes| PciFunction {
        address,
        id,
        subsystem: None,
        class,
        driver: Some(if class == 0x03_0200 { "nvidia" } else { "pcieport" }.into()),
        parent,
        numa_node: Some(u32::from(address.bus > 0x80)),
        link: Some(PciLink {
            current_gt_per_s: Some(32.0),
            current_lanes: Some(lanes),
            max_gt_per_s: Some(32.0),
            max_lanes: Some(16),
        }),
    };
    let pci = (0..8).flat_map(|place| {
        let address = device(place).address.unwrap();
        let bridge = Bdf { bus: address.bus - 1, device: 1, ..address };
        let lanes = if place == HALF_LINK { 8 } else { 16 };
        let port = PciId { vendor: 0x8086, device: 0x352a };
        let gpu = PciId { vendor: 0x10de, device: 0x2330 };
        [
            function(bridge, None, port, 0x06_0400, lanes),
            function(address, Some(bridge), gpu, 0x03_0200, lanes),
        ]
    });
    NodeFacts {
        linux: Some(Linux {
            release: "6.12.48-amd64".into(),
            architecture: "x86_64".into(),
            boot_id: "7c1c9a52-7d0e-4b0c-9a53-0f6f2f6f7a11".into(),
            hostname: Some("gpu-017".into()),
        }),
        dmi: Some(Dmi {
            system_vendor: Some("Example Systems".into()),
            product_name: Some("HGX-8 H100".into()),
            product_serial: Some("EX8H100-0004217".into()),
            product_uuid: Some("4c4c4544-0042-3510-8052-b4c04f4d3133".into()),
            board_serial: Some("BRD-99120-X".into()),
            bios_vendor: Some("American Megatrends".into()),
            bios_version: Some("2.7.4".into()),
            bios_date: Some("08/14/2026".into()),
            ..Dmi::default()
        }),
        cpus: (0..2)
            .map(|socket| Cpu {
                socket,
                vendor: Some("GenuineIntel".into()),
                model: Some("Intel Xeon Platinum 8480C".into()),
                microcode: Some("0x2b000643".into()),
                cores: 56,
                threads: 112,
            })
            .collect(),
        memory: Some(Memory {
            total_bytes: Bytes(2048 << 30),
            available_bytes: Some(Bytes(2001 << 30)),
            numa: (0..2)
                .map(|id| NumaNode {
                    id,
                    total_bytes: Bytes(1024 << 30),
                    cpu_list: format!("{}-{}", id * 56, id * 56 + 55),
                })
                .collect(),
        }),
        pci: pci.collect(),
        nics: vec![Nic {
            name: "eth0".into(),
            mac: "b8:3f:d2:01:42:17".parse().ok(),
            mac_permanent: "b8:3f:d2:01:42:17".parse().ok(),
            driver: Some("mlx5_core".into()),
            address: "0000:0e:00.0".parse().ok(),
            carrier: Some(true),
            speed_mbit_per_s: Some(200_000),
        }],
        ..healthy(1, 1.0).node
    }
}

/// How much of its healthy rate a device reaches in a figure, at this share of the check's time.
fn health(place: usize, metric: &str, share: f64) -> f64 {
    match (place, metric) {
        (HALF_LINK, "h2d" | "d2h") => 0.51,
        // It runs cool for a moment, then holds back.
        (HOT, "read" | "write" | "copy" | "h2d" | "d2h") => 0.995,
        (HOT, _) if share > 0.3 => 0.81,
        _ => 1.0,
    }
}

fn rates(place: usize, check: &str, noise: &mut Noise) -> Vec<Measurement> {
    let own = 1.0 + 0.004 * noise.bell();
    let figures = RATES.iter().find(|(name, _)| *name == check).map_or(&[][..], |(_, figures)| *figures);
    let of = |(metric, unit, reached): &(&str, Unit, f64)| {
        let windows = (0..36u32).map(|n| {
            let rate =
                reached * own * health(place, metric, f64::from(n) / 36.0) * (1.0 + 0.003 * noise.bell());
            Sample { work: quantity(rate * 0.1), device_s: Some(quantity(0.1)), host_s: quantity(0.1004) }
        });
        let warm_up = Some(WarmUp { windows: 11, took_s: quantity(1.1), steady: true });
        let method = format!("{metric}: 1056 workgroups of 256 invocations, windows of 100 ms");
        Measurement { unit: *unit, method, warm_up, ..measurement(metric, windows.collect()) }
    };
    figures.iter().map(of).collect()
}

fn telemetry(place: usize, check: &str, began: f64, took: f64, noise: &mut Noise) -> Option<Telemetry> {
    let load = match check {
        "power" => 1.0,
        name if name.starts_with("matrix") => 0.94,
        "fp32" | "fp16" | "fp64" => 0.78,
        name if name.starts_with("memory") || name == "stream" => 0.62,
        _ => 0.38,
    };
    let readings: Vec<_> = (0..)
        .map(|n| 0.1 * f64::from(n))
        .take_while(|at| *at < took)
        .map(|at| {
            let warm = 1.0 - (-(began + at) / 30.0).exp();
            let heat = if place == HOT { 24.0 } else { 1.5 * place as f64 % 4.0 };
            let temperature = 31.0 + 33.0 * warm * (0.6 + 0.4 * load) + heat * warm + 0.8 * noise.bell();
            let held = place == HOT && temperature > 79.0;
            let clock = if held { 1605.0 } else { 1980.0 - 150.0 * f64::from(u8::from(load > 0.9)) };
            Reading {
                at_s: Some(quantity(at)),
                power_w: Some(quantity(
                    120.0 + 560.0 * load * if held { 0.85 } else { 1.0 } + 9.0 * noise.bell(),
                )),
                power_limit_w: Some(quantity(700.0)),
                clock_mhz: Some(quantity((clock + 12.0 * noise.bell()).round())),
                memory_clock_mhz: Some(quantity(2619.0)),
                temperature_c: Some(quantity(temperature.round())),
                throttle: Some(if held { vec!["sw-thermal-slowdown".into()] } else { vec![] }),
            }
        })
        .collect();
    Telemetry::of("NVML", &readings)
}

fn result(place: usize, check: &PlannedCheck, began: f64, noise: &mut Noise) -> CheckResult {
    let id = device(place).id;
    let name = check.id.as_str();
    let took = 1.6 + 1.4 * check.measure_s.get() + 0.2 * noise.next();
    let mut result =
        CheckResult::without_evidence(check.id.clone(), Subject::Device(id), Outcome::Pass, None);
    result.coverage = check
        .floors
        .iter()
        .map(|floor| {
            let share = floor.min.get() <= 1.0;
            let achieved = quantity(floor.min.get() * if share { 1.0 } else { 1840.0 });
            Coverage { quantity: floor.quantity.clone(), achieved }
        })
        .collect();
    result.canary = check.canary.then_some(Canary { planted: 3, found: 3, strays: 0 });
    result.mismatches = check.exact.then(Mismatches::default);
    result.digest = (name == "digest").then(|| "85ebca6b0f3c9a1e".into());
    result.measurements = rates(place, name, noise);
    result.began_s = Some(quantity(began));
    result.took_s = quantity(took);
    result.device_s = Some(quantity(0.86 * took));
    result.telemetry = telemetry(place, name, began, took, noise);
    if matches!(name, "fp32" | "memory-march") {
        let units = (0..132).map(|unit| UnitLoad {
            unit,
            workgroups: 31 + u64::from(unit % 3 == 0),
            mismatches: 0,
            median_ticks: 90_000,
        });
        result.units = Some(UnitHistogram { units: units.collect() });
    }
    if name == "latency" {
        let samples: Vec<_> = (0..200).map(|_| 4300 + u64::from(noise.byte()) * 4).collect();
        result.latencies =
            Latency::new("launch", "empty dispatch, host clock", samples).into_iter().collect();
    }
    if name == "stream" {
        result.regions = ["read", "write"].map(|metric| by_region(metric, noise)).to_vec();
    }
    if place == BAD_BIT && name == "memory-march" {
        bad_bit(&mut result);
    }
    result
}

fn by_region(metric: &str, noise: &mut Noise) -> RegionRates {
    let rates = (0..64).map(|_| quantity(3.05e12 * (1.0 + 0.006 * noise.bell())));
    RegionRates { metric: metric.into(), region_bytes: Bytes(1216 << 20), bytes_per_s: rates.collect() }
}

/// One bit of one bank that reads as 1: 41 words, 8 KiB apart, in two regions.
fn bad_bit(result: &mut CheckResult) {
    let first = (0..41u64).map(|n| Mismatch {
        byte_address: 0x0009_1c40_2080 + n * 8192,
        expected: 0x5555_5555 & !(1 << 21),
        found: 0x5555_5555 & !(1 << 21) | 1 << 21,
        workgroup: 18_204 + u32::try_from(n).unwrap() * 8,
        pass: 3,
    });
    result.mismatches = Some(Mismatches { count: 41, bits: 1 << 21, first: first.collect() });
    let mut regions = vec![0; 64];
    (regions[30], regions[31]) = (29, 12);
    result.anatomy = Some(Anatomy {
        words: 41,
        recorded: 41,
        bits: vec![BitErrors { bit: 21, set: 41, cleared: 0 }],
        regions,
        region_bytes: Bytes(1216 << 20),
        period_bytes: Some(Bytes(8192)),
        passes: vec![PassErrors { pass: 3, what: "read 0, write 1, upwards".into(), words: 41 }],
        stored: 41,
        transport: 0,
        unsteady: 0,
    });
}

fn counters() -> Vec<Counter> {
    let of = |place: usize| {
        let address = device(place).address.unwrap();
        let bridge = Bdf { bus: address.bus - 1, device: 1, ..address };
        let moved = if place == HALF_LINK { 1432 } else { 0 };
        [
            (address, "BadTLP", moved),
            (address, "RxErr", 0),
            (bridge, "BadDLLP", moved / 4),
            (bridge, "Rollover", 0),
        ]
        .map(|(at, name, moved)| Counter {
            device: device(place).id,
            place: format!("AER of {at}"),
            name: format!("corrected {name}"),
            before: 7,
            after: 7 + moved,
        })
    };
    (0..8).flat_map(of).collect()
}

/// The report of such a node; `sick` or with eight healthy devices.
pub(crate) fn eight_gpus(sick: bool) -> Report {
    let plan = Plan::built_in("quick").unwrap();
    let devices: Vec<_> = (0..8).map(device).collect();
    let mut results = vec![];
    for (check, subject) in plan.expand(&devices).filter(|(_, subject)| *subject == Subject::Node) {
        let mut result = CheckResult::without_evidence(check.id.clone(), subject, Outcome::Pass, None);
        result.coverage = vec![Coverage { quantity: "devices".into(), achieved: quantity(8.0) }];
        result.took_s = quantity(0.4);
        results.push(result);
    }
    for place in 0..8 {
        let mut noise = Noise(place as u64 * 77 + 5);
        let mut began = 2.4 + 0.3 * noise.next();
        // A healthy node has the figures of its first devices.
        let as_if = if sick || !matches!(place, HOT | BAD_BIT | HALF_LINK) { place } else { 0 };
        for check in plan.checks.iter().filter(|check| check.scope == report::plan::Scope::Device) {
            let mut result = result(as_if, check, began, &mut noise);
            result.subject = Subject::Device(devices[place].id.clone());
            (result.outcome, result.reason) = settle_on_device(Some(&devices[place]), check, &result);
            began += result.took_s.get();
            results.push(result);
        }
    }
    let planned = results.iter().map(|r| Planned { check: r.check.clone(), subject: r.subject.clone() });
    let mut report = Report {
        plan_digest: plan.digest(),
        planned: planned.collect(),
        started_at: "2026-11-25T08:14:05Z".parse().unwrap(),
        completed_at: Some("2026-11-25T08:16:18Z".parse().unwrap()),
        node: node(),
        counters: if sick {
            counters()
        } else {
            counters().into_iter().map(|c| Counter { after: c.before, ..c }).collect()
        },
        plan,
        devices,
        results,
        ..healthy(1, 1.0)
    };
    report.verdict = judge(&report);
    report
}
