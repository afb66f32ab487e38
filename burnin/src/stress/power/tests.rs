use std::time::Duration;

use report::judge::settle;
use report::{Bytes, CheckResult, Outcome, Plan, Quantity};

use crate::clock::MonotonicClock;
use crate::device::cpu::Cpu;
use crate::device::{Device, DeviceError, Dispatch, Elapsed};
use crate::session::Session;

/// What goes wrong with one part, by its place among those that run at once; only after so many rounds of all parts.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Wrong {
    Nothing,
    /// It is left out, and nobody says so.
    LeftOut(usize),
    /// A word of its results or of its memory changes.
    Flipped(usize),
}

/// The references, of which one part goes wrong once.
struct Company {
    cpu: Cpu,
    wrong: Wrong,
    /// Rounds of all parts before it happens: more than canaries are planted.
    left: u32,
}

impl Device for Company {
    crate::forward_to_device!(cpu: info, allocate, free, upload, read_back, transfer);

    fn dispatch(&mut self, dispatch: &Dispatch<'_>, by: Duration) -> Result<Elapsed, DeviceError> {
        self.cpu.dispatch(dispatch, by)
    }

    fn dispatch_together(
        &mut self,
        dispatches: &[Dispatch<'_>],
        by: Duration,
    ) -> Result<Elapsed, DeviceError> {
        if dispatches.len() < 3 {
            return self.cpu.dispatch_together(dispatches, by);
        }
        self.left = self.left.wrapping_sub(1);
        let now = self.left == 0;
        match self.wrong {
            Wrong::LeftOut(at) if now => {
                let rest: Vec<_> = (0..).zip(dispatches).filter(|(n, _)| *n != at).map(|(_, d)| *d).collect();
                self.cpu.dispatch_together(&rest, by)
            }
            Wrong::Flipped(at) if now => {
                // Memory is wrong before it is read, results after they were written; both are in their second buffer or first.
                let before = at == 1;
                let buffer = dispatches[at].buffers[usize::from(at > 0)];
                if before {
                    self.flip(buffer);
                }
                let elapsed = self.cpu.dispatch_together(dispatches, by)?;
                if !before {
                    self.flip(buffer);
                }
                Ok(elapsed)
            }
            _ => self.cpu.dispatch_together(dispatches, by),
        }
    }
}

impl Company {
    fn flip(&mut self, buffer: crate::device::Buffer) {
        let mut word = [0];
        self.cpu.read_back(buffer, 7, &mut word, Duration::ZERO).unwrap();
        self.cpu.upload(buffer, 7, &[word[0] ^ (1 << 20)], Duration::ZERO).unwrap();
    }
}

fn outcome(wrong: Wrong) -> (Outcome, CheckResult) {
    let plan = Plan::built_in("quick-software").unwrap();
    let mut planned = plan.check(&"power".try_into().unwrap()).unwrap().clone();
    planned.memory_max_bytes = Bytes::mib(1);
    planned.measure_s = Quantity::new(0.1).unwrap();
    planned.floors.iter_mut().for_each(|floor| floor.min = Quantity::new(4.0).unwrap());
    let mut device = Company { cpu: Cpu::new(), wrong, left: 8 };
    let clock = MonotonicClock::start();
    let mut session = Session {
        device: &mut device,
        clock: &clock,
        planned: &planned,
        host_available: None,
        progress: &mut |_| (),
    };
    let result = super::run(&mut session).unwrap();
    assert!(device.left > 8, "nothing went wrong yet");
    (settle(&planned, &result).0, result)
}

#[test]
fn three_parts_at_once_are_right_and_without_a_sensor_no_watts_are_claimed() {
    let (outcome, result) = outcome(Wrong::Nothing);
    assert_eq!(outcome, Outcome::Pass, "{result:?}");
    let canary = result.canary.unwrap();
    assert_eq!((canary.planted, canary.found, canary.strays), (3, 3, 0));
    let metrics: Vec<_> = result.measurements.iter().map(|m| m.metric.as_str()).collect();
    assert_eq!(metrics[..2], ["power-fp32", "power-read"]);
    assert!(metrics[2].starts_with("power-matrix-"), "{metrics:?}");
    assert!(result.measurements.iter().all(|m| m.worst.get() > 0.0 && m.method.contains("by the sum of")));
    assert!(result.coverage.iter().all(|c| !c.quantity.contains("power")), "{:?}", result.coverage);
    assert!(result.notes.iter().any(|note| note.starts_with("power is not known: ")), "{:?}", result.notes);
}

#[test]
fn a_part_that_is_silently_left_out_is_seen_whichever_it_is() {
    for at in 0..3 {
        let (outcome, result) = outcome(Wrong::LeftOut(at));
        assert_eq!(outcome, Outcome::Fail, "part {at}: {result:?}");
    }
}

#[test]
fn a_wrong_word_in_any_part_is_seen() {
    for at in 0..3 {
        let (outcome, result) = outcome(Wrong::Flipped(at));
        assert_eq!(outcome, Outcome::Fail, "part {at}");
        let wrong = result.mismatches.unwrap();
        assert_eq!(wrong.first[0].expected ^ wrong.first[0].found, 1 << 20, "part {at}");
    }
}
