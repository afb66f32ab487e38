//! Runs the mix.

use std::time::Duration;

use kernels::SelfFault;
use report::{Canary, CheckResult, DeviceKind, Mismatches, Sample};

use super::parts::{Owned, Part};
use super::sensor::{Drawn, Sensor};
use crate::device::{DeviceError, Elapsed};
use crate::mismatches::{merge, score};
use crate::session::{Session, coverage, measurement, sample};

/// How long each part of a round should take alone: far longer than it takes to start, far shorter than a driver's patience.
const ROUND: Duration = Duration::from_millis(10);
/// A window of the mix, on a device that heats up and on a processor; and a trial of a share.
const WINDOW: [Duration; 2] = [Duration::from_millis(500), Duration::from_millis(100)];
const TRIAL: Duration = Duration::from_secs(1);
/// Shares that a part is tried at beside its full size.
const SHARES: [f64; 2] = [0.5, 0.25];

/// The mix while it runs.
struct Mix {
    parts: Vec<Part>,
    /// Rates alone, by part.
    alone: Vec<f64>,
    wrong: Mismatches,
    /// Windows so far.
    passes: u32,
}

/// Runs the check.
pub fn run(session: &mut Session<'_>) -> Result<CheckResult, DeviceError> {
    let mut sensor = Sensor::start(session.device.info());
    let mut result = session.result();
    let (parts, wrong) = Part::all(session)?;
    let mut mix = Mix { parts, alone: Vec::new(), wrong, passes: 0 };
    mix.size(session)?;
    result.canary = Some(mix.plant(session)?);
    let chosen = mix.tune(session, &mut sensor)?;
    let (once, _) = mix.window(session, 1)?;
    let repeat = rounds_of(window_time(session), once);
    sensor.begin();
    let mut samples: Vec<Vec<Sample>> = vec![Vec::new(); mix.parts.len()];
    let windows = session.measure(1.0, |session, _| {
        let (elapsed, works) = mix.window(session, repeat)?;
        let all: Vec<_> = works.iter().map(|work| sample(*work, repeat, elapsed)).collect();
        samples.iter_mut().zip(&all).for_each(|(samples, sample)| samples.push(*sample));
        Ok(all[0])
    })?;
    let drawn = sensor.drawn();
    let warm_up = windows.warm_up;
    let warmed = warm_up.map_or(0, |warm_up| warm_up.windows as usize);
    for ((part, samples), alone) in mix.parts.iter().zip(samples).zip(&mix.alone) {
        let samples = crate::measure::Windows { samples: samples[warmed..].to_vec(), warm_up };
        let method = format!("{chosen}; {repeat} rounds a window, all parts at once, answers compared");
        let measured = measurement(&part.metric(), part.unit(), method, samples);
        let share = 100.0 * measured.median.get() / alone.max(1.0);
        result.notes.push(format!(
            "{}: {share:.0} % of the {} that it reaches alone",
            measured.metric,
            part.unit().show(*alone)
        ));
        result.measurements.push(measured);
    }
    say_power(&mut result, drawn);
    mix.conclude(session, result)
}

/// The draw, or why it is not known.
fn say_power(result: &mut CheckResult, drawn: Result<Drawn, String>) {
    match drawn {
        Ok(drawn) => {
            let Drawn { watts, limit_w, source } = &drawn;
            let limit = match drawn.of_limit() {
                Some(share) => {
                    result.coverage.push(coverage("power_limit_fraction", share));
                    format!(", {:.1} % of its limit of {:.0} W", 100.0 * share, limit_w.unwrap_or_default())
                }
                None => ", its limit is not told".to_owned(),
            };
            let (median, max) = (watts.median.get(), watts.max.get());
            result.notes.push(format!("the board drew {median:.0} W{limit}, at most {max:.0} W ({source})"));
        }
        Err(why) => result.notes.push(format!("power is not known: {why}")),
    }
}

fn window_time(session: &Session<'_>) -> Duration {
    WINDOW[usize::from(session.device.info().kind == DeviceKind::Cpu)]
}

fn seconds(elapsed: Elapsed) -> f64 {
    elapsed.device.unwrap_or(elapsed.host).as_secs_f64().max(1e-7)
}

/// How many rounds take so long.
fn rounds_of(time: Duration, once: Elapsed) -> u32 {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "clamped to 1..=10000")]
    let rounds = (time.as_secs_f64() / seconds(once)).round().clamp(1.0, 10_000.0) as u32;
    rounds
}

/// A sum of works in so many rounds, per second.
fn rate(work: u64, repeat: u32, elapsed: Elapsed) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "the last digits do not matter")]
    let work = work as f64;
    work * f64::from(repeat) / seconds(elapsed)
}

impl Mix {
    /// Runs some parts at once and compares the answers of each; the time, and the work of a round of each.
    fn act(
        &mut self,
        session: &mut Session<'_>,
        which: std::ops::Range<usize>,
        repeat: u32,
    ) -> Result<(Elapsed, Vec<u64>), DeviceError> {
        let parts = &mut self.parts[which];
        self.passes += 1;
        let owned = parts
            .iter_mut()
            .map(|part| part.prepare(session, self.passes, SelfFault::None))
            .collect::<Result<Vec<_>, _>>()?;
        let elapsed = together(session, &owned, repeat)?;
        for part in parts.iter_mut() {
            merge(&mut self.wrong, part.verify(session, elapsed, repeat, self.passes)?);
        }
        Ok((elapsed, parts.iter().map(Part::work).collect()))
    }

    fn window(&mut self, session: &mut Session<'_>, repeat: u32) -> Result<(Elapsed, Vec<u64>), DeviceError> {
        self.act(session, 0..self.parts.len(), repeat)
    }

