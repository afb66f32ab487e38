//! Labels: those that operators set, and those that a report gives. The latter stand below `assay.dev/`.

use std::collections::BTreeMap;

use report::Report;

use super::Order;
use crate::refusal::{Code, Refusal};
use crate::selector::{is_key, is_value, to_value};
use crate::store::Store;
use crate::store::engine::{Answer, values};
use crate::store::tx::{Fault, Tx, clean, to_json};

/// Prefix of the keys that are the inventory's own.
const OWN: &str = "assay.dev/";
/// Most labels that operators may set on one node.
const LABELS_MAX: usize = 64;

/// What of a report nodes are listed by.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Facets {
    /// Name of the devices' model; of the commonest, if there are several.
    pub model: Option<String>,
    /// How many devices of it there are.
    pub devices: Option<u32>,
    /// Labels that follow from the report.
    pub labels: BTreeMap<String, String>,
}

impl Facets {
    /// Those of a report.
    pub fn of(report: &Report) -> Self {
        let mut models: BTreeMap<&str, u32> = BTreeMap::new();
        for device in &report.devices {
            *models.entry(&device.name).or_default() += 1;
        }
        let (model, devices) = models.into_iter().max_by_key(|(_, count)| *count).unzip();
        let driver = report.devices.first().map(|device| device.driver.as_str());
        let linux = report.node.linux.as_ref().map(|linux| linux.release.as_str());
        let dmi = report.node.dmi.as_ref();
        let count = devices.map(|count: u32| count.to_string());
        let derived = [
            ("gpu-model", model),
            ("gpu-count", count.as_deref()),
            ("driver", driver),
            ("linux", linux),
            ("vendor", dmi.and_then(|dmi| dmi.system_vendor.as_deref())),
            ("product", dmi.and_then(|dmi| dmi.product_name.as_deref())),
        ];
        let labels = derived.into_iter().filter_map(|(name, text)| {
            let value = to_value(text?);
            (!value.is_empty()).then(|| (format!("{OWN}{name}"), value))
        });
        Self { model: model.map(clean), devices, labels: labels.collect() }
    }
}

impl Store {
    /// Sets labels, and takes away those without a value; gives all that the node has then.
    pub async fn change_labels(
        &self,
        order: Order,
        changes: BTreeMap<String, Option<String>>,
    ) -> Result<BTreeMap<String, String>, Refusal> {
        let source = order.source.clone();
        self.submit(source, move |tx: &Tx<'_>| change(tx, &order, &changes)).await
    }
}

pub(in crate::store) fn change(
    tx: &Tx<'_>,
    order: &Order,
    changes: &BTreeMap<String, Option<String>>,
) -> Result<BTreeMap<String, String>, Fault> {
    let id = &order.node_id;
    if tx.one("SELECT 1 FROM nodes WHERE id = ?1", values![id], |row| row.get::<i64>(0))?.is_none() {
        return Err(order.unknown());
    }
    let refuse = |detail: String| {
        Fault::from(Code::LabelNotAllowed.because(clean(&detail)).of_node(id).of_actor(order.actor.clone()))
    };
    for (key, value) in changes {
        if !is_key(key) || key.starts_with(OWN) || value.as_deref().is_some_and(|value| !is_value(value)) {
            return Err(refuse(format!("`{key}={}`", value.as_deref().unwrap_or_default())));
        }
    }
    let before = all(tx, id)?;
    let mut after = before.clone();
    for (key, value) in changes {
        match value {
            Some(value) => after.insert(key.clone(), value.clone()),
            None => after.remove(key),
        };
    }
    if after.keys().filter(|key| !key.starts_with(OWN)).count() > LABELS_MAX {
        return Err(refuse(format!("more than {LABELS_MAX} labels")));
    }
    if after != before {
        replace(tx, id, (&before, &after), true)?;
        let revision = tx.next_revision("labels", id)?;
        tx.run("UPDATE nodes SET revision = ?2 WHERE id = ?1", values![id, revision])?;
        let words: Vec<_> = changes
            .iter()
            .map(|(key, value)| {
                value.as_ref().map_or_else(|| format!("-{key}"), |value| format!("{key}={value}"))
            })
            .collect();
        tx.audit(&order.entry("labels_changed", words.join(" ")))?;
    }
    Ok(after)
}

/// Replaces what follows from reports by what follows from this one.
pub(in crate::store) fn derive(tx: &Tx<'_>, id: &str, facets: &Facets) -> Answer<()> {
    tx.run(
        "UPDATE nodes SET model = ?2, devices = ?3 WHERE id = ?1",
        values![id, &facets.model, facets.devices],
    )?;
    let before = all(tx, id)?;
    let mut after = before.clone();
    after.retain(|key, _| !key.starts_with(OWN));
    after.extend(facets.labels.clone());
    if after == before { Ok(()) } else { replace(tx, id, (&before, &after), false) }
}

fn all(tx: &Tx<'_>, id: &str) -> Answer<BTreeMap<String, String>> {
    let pairs = tx.all("SELECT key, value FROM labels WHERE node_id = ?1", values![id], |row| {
        Ok((row.get(0)?, row.get(1)?))
    });
    Ok(pairs?.into_iter().collect())
}

/// Writes what differs, and all of them to be shown.
fn replace(
    tx: &Tx<'_>,
    id: &str,
    (before, after): (&BTreeMap<String, String>, &BTreeMap<String, String>),
    by_operator: bool,
) -> Answer<()> {
    for key in before.keys().filter(|key| !after.contains_key(*key)) {
        tx.run("DELETE FROM labels WHERE node_id = ?1 AND key = ?2", values![id, key])?;
    }
    for (key, value) in after.iter().filter(|(key, value)| before.get(*key) != Some(*value)) {
        tx.run(
            "INSERT INTO labels (node_id, key, value, by_operator) VALUES (?1, ?2, ?3, ?4)
             ON CONFLICT (node_id, key) DO UPDATE SET value = excluded.value, by_operator = excluded.by_operator",
            values![id, key, value, by_operator],
        )?;
    }
    tx.run("UPDATE nodes SET labels = ?2 WHERE id = ?1", values![id, &to_json(after)?])?;
    Ok(())
}
