//! The two keys. The endorsement key follows the default templates of the TCG EK Credential Profile 2.5 (B.3.3 L-1 and
//! B.3.4 L-2), so that it is the very key that the maker certified.

use tpm2_protocol::basic::{TpmBuffer, TpmHandle, TpmList, TpmUint16, TpmUint32};
use tpm2_protocol::data::{
    Tpm2bPublic, Tpm2bSensitiveCreate, TpmAlgId, TpmEccCurve, TpmRc, TpmRh, TpmaObject, TpmsEccParms,
    TpmsEccPoint, TpmsRsaParms, TpmsSchemeHash, TpmtEccScheme, TpmtKdfScheme, TpmtPublic, TpmtRsaScheme,
    TpmtSymDef, TpmuAsymScheme, TpmuPublicId, TpmuPublicParms, TpmuSymKeyBits, TpmuSymMode,
};
use tpm2_protocol::frame::{
    TpmCreatePrimaryCommand, TpmCreatePrimaryResponse, TpmNvReadCommand, TpmNvReadPublicCommand,
    TpmNvReadPublicResponse, TpmNvReadResponse,
};
use tpm2_protocol::{TpmMarshal as _, TpmWriter};

use super::TpmFault;
use super::command::{Loaded, Tpm, handle, no_password};

/// `TPM2_PolicySecret(TPM_RH_ENDORSEMENT)`: the policy of the default templates.
const EK_POLICY: [u8; 32] = [
    0x83, 0x71, 0x97, 0x67, 0x44, 0x84, 0xb3, 0xf8, 0x1a, 0x90, 0xcc, 0x8d, 0x46, 0xa5, 0xd7, 0x24, 0xfd,
    0x52, 0xd7, 0x6e, 0x06, 0x52, 0x0b, 0x64, 0xf2, 0xa1, 0xda, 0x1b, 0x33, 0x14, 0x69, 0xaa,
];

/// Where the maker's certificates lie in the TPM (2.2.1.4).
const RSA_CERTIFICATE: u32 = 0x01c0_0002;
const P256_CERTIFICATE: u32 = 0x01c0_000a;
/// A certificate is read in pieces that every TPM gives out.
const PIECE_BYTES: u16 = 512;
const CERTIFICATE_BYTES_MAX: u16 = 4096;

/// Which endorsement key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum EkKind {
    P256,
    Rsa2048,
}

impl Tpm {
    /// The endorsement key that the maker certified, with the certificate; the quicker one where there are several or none.
    pub(super) fn certified_ek(&mut self) -> Result<(EkKind, Option<Vec<u8>>), TpmFault> {
        for (kind, index) in [(EkKind::P256, P256_CERTIFICATE), (EkKind::Rsa2048, RSA_CERTIFICATE)] {
            if let Some(certificate) = self.certificate(index)? {
                return Ok((kind, Some(certificate)));
            }
        }
        Ok((EkKind::P256, None))
    }

    /// Makes the endorsement key; it is the same every time.
    pub(super) fn load_ek(&mut self, kind: EkKind) -> Result<(Loaded, Vec<u8>), TpmFault> {
        self.create_primary("making the endorsement key", ek_template(kind))
    }

    /// Makes the attestation key; it is the same every time.
    pub(super) fn load_ak(&mut self) -> Result<(Loaded, Vec<u8>), TpmFault> {
        self.create_primary("making the attestation key", ak_template())
    }

    fn create_primary(
        &mut self,
        doing: &'static str,
        template: TpmtPublic,
    ) -> Result<(Loaded, Vec<u8>), TpmFault> {
        let command = TpmCreatePrimaryCommand {
            handles: [handle(TpmRh::Endorsement)],
            in_sensitive: Tpm2bSensitiveCreate::default(),
            in_public: Tpm2bPublic { inner: template },
            outside_info: TpmBuffer::default(),
            creation_pcr: TpmList::default(),
        };
        let made: TpmCreatePrimaryResponse = self.run(doing, &command, &[no_password()])?;
        let mut buffer = [0; 1024];
        let mut writer = TpmWriter::new(&mut buffer);
        made.out_public
            .inner
            .marshal(&mut writer)
            .map_err(|source| TpmFault::Malformed { doing, source })?;
        Ok((Loaded(made.handles[0]), writer.as_bytes().to_vec()))
    }

