//! Runs the matrix bench.

use kernels::SelfFault;
use kernels::matrix::{Data, Work};
use report::judge::ReasonCode;
use report::{Canary, CheckResult, Measurement, Mismatches, Outcome, Unit};

use super::shapes::{Candidate, Findings, candidates, grow, layouts, rate};
use super::tiles::{Expectation, Tiles};
use crate::device::DeviceError;
use crate::mismatches::score;
use crate::session::{Session, coverage, measurement, sample};

/// A shape that is so much slower than the best of its types is named: the driver emulates it.
const SLOW: f64 = 10.0;
/// How many shapes of each pair of types are tuned.
const TUNED: usize = 2;

/// Runs the bench.
pub fn run(session: &mut Session<'_>) -> Result<CheckResult, DeviceError> {
    let (tried, left) = candidates(session.device.info());
    let mut result = session.result();
    if tried.is_empty() {
        let detail = format!("no kernel multiplies any of the {} shapes that the driver lists", left.len());
        result.outcome = Outcome::Skip;
        result.reason = Some(ReasonCode::Unsupported.because(detail));
        return Ok(result);
    }
    let tiles = Tiles::allocate(session)?;
    let mut bench = Bench { tiles, findings: Findings::default(), refused: Vec::new() };
    let listed = tried.len();
    let verified = bench.verify(session, tried)?;
    bench.count(&mut result, listed, verified.len());
    let best = bench.tune(session, &verified)?;
    let mut canary = Canary { planted: 0, found: 0, strays: 0 };
    for (candidate, _) in &best {
        bench.plant(session, candidate, &mut canary)?;
    }
    result.canary = Some(canary);
    for (candidate, repeat) in &best {
        #[expect(clippy::cast_precision_loss, reason = "a handful")]
        let share = 1.0 / best.len() as f64;
        result.measurements.push(bench.measure(session, candidate, *repeat, share)?);
    }
    tiles.free(session);
    Ok(bench.conclude(result, &left))
}

/// The fastest work of one pair of types that subgroups own (floats where there are some), tried, verified and laid out as
/// the bench does; and what was wrong on the way.
pub(crate) fn fastest(
    session: &mut Session<'_>,
    tiles: Tiles,
) -> Result<(Option<Work>, Mismatches), DeviceError> {
    let (tried, _) = candidates(session.device.info());
    let (floats, integers): (Vec<_>, Vec<_>) = tried
        .into_iter()
        .filter(|candidate| !candidate.work.whole)
        .partition(|candidate| !candidate.work.types.element().is_integer());
    let mut bench = Bench { tiles, findings: Findings::default(), refused: Vec::new() };
    let mut verified = bench.verify(session, if floats.is_empty() { integers } else { floats })?;
    verified.sort_by(|a, b| b.rate.total_cmp(&a.rate));
    verified.truncate(1);
    let best = bench.tune(session, &verified)?.into_iter().next();
    Ok((best.map(|(candidate, _)| candidate.work), bench.findings.wrong))
}

/// The bench while it runs.
struct Bench {
    tiles: Tiles,
    findings: Findings,
    /// Shapes that the driver lists and then does not take, with its words.
    refused: Vec<String>,
}

impl Bench {
    /// Those of the shapes that multiply right, with their rates.
    fn verify(
        &mut self,
        session: &mut Session<'_>,
        tried: Vec<Candidate>,
    ) -> Result<Vec<Candidate>, DeviceError> {
        let mut verified = Vec::new();
        for candidate in tried {
            match self.try_out(session, &candidate) {
                Ok(Some(rate)) => verified.push(Candidate { rate, ..candidate }),
                Ok(None) => {}
                Err(DeviceError::Driver { doing, message }) => {
                    self.refused.push(format!("{}: {doing}: {message}", candidate.shape));
                }
                Err(other) => return Err(other),
            }
        }
        for candidate in &verified {
            let types = candidate.work.types;
            let peers = verified.iter().filter(|other| other.work.types == types);
            let best = peers.map(|other| other.rate).fold(0.0, f64::max);
            if candidate.rate * SLOW < best {
                let times = best / candidate.rate;
                let note = format!("slow: {} is {times:.0} times slower than the best", candidate.shape);
                self.findings.notes.push(note);
            }
        }
        Ok(verified)
    }

    /// The rate of a shape on small work; `None` if an answer is wrong.
    fn try_out(
        &mut self,
        session: &mut Session<'_>,
        candidate: &Candidate,
    ) -> Result<Option<f64>, DeviceError> {
        let mut best = 0f64;
        // The first run includes the compilation on some drivers.
        for number in 0..3 {
            let work = Work { seed: candidate.work.seed.wrapping_add(number), ..candidate.work };
            let answers = self.tiles.run(session, &work, SelfFault::None, 1)?;
            if !self.findings.take(&candidate.shape, &answers, number) {
                return Ok(None);
            }
            best = best.max(rate(&answers));
        }
        Ok(Some(best))
    }

    /// The best shape and layout of each pair of types and each scope, grown to fill a window.
    fn tune(
        &mut self,
        session: &mut Session<'_>,
        verified: &[Candidate],
    ) -> Result<Vec<(Candidate, u32)>, DeviceError> {
        let mut metrics: Vec<String> = verified.iter().map(metric).collect();
        metrics.sort_by_key(|name| verified.iter().position(|c| metric(c) == *name));
        metrics.dedup();
        let mut best = Vec::new();
        for name in metrics {
            let mut shapes: Vec<_> = verified.iter().filter(|c| metric(c) == name).collect();
            shapes.sort_by(|a, b| b.rate.total_cmp(&a.rate));
            let mut fastest: Option<Candidate> = None;
            for candidate in shapes.into_iter().take(TUNED) {
                for work in layouts(session.device.info(), &candidate.work) {
                    let laid = self.time(session, Candidate { work, ..candidate.clone() })?;
                    if fastest.as_ref().is_none_or(|fastest| laid.rate > fastest.rate) {
                        fastest = Some(laid);
                    }
                }
            }
            if let Some(fastest) = fastest {
                best.push(grow(session, &self.tiles, &fastest, &mut self.findings)?);
            }
        }
        Ok(best)
    }

