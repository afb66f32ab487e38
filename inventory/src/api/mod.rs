//! What nodes may ask, over HTTP: two calls and a sign of life. There is no operator's interface here.

mod depth;
mod body;
mod enrol;
mod report;

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::extract::{Extension, Request, State};
use axum::http::{HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use axum::{Json, Router};
use tokio::sync::Semaphore;

use crate::judging::Judging;
use crate::limits::{Buckets, Rate, source_of};
use crate::refusal::{Code, Refusal};
use crate::store::Store;

/// Bounds on requests.
#[derive(Clone, Copy, Debug)]
pub struct RequestLimits {
    /// Requests of one source.
    pub per_source: Rate,
    /// Requests in work at once.
    pub in_work: usize,
    /// From the header's end to the answer.
    pub total: Duration,
}

impl Default for RequestLimits {
    fn default() -> Self {
        Self { per_source: Rate { per_s: 20.0, burst: 200.0 }, in_work: 256, total: Duration::from_secs(30) }
    }
}

/// Sources remembered at once.
const SOURCES_MAX: usize = 10_000;

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
    in_work: Semaphore,
}

/// The routes.
pub fn router(store: Store, judging: Judging, limits: RequestLimits) -> Router {
    let sources = Buckets::new(limits.per_source, SOURCES_MAX);
    let api = Arc::new(Api { store, judging, limits, sources, in_work: Semaphore::new(limits.in_work) });
    Router::new()
        .route("/v1/enrolments", post(enrol::enrol))
        .route("/v1/nodes/{node}/boots/{boot}/reports/{sequence}", put(report::accept))
        .route("/healthz", get(|| async { "ok\n" }))
        .fallback(not_found)
        .method_not_allowed_fallback(method_not_allowed)
        .layer(middleware::from_fn_with_state(Arc::clone(&api), guard))
        .with_state(api)
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
    let response = match admit(&api, address) {
        Err(refusal) => refusal.into_response(),
        Ok(_permit) => match tokio::time::timeout(api.limits.total, next.run(request)).await {
            Ok(response) => response,
            Err(_) => Code::RequestTimeout
                .because(format!("not complete after {} s", api.limits.total.as_secs()))
                .into_response(),
        },
    };
    if let Some(refusal) = response.extensions().get::<Refusal>() {
        api.store.record_refusal(&address.to_string(), refusal).await;
    }
    response
}

fn admit(api: &Api, address: IpAddr) -> Result<tokio::sync::SemaphorePermit<'_>, Refusal> {
    api.sources.take(source_of(address)).map_err(|_| {
        Code::RateLimited.because(format!(
            "more than {} requests per second after a burst of {}",
            api.limits.per_source.per_s, api.limits.per_source.burst
        ))
    })?;
    api.in_work
        .try_acquire()
        .map_err(|_| Code::Overloaded.because(format!("{} requests are in work", api.limits.in_work)))
}

impl IntoResponse for Refusal {
    /// The problem document; the refusal itself travels along for the audit.
    fn into_response(self) -> Response {
        let status = StatusCode::from_u16(self.code.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let mut response = (status, Json(self.problem())).into_response();
        let headers = response.headers_mut();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        if let (429 | 503, Some(seconds)) = (self.code.status(), self.code.retry_after_s()) {
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

/// Runs what needs the processor or the disk where it holds up no other request.
async fn off_loop<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refusal> + Send + 'static,
) -> Result<T, Refusal> {
    tokio::task::spawn_blocking(work).await.unwrap_or_else(|error| {
        tracing::error!(%error, "a request failed inside");
        Err(Code::Internal.into())
    })
}
