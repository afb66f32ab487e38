//! `GET /v1/nodes/{node}/readiness`: may it take work, and if not, what blocks it.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;

use super::super::{Api, off_loop};
use super::etag;
use crate::refusal::{Code, Refusal};

pub(crate) async fn show(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    off_loop(move || {
        let found = api.store.view(|view| view.readiness(&id, api.store.policy(), api.clock.now()));
        let readiness = found?.ok_or_else(|| Code::NodeUnknown.because(id))?;
        etag::by_content(&headers, &readiness)
    })
    .await
}
