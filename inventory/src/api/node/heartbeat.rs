//! `POST /v1/nodes/{node}/heartbeat`: a node lives. The server says when it wants to hear of it again, so that a fleet that
//! grows, or a server that is busy, slows it down. Heartbeats are kept in memory and written down now and then.

use std::sync::Arc;

use axum::Json;
use axum::body::Bytes;
use axum::extract::{Extension, Path, State};
use report::wire::heartbeat::{Heartbeat, HeartbeatAck};

use super::super::{Api, off_loop};
use crate::access::Principal;
use crate::lifecycle::{self, Wish};
use crate::refusal::{Code, Refusal};
use crate::store::clean;

/// Longest phase, in bytes.
const PHASE_BYTES_MAX: usize = 32;

pub(crate) async fn hear(
    State(api): State<Arc<Api>>,
    Extension(principal): Extension<Principal>,
    Path(id): Path<String>,
    body: Bytes,
) -> Result<Json<HeartbeatAck>, Refusal> {
    debug_assert_eq!(principal, Principal::Node(id.clone()), "the guard lets a node reach itself only");
    let beat: Heartbeat = serde_json::from_slice(&body)
        .map_err(|error| Code::BodyMalformed.because(clean(&error.to_string())))?;
    if beat.phase.len() > PHASE_BYTES_MAX || !beat.phase.bytes().all(|b| b.is_ascii_lowercase() || b == b'_')
    {
        return Err(Code::BodyMalformed.because("`phase` is not a short word in lower case"));
    }
    let now = api.clock.now();
    let next = api.store.heartbeats().hear(&id, &beat, now, api.store.policy().heartbeat);
    off_loop(move || {
        let standing = api.store.view(|view| view.standing(&id))?;
        let standing = standing.ok_or_else(|| Code::NodeUnknown.because(id))?;
        let report_wanted = standing.state == lifecycle::State::Validating
            && standing.verdict.is_none()
            && standing.wish == Wish::InService;
        Ok(Json(HeartbeatAck {
            next_in_ms: u64::try_from(next.as_millis()).unwrap_or(u64::MAX),
            state: standing.state.as_str().to_owned(),
            report_wanted,
        }))
    })
    .await
}
