//! `GET /metrics`: figures for Prometheus, by state, cause and code; never by node.

use std::sync::Arc;

use axum::extract::State;
use axum::http::header;
use axum::response::{IntoResponse, Response};

use super::super::{Api, off_loop};
use crate::figures;
use crate::refusal::Refusal;

pub(crate) async fn show(State(api): State<Arc<Api>>) -> Result<Response, Refusal> {
    off_loop(move || {
        let now = api.clock.now();
        api.store.count_transitions()?;
        let fleet = api.store.view(|view| view.figures(now))?;
        let text = figures::text(&fleet, &api.store, &api.lanes.taken());
        let kind = [(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")];
        Ok((kind, text).into_response())
    })
    .await
}
