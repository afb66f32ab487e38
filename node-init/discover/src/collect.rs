//! Runs every probe with a deadline and records how each ended.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use report::NodeFacts;
use report::node::{Collector, CollectorStatus};

use crate::probe::{PROBES, Probe};
use crate::root::Root;

/// How long one probe may take. A read of sysfs takes microseconds; one that takes seconds hangs in a driver.
pub const PROBE_DEADLINE: Duration = Duration::from_secs(5);

/// All facts about the node at `root`. Never fails and never hangs: what could not be read is absent, and
/// [`NodeFacts::collectors`] says why.
pub fn collect(root: &Root) -> NodeFacts {
    collect_with(root, &PROBES, PROBE_DEADLINE)
}

/// As [`collect`], with other probes and another deadline for each.
pub fn collect_with(root: &Root, probes: &[Probe], deadline: Duration) -> NodeFacts {
    let mut facts = NodeFacts::default();
    for probe in probes {
        let started = now();
        let (found, status, detail) = run(root, *probe, deadline);
        absorb(&mut facts, found);
        let milliseconds = u64::try_from((now() - started).as_millis()).unwrap_or(u64::MAX);
        facts.collectors.push(Collector { name: probe.name.to_owned(), status, detail, milliseconds });
    }
    facts
}

/// Runs one probe in a thread of its own, since a read that hangs in a driver cannot be interrupted: the thread is then
/// left behind.
fn run(root: &Root, probe: Probe, deadline: Duration) -> (NodeFacts, CollectorStatus, Option<String>) {
    let (sender, receiver) = mpsc::channel();
    let root = root.clone();
    let body = move || {
        let mut facts = NodeFacts::default();
        let ended = (probe.read)(&root, &mut facts);
        // Nobody listens any more where the deadline has passed.
        let _ = sender.send((facts, ended));
    };
    let nothing = NodeFacts::default();
    if let Err(error) = std::thread::Builder::new().name(format!("probe-{}", probe.name)).spawn(body) {
        return (nothing, CollectorStatus::Error, Some(format!("starting a thread for the probe: {error}")));
    }
    match receiver.recv_timeout(deadline) {
        Ok((facts, Ok(()))) => (facts, CollectorStatus::Ok, None),
        Ok((facts, Err(error))) => (facts, error.status(), Some(error.to_string())),
        Err(RecvTimeoutError::Timeout) => {
            let detail =
                format!("not done after {} s: a driver hangs; read the kernel log", deadline.as_secs());
            (nothing, CollectorStatus::Timeout, Some(detail))
        }
        Err(RecvTimeoutError::Disconnected) => {
            let detail = "the probe panicked: report this as a fault of the tool".to_owned();
            (nothing, CollectorStatus::Error, Some(detail))
        }
    }
}

/// Takes over what one probe found; each fills parts of its own.
fn absorb(facts: &mut NodeFacts, found: NodeFacts) {
    let NodeFacts { collectors: _, linux, dmi, cpus, memory, pci, nics, disks } = found;
    facts.linux = linux.or(facts.linux.take());
    facts.dmi = dmi.or(facts.dmi.take());
    facts.memory = memory.or(facts.memory.take());
    facts.cpus.extend(cpus);
    facts.pci.extend(pci);
    facts.nics.extend(nics);
    facts.disks.extend(disks);
}

#[expect(
    clippy::disallowed_methods,
    reason = "the time a probe took is a note for people: nothing is decided by it, no test looks at it"
)]
fn now() -> Instant {
    Instant::now()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ProbeError;

    fn good(_: &Root, facts: &mut NodeFacts) -> Result<(), ProbeError> {
        facts.dmi = Some(report::node::Dmi::default());
        Ok(())
    }

    fn hanging(_: &Root, _: &mut NodeFacts) -> Result<(), ProbeError> {
        loop {
            std::thread::park();
        }
    }

    fn panicking(_: &Root, _: &mut NodeFacts) -> Result<(), ProbeError> {
        panic!("planted");
    }

    fn partial(_: &Root, facts: &mut NodeFacts) -> Result<(), ProbeError> {
        facts.cpus.push(report::node::Cpu {
            socket: 0,
            vendor: None,
            model: None,
            microcode: None,
            cores: 1,
            threads: 1,
        });
        Err(ProbeError::Absent { path: "sys/x" })
    }

    fn statuses(facts: &NodeFacts) -> Vec<(&str, CollectorStatus)> {
        facts.collectors.iter().map(|c| (c.name.as_str(), c.status)).collect()
    }

    #[test]
    fn a_probe_that_hangs_is_left_behind() {
        let probes = [Probe { name: "hanging", read: hanging }];
        let facts = collect_with(&Root::at("/nonexistent"), &probes, Duration::from_millis(1));
        assert_eq!(statuses(&facts), [("hanging", CollectorStatus::Timeout)]);
    }

    #[test]
    fn a_probe_that_panics_is_an_error_one_that_fails_keeps_its_facts_and_the_rest_goes_on() {
        let probes = [
            Probe { name: "panicking", read: panicking },
            Probe { name: "partial", read: partial },
            Probe { name: "good", read: good },
        ];
        let facts = collect_with(&Root::at("/nonexistent"), &probes, PROBE_DEADLINE);
        assert_eq!(
            statuses(&facts),
            [
                ("panicking", CollectorStatus::Error),
                ("partial", CollectorStatus::Absent),
                ("good", CollectorStatus::Ok)
            ]
        );
        assert_eq!((facts.cpus.len(), facts.dmi.is_some()), (1, true));
    }
}
