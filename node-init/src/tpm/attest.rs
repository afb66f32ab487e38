//! What an inventory asks of a TPM: open a credential, and sign what the registers hold.

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use sha2::{Digest as _, Sha256};
use tpm2_protocol::basic::{TpmBuffer, TpmInt32, TpmList};
use tpm2_protocol::data::{
    TpmAlgId, TpmRh, TpmSe, TpmsPcrSelect, TpmsPcrSelection, TpmtSigScheme, TpmtSymDef,
};
use tpm2_protocol::frame::{
    TpmActivateCredentialCommand, TpmActivateCredentialResponse, TpmPcrReadCommand, TpmPcrReadResponse,
    TpmPolicySecretCommand, TpmPolicySecretResponse, TpmQuoteCommand, TpmQuoteResponse,
    TpmStartAuthSessionCommand, TpmStartAuthSessionResponse,
};
use tpm2_protocol::{TpmError, TpmMarshal, TpmWriter};

use super::TpmFault;
use super::command::{Loaded, Tpm, by_session, handle, no_password};
use super::keys::EkKind;
use super::spki;

/// The registers that say what was booted: firmware, loader, Secure Boot's state, kernel, initrd, unified image (TCG PC
/// Client Platform Firmware Profile; Linux TPM PCR Registry).
pub const QUOTED_PCRS: [u8; 14] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 11, 12, 13, 14];
/// `TPM2_PCR_Read` gives out so many at once.
const PCRS_AT_ONCE: usize = 8;
/// The registers may change between quote and reading; then both are done again.
const QUOTES_MAX: u32 = 3;

/// A TPM that can attest, with the public halves of its keys.
#[derive(Debug)]
pub struct Attester {
    tpm: Tpm,
    kind: EkKind,
    /// Public area of the endorsement key (`TPMT_PUBLIC`).
    pub ek_public: Vec<u8>,
    /// The maker's certificate for it (DER).
    pub ek_certificate: Option<Vec<u8>>,
    /// Public area of the attestation key (`TPMT_PUBLIC`).
    pub ak_public: Vec<u8>,
}

/// A quote with all that is needed to check it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Quote {
    /// The statement (`TPMS_ATTEST`).
    pub quote: Vec<u8>,
    /// Its signature (`TPMT_SIGNATURE`).
    pub signature: Vec<u8>,
    /// The registers' values, SHA-256 bank.
    pub pcrs: BTreeMap<u8, Vec<u8>>,
}

impl Attester {
    /// Finds out which keys this TPM has.
    pub fn new(mut tpm: Tpm) -> Result<Self, TpmFault> {
        let (kind, ek_certificate) = tpm.certified_ek()?;
        let (ek, ek_public) = tpm.load_ek(kind)?;
        tpm.with(ek, |_| Ok(()))?;
        let (ak, ak_public) = tpm.load_ak()?;
        tpm.with(ak, |_| Ok(()))?;
        Ok(Self { tpm, kind, ek_public, ek_certificate, ak_public })
    }

    /// SHA-256 of the endorsement key as others write it (`SubjectPublicKeyInfo`, DER), in hexadecimal.
    pub fn ek_sha256(&self) -> Option<String> {
        spki::of(&self.ek_public).map(|der| HEXLOWER.encode(&Sha256::digest(der)))
    }

    /// Opens a credential (`TPMS_ID_OBJECT`) that was made for both keys.
    pub fn activate(&mut self, credential: &[u8], encrypted_seed: &[u8]) -> Result<Vec<u8>, TpmFault> {
        const DOING: &str = "opening the credential";
        let malformed = |source| TpmFault::Malformed { doing: DOING, source };
        let credential_blob = TpmBuffer::try_from(credential).map_err(malformed)?;
        let secret = TpmBuffer::try_from(encrypted_seed).map_err(malformed)?;
        let (ak, _) = self.tpm.load_ak()?;
        self.tpm.with(ak, |tpm| {
            let (ek, _) = tpm.load_ek(self.kind)?;
            tpm.with(ek, |tpm| {
                let session = tpm.endorsement_session()?;
                tpm.with(session, |tpm| {
                    let command =
                        TpmActivateCredentialCommand { handles: [ak.0, ek.0], credential_blob, secret };
                    let opened: TpmActivateCredentialResponse =
                        tpm.run(DOING, &command, &[no_password(), by_session(session)])?;
                    Ok(opened.cert_info.as_ref().to_vec())
                })
            })
        })
    }

