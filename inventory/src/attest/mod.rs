//! TPM 2.0 attestation, the inventory's side: is there one TPM that holds this endorsement key and this attestation key, and
//! does it vouch for the node's key?
//!
//! ```text
//! endorsement key -> vouch: who says that it is a TPM's? (maker's certificate, operator, first approval)
//! both keys       -> credential: a secret that only the TPM with both can read
//! secret, quote   -> quote: signed by the attestation key over the node's key, boot and challenge
//! ```
//!
//! Terms (TCG, TPM 2.0 Library, Parts 1 and 2): the *endorsement key* (EK) is the TPM's own and can only decrypt; the
//! *attestation key* (AK) is restricted to sign what the TPM itself wrote; a *name* is the digest of a key's public area;
//! *PCRs* are the registers into which a boot is measured.
//!
//! What it does not do: speak to a TPM. All in here is arithmetic on bytes from a node, which are hostile until proven.

mod kdf;
mod public;
mod credential;
mod quote;
mod vouch;
#[cfg(test)]
mod tests;

pub use credential::{Credential, make_credential};
pub use public::{AttestationKey, EndorsementKey};
pub use quote::{Quoted, verify_quote};
pub use vouch::{RootCertificate, certificate_fits, read_roots};

use tpm2_protocol::TpmError;

/// Why something from a TPM is not believed.
#[derive(Debug, thiserror::Error)]
pub enum AttestError {
    /// No structure of the specification.
    #[error("{what} cannot be read: {source}")]
    Malformed {
        /// What it should be.
        what: &'static str,
        /// Where reading ended.
        source: TpmError,
    },
    /// Bytes after the structure.
    #[error("{what} has {bytes} bytes too many")]
    Trailing {
        /// What it should be.
        what: &'static str,
        /// How many.
        bytes: usize,
    },
    /// A key that is not fit for its purpose.
    #[error("the {key} key is not fit: {reason}")]
    Unfit {
        /// `endorsement` or `attestation`.
        key: &'static str,
        /// Why.
        reason: &'static str,
    },
    /// The quote does not say what it must.
    #[error("the quote does not hold: {0}")]
    Quote(&'static str),
    /// A certificate is not believed.
    #[error("the certificate of the endorsement key is not believed: {0}")]
    Certificate(String),
    /// A file of root certificates cannot be used.
    #[error("{0}")]
    Roots(String),
    /// The system gives no random bytes.
    #[error("the system gives no random bytes")]
    Random,
}

/// Reads one structure that fills the bytes to the last.
fn read_whole<T: tpm2_protocol::TpmUnmarshal>(what: &'static str, bytes: &[u8]) -> Result<T, AttestError> {
    let (value, rest) = T::unmarshal(bytes).map_err(|source| AttestError::Malformed { what, source })?;
    if rest.is_empty() { Ok(value) } else { Err(AttestError::Trailing { what, bytes: rest.len() }) }
}
