//! How fast each kernel is on every device at hand, by the device's own clock where it has one.
//!
//! `cargo bench -p benches --bench kernels`, with `-- vulkan` for one backend. The `cpu` backend runs the references: they
//! are the answers, not competitors. A figure whose answers were wrong is not printed: the program ends first.

use std::time::Duration;

use burnin::device::{self, Buffer, Device, Dispatch, Elapsed};
use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use kernels::fp32::Rounding;
use kernels::memory::{ERROR_WORDS, Errors, Op, Order, Span, TILE_BYTES, Values};
use kernels::{Cost, SelfFault, WORKGROUP_SIZE, digest, fp32, memory, mix};
use report::{Backend, Bytes, DeviceKind};

const DEADLINE: Duration = Duration::from_secs(60);

/// Bytes of the buffer that is swept: far beyond the caches of a GPU; on the processor, where the figure is about the
/// driver's code and not about memory, as few as keep the whole below a minute.
fn swept(kind: &DeviceKind) -> Bytes {
    if *kind == DeviceKind::Cpu { Bytes::mib(32) } else { Bytes::mib(512) }
}

/// A device with what the kernels need.
struct Bench {
    device: Box<dyn Device>,
    name: String,
    memory: Buffer,
    /// Results of all kernels: one word for each invocation, or records of errors.
    results: Buffer,
    /// Results of workgroups.
    groups: Buffer,
    /// Workgroups of an arithmetic kernel.
    workgroups: u32,
    /// Tiles of `memory`.
    tiles: u32,
}

fn at_hand() -> Vec<Bench> {
    let backends = [Backend::Vulkan, Backend::Portable, Backend::Cpu];
    let devices = backends.into_iter().flat_map(|backend| {
        let listed = device::list(backend).unwrap_or_else(|error| {
            eprintln!("left out: {backend}: {error}");
            Vec::new()
        });
        listed.into_iter().map(move |info| device::open(backend, &info.id).expect("opening a listed device"))
    });
    devices.map(Bench::new).collect()
}

impl Bench {
    fn new(mut device: Box<dyn Device>) -> Self {
        let info = device.info();
        let name = format!("{} {}", info.backend, info.id);
        eprintln!("{name}: {}, {}", info.name, info.driver);
        let workgroups = match (info.backend, &info.kind) {
            // The references compute the work of like workgroups once; of one workgroup there is nothing to save.
            (Backend::Cpu, _) => 1,
            (_, DeviceKind::Cpu) => 256,
            _ => 16_384,
        };
        let bytes = swept(&info.kind).min(info.binding_bytes_max);
        let tiles = u32::try_from(bytes.0 / TILE_BYTES).expect("at most 512 MiB");
        let mut allocate = |bytes| device.allocate(bytes).expect("room for the buffers");
        let memory = allocate(bytes);
        let results = allocate(Bytes(u64::from(workgroups * WORKGROUP_SIZE) * 4 + ERROR_WORDS as u64 * 4));
        let groups = allocate(Bytes::mib(1));
        Self { device, name, memory, results, groups, workgroups, tiles }
    }

    fn run(&mut self, dispatch: &Dispatch<'_>) -> Elapsed {
        self.device.dispatch(dispatch, DEADLINE).expect("a dispatch")
    }
}

/// Measures one dispatch, which [`Bench::run`] has run once before: compilation is over.
fn measure(c: &mut Criterion, group: &str, bench: &mut Bench, dispatch: &Dispatch<'_>, cost: Cost) {
    bench.run(dispatch);
    let mut group = c.benchmark_group(group);
    group.throughput(match cost {
        Cost { operations: 0, bytes } => Throughput::BytesDecimal(bytes),
        Cost { operations, .. } => Throughput::Elements(operations),
    });
    group.bench_function(BenchmarkId::from_parameter(&bench.name), |b| {
        b.iter_custom(|iterations| {
            (0..iterations)
                .map(|_| {
                    let elapsed = bench.run(dispatch);
                    elapsed.device.unwrap_or(elapsed.host)
                })
                .sum()
        });
    });
    group.finish();
}

fn arithmetic(c: &mut Criterion, bench: &mut Bench) {
    let (seed, workgroups) = (0xbe4c, bench.workgroups);
    let buffers = [bench.results, bench.groups];
    let mut of = |kernel, params, cost, c: &mut Criterion, group: &str| {
        measure(
            c,
            group,
            bench,
            &Dispatch { kernel, buffers: &buffers, params, workgroups, repeat: 1 },
            cost,
        );
        let mut lanes = vec![0; (workgroups * WORKGROUP_SIZE) as usize];
        bench.device.read_back(buffers[0], 0, &mut lanes, DEADLINE).expect("reading results");
        mix::digest64(lanes)
    };
    let work = fp32::Work { seed, steps: 2048, workgroups };
    let found = of(&fp32::KERNEL, work.params(SelfFault::None), fp32::cost(&work), c, "fp32 (FLOP)");
    let right =
        [Rounding::Fused, Rounding::Separate].map(|way| fp32::expected(&work, way).digest(workgroups));
    assert!(right.contains(&found), "wrong fp32 answers");
    let work = digest::Work { seed, steps: 8192, workgroups };
    let found = of(&digest::KERNEL, work.params(SelfFault::None), digest::cost(&work), c, "integer (OP)");
    assert_eq!(found, digest::expected(&work).digest(workgroups), "wrong integer answers");
}

fn sweeps(c: &mut Criterion, bench: &mut Bench) {
    let buffers = [bench.results, bench.memory];
    let span = |tiles| Span { first: 0, tiles, base: 0, chunk_tiles: bench.tiles, region_tiles: bench.tiles };
    let values = Values::own_address(0);
    let work =
        |op, tiles| memory::Work { op, values, order: Order::Forward, tiles_each: 1, span: span(tiles) };
    let half = bench.tiles / 2;
    let works = [
        (work(Op::Write, bench.tiles), "memory write"),
        (work(Op::Verify, bench.tiles), "memory verify"),
        (work(Op::Copy { tiles: half }, half), "memory copy"),
    ];
    bench.device.upload(buffers[0], 0, &[0; ERROR_WORDS], DEADLINE).expect("clearing the records");
    // A filter may leave the write out.
    bench.run(&of_memory(&works[0].0, &buffers));
    for (work, group) in works {
        measure(c, group, bench, &of_memory(&work, &buffers), work.cost());
    }
    let mut words = [0; ERROR_WORDS];
    bench.device.read_back(buffers[0], 0, &mut words, DEADLINE).expect("reading results");
    let errors = Errors::from_words(&words);
    assert_eq!(errors.count, 0, "{errors:?}");
}

fn of_memory<'a>(work: &memory::Work, buffers: &'a [Buffer]) -> Dispatch<'a> {
    let (params, workgroups) = (work.params(), work.workgroups());
    Dispatch { kernel: &memory::BOUND, buffers, params, workgroups, repeat: 1 }
}

fn every_device(c: &mut Criterion) {
    for mut bench in at_hand() {
        arithmetic(c, &mut bench);
        sweeps(c, &mut bench);
    }
}

criterion_group! {
    name = kernels_of_every_device;
    config = Criterion::default()
        .sample_size(10)
        .warm_up_time(Duration::from_millis(200))
        .measurement_time(Duration::from_secs(1));
    targets = every_device
}
criterion_main!(kernels_of_every_device);
