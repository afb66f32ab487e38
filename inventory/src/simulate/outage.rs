//! The server is gone for an hour, and a fleet waits for it: does it come back as a herd?
//!
//! In simulated time, event by event: the nodes' own law of waiting ([`super::backoff`], which a test holds equal to that
//! of `node-init`) against the server's own rule of admission ([`crate::admission`]). What the server can do a second is
//! given; measure it with the subject `sustained` or `storm`.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Duration;

use super::backoff;
use super::figures::{Figures, Quantiles};
use super::random::Seeded;
use crate::admission::{Admission, AdmissionLimits, Class};

/// An outage.
#[derive(Clone, Copy, Debug)]
pub struct Outage {
    /// Same seed, same waits.
    pub seed: u64,
    /// Nodes that wait.
    pub nodes: usize,
    /// How long the server is gone.
    pub lasts: Duration,
    /// Requests that the server answers a second.
    pub served_per_s: f64,
    /// Longest burn-in between enrolment and report.
    pub burn_in: Duration,
}

/// All must be registered so long after the server's return.
const WITHIN: Duration = Duration::from_secs(600);
/// At most so many times what the server can do may be asked of it in any second.
const PEAK_TO_SERVED_MAX: f64 = 2.0;
/// One bar of the histogram.
const BAR: Duration = Duration::from_secs(30);
/// Simulated time after which whoever waits still is counted as lost.
const END: Duration = Duration::from_secs(4 * 3600);

/// What a node asks for next.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Step {
    Enrol,
    Report,
}

/// What happens, at a time; earliest first, ties by number.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    /// A request reaches the server.
    Call { node: usize, step: Step, failures: u32 },
    /// The server has answered one.
    Answered { node: usize, step: Step },
}

/// What came of it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Course {
    /// When each node was registered, after the server's return.
    pub registered: Vec<Duration>,
    /// Requests in each second after the server's return.
    pub arrivals: Vec<u64>,
    /// Requests that were refused.
    pub refused: u64,
    /// Longest time that the server worked through what it had admitted.
    pub queue_max: Duration,
}

/// Runs it, and makes figures of it.
pub fn run(outage: Outage) -> Figures {
    let course = course(outage);
    let mut figures = Figures::of("outage (simulated time)", outage.seed);
    figures.row("nodes", outage.nodes);
    figures.row("server gone for", format!("{} s", outage.lasts.as_secs()));
    figures.row("requests served", format!("{} /s", outage.served_per_s));
    figures.row("requests refused", course.refused);
    figures.quantiles("registered after its return", Quantiles::of(&course.registered));
    figures.row("longest queue", format!("{:.1} s", course.queue_max.as_secs_f64()));
    let bar = usize::try_from(BAR.as_secs()).unwrap_or(1);
    for (number, seconds) in course.arrivals.chunks(bar).enumerate() {
        let (sum, most) = (seconds.iter().sum::<u64>(), seconds.iter().max().copied().unwrap_or_default());
        let width = usize::try_from(sum / 50).unwrap_or_default().min(60);
        let name = format!("arrivals from {} s", number * bar);
        figures.row(&name, format!("{sum:5}, at most {most:3} in a second {}", "#".repeat(width)));
    }
    let registered = course.registered.len();
    figures.demand("registered", registered, outage.nodes, registered == outage.nodes);
    let last = course.registered.iter().max().copied().unwrap_or_default();
    let asked = format!("at most {} s", WITHIN.as_secs());
    figures.demand("the last of them", format!("{} s", last.as_secs()), asked, last <= WITHIN);
    #[expect(clippy::cast_precision_loss, reason = "a count of requests")]
    let peak = course.arrivals.iter().max().copied().unwrap_or_default() as f64;
    let most = PEAK_TO_SERVED_MAX * outage.served_per_s;
    figures.demand("busiest second", peak, format!("at most {most}"), peak <= most);
    figures
}

