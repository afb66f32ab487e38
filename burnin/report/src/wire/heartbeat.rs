//! A node's sign of life, and how a node proves that a request without a report is its own.

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

/// Largest body of a heartbeat, in bytes.
pub const HEARTBEAT_BYTES_MAX: usize = 4 << 10;
/// The header that names the node that signed a request.
pub const NODE_HEADER: &str = "assay-node";
/// The header that names the boot with whose nonce a request is signed.
pub const BOOT_HEADER: &str = "assay-boot";

/// A node lives.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Heartbeat {
    /// What it does: a short word such as `burn_in`.
    pub phase: String,
    /// Rises with each heartbeat of a boot, so that an old one can be told.
    pub count: u64,
}

/// The heartbeat was heard. It is not durable.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HeartbeatAck {
    /// When to send the next, in milliseconds from now.
    pub next_in_ms: u64,
    /// Where the node stands now.
    pub state: String,
    /// Is a new report wanted of it?
    pub report_wanted: bool,
}

/// What the signature of a node's request covers, when it carries no report: the purpose, who, which boot, what is asked,
/// the nonce of the boot and the digest of the body.
pub fn request_context(node_id: &str, boot_id: &str, request: &str, nonce: &str, body: &[u8]) -> Vec<u8> {
    let digest = HEXLOWER.encode(&Sha256::digest(body));
    format!("assay.request/1\n{node_id}\n{boot_id}\n{request}\n{nonce}\n{digest}\n").into_bytes()
}
