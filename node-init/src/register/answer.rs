//! From an HTTP answer to what it means: pure, so that every odd answer has a test.

use std::time::Duration;

use report::text::clean;
use report::wire::Problem;
use serde::de::DeserializeOwned;

use super::backoff::Attempt;

/// Why a request did not succeed.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The server proved no right to the name, so that nothing of the request was sent.
    #[error(
        "the inventory's certificate is not trusted, nothing was sent: check `--ca`, the address and the clock"
    )]
    Untrusted {
        /// What is wrong with the certificate.
        #[source]
        source: rustls::Error,
    },
    /// No answer, or not all of one.
    #[error("the inventory was not reached: check network and address")]
    Transport {
        /// What failed.
        #[source]
        source: ureq::Error,
    },
    /// Success, in words that this version does not know.
    #[error("the inventory's answer (status {status}) was not understood: use one release on both sides")]
    NotUnderstood {
        /// HTTP status.
        status: u16,
        /// What is wrong with the body.
        #[source]
        source: serde_json::Error,
    },
    /// A refusal with its reason.
    #[error("{}", in_words(.0))]
    Problem(Problem),
    /// A refusal without one.
    #[error(
        "the inventory answered with status {status} and no reason: is `--inventory` the address of an inventory?"
    )]
    Unexplained {
        /// HTTP status.
        status: u16,
    },
}

fn in_words(problem: &Problem) -> String {
    let detail = problem.detail.as_ref().map(|detail| format!(": {}", clean(detail))).unwrap_or_default();
    let Problem { code, title, action, status, .. } = problem;
    format!("{}{detail}; {} ({}, status {status})", clean(title), clean(action), clean(code))
}

/// What an answer means. Tried again are 429, 5xx, what a [`Problem`] calls retryable, and success whose body is no
/// acknowledgement (only a well-formed one counts); a [`Problem`] that is not retryable is the end, whatever its status.
pub fn read<T: DeserializeOwned>(status: u16, retry_after: Option<&str>, body: &[u8]) -> Attempt<T, Failure> {
    let after = retry_after.and_then(|text| text.trim().parse().ok()).map(Duration::from_secs);
    if (200..300).contains(&status) {
        return match serde_json::from_slice(body) {
            Ok(value) => Attempt::Done(value),
            Err(source) => Attempt::Again { cause: Failure::NotUnderstood { status, source }, after },
        };
    }
    match serde_json::from_slice::<Problem>(body) {
        Ok(problem) if problem.retryable => Attempt::Again { cause: Failure::Problem(problem), after },
        Ok(problem) => Attempt::Refused(Failure::Problem(problem)),
        Err(_) if status == 429 || status >= 500 => {
            Attempt::Again { cause: Failure::Unexplained { status }, after }
        }
        Err(_) => Attempt::Refused(Failure::Unexplained { status }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use report::wire::EnrolResponse;

    const ENROLLED: &str =
        r#"{"node_id":"n1","nonce":"00","plan":"quick","plan_digest":"11","state":"registering"}"#;

    fn problem(retryable: bool) -> String {
        format!(
            r#"{{"code":"token_used","title":"the token was used before","detail":"by node n7\u001b[2J",
                "action":"ask for a new token","status":403,"retryable":{retryable}}}"#
        )
    }

    fn answer(status: u16, retry_after: Option<&str>, body: &str) -> Attempt<EnrolResponse, Failure> {
        read(status, retry_after, body.as_bytes())
    }

    #[test]
    fn success_needs_a_well_formed_body() {
        assert!(matches!(answer(200, None, ENROLLED), Attempt::Done(r) if r.node_id == "n1"));
        assert!(matches!(answer(201, None, ENROLLED), Attempt::Done(_)));
        for body in ["", "{", "<html>", r#"{"node_id":"n1"}"#, &ENROLLED[..ENROLLED.len() - 1]] {
            assert!(matches!(answer(200, None, body), Attempt::Again { .. }), "{body}");
        }
    }

    #[test]
    fn a_problem_says_itself_whether_to_try_again() {
        for status in [400, 403, 409, 429, 500, 503] {
            assert!(matches!(answer(status, None, &problem(true)), Attempt::Again { .. }), "{status}");
            assert!(matches!(answer(status, None, &problem(false)), Attempt::Refused(_)), "{status}");
        }
    }

    #[test]
    fn a_refusal_shows_title_detail_and_action_and_no_control_characters() {
        let Attempt::Refused(failure) = answer(403, None, &problem(false)) else { panic!("not refused") };
        assert_eq!(
            failure.to_string(),
            "the token was used before: by node n7?[2J; ask for a new token (token_used, status 403)"
        );
    }

    #[test]
    fn without_a_problem_the_status_decides() {
        for status in [429, 500, 502, 503, 504] {
            assert!(matches!(answer(status, None, "busy"), Attempt::Again { .. }), "{status}");
        }
        for status in [301, 302, 307, 308, 400, 401, 404, 413] {
            assert!(matches!(answer(status, None, ""), Attempt::Refused(_)), "{status}");
        }
    }

    #[test]
    fn retry_after_is_read_in_seconds() {
        let after = |text| match answer(503, Some(text), "") {
            Attempt::Again { after, .. } => after,
            other => panic!("{other:?}"),
        };
        assert_eq!(after("30"), Some(Duration::from_secs(30)));
        assert_eq!(after(" 5 "), Some(Duration::from_secs(5)));
        for odd in ["", "-1", "soon", "Wed, 21 Oct 2026 07:28:00 GMT", "99999999999999999999999"] {
            assert_eq!(after(odd), None, "{odd}");
        }
    }

    proptest! {
        #[test]
        fn no_answer_makes_the_reader_panic(status: u16, after in ".{0,20}", body: Vec<u8>) {
            let _ = read::<EnrolResponse>(status, Some(&after), &body);
        }
    }
}
