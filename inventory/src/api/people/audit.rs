//! `GET /v1/audit`: who did what, and what was refused, the latest first.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::super::{Api, off_loop};
use super::ask::{PageOf, Query};
use crate::refusal::Refusal;

pub(crate) async fn list(
    State(api): State<Arc<Api>>,
    Query(page): Query<PageOf>,
) -> Result<Json<Value>, Refusal> {
    let (before, limit) = page.bounds()?;
    off_loop(move || {
        let (rows, next) = api.store.view(|view| view.audit_before(before, limit))?;
        Ok(Json(json!({ "audit": rows, "next": next })))
    })
    .await
}
