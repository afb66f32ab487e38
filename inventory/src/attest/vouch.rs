//! Who says that an endorsement key is a TPM's: its maker, by a certificate under a root that an operator trusts.

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, UnixTime};
use spki::SubjectPublicKeyInfoRef;
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert, ring};

use super::{AttestError, EndorsementKey};
use crate::identity::sha256_hex;

/// `tcg-kp-EKCertificate`, 2.23.133.8.1.
const EK_CERTIFICATE: &[u8] = &[0x67, 0x81, 0x05, 0x08, 0x01];

/// A maker's root, or an intermediate that is trusted as one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RootCertificate {
    /// The certificate.
    pub der: Vec<u8>,
    /// Its SHA-256, in hexadecimal.
    pub sha256: String,
}

/// The certificates in a file, PEM or DER. Each must be fit to be a root.
pub fn read_roots(bytes: &[u8]) -> Result<Vec<RootCertificate>, AttestError> {
    let failed = |reason: String| AttestError::Roots(reason);
    let all: Vec<CertificateDer<'_>> = if bytes.starts_with(&[0x30]) {
        vec![CertificateDer::from(bytes)]
    } else {
        let all = CertificateDer::pem_slice_iter(bytes).collect::<Result<_, _>>();
        all.map_err(|error| failed(format!("no PEM: {error}")))?
    };
    if all.is_empty() {
        return Err(failed("no certificate in it: give the maker's roots as PEM or DER".to_owned()));
    }
    let root = |der: CertificateDer<'_>| {
        anchor_from_trusted_cert(&der).map_err(|error| failed(format!("unfit as a root: {error}")))?;
        Ok(RootCertificate { sha256: sha256_hex(&der), der: der.to_vec() })
    };
    all.into_iter().map(root).collect()
}

/// Is this the certificate of that key, by one of these roots, at that time (seconds since 1970)?
pub fn certificate_fits(
    certificate: &[u8],
    ek: &EndorsementKey,
    roots: &[Vec<u8>],
    now_s: u64,
) -> Result<(), AttestError> {
    let refused = |reason: String| AttestError::Certificate(reason);
    let der = CertificateDer::from(certificate);
    let end = EndEntityCert::try_from(&der).map_err(|error| refused(error.to_string()))?;
    let info = end.subject_public_key_info();
    let info = SubjectPublicKeyInfoRef::try_from(info.as_ref()).map_err(|error| refused(error.to_string()))?;
    if info.subject_public_key.raw_bytes() != ek.subject_public_key() {
        return Err(refused("it is for another key".to_owned()));
    }
    let roots: Vec<_> = roots.iter().map(|der| CertificateDer::from(&der[..])).collect();
    let anchors: Vec<_> = roots.iter().filter_map(|der| anchor_from_trusted_cert(der).ok()).collect();
    end.verify_for_usage(
        SIGNATURES,
        &anchors,
        &[],
        UnixTime::since_unix_epoch(std::time::Duration::from_secs(now_s)),
        KeyUsage::required(EK_CERTIFICATE),
        None,
        None,
    )
    .map(|_| ())
    .map_err(|error| refused(error.to_string()))
}

/// What makers sign with.
const SIGNATURES: &[&dyn rustls::pki_types::SignatureVerificationAlgorithm] = &[
    ring::RSA_PKCS1_2048_8192_SHA256,
    ring::RSA_PKCS1_2048_8192_SHA384,
    ring::RSA_PKCS1_2048_8192_SHA512,
    ring::ECDSA_P256_SHA256,
    ring::ECDSA_P256_SHA384,
    ring::ECDSA_P384_SHA256,
    ring::ECDSA_P384_SHA384,
];
