//! Machines that were copied: many with one UUID, one serial number, one set of MAC addresses, each with a key of its own,
//! all at once. One owner may come out of it, and everybody else is set apart.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Bytes;
use tokio::task::JoinSet;
use tokio::time::Instant;

use super::figures::Figures;
use super::fleet::FleetOptions;
use super::node::live;
use super::site::{SimulateError, Site, demand_kept, waits};
use crate::store::read::View;

/// How long it may take.
const WITHIN: Duration = Duration::from_secs(180);

/// Runs it.
pub async fn run(options: FleetOptions, dir: &PathBuf) -> Result<Figures, SimulateError> {
    let mut figures = Figures::of("clones", options.seed);
    let (seed, clones) = (options.seed, options.nodes);
    let site = Site::new(options, dir, &[]).await?;
    let tokens = site.server.tokens(&site.fleet.options().plan, clones)?;
    let first = site.fleet.node(0, 0);
    let nodes: Vec<_> = (tokens.iter().enumerate())
        .map(|(index, token)| {
            let mut node = site.fleet.node(index, 0);
            node.names = node.names.with_hardware_of(&first.names);
            let body = Bytes::from(node.enrolment(token));
            (node, body)
        })
        .collect();
    let world = site.world(Instant::now() + Duration::from_millis(100))?;
    let mut living = JoinSet::new();
    for (node, body) in nodes {
        living.spawn(live(world.clone(), node, body));
    }
    // Whoever is not done by then is counted as not registered.
    let _ = tokio::time::timeout(WITHIN, async { while living.join_next().await.is_some() {} }).await;
    let took = world.start.elapsed();
    let (database, fleet) = (site.server.data().database(), Arc::clone(&site.fleet));
    let states = states(&database, &mut figures, site).await?;
    figures.row("clones", clones);
    figures.row("seed of their hardware", seed);
    figures.row("all done after", format!("{:.1} s", took.as_secs_f64()));
    figures.row("size of a report", format!("{} B", fleet.report_bytes()));
    let quarantined = states.get("quarantined").copied().unwrap_or_default();
    let owners = states.values().sum::<usize>() - quarantined;
    for (state, count) in states {
        figures.row(&format!("state {state}"), count);
    }
    figures.demand("owners", owners, 1, owners == 1);
    figures.demand("quarantined", quarantined, clones - 1, quarantined == clones - 1);
    Ok(figures)
}

/// How many nodes are in each state.
async fn states(
    database: &std::path::Path,
    figures: &mut Figures,
    site: Site,
) -> Result<BTreeMap<String, usize>, SimulateError> {
    let count = site.fleet.options().nodes;
    // Read before the server's folder goes.
    let nodes = View::open(database)?.nodes(None)?;
    let (told, found) = site.settle(figures).await?;
    waits(figures, &told);
    demand_kept(figures, &told.acknowledged, &found);
    let registered = told.acknowledged.len();
    figures.demand("reports taken", registered, count, registered == count);
    let mut states = BTreeMap::new();
    for node in nodes {
        *states.entry(node.state).or_default() += 1;
    }
    Ok(states)
}
