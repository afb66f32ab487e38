//! Climbing the trust ladder: a client certificate for the node's key, and the word of the TPM for it.
//!
//! Both make the node better known and neither stands in the way: what the site needs is for its inventory to say. A node
//! without a certificate signs its report as before, one without a TPM has none to show.

use std::cell::{Cell, RefCell};
use std::path::Path;
use std::time::Duration;

use data_encoding::HEXLOWER;
use report::text::clean;
use report::wire::{
    AttestationEvidence, AttestationRequest, CertificateRequest, EnrolResponse, Pcr, QuoteContext,
    attestation_context, certificate_context, quote_digest,
};
use sha2::{Digest as _, Sha256};
use tracing::{info, warn};

use super::backoff::Retry;
use super::client::Inventory;
use super::{Node, RegisterError};
use crate::clock::Monotonic;
use crate::phase::chain;
use crate::tpm::{self, Attester, Channel, Tpm, TpmFault};

/// The firmware's log of what it measured.
const EVENT_LOG: &str = "/sys/kernel/security/tpm0/binary_bios_measurements";

/// What a node has to show beside its key.
#[derive(Debug, Default)]
pub(super) struct Trust {
    tpm: Option<RefCell<Attester>>,
    /// When to ask for the next certificate, by the clock of the registration.
    renew_at: Cell<Option<Duration>>,
}

impl Trust {
    /// Opens the TPM: the one that is named, or the machine's own if it has one.
    pub(super) fn open(named: Option<&Path>) -> Self {
        let path = named.unwrap_or(Path::new(tpm::DEVICE));
        if named.is_none() && !path.exists() {
            return Self::default();
        }
        match attester(path) {
            Ok(attester) => {
                let by = if attester.ek_certificate.is_some() { "its maker" } else { "nobody" };
                let ek_sha256 = attester.ek_sha256().unwrap_or_default();
                info!(tpm = %path.display(), ek_sha256, certified_by = by, "this node has a TPM");
                Self { tpm: Some(RefCell::new(attester)), renew_at: Cell::default() }
            }
            Err(error) => {
                warn!(error = chain(&error), "the TPM cannot be used: going on without it");
                Self::default()
            }
        }
    }
}

fn attester(path: &Path) -> Result<Attester, TpmFault> {
    Attester::new(Tpm::new(Channel::open(path, Box::new(Monotonic::start()))?))
}

