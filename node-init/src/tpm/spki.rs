//! A public area as the key that others know: `SubjectPublicKeyInfo` (RFC 5280), DER.

use tpm2_protocol::TpmUnmarshal as _;
use tpm2_protocol::data::{TpmtPublic, TpmuPublicId};

/// `ecPublicKey` on `prime256v1`, up to the point: all of it is fixed but that.
const P256_HEAD: [u8; 26] = [
    0x30, 0x59, 0x30, 0x13, 0x06, 0x07, 0x2a, 0x86, 0x48, 0xce, 0x3d, 0x02, 0x01, 0x06, 0x08, 0x2a, 0x86, 0x48,
    0xce, 0x3d, 0x03, 0x01, 0x07, 0x03, 0x42, 0x00,
];
/// `rsaEncryption`.
const RSA_ALGORITHM: [u8; 15] =
    [0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86, 0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00];
/// 65537, the only exponent that endorsement keys have.
const EXPONENT: [u8; 5] = [0x02, 0x03, 0x01, 0x00, 0x01];

/// Absent for a key of neither kind.
pub(super) fn of(public: &[u8]) -> Option<Vec<u8>> {
    let (public, _) = TpmtPublic::unmarshal(public).ok()?;
    match &public.unique {
        TpmuPublicId::Ecc(point) => {
            let (x, y) = (left_padded(point.x.as_ref())?, left_padded(point.y.as_ref())?);
            Some([&P256_HEAD[..], &[4], &x, &y].concat())
        }
        TpmuPublicId::Rsa(modulus) => {
            // The first bit of a modulus is set: without the zero it would be negative.
            let modulus = tagged(0x02, &[&[0], modulus.as_ref()].concat())?;
            let key = tagged(0x30, &[&modulus[..], &EXPONENT].concat())?;
            let bits = tagged(0x03, &[&[0], &key[..]].concat())?;
            tagged(0x30, &[&RSA_ALGORITHM[..], &bits].concat())
        }
        _ => None,
    }
}

fn left_padded(bytes: &[u8]) -> Option<[u8; 32]> {
    let mut padded = [0; 32];
    padded[32_usize.checked_sub(bytes.len())?..].copy_from_slice(bytes);
    Some(padded)
}

/// All of these are longer than 255 bytes, so that the length takes two.
fn tagged(tag: u8, content: &[u8]) -> Option<Vec<u8>> {
    let length = u16::try_from(content.len()).ok().filter(|length| *length > 0xff)?.to_be_bytes();
    Some([&[tag, 0x82][..], &length, content].concat())
}
