//! `GET /v1/nodes/{node}/history`: how a node came to where it stands, the latest step first.

use std::sync::Arc;

use axum::Json;
use axum::extract::{Path, State};
use serde_json::{Value, json};

use super::super::{Api, off_loop};
use super::ask::{PageOf, Query};
use crate::refusal::{Code, Refusal};

pub(crate) async fn list(
    State(api): State<Arc<Api>>,
    Path(id): Path<String>,
    Query(page): Query<PageOf>,
) -> Result<Json<Value>, Refusal> {
    let (before, limit) = page.bounds()?;
    off_loop(move || {
        let found = api.store.view(|view| view.history(&id, before, limit))?;
        let Some((rows, next)) = found else { return Err(Code::NodeUnknown.because(id)) };
        Ok(Json(json!({ "history": rows, "next": next })))
    })
    .await
}
