//! `GET` and `PUT /v1/nodes/{node}/wish`: what the operator wants of a node. Two operators who look at once do not
//! overwrite each other: a change names the revision that it is based on.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;

use super::super::{Api, off_loop};
use super::ask::{self, Asker};
use super::etag;
use crate::lifecycle::Wish;
use crate::refusal::{Code, Refusal};
use crate::store::WishChange;

/// The body of a change.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    desired: Wish,
    #[serde(default)]
    hold: bool,
    cause: Option<String>,
}

pub(crate) async fn show(State(api): State<Arc<Api>>, Path(id): Path<String>) -> Result<Response, Refusal> {
    off_loop(move || {
        let found = api.store.view(|view| view.wish(&id))?;
        let wish = found.ok_or_else(|| Code::NodeUnknown.because(id))?;
        Ok(etag::of(wish.revision, &wish))
    })
    .await
}

pub(crate) async fn change(
    State(api): State<Arc<Api>>,
    asker: Asker,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, Refusal> {
    let based_on = etag::precondition(&headers)?;
    let Asked { desired, hold, cause } = ask::json(&headers, body).await?;
    let order = asker.order(cause)?;
    let change = WishChange { desired, hold: Some(hold), based_on: Some(based_on) };
    let wish = api.store.change_wish(order, change).await?;
    Ok(etag::of(wish.revision, &wish))
}
