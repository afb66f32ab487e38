//! `GET /v1/nodes`: the fleet, page by page, by state, label, model and reason.

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use serde::Deserialize;

use super::super::{Api, off_loop};
use super::ask::{self, Query};
use super::etag;
use crate::lifecycle;
use crate::refusal::{Code, Refusal};
use crate::selector::Selector;
use crate::store::{Filter, clean};

/// The parameters.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    /// States, with commas between.
    state: Option<String>,
    /// A label selector.
    selector: Option<String>,
    /// Name of the GPUs' model.
    model: Option<String>,
    /// Code of the reason.
    reason: Option<String>,
    limit: Option<u32>,
    /// The last id of the page before.
    after: Option<String>,
}

pub(crate) async fn list(
    State(api): State<Arc<Api>>,
    headers: HeaderMap,
    Query(asked): Query<Asked>,
) -> Result<Response, Refusal> {
    let (limit, after) = (ask::limit(asked.limit)?, asked.after.clone());
    let filter = filter(asked)?;
    off_loop(move || {
        let known = |revision| etag::is_known(&headers, &etag::of_revision(revision));
        let answer = api.store.view(|view| {
            let revision = view.head()?;
            if known(revision) {
                return Ok((revision, None));
            }
            Ok((revision, Some(view.page(&filter, after.as_deref().unwrap_or_default(), limit)?)))
        });
        Ok(match answer? {
            (revision, None) => etag::not_modified(&etag::of_revision(revision)),
            (revision, Some(page)) => etag::of(revision, &page),
        })
    })
    .await
}

fn filter(asked: Asked) -> Result<Filter, Refusal> {
    let malformed = |name: &str, why: &dyn std::fmt::Display| {
        Code::QueryMalformed.because(clean(&format!("`{name}`: {why}")))
    };
    let state = |word: &str| {
        lifecycle::State::parse(word)
            .ok_or_else(|| malformed("state", &format!("`{word}` is no state of a node")))
    };
    let states = asked.state.iter().flat_map(|words| words.split(',')).map(state);
    let selector = Selector::parse(asked.selector.as_deref().unwrap_or_default());
    Ok(Filter {
        states: states.collect::<Result<_, _>>()?,
        selector: selector.map_err(|error| malformed("selector", &error))?,
        model: asked.model,
        reason: asked.reason,
    })
}
