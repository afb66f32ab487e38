//! Statements that no TPM would make, signed by a key in software; structures cut, bent and made up.

use std::collections::BTreeMap;

use p256::ecdsa::signature::hazmat::PrehashSigner as _;
use p256::ecdsa::{Signature, SigningKey};
use p256::elliptic_curve::Generate as _;
use proptest::prelude::*;
use sha2::{Digest as _, Sha256};
use tpm2_protocol::basic::{TpmBuffer, TpmList, TpmUint16, TpmUint32, TpmUint64};
use tpm2_protocol::data::{
    TpmAlgId, TpmEccCurve, TpmSt, TpmaObject, TpmsAttest, TpmsClockInfo, TpmsEccParms, TpmsEccPoint,
    TpmsPcrSelect, TpmsPcrSelection, TpmsQuoteInfo, TpmsSignatureEcc, TpmsTimeAttestInfo, TpmtEccScheme,
    TpmtKdfScheme, TpmtPublic, TpmtSignature, TpmtSymDef, TpmuAttest, TpmuPublicId, TpmuPublicParms,
    TpmuSignature, TpmuSymKeyBits, TpmuSymMode,
};
use tpm2_protocol::{TpmMarshal, TpmWriter};

use super::kdf::{kdf_a, kdf_e};
use super::*;

fn bytes(value: &impl TpmMarshal) -> Vec<u8> {
    let mut buffer = [0; 4096];
    let mut writer = TpmWriter::new(&mut buffer);
    value.marshal(&mut writer).unwrap();
    writer.as_bytes().to_vec()
}

fn born_here() -> TpmaObject {
    TpmaObject::FIXED_TPM | TpmaObject::FIXED_PARENT | TpmaObject::SENSITIVE_DATA_ORIGIN | TpmaObject::RESTRICTED
}

/// The public area of a P-256 key with these attributes.
fn public(key: &SigningKey, object_attributes: TpmaObject) -> TpmtPublic {
    let point = key.verifying_key().to_sec1_point(false);
    TpmtPublic {
        object_type: TpmAlgId::Ecc,
        name_alg: TpmAlgId::Sha256,
        object_attributes,
        auth_policy: TpmBuffer::default(),
        parameters: TpmuPublicParms::Ecc(TpmsEccParms {
            symmetric: TpmtSymDef {
                algorithm: TpmAlgId::Aes,
                key_bits: TpmuSymKeyBits::Aes(TpmUint16::new(128)),
                mode: TpmuSymMode::Aes(TpmAlgId::Cfb),
            },
            scheme: TpmtEccScheme::default(),
            curve_id: TpmEccCurve::NistP256,
            kdf: TpmtKdfScheme::default(),
        }),
        unique: TpmuPublicId::Ecc(TpmsEccPoint {
            x: TpmBuffer::try_from(&point.x().unwrap()[..]).unwrap(),
            y: TpmBuffer::try_from(&point.y().unwrap()[..]).unwrap(),
        }),
    }
}

fn signing() -> TpmaObject {
    born_here() | TpmaObject::SIGN_ENCRYPT
}

fn pcrs() -> BTreeMap<u8, [u8; 32]> {
    BTreeMap::from([(4, [4; 32]), (7, [7; 32])])
}

/// A quote that holds, if nothing is changed of it.
fn statement() -> TpmsAttest {
    let digest = Sha256::digest([[4; 32], [7; 32]].concat());
    let mut pcr_select = TpmList::default();
    let select = TpmsPcrSelect::try_from(&[0x90, 0, 0][..]).unwrap();
    pcr_select.try_push(TpmsPcrSelection { hash: TpmAlgId::Sha256, pcr_select: select }).unwrap();
    TpmsAttest {
        attest_type: TpmSt::AttestQuote,
        qualified_signer: TpmBuffer::default(),
        extra_data: TpmBuffer::try_from(&[9; 32][..]).unwrap(),
        clock_info: TpmsClockInfo { reset_count: TpmUint32::new(3), ..TpmsClockInfo::default() },
        firmware_version: TpmUint64::new(1),
        attested: TpmuAttest::Quote(TpmsQuoteInfo {
            pcr_select,
            pcr_digest: TpmBuffer::try_from(&digest[..]).unwrap(),
        }),
    }
}

fn signed(key: &SigningKey, quote: &[u8]) -> Vec<u8> {
    let signature: Signature = key.sign_prehash(&Sha256::digest(quote)).unwrap();
    let (r, s) = (signature.r().to_bytes(), signature.s().to_bytes());
    let ecc = TpmsSignatureEcc {
        hash: TpmAlgId::Sha256,
        signature_r: TpmBuffer::try_from(&r[..]).unwrap(),
        signature_s: TpmBuffer::try_from(&s[..]).unwrap(),
    };
    bytes(&TpmtSignature { sig_alg: TpmAlgId::Ecdsa, signature: TpmuSignature::Ecdsa(ecc) })
}

fn check(change: impl FnOnce(&mut TpmsAttest)) -> Result<Quoted, AttestError> {
    let key = SigningKey::generate();
    let ak = AttestationKey::read(&bytes(&public(&key, signing()))).unwrap();
    let mut attest = statement();
    change(&mut attest);
    let quote = bytes(&attest);
    verify_quote(&ak, (&quote, &signed(&key, &quote)), &[9; 32], &pcrs())
}

