//! One node's program: `node-init`'s own story, with a line, a clock, chance and a burn-in that are simulated.

use std::cell::RefCell;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use node_init::clock::Clock;
use node_init::register::answer::{self, Failure};
use node_init::register::backoff::{Attempt, Random, Retry};
use node_init::register::client::{Inventory, NoCertificate, SignedReport};
use node_init::register::journal::State;
use node_init::register::key::NodeKey;
use node_init::register::options::TokenOptions;
use node_init::register::token::Token;
use node_init::register::{Burner, Node, Options, RegisterError, Registration, Trust};
use report::node::Linux;
use report::wire::{
    AttestationEvidence, AttestationRequest, CertificateRequest, CertificateResponse, CredentialChallenge,
    EnrolRequest, EnrolResponse, ReportAck, TrustStanding,
};
use report::{NodeFacts, Plan};
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::stage::{Actor, Request};

/// How the program of a node ended.
pub(crate) type End = Result<Registration, String>;

/// One start of a node's program.
#[derive(Clone, Debug)]
pub(crate) struct Start {
    /// What its disk keeps from start to start.
    pub(crate) state: PathBuf,
    /// What it is made of, with the id of its boot.
    pub(crate) facts: NodeFacts,
    /// The token of this boot.
    pub(crate) token: String,
    /// The report that its burn-in will write, but for the id of the run.
    pub(crate) report: Arc<Vec<u8>>,
    /// How long it burns in.
    pub(crate) burn_in: Duration,
    /// Where its chance comes from.
    pub(crate) seed: u64,
    /// Every report that was ever written, of all starts.
    pub(crate) written: Arc<Mutex<Vec<Vec<u8>>>>,
}

/// Runs it to its end.
pub(crate) fn program(start: &Start, actor: &Actor<End>) -> End {
    register(start, actor).map_err(|error| {
        let causes = std::iter::successors(Some(&error as &dyn std::error::Error), |error| error.source());
        causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
    })
}

fn register(start: &Start, actor: &Actor<End>) -> Result<Registration, RegisterError> {
    let options = Options {
        inventory: "https://inventory.example".parse().expect("it is an address"),
        ca: PathBuf::new(),
        token: TokenOptions::default(),
        plan: None,
        burnin: PathBuf::new(),
        state: start.state.clone(),
        give_up_after: None,
        tpm: None,
        json: false,
    };
    let state = State::open(&start.state)?;
    let key = NodeKey::load_or_make(state.dir())?;
    let world = World { actor, start, random: RefCell::new(fastrand::Rng::with_seed(start.seed)) };
    let boot_id = start.facts.linux.as_ref().map_or("", |Linux { boot_id, .. }| boot_id);
    let node = Node {
        options: &options,
        token: &Token::from(start.token.clone()),
        state: &state,
        key: &key,
        trust: &Trust::default(),
        facts: &start.facts,
        boot_id,
        burner: &world,
        progress: &(),
    };
    let retry = Retry { clock: &world, random: &mut &world, patience: None };
    node.register(&world, retry)
}

/// Everything around the node.
struct World<'a> {
    actor: &'a Actor<End>,
    start: &'a Start,
    random: RefCell<fastrand::Rng>,
}

impl Clock for World<'_> {
    fn now(&self) -> Duration {
        self.actor.now()
    }

    fn sleep(&self, duration: Duration) {
        self.actor.sleep(duration);
    }
}

impl Random for &World<'_> {
    fn up_to(&mut self, ceiling: Duration) -> Duration {
        ceiling.mul_f64(self.random.borrow_mut().f64())
    }
}

impl Burner for World<'_> {
    /// Takes its time, and leaves its report as `burnin` would. Each has an id of its own.
    fn burn_in(&self, _: &Plan, out: &Path, _: Duration) -> Result<Vec<u8>, RegisterError> {
        self.actor.sleep(self.start.burn_in);
        let mut written = self.start.written.lock().unwrap_or_else(PoisonError::into_inner);
        let mut document: serde_json::Value =
            serde_json::from_slice(&self.start.report).expect("the template is a report");
        document["run_id"] = format!("{:032x}", self.random.borrow_mut().u128(..)).into();
        let boot_id = self.start.facts.linux.as_ref().map(|linux| linux.boot_id.as_str());
        document["node"]["linux"]["boot_id"] = boot_id.into();
        let bytes = serde_json::to_vec(&document).expect("a document is JSON");
        fs::create_dir_all(out).and_then(|()| fs::write(out.join("report.json"), &bytes)).expect("a disk");
        written.push(bytes.clone());
        Ok(bytes)
    }
}

impl World<'_> {
    fn call<T: DeserializeOwned>(&self, request: Request) -> Attempt<T, Failure> {
        match self.actor.request(request) {
            Some(answer) => answer::read(answer.status, answer.retry_after.as_deref(), &answer.body),
            None => {
                let cause = Failure::Transport { source: ureq::Error::ConnectionFailed };
                Attempt::Again { cause, after: None }
            }
        }
    }

    fn send<T: DeserializeOwned>(
        &self,
        method: &'static str,
        path: String,
        body: &impl Serialize,
    ) -> Attempt<T, Failure> {
        let body = serde_json::to_vec(body).expect("requests are JSON");
        self.call(Request { method, path, signature: None, body })
    }
}

impl Inventory for World<'_> {
    fn enrol(&self, request: &EnrolRequest) -> Attempt<EnrolResponse, Failure> {
        self.send("POST", "/v1/enrolments".to_owned(), request)
    }

    fn put_report(&self, report: SignedReport<'_>) -> Attempt<ReportAck, Failure> {
        let SignedReport { node_id, boot_id, sequence, signature, bytes } = report;
        self.call(Request {
            method: "PUT",
            path: format!("/v1/nodes/{node_id}/boots/{boot_id}/reports/{sequence}"),
            signature: Some(signature.to_owned()),
            body: bytes.to_vec(),
        })
    }

    fn certificate(&self, node_id: &str, request: &CertificateRequest) -> Attempt<CertificateResponse, Failure> {
        self.send("POST", format!("/v1/nodes/{node_id}/certificate"), request)
    }

    /// There is no TLS here to show it in.
    fn present(&self, _: &str, _: &NodeKey) -> Result<(), NoCertificate> {
        Ok(())
    }

    fn attest(&self, node_id: &str, request: &AttestationRequest) -> Attempt<CredentialChallenge, Failure> {
        self.send("POST", format!("/v1/nodes/{node_id}/attestation"), request)
    }

    fn answer(
        &self,
        node_id: &str,
        challenge: &str,
        answer: &AttestationEvidence,
    ) -> Attempt<TrustStanding, Failure> {
        self.send("PUT", format!("/v1/nodes/{node_id}/attestation/{challenge}"), answer)
    }
}