    /// Sizes each part so that a round of it alone takes about [`ROUND`], and takes its rate alone.
    fn size(&mut self, session: &mut Session<'_>) -> Result<(), DeviceError> {
        for at in 0..self.parts.len() {
            // The first time includes compilation on some drivers; the second look is at another size than the first.
            for _ in 0..3 {
                let (elapsed, _) = self.act(session, at..at + 1, 1)?;
                self.parts[at].resize((ROUND.as_secs_f64() / seconds(elapsed)).clamp(0.25, 64.0));
            }
            let (once, _) = self.act(session, at..at + 1, 1)?;
            let repeat = rounds_of(window_time(session), once);
            let (elapsed, works) = self.act(session, at..at + 1, repeat)?;
            self.alone.push(rate(works[0], repeat, elapsed));
        }
        Ok(())
    }

    /// Plants a fault in one part after the other while all run; each must be found in its part, at its place.
    fn plant(&mut self, session: &mut Session<'_>) -> Result<Canary, DeviceError> {
        let mut canary = Canary { planted: 0, found: 0, strays: 0 };
        for at in 0..self.parts.len() {
            self.passes += 1;
            let (fault, planted_at) = self.parts[at].plant(session, self.passes)?;
            let mut owned = Vec::new();
            for (other, part) in self.parts.iter_mut().enumerate() {
                let fault = if other == at { fault } else { SelfFault::None };
                owned.push(part.prepare(session, self.passes, fault)?);
            }
            let elapsed = together(session, &owned, 1)?;
            for (other, part) in self.parts.iter_mut().enumerate() {
                let seen = part.verify(session, elapsed, 1, self.passes)?;
                if other == at {
                    score(&mut canary, seen, planted_at, &mut self.wrong);
                } else {
                    merge(&mut self.wrong, seen);
                }
            }
            self.parts[at].mend(session)?;
        }
        Ok(canary)
    }

    /// Tries the shares and keeps the best; how it was chosen, for people.
    fn tune(&mut self, session: &mut Session<'_>, sensor: &mut Sensor) -> Result<String, DeviceError> {
        let count = self.parts.len();
        let mut mixes = vec![vec![1.0; count]];
        for at in 0..count {
            mixes.extend(SHARES.map(|share| (0..count).map(|n| if n == at { share } else { 1.0 }).collect()));
        }
        let mut tried = Vec::new();
        for shares in mixes {
            self.set(&shares);
            let (once, _) = self.window(session, 1)?;
            sensor.begin();
            let rates = self.trial(session, once)?;
            tried.push((shares, sensor.drawn().ok().map(|drawn| drawn.watts.median.get()), rates));
        }
        // Watts and rates do not compare: only where every mix has its watts do they decide.
        let by_power = tried.iter().all(|(_, watts, _)| watts.is_some());
        let worth =
            |(_, watts, rates): &(_, Option<f64>, f64)| if by_power { watts.unwrap_or(0.0) } else { *rates };
        let best = tried.iter().max_by(|a, b| worth(a).total_cmp(&worth(b)));
        let shares = best.map_or_else(|| vec![1.0; count], |(shares, ..)| shares.clone());
        self.set(&shares);
        let named: Vec<_> = self
            .parts
            .iter()
            .zip(&shares)
            .map(|(part, share)| format!("{} {share}", part.metric()))
            .collect();
        let by = if by_power { "the power drawn" } else { "the sum of the fractions of their rates alone" };
        Ok(format!("shares {}, best of {} by {by}", named.join(", "), tried.len()))
    }

    fn set(&mut self, shares: &[f64]) {
        self.parts.iter_mut().zip(shares).for_each(|(part, share)| part.share(*share));
    }

    /// The sum of the fractions of the rates alone, over as long as a sensor needs on a device that has one.
    fn trial(&mut self, session: &mut Session<'_>, once: Elapsed) -> Result<f64, DeviceError> {
        let software = session.device.info().kind == DeviceKind::Cpu;
        let repeat = if software { 1 } else { rounds_of(TRIAL, once) };
        let (elapsed, works) = self.window(session, repeat)?;
        let fractions =
            works.iter().zip(&self.alone).map(|(work, alone)| rate(*work, repeat, elapsed) / alone.max(1.0));
        Ok(fractions.sum())
    }

    fn conclude(
        self,
        session: &mut Session<'_>,
        mut result: CheckResult,
    ) -> Result<CheckResult, DeviceError> {
        let mut has_matrices = false;
        for part in &self.parts {
            #[expect(clippy::cast_precision_loss, reason = "counts far below 2^53")]
            let (quantity, count) = match part {
                Part::Vector(part) => ("workgroups", part.workgroups as f64),
                Part::Memory(part) => ("compared_bytes", part.compared as f64),
                Part::Matrix(part) => ("matrix_workgroups", part.workgroups as f64),
            };
            has_matrices |= matches!(part, Part::Matrix(_));
            result.coverage.push(coverage(quantity, count));
        }
        if !has_matrices {
            result.notes.push("without matrices: the device lists none that a kernel multiplies".to_owned());
        }
        result.mismatches = Some(self.wrong);
        self.parts.into_iter().for_each(|part| part.free(session));
        Ok(result)
    }
}

/// Runs all at once, each so many rounds.
fn together(session: &mut Session<'_>, owned: &[Owned], repeat: u32) -> Result<Elapsed, DeviceError> {
    let dispatches: Vec<_> = owned.iter().map(|owned| owned.rounds(repeat)).collect();
    let deadline = session.dispatch_deadline();
    session.device.dispatch_together(&dispatches, deadline)
}