#[test]
fn a_statement_is_a_quote_of_the_sha256_bank_or_it_is_nothing() {
    assert_eq!(check(|_| {}).unwrap().reset_count, 3);
    let refused = |change: fn(&mut TpmsAttest)| check(change).unwrap_err().to_string();
    let another_kind = refused(|attest| {
        attest.attest_type = TpmSt::AttestTime;
        attest.attested = TpmuAttest::Time(TpmsTimeAttestInfo::default());
    });
    assert!(another_kind.contains("another kind"), "{another_kind}");
    assert!(refused(|attest| attest.extra_data = TpmBuffer::default()).contains("another key, boot"));
    let selection = |change: fn(&mut TpmsQuoteInfo)| {
        check(|attest| {
            let TpmuAttest::Quote(info) = &mut attest.attested else { panic!("no quote") };
            change(info);
        })
        .unwrap_err()
        .to_string()
    };
    assert!(selection(|info| info.pcr_select = TpmList::default()).contains("one bank"));
    let weak = selection(|info| {
        let mut list = TpmList::default();
        list.try_push(TpmsPcrSelection { hash: TpmAlgId::Sha1, pcr_select: info.pcr_select[0].pcr_select }).unwrap();
        info.pcr_select = list;
    });
    assert!(weak.contains("SHA-256 bank"), "{weak}");
    let nothing = selection(|info| {
        let mut list = TpmList::default();
        list.try_push(TpmsPcrSelection { hash: TpmAlgId::Sha256, pcr_select: TpmsPcrSelect::new() }).unwrap();
        info.pcr_select = list;
    });
    assert!(nothing.contains("other registers"), "{nothing}");
}

#[test]
fn only_keys_that_never_left_their_tpm_and_serve_one_purpose_are_fit() {
    let key = SigningKey::generate();
    let decrypting = born_here() | TpmaObject::DECRYPT;
    EndorsementKey::read(&bytes(&public(&key, decrypting))).unwrap();
    AttestationKey::read(&bytes(&public(&key, signing()))).unwrap();
    for missing in [
        TpmaObject::FIXED_TPM,
        TpmaObject::FIXED_PARENT,
        TpmaObject::SENSITIVE_DATA_ORIGIN,
        TpmaObject::RESTRICTED,
        TpmaObject::DECRYPT,
        TpmaObject::SIGN_ENCRYPT,
    ] {
        let without = |all: TpmaObject| TpmaObject::from_bits_truncate(all.bits() & !missing.bits());
        if missing != TpmaObject::SIGN_ENCRYPT {
            assert!(EndorsementKey::read(&bytes(&public(&key, without(decrypting)))).is_err(), "{missing:?}");
        }
        if missing != TpmaObject::DECRYPT {
            assert!(AttestationKey::read(&bytes(&public(&key, without(signing())))).is_err(), "{missing:?}");
        }
    }
    let both = signing() | TpmaObject::DECRYPT;
    assert!(EndorsementKey::read(&bytes(&public(&key, both))).is_err());
    assert!(AttestationKey::read(&bytes(&public(&key, both))).is_err());
    let weak = TpmtPublic { name_alg: TpmAlgId::Sha1, ..public(&key, signing()) };
    assert!(AttestationKey::read(&bytes(&weak)).is_err());
    let mut nowhere = public(&key, decrypting);
    nowhere.unique = TpmuPublicId::Ecc(TpmsEccPoint::default());
    assert!(EndorsementKey::read(&bytes(&nowhere)).is_err(), "a point that is not on the curve");
    let trailing = [bytes(&public(&key, signing())), vec![0]].concat();
    assert!(matches!(AttestationKey::read(&trailing), Err(AttestError::Trailing { bytes: 1, .. })));
}

/// Against an independent computation of both functions (Python's `hmac` and `hashlib`).
#[test]
fn the_key_derivations_give_known_keys() {
    let hex = |bytes: &[u8]| data_encoding::HEXLOWER.encode(bytes);
    let a: [u8; 48] = kdf_a(&[1; 32], "STORAGE", [b"name", b""]);
    assert_eq!(hex(&a), KDF_A);
    let e: [u8; 32] = kdf_e(&[2; 32], "IDENTITY", [&[3; 32], &[4; 32]]);
    assert_eq!(hex(&e), KDF_E);
}

const KDF_A: &str = "e85061c8299a1557537a4e127259347525a97e4170edf89d07bf24ea61ab97ed765888e4e22ab7fe1b6a50b26fdf427c";
const KDF_E: &str = "dd08390f7001cf055e0b3fb122b72c63c16f3976780a56eba16e586c14706fc9";

proptest! {
    #[test]
    fn no_bytes_make_the_readers_panic(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        prop_assert!(EndorsementKey::read(&bytes).is_err());
        prop_assert!(AttestationKey::read(&bytes).is_err());
        prop_assert!(read_roots(&bytes).is_err());
    }

    #[test]
    fn a_structure_that_is_cut_or_bent_is_read_as_another_key_or_not_at_all(
        at in 0_usize..120,
        with in 1_u8..=255,
        cut in any::<bool>(),
    ) {
        let key = SigningKey::generate();
        let whole = bytes(&public(&key, signing()));
        let at = at % whole.len();
        let mut bent = whole.clone();
        if cut { bent.truncate(at) } else { bent[at] ^= with }
        let name = AttestationKey::read(&whole).unwrap().name().to_vec();
        if let Ok(read) = AttestationKey::read(&bent) {
            prop_assert_ne!(read.name(), &name[..]);
        }
    }

    #[test]
    fn no_quote_or_signature_of_random_bytes_holds(
        quote in proptest::collection::vec(any::<u8>(), 0..300),
        signature in proptest::collection::vec(any::<u8>(), 0..120),
    ) {
        let key = SigningKey::generate();
        let ak = AttestationKey::read(&bytes(&public(&key, signing()))).unwrap();
        prop_assert!(verify_quote(&ak, (&quote, &signature), &[9; 32], &pcrs()).is_err());
        // Signed by the right key, and still no statement.
        prop_assert!(verify_quote(&ak, (&quote, &signed(&key, &quote)), &[9; 32], &pcrs()).is_err());
    }
}
