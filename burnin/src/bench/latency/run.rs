//! Runs the latency bench.

use std::time::Duration;

use kernels::chain::share;
use kernels::digest::{KERNEL, Work, expected};
use kernels::mix::mix32;
use kernels::{SelfFault, WORKGROUP_SIZE};
use report::{Bytes, Canary, CheckResult, Latency, Mismatch, Mismatches};

use crate::device::{Buffer, DeviceError, Elapsed};
use crate::mismatches::{add, merge, score};
use crate::session::{Launch, Session, coverage};

/// Dispatches of a batch.
const BATCH: u32 = 256;
/// Samples of a metric, at least and at most; and how many before them do not count.
const SAMPLES: std::ops::RangeInclusive<usize> = 100..=2000;
const WARM_UP: usize = 20;
/// Samples between two looks at the count.
const BLOCK: usize = 50;
/// The planted wrong answers: lane and bits.
const CANARIES: [(u32, u32); 2] = [(0, 1), (63, 1 << 31)];

/// The buffers, and what should be in them.
struct Ticks {
    lanes: Buffer,
    groups: Buffer,
    work: Work,
    /// Dispatches since the count was zero.
    due: u32,
    /// Dispatches that the device counted, over all blocks.
    counted: u64,
    wrong: Mismatches,
}

