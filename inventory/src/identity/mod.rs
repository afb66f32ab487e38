//! Which machine a node is: a set of evidence, compared with the sets that other records hold.
//!
//! ```text
//! identity on the wire -> evidence (junk left out) -> decide(claim, candidates, weights) -> effect under the policy
//! ```
//!
//! The key owns the record; evidence alone never moves it. *Anchors* name the machine itself (TPM, board, system, UUID),
//! *parts* move from one machine to another (interfaces, disks, GPUs), a *hint* says where it stands. A host name is
//! nothing. Weights and policy are data ([`Weights`]); a decision keeps what it was made of, so that it can be explained
//! years later.

mod kind;
mod junk;
mod claim;
mod weights;
mod decide;
mod effect;

pub(crate) use claim::telling_serial;
pub use claim::{BadIdentity, Evidence, MACS_MAX, PARTS_MAX, TEXT_BYTES_MAX, check_size, evidence, gpu_uuid};
pub use decide::{Candidate, Claim, Comparison, Contribution, Decision, Outcome, Why, decide};
pub use effect::{Effect, effect};
pub(crate) use junk::is_telling_mac as telling_mac;
pub use kind::Kind;
pub use weights::{NewKey, Strength, Weight, Weights, WeightsError};

use data_encoding::{BASE32_NOPAD, HEXLOWER};
use sha2::{Digest, Sha256};

/// The name of the node that holds this key: stable, printable, fit for DNS; 80 bits of the key's SHA-256.
pub fn node_id(public_key: &[u8; 32]) -> String {
    let digest = Sha256::digest(public_key);
    format!("node-{}", BASE32_NOPAD.encode(&digest[..10]).to_ascii_lowercase())
}

/// SHA-256 in hexadecimal.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_id_is_fit_for_dns_and_stable() {
        let id = node_id(&[7; 32]);
        assert_eq!(id, node_id(&[7; 32]));
        assert_eq!(id.len(), "node-".len() + 16);
        assert!(id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
    }
}