    /// Has the registers signed, with what is asked.
    pub fn quote(&mut self, qualifying: &[u8; 32]) -> Result<Quote, TpmFault> {
        let mut attempt = 1;
        loop {
            let before = self.tpm.pcrs()?;
            let (quote, signature) = self.signed_registers(qualifying)?;
            if before == self.tpm.pcrs()? || attempt == QUOTES_MAX {
                return Ok(Quote { quote, signature, pcrs: before });
            }
            attempt += 1;
        }
    }

    fn signed_registers(&mut self, qualifying: &[u8; 32]) -> Result<(Vec<u8>, Vec<u8>), TpmFault> {
        const DOING: &str = "quoting the registers";
        let malformed = |source| TpmFault::Malformed { doing: DOING, source };
        let qualifying_data = TpmBuffer::try_from(&qualifying[..]).map_err(malformed)?;
        let pcr_select = selection(&QUOTED_PCRS).map_err(malformed)?;
        let (ak, _) = self.tpm.load_ak()?;
        self.tpm.with(ak, |tpm| {
            let in_scheme = TpmtSigScheme::default();
            let command = TpmQuoteCommand { handles: [ak.0], qualifying_data, in_scheme, pcr_select };
            let response: TpmQuoteResponse = tpm.run(DOING, &command, &[no_password()])?;
            let quote = marshalled(&response.quoted.inner).map_err(malformed)?;
            Ok((quote, marshalled(&response.signature).map_err(malformed)?))
        })
    }
}

impl Tpm {
    /// A session that satisfies the policy of the endorsement key; good for one use.
    fn endorsement_session(&mut self) -> Result<Loaded, TpmFault> {
        const DOING: &str = "opening a session for the endorsement key";
        let mut nonce = [0; 16];
        getrandom::fill(&mut nonce).map_err(TpmFault::Entropy)?;
        let malformed = |source| TpmFault::Malformed { doing: DOING, source };
        let start = TpmStartAuthSessionCommand {
            handles: [handle(TpmRh::Null), handle(TpmRh::Null)],
            nonce_caller: TpmBuffer::try_from(&nonce[..]).map_err(malformed)?,
            encrypted_salt: TpmBuffer::default(),
            session_type: TpmSe::Policy,
            symmetric: TpmtSymDef { algorithm: TpmAlgId::Null, ..TpmtSymDef::default() },
            auth_hash: TpmAlgId::Sha256,
        };
        let started: TpmStartAuthSessionResponse = self.run(DOING, &start, &[])?;
        let session = Loaded(started.handles[0]);
        let policy = TpmPolicySecretCommand {
            handles: [handle(TpmRh::Endorsement), session.0],
            nonce_tpm: TpmBuffer::default(),
            cp_hash_a: TpmBuffer::default(),
            policy_ref: TpmBuffer::default(),
            expiration: TpmInt32::new(0),
        };
        match self.run::<TpmPolicySecretResponse>(DOING, &policy, &[no_password()]) {
            Ok(_) => Ok(session),
            Err(error) => self.with(session, |_| Err(error)),
        }
    }

    /// The registers of [`QUOTED_PCRS`].
    fn pcrs(&mut self) -> Result<BTreeMap<u8, Vec<u8>>, TpmFault> {
        const DOING: &str = "reading the registers";
        let malformed = |source| TpmFault::Malformed { doing: DOING, source };
        let mut values = BTreeMap::new();
        for some in QUOTED_PCRS.chunks(PCRS_AT_ONCE) {
            let command = TpmPcrReadCommand { handles: [], pcr_selection_in: selection(some).map_err(malformed)? };
            let read: TpmPcrReadResponse = self.run(DOING, &command, &[])?;
            values.extend(some.iter().copied().zip(read.pcr_values.iter().map(|value| value.as_ref().to_vec())));
        }
        Ok(values)
    }
}

/// Registers of the SHA-256 bank.
fn selection(pcrs: &[u8]) -> Result<tpm2_protocol::data::TpmlPcrSelection, TpmError> {
    let mut bits = [0_u8; 3];
    for pcr in pcrs {
        bits[usize::from(pcr / 8)] |= 1 << (pcr % 8);
    }
    let mut list = TpmList::default();
    list.try_push(TpmsPcrSelection {
        hash: TpmAlgId::Sha256,
        pcr_select: TpmsPcrSelect::try_from(&bits[..])?,
    })?;
    Ok(list)
}

fn marshalled(value: &impl TpmMarshal) -> Result<Vec<u8>, TpmError> {
    let mut buffer = [0; 2048];
    let mut writer = TpmWriter::new(&mut buffer);
    value.marshal(&mut writer)?;
    Ok(writer.as_bytes().to_vec())
}
