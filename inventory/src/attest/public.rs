//! Public areas of the two keys: read, looked over for the attributes that make them worth something, and named.

use p256::elliptic_curve::sec1::FromSec1Point;
use p256::{PublicKey as EcKey, Sec1Point};
use rsa::PublicKey as RsaKey;
use sha2::{Digest, Sha256};
use tpm2_protocol::data::{
    TpmAlgId, TpmEccCurve, TpmaObject, TpmtPublic, TpmtSymDefObject, TpmuPublicId, TpmuPublicParms,
    TpmuSymKeyBits, TpmuSymMode,
};

use super::{AttestError, read_whole};
use crate::identity::sha256_hex;

/// RSA's exponent where a public area says 0.
const DEFAULT_EXPONENT: u32 = 65537;

/// A key of one of the two families that are taken.
#[derive(Clone, Debug)]
pub(super) enum Key {
    Rsa(RsaKey),
    P256(EcKey),
}

/// An endorsement key that can protect a credential.
#[derive(Clone, Debug)]
pub struct EndorsementKey {
    pub(super) key: Key,
    /// Length of the AES key by which it protects others, in bytes.
    pub(super) aes_bytes: usize,
}

/// An attestation key that signs only what its TPM wrote.
#[derive(Clone, Debug)]
pub struct AttestationKey {
    pub(super) key: Key,
    pub(super) name: Vec<u8>,
}

impl EndorsementKey {
    /// Reads a public area: RSA or P-256, SHA-256, as the default templates have it (TCG EK Credential Profile, L-1, L-2).
    pub fn read(bytes: &[u8]) -> Result<Self, AttestError> {
        let public: TpmtPublic = read_whole("the endorsement key", bytes)?;
        let unfit = |reason| AttestError::Unfit { key: "endorsement", reason };
        let needed = common_attributes() | TpmaObject::DECRYPT;
        if !has(&public, needed) || public.object_attributes.contains(TpmaObject::SIGN_ENCRYPT) {
            return Err(unfit("it is not a restricted decryption key that never left its TPM"));
        }
        let (key, symmetric) = key(&public).map_err(unfit)?;
        let aes_bytes = aes_bytes(symmetric).ok_or_else(|| unfit("it does not protect by AES in CFB mode"))?;
        Ok(Self { key, aes_bytes })
    }

    /// SHA-256 of the key as others write it (`SubjectPublicKeyInfo`, DER), in hexadecimal: whatever certificate or
    /// template it comes with, a key has one.
    pub fn sha256(&self) -> String {
        sha256_hex(&self.key.spki())
    }

    /// The key as it stands in a certificate, without the name of its algorithm: makers give that differently.
    pub(super) fn subject_public_key(&self) -> Vec<u8> {
        self.key.subject_public_key()
    }
}

impl AttestationKey {
    /// Reads a public area: RSA or P-256, SHA-256.
    pub fn read(bytes: &[u8]) -> Result<Self, AttestError> {
        let public: TpmtPublic = read_whole("the attestation key", bytes)?;
        let unfit = |reason| AttestError::Unfit { key: "attestation", reason };
        let needed = common_attributes() | TpmaObject::SIGN_ENCRYPT;
        if !has(&public, needed) || public.object_attributes.contains(TpmaObject::DECRYPT) {
            return Err(unfit("it is not a restricted signing key that never left its TPM"));
        }
        let (key, _) = key(&public).map_err(unfit)?;
        let mut name = TpmAlgId::Sha256.value().to_be_bytes().to_vec();
        name.extend_from_slice(&Sha256::digest(bytes));
        Ok(Self { key, name })
    }

    /// The digest of its public area, with the number of the digest's algorithm before it.
    pub fn name(&self) -> &[u8] {
        &self.name
    }
}

