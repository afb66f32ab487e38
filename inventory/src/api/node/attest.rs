//! `POST /v1/nodes/{node}/attestation` and `PUT .../attestation/{challenge}`: a node's TPM vouches for the node's key.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Extension, Path, State};
use axum::http::HeaderMap;
use data_encoding::HEXLOWER;
use jiff::SignedDuration;
use report::wire::{
    AttestationEvidence, AttestationRequest, CredentialChallenge, QuoteContext, TRUST_BYTES_MAX, TrustLevel,
    TrustStanding, attestation_context, quote_digest,
};
use serde_json::json;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq as _;

use super::super::{Api, Peer, body, off_loop};
use super::{check_node_id, decode_hex, session, verify};
use crate::attest::{
    AttestError, AttestationKey, EndorsementKey, Quoted, certificate_fits, make_credential, verify_quote,
};
use crate::refusal::{Code, Refusal};
use crate::store::{Challenge, ChallengeAnswer, OpenChallenge};
use crate::trust::{TrustEvidence, kind};

/// How long a TPM may take for its answer: slow ones make a key in half a minute.
const CHALLENGE_LIFE: SignedDuration = SignedDuration::from_mins(5);

pub(crate) async fn open(
    State(api): State<Arc<Api>>,
    Extension(Peer(address)): Extension<Peer>,
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<CredentialChallenge>, Refusal> {
    let Path(node_id) = path.map_err(|_| Code::PathMalformed.because("the path is not valid UTF-8"))?;
    check_node_id(&node_id)?;
    let named = |refusal: Refusal| refusal.of_node(&node_id);
    let bytes = body::read(&headers, body, TRUST_BYTES_MAX).await.map_err(named)?;
    let (of_store, for_node) = (Arc::clone(&api), node_id.clone());
    let made = off_loop(move || challenge(&of_store, for_node, &bytes)).await;
    let (open, told) = made.map_err(named)?;
    api.store.open_challenge(open, address.to_string()).await?;
    Ok(Json(told))
}

/// Checks the proof, reads both keys, and makes a credential that only their TPM can open.
fn challenge(
    api: &Api,
    node_id: String,
    bytes: &[u8],
) -> Result<(OpenChallenge, CredentialChallenge), Refusal> {
    let request: AttestationRequest = body::parse(bytes, "attestation request")?;
    let (session, nonce) = session(&api.store, &node_id, &request.boot_id)?;
    verify(&session.public_key, &attestation_context(&node_id, &nonce, &request), &request.proof)?;
    let ek = EndorsementKey::read(&hex("ek_public", &request.ek_public)?).map_err(refused)?;
    let ak_public = hex("ak_public", &request.ak_public)?;
    let ak = AttestationKey::read(&ak_public).map_err(refused)?;
    let certificate =
        request.ek_certificate.as_deref().map(|text| hex("ek_certificate", text)).transpose()?;
    let vouched_by = vouched_by(api, &node_id, &ek, certificate.as_deref())?;
    let credential = make_credential(&ek, &ak).map_err(refused)?;
    let mut id = [0; 16];
    getrandom::fill(&mut id).map_err(|_| Code::Internal.because("the system gives no random bytes"))?;
    let id = HEXLOWER.encode(&id);
    let now = api.clock.now();
    let told = CredentialChallenge {
        challenge: id.clone(),
        valid_s: u64::try_from(CHALLENGE_LIFE.as_secs()).unwrap_or(0),
        credential: HEXLOWER.encode(&credential.credential),
        encrypted_seed: HEXLOWER.encode(&credential.encrypted_seed),
    };
    let open = OpenChallenge {
        id,
        node_id,
        boot_id: request.boot_id,
        nonce,
        ek_sha256: ek.sha256(),
        vouched_by,
        ak_public,
        secret_sha256: Sha256::digest(credential.secret).into(),
        expires_at: now.saturating_add(CHALLENGE_LIFE).unwrap_or(now),
    };
    Ok((open, told))
}

/// Who says that the endorsement key is a TPM's. A certificate that does not hold is no reason to refuse: an operator may
/// know the key.
fn vouched_by(
    api: &Api,
    node_id: &str,
    ek: &EndorsementKey,
    certificate: Option<&[u8]>,
) -> Result<Option<&'static str>, Refusal> {
    let (roots, known) = api.store.tpm_trust(&ek.sha256(), node_id)?;
    let now_s = u64::try_from(api.clock.now().as_second()).unwrap_or(0);
    match certificate.map(|certificate| certificate_fits(certificate, ek, &roots, now_s)) {
        Some(Ok(())) => return Ok(Some("maker")),
        Some(Err(error)) => tracing::info!(node = node_id, %error, "the maker's certificate does not hold"),
        None => {}
    }
    Ok(known)
}

