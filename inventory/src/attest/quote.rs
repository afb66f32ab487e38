//! A quote: the TPM says, signed by the attestation key, what its registers hold, and repeats what it was asked.

use std::collections::BTreeMap;

use p256::ecdsa::signature::hazmat::PrehashVerifier as _;
use p256::ecdsa::{Signature, VerifyingKey};
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq as _;
use tpm2_protocol::data::{TpmAlgId, TpmsAttest, TpmtSignature, TpmuAttest, TpmuSignature};

use super::public::{Key, left_padded};
use super::{AttestError, AttestationKey, read_whole};

/// Registers there are.
const PCRS: u8 = 24;

/// What a quote proves beside the keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quoted {
    /// The registers, SHA-256 bank, each as the TPM held it.
    pub pcrs: BTreeMap<u8, [u8; 32]>,
    /// How often the TPM was reset.
    pub reset_count: u32,
    /// Version of the TPM's firmware.
    pub firmware: u64,
}

/// Checks a quote against the key, what was asked (`expected`), and the register values sent beside it.
pub fn verify_quote(
    ak: &AttestationKey,
    (quote, signature): (&[u8], &[u8]),
    expected: &[u8; 32],
    pcrs: &BTreeMap<u8, [u8; 32]>,
) -> Result<Quoted, AttestError> {
    // Nothing of the quote is looked at before the signature over all of it holds.
    verify_signature(ak, quote, signature)?;
    let attest: TpmsAttest = read_whole("the quote", quote)?;
    let TpmuAttest::Quote(info) = &attest.attested else {
        return Err(AttestError::Quote("the TPM signed another kind of statement"));
    };
    if !bool::from(attest.extra_data.as_ref().ct_eq(&expected[..])) {
        return Err(AttestError::Quote("it was made for another key, boot or challenge"));
    }
    let [selection] = &info.pcr_select[..] else {
        return Err(AttestError::Quote("it is not of one bank of registers"));
    };
    if selection.hash != TpmAlgId::Sha256 {
        return Err(AttestError::Quote("it is not of the SHA-256 bank"));
    }
    let selected = (0..PCRS).filter(|index| {
        let byte = selection.pcr_select.get(usize::from(index / 8)).copied().unwrap_or(0);
        byte & (1 << (index % 8)) != 0
    });
    if !selected.eq(pcrs.keys().copied()) {
        return Err(AttestError::Quote("it is of other registers than were sent"));
    }
    let values = pcrs.values().fold(Sha256::new(), |digest, value| digest.chain_update(value));
    if info.pcr_digest.as_ref() != &values.finalize()[..] {
        return Err(AttestError::Quote("the registers do not hold the values that were sent"));
    }
    Ok(Quoted {
        pcrs: pcrs.clone(),
        reset_count: attest.clock_info.reset_count.value(),
        firmware: attest.firmware_version.value(),
    })
}

fn verify_signature(ak: &AttestationKey, quote: &[u8], signature: &[u8]) -> Result<(), AttestError> {
    let signature: TpmtSignature = read_whole("the signature", signature)?;
    let digest = Sha256::digest(quote);
    let holds = match (&ak.key, signature.sig_alg, &signature.signature) {
        (Key::P256(key), TpmAlgId::Ecdsa, TpmuSignature::Ecdsa(ecc)) if ecc.hash == TpmAlgId::Sha256 => {
            let (r, s) = (left_padded(ecc.signature_r.as_ref()), left_padded(ecc.signature_s.as_ref()));
            r.zip(s)
                .and_then(|(r, s)| Signature::from_scalars(r, s).ok())
                .is_some_and(|signature| VerifyingKey::from(key).verify_prehash(&digest, &signature).is_ok())
        }
        (Key::Rsa(key), TpmAlgId::Rsassa, TpmuSignature::Rsassa(rsa)) if rsa.hash == TpmAlgId::Sha256 => {
            key.pkcs1v15_verify_prehash::<Sha256>(&digest, rsa.sig.as_ref()).is_ok()
        }
        _ => return Err(AttestError::Quote("its signature is of another kind than the attestation key")),
    };
    if holds { Ok(()) } else { Err(AttestError::Quote("the attestation key did not sign it")) }
}