    /// The rate of a layout; its first run includes the compilation on some drivers.
    fn time(&mut self, session: &mut Session<'_>, candidate: Candidate) -> Result<Candidate, DeviceError> {
        let mut fastest = 0f64;
        for number in 0..2 {
            let work = Work { seed: candidate.work.seed ^ (0x7100 + number), ..candidate.work };
            let answers = self.tiles.run(session, &work, SelfFault::None, 1)?;
            self.findings.take(&candidate.shape, &answers, number);
            fastest = fastest.max(rate(&answers));
        }
        Ok(Candidate { rate: fastest, ..candidate })
    }

    /// Plants a fault in the first owner and one in the last; each must be found in its word, and nothing else.
    fn plant(
        &mut self,
        session: &mut Session<'_>,
        candidate: &Candidate,
        canary: &mut Canary,
    ) -> Result<(), DeviceError> {
        let work = Work { workgroups: 5, rounds: candidate.work.rounds.min(64), ..candidate.work };
        for (number, (workgroup, owner)) in (0u32..).zip([(0, 0), (4, work.owners - 1)]) {
            let work = Work { seed: work.seed ^ (0x0c00 + number), wanted: Data::Exact, ..work };
            let (fault, word) = work.fault(workgroup, owner, 13 * number, 1 << (7 + 11 * number));
            let answers = self.tiles.run(session, &work, fault, 1)?;
            let mut seen = Mismatches::default();
            answers.compare(&answers.expectation(), number, &mut seen);
            score(canary, seen, word as u64 * 4, &mut self.findings.wrong);
        }
        Ok(())
    }

    /// Windows with a new seed each: exact ones, and for floats random ones of one seed that must always answer the same.
    fn measure(
        &mut self,
        session: &mut Session<'_>,
        candidate: &Candidate,
        repeat: u32,
        share: f64,
    ) -> Result<Measurement, DeviceError> {
        let Candidate { shape, work, .. } = candidate;
        let floats = !work.types.element().is_integer();
        let mut random: Option<Expectation> = None;
        let samples = session.measure(share, |session, number| {
            let wanted = if number % 2 == 1 { Data::Random } else { Data::Exact };
            let seed = work.seed ^ if wanted == Data::Exact { (1 + number) << 8 } else { 0 };
            let work = Work { seed, wanted, ..*work };
            let answers = self.tiles.run(session, &work, SelfFault::None, repeat)?;
            let mut found = Mismatches::default();
            if work.is_exact() {
                answers.compare(&answers.expectation(), 1 + number, &mut found);
            } else {
                let expectation = random.get_or_insert_with(|| answers.expectation());
                answers.compare(expectation, 1 + number, &mut found);
            }
            self.findings.keep(shape, &answers, found);
            Ok(sample(answers.cost().operations, repeat, answers.elapsed))
        })?;
        let unit = if floats { Unit::FlopPerS } else { Unit::OpsPerS };
        Ok(measurement(&metric(candidate), unit, method(candidate, repeat, floats), samples))
    }

    fn count(&self, result: &mut CheckResult, listed: usize, verified: usize) {
        #[expect(clippy::cast_precision_loss, reason = "a few shapes")]
        let (listed, verified) = (listed as f64, verified as f64);
        result.coverage.push(coverage("shapes", verified));
        result.coverage.push(coverage("shapes_verified_share", verified / listed));
    }

    fn conclude(self, mut result: CheckResult, left: &[report::MatrixShape]) -> CheckResult {
        let Findings { wrong, workgroups, notes } = self.findings;
        #[expect(clippy::cast_precision_loss, reason = "a count far below 2^53")]
        result.coverage.push(coverage("workgroups", workgroups as f64));
        result.notes.extend(notes);
        if !left.is_empty() {
            let names: Vec<_> = left.iter().map(ToString::to_string).collect();
            result.notes.push(format!("not tried, no kernel for: {}", names.join("; ")));
        }
        if !result.measurements.iter().any(|m| m.metric.contains("whole")) {
            result.notes.push("matrices of a whole workgroup: unsupported, none is listed".to_owned());
        }
        if !self.refused.is_empty() {
            result.outcome = Outcome::Error;
            let detail = format!("listed, and then refused: {}", self.refused.join("; "));
            result.reason = Some(ReasonCode::DriverError.because(detail));
        }
        result.mismatches = Some(wrong);
        result
    }
}

/// What is measured: by types, and apart where the workgroup owns the matrices.
fn metric(candidate: &Candidate) -> String {
    candidate.work.kernel().name.to_owned()
}

fn method(candidate: &Candidate, repeat: u32, floats: bool) -> String {
    let Work { m, n, k, fragments, owners, workgroups, rounds, invocations, whole, .. } = candidate.work;
    let owners = if whole { "one owner".to_owned() } else { format!("{owners} subgroups") };
    let data = if floats { "exact and random operands in turn" } else { "operands of all bits" };
    format!(
        "{m}x{n}x{k}, {fragments}x{fragments} accumulators, {workgroups} workgroups of {invocations} ({owners}), \
         {rounds} rounds, {repeat} dispatches a window, {data}"
    )
}
