//! Why a request is refused: one table of stable codes, each with its HTTP status and what to do about it.

use report::wire::Problem;
use serde::Serialize;

use crate::lifecycle::State;

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $code:literal, $status:literal, $retry:expr, $title:literal, $action:literal;)*) => {
        /// Stable name of a refusal.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[$doc])* $variant,)* }

        impl Code {
            /// Every code there is.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The code as it stands in answers and audit lines.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// HTTP status; 0 where the connection ends without an answer.
            pub fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            /// After how many seconds the same request may succeed; absent if it never will.
            pub fn retry_after_s(self) -> Option<u32> {
                match self { $(Self::$variant => $retry,)* }
            }

            /// What went wrong.
            pub fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }

            /// What to do.
            pub fn action(self) -> &'static str {
                match self { $(Self::$variant => $action,)* }
            }
        }
    };
}

codes! {
    /// No such path.
    NotFound = "not_found", 404, None, "there is nothing at this path", "use the paths that docs/inventory.md lists";
    /// The path exists, the method does not.
    MethodNotAllowed = "method_not_allowed", 405, None, "this path does not take this method", "use the methods that docs/inventory.md lists for this path";
    /// A part of the path has the wrong form.
    PathMalformed = "path_malformed", 400, None, "a part of the path does not have the form it should", "use the node id of the enrolment, the boot id that was enrolled and a sequence from 1 up";
    /// Too many bytes.
    BodyTooLarge = "body_too_large", 413, None, "the body is too large", "send less: 64 KiB for an enrolment, 1 MiB for a report";
    /// The connection broke while the body came in.
    BodyIncomplete = "body_incomplete", 400, Some(1), "the body did not arrive whole", "send it again";
    /// Nested too deep.
    JsonTooDeep = "json_too_deep", 400, None, "the JSON is nested too deep", "send at most 16 levels of arrays and objects";
    /// Not what it should be.
    BodyMalformed = "body_malformed", 400, None, "the body is not what this path takes", "use a client of the same version as the inventory";
    /// The proof does not fit.
    BadProof = "bad_proof", 403, None, "the proof is not a signature by this key over this token, boot and identity", "sign the enrolment context with the key that is sent";
    /// Unknown token, or a wrong secret.
    TokenInvalid = "token_invalid", 403, None, "there is no such token", "make a new token with `inventory token` and give it to this node";
    /// The token was used by another request.
    TokenUsed = "token_used", 403, None, "the token was used before", "make a new token with `inventory token`; if nobody else should have had this one, look at `inventory audit`: it may have been stolen";
    /// Too late.
    TokenExpired = "token_expired", 403, None, "the token has expired", "make a new token with `inventory token`, with a longer --ttl if the node boots slowly";
    /// The token asks for a plan that this version lacks.
    PlanUnavailable = "plan_unavailable", 409, None, "the token asks for a plan that this version does not have", "make a new token with this version of `inventory`";
    /// The node was retired.
    NodeRetired = "node_retired", 409, None, "this node was retired", "enrol the machine with a new key";
    /// Two keys with one name.
    NodeIdTaken = "node_id_taken", 409, None, "another key has this node id already", "enrol with a new key";
    /// No such node.
    NodeUnknown = "node_unknown", 404, None, "there is no such node", "enrol first";
    /// The signature does not fit.
    BadSignature = "bad_signature", 403, None, "the signature is not one by this node over this boot, sequence and body", "sign the very bytes that are sent, with the node's key and the nonce of this boot; enrol again if the boot is not enrolled";
    /// A newer boot is enrolled.
    StaleBoot = "stale_boot", 409, None, "the node has enrolled a newer boot", "report from the newer boot, or enrol this one again";
    /// The report is of another boot than the path.
    BootMismatch = "boot_mismatch", 422, None, "the report was made in another boot than the path names", "send the report under its own boot, or repeat the burn-in";
    /// Other bytes under a sequence that was used or passed.
    SequenceConflict = "sequence_conflict", 409, None, "another report has this sequence or a higher one", "send a new report under a sequence above the highest that is stored";
    /// The same burn-in under another name.
    ReportReplayed = "report_replayed", 409, None, "this burn-in was reported before under another node, boot or sequence", "repeat the burn-in; each report must be of a run of its own";
    /// Not the plan that was asked for.
    PlanNotAccepted = "plan_not_accepted", 422, None, "the report is not about the plan that was asked for", "run the plan of the enrolment's answer with a `burnin` of the same version as the inventory";
    /// A report of another schema.
    SchemaNotAccepted = "schema_not_accepted", 422, None, "the report has another schema", "use a `burnin` of the same version as the inventory";
    /// Nobody knows who asks.
    NotAuthenticated = "not_authenticated", 401, None, "this needs a proof of who asks", "send `Authorization: Bearer KEY` with a key of `inventory access-key create`; nodes sign, or use their certificate";
    /// No such key, or a wrong secret.
    KeyUnknown = "key_unknown", 401, None, "there is no such access key", "make a new key with `inventory access-key create`";
    /// Too late.
    KeyExpired = "key_expired", 401, None, "the access key has expired", "make a new key with `inventory access-key create`";
    /// Taken back.
    KeyRevoked = "key_revoked", 401, None, "the access key was revoked", "make a new key with `inventory access-key create`, if the holder should have one";
    /// Known, and not allowed to do this.
    NotPermitted = "not_permitted", 403, None, "this role may not do that", "use a key of the right role, see docs/inventory.md; a node may read and write itself only";
    /// A parameter has the wrong form.
    QueryMalformed = "query_malformed", 400, None, "a parameter of the request does not have the form it should", "see docs/inventory.md for the parameters of this path";
    /// A change without a cause.
    CauseMissing = "cause_missing", 400, None, "a change needs a cause", "say why in the header `Assay-Cause` or in the field `cause`";
    /// A change that does not say what it is based on.
    PreconditionRequired = "precondition_required", 428, None, "this change must say which revision it is based on", "read the wish first and send its `ETag` as `If-Match`";
    /// Someone else was faster.
    PreconditionFailed = "precondition_failed", 412, None, "it was changed since it was read", "read the wish again, look at what changed, and repeat";
    /// The life cycle has no such way.
    TransitionNotAllowed = "transition_not_allowed", 409, None, "the life cycle has no way from the node's state to there", "see `allowed` for the states that may follow";
    /// Something blocks it.
    NodeNotReady = "node_not_ready", 409, None, "the node may not take work", "see its `readiness` for what blocks it";
    /// Another has it.
    AllocatedToAnother = "allocated_to_another", 409, None, "the node is allocated to another owner", "let its owner release it, or name that owner";
    /// Not what a label may be.
    LabelNotAllowed = "label_not_allowed", 422, None, "this is no label that can be set", "use keys and values as Kubernetes has them; keys below `assay.dev/` are the inventory's own";
    /// A watcher comes from a revision that is not there.
    RevisionGone = "revision_gone", 410, None, "there is no stream from that revision", "list the nodes again and watch from the revision of that list";
    /// The server does not do its work.
    NotReady = "not_ready", 503, Some(5), "the inventory is not ready", "repeat later; the operator should look at the log of the inventory";
    /// Too many requests from one source.
    RateLimited = "rate_limited", 429, Some(2), "too many requests from this source", "wait as long as Retry-After says, then repeat";
    /// Too much work at once.
    Overloaded = "overloaded", 503, Some(2), "the inventory has too much to do", "wait as long as Retry-After says, then repeat";
    /// Not done in time.
    RequestTimeout = "request_timeout", 408, Some(1), "the request was not complete in time", "repeat it; look at the network if it stays";
    /// The store no longer takes writes.
    StoreStopped = "store_stopped", 503, Some(10), "the inventory cannot store anything now and stops", "repeat later; the operator should look at the disk and the log of the inventory";
    /// The database server does not answer.
    StoreUnreachable = "store_unreachable", 503, Some(2), "the inventory cannot reach its database", "repeat it as it is: what was stored is not stored twice";
    /// A fault of ours.
    Internal = "internal", 500, Some(10), "the inventory failed at this request", "repeat later; the operator should look at the log of the inventory";
    /// Plain HTTP on the TLS port.
    PlainHttp = "plain_http", 400, None, "plain HTTP on a port that speaks TLS 1.3 only", "use https and trust the site's CA";
    /// No TLS 1.3.
    TlsRefused = "tls_refused", 0, None, "the TLS handshake failed", "use TLS 1.3 and trust the site's CA";
    /// Nothing came, or too slowly.
    ConnectionTimeout = "connection_timeout", 0, None, "no handshake or no request header in time", "look at the network between node and inventory";
    /// No time for its handshake.
    HandshakesExceeded = "handshakes_exceeded", 0, Some(2), "too many TLS handshakes at once", "come back later; the operator should look for a flood of connections";
    /// Too many connections.
    ConnectionsExceeded = "connections_exceeded", 0, Some(2), "too many connections at once", "close connections that are not used";
}

