//! What nodes may ask, over HTTP: two calls and a sign of life. There is no operator's interface here.

mod depth;
mod body;
mod pool;
mod enrol;
mod report;

use std::io;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use axum::extract::{Extension, Request, State};
use axum::http::{HeaderValue, Method, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use tokio::time::Instant;

use crate::admission::{Admission, AdmissionLimits, Class};
use crate::judging::Judging;
use crate::limits::{Buckets, Pressure, Rate, source_of};
use crate::refusal::{Code, Refusal};
use crate::store::Store;
use pool::Pool;

/// Bounds on requests.
#[derive(Clone, Copy, Debug)]
pub struct RequestLimits {
    /// Requests of one source.
    pub per_source: Rate,
    /// Requests in work at once.
    pub admission: AdmissionLimits,
    /// From the header's end to the answer.
    pub total: Duration,
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self {
            per_source: Rate { per_s: 20.0, burst: 200.0 },
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
    judging: Judging,
    limits: RequestLimits,
    sources: Buckets<IpAddr>,
    admission: Mutex<Admission>,
    started: Instant,
    pool: Pool,
    pressure: Arc<Pressure>,
}

/// The routes; `pressure` is told how it goes.
pub fn router(
    (store, judging): (Store, Judging),
    limits: RequestLimits,
    pressure: Arc<Pressure>,
) -> io::Result<Router> {
    let sources = Buckets::new(limits.per_source, SOURCES_MAX);
    let admission = Mutex::new(Admission::new(limits.admission));
    let (started, pool) = (Instant::now(), Pool::start()?);
    let api = Arc::new(Api { store, judging, limits, sources, admission, started, pool, pressure });
    let router = Router::new()
        .route("/v1/enrolments", post(enrol::enrol))
        .route("/v1/nodes/{node}/boots/{boot}/reports/{sequence}", put(report::accept))
        .route("/healthz", get(|| async { "ok\n" }))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn_with_state(Arc::clone(&api), guard))
        .with_state(api);
    Ok(router)
}

async fn not_found(request: Request) -> Refusal {
    Code::NotFound.because(format!("{} {}", request.method(), request.uri().path()))
}

async fn method_not_allowed(request: Request) -> Refusal {
    Code::MethodNotAllowed.because(format!("{} {}", request.method(), request.uri().path()))
}

/// Around every request: its source's rate, the work in hand, the total time, and the audit line of a refusal.
async fn guard(
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

/// Who hands in a report was let in before and has burned in since.
fn class_of(request: &Request) -> Class {
    let is_report = request.method() == Method::PUT && request.uri().path().contains("/reports/");
    if is_report { Class::Finishing } else { Class::New }
}

impl Api {
    fn admission(&self) -> MutexGuard<'_, Admission> {
        self.admission.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn admit(&self, address: IpAddr, class: Class) -> Result<InWork<'_>, Refusal> {
        self.sources.take(source_of(address)).map_err(|_| {
            Code::RateLimited.because(format!(
                "more than {} requests per second after a burst of {}",
                self.limits.per_source.per_s, self.limits.per_source.burst
            ))
        })?;
        let entered = self.admission().enter(class, self.started.elapsed());
        entered.map_err(|refused| {
            self.pressure.overloaded();
            let most = self.limits.admission.in_work;
            Code::Overloaded.because(format!("{most} requests can be in work")).after(refused.retry_after_s)
        })?;
        Ok(InWork(self))
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
        let mut response = (status, Json(self.problem())).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let (429 | 503, Some(seconds)) = (self.code.status(), self.retry_after_s()) {
            headers.insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        // A body that was not read to its end leaves the connection in no state for another request.
        if matches!(self.code, Code::BodyTooLarge | Code::BodyIncomplete | Code::RequestTimeout) {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        response.extensions_mut().insert(self);
        response
    }
}
