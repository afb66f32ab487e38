//! What a request says beside its path: parameters, a body, and the cause of a change.

use axum::body::Body;
use axum::extract::{FromRequestParts, Path};
use axum::http::HeaderMap;
use axum::http::request::Parts;
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::super::{Peer, body};
use super::{LIMIT, LIMIT_MAX};
use crate::access::Principal;
use crate::refusal::{Code, Refusal};
use crate::store::{Order, clean};

/// The header that says why something is changed.
pub(super) const CAUSE_HEADER: &str = "assay-cause";
/// Largest body of a change, in bytes.
const BODY_BYTES_MAX: usize = 64 << 10;

/// The parameters of a request; one that is not known is refused, so that a misspelt filter does not select everything.
pub(crate) struct Query<T>(pub(super) T);

impl<T: DeserializeOwned, S: Send + Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Refusal> {
        axum::extract::Query::try_from_uri(&parts.uri)
            .map(|axum::extract::Query(query)| Self(query))
            .map_err(|error| Code::QueryMalformed.because(clean(&chain(&error))))
    }
}

/// An error with what led to it: the rejection alone does not name the parameter.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(error) = next {
        text = error.to_string();
        next = error.source();
    }
    text
}

/// A page of what is listed with the latest first.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PageOf {
    limit: Option<u32>,
    /// Only what is below that number.
    before: Option<u64>,
}

impl PageOf {
    pub(super) fn bounds(&self) -> Result<(u64, u32), Refusal> {
        // The database's numbers are signed.
        Ok((self.before.unwrap_or(i64::MAX as u64).min(i64::MAX as u64), limit(self.limit)?))
    }
}

/// How many rows.
pub(super) fn limit(asked: Option<u32>) -> Result<u32, Refusal> {
    match asked.unwrap_or(LIMIT) {
        limit @ 1..=LIMIT_MAX => Ok(limit),
        other => Err(Code::QueryMalformed.because(format!("`limit` is {other}, not from 1 to {LIMIT_MAX}"))),
    }
}

/// A JSON body.
pub(super) async fn json<T: DeserializeOwned>(headers: &HeaderMap, body: Body) -> Result<T, Refusal> {
    let bytes = body::read(headers, body, BODY_BYTES_MAX).await?;
    body::check_depth(&bytes)?;
    serde_json::from_slice(&bytes).map_err(|error| Code::BodyMalformed.because(clean(&error.to_string())))
}

/// Who asks for a change of the node in the path.
pub(crate) struct Asker {
    node_id: String,
    actor: String,
    source: String,
    cause: Option<String>,
}

impl<S: Send + Sync> FromRequestParts<S> for Asker {
    type Rejection = Refusal;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Refusal> {
        let missing = || Code::Internal.because("a change without a node, a peer or a principal");
        let Path(node_id) = Path::from_request_parts(parts, state).await.map_err(|_| missing())?;
        let Peer(address) = parts.extensions.get().copied().ok_or_else(missing)?;
        let principal: &Principal = parts.extensions.get().ok_or_else(missing)?;
        let cause = parts.headers.get(CAUSE_HEADER).and_then(|value| value.to_str().ok());
        let cause = cause.map(ToOwned::to_owned);
        Ok(Self { node_id, actor: principal.actor(), source: address.to_string(), cause })
    }
}

impl Asker {
    /// The order, with its cause: from the body, or from the header.
    pub(super) fn order(self, of_body: Option<String>) -> Result<Order, Refusal> {
        let cause = of_body.or(self.cause).map(|text| clean(text.trim())).filter(|text| !text.is_empty());
        let cause = cause.ok_or_else(|| Refusal::from(Code::CauseMissing))?;
        Ok(Order { node_id: self.node_id, actor: self.actor, cause, source: Some(self.source) })
    }
}
