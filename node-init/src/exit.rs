//! Exit codes of `node-init`, in one place.

use std::process::ExitCode;

use report::Verdict;
use report::wire::ReportAck;

/// How `node-init` ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Exit {
    /// The node is registered and may take work.
    Available = 0,
    /// The node is registered, and faulty.
    Faulty = 1,
    /// Wrong usage; the argument parser uses the same code.
    Usage = 2,
    /// The node is registered, and slower than it should be.
    Degraded = 3,
    /// Anything else: not registered, quarantined, in maintenance, or not enough is known.
    Unknown = 4,
}

impl Exit {
    /// From what the inventory says. Only its word `available` gives 0, and not beside a verdict that contradicts it.
    pub fn of(ack: &ReportAck) -> Self {
        match (ack.state.as_str(), ack.verdict.verdict) {
            ("available", Verdict::Healthy | Verdict::Degraded) => Self::Available,
            ("quarantined", _) => Self::Unknown,
            (_, Verdict::Faulty) => Self::Faulty,
            (_, Verdict::Degraded) => Self::Degraded,
            (_, Verdict::Healthy | Verdict::Unknown) => Self::Unknown,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit as u8)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use report::VerdictRecord;

    #[test]
    fn only_an_available_node_gives_zero() {
        let exit = |state: &str, verdict| {
            Exit::of(&ReportAck {
                revision: 1,
                verdict: VerdictRecord { verdict, findings: Vec::new() },
                state: state.to_owned(),
                pool: None,
                duplicate: false,
            })
        };
        assert_eq!(exit("available", Verdict::Healthy), Exit::Available);
        assert_eq!(exit("available", Verdict::Degraded), Exit::Available);
        assert_eq!(exit("available", Verdict::Faulty), Exit::Faulty);
        assert_eq!(exit("available", Verdict::Unknown), Exit::Unknown);
        assert_eq!(exit("failed", Verdict::Faulty), Exit::Faulty);
        assert_eq!(exit("failed", Verdict::Degraded), Exit::Degraded);
        for verdict in [Verdict::Healthy, Verdict::Degraded, Verdict::Faulty, Verdict::Unknown] {
            assert_eq!(exit("quarantined", verdict), Exit::Unknown);
        }
        for state in ["maintenance", "Available", "", "validating"] {
            assert_eq!(exit(state, Verdict::Healthy), Exit::Unknown, "{state}");
        }
    }
}
