//! `GET /v1/sd/prometheus`: the nodes as targets for Prometheus (`http_sd`), always the whole list. An error is better than
//! a short list: Prometheus then keeps what it has.

use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde::Deserialize;
use serde_json::{Value, json};

use super::super::{Api, off_loop};
use super::ask::Query;
use crate::refusal::{Code, Refusal};
use crate::store::Filter;
use crate::store::read::NodeSummary;

/// The parameters.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Asked {
    /// Port of the exporter on the nodes.
    #[serde(default = "node_exporter")]
    port: u16,
}

fn node_exporter() -> u16 {
    9100
}

pub(crate) async fn list(
    State(api): State<Arc<Api>>,
    Query(Asked { port }): Query<Asked>,
) -> Result<Json<Value>, Refusal> {
    off_loop(move || {
        let nodes = api.store.view(|view| view.pages(&Filter::default()))?;
        let targets = nodes.iter().filter_map(|node| target(node, port)).collect();
        Ok(Json(Value::Array(targets)))
    })
    .await
    .map_err(|_| Code::NotReady.because("the nodes cannot be read"))
}

/// A node that never came has no address and is no target.
fn target(node: &NodeSummary, port: u16) -> Option<Value> {
    let address: std::net::IpAddr = node.address.as_deref()?.parse().ok()?;
    let mut labels = json!({
        "__meta_assay_node": node.id,
        "__meta_assay_state": node.state,
    });
    let more = [("pool", &node.pool), ("hostname", &node.hostname), ("gpu_model", &node.model)];
    for (name, value) in more {
        if let Some(value) = value {
            labels[format!("__meta_assay_{name}")] = json!(value);
        }
    }
    for (key, value) in &node.labels {
        labels[format!("__meta_assay_label_{}", prometheus_name(key))] = json!(value);
    }
    Some(json!({ "targets": [std::net::SocketAddr::new(address, port).to_string()], "labels": labels }))
}

fn prometheus_name(key: &str) -> String {
    key.chars().map(|c| if c.is_ascii_alphanumeric() { c } else { '_' }).collect()
}
