//! The inventory's routes over its store, without a network between: a request and its answer.

use std::net::{IpAddr, Ipv4Addr};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::Request;
use inventory::api::{self, Peer};
use inventory::clock::SystemClock;
use inventory::limits::{Pressure, Rate};
use inventory::store::{self, Store, StoreError};
use jiff::SignedDuration;
use report::wire::{EnrolResponse, Problem, ReportAck, SIGNATURE_HEADER};
use serde::de::DeserializeOwned;
use tower::ServiceExt;

use crate::support::{Answer, Node};

/// An open store with the routes on it.
pub(crate) struct Desk {
    runtime: tokio::runtime::Runtime,
    router: Router,
    store: Store,
    path: PathBuf,
}

impl Desk {
    pub(crate) fn open(path: &Path) -> Result<Self, StoreError> {
        let store = Store::open(path, Default::default(), Arc::new(SystemClock))?;
        let per_source = Rate { per_s: 1e6, burst: 1e6 };
        let limits = api::RequestLimits { per_source, ..Default::default() };
        let runtime =
            tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_time().build().unwrap();
        let (_, head) = tokio::sync::watch::channel(0);
        let bounds = (limits, Arc::new(Pressure::default()));
        let api = api::Api::new(store.clone(), Arc::new(SystemClock), head, bounds).unwrap();
        Ok(Self { runtime, router: api::router(api), store, path: path.to_owned() })
    }

    /// Has a write failed, so that nothing is acknowledged any more?
    pub(crate) fn has_stopped(&self) -> bool {
        *self.store.failed().borrow() || self.store.failed().has_changed().is_err()
    }

    /// Tokens, made as `inventory token` does.
    pub(crate) fn tokens(&self, count: usize) -> Result<Vec<String>, store::TokenError> {
        let ttl = SignedDuration::from_hours(1);
        let issued = store::issue(&self.path, &SystemClock, "quick-software", ttl, count)?;
        Ok(issued.into_iter().map(|token| token.token).collect())
    }

    /// Several enrolments at once, so that one commit may carry more than one.
    pub(crate) fn enrol(&self, nodes: &[(Node, String)]) -> Vec<Answer<EnrolResponse>> {
        let requests = nodes.iter().map(|(node, token)| {
            let body = serde_json::to_vec(&node.enrol_request(token)).unwrap();
            Request::post("/v1/enrolments").body(Body::from(body)).unwrap()
        });
        self.ask(requests.collect())
    }

    /// Several reports at once.
    pub(crate) fn report(&self, reports: &[Handed]) -> Vec<Answer<ReportAck>> {
        let requests = reports.iter().map(|handed| {
            let Handed { node, session, sequence, bytes } = handed;
            let url = format!("/v1/nodes/{}/boots/{}/reports/{sequence}", session.node_id, node.boot_id);
            let signature = node.sign(session, *sequence, bytes);
            Request::put(url).header(SIGNATURE_HEADER, signature).body(Body::from(bytes.clone())).unwrap()
        });
        self.ask(requests.collect())
    }

    fn ask<T: DeserializeOwned>(&self, requests: Vec<Request<Body>>) -> Vec<Answer<T>> {
        self.runtime.block_on(async {
            let asked: Vec<_> = requests
                .into_iter()
                .map(|mut request| {
                    request.extensions_mut().insert(Peer(IpAddr::V4(Ipv4Addr::LOCALHOST)));
                    tokio::spawn(self.router.clone().oneshot(request))
                })
                .collect();
            let mut answers = Vec::new();
            for asked in asked {
                let response = asked.await.unwrap().unwrap();
                let is_ack = response.status().is_success();
                let body = axum::body::to_bytes(response.into_body(), 1 << 20).await.unwrap();
                answers.push(if is_ack {
                    Ok(serde_json::from_slice(&body).unwrap())
                } else {
                    Err(serde_json::from_slice::<Problem>(&body).unwrap())
                });
            }
            answers
        })
    }
}

/// A report on its way.
#[derive(Clone)]
pub(crate) struct Handed {
    pub(crate) node: Node,
    pub(crate) session: EnrolResponse,
    pub(crate) sequence: u64,
    pub(crate) bytes: Vec<u8>,
}
