//! `TPM2_MakeCredential` (Part 1, 24; Part 3, 12.6), in software: a secret that a TPM gives out only if it holds both the
//! endorsement key and a key of exactly that name.

use aes::{Aes128, Aes256};
use cfb_mode::Encryptor;
use cfb_mode::cipher::KeyIvInit as _;
use getrandom::SysRng;
use p256::Sec1Point;
use p256::ecdh::EphemeralSecret;
use p256::elliptic_curve::Generate as _;
use rsa::Oaep;
use rsa::traits::PaddingScheme as _;
use sha2::Sha256;

use super::kdf::{hmac_sha256, kdf_a, kdf_e};
use super::public::Key;
use super::{AttestError, AttestationKey, EndorsementKey};

/// Bytes of a credential's secret and of its seed.
const SECRET_BYTES: usize = 32;

/// A credential on its way to a TPM.
#[derive(Debug)]
pub struct Credential {
    /// `TPMS_ID_OBJECT`: the protected secret.
    pub credential: Vec<u8>,
    /// The seed, encrypted to the endorsement key.
    pub encrypted_seed: Vec<u8>,
    /// What the TPM must find.
    pub secret: [u8; SECRET_BYTES],
}

/// A fresh secret for the TPM with both keys.
pub fn make_credential(ek: &EndorsementKey, ak: &AttestationKey) -> Result<Credential, AttestError> {
    let mut secret = [0; SECRET_BYTES];
    getrandom::fill(&mut secret).map_err(|_| AttestError::Random)?;
    let (seed, encrypted_seed) = match &ek.key {
        Key::Rsa(key) => rsa_seed(key)?,
        Key::P256(key) => ec_seed(key)?,
    };
    // `TPM2B_DIGEST`, encrypted by a key that follows from the seed and the name.
    let mut identity = sized(&secret);
    let iv = [0; 16].into();
    if ek.aes_bytes == 16 {
        let key: [u8; 16] = kdf_a(&seed, "STORAGE", [ak.name(), &[]]);
        Encryptor::<Aes128>::new(&key.into(), &iv).encrypt(&mut identity);
    } else {
        let key: [u8; 32] = kdf_a(&seed, "STORAGE", [ak.name(), &[]]);
        Encryptor::<Aes256>::new(&key.into(), &iv).encrypt(&mut identity);
    }
    let integrity_key: [u8; 32] = kdf_a(&seed, "INTEGRITY", [&[], &[]]);
    let mut credential = sized(&hmac_sha256(&integrity_key, &[&identity, ak.name()]));
    credential.append(&mut identity);
    Ok(Credential { credential, encrypted_seed, secret })
}

/// RSAES-OAEP with the label `IDENTITY`, its final zero included (Part 1, B.10.3).
fn rsa_seed(key: &rsa::PublicKey) -> Result<([u8; SECRET_BYTES], Vec<u8>), AttestError> {
    let mut seed = [0; SECRET_BYTES];
    getrandom::fill(&mut seed).map_err(|_| AttestError::Random)?;
    let padding = Oaep::<Sha256>::new_with_label(b"IDENTITY\0".as_slice());
    let unfit = |_| AttestError::Unfit { key: "endorsement", reason: "nothing can be encrypted to it" };
    let encrypted = padding.encrypt(&mut SysRng, key, &seed).map_err(unfit)?;
    Ok((seed, encrypted))
}

/// One-pass Diffie-Hellman (Part 1, C.6.4): the seed follows from the common point; what goes out is our point.
fn ec_seed(key: &p256::PublicKey) -> Result<([u8; SECRET_BYTES], Vec<u8>), AttestError> {
    let ours = EphemeralSecret::try_generate().map_err(|_| AttestError::Random)?;
    let (point, theirs) = (Sec1Point::from(ours.public_key()), Sec1Point::from(key));
    let (Some(x), Some(y), Some(their_x)) = (point.x(), point.y(), theirs.x()) else {
        return Err(AttestError::Unfit { key: "endorsement", reason: "its point is no point" });
    };
    let common = ours.diffie_hellman(key);
    let seed = kdf_e(common.raw_secret_bytes(), "IDENTITY", [x, their_x]);
    let mut encrypted = sized(x);
    encrypted.append(&mut sized(y));
    Ok((seed, encrypted))
}

/// With its length in two bytes before it.
fn sized(bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap_or(u16::MAX);
    [&length.to_be_bytes()[..], bytes].concat()
}
