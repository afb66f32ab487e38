//! `GET /v1/nodes/{node}`: one node. Its lists are short here; `history` and `reports` have the rest.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Serialize;

use super::super::{Api, off_loop};
use super::etag;
use crate::lifecycle::Condition;
use crate::refusal::{Code, Refusal};
use crate::store::read::NodeDetail;

/// The page.
#[derive(Debug, Serialize)]
struct Page {
    #[serde(flatten)]
    node: NodeDetail,
    conditions: Vec<Condition>,
}

pub(crate) async fn show(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    off_loop(move || {
        let found = api.store.view(|view| {
            let Some(node) = view.node(&id)? else { return Ok(None) };
            let conditions = view.conditions(&id, api.store.policy(), api.clock.now())?;
            Ok(Some(Page { node, conditions }))
        });
        let page = found?.ok_or_else(|| Code::NodeUnknown.because(id))?;
        etag::by_content(&headers, &page)
    })
    .await
}
