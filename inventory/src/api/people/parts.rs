//! `GET /v1/parts?node=&part=&twice=&past=`: which part was in which node from when to when.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::{Api, off_loop};
use super::ask::Query;
use crate::refusal::{Code, Refusal};
use crate::store::read::PartFilter;

/// What is asked for: the parts of a node, where a part was, or what is in two nodes at once.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    node: Option<String>,
    part: Option<String>,
    #[serde(default)]
    twice: bool,
    #[serde(default)]
    past: bool,
}

pub(crate) async fn list(
    State(api): State<Arc<Api>>,
    Query(asked): Query<Asked>,
) -> Result<Json<Value>, Refusal> {
    let Asked { node, part, twice, past } = asked;
    if node.is_none() && part.is_none() && !twice {
        // The parts of a whole fleet are no page.
        return Err(Code::QueryMalformed.because("none of `node`, `part` and `twice=true` is given"));
    }
    off_loop(move || {
        let filter = PartFilter { node: node.as_deref(), part: part.as_deref(), twice, past };
        let places = api.store.view(|view| view.parts(&filter))?;
        Ok(Json(json!({ "parts": places })))
    })
    .await
}