impl Node<'_> {
    /// All that can be shown, one after the other.
    pub(super) fn show_trust(
        &self,
        inventory: &dyn Inventory,
        retry: &mut Retry<'_>,
        enrolment: &EnrolResponse,
    ) -> Result<(), RegisterError> {
        self.fetch_certificate(inventory, retry, enrolment)?;
        self.attest(inventory, retry, enrolment)
    }

    /// The next certificate, if the one there is has come to its second half: a burn-in may take a day.
    pub(super) fn renew_certificate(
        &self,
        inventory: &dyn Inventory,
        retry: &mut Retry<'_>,
        enrolment: &EnrolResponse,
    ) -> Result<(), RegisterError> {
        match self.trust.renew_at.get() {
            Some(at) if at <= retry.clock.now() => self.fetch_certificate(inventory, retry, enrolment),
            _ => Ok(()),
        }
    }

    fn fetch_certificate(
        &self,
        inventory: &dyn Inventory,
        retry: &mut Retry<'_>,
        enrolment: &EnrolResponse,
    ) -> Result<(), RegisterError> {
        let public_key = self.key.public_hex();
        let context = certificate_context(&enrolment.node_id, self.boot_id, &enrolment.nonce, &public_key);
        let request = CertificateRequest {
            boot_id: self.boot_id.to_owned(),
            public_key,
            proof: self.key.sign_hex(&context),
            new_key_proof: None,
        };
        let asked = || inventory.certificate(&enrolment.node_id, &request);
        let given = match self.until_done(retry, "asking for a certificate", asked) {
            Err(RegisterError::Refused { cause, .. }) => {
                warn!(error = chain(&cause), "there is no certificate for this node: going on without one");
                return Ok(());
            }
            given => given?,
        };
        match inventory.present(&given.certificate, self.key) {
            Ok(()) => {
                let renew_in = Duration::from_secs(given.renew_after_s);
                self.trust.renew_at.set(Some(retry.clock.now() + renew_in));
                info!(valid_s = given.valid_s, "this node has a certificate");
            }
            Err(error) => warn!(error = chain(&error), "the certificate cannot be used: going on without one"),
        }
        Ok(())
    }

    fn attest(
        &self,
        inventory: &dyn Inventory,
        retry: &mut Retry<'_>,
        enrolment: &EnrolResponse,
    ) -> Result<(), RegisterError> {
        let Some(tpm) = &self.trust.tpm else { return Ok(()) };
        let (node_id, mut tpm) = (&enrolment.node_id[..], tpm.borrow_mut());
        let request = self.attestation_request(&tpm, enrolment);
        let opened = self.until_done(retry, "presenting the TPM", || inventory.attest(node_id, &request));
        let challenge = match opened {
            Err(RegisterError::Refused { cause, .. }) => {
                warn!(error = chain(&cause), "the inventory does not take this TPM");
                return Ok(());
            }
            challenge => challenge?,
        };
        // It goes into the path of a request.
        let plain = |text: &str| text.len() <= 64 && text.bytes().all(|b| b.is_ascii_alphanumeric());
        if !plain(&challenge.challenge) {
            warn!(challenge = clean(&challenge.challenge), "the inventory's challenge has an odd name");
            return Ok(());
        }
        let log = event_log_sha256(Path::new(EVENT_LOG));
        let expected = quote_digest(&QuoteContext {
            node_id,
            boot_id: self.boot_id,
            nonce: &enrolment.nonce,
            public_key: &self.key.public_hex(),
            challenge: &challenge.challenge,
            event_log_sha256: log.as_deref(),
        });
        let bytes = |text: &str| HEXLOWER.decode(text.as_bytes()).unwrap_or_default();
        let credential = (bytes(&challenge.credential), bytes(&challenge.encrypted_seed));
        let answer = match answer(&mut tpm, (&credential.0, &credential.1), &expected, log) {
            Ok(answer) => answer,
            Err(error) => {
                warn!(error = chain(&error), "the TPM did not answer the inventory's challenge");
                return Ok(());
            }
        };
        let send = || inventory.answer(node_id, &challenge.challenge, &answer);
        match self.until_done(retry, "answering for the TPM", send) {
            Err(RegisterError::Refused { cause, .. }) => {
                warn!(error = chain(&cause), "the inventory does not believe this TPM");
            }
            standing => {
                let standing = standing?;
                let missing = standing.missing.as_deref().map(clean).unwrap_or_default();
                info!(level = %standing.level, missing, "the TPM has vouched for this node");
            }
        }
        Ok(())
    }

    fn attestation_request(&self, tpm: &Attester, enrolment: &EnrolResponse) -> AttestationRequest {
        let mut request = AttestationRequest {
            boot_id: self.boot_id.to_owned(),
            ek_public: HEXLOWER.encode(&tpm.ek_public),
            ek_certificate: tpm.ek_certificate.as_deref().map(|der| HEXLOWER.encode(der)),
            ak_public: HEXLOWER.encode(&tpm.ak_public),
            proof: String::new(),
        };
        let context = attestation_context(&enrolment.node_id, &enrolment.nonce, &request);
        request.proof = self.key.sign_hex(&context);
        request
    }
}

/// Opens the credential, and has the registers signed.
fn answer(
    tpm: &mut Attester,
    (credential, encrypted_seed): (&[u8], &[u8]),
    expected: &[u8; 32],
    event_log_sha256: Option<String>,
) -> Result<AttestationEvidence, TpmFault> {
    let secret = tpm.activate(credential, encrypted_seed)?;
    let quote = tpm.quote(expected)?;
    let pcr = |(index, value): (&u8, &Vec<u8>)| Pcr { index: *index, sha256: HEXLOWER.encode(value) };
    Ok(AttestationEvidence {
        secret: HEXLOWER.encode(&secret),
        quote: HEXLOWER.encode(&quote.quote),
        signature: HEXLOWER.encode(&quote.signature),
        pcrs: quote.pcrs.iter().map(pcr).collect(),
        event_log_sha256,
    })
}

/// Absent where the kernel shows no log.
fn event_log_sha256(path: &Path) -> Option<String> {
    std::fs::read(path).ok().map(|log| HEXLOWER.encode(&Sha256::digest(log)))
}
