//! The interface over HTTP. Who may ask what stands in [`crate::access::table`]; each path has a handler in a file of its
//! own.
//!
//! ```text
//! POST   /v1/enrolments                               node/enrol       a node asks to be known
//! PUT    /v1/nodes/{node}/boots/{boot}/reports/{n}    node/report      and hands in what its burn-in found
//! POST   /v1/nodes/{node}/heartbeat                   node/heartbeat   it lives
//! GET    /v1/nodes?state=&selector=&model=&reason=&limit=&after=
//!                                                     people/nodes     the fleet, page by page
//! GET    /v1/nodes/{node}                             people/node      one node
//! GET    /v1/nodes/{node}/readiness                   people/readiness what blocks it
//! GET    /v1/nodes/{node}/history?limit=&before=      people/history   its transitions
//! GET    /v1/nodes/{node}/reports?limit=&before=      people/reports   its reports
//! GET    /v1/nodes/{node}/wish                        people/wish      what the operator wants of it
//! PUT    /v1/nodes/{node}/wish                        people/wish      guarded by If-Match
//! PATCH  /v1/nodes/{node}/labels                      people/labels    {"key": "value", "gone": null}
//! PUT    /v1/nodes/{node}/allocation                  people/allocation  a scheduler takes it
//! DELETE /v1/nodes/{node}/allocation?owner=           people/allocation  and gives it back
//! GET    /v1/audit?limit=&before=                     people/audit     who did what
//! GET    /v1/watch?since=                             people/watch     changes as server-sent events
//! GET    /metrics                                     people/metrics   Prometheus text
//! GET    /v1/sd/prometheus                            people/targets   http_sd
//! GET    /v1/inventory/ansible                        people/ansible   `--list`
//! GET    /healthz, /readyz                            people/health
//! ```

mod depth;
mod body;
mod lanes;
mod guard;
mod pool;
mod node;
mod people;

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::{Extension, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{MethodRouter, delete, get, patch, post, put};
use axum::{Json, Router};
use tokio::sync::watch;
use tokio::time::Instant;

pub use guard::CertifiedNode;
pub use lanes::LaneLimits;

use crate::access::Action;
use crate::admission::{Admission, AdmissionLimits, Class};
use crate::clock::Clock;
use crate::limits::{Buckets, Pressure, Rate, source_of};
use crate::refusal::{Code, Refusal};
use crate::store::Store;
use guard::Gate;
use lanes::Lanes;
use node::{enrol, heartbeat, report};
use pool::Pool;

/// Bounds on requests.
#[derive(Clone, Copy, Debug)]
pub struct RequestLimits {
    /// Requests of one source.
    pub per_source: Rate,
    /// Enrolments and reports in work at once.
    pub admission: AdmissionLimits,
    /// Other requests in work at once, by kind of client.
    pub lanes: LaneLimits,
    /// From the header's end to the answer.
    pub total: Duration,
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self {
            per_source: Rate { per_s: 20.0, burst: 200.0 },
            lanes: LaneLimits::default(),
            admission: AdmissionLimits::default(),
            total: Duration::from_secs(30),
        }
    }
}

/// Sources remembered at once.
const SOURCES_MAX: usize = 1 << 16;

/// Where a request comes from; the accept loop attaches it.
#[derive(Clone, Copy, Debug)]
pub struct Peer(pub IpAddr);

/// What every request needs.
#[derive(Debug)]
pub struct Api {
    store: Store,
    clock: Arc<dyn Clock>,
    /// The last change, as it becomes known here. A closed channel means that the server stops.
    head: watch::Receiver<u64>,
    limits: RequestLimits,
    sources: Buckets<IpAddr>,
    lanes: Lanes,
    admission: Mutex<Admission>,
    started: Instant,
    pool: Pool,
    pressure: Arc<Pressure>,
}

impl Api {
    /// All of it; `pressure` is told how it goes.
    pub fn new(
        store: Store,
        clock: Arc<dyn Clock>,
        head: watch::Receiver<u64>,
        (limits, pressure): (RequestLimits, Arc<Pressure>),
    ) -> io::Result<Arc<Self>> {
        Ok(Arc::new(Self {
            store,
            clock,
            head,
            limits,
            sources: Buckets::new(limits.per_source, SOURCES_MAX),
            lanes: Lanes::new(limits.lanes),
            admission: Mutex::new(Admission::new(limits.admission)),
            started: Instant::now(),
            pool: Pool::start()?,
            pressure,
        }))
    }
}

/// The routes.
pub fn router(api: Arc<Api>) -> Router {
    let mut router = Router::new();
    for (action, handler) in handlers() {
        let gate = Gate { api: Arc::clone(&api), action };
        router = router
            .route(action.path(), handler.route_layer(middleware::from_fn_with_state(gate, guard::guard)));
    }
    router
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn_with_state(Arc::clone(&api), around))
        .with_state(api)
}

