//! `PATCH /v1/nodes/{node}/labels`: sets labels, and takes away those that are `null`.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::State;
use axum::http::HeaderMap;
use serde_json::{Value, json};

use super::super::Api;
use super::ask::{self, Asker};
use crate::refusal::Refusal;

pub(crate) async fn change(
    State(api): State<Arc<Api>>,
    asker: Asker,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Value>, Refusal> {
    let changes: BTreeMap<String, Option<String>> = ask::json(&headers, body).await?;
    let order = asker.order(None)?;
    let labels = api.store.change_labels(order, changes).await?;
    Ok(Json(json!({ "labels": labels })))
}