impl Key {
    /// `RSAPublicKey`, or the uncompressed point.
    fn subject_public_key(&self) -> Vec<u8> {
        use rsa::pkcs1::EncodeRsaPublicKey as _;
        match self {
            Self::Rsa(key) => key.to_pkcs1_der().map(|der| der.as_bytes().to_vec()).unwrap_or_default(),
            Self::P256(key) => Sec1Point::from(key).as_bytes().to_vec(),
        }
    }

    fn spki(&self) -> Vec<u8> {
        use rsa::pkcs8::EncodePublicKey as _;
        let der = match self {
            Self::Rsa(key) => key.to_public_key_der(),
            Self::P256(key) => key.to_public_key_der(),
        };
        der.map(|der| der.as_bytes().to_vec()).unwrap_or_default()
    }
}

/// What both keys must be: born in this TPM, and bound to it.
fn common_attributes() -> TpmaObject {
    TpmaObject::FIXED_TPM
        | TpmaObject::FIXED_PARENT
        | TpmaObject::SENSITIVE_DATA_ORIGIN
        | TpmaObject::RESTRICTED
}

fn has(public: &TpmtPublic, attributes: TpmaObject) -> bool {
    public.object_attributes.contains(attributes)
}

/// The key itself, with how it protects others.
fn key(public: &TpmtPublic) -> Result<(Key, TpmtSymDefObject), &'static str> {
    if public.name_alg != TpmAlgId::Sha256 {
        return Err("its name is not made by SHA-256");
    }
    match (&public.parameters, &public.unique) {
        (TpmuPublicParms::Rsa(parms), TpmuPublicId::Rsa(modulus)) => {
            let exponent = match parms.exponent.value() {
                0 => DEFAULT_EXPONENT,
                other => other,
            };
            let key = rsa_key(modulus.as_ref(), parms.key_bits.value(), exponent);
            Ok((Key::Rsa(key.ok_or("its RSA modulus is not one of 2048 to 4096 bits")?), parms.symmetric))
        }
        (TpmuPublicParms::Ecc(parms), TpmuPublicId::Ecc(point)) if parms.curve_id == TpmEccCurve::NistP256 => {
            let (x, y) = (left_padded(point.x.as_ref()), left_padded(point.y.as_ref()));
            let point = x.zip(y).map(|(x, y)| Sec1Point::from_affine_coordinates(&x.into(), &y.into(), false));
            let key = point.and_then(|point| EcKey::from_sec1_point(&point).into_option());
            Ok((Key::P256(key.ok_or("its point is not on P-256")?), parms.symmetric))
        }
        _ => Err("it is neither RSA nor on the curve P-256"),
    }
}

fn rsa_key(modulus: &[u8], bits: u16, exponent: u32) -> Option<RsaKey> {
    let whole = modulus.len() * 8 == usize::from(bits) && modulus.first().is_some_and(|byte| *byte >= 0x80);
    if !whole || !matches!(bits, 2048 | 3072 | 4096) || exponent != DEFAULT_EXPONENT {
        return None;
    }
    let modulus = rsa::BoxedUint::from_be_slice(modulus, bits.into()).ok()?;
    RsaKey::new(modulus, rsa::BoxedUint::from(exponent)).ok()
}

/// A TPM may leave out leading zeros.
pub(super) fn left_padded(bytes: &[u8]) -> Option<[u8; 32]> {
    let mut padded = [0; 32];
    padded[32_usize.checked_sub(bytes.len())?..].copy_from_slice(bytes);
    Some(padded)
}

fn aes_bytes(symmetric: TpmtSymDefObject) -> Option<usize> {
    match (symmetric.algorithm, symmetric.key_bits, symmetric.mode) {
        (TpmAlgId::Aes, TpmuSymKeyBits::Aes(bits), TpmuSymMode::Aes(TpmAlgId::Cfb)) => match bits.value() {
            bits @ (128 | 256) => Some(usize::from(bits) / 8),
            _ => None,
        },
        _ => None,
    }
}
