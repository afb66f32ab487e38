//! Bodies: read up to a bound, looked over for depth, then parsed.

use std::time::Duration;

use axum::body::Body;
use axum::http::{HeaderMap, header};
use http_body_util::BodyExt;
use report::wire::JSON_DEPTH_MAX;

use super::depth::is_deeper_than;
use crate::refusal::{Code, Refusal};

/// How much of a body that is too large is read and thrown away, and for how long, so that its sender hears the answer: a
/// connection that is closed while it sends breaks, and the answer is lost with it.
const DISCARDED_BYTES_MAX: usize = 8 << 20;
const DISCARDED_FOR: Duration = Duration::from_secs(1);

/// The whole body, if it has at most `max` bytes.
pub(super) async fn read(headers: &HeaderMap, mut body: Body, max: usize) -> Result<Vec<u8>, Refusal> {
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    let mut too_large = announced.is_some_and(|length: u64| length > max as u64);
    let mut whole = Vec::new();
    while !too_large {
        let Some(frame) = body.frame().await else { return Ok(whole) };
        let frame = frame.map_err(|_| Refusal::from(Code::BodyIncomplete))?;
        let Some(data) = frame.data_ref() else { continue };
        too_large = data.len() > max - whole.len();
        if !too_large {
            whole.extend_from_slice(data);
        }
    }
    discard_rest(body).await;
    Err(Code::BodyTooLarge.because(format!("at most {max} bytes are taken")))
}

/// Reads and throws away what a refused request sends, up to a bound.
pub(super) async fn discard_rest(body: Body) {
    // However this ends, the answer is the same.
    let _ = tokio::time::timeout(DISCARDED_FOR, discard(body)).await;
}

async fn discard(mut body: Body) {
    let mut left = DISCARDED_BYTES_MAX;
    while let Some(Ok(frame)) = body.frame().await {
        let bytes = frame.data_ref().map_or(0, |data| data.len());
        match left.checked_sub(bytes) {
            Some(still) => left = still,
            None => return,
        }
    }
}

/// Refuses what is nested so deep that parsing it is not worth while.
pub(super) fn check_depth(bytes: &[u8]) -> Result<(), Refusal> {
    if is_deeper_than(bytes, JSON_DEPTH_MAX) {
        Err(Code::JsonTooDeep.because(format!("more than {JSON_DEPTH_MAX} levels")))
    } else {
        Ok(())
    }
}

/// Is this a boot id as Linux gives it, a UUID in lower case?
pub(super) fn is_boot_id(text: &str) -> bool {
    let groups: Vec<_> = text.split('-').map(str::len).collect();
    groups == [8, 4, 4, 4, 12] && text.bytes().all(|b| matches!(b, b'-' | b'0'..=b'9' | b'a'..=b'f'))
}
