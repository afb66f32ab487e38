//! Afterwards: is what was acknowledged in the store, each report once, with the same bytes?

use std::collections::{HashMap, HashSet};
use std::path::Path;

use super::line::digest;
use super::tally::Acknowledged;
use crate::store::StoreError;
use crate::store::read::{StoredReport, View};

/// What the store says.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Found {
    /// Reports that it holds.
    pub stored: u64,
    /// Acknowledged reports that it does not hold.
    pub lost: u64,
    /// Reports that it holds more than once, and acknowledgements that name one place twice.
    pub twice: u64,
    /// Acknowledged reports whose bytes are not those that were sent.
    pub altered: u64,
    /// Nodes in the store that nobody of this fleet is told of.
    pub nodes: u64,
}

/// Compares what clients were told with the database at that path. Reads every byte of every report.
pub fn compare(database: &Path, acknowledged: &[Acknowledged]) -> Result<Found, StoreError> {
    let view = View::open(database)?;
    let mut by_node: HashMap<&str, Vec<&Acknowledged>> = HashMap::new();
    for ack in acknowledged {
        by_node.entry(&ack.node_id).or_default().push(ack);
    }
    let mut found = Found { nodes: view.nodes(None)?.len() as u64, ..Found::default() };
    let (mut revisions, mut told_places) = (HashSet::new(), HashSet::new());
    for (node_id, told) in by_node {
        let reports = view.stored_reports(node_id)?;
        found.stored += reports.len() as u64;
        let mut places = HashSet::new();
        for report in &reports {
            let fresh =
                places.insert((&report.boot_id, report.sequence)) && revisions.insert(report.revision);
            found.twice += u64::from(!fresh);
        }
        for ack in told {
            found.twice += u64::from(!told_places.insert((&ack.node_id, &ack.boot_id, ack.sequence)));
            let place = |r: &&StoredReport| r.boot_id == ack.boot_id && r.sequence == ack.sequence;
            let Some(report) = reports.iter().find(place) else {
                found.lost += 1;
                continue;
            };
            let bytes = view.report_bytes(report.revision)?.unwrap_or_default();
            let same = report.revision == ack.revision && report.sha256 == ack.sha256;
            found.altered += u64::from(!same || digest(&bytes) != ack.sha256);
        }
    }
    Ok(found)
}
