//! How well a node is known: the levels, and what node and inventory say to each other to climb them.

use std::fmt;
use std::str::FromStr;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use sha2::{Digest, Sha256};

/// Largest body of a request for a certificate or of an attestation, in bytes.
pub const TRUST_BYTES_MAX: usize = 64 << 10;

macro_rules! levels {
    ($($(#[$doc:meta])* $variant:ident = $word:literal;)*) => {
        /// How well a node is known in its current boot, the least first. A level rises only by new evidence that is bound
        /// to the node's key, and falls when the evidence expires or the node boots again.
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum TrustLevel { $($(#[$doc])* $variant,)* }

        impl TrustLevel {
            /// Every level, the least first.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word used in the store, in configuration and on the wire.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }
    };
}

levels! {
    /// Nothing but what it says itself.
    #[default]
    Claimed = "claimed";
    /// It came with a single-use token and holds a key of its own.
    Token = "token";
    /// It holds a certificate of the site's CA for that key, which is not expired.
    Key = "key";
    /// An operator compared the key with what the node itself shows, and vouched for it.
    Approved = "approved";
    /// A TPM whose endorsement key the site trusts vouches for the key.
    Tpm = "tpm";
    /// And that TPM measured a boot that the site expects.
    Measured = "measured";
}

/// A word that is no level.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no trust level: claimed, token, key, approved, tpm or measured")]
pub struct BadTrustLevel(String);

impl FromStr for TrustLevel {
    type Err = BadTrustLevel;

    fn from_str(word: &str) -> Result<Self, BadTrustLevel> {
        let found = Self::ALL.iter().copied().find(|level| level.as_str() == word);
        found.ok_or_else(|| BadTrustLevel(word.chars().take(32).collect()))
    }
}

impl fmt::Display for TrustLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

impl Serialize for TrustLevel {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for TrustLevel {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

/// A node asks for a client certificate. The inventory fills in every field of it; nothing but the key is taken from here.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CertificateRequest {
    /// The boot that is enrolled.
    pub boot_id: String,
    /// The Ed25519 key to certify, 64 hexadecimal digits: the node's own, or a new one.
    pub public_key: String,
    /// Signature of [`certificate_context`] by the key of the enrolment, in hexadecimal.
    pub proof: String,
    /// The same by `public_key`, where that is another key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub new_key_proof: Option<String>,
}

/// A client certificate.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CertificateResponse {
    /// The certificate, PEM.
    pub certificate: String,
    /// For how many seconds from now it is good; a node's clock may be wrong.
    pub valid_s: u64,
    /// After how many seconds to ask for the next one.
    pub renew_after_s: u64,
}

/// A node presents its TPM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttestationRequest {
    /// The boot that is enrolled.
    pub boot_id: String,
    /// Public area of the endorsement key (`TPMT_PUBLIC`), in hexadecimal.
    pub ek_public: String,
    /// The manufacturer's certificate for it (DER), in hexadecimal, where the TPM holds one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ek_certificate: Option<String>,
    /// Public area of the attestation key (`TPMT_PUBLIC`), in hexadecimal.
    pub ak_public: String,
    /// Signature of [`attestation_context`] by the node's key, in hexadecimal.
    pub proof: String,
}

/// What only the TPM with both keys can answer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct CredentialChallenge {
    /// Names the challenge, 32 hexadecimal digits; good for one answer.
    pub challenge: String,
    /// For how many seconds it can be answered.
    pub valid_s: u64,
    /// The credential for the attestation key (`TPMS_ID_OBJECT`), in hexadecimal.
    pub credential: String,
    /// The seed that protects it, encrypted to the endorsement key, in hexadecimal.
    pub encrypted_seed: String,
}

/// The answer of the TPM.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct AttestationEvidence {
    /// The credential, decrypted, in hexadecimal.
    pub secret: String,
    /// The quote (`TPMS_ATTEST`) over [`quote_digest`], in hexadecimal.
    pub quote: String,
    /// Its signature by the attestation key (`TPMT_SIGNATURE`), in hexadecimal.
    pub signature: String,
    /// The platform configuration registers that were quoted, SHA-256 bank, by rising number.
    pub pcrs: Vec<Pcr>,
    /// SHA-256 of the firmware's event log, where the kernel shows one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub event_log_sha256: Option<String>,
}

/// A platform configuration register.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Pcr {
    /// Its number, 0 to 23.
    pub index: u8,
    /// Its value, 64 hexadecimal digits.
    pub sha256: String,
}

/// How well the node is known now.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TrustStanding {
    /// The level.
    pub level: TrustLevel,
    /// For how many seconds it lasts; absent if until the next boot.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_s: Option<u64>,
    /// Why it is not more, for people.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub missing: Option<String>,
}

/// What the proofs of a certificate request cover: the purpose, who, which boot and its nonce, and the key to certify.
pub fn certificate_context(node_id: &str, boot_id: &str, nonce: &str, public_key: &str) -> Vec<u8> {
    format!("assay.certificate/1\n{node_id}\n{boot_id}\n{nonce}\n{public_key}\n").into_bytes()
}

/// What the proof of an attestation request covers: the purpose, who, which boot and its nonce, and the TPM's keys.
pub fn attestation_context(node_id: &str, nonce: &str, request: &AttestationRequest) -> Vec<u8> {
    let AttestationRequest { boot_id, ek_public, ek_certificate, ak_public, .. } = request;
    let certificate = ek_certificate.as_deref().unwrap_or("-");
    let digest = sha256_hex(format!("{ek_public}\n{certificate}\n{ak_public}\n").as_bytes());
    format!("assay.attestation/1\n{node_id}\n{boot_id}\n{nonce}\n{digest}\n").into_bytes()
}

/// What a quote is asked for.
#[derive(Clone, Copy, Debug)]
pub struct QuoteContext<'a> {
    /// Who.
    pub node_id: &'a str,
    /// Which boot.
    pub boot_id: &'a str,
    /// The nonce of the boot.
    pub nonce: &'a str,
    /// The node's key, in hexadecimal.
    pub public_key: &'a str,
    /// The challenge that is answered.
    pub challenge: &'a str,
    /// SHA-256 of the event log, if there is one.
    pub event_log_sha256: Option<&'a str>,
}

