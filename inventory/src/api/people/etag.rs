//! Entity tags: a client that has the answer already is told so, and a change says what it is based on.

use axum::Json;
use axum::http::{HeaderMap, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use data_encoding::HEXLOWER;
use serde::Serialize;
use sha2::{Digest, Sha256};

use crate::refusal::{Code, Refusal};

/// The tag of a revision.
pub(super) fn of_revision(revision: u64) -> String {
    format!("\"r{revision}\"")
}

/// Does the client have the answer with this tag already?
pub(super) fn is_known(headers: &HeaderMap, tag: &str) -> bool {
    let known = headers.get(header::IF_NONE_MATCH).and_then(|value| value.to_str().ok());
    known.is_some_and(|known| known == "*" || known.split(',').any(|one| strong(one) == tag))
}

/// The revision that a change is based on; a wildcard would be no guard.
pub(super) fn precondition(headers: &HeaderMap) -> Result<u64, Refusal> {
    let value = headers.get(header::IF_MATCH).ok_or_else(|| Refusal::from(Code::PreconditionRequired))?;
    let digits = value.to_str().ok().and_then(|text| text.trim().strip_prefix("\"r")?.strip_suffix('"'));
    digits.and_then(|digits| digits.parse().ok()).ok_or_else(|| {
        Code::PreconditionFailed.because("`If-Match` is no tag of this inventory, such as \"r17\"")
    })
}

/// `304`, with the tag.
pub(super) fn not_modified(tag: &str) -> Response {
    with(tag, StatusCode::NOT_MODIFIED.into_response())
}

/// An answer with its tag.
pub(super) fn with(tag: &str, mut response: Response) -> Response {
    if let Ok(value) = HeaderValue::from_str(tag) {
        response.headers_mut().insert(header::ETAG, value);
    }
    response
}

/// An answer whose tag is the digest of its bytes.
pub(super) fn by_content(headers: &HeaderMap, value: &impl Serialize) -> Result<Response, Refusal> {
    let bytes = serde_json::to_vec(value).map_err(|error| Code::Internal.because(error.to_string()))?;
    let tag = format!("\"{}\"", HEXLOWER.encode(&Sha256::digest(&bytes)[..16]));
    if is_known(headers, &tag) {
        return Ok(not_modified(&tag));
    }
    let kind = [(header::CONTENT_TYPE, "application/json")];
    Ok(with(&tag, (kind, bytes).into_response()))
}

/// An answer of that revision.
pub(super) fn of(revision: u64, value: &impl Serialize) -> Response {
    with(&of_revision(revision), Json(value).into_response())
}

/// A proxy may have made the tag a weak one.
fn strong(tag: &str) -> &str {
    let tag = tag.trim();
    tag.strip_prefix("W/").unwrap_or(tag)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(name: header::HeaderName, value: &'static str) -> HeaderMap {
        HeaderMap::from_iter([(name, HeaderValue::from_static(value))])
    }

    #[test]
    fn a_known_answer_is_told_by_any_of_the_tags() {
        for (known, is) in
            [("\"r7\"", true), ("W/\"r7\"", true), ("\"r6\", \"r7\"", true), ("\"r77\"", false), ("*", true)]
        {
            assert_eq!(is_known(&headers(header::IF_NONE_MATCH, known), &of_revision(7)), is, "{known}");
        }
        assert!(!is_known(&HeaderMap::new(), &of_revision(7)));
    }

    #[test]
    fn a_change_must_name_one_revision() {
        assert_eq!(precondition(&headers(header::IF_MATCH, "\"r7\"")).unwrap(), 7);
        assert_eq!(precondition(&HeaderMap::new()).unwrap_err().code, Code::PreconditionRequired);
        for bad in ["*", "7", "\"7\"", "W/\"r7\"", "\"r7\", \"r8\"", "\"r-1\""] {
            let refused = precondition(&headers(header::IF_MATCH, bad)).unwrap_err();
            assert_eq!(refused.code, Code::PreconditionFailed, "{bad}");
        }
    }
}
