//! A node's TPM against the inventory's arithmetic: a real TPM (in software) makes the keys, opens the credential, signs.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeMap;

use inventory::attest::{
    AttestError, AttestationKey, EndorsementKey, Quoted, certificate_fits, make_credential, read_roots,
    verify_quote,
};
use node_init::clock::Monotonic;
use node_init::tpm::{Attester, Channel, QUOTED_PCRS, Quote, Tpm, TpmFault};
use stories::swtpm::{Maker, Swtpm};

fn attester(tpm: &Swtpm) -> Attester {
    let channel = Channel::open(&tpm.socket(), Box::new(Monotonic::start())).unwrap();
    Attester::new(Tpm::new(channel)).unwrap()
}

fn keys(attester: &Attester) -> (EndorsementKey, AttestationKey) {
    let ek = EndorsementKey::read(&attester.ek_public).unwrap();
    (ek, AttestationKey::read(&attester.ak_public).unwrap())
}

/// The registers as the wire carries them.
fn registers(quote: &Quote) -> BTreeMap<u8, [u8; 32]> {
    quote.pcrs.iter().map(|(index, value)| (*index, value[..].try_into().unwrap())).collect()
}

fn check(ak: &AttestationKey, quote: &Quote, expected: &[u8; 32]) -> Result<Quoted, AttestError> {
    verify_quote(ak, (&quote.quote, &quote.signature), expected, &registers(quote))
}

#[test]
fn the_tpm_with_both_keys_opens_the_credential_and_signs_what_is_asked() {
    for maker in [Maker::None, Maker::Certificates] {
        let tpm = Swtpm::start(maker);
        let mut attester = attester(&tpm);
        let (ek, ak) = keys(&attester);
        let made = make_credential(&ek, &ak).unwrap();
        let opened = attester.activate(&made.credential, &made.encrypted_seed).unwrap();
        assert_eq!(opened, made.secret, "{maker:?}");
        let quote = attester.quote(&[7; 32]).unwrap();
        let quoted = check(&ak, &quote, &[7; 32]).unwrap();
        assert_eq!(quoted.pcrs.keys().copied().collect::<Vec<_>>(), QUOTED_PCRS);
    }
}

#[test]
fn a_credential_opens_in_the_tpm_with_both_keys_and_in_no_other() {
    let (ours, theirs) = (Swtpm::start(Maker::None), Swtpm::start(Maker::None));
    let (mut ours, mut theirs) = (attester(&ours), attester(&theirs));
    let ((our_ek, our_ak), (their_ek, their_ak)) = (keys(&ours), keys(&theirs));
    // Their attestation key with our endorsement key; our attestation key with their endorsement key.
    for (ek, ak) in [(&our_ek, &their_ak), (&their_ek, &our_ak)] {
        let made = make_credential(ek, ak).unwrap();
        for tpm in [&mut ours, &mut theirs] {
            let opened = tpm.activate(&made.credential, &made.encrypted_seed);
            assert!(matches!(opened, Err(TpmFault::Refused { .. })), "{opened:?}");
        }
    }
    // A credential that was changed on its way does not open either.
    let made = make_credential(&our_ek, &our_ak).unwrap();
    for at in [2, 33, 34, made.credential.len() - 1] {
        let mut changed = made.credential.clone();
        changed[at] ^= 1;
        assert!(ours.activate(&changed, &made.encrypted_seed).is_err(), "byte {at}");
    }
    assert_eq!(ours.activate(&made.credential, &made.encrypted_seed).unwrap(), made.secret);
}

