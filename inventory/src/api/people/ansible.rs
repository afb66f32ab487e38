//! `GET /v1/inventory/ansible`: what a script gives Ansible for `--list`. Groups by state, pool and model; variables of all
//! hosts in `_meta`, so that Ansible asks once.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::State;
use serde_json::{Value, json};

use super::super::{Api, off_loop};
use crate::refusal::Refusal;
use crate::store::Filter;
use crate::store::read::NodeSummary;

pub(crate) async fn list(State(api): State<Arc<Api>>) -> Result<Json<Value>, Refusal> {
    off_loop(move || {
        let nodes = api.store.view(|view| view.pages(&Filter::default()))?;
        Ok(Json(inventory(&nodes)))
    })
    .await
}

fn inventory(nodes: &[NodeSummary]) -> Value {
    let mut groups: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    let mut hosts = serde_json::Map::new();
    for node in nodes {
        let named =
            [("state", Some(&node.state)), ("pool", node.pool.as_ref()), ("gpu", node.model.as_ref())];
        for (kind, value) in named {
            let Some(value) = value else { continue };
            groups.entry(group(kind, value)).or_default().push(&node.id);
        }
        let variables = json!({
            "ansible_host": node.address,
            "assay_state": node.state,
            "assay_pool": node.pool,
            "assay_hostname": node.hostname,
            "assay_gpu_model": node.model,
            "assay_labels": node.labels,
        });
        hosts.insert(node.id.clone(), variables);
    }
    let mut document = serde_json::Map::new();
    for (name, members) in groups {
        document.insert(name, json!({ "hosts": members }));
    }
    document.insert("_meta".to_owned(), json!({ "hostvars": hosts }));
    Value::Object(document)
}

/// Ansible wants names of groups like names of variables.
fn group(kind: &str, value: &str) -> String {
    let fit = |c: char| if c.is_ascii_alphanumeric() { c.to_ascii_lowercase() } else { '_' };
    format!("{kind}_{}", value.chars().map(fit).collect::<String>())
}
