//! `PUT` and `DELETE /v1/nodes/{node}/allocation`: a scheduler takes a node for an owner, and gives it back. Asking again
//! gives the same answer.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use serde::Deserialize;

use super::super::Api;
use super::ask::{self, Asker, Query};
use crate::refusal::Refusal;
use crate::store::Allocation;

/// The body of a request for a node.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    owner: String,
    cause: Option<String>,
}

/// The parameters of a release.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Released {
    owner: String,
    /// Must the node prove itself again before its next work?
    #[serde(default)]
    validate: bool,
}

pub(crate) async fn take(
    State(api): State<Arc<Api>>,
    asker: Asker,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Allocation>, Refusal> {
    let Asked { owner, cause } = ask::json(&headers, body).await?;
    let order = asker.order(cause)?;
    api.store.allocate(order, owner).await.map(Json)
}

pub(crate) async fn release(
    State(api): State<Arc<Api>>,
    asker: Asker,
    Query(Released { owner, validate }): Query<Released>,
) -> Result<Json<Allocation>, Refusal> {
    let order = asker.order(None)?;
    api.store.release(order, owner, validate).await.map(Json)
}
