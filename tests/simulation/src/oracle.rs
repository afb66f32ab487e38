//! What every node was told, against what the store has.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::Result;
use data_encoding::HEXLOWER;
use inventory::store::read::NodeDetail;
use node_init::register::Registration;
use sha2::{Digest, Sha256};

use crate::server::Server;
use crate::world::Machine;

/// A node was told that its report is kept.
#[derive(Clone, Debug)]
pub(crate) struct Acknowledged {
    pub(crate) node: usize,
    pub(crate) registration: Registration,
}

/// Looks for all that must not be.
pub(crate) fn look(
    server: &mut Server,
    machines: &[&Machine],
    acknowledged: &[Acknowledged],
) -> Result<Vec<String>> {
    let records = server.records()?;
    let mut violations = Vec::new();
    if records.len() != machines.len() {
        violations.push(format!("{} machines, and {} records", machines.len(), records.len()));
    }
    let by_id: BTreeMap<_, _> = records.iter().map(|record| (record.summary.id.as_str(), record)).collect();
    for told in acknowledged {
        violations.extend(is_kept(told, by_id.get(told.registration.node_id.as_str()).copied()));
    }
    for (node, machine) in machines.iter().enumerate() {
        let own: BTreeSet<_> = acknowledged
            .iter()
            .filter(|told| told.node == node)
            .map(|told| told.registration.node_id.as_str())
            .collect();
        if own.len() != 1 {
            violations.push(format!("node {node} was told {} names: {own:?}", own.len()));
        }
        for record in own.iter().filter_map(|id| by_id.get(id)) {
            violations.extend(is_as_written(node, machine, record));
        }
    }
    for record in &records {
        violations.extend(is_one_story(record));
    }
    Ok(violations)
}

/// What was acknowledged is there, once, under the revision that was told.
fn is_kept(told: &Acknowledged, record: Option<&NodeDetail>) -> Option<String> {
    let Registration { node_id, boot_id, sequence, ack } = &told.registration;
    let reports = record.map(|record| &record.reports[..]).unwrap_or_default();
    let kept: Vec<_> =
        reports.iter().filter(|row| row.boot_id == *boot_id && row.sequence == *sequence).collect();
    match &kept[..] {
        [one] if one.revision == ack.revision => None,
        [one] => Some(format!(
            "report {sequence} of {node_id} was told to be at revision {}, and is at {}",
            ack.revision, one.revision
        )),
        several => Some(format!("report {sequence} of {node_id} was acknowledged, and is there {} times", several.len())),
    }
}

/// Nothing is there but what the node wrote, and its last boot is the current one.
fn is_as_written(node: usize, machine: &Machine, record: &NodeDetail) -> Vec<String> {
    let written: BTreeSet<_> =
        machine.written().iter().map(|bytes| HEXLOWER.encode(&Sha256::digest(bytes))).collect();
    let strange = record.reports.iter().filter(|row| !written.contains(&row.sha256));
    let mut violations: Vec<_> = strange
        .map(|row| format!("node {node} never wrote the report of revision {}", row.revision))
        .collect();
    let current: Vec<_> = record.boots.iter().filter(|boot| boot.is_current).map(|boot| &boot.boot_id).collect();
    if current != [machine.boot_id()] {
        violations.push(format!("node {node} is in boot {}, and its record in {current:?}", machine.boot_id()));
    }
    if record.summary.state != "available" {
        let reason = record.summary.reason.as_deref().unwrap_or("no reason");
        violations.push(format!("node {node} is healthy, and `{}`: {reason}", record.summary.state));
    }
    violations
}

/// Every step of its life begins where the one before ended; no run and no place has two reports.
fn is_one_story(record: &NodeDetail) -> Vec<String> {
    let id = &record.summary.id;
    let mut violations = Vec::new();
    let steps: Vec<_> = record.transitions.iter().rev().collect();
    for pair in steps.windows(2) {
        if pair[1].from.as_deref() != Some(pair[0].to.as_str()) {
            violations.push(format!("{id} leaves {:?} after it came to {}", pair[1].from, pair[0].to));
        }
    }
    let places: BTreeSet<_> = record.reports.iter().map(|row| (&row.boot_id, row.sequence)).collect();
    let runs: BTreeSet<_> = record.reports.iter().map(|row| &row.run_id).collect();
    if places.len() != record.reports.len() || runs.len() != record.reports.len() {
        violations.push(format!("{id} has a report twice"));
    }
    violations
}