#[test]
fn a_quote_holds_for_its_question_its_key_and_its_registers_only() {
    let (tpm, other) = (Swtpm::start(Maker::None), Swtpm::start(Maker::None));
    let (mut attester, other) = (attester(&tpm), attester(&other));
    let (_, ak) = keys(&attester);
    let quote = attester.quote(&[7; 32]).unwrap();
    assert!(check(&ak, &quote, &[7; 32]).is_ok());
    let why = |outcome: Result<Quoted, AttestError>| outcome.unwrap_err().to_string();
    assert!(why(check(&ak, &quote, &[8; 32])).contains("another key, boot or challenge"));
    let (_, other_ak) = keys(&other);
    assert!(why(check(&other_ak, &quote, &[7; 32])).contains("did not sign it"));
    let mut changed = quote.clone();
    changed.pcrs.insert(7, vec![0xee; 32]);
    assert!(why(check(&ak, &changed, &[7; 32])).contains("do not hold the values"));
    changed.pcrs.remove(&7);
    assert!(why(check(&ak, &changed, &[7; 32])).contains("other registers"));
    // Whatever byte is changed or missing, of the statement or the signature.
    for at in 0..quote.quote.len() {
        let mut changed = quote.clone();
        changed.quote[at] ^= 0x40;
        assert!(check(&ak, &changed, &[7; 32]).is_err(), "byte {at} of the quote");
        changed.quote.truncate(at);
        assert!(check(&ak, &changed, &[7; 32]).is_err(), "{at} bytes of the quote");
    }
    for at in 0..quote.signature.len() {
        let mut changed = quote.clone();
        changed.signature[at] ^= 0x40;
        assert!(check(&ak, &changed, &[7; 32]).is_err(), "byte {at} of the signature");
        changed.signature.truncate(at);
        assert!(check(&ak, &changed, &[7; 32]).is_err(), "{at} bytes of the signature");
    }
}

#[test]
fn keys_outlive_a_reboot_of_the_machine() {
    let mut tpm = Swtpm::start(Maker::None);
    let before = attester(&tpm);
    let shown = (before.ek_public.clone(), before.ak_public.clone());
    drop(before);
    tpm.restart();
    let after = attester(&tpm);
    assert_eq!((after.ek_public.clone(), after.ak_public.clone()), shown);
    let (ek, _) = keys(&after);
    assert_eq!(after.ek_sha256(), Some(ek.sha256()), "node and inventory call the key the same");
}

#[test]
fn a_makers_certificate_holds_for_its_key_under_its_root() {
    let (tpm, other) = (Swtpm::start(Maker::Certificates), Swtpm::start(Maker::Certificates));
    let attester_of = |tpm: &Swtpm| attester(tpm);
    let (attester, others) = (attester_of(&tpm), attester_of(&other));
    let (ek, _) = keys(&attester);
    let (their_ek, _) = keys(&others);
    let certificate = attester.ek_certificate.as_deref().unwrap();
    let roots = |tpm: &Swtpm| -> Vec<Vec<u8>> {
        let roots = read_roots(&std::fs::read(tpm.roots()).unwrap()).unwrap();
        roots.into_iter().map(|root| root.der).collect()
    };
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs();
    certificate_fits(certificate, &ek, &roots(&tpm), now).unwrap();
    let why = |outcome: Result<(), AttestError>| outcome.unwrap_err().to_string();
    assert!(why(certificate_fits(certificate, &ek, &[], now)).contains("UnknownIssuer"));
    // Another maker of the same name.
    assert!(why(certificate_fits(certificate, &ek, &roots(&other), now)).contains("InvalidSignature"));
    assert!(why(certificate_fits(certificate, &their_ek, &roots(&tpm), now)).contains("another key"));
    assert!(why(certificate_fits(certificate, &ek, &roots(&tpm), 0)).contains("NotValidYet"));
    assert_eq!(others.ek_sha256(), Some(their_ek.sha256()), "an RSA key is called the same, too");
    // No other certificate of the maker is one for a TPM's key.
    let root = &roots(&tpm)[0];
    assert!(certificate_fits(root, &ek, &roots(&tpm), now).is_err());
    for at in 0..certificate.len() {
        assert!(certificate_fits(&certificate[..at], &ek, &roots(&tpm), now).is_err());
    }
}