fn handlers() -> [(Action, MethodRouter<Arc<Api>>); 20] {
    use people::{
        allocation, ansible, audit, health, history, labels, metrics, nodes, readiness, reports, targets,
        watch, wish,
    };
    [
        (Action::Enrol, post(enrol::enrol)),
        (Action::SendReport, put(report::accept)),
        (Action::SendHeartbeat, post(heartbeat::hear)),
        (Action::ListNodes, get(nodes::list)),
        (Action::ReadNode, get(people::node::show)),
        (Action::ReadReadiness, get(readiness::show)),
        (Action::ReadHistory, get(history::list)),
        (Action::ReadReports, get(reports::list)),
        (Action::ReadWish, get(wish::show)),
        (Action::ChangeWish, put(wish::change)),
        (Action::ChangeLabels, patch(labels::change)),
        (Action::Allocate, put(allocation::take)),
        (Action::Release, delete(allocation::release)),
        (Action::ReadAudit, get(audit::list)),
        (Action::Watch, get(watch::watch)),
        (Action::ReadMetrics, get(metrics::show)),
        (Action::ReadTargets, get(targets::list)),
        (Action::ReadAnsible, get(ansible::list)),
        (Action::ReadHealth, get(health::alive)),
        (Action::ReadReady, get(health::ready)),
    ]
}

async fn not_found(request: Request) -> Refusal {
    Code::NotFound.because(format!("{} {}", request.method(), request.uri().path()))
}

async fn method_not_allowed(request: Request) -> Refusal {
    Code::MethodNotAllowed.because(format!("{} {}", request.method(), request.uri().path()))
}

/// Around every request: its source's rate, the total time, and the audit line of a refusal.
async fn around(
    State(api): State<Arc<Api>>,
    Extension(Peer(address)): Extension<Peer>,
    request: Request,
    next: Next,
) -> Response {
    let response = match api.admit(address, class_of(&request)) {
        Err(refusal) => {
            // What is on its way is read, so that the refusal is heard.
            body::discard_rest(request.into_body()).await;
            refusal.into_response()
        }
        Ok(_in_work) => match tokio::time::timeout(api.limits.total, next.run(request)).await {
            Ok(response) => response,
            Err(_) => Code::RequestTimeout
                .because(format!("not complete after {} s", api.limits.total.as_secs()))
                .into_response(),
        },
    };
    match response.extensions().get::<Refusal>().cloned() {
        None => response,
        Some(refusal) => {
            api.store.record_refusal(&address.to_string(), &refusal).await;
            api.with_wait(response, &refusal)
        }
    }
}

/// Who hands in a report was let in before and has burned in since. Other requests have places of their own, see [`lanes`].
fn class_of(request: &Request) -> Option<Class> {
    let path = request.uri().path();
    match *request.method() {
        Method::PUT if path.contains("/reports/") => Some(Class::Finishing),
        Method::POST if path == Action::Enrol.path() => Some(Class::New),
        _ => None,
    }
}

impl Api {
    fn admission(&self) -> MutexGuard<'_, Admission> {
        self.admission.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn admit(&self, address: IpAddr, class: Option<Class>) -> Result<Option<InWork<'_>>, Refusal> {
        self.sources.take(source_of(address)).map_err(|_| {
            Code::RateLimited.because(format!(
                "more than {} requests per second after a burst of {}",
                self.limits.per_source.per_s, self.limits.per_source.burst
            ))
        })?;
        let Some(class) = class else { return Ok(None) };
        let entered = self.admission().enter(class, self.started.elapsed());
        entered.map_err(|refused| {
            self.pressure.overloaded();
            let most = self.limits.admission.in_work;
            Code::Overloaded.because(format!("{most} requests can be in work")).after(refused.retry_after_s)
        })?;
        Ok(Some(InWork(self)))
    }

    /// What the store refused since its queue is full makes everybody wait longer, too.
    fn with_wait(&self, mut response: Response, refusal: &Refusal) -> Response {
        if refusal.code == Code::Overloaded && refusal.retry_after_s.is_none() {
            self.pressure.overloaded();
            let refused = self.admission().refuse(self.started.elapsed());
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(refused.retry_after_s));
        }
        response
    }
}

/// One request in work.
struct InWork<'a>(&'a Api);

impl Drop for InWork<'_> {
    fn drop(&mut self) {
        self.0.admission().leave();
    }
}

impl IntoResponse for Refusal {
    /// The problem document; the refusal itself travels along for the audit.
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self.document())).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let (429 | 503, Some(seconds)) = (self.code.status(), self.retry_after_s()) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        if self.code.status() == 401 {
            headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer realm=\"assay\""));
        }
        // A body that was not read to its end leaves the connection in no state for another request.
        if matches!(self.code, Code::BodyTooLarge | Code::BodyIncomplete | Code::RequestTimeout) {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response.extensions_mut().insert(self);
        response
    }
}

/// Runs what waits for the disk where it holds up no other request.
async fn off_loop<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        tracing::error!(%error, "a request failed inside");
        Err(Code::Internal.into())
    })
}