/// The qualifying data of a quote. With it the TPM signs who asked, in which boot, for which challenge, and with which key
/// the node signs everything else.
pub fn quote_digest(context: &QuoteContext<'_>) -> [u8; 32] {
    let QuoteContext { node_id, boot_id, nonce, public_key, challenge, event_log_sha256 } = context;
    let log = event_log_sha256.unwrap_or("-");
    let text =
        format!("assay.quote/1\n{node_id}\n{boot_id}\n{nonce}\n{public_key}\n{challenge}\n{log}\n");
    Sha256::digest(text).into()
}

fn sha256_hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_are_ordered_and_read_back() {
        assert!(TrustLevel::ALL.windows(2).all(|pair| pair[0] < pair[1]));
        for level in TrustLevel::ALL {
            assert_eq!(level.as_str().parse(), Ok(*level));
        }
        assert!("root".parse::<TrustLevel>().unwrap_err().to_string().contains("measured"));
    }

    #[test]
    fn no_proof_is_good_for_another_purpose_boot_node_nonce_or_key() {
        let request = AttestationRequest {
            boot_id: "b".into(),
            ek_public: "e".into(),
            ek_certificate: None,
            ak_public: "a".into(),
            proof: String::new(),
        };
        let quote = QuoteContext {
            node_id: "n",
            boot_id: "b",
            nonce: "0",
            public_key: "k",
            challenge: "c",
            event_log_sha256: None,
        };
        let all = [
            certificate_context("n", "b", "0", "k"),
            certificate_context("m", "b", "0", "k"),
            certificate_context("n", "c", "0", "k"),
            certificate_context("n", "b", "1", "k"),
            certificate_context("n", "b", "0", "l"),
            attestation_context("n", "0", &request),
            attestation_context("m", "0", &request),
            attestation_context("n", "1", &request),
            attestation_context("n", "0", &AttestationRequest { boot_id: "c".into(), ..request.clone() }),
            attestation_context("n", "0", &AttestationRequest { ak_public: "b".into(), ..request.clone() }),
            attestation_context("n", "0", &AttestationRequest { ek_certificate: Some("x".into()), ..request }),
            quote_digest(&quote).to_vec(),
            quote_digest(&QuoteContext { node_id: "m", ..quote }).to_vec(),
            quote_digest(&QuoteContext { boot_id: "c", ..quote }).to_vec(),
            quote_digest(&QuoteContext { nonce: "1", ..quote }).to_vec(),
            quote_digest(&QuoteContext { public_key: "l", ..quote }).to_vec(),
            quote_digest(&QuoteContext { challenge: "d", ..quote }).to_vec(),
            quote_digest(&QuoteContext { event_log_sha256: Some("f"), ..quote }).to_vec(),
            super::super::signing_context("n", "b", 1, "0", b"k"),
        ];
        let distinct: std::collections::HashSet<_> = all.iter().collect();
        assert_eq!(distinct.len(), all.len());
    }
}
