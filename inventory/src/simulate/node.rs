//! The life of a virtual node: power-on, enrolment, burn-in, report; each request until it is answered, with the waits of
//! `node-init`.

use std::sync::Arc;
use std::time::Duration;

use hyper::Method;
use hyper::body::Bytes;
use report::wire::{EnrolResponse, Problem, ReportAck};
use serde::de::DeserializeOwned;
use tokio::time::{Instant, sleep, sleep_until};

use super::backoff;
use super::fleet::{Fleet, VirtualNode};
use super::line::{Answer, Broken, Call, Inventory, digest};
use super::random::Seeded;
use super::tally::{Acknowledged, Tally};

/// What all nodes of a fleet share.
#[derive(Clone, Debug)]
pub struct World {
    /// The fleet.
    pub fleet: Arc<Fleet>,
    /// The server.
    pub inventory: Inventory,
    /// Where it is written down what they were told.
    pub tally: Arc<Tally>,
    /// When the clock starts.
    pub start: Instant,
}

/// What an answer means, by the rules of `node-init` (`node-init/src/register/answer.rs`).
enum Meaning<T> {
    Done(T),
    Again(Option<Duration>),
    Refused,
}

/// From power-on to the acknowledged report. A node that is refused for good ends there.
pub async fn live(world: World, node: VirtualNode, enrolment: Bytes) {
    let mut chance = Seeded::new(world.fleet.options().seed, (4 << 40) + node.index as u64);
    sleep_until(world.start + node.power_on).await;
    world.tally.powered_on();
    let inventory = world.inventory.of_one_node();
    let asks = Requests { world: &world, inventory: &inventory, node: &node };
    let Some((session, took)) = asks.enrol(&enrolment, &mut chance).await else { return };
    world.tally.enrolled(took);
    sleep(node.burn_in).await;
    asks.report(&session, 1, &mut chance).await;
}

struct Requests<'a> {
    world: &'a World,
    inventory: &'a Inventory,
    node: &'a VirtualNode,
}

impl Requests<'_> {
    async fn enrol(&self, body: &Bytes, chance: &mut Seeded) -> Option<(EnrolResponse, Duration)> {
        let call = || Call {
            method: Method::POST,
            path: "/v1/enrolments".to_owned(),
            signature: None,
            body: body.clone(),
        };
        self.until_done(call, chance).await
    }

    async fn report(&self, session: &EnrolResponse, sequence: u64, chance: &mut Seeded) {
        let report = handed_in(&self.world.fleet, self.node, session, sequence);
        let done = self.until_done(|| report.call.clone(), chance).await;
        if let Some((ack, took)) = done {
            self.world.tally.acknowledged(report.acknowledged(self.node, &ack), ack.duplicate, took);
        }
    }

    async fn until_done<T: DeserializeOwned>(
        &self,
        call: impl Fn() -> Call,
        chance: &mut Seeded,
    ) -> Option<(T, Duration)> {
        let (tally, first) = (&self.world.tally, Instant::now());
        for failures in 0_u32.. {
            tally.attempt();
            let answer = self.inventory.call(self.node.source, call()).await;
            match meaning(answer, tally) {
                Meaning::Done(value) => return Some((value, first.elapsed())),
                Meaning::Refused => {
                    tally.turned_away();
                    return None;
                }
                Meaning::Again(after) => {
                    sleep(backoff::wait(failures, after, |ceiling| chance.up_to(ceiling))).await;
                }
            }
        }
        None
    }
}

fn meaning<T: DeserializeOwned>(answer: Result<Answer, Broken>, tally: &Tally) -> Meaning<T> {
    let answer = match answer {
        Ok(answer) => answer,
        Err(how) => {
            tally.broken(how);
            return Meaning::Again(None);
        }
    };
    if answer.status.is_success() {
        return match serde_json::from_slice(&answer.body) {
            Ok(value) => Meaning::Done(value),
            Err(_) => {
                tally.broken(Broken::Answer);
                Meaning::Again(answer.retry_after)
            }
        };
    }
    let problem: Option<Problem> = serde_json::from_slice(&answer.body).ok();
    let status = answer.status.as_u16();
    let code = problem.as_ref().map_or_else(|| format!("status {status}"), |problem| problem.code.clone());
    tally.refused(&code, answer.retry_after);
    let again = problem.map_or(status == 429 || status >= 500, |problem| problem.retryable);
    if again { Meaning::Again(answer.retry_after) } else { Meaning::Refused }
}

/// A report, signed, ready to be sent.
#[derive(Clone, Debug)]
pub struct HandedIn {
    /// The request.
    pub call: Call,
    node_id: String,
    sequence: u64,
    sha256: String,
}

/// Makes a report and signs it: nothing of it can be prepared before the session's nonce is known, but its text.
pub fn handed_in(fleet: &Fleet, node: &VirtualNode, session: &EnrolResponse, sequence: u64) -> HandedIn {
    let bytes = fleet.report(node);
    let node_id = session.node_id.clone();
    let path = format!("/v1/nodes/{node_id}/boots/{}/reports/{sequence}", node.names.boot_id);
    let signature = Some(node.sign(session, sequence, &bytes));
    let sha256 = digest(&bytes);
    let call = Call { method: Method::PUT, path, signature, body: Bytes::from(bytes) };
    HandedIn { call, node_id, sequence, sha256 }
}

impl HandedIn {
    /// What is to be found in the store.
    pub fn acknowledged(&self, node: &VirtualNode, ack: &ReportAck) -> Acknowledged {
        Acknowledged {
            index: node.index,
            node_id: self.node_id.clone(),
            boot_id: node.names.boot_id.clone(),
            sequence: self.sequence,
            sha256: self.sha256.clone(),
            revision: ack.revision,
            verdict: ack.verdict.verdict.as_str().to_owned(),
            state: ack.state.clone(),
        }
    }
}
