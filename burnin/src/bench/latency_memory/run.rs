//! Runs the bench of memory latency.

use kernels::chain::Work;
use kernels::chase::{KERNEL, NODE_WORDS, Walk, table};
use kernels::mix::mix32;
use kernels::{SelfFault, WORKGROUP_SIZE};
use report::{Canary, CheckResult, DeviceKind, Latency, Mismatches, Sample};

use crate::bench::footprint::{filled, footprints, name};
use crate::chains::{Answers, Chains};
use crate::device::DeviceError;
use crate::mismatches::score;
use crate::session::{Session, coverage, sample};

const NODE_BYTES: u32 = NODE_WORDS * 4;
/// Steps of one dispatch, at least and at most: below a quarter of a second where a load takes a microsecond.
const STEPS: [f64; 2] = [1024.0, 131_072.0];
/// Nodes that are visited before anything counts, at most, on a processor's device and on a GPU: 8 and 64 MiB.
const WARMED: [u32; 2] = [1 << 17, 1 << 20];
/// The share of a footprint's time that one window takes.
const WINDOW_SHARE: f64 = 0.15;
/// The planted faults: lane and bits. The first lane is the one that walks.
const CANARIES: [(u32, u32); 4] = [(0, 1), (0, 1 << 5), (1, 1 << 3), (63, 1)];

/// The walks so far.
struct Chase {
    chains: Chains,
    /// Where the next walk begins.
    first: u32,
    passes: u32,
    loads: u64,
    wrong: Mismatches,
}

/// Runs the bench.
pub fn run(session: &mut Session<'_>) -> Result<CheckResult, DeviceError> {
    let footprints = footprints(session);
    let largest = footprints.iter().copied().max().unwrap_or(NODE_BYTES);
    let nodes = filled(session, largest, |words| table(words.start / NODE_WORDS..words.end / NODE_WORDS))?;
    let chains = Chains::over(session, &KERNEL, nodes, 1)?;
    let mut chase = Chase { chains, first: 0, passes: 0, loads: 0, wrong: Mismatches::default() };
    let mut result = session.result();
    result.canary = Some(chase.plant(session, largest / NODE_BYTES)?);
    let share = 1.0 / footprints.len() as f64;
    for footprint in footprints {
        result.latencies.extend(chase.measure(session, footprint, share)?);
    }
    #[expect(clippy::cast_precision_loss, reason = "a count far below 2^53")]
    result.coverage.push(coverage("loads", chase.loads as f64));
    result.mismatches = Some(chase.wrong);
    chase.chains.free(session);
    Ok(result)
}

impl Chase {
    /// A walk that goes on where the one before ended, compared.
    fn walk(&mut self, session: &mut Session<'_>, nodes: u32, steps: u32) -> Result<Sample, DeviceError> {
        let walk = self.next(nodes, steps);
        let answers = self.submit(session, &walk, SelfFault::None)?;
        answers.compare(&walk.expected(), self.passes, &mut self.wrong);
        self.first = walk.last();
        let loads = walk.cost().operations;
        self.loads += loads;
        Ok(sample(loads, 1, answers.elapsed))
    }

    /// Every walk has another seed, so no answer can be one of before.
    fn next(&mut self, nodes: u32, steps: u32) -> Walk {
        self.passes += 1;
        Walk { work: Work { seed: mix32(self.passes), steps, workgroups: 1 }, nodes, first: self.first }
    }

    fn submit(
        &self,
        session: &mut Session<'_>,
        walk: &Walk,
        fault: SelfFault,
    ) -> Result<Answers, DeviceError> {
        self.chains.run_with(session, &walk.work, (walk.params(fault), 1), 1)
    }

    /// Visits the nodes, then times walks of as many steps as fill a window.
    fn measure(
        &mut self,
        session: &mut Session<'_>,
        footprint: u32,
        share: f64,
    ) -> Result<Option<Latency>, DeviceError> {
        let nodes = footprint / NODE_BYTES;
        let mut steps = clamped(f64::from(nodes));
        let mut once = self.walk(session, nodes, steps)?;
        let mut visited = steps;
        let warmed = WARMED[usize::from(session.device.info().kind != DeviceKind::Cpu)];
        while visited < nodes.min(warmed) {
            once = self.walk(session, nodes, steps)?;
            visited += steps;
        }
        let window = session.planned.measure_s.get() * share * WINDOW_SHARE;
        steps = clamped(window * 1e9 / load_ns(&once).max(0.1));
        let windows = session.measure(share, |session, _| self.walk(session, nodes, steps))?;
        let samples = windows.iter().map(|window| whole_ns(load_ns(window))).collect();
        let method = format!(
            "one load of a chase through {nodes} nodes of {NODE_BYTES} bytes, {steps} loads a window"
        );
        Ok(Latency::new(&name(footprint), &method, samples))
    }

    /// Leads walks astray, each of which must be found at its lane.
    fn plant(&mut self, session: &mut Session<'_>, nodes: u32) -> Result<Canary, DeviceError> {
        let mut canary = Canary { planted: 0, found: 0, strays: 0 };
        for (lane, mask) in CANARIES {
            debug_assert!(lane < WORKGROUP_SIZE);
            let walk = self.next(nodes, 4096);
            let answers = self.submit(session, &walk, SelfFault::Flip { workgroup: 0, lane, mask })?;
            let mut seen = Mismatches::default();
            answers.compare(&walk.expected(), self.passes, &mut seen);
            score(&mut canary, seen, u64::from(lane) * 4, &mut self.wrong);
        }
        Ok(canary)
    }
}

/// An even number of steps within [`STEPS`].
fn clamped(steps: f64) -> u32 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped")]
    let steps = steps.clamp(STEPS[0], STEPS[1]) as u32;
    steps / 2 * 2
}

/// Nanoseconds of one load, by the device's clock where there is one.
fn load_ns(window: &Sample) -> f64 {
    window.device_s.unwrap_or(window.host_s).get() * 1e9 / window.work.get().max(1.0)
}

fn whole_ns(nanoseconds: f64) -> u64 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "not negative")]
    let whole = nanoseconds.round().max(1.0) as u64;
    whole
}
