//! Bodies: read up to a bound, looked over for depth, then parsed.

use axum::body::Body;
use axum::http::{HeaderMap, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use report::wire::JSON_DEPTH_MAX;

use super::depth::is_deeper_than;
use crate::refusal::{Code, Refusal};

/// The whole body, if it has at most `max` bytes.
pub(super) async fn read(headers: &HeaderMap, body: Body, max: usize) -> Result<Vec<u8>, Refusal> {
    let too_large = || Code::BodyTooLarge.because(format!("at most {max} bytes are taken"));
    let announced = headers.get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
    if announced.is_some_and(|length: u64| length > max as u64) {
        return Err(too_large());
    }
    match Limited::new(body, max).collect().await {
        Ok(whole) => Ok(whole.to_bytes().into()),
        Err(error) if error.is::<LengthLimitError>() => Err(too_large()),
        Err(_) => Err(Code::BodyIncomplete.into()),
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
