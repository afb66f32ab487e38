//! Which node asks: proven by the certificate that it showed in the handshake. The record decides what that is worth, at
//! every request: a node that is retired or in doubt loses its access at once, and so does a certificate that ended while
//! its connection was open.

use std::sync::Arc;

use super::{Api, off_loop};
use crate::lifecycle::State;
use crate::refusal::{Code, Refusal};

/// SHA-256 of the client certificate that was shown and that the site's CA signed, in hexadecimal; the accept loop attaches
/// it to every request of the connection.
#[derive(Clone, Debug)]
pub struct Presented(pub Option<Arc<str>>);

/// The node that asks, proven by a certificate of the site's CA that the record knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct VerifiedNode {
    /// Its name.
    pub node_id: String,
}

impl VerifiedNode {
    /// Who showed this certificate; none where none was shown.
    pub(super) async fn of(api: &Arc<Api>, presented: &Presented) -> Result<Option<Self>, Refusal> {
        let Some(sha256) = presented.0.clone() else { return Ok(None) };
        let api = Arc::clone(api);
        off_loop(move || {
            let holder = api.store.certificate_holder(&sha256).map_err(|error| {
                tracing::error!(%error, "a certificate could not be looked up");
                Refusal::from(Code::Internal)
            })?;
            let Some(holder) = holder else { return Err(Code::CertificateUnknown.into()) };
            let refuse = |code: Code, detail: String| Err(code.because(detail).of_node(&holder.node_id));
            if holder.expires_at <= api.clock.now() {
                return refuse(Code::CertificateExpired, format!("it ended at {:.0}", holder.expires_at));
            }
            match holder.state {
                State::Retired => refuse(Code::NodeRetired, holder.node_id.clone()),
                State::Quarantined => refuse(Code::NodeInDoubt, holder.node_id.clone()),
                _ => Ok(Some(Self { node_id: holder.node_id })),
            }
        })
        .await
    }

    /// A certificate is good for its node's own paths only. Without one, what is asked must be signed.
    pub(super) fn check_own(node: Option<&Self>, node_id: &str) -> Result<(), Refusal> {
        match node {
            Some(node) if node.node_id != node_id => Err(Code::NotOwnRecord
                .because(format!("the certificate is of {}", node.node_id))
                .of_node(&node.node_id)),
            _ => Ok(()),
        }
    }
}

/// Does a text have the form that an enrolment gives to names of nodes?
pub(super) fn check_node_id(node_id: &str) -> Result<(), Refusal> {
    let formed = node_id
        .strip_prefix("node-")
        .is_some_and(|rest| rest.len() == 16 && rest.bytes().all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7')));
    if formed {
        Ok(())
    } else {
        Err(Code::PathMalformed.because("the node id does not have the form that an enrolment gives"))
    }
}