/// One refusal.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {}", .code.as_str(), .detail.as_deref().unwrap_or_else(|| .code.title()))]
pub struct Refusal {
    /// Why.
    pub code: Code,
    /// The figures of this case.
    pub detail: Option<String>,
    /// The node that it is about, if that is known.
    pub node_id: Option<String>,
    /// The public id of the token that it is about.
    pub token_id: Option<String>,
    /// Who was refused, if that is known.
    pub actor: Option<Box<str>>,
    /// The states that may follow, where another was asked for.
    pub allowed: &'static [State],
    /// A wait in seconds that is longer than the one of the code.
    pub retry_after_s: Option<u32>,
    /// Is its audit line written already?
    pub audited: bool,
}

impl Refusal {
    /// Names the node.
    #[must_use]
    pub fn of_node(mut self, node_id: &str) -> Self {
        self.node_id = Some(node_id.to_owned());
        self
    }

    /// Names who asked.
    #[must_use]
    pub fn of_actor(mut self, actor: String) -> Self {
        self.actor = Some(actor.into_boxed_str());
        self
    }

    /// Says what would have been possible.
    #[must_use]
    pub fn allowing(mut self, states: &'static [State]) -> Self {
        self.allowed = states;
        self
    }

    /// Names the token.
    #[must_use]
    pub fn of_token(mut self, token_id: &str) -> Self {
        self.token_id = Some(token_id.to_owned());
        self
    }

