//! A store without a server around it: enrolments and reports go in as the routes hand them over.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use data_encoding::HEXLOWER;
use inventory::clock::{Clock, SystemClock};
use inventory::identity::evidence;
use inventory::parts::parts_of;
use inventory::store::read::View;
use inventory::store::{self, Enrolment, Facets, Store, Submission};
use inventory::token::Token;
use jiff::SignedDuration;
use report::Report;
use report::judge::review;
use report::wire::{EnrolResponse, Identity};
use sha2::{Digest, Sha256};

use super::{random, random_uuid};

const PLAN: &str = "quick-software";
const TTL: SignedDuration = SignedDuration::from_hours(1);

pub struct Direct {
    _temporary: tempfile::TempDir,
    path: PathBuf,
    clock: Arc<dyn Clock>,
    pub store: Store,
    pub runtime: tokio::runtime::Runtime,
}

impl Direct {
    pub fn new() -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("inventory.db");
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let store = Store::open(&path, Default::default(), Arc::clone(&clock)).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        Self { _temporary: temporary, path, clock, store, runtime }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn tokens(&self, count: usize) -> Vec<Token> {
        let issued = store::issue(&self.path, self.clock.as_ref(), PLAN, TTL, count).unwrap();
        issued.iter().map(|token| Token::parse(&token.token).unwrap()).collect()
    }

    pub fn token_for(&self, node: &str) -> Token {
        Token::parse(&store::issue_for(&self.path, self.clock.as_ref(), PLAN, TTL, node).unwrap().token)
            .unwrap()
    }

    pub fn view(&self) -> View {
        View::open(&self.path).unwrap()
    }

    /// Lets it in and gives its session.
    pub fn enrol(&self, request: &Enrolment) -> EnrolResponse {
        self.runtime.block_on(self.store.enrol(request.clone())).unwrap()
    }

    /// Hands in a report of that boot; gives the state that the node is in then.
    pub fn report(&self, boot_id: &str, session: &EnrolResponse, sequence: u64, report: Report) -> String {
        let submission = submission(boot_id, session, sequence, report);
        self.runtime.block_on(self.store.accept(submission)).unwrap().state
    }
}

/// A request with a proof that was verified.
pub fn enrolment(token: Token, public_key: [u8; 32], identity: &Identity) -> Enrolment {
    Enrolment {
        token,
        public_key,
        boot_id: random_uuid(),
        evidence: evidence(identity),
        hostname: identity.hostname.clone(),
        request_sha256: random(),
        source: "127.0.0.1".to_owned(),
    }
}

/// A report with a signature that was verified.
pub fn submission(boot_id: &str, session: &EnrolResponse, sequence: u64, report: Report) -> Submission {
    let bytes = serde_json::to_vec(&report).unwrap();
    Submission {
        node_id: session.node_id.clone(),
        boot_id: boot_id.to_owned(),
        sequence,
        nonce: session.nonce.clone(),
        signature: vec![0; 64],
        sha256: HEXLOWER.encode(&Sha256::digest(&bytes)),
        plan_digest: report.plan.digest(),
        verdict: review(&report),
        parts: parts_of(&report),
        facets: Facets::of(&report),
        run_id: report.run_id,
        bytes,
        source: "127.0.0.1".to_owned(),
    }
}
