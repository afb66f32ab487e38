//! `POST /v1/nodes/{node}/resolution`: an operator settles which machine a node is; the body is a [`Resolution`] whose first
//! node is that of the path. `GET /v1/nodes/{node}/decisions`: what was decided about it so far, the latest first.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use serde_json::{Value, json};

use super::super::{Api, off_loop};
use super::ask::{self, Asker, PageOf, Query};
use crate::refusal::{Code, Refusal};
use crate::store::{Resolution, Resolved};

pub(crate) async fn resolve(
    State(api): State<Arc<Api>>,
    asker: Asker,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<Resolved>, Refusal> {
    let resolution: Resolution = ask::json(&headers, body).await?;
    let order = asker.order(None)?;
    if resolution.nodes().next() != Some(&order.node_id) {
        return Err(Code::BodyMalformed.because("the first node of the body is not that of the path"));
    }
    api.store.resolve(resolution, (order.actor, order.cause)).await.map(Json)
}

pub(crate) async fn decisions(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    Query(page): Query<PageOf>,
) -> Result<Json<Value>, Refusal> {
    let (before, limit) = page.bounds()?;
    off_loop(move || {
        let mut rows = api.store.view(|view| view.decisions(Some(&id), before, limit))?;
        rows.reverse();
        let next = (rows.len() == limit as usize).then(|| rows.last().map(|row| row.id)).flatten();
        Ok(Json(json!({ "decisions": rows, "next": next })))
    })
    .await
}
