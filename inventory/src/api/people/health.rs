//! `GET /healthz`: the process answers. `GET /readyz`: the store can be read and still promises that what it acknowledges
//! is on disk.

use std::sync::Arc;

use axum::extract::State;

use super::super::{Api, off_loop};
use crate::refusal::{Code, Refusal};

pub(crate) async fn alive() -> &'static str {
    "ok\n"
}

pub(crate) async fn ready(State(api): State<Arc<Api>>) -> Result<String, Refusal> {
    if *api.store.failed().borrow() {
        return Err(Code::NotReady.because("a write failed, and the store takes no more"));
    }
    let of_read = Arc::clone(&api);
    let revision = off_loop(move || Ok(of_read.store.view(|view| view.head())?))
        .await
        .map_err(|_| Code::NotReady.because("the store cannot be read"))?;
    Ok(format!("ok, revision {revision}\n"))
}
