//! A bundle: a burn-in's report with its evidence and, where the node was found healthy, a certificate of acceptance, in
//! one signed file that anybody can check without a network.
//!
//! The file is a gzipped tar: `manifest.json` (every other file with size and SHA-256), `manifest.sig` (Ed25519 over
//! [`CONTEXT`] and the manifest's bytes, hexadecimal), `report.json`, `report.html`, `certificate.json` and `.txt`, and
//! whatever else lay in the run's folder as `evidence/SHA-256`. [`pack()`] makes it: the same folder, key and time give the
//! same bytes. [`verify()`] reads it and names every fault; a file may come from anywhere, so that sizes and numbers are
//! bounded and nothing is written to disk.
//!
//! Terms: to *redact* is to replace serial numbers, addresses, UUIDs and host names by keyed hashes ([`redact`]): equal
//! ones stay equal below one key, and without the key nobody can try names until one fits.

pub mod key;
pub mod certificate;
pub mod redact;
mod archive;
mod pack;
mod verify;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

pub use certificate::Certificate;
pub use key::{PublicKey, SecretKey};
pub use pack::{PackError, Packing, pack};
pub use verify::{Fault, Verified, verify};

/// Name and version of the form.
pub const SCHEMA: &str = "assay.bundle/1";
/// What is signed before the manifest, so that no signature made for something else fits.
const CONTEXT: &[u8] = b"assay.bundle/1\n";

const MANIFEST: &str = "manifest.json";
const SIGNATURE: &str = "manifest.sig";
const REPORT: &str = "report.json";
const CERTIFICATE: &str = "certificate.json";

/// What is in a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Manifest {
    /// [`SCHEMA`].
    pub schema: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// The burn-in.
    pub run_id: String,
    /// Who signs, 64 hexadecimal digits.
    pub public_key: String,
    /// Are serial numbers, addresses and names replaced?
    pub redacted: bool,
    /// Every file but the manifest and its signature.
    pub files: Vec<Packed>,
}

/// One file of a bundle.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Packed {
    /// Its name in the bundle.
    pub path: String,
    /// Its SHA-256, 64 hexadecimal digits.
    pub sha256: String,
    /// Its size.
    pub bytes: u64,
    /// What evidence was called in the run's folder.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::{Digest as _, Sha256};
    data_encoding::HEXLOWER.encode(&Sha256::digest(bytes))
}
