//! The node's TPM 2.0, so far as attestation needs it: its endorsement key with the maker's certificate, an attestation key,
//! the answer to a credential, a quote.
//!
//! ```text
//! channel (device or socket) -> command (one exchange) -> keys (EK, AK) -> attest (credential, quote)
//! ```
//!
//! Nothing is left in the TPM: both keys are primary keys of the endorsement hierarchy, which come out the same every time,
//! and each is flushed as soon as it was used. The hierarchy must have no password, as it leaves the factory.
//!
//! What it does not do: judge. The inventory checks all of it.

mod channel;
mod command;
mod keys;
mod spki;
mod attest;

use std::io;
use std::path::PathBuf;

pub use attest::{Attester, QUOTED_PCRS, Quote};
pub use channel::Channel;
pub use command::Tpm;

/// Where Linux shows a TPM 2.0 that it manages.
pub const DEVICE: &str = "/dev/tpmrm0";

/// Why the TPM does not do what it is asked.
#[derive(Debug, thiserror::Error)]
pub enum TpmFault {
    /// It cannot be opened.
    #[error("opening the TPM `{}`: is it enabled in the firmware, and its driver loaded?", path.display())]
    Open {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The exchange broke.
    #[error("speaking to the TPM while {doing}")]
    Exchange {
        /// What was being done.
        doing: &'static str,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It refused.
    #[error("the TPM refuses {doing}: {code}{}", hint(*code))]
    Refused {
        /// What was being done.
        doing: &'static str,
        /// Its response code.
        code: tpm2_protocol::data::TpmRc,
    },
    /// What it says cannot be read, or what it is told cannot be written.
    #[error("the TPM speaks another language while {doing}")]
    Malformed {
        /// What was being done.
        doing: &'static str,
        /// Where reading ended.
        #[source]
        source: tpm2_protocol::TpmError,
    },
    /// No random bytes for a session.
    #[error("drawing a nonce: the operating system gives no entropy: {0}")]
    Entropy(getrandom::Error),
}

/// What to do about the refusals that a site can meet.
fn hint(code: tpm2_protocol::data::TpmRc) -> &'static str {
    use tpm2_protocol::data::{TpmRc, TpmRcBase};
    match code {
        TpmRc::Warn(TpmRcBase::Lockout) => "; it locks out: wait, or reset the lockout",
        TpmRc::Fmt1(code) if code.base == TpmRcBase::BadAuth || code.base == TpmRcBase::AuthFail => {
            "; the endorsement hierarchy has a password: clear the TPM in the firmware"
        }
        TpmRc::Fmt1(code) if code.base == TpmRcBase::Hierarchy => {
            "; the endorsement hierarchy is disabled: enable it in the firmware"
        }
        _ => "",
    }
}
