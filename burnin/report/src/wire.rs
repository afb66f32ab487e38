//! What `node-init` and `inventory` say to each other, as JSON over TLS 1.3.
//!
//! ```text
//! POST /v1/enrolments                                            EnrolRequest  -> EnrolResponse
//! PUT  /v1/nodes/{node}/boots/{boot}/reports/{sequence}          report bytes  -> ReportAck
//!      header assay-signature: hex(Ed25519(context))             context: `signing_context`
//! POST /v1/nodes/{node}/heartbeat                                Heartbeat     -> HeartbeatAck
//! GET  /v1/nodes/{node}, /v1/nodes/{node}/readiness              the node's own record
//!      headers assay-node, assay-boot, assay-signature           context: `heartbeat::request_context`
//! ```
//!
//! Every refusal is a [`Problem`] (`application/problem+json`, RFC 9457). Both calls are idempotent: the same bytes
//! again get the same answer.

pub mod heartbeat;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{MacAddr, NodeFacts, Verdict, VerdictRecord};

/// Largest body of an enrolment, in bytes.
pub const ENROL_BYTES_MAX: usize = 64 << 10;
/// Largest report, in bytes.
pub const REPORT_BYTES_MAX: usize = 1 << 20;
/// Deepest nesting of arrays and objects in a body.
pub const JSON_DEPTH_MAX: usize = 16;
/// The header that carries the signature of a report, in hexadecimal.
pub const SIGNATURE_HEADER: &str = "assay-signature";

/// A node asks to be known: who it is, with which key it will sign, and the token that lets it in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnrolRequest {
    /// The single-use token, `assay-ID-SECRET`.
    pub token: String,
    /// The node's Ed25519 public key, 64 hexadecimal digits.
    pub public_key: String,
    /// Linux's random id of this boot.
    pub boot_id: String,
    /// Ed25519 signature of [`enrolment_context`] by that key, in hexadecimal: proves that the node holds the key.
    pub proof: String,
    /// What names the hardware.
    pub identity: Identity,
}

/// What names a piece of hardware. Each is a claim; the set of them is compared with the records there are.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Identity {
    /// SMBIOS UUID, in lower case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product_uuid: Option<String>,
    /// Serial number of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product_serial: Option<String>,
    /// Serial number of the board.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub board_serial: Option<String>,
    /// Permanent MAC addresses, sorted.
    #[serde(default)]
    pub macs: Vec<MacAddr>,
    /// Host name: a hint for people, never evidence.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
}

impl Identity {
    /// The identity that facts about a node give.
    pub fn of(facts: &NodeFacts) -> Self {
        let dmi = facts.dmi.clone().unwrap_or_default();
        let mut macs: Vec<_> = facts.nics.iter().filter_map(|nic| nic.mac_permanent).collect();
        macs.sort_unstable();
        macs.dedup();
        Self {
            product_uuid: dmi.product_uuid,
            product_serial: dmi.product_serial,
            board_serial: dmi.board_serial,
            macs,
            hostname: facts.linux.as_ref().and_then(|linux| linux.hostname.clone()),
        }
    }
}

/// The node is known.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct EnrolResponse {
    /// Its name from now on.
    pub node_id: String,
    /// Random, 64 hexadecimal digits; goes into the signature of every report of this boot.
    pub nonce: String,
    /// The plan that the inventory asks for.
    pub plan: String,
    /// SHA-256 of that plan.
    pub plan_digest: String,
    /// Where the node stands now.
    pub state: String,
}

/// A report is durable.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ReportAck {
    /// Revision of the inventory at which it was stored.
    pub revision: u64,
    /// The inventory's own verdict.
    pub verdict: VerdictRecord,
    /// Where the node stands now.
    pub state: String,
    /// The pool it is in, once it is available.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pool: Option<String>,
    /// Was this the very same report again?
    pub duplicate: bool,
}

impl ReportAck {
    /// Short form for logs: state and verdict.
    pub fn summary(&self) -> (String, Verdict) {
        (self.state.clone(), self.verdict.verdict)
    }
}

/// Why a request was refused (RFC 9457).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Problem {
    /// Stable code, for example `token_used`.
    pub code: String,
    /// What went wrong, for people.
    pub title: String,
    /// The figures of this case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// What to do.
    pub action: String,
    /// HTTP status.
    pub status: u16,
    /// Can the same request succeed later?
    pub retryable: bool,
}

/// What the signature of a report covers: the purpose, who, which boot, which report, the nonce and the digest of the bytes.
pub fn signing_context(node_id: &str, boot_id: &str, sequence: u64, nonce: &str, body: &[u8]) -> Vec<u8> {
    let digest = HEXLOWER.encode(&Sha256::digest(body));
    format!("assay.report/1\n{node_id}\n{boot_id}\n{sequence}\n{nonce}\n{digest}\n").into_bytes()
}

/// What the proof of an enrolment covers: the purpose, the token, the boot and the identity.
pub fn enrolment_context(token: &str, boot_id: &str, identity: &Identity) -> Vec<u8> {
    let identity = serde_json::to_vec(identity).unwrap_or_default();
    let digest = HEXLOWER.encode(&Sha256::digest(identity));
    format!("assay.enrolment/1\n{token}\n{boot_id}\n{digest}\n").into_bytes()
}