/// What is timed: one sample in nanoseconds.
type Timed = fn(&mut Ticks, &mut Session<'_>) -> Result<u128, DeviceError>;

/// Every metric, how it is measured, and the measuring.
const METRICS: [(&str, &str, Timed); 4] = [
    ("submit", "nothing submitted, submission to completion, host clock", |ticks, session| {
        Ok(ticks.dispatch(session, 0)?.host.as_nanos())
    }),
    ("launch", "one dispatch, submission to completion, host clock", |ticks, session| {
        Ok(ticks.dispatch(session, 1)?.host.as_nanos())
    }),
    ("dispatch", "one of 256 dispatches in a row, device clock where there is one", |ticks, session| {
        let elapsed = ticks.dispatch(session, BATCH)?;
        Ok(elapsed.device.unwrap_or(elapsed.host).as_nanos() / u128::from(BATCH))
    }),
    ("round-trip", "upload, one dispatch, read back, host clock", Ticks::round_trip),
];

/// Runs the bench.
pub fn run(session: &mut Session<'_>) -> Result<CheckResult, DeviceError> {
    let mut ticks = Ticks::allocate(session)?;
    let mut result = session.result();
    result.canary = Some(ticks.plant(session)?);
    for (number, (metric, method, timed)) in (0u32..).zip(METRICS) {
        let samples = ticks.samples(session, number, timed)?;
        result.latencies.extend(Latency::new(metric, method, samples));
    }
    #[expect(clippy::cast_precision_loss, reason = "a count far below 2^53")]
    result.coverage.push(coverage("dispatches", ticks.counted as f64));
    result.mismatches = Some(ticks.wrong);
    session.device.free(ticks.lanes);
    session.device.free(ticks.groups);
    Ok(result)
}

impl Ticks {
    fn allocate(session: &mut Session<'_>) -> Result<Self, DeviceError> {
        let work = Work { seed: 0x0a55_a730, steps: 0, workgroups: 1 };
        let lanes = session.device.allocate(Bytes(work.lanes() as u64 * 4))?;
        let groups = session.device.allocate(Bytes(work.groups() as u64 * 4))?;
        Ok(Self { lanes, groups, work, due: 0, counted: 0, wrong: Mismatches::default() })
    }

    /// The count is zero again and every answer another.
    fn begin(&mut self, session: &mut Session<'_>) -> Result<(), DeviceError> {
        self.work.seed = mix32(self.work.seed);
        self.due = 0;
        session.write(self.groups, &vec![0; self.work.groups()])
    }

    fn dispatch(&mut self, session: &mut Session<'_>, repeat: u32) -> Result<Elapsed, DeviceError> {
        self.due += repeat;
        self.submit(session, SelfFault::None, repeat)
    }

    fn submit(
        &self,
        session: &mut Session<'_>,
        fault: SelfFault,
        repeat: u32,
    ) -> Result<Elapsed, DeviceError> {
        let launch = Launch { kernel: &KERNEL, buffers: &[self.lanes, self.groups] };
        session.run(launch, self.work.params(fault), self.work.workgroups, repeat)
    }

    /// The way of a small request: a word there, the work, its answer back. The word that goes is not the answer.
    fn round_trip(&mut self, session: &mut Session<'_>) -> Result<u128, DeviceError> {
        let start = session.clock.now();
        session.write(self.lanes, &[self.due])?;
        self.dispatch(session, 1)?;
        let found = session.read(self.lanes, 1)?[0];
        let took: Duration = session.clock.now() - start;
        let expected = expected(&self.work).lane(0, 0);
        if found != expected {
            add(&mut self.wrong, Mismatch { byte_address: 0, expected, found, workgroup: 0, pass: self.due });
        }
        Ok(took.as_nanos())
    }

    fn samples(
        &mut self,
        session: &mut Session<'_>,
        number: u32,
        timed: Timed,
    ) -> Result<Vec<u64>, DeviceError> {
        let share = 1.0 / METRICS.len() as f64;
        let budget = session.planned.measure_s.get() * share;
        let mut samples = Vec::new();
        let start = session.clock.now();
        for sample in 0usize.. {
            let taken = samples.len();
            let spent = (session.clock.now() - start).as_secs_f64();
            if taken >= *SAMPLES.end() || (taken >= *SAMPLES.start() && spent >= budget) {
                break;
            }
            if sample % BLOCK == 0 {
                self.end(session, sample > 0)?;
                self.begin(session)?;
                (session.progress)(
                    ((f64::from(number) + (spent / budget.max(1e-9)).min(1.0)) * share).min(1.0),
                );
            }
            let took = timed(self, session)?;
            if sample >= WARM_UP {
                samples.push(u64::try_from(took).unwrap_or(u64::MAX));
            }
        }
        self.end(session, true)?;
        Ok(samples)
    }

    /// Reads count and answers of a block, and compares them.
    fn end(&mut self, session: &mut Session<'_>, ran: bool) -> Result<(), DeviceError> {
        if ran {
            let (lanes, groups) = self.read(session)?;
            self.counted += u64::from(groups[0]);
            self.compare_count(groups[0], 0);
            // Where nothing ran, the answers are those of before.
            if self.due > 0 {
                let found = self.compare_answers(&lanes, groups[1], 0);
                merge(&mut self.wrong, found);
            }
        }
        Ok(())
    }

    fn read(&self, session: &mut Session<'_>) -> Result<(Vec<u32>, Vec<u32>), DeviceError> {
        Ok((session.read(self.lanes, self.work.lanes())?, session.read(self.groups, self.work.groups())?))
    }

    fn compare_count(&mut self, found: u32, pass: u32) {
        if let Some(mismatch) = self.miscounted(found, pass) {
            add(&mut self.wrong, mismatch);
        }
    }

    /// The address of the count comes after all lanes.
    fn miscounted(&self, found: u32, pass: u32) -> Option<Mismatch> {
        let byte_address = u64::from(WORKGROUP_SIZE) * 4;
        (found != self.due).then_some(Mismatch {
            byte_address,
            expected: self.due,
            found,
            workgroup: 0,
            pass,
        })
    }

    /// Every lane of the last dispatch, and the sum of all.
    fn compare_answers(&self, lanes: &[u32], sum: u32, pass: u32) -> Mismatches {
        let mut wrong = Mismatches::default();
        let right = expected(&self.work);
        let mut sum_expected = 0u32;
        for (lane, found) in (0u32..).zip(lanes) {
            let expected = right.lane(0, lane);
            sum_expected = sum_expected.wrapping_add(share(lane, expected));
            if *found != expected {
                let byte_address = u64::from(lane) * 4;
                add(&mut wrong, Mismatch { byte_address, expected, found: *found, workgroup: 0, pass });
            }
        }
        let sum_expected = sum_expected.wrapping_mul(self.due);
        if wrong.count == 0 && sum != sum_expected {
            let byte_address = u64::from(WORKGROUP_SIZE + 1) * 4;
            add(
                &mut wrong,
                Mismatch { byte_address, expected: sum_expected, found: sum, workgroup: 0, pass },
            );
        }
        wrong
    }

    /// Leaves a dispatch out, which the count must show; then plants wrong answers, each of which must be found at its lane.
    fn plant(&mut self, session: &mut Session<'_>) -> Result<Canary, DeviceError> {
        let mut canary = Canary { planted: 0, found: 0, strays: 0 };
        self.begin(session)?;
        self.due = 1;
        self.submit(session, SelfFault::None, 0)?;
        let (_, groups) = self.read(session)?;
        let mut seen = Mismatches::default();
        self.miscounted(groups[0], 0).into_iter().for_each(|missed| add(&mut seen, missed));
        score(&mut canary, seen, u64::from(WORKGROUP_SIZE) * 4, &mut self.wrong);
        for (pass, (lane, mask)) in (1u32..).zip(CANARIES) {
            self.begin(session)?;
            self.due = 1;
            self.submit(session, SelfFault::Flip { workgroup: 0, lane, mask }, 1)?;
            let (lanes, groups) = self.read(session)?;
            let seen = self.compare_answers(&lanes, groups[1], pass);
            score(&mut canary, seen, u64::from(lane) * 4, &mut self.wrong);
        }
        Ok(canary)
    }
}

#[cfg(test)]
mod tests {
    use report::judge::settle;
    use report::plan::{Class, Floor, PlannedCheck, Scope};
    use report::{Outcome, Quantity};

    use super::*;
    use crate::clock::MonotonicClock;
    use crate::device::cpu::Cpu;
    use crate::device::{Device, Dispatch};

    /// A device whose driver drops every nth submission of one dispatch.
    struct Dropping {
        cpu: Cpu,
        every: u32,
        seen: u32,
    }

    impl Device for Dropping {
        crate::forward_to_device!(cpu: info, allocate, free, upload, read_back, transfer);

        fn dispatch(&mut self, dispatch: &Dispatch<'_>, by: Duration) -> Result<Elapsed, DeviceError> {
            self.seen += dispatch.repeat;
            let dropped = dispatch.repeat == 1 && self.seen.is_multiple_of(self.every);
            self.cpu
                .dispatch(&Dispatch { repeat: if dropped { 0 } else { dispatch.repeat }, ..*dispatch }, by)
        }
    }

    fn planned() -> PlannedCheck {
        PlannedCheck {
            id: "latency".try_into().unwrap(),
            scope: Scope::Device,
            required: true,
            class: Class::Performance,
            exact: true,
            canary: true,
            deadline_s: 30,
            measure_s: Quantity::ZERO,
            memory_fraction: Quantity::ZERO,
            memory_max_bytes: Bytes(0),
            floors: vec![Floor { quantity: "dispatches".into(), min: Quantity::new(100.0).unwrap() }],
            limits: vec![],
        }
    }

    fn outcome(every: u32) -> (Outcome, CheckResult) {
        let (mut device, clock) = (Dropping { cpu: Cpu::new(), every, seen: 0 }, MonotonicClock::start());
        let planned = planned();
        let mut session = Session {
            device: &mut device,
            clock: &clock,
            planned: &planned,
            host_available: None,
            progress: &mut |share| assert!((0.0..=1.0).contains(&share)),
        };
        let result = run(&mut session).unwrap();
        (settle(&planned, &result).0, result)
    }

    #[test]
    fn every_dispatch_is_counted_and_every_metric_has_its_samples() {
        let (outcome, result) = outcome(u32::MAX);
        assert_eq!(outcome, Outcome::Pass, "{result:?}");
        assert_eq!(result.canary, Some(Canary { planted: 3, found: 3, strays: 0 }));
        let metrics: Vec<_> =
            result.latencies.iter().map(|l| (l.metric.as_str(), l.samples_ns.len())).collect();
        assert_eq!(metrics, [("submit", 100), ("launch", 100), ("dispatch", 100), ("round-trip", 100)]);
        // 120 launches and round trips, 120 batches.
        assert_eq!(result.coverage[0].achieved.get(), f64::from(120 + 120 * BATCH + 120));
    }

    #[test]
    fn a_driver_that_drops_one_dispatch_in_a_hundred_is_wrong_however_fast() {
        let (outcome, result) = outcome(100);
        assert_eq!(outcome, Outcome::Fail);
        assert!(result.mismatches.unwrap().count > 0);
    }
}
