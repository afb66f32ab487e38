//! The two key derivations of TPM 2.0 (Part 1, 11.4.10), for SHA-256.

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// `KDFa`: a key of `N` bytes from another key.
pub(super) fn kdf_a<const N: usize>(key: &[u8], label: &str, context: [&[u8]; 2]) -> [u8; N] {
    derive(|counter, bits| {
        hmac_sha256(key, &[counter, label.as_bytes(), &[0], context[0], context[1], bits])
    })
}

/// `KDFe`: a key of `N` bytes from a point that two parties have in common.
pub(super) fn kdf_e<const N: usize>(z: &[u8], label: &str, parties: [&[u8]; 2]) -> [u8; N] {
    derive(|counter, _| {
        let parts = [counter, z, label.as_bytes(), &[0], parties[0], parties[1]];
        parts.iter().fold(Sha256::new(), |digest, part| digest.chain_update(part)).finalize().into()
    })
}

/// HMAC-SHA-256 over parts in a row.
pub(super) fn hmac_sha256(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    // HMAC takes a key of any length.
    let Ok(mut mac) = Hmac::<Sha256>::new_from_slice(key) else { unreachable!("HMAC refused a key") };
    for part in parts {
        mac.update(part);
    }
    mac.finalize().into_bytes().into()
}

/// Blocks with a counter from 1 up, as many as are needed.
fn derive<const N: usize>(block: impl Fn(&[u8], &[u8]) -> [u8; 32]) -> [u8; N] {
    let mut key = [0; N];
    let bits = u32::try_from(8 * N).unwrap_or(u32::MAX).to_be_bytes();
    for (counter, piece) in (1_u32..).zip(key.chunks_mut(32)) {
        piece.copy_from_slice(&block(&counter.to_be_bytes(), &bits)[..piece.len()]);
    }
    key
}
