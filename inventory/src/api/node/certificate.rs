//! `POST /v1/nodes/{node}/certificate`: a node proves that it holds its key, and gets a certificate for it.

use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Extension, Path, State};
use axum::http::HeaderMap;
use report::wire::{CertificateRequest, CertificateResponse, TRUST_BYTES_MAX, certificate_context};

use super::super::{Api, Peer, body, off_loop};
use super::{check_node_id, decode_hex, session, verify};
use crate::refusal::{Code, Refusal};
use crate::store::CertificateOrder;

/// A certificate is renewed, and an old one no longer given out again, when so much of its life is left: one part in this.
const RENEW_AT_PART: i32 = 2;

pub(crate) async fn issue(
    State(api): State<Arc<Api>>,
    Extension(Peer(address)): Extension<Peer>,
    path: Result<Path<String>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<CertificateResponse>, Refusal> {
    let Path(node_id) = path.map_err(|_| Code::PathMalformed.because("the path is not valid UTF-8"))?;
    check_node_id(&node_id)?;
    let bytes = body::read(&headers, body, TRUST_BYTES_MAX).await.map_err(|refusal| refusal.of_node(&node_id))?;
    let (of_store, for_node) = (Arc::clone(&api), node_id.clone());
    let ordered = off_loop(move || order(&of_store, for_node, &bytes, address.to_string())).await;
    let order = ordered.map_err(|refusal| refusal.of_node(&node_id))?;
    let (certificate, expires_at) = api.store.issue_certificate(order).await?;
    let left = expires_at.duration_since(api.clock.now());
    let seconds = |time: jiff::SignedDuration| u64::try_from(time.as_secs()).unwrap_or(0);
    let renew_in = left - api.store.policy().trust.certificate_life / RENEW_AT_PART;
    Ok(Json(CertificateResponse { certificate, valid_s: seconds(left), renew_after_s: seconds(renew_in) }))
}

/// Checks the proofs, and makes the certificate.
fn order(api: &Api, node_id: String, bytes: &[u8], source: String) -> Result<CertificateOrder, Refusal> {
    let request: CertificateRequest = body::parse(bytes, "certificate request")?;
    let public_key: [u8; 32] = decode_hex(&request.public_key).ok_or_else(|| {
        Code::BodyMalformed.because("`public_key` is not 64 hexadecimal digits in lower case")
    })?;
    let (session, nonce) = session(&api.store, &node_id, &request.boot_id)?;
    let context = certificate_context(&node_id, &request.boot_id, &nonce, &request.public_key);
    verify(&session.public_key, &context, &request.proof)?;
    if public_key != session.public_key {
        let proof = request.new_key_proof.as_deref().ok_or_else(|| {
            Code::BadProof.because("`public_key` is another key than the enrolment's and proves nothing itself")
        })?;
        verify(&public_key, &context, proof)?;
    }
    let now = api.clock.now();
    let life = api.store.policy().trust.certificate_life;
    // Certificates know no parts of a second.
    let expires_at = now.saturating_add(life).ok().and_then(|end| jiff::Timestamp::from_second(end.as_second()).ok());
    let (expires_at, good_until) = (expires_at.unwrap_or(now), now.saturating_add(life / RENEW_AT_PART).unwrap_or(now));
    let certificate = api.ca.issue(&node_id, &public_key, now, expires_at).map_err(|error| {
        tracing::error!(%error, "a certificate could not be made");
        Refusal::from(Code::Internal)
    })?;
    let boot_id = request.boot_id;
    Ok(CertificateOrder { node_id, boot_id, nonce, public_key, certificate, expires_at, good_until, source })
}
