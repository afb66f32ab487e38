//! What happens on the recorded disk: tokens, enrolments and reports, alone and several in one commit, the same ones
//! again, refusals, new boots, and a restart. Each acknowledgement is marked in the log.

use std::path::PathBuf;

use crash_disk::Recording;
use inventory::store::StoreError;

use crate::desk::{Desk, Handed};
use crate::oracle::Acked;
use crate::support::Node;

/// The story so far: the disk, what was acknowledged, and how each mark of the log reads.
pub(crate) struct Story {
    pub(crate) path: PathBuf,
    pub(crate) disk: Recording,
    pub(crate) acked: Vec<Acked>,
    /// Nodes that may report, with their last sequence.
    known: Vec<Handed>,
    tokens: Vec<String>,
    /// A failure met whoever makes tokens, and not the server.
    pub(crate) operator_failed: bool,
}

/// The story cannot go on: the disk failed and the store said so.
#[derive(Debug)]
pub(crate) struct Stopped;

impl From<StoreError> for Stopped {
    fn from(_: StoreError) -> Self {
        Self
    }
}

impl Story {
    pub(crate) fn on(path: PathBuf, disk: Recording) -> Self {
        Self { path, disk, acked: Vec::new(), known: Vec::new(), tokens: Vec::new(), operator_failed: false }
    }

    /// A start of the server, rounds of everything, and its end.
    pub(crate) fn serve(&mut self, rounds: usize) -> Result<(), Stopped> {
        let desk = Desk::open(&self.path)?;
        for round in 0..rounds {
            self.round(&desk, round)?;
        }
        drop(desk);
        Ok(())
    }

    fn round(&mut self, desk: &Desk, round: usize) -> Result<(), Stopped> {
        if self.tokens.len() < 6 {
            // Whoever makes tokens sees the failure and asks again; the server goes on meanwhile.
            let issued = desk.tokens(8).or_else(|_| {
                self.operator_failed = true;
                desk.tokens(8)
            });
            self.tokens = issued.map_err(|_| Stopped)?;
            self.ack(Acked::Tokens(self.tokens.clone()));
        }
        self.enrol(desk, 1)?;
        self.report(desk, 1)?;
        self.enrol(desk, 1 + round % 3)?;
        self.report(desk, 3)?;
        self.again(desk)?;
        // A refusal has its audit line and no acknowledgement.
        let refused = desk.enrol(&[(Node::new(), "assay-nonsense".to_owned())]).remove(0);
        assert!(refused.is_err());
        self.new_boot(desk)
    }

    /// A report once more, to the byte: if it was acknowledged it has the same answer and is not stored again.
    fn again(&mut self, desk: &Desk) -> Result<(), Stopped> {
        let again = self.known.iter().find(|handed| handed.sequence > 0).unwrap().clone();
        let revision = self.acked.iter().find_map(|acked| match acked {
            Acked::Reported(handed, ack) if handed.bytes == again.bytes => Some(ack.revision),
            _ => None,
        });
        match desk.report(std::slice::from_ref(&again)).remove(0) {
            Ok(ack) => {
                assert!(revision.is_none_or(|revision| ack.duplicate && ack.revision == revision), "{ack:?}");
                self.ack(Acked::Reported(again, ack));
                Ok(())
            }
            Err(_) => self.may_go_on(desk, true),
        }
    }

    fn enrol(&mut self, desk: &Desk, count: usize) -> Result<(), Stopped> {
        let nodes: Vec<_> = (0..count).map(|_| (Node::new(), self.tokens.pop().unwrap())).collect();
        self.enrol_these(desk, nodes)
    }

    /// A node that is known comes back with another boot.
    fn new_boot(&mut self, desk: &Desk) -> Result<(), Stopped> {
        let mut node = self.known.remove(0).node;
        node.boot_id = crate::support::random_uuid();
        let token = self.tokens.pop().unwrap();
        self.enrol_these(desk, vec![(node, token)])
    }

    fn enrol_these(&mut self, desk: &Desk, nodes: Vec<(Node, String)>) -> Result<(), Stopped> {
        let mut stopped = false;
        for ((node, token), answer) in nodes.iter().zip(desk.enrol(&nodes)) {
            let Ok(session) = answer else {
                stopped = true;
                continue;
            };
            self.ack(Acked::Enrolled(session.clone(), node.clone(), token.clone()));
            self.known.push(Handed { node: node.clone(), session, sequence: 0, bytes: Vec::new() });
        }
        self.may_go_on(desk, stopped)
    }

    /// The nodes that came last hand in a report each.
    fn report(&mut self, desk: &Desk, count: usize) -> Result<(), Stopped> {
        let mut stopped = false;
        let from = self.known.len().saturating_sub(count);
        for handed in &mut self.known[from..] {
            handed.sequence += 1;
            handed.bytes = handed.node.bytes();
        }
        let handed = self.known[from..].to_vec();
        for (handed, answer) in handed.iter().zip(desk.report(&handed)) {
            match answer {
                Ok(ack) => self.ack(Acked::Reported(handed.clone(), ack)),
                Err(_) => stopped = true,
            }
        }
        self.may_go_on(desk, stopped)
    }

    /// Whoever is refused here is refused by a store that stopped, and never acknowledges again.
    fn may_go_on(&self, desk: &Desk, refused: bool) -> Result<(), Stopped> {
        if !refused {
            return Ok(());
        }
        assert!(desk.has_stopped(), "a refusal, and the store goes on");
        Err(Stopped)
    }

    fn ack(&mut self, acked: Acked) {
        assert_eq!(self.disk.mark(), self.acked.len());
        self.acked.push(acked);
    }
}
