//! What nodes ask.

pub(super) mod enrol;
pub(super) mod certificate;
pub(super) mod attest;
pub(super) mod report;
pub(super) mod heartbeat;

use ed25519_dalek::{Signature, VerifyingKey};

pub(super) use enrol::decode_hex;

use super::body;
use crate::refusal::{Code, Refusal};
use crate::store::{BootSession, Store};

/// Does a text have the form that an enrolment gives to names of nodes?
fn check_node_id(node_id: &str) -> Result<(), Refusal> {
    let formed = node_id
        .strip_prefix("node-")
        .is_some_and(|rest| rest.len() == 16 && rest.bytes().all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7')));
    if formed {
        Ok(())
    } else {
        Err(Code::PathMalformed.because("the node id does not have the form that an enrolment gives"))
    }
}

/// The node's key, and the nonce of the boot. Blocks on disk or network.
fn session(store: &Store, node_id: &str, boot_id: &str) -> Result<(BootSession, String), Refusal> {
    if !body::is_boot_id(boot_id) {
        return Err(Code::BodyMalformed.because("`boot_id` is not a UUID in lower case"));
    }
    let session = store.boot_session(node_id, boot_id)?;
    let session = session.ok_or_else(|| Code::NodeUnknown.because(node_id))?;
    let nonce = session.nonce.clone();
    Ok((session, nonce.ok_or_else(|| Code::BadProof.because("this boot is not enrolled"))?))
}

/// Did that key sign the context? Weak keys and signatures that more than one key could have made are refused.
fn verify(key: &[u8; 32], context: &[u8], signature: &str) -> Result<(), Refusal> {
    let signature: [u8; 64] = decode_hex(signature)
        .ok_or_else(|| Code::BodyMalformed.because("a proof is not 128 hexadecimal digits in lower case"))?;
    VerifyingKey::from_bytes(key)
        .and_then(|key| key.verify_strict(context, &Signature::from_bytes(&signature)))
        .map_err(|_| Code::BadProof.because("it is not a signature by that key over this node, boot and nonce"))
}
