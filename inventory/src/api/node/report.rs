//! `PUT /v1/nodes/{node}/boots/{boot}/reports/{sequence}`: a node hands in what its burn-in found.
//!
//! The signature is checked over the very bytes before any of them is parsed; the verdict is computed here.

use std::net::IpAddr;
use std::sync::Arc;

use axum::Json;
use axum::body::Body;
use axum::extract::rejection::PathRejection;
use axum::extract::{Extension, Path, State};
use axum::http::HeaderMap;
use ed25519_dalek::{Signature, VerifyingKey};
use report::Report;
use report::document::ReadReportError;
use report::judge::review;
use report::wire::{REPORT_BYTES_MAX, ReportAck, signing_context};

use super::super::{Api, Peer, body, guard};
use crate::admission::Class;
use crate::identity::sha256_hex;
use crate::refusal::{Code, Refusal};
use crate::store::{Facets, Store, Submission};

/// Longest detail of a refusal, in characters: a parser may quote what it could not read.
const DETAIL_CHARS_MAX: usize = 300;

/// Where a report belongs.
struct Place {
    node_id: String,
    boot_id: String,
    sequence: u64,
}

pub(crate) async fn accept(
    State(api): State<Arc<Api>>,
    Extension(Peer(address)): Extension<Peer>,
    path: Result<Path<(String, String, String)>, PathRejection>,
    headers: HeaderMap,
    body: Body,
) -> Result<Json<ReportAck>, Refusal> {
    let place = place(path)?;
    let node_id = place.node_id.clone();
    let signature = guard::signature(&headers).map_err(|refusal| refusal.of_node(&node_id))?;
    let bytes =
        body::read(&headers, body, REPORT_BYTES_MAX).await.map_err(|refusal| refusal.of_node(&node_id))?;
    let store = api.store.clone();
    let work = move || judged(&store, place, signature, bytes, address);
    let judged = api.pool.run(Class::Finishing, work).await;
    let submission = judged.map_err(|refusal| refusal.of_node(&node_id))?;
    let ack = api.store.accept(submission).await?;
    api.pressure.end_finishing(address);
    Ok(Json(ack))
}

fn place(path: Result<Path<(String, String, String)>, PathRejection>) -> Result<Place, Refusal> {
    let malformed = |detail: &str| Code::PathMalformed.because(detail);
    let Path((node_id, boot_id, sequence)) = path.map_err(|_| malformed("the path is not valid UTF-8"))?;
    let is_node_id = node_id
        .strip_prefix("node-")
        .is_some_and(|rest| rest.len() == 16 && rest.bytes().all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7')));
    if !is_node_id {
        return Err(malformed("the node id does not have the form that an enrolment gives"));
    }
    if !body::is_boot_id(&boot_id) {
        return Err(malformed("the boot id is not a UUID in lower case"));
    }
    let plain = !sequence.is_empty() && sequence.bytes().all(|b| b.is_ascii_digit());
    let number = sequence.parse().ok().filter(|n| plain && (1..=i64::MAX as u64).contains(n));
    let sequence = number.ok_or_else(|| malformed("the sequence is not a whole number from 1 up"))?;
    Ok(Place { node_id, boot_id, sequence })
}

/// From bytes to a judged report, or to the first reason why not.
fn judged(
    store: &Store,
    place: Place,
    signature: [u8; 64],
    bytes: Vec<u8>,
    address: IpAddr,
) -> Result<Submission, Refusal> {
    let nonce = verify_signature(store, &place, &signature, &bytes)?;
    body::check_depth(&bytes)?;
    let report = Report::from_json(&bytes).map_err(|error| {
        let code = match error {
            ReadReportError::Malformed(_) => Code::BodyMalformed,
            ReadReportError::Schema { .. } => Code::SchemaNotAccepted,
        };
        code.because(error.to_string().chars().take(DETAIL_CHARS_MAX).collect::<String>())
    })?;
    // From the plan itself: the digest beside it is only a claim.
    let plan_digest = report.plan.digest();
    check_content(&report, &place, &plan_digest)?;
    Ok(Submission {
        sha256: sha256_hex(&bytes),
        plan_digest,
        verdict: review(&report),
        facets: Facets::of(&report),
        run_id: report.run_id,
        node_id: place.node_id,
        boot_id: place.boot_id,
        sequence: place.sequence,
        nonce,
        signature: signature.to_vec(),
        bytes,
        source: address.to_string(),
    })
}

/// Gives the nonce that the signature covers.
fn verify_signature(
    store: &Store,
    place: &Place,
    signature: &[u8; 64],
    bytes: &[u8],
) -> Result<String, Refusal> {
    let session = store
        .boot_session(&place.node_id, &place.boot_id)?
        .ok_or_else(|| Code::NodeUnknown.because(place.node_id.clone()))?;
    let nonce = session.nonce.ok_or_else(|| Code::BadSignature.because("this boot is not enrolled"))?;
    let context = signing_context(&place.node_id, &place.boot_id, place.sequence, &nonce, bytes);
    VerifyingKey::from_bytes(&session.public_key)
        .and_then(|key| key.verify_strict(&context, &Signature::from_bytes(signature)))
        .map_err(|_| Refusal::from(Code::BadSignature))?;
    Ok(nonce)
}

fn check_content(report: &Report, place: &Place, plan_digest: &str) -> Result<(), Refusal> {
    let run_id = &report.run_id;
    if run_id.len() != 32 || !run_id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')) {
        return Err(Code::BodyMalformed.because("`run_id` is not 32 hexadecimal digits in lower case"));
    }
    match report.node.linux.as_ref().map(|linux| linux.boot_id.as_str()) {
        Some(boot_id) if boot_id == place.boot_id => {}
        Some(_) => return Err(Code::BootMismatch.because("`node.linux.boot_id` names another boot")),
        None => return Err(Code::BootMismatch.because("the report names no boot")),
    }
    if report.plan_digest != plan_digest {
        return Err(Code::PlanNotAccepted.because("`plan_digest` is not the digest of `plan`"));
    }
    Ok(())
}
