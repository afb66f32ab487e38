//! `POST /v1/enrolments`: a node with a token and a key asks to be known.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::{Extension, State};
use axum::http::HeaderMap;
use data_encoding::HEXLOWER;
use ed25519_dalek::{Signature, VerifyingKey};
use report::wire::{ENROL_BYTES_MAX, EnrolRequest, EnrolResponse, enrolment_context};
use sha2::{Digest, Sha256};

use super::super::{Api, Peer, body};
use crate::admission::Class;
use crate::credential::Token;
use crate::identity::{check_size, evidence};
use crate::refusal::{Code, Refusal};
use crate::store::Enrolment;

pub(crate) async fn enrol(
    State(api): State<Arc<Api>>,
    Extension(Peer(address)): Extension<Peer>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<EnrolResponse>, Refusal> {
    let bytes = body::read(&headers, body, ENROL_BYTES_MAX).await?;
    let enrolment = api.pool.run(Class::New, move || verified(&bytes, address.to_string())).await?;
    let response = api.store.enrol(enrolment).await?;
    api.pressure.begin_finishing(address);
    Ok(Json(response))
}

/// All that can be refused before the token is looked at.
fn verified(bytes: &[u8], source: String) -> Result<Enrolment, Refusal> {
    body::check_depth(bytes)?;
    // Not the parser's own words: they quote the body, and the token is in it.
    let request: EnrolRequest = serde_json::from_slice(bytes).map_err(|error| {
        Code::BodyMalformed.because(format!(
            "no enrolment request: {:?} error at line {} column {}",
            error.classify(),
            error.line(),
            error.column()
        ))
    })?;
    check_size(&request.identity).map_err(|error| Code::BodyMalformed.because(error.to_string()))?;
    if !body::is_boot_id(&request.boot_id) {
        return Err(Code::BodyMalformed.because("`boot_id` is not a UUID in lower case"));
    }
    let public_key = verify_proof(&request)?;
    let token = Token::parse(&request.token)
        .map_err(|_| Code::TokenInvalid.because("the text does not have the form of a token"))?;
    Ok(Enrolment {
        request_sha256: request_digest(&public_key, &request),
        evidence: evidence(&request.identity),
        hostname: request.identity.hostname.as_deref().map(crate::store::clean),
        token,
        public_key,
        boot_id: request.boot_id,
        source,
    })
}

/// Does the sender hold the key? Weak keys and signatures that more than one key could have made are refused.
fn verify_proof(request: &EnrolRequest) -> Result<[u8; 32], Refusal> {
    let public_key: [u8; 32] = decode_hex(&request.public_key).ok_or_else(|| {
        Code::BodyMalformed.because("`public_key` is not 64 hexadecimal digits in lower case")
    })?;
    let proof: [u8; 64] = decode_hex(&request.proof)
        .ok_or_else(|| Code::BodyMalformed.because("`proof` is not 128 hexadecimal digits in lower case"))?;
    let context = enrolment_context(&request.token, &request.boot_id, &request.identity);
    VerifyingKey::from_bytes(&public_key)
        .and_then(|key| key.verify_strict(&context, &Signature::from_bytes(&proof)))
        .map_err(|_| Refusal::from(Code::BadProof))?;
    Ok(public_key)
}

/// Two requests with this digest in common are the same request.
fn request_digest(public_key: &[u8; 32], request: &EnrolRequest) -> [u8; 32] {
    let mut digest = Sha256::new();
    digest.update(public_key);
    digest.update(enrolment_context(&request.token, &request.boot_id, &request.identity));
    digest.finalize().into()
}

/// Exactly N bytes in lower-case hexadecimal.
pub(crate) fn decode_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    HEXLOWER.decode(text.as_bytes()).ok()?.try_into().ok()
}