    /// Asks for this wait instead of the one of the code.
    #[must_use]
    pub fn after(mut self, seconds: u32) -> Self {
        self.retry_after_s = Some(seconds);
        self
    }

    /// After how many seconds the same request may succeed; absent if it never will.
    pub fn retry_after_s(&self) -> Option<u32> {
        self.code.retry_after_s().map(|usual| self.retry_after_s.unwrap_or(usual))
    }

    /// As it is sent.
    pub fn document(&self) -> Document {
        let problem = Problem {
            code: self.code.as_str().to_owned(),
            title: self.code.title().to_owned(),
            detail: self.detail.clone(),
            action: self.code.action().to_owned(),
            status: self.code.status(),
            retryable: self.code.retry_after_s().is_some(),
        };
        Document { problem, allowed: self.allowed }
    }
}

/// A problem document, with what only people are told.
#[derive(Clone, Debug, Serialize)]
pub struct Document {
    #[serde(flatten)]
    problem: Problem,
    #[serde(skip_serializing_if = "<[State]>::is_empty")]
    allowed: &'static [State],
}

impl From<Code> for Refusal {
    fn from(code: Code) -> Self {
        Self {
            code,
            detail: None,
            node_id: None,
            token_id: None,
            actor: None,
            allowed: &[],
            retry_after_s: None,
            audited: false,
        }
    }
}

impl Code {
    /// A refusal with its figures.
    pub fn because(self, detail: impl Into<String>) -> Refusal {
        Refusal { detail: Some(detail.into()), ..Refusal::from(self) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn codes_are_unique_and_each_says_what_to_do() {
        let names: HashSet<_> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(names.len(), Code::ALL.len());
        for code in Code::ALL {
            assert!(!code.action().is_empty() && !code.title().ends_with('.'));
            assert!(code.status() == 0 || (400..=599).contains(&code.status()));
            let must_wait = matches!(code.status(), 429 | 503);
            assert!(!must_wait || code.retry_after_s().is_some(), "{}", code.as_str());
        }
    }
}