    /// What lies at an index of the TPM's memory; absent where nothing does.
    fn certificate(&mut self, index: u32) -> Result<Option<Vec<u8>>, TpmFault> {
        const DOING: &str = "reading the maker's certificate";
        let index = TpmHandle::new(index);
        let command = TpmNvReadPublicCommand { handles: [index] };
        let size = match self.run::<TpmNvReadPublicResponse>(DOING, &command, &[]) {
            Ok(public) => public.nv_public.inner.data_size.value().min(CERTIFICATE_BYTES_MAX),
            Err(TpmFault::Refused { code: TpmRc::Fmt1(_), .. }) => return Ok(None),
            Err(error) => return Err(error),
        };
        let mut certificate = Vec::new();
        for offset in (0..size).step_by(PIECE_BYTES.into()) {
            let command = TpmNvReadCommand {
                handles: [index, index],
                size: TpmUint16::new(PIECE_BYTES.min(size - offset)),
                offset: TpmUint16::new(offset),
            };
            match self.run::<TpmNvReadResponse>(DOING, &command, &[no_password()]) {
                Ok(read) => certificate.extend_from_slice(read.data.as_ref()),
                // Defined and never written, or not for us to read.
                Err(TpmFault::Refused { .. }) => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        Ok(der_prefix(&certificate).map(<[u8]>::to_vec))
    }
}

/// A certificate may be followed by the padding of its place: the outer structure says where it ends.
fn der_prefix(bytes: &[u8]) -> Option<&[u8]> {
    let [0x30, 0x82, high, low, ..] = bytes else { return None };
    bytes.get(..4 + usize::from(u16::from_be_bytes([*high, *low])))
}

/// Born in this TPM, bound to it, and of one use only.
fn common() -> TpmaObject {
    TpmaObject::FIXED_TPM
        | TpmaObject::FIXED_PARENT
        | TpmaObject::SENSITIVE_DATA_ORIGIN
        | TpmaObject::RESTRICTED
}

fn ek_template(kind: EkKind) -> TpmtPublic {
    let symmetric = TpmtSymDef {
        algorithm: TpmAlgId::Aes,
        key_bits: TpmuSymKeyBits::Aes(TpmUint16::new(128)),
        mode: TpmuSymMode::Aes(TpmAlgId::Cfb),
    };
    // The templates ask for these many zeros, and the key follows from them.
    let (object_type, parameters, unique) = match kind {
        EkKind::Rsa2048 => (
            TpmAlgId::Rsa,
            TpmuPublicParms::Rsa(TpmsRsaParms {
                symmetric,
                scheme: TpmtRsaScheme::default(),
                key_bits: TpmUint16::new(2048),
                exponent: TpmUint32::new(0),
            }),
            TpmuPublicId::Rsa(zeros::<256, 512>()),
        ),
        EkKind::P256 => (
            TpmAlgId::Ecc,
            p256(symmetric, TpmtEccScheme::default()),
            TpmuPublicId::Ecc(TpmsEccPoint { x: zeros::<32, 66>(), y: zeros::<32, 66>() }),
        ),
    };
    TpmtPublic {
        object_type,
        name_alg: TpmAlgId::Sha256,
        object_attributes: common() | TpmaObject::ADMIN_WITH_POLICY | TpmaObject::DECRYPT,
        auth_policy: TpmBuffer::try_from(&EK_POLICY[..]).unwrap_or_default(),
        parameters,
        unique,
    }
}

fn ak_template() -> TpmtPublic {
    let scheme = TpmtEccScheme {
        scheme: TpmAlgId::Ecdsa,
        details: TpmuAsymScheme::Hash(TpmsSchemeHash { hash_alg: TpmAlgId::Sha256 }),
    };
    TpmtPublic {
        object_type: TpmAlgId::Ecc,
        name_alg: TpmAlgId::Sha256,
        object_attributes: common() | TpmaObject::USER_WITH_AUTH | TpmaObject::SIGN_ENCRYPT,
        auth_policy: TpmBuffer::default(),
        parameters: p256(TpmtSymDef { algorithm: TpmAlgId::Null, ..TpmtSymDef::default() }, scheme),
        unique: TpmuPublicId::Ecc(TpmsEccPoint::default()),
    }
}

fn p256(symmetric: TpmtSymDef, scheme: TpmtEccScheme) -> TpmuPublicParms {
    TpmuPublicParms::Ecc(TpmsEccParms {
        symmetric,
        scheme,
        curve_id: TpmEccCurve::NistP256,
        kdf: TpmtKdfScheme::default(),
    })
}

fn zeros<const N: usize, const CAPACITY: usize>() -> TpmBuffer<CAPACITY> {
    TpmBuffer::try_from(&[0; N][..]).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_after_a_certificate_is_no_part_of_it() {
        let padded = b"\x30\x82\x00\x02ab\xff\xff";
        assert_eq!(der_prefix(padded), Some(&padded[..6]));
        for odd in [&b""[..], b"\x30\x82\x00", b"\x30\x82\x00\x05ab", b"\xff\xff\xff\xff\xff"] {
            assert_eq!(der_prefix(odd), None, "{odd:?}");
        }
    }
}