pub(crate) async fn answer(
    State(api): State<Arc<Api>>,
    Extension(Peer(address)): Extension<Peer>,
    path: Result<Path<(String, String)>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<TrustStanding>, Refusal> {
    let Path((node_id, id)) = path.map_err(|_| Code::PathMalformed.because("the path is not valid UTF-8"))?;
    check_node_id(&node_id)?;
    let named = |refusal: Refusal| refusal.of_node(&node_id);
    let bytes = body::read(&headers, body, TRUST_BYTES_MAX).await.map_err(named)?;
    let (of_store, for_node) = (Arc::clone(&api), node_id.clone());
    let looked_at =
        off_loop(move || look_at(&of_store, for_node, id, &bytes, address.to_string())).await;
    let answer = looked_at.map_err(named)?;
    api.store.answer_challenge(answer).await.map(Json)
}

/// What an answer proves. That it is read at all uses its challenge up.
fn look_at(
    api: &Api,
    node_id: String,
    id: String,
    bytes: &[u8],
    source: String,
) -> Result<ChallengeAnswer, Refusal> {
    let challenge = api.store.challenge(&node_id, &id)?;
    let challenge = challenge.ok_or_else(|| Refusal::from(Code::ChallengeUnknown))?;
    let proven = prove(api, (&node_id, &id), &challenge, bytes);
    Ok(ChallengeAnswer { id, node_id, challenge, request_sha256: Sha256::digest(bytes).into(), proven, source })
}

fn prove(
    api: &Api,
    (node_id, id): (&str, &str),
    challenge: &Challenge,
    bytes: &[u8],
) -> Result<Vec<TrustEvidence>, Refusal> {
    let answer: AttestationEvidence = body::parse(bytes, "attestation")?;
    let secret: [u8; 32] = Sha256::digest(hex("secret", &answer.secret)?).into();
    if !bool::from(secret.ct_eq(&challenge.secret_sha256)) {
        return Err(Code::AttestationRefused.because("the credential was not opened: the TPM lacks one of the keys"));
    }
    let log = answer.event_log_sha256.as_deref();
    if log.is_some_and(|log| decode_hex::<32>(log).is_none()) {
        return Err(Code::BodyMalformed.because("`event_log_sha256` is not 64 hexadecimal digits in lower case"));
    }
    let pcrs = registers(&answer)?;
    let expected = quote_digest(&QuoteContext {
        node_id,
        boot_id: &challenge.boot_id,
        nonce: &challenge.nonce,
        public_key: &HEXLOWER.encode(&challenge.public_key),
        challenge: id,
        event_log_sha256: log,
    });
    let ak = AttestationKey::read(&challenge.ak_public).map_err(refused)?;
    let signed = (&hex("quote", &answer.quote)?[..], &hex("signature", &answer.signature)?[..]);
    let quoted = verify_quote(&ak, signed, &expected, &pcrs).map_err(refused)?;
    Ok(evidence(api, challenge, &quoted, log))
}

fn registers(answer: &AttestationEvidence) -> Result<BTreeMap<u8, [u8; 32]>, Refusal> {
    let register = |pcr: &report::wire::Pcr| Some((pcr.index, decode_hex(&pcr.sha256)?));
    let all: Option<BTreeMap<_, _>> = answer.pcrs.iter().map(register).collect();
    all.filter(|all| all.len() == answer.pcrs.len())
        .ok_or_else(|| Code::BodyMalformed.because("`pcrs` names a register twice, or one without 64 hexadecimal digits"))
}

/// What a TPM's word is worth here.
fn evidence(api: &Api, challenge: &Challenge, quoted: &Quoted, log: Option<&str>) -> Vec<TrustEvidence> {
    let now = api.clock.now();
    let boot = api.store.policy().trust.boot_of(&quoted.pcrs).filter(|_| challenge.vouched_by.is_some());
    let pcrs: BTreeMap<_, _> =
        quoted.pcrs.iter().map(|(index, value)| (index.to_string(), HEXLOWER.encode(value))).collect();
    let detail = json!({
        "vouched_by": challenge.vouched_by,
        "boot": boot.map(|boot| &boot.name),
        "pcrs": pcrs,
        "event_log_sha256": log,
        "reset_count": quoted.reset_count,
        "firmware": format!("{:016x}", quoted.firmware),
    });
    let of = |level, kind: &str| TrustEvidence {
        level,
        kind: kind.to_owned(),
        subject: challenge.ek_sha256.clone(),
        detail: Some(detail.to_string()),
        at: now,
        expires_at: now.saturating_add(api.store.policy().trust.attestation_life).ok(),
    };
    let tpm = match challenge.vouched_by {
        Some(_) => of(TrustLevel::Tpm, kind::TPM),
        None => of(TrustLevel::Token, kind::TPM_UNVOUCHED),
    };
    [Some(tpm), boot.map(|_| of(TrustLevel::Measured, kind::BOOT))].into_iter().flatten().collect()
}

fn hex(field: &'static str, text: &str) -> Result<Vec<u8>, Refusal> {
    HEXLOWER
        .decode(text.as_bytes())
        .map_err(|_| Code::BodyMalformed.because(format!("`{field}` is not hexadecimal in lower case")))
}

fn refused(error: AttestError) -> Refusal {
    match error {
        AttestError::Random => Code::Internal.because(error.to_string()),
        _ => Code::AttestationRefused.because(error.to_string()),
    }
}