/// Simulates it.
pub fn course(outage: Outage) -> Course {
    let mut server = Server {
        admission: Admission::new(AdmissionLimits::default()),
        service: Duration::from_secs_f64(1.0 / outage.served_per_s),
        free_at: Duration::ZERO,
    };
    let mut chance = Seeded::new(outage.seed, 5 << 40);
    let mut events = BinaryHeap::new();
    let mut course = Course::default();
    for node in 0..outage.nodes {
        // Half of them lost it in one moment, the others came on while it was gone; every other has its report ready.
        let at = if node % 2 == 0 { Duration::ZERO } else { chance.up_to(outage.lasts) };
        let step = if node % 4 < 2 { Step::Enrol } else { Step::Report };
        events.push(Reverse((at, Event::Call { node, step, failures: 0 })));
    }
    while let Some(Reverse((now, event))) = events.pop() {
        if now > outage.lasts + END {
            break;
        }
        match event {
            Event::Call { node, step, failures } => {
                let back = now >= outage.lasts;
                if back {
                    count(&mut course.arrivals, now - outage.lasts);
                }
                match if back { server.ask(step, now) } else { Err(None) } {
                    Ok(answered) => {
                        course.queue_max = course.queue_max.max(answered - now);
                        events.push(Reverse((answered, Event::Answered { node, step })));
                    }
                    Err(after) => {
                        course.refused += u64::from(back);
                        let wait = backoff::wait(failures, after, |ceiling| chance.up_to(ceiling));
                        let again = Event::Call { node, step, failures: failures.saturating_add(1) };
                        events.push(Reverse((now + wait, again)));
                    }
                }
            }
            Event::Answered { node, step } => {
                server.admission.leave();
                match step {
                    Step::Enrol => {
                        let at = now + chance.up_to(outage.burn_in);
                        events.push(Reverse((at, Event::Call { node, step: Step::Report, failures: 0 })));
                    }
                    Step::Report => course.registered.push(now - outage.lasts),
                }
            }
        }
    }
    course
}

fn count(seconds: &mut Vec<u64>, after: Duration) {
    let second = usize::try_from(after.as_secs()).unwrap_or_default();
    if seconds.len() <= second {
        seconds.resize(second + 1, 0);
    }
    seconds[second] += 1;
}

/// One queue, served at a steady rate, behind the rule of admission.
struct Server {
    admission: Admission,
    service: Duration,
    free_at: Duration,
}

impl Server {
    /// When it is answered, or what wait is asked for.
    fn ask(&mut self, step: Step, now: Duration) -> Result<Duration, Option<Duration>> {
        let class = match step {
            Step::Enrol => Class::New,
            Step::Report => Class::Finishing,
        };
        let admitted = self.admission.enter(class, now);
        admitted.map_err(|refused| Some(Duration::from_secs(u64::from(refused.retry_after_s))))?;
        self.free_at = self.free_at.max(now) + self.service;
        Ok(self.free_at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outage(seed: u64) -> Outage {
        let (lasts, burn_in) = (Duration::from_secs(3600), Duration::from_secs(120));
        Outage { seed, nodes: 2000, lasts, served_per_s: 200.0, burn_in }
    }

    #[test]
    fn everybody_is_registered_in_time_whatever_the_seed() {
        for seed in 0..20 {
            let figures = run(outage(seed));
            assert!(figures.are_as_asked(), "{}", figures.text());
        }
    }

    #[test]
    fn a_seed_repeats_itself() {
        assert_eq!(course(outage(3)), course(outage(3)));
        assert_ne!(course(outage(3)), course(outage(4)));
    }

    #[test]
    fn a_server_that_is_too_slow_is_found_out() {
        let slow = Outage { served_per_s: 2.0, ..outage(1) };
        assert!(!run(slow).are_as_asked());
    }

    #[test]
    fn arrivals_are_flat_while_the_fleet_comes_back() {
        let course = course(Outage { nodes: 10_000, served_per_s: 500.0, ..outage(1) });
        let thirds: Vec<u64> =
            course.arrivals[..240].chunks(60).map(|seconds| seconds.iter().sum()).collect();
        let (least, most) = (thirds.iter().min().unwrap(), thirds.iter().max().unwrap());
        assert!(most < &(3 * least), "{thirds:?}");
    }
}
