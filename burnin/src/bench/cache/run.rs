//! Runs the bench of bandwidth by footprint.

use kernels::chain::{Expected, Work};
use kernels::reread::{LOAD_BYTES, MEMORY, Reads, SHARED, SHARED_BYTES, word};
use kernels::{Kernel, SelfFault, WORKGROUP_SIZE};
use report::{Canary, CheckResult, DeviceKind, Measurement, Mismatches, Unit};

use crate::bench::footprint::{filled, footprints, name};
use crate::chains::{Answers, Chains};
use crate::device::{DeviceError, Elapsed};
use crate::measure::repeats;
use crate::mismatches::score;
use crate::session::{Session, coverage, measurement, sample};

/// Loads of an invocation and workgroups of a dispatch at least, on a processor's device and on a GPU.
const LAYOUT: [(u32, u32); 2] = [(64, 16), (1024, 4096)];
/// Parts at least: so many different answers are worked out.
const PARTS: u32 = 16;
/// Seeds that take turns in the windows of a row.
const SEEDS: [u32; 2] = [0x0a55_a701, 0x0a55_a702];
/// The planted faults: workgroup, lane, bits.
const CANARIES: [(u32, u32, u32); 2] = [(0, 0, 1), (13, 63, 1 << 31)];

/// The reads so far.
struct Cache {
    chains: Chains,
    layout: (u32, u32),
    passes: u32,
    bytes: u64,
    wrong: Mismatches,
}

/// Runs the bench.
pub fn run(session: &mut Session<'_>) -> Result<CheckResult, DeviceError> {
    let footprints = footprints(session);
    let largest = footprints.iter().copied().max().unwrap_or(SHARED_BYTES);
    let layout = LAYOUT[usize::from(session.device.info().kind != DeviceKind::Cpu)];
    let memory = filled(session, largest, |words| words.map(word).collect())?;
    let workgroups = reads(layout, largest, 0).work.workgroups;
    let chains = Chains::over(session, &MEMORY, memory, workgroups)?;
    let mut cache = Cache { chains, layout, passes: 0, bytes: 0, wrong: Mismatches::default() };
    let mut result = session.result();
    let mut canary = Canary { planted: 0, found: 0, strays: 0 };
    cache.plant(session, &MEMORY, largest, &mut canary)?;
    cache.plant(session, &SHARED, SHARED_BYTES, &mut canary)?;
    result.canary = Some(canary);
    let share = 1.0 / (footprints.len() + 1) as f64;
    result.measurements.push(cache.measure(session, ("shared", &SHARED), SHARED_BYTES, share)?);
    for footprint in footprints {
        result.measurements.push(cache.measure(session, (&name(footprint), &MEMORY), footprint, share)?);
    }
    #[expect(clippy::cast_precision_loss, reason = "byte counts below 2^53")]
    result.coverage.push(coverage("read_bytes", cache.bytes as f64));
    result.mismatches = Some(cache.wrong);
    cache.chains.free(session);
    Ok(result)
}

/// Reads whose parts cover the footprint, by at least as many workgroups as the layout asks for.
fn reads((steps, least): (u32, u32), footprint: u32, seed: u32) -> Reads {
    let parts = footprint.div_ceil(steps * WORKGROUP_SIZE * LOAD_BYTES).max(PARTS);
    let workgroups = least.div_ceil(parts).max(1) * parts;
    Reads { work: Work { seed, steps, workgroups }, footprint, parts }
}

impl Cache {
    fn submit(
        &mut self,
        session: &mut Session<'_>,
        (kernel, reads): (&'static Kernel, &Reads),
        fault: SelfFault,
        repeat: u32,
    ) -> Result<Answers, DeviceError> {
        self.passes += 1;
        let dispatch = (reads.params(fault), reads.work.workgroups);
        self.chains.with(kernel).run_with(session, &reads.work, dispatch, repeat)
    }

    /// Reads so many times, compared.
    fn read(
        &mut self,
        session: &mut Session<'_>,
        (kernel, reads): (&'static Kernel, &Reads),
        expected: &Expected,
        repeat: u32,
    ) -> Result<Elapsed, DeviceError> {
        let answers = self.submit(session, (kernel, reads), SelfFault::None, repeat)?;
        answers.compare(expected, self.passes, &mut self.wrong);
        self.bytes += reads.cost().bytes * u64::from(repeat);
        Ok(answers.elapsed)
    }

    fn measure(
        &mut self,
        session: &mut Session<'_>,
        (metric, kernel): (&str, &'static Kernel),
        footprint: u32,
        share: f64,
    ) -> Result<Measurement, DeviceError> {
        let turns = SEEDS.map(|seed| {
            let reads = reads(self.layout, footprint, seed);
            (reads, reads.expected())
        });
        // The first time includes compilation on some drivers.
        let mut once = Elapsed { device: None, host: std::time::Duration::ZERO };
        for (reads, expected) in &turns {
            once = self.read(session, (kernel, reads), expected, 1)?;
        }
        let repeat = repeats(once);
        let windows = session.measure(share, |session, number| {
            let (reads, expected) = &turns[number as usize % turns.len()];
            let elapsed = self.read(session, (kernel, reads), expected, repeat)?;
            Ok(sample(reads.cost().bytes, repeat, elapsed))
        })?;
        let Work { steps, workgroups, .. } = turns[0].0.work;
        let method = format!(
            "{LOAD_BYTES} bytes a lane, {workgroups} workgroups of {WORKGROUP_SIZE}, {steps} loads, {repeat} dispatches a window"
        );
        Ok(measurement(metric, Unit::BytesPerS, method, windows))
    }

    /// Plants faults half-way, each of which must be found at its lane.
    fn plant(
        &mut self,
        session: &mut Session<'_>,
        kernel: &'static Kernel,
        footprint: u32,
        canary: &mut Canary,
    ) -> Result<(), DeviceError> {
        let work = Work { seed: 0xca4a_0001, steps: 64, workgroups: PARTS };
        let reads = Reads { work, footprint, parts: PARTS };
        let expected = reads.expected();
        for (workgroup, lane, mask) in CANARIES {
            let answers =
                self.submit(session, (kernel, &reads), SelfFault::Flip { workgroup, lane, mask }, 1)?;
            let mut seen = Mismatches::default();
            answers.compare(&expected, self.passes, &mut seen);
            score(canary, seen, u64::from(workgroup * WORKGROUP_SIZE + lane) * 4, &mut self.wrong);
        }
        Ok(())
    }
}
