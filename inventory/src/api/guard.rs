//! Around each action: a place in its lane, who asks, and whether the table lets them. What is refused here, or further in,
//! carries the name of who asked into the audit.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::{RawPathParams, Request, State};
use axum::http::{HeaderMap, header};
use axum::middleware::Next;
use axum::response::Response;
use ed25519_dalek::{Signature, VerifyingKey};
use report::wire::SIGNATURE_HEADER;
use report::wire::heartbeat::{BOOT_HEADER, HEARTBEAT_BYTES_MAX, NODE_HEADER, request_context};

use super::{Api, body, off_loop};
use crate::access::{AccessKey, Action, Principal};
use crate::refusal::{Code, Refusal};
use crate::store::Store;

/// Who holds the client certificate of a connection; whoever accepts connections attaches it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertifiedNode(pub String);

/// What the guard of one route works with.
#[derive(Clone, Debug)]
pub(super) struct Gate {
    pub(super) api: Arc<Api>,
    pub(super) action: Action,
}

pub(super) async fn guard(
    State(Gate { api, action }): State<Gate>,
    params: RawPathParams,
    request: Request,
    next: Next,
) -> Result<Response, Refusal> {
    let _place = api.lanes.enter(action.lane())?;
    let node = params.iter().find(|(name, _)| *name == "node").map(|(_, id)| id.to_owned());
    let (principal, mut request) = authenticate(&api, action, node.as_deref(), request).await?;
    if !principal.may(action, node.as_deref()) {
        return Err(forbidden(&principal, action, node.as_deref()));
    }
    let actor = principal.actor();
    request.extensions_mut().insert(principal);
    let mut response = next.run(request).await;
    if let Some(refusal) = response.extensions_mut().get_mut::<Refusal>() {
        refusal.actor.get_or_insert_with(|| actor.into_boxed_str());
        refusal.node_id = refusal.node_id.take().or(node);
    }
    Ok(response)
}

fn forbidden(principal: &Principal, action: Action, node: Option<&str>) -> Refusal {
    let code = match principal {
        Principal::Anonymous => Code::NotAuthenticated,
        _ => Code::NotPermitted,
    };
    let of = node.map_or_else(String::new, |id| format!(" of {id}"));
    let what = format!("{} {}{of} as {}", action.verb(), action.object(), principal.role());
    let refusal = code.because(what).of_actor(principal.actor());
    match principal {
        Principal::Node(id) => refusal.of_node(id),
        _ => refusal,
    }
}

/// The first proof that there is decides; a bad one is never passed over for another.
async fn authenticate(
    api: &Api,
    action: Action,
    node: Option<&str>,
    request: Request,
) -> Result<(Principal, Request), Refusal> {
    if let Some(value) = request.headers().get(header::AUTHORIZATION) {
        let key = value.to_str().ok().and_then(|text| text.strip_prefix("Bearer ")).unwrap_or_default();
        return Ok((key_holder(api, key).await?, request));
    }
    if let Some(CertifiedNode(id)) = request.extensions().get().cloned() {
        return Ok((Principal::Node(id), request));
    }
    if request.headers().contains_key(NODE_HEADER) {
        return signer(&api.store, request).await;
    }
    // The signature of a report covers the very bytes that its handler reads, and is checked there.
    let principal = match (action, node) {
        (Action::SendReport, Some(id)) => Principal::Node(id.to_owned()),
        _ => Principal::Anonymous,
    };
    Ok((principal, request))
}

async fn key_holder(api: &Api, text: &str) -> Result<Principal, Refusal> {
    let key = AccessKey::parse(text).map_err(|error| Code::KeyUnknown.because(error.to_string()))?;
    let (store, now) = (api.store.clone(), api.clock.now());
    off_loop(move || store.holder(&key, now)).await
}

/// The node whose key signed the request, with the nonce of its current boot.
async fn signer(store: &Store, request: Request) -> Result<(Principal, Request), Refusal> {
    let (parts, content) = request.into_parts();
    let text = |name: &str| {
        let value = parts.headers.get(name).and_then(|value| value.to_str().ok());
        value.map(ToOwned::to_owned).ok_or_else(|| Code::BadSignature.because(format!("no header `{name}`")))
    };
    let (node_id, boot_id) = (text(NODE_HEADER)?, text(BOOT_HEADER)?);
    let signature = signature(&parts.headers)?;
    let target = parts.uri.path_and_query().map_or("/", |target| target.as_str());
    let what = format!("{} {target}", parts.method);
    let bytes = body::read(&parts.headers, content, HEARTBEAT_BYTES_MAX).await?;
    let (store, id, signed) = (store.clone(), node_id.clone(), bytes.clone());
    off_loop(move || {
        let bad = || Code::BadSignature.because("it is not one of this node's current boot").of_node(&id);
        let (key, nonce) = store.current_session(&id, &boot_id)?.ok_or_else(bad)?;
        let context = request_context(&id, &boot_id, &what, &nonce, &signed);
        VerifyingKey::from_bytes(&key)
            .and_then(|key| key.verify_strict(&context, &Signature::from_bytes(&signature)))
            .map_err(|_| bad())
    })
    .await?;
    Ok((Principal::Node(node_id), Request::from_parts(parts, Body::from(bytes))))
}

/// The signature that the header carries.
pub(super) fn signature(headers: &HeaderMap) -> Result<[u8; 64], Refusal> {
    let value = headers.get(SIGNATURE_HEADER).and_then(|value| value.to_str().ok());
    value.and_then(super::node::decode_hex).ok_or_else(|| {
        Code::BadSignature
            .because(format!("header `{SIGNATURE_HEADER}` is not 128 hexadecimal digits in lower case"))
    })
}
