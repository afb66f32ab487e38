//! A steady stream of reports from nodes that are known: how many a second become durable, and how long one waits for it.
//!
//! Either closed (each of the connections sends its next report when the last one is acknowledged: the most that the
//! server does) or open (reports come at a rate, whatever the server does; the wait counts from when a report was due).
//! Connections stay open here, as they would behind a balancer.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use report::wire::{EnrolResponse, ReportAck};
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::figures::{Figures, Quantiles};
use super::fleet::{FleetOptions, VirtualNode};
use super::line::{Call, Inventory};
use super::node::{World, handed_in};
use super::site::{SimulateError, Site, demand_kept};

/// How the stream runs.
#[derive(Clone, Copy, Debug)]
pub struct Stream {
    /// For how long.
    pub lasts: Duration,
    /// Reports a second; closed if absent.
    pub per_s: Option<f64>,
    /// Reports a second that are asked.
    pub per_s_min: f64,
    /// Wait that one report in a hundred may exceed.
    pub p99_max: Option<Duration>,
}

/// Runs it.
pub async fn run(options: FleetOptions, stream: Stream, dir: &PathBuf) -> Result<Figures, SimulateError> {
    let mut figures = Figures::of("sustained", options.seed);
    let nodes = options.nodes;
    let site = Site::new(options, dir, &[]).await?;
    let (fleet, sessions) = (Arc::clone(&site.fleet), enrol_all(&site).await?);
    let before = site.usage()?;
    let world = site.world(Instant::now() + Duration::from_millis(100))?;
    let mut sending = JoinSet::new();
    for (node, session) in sessions {
        sending.spawn(send(world.clone(), node, session, stream));
    }
    while sending.join_next().await.is_some() {}
    let took = world.start.elapsed();
    let used = site.usage()?.cpu_s - before.cpu_s;
    let (told, found) = site.settle(&mut figures).await?;
    #[expect(clippy::cast_precision_loss, reason = "a count of reports")]
    let per_s = told.acknowledged.len() as f64 / took.as_secs_f64();
    figures.row("connections", nodes);
    figures.row("size of a report", format!("{} B", fleet.report_bytes()));
    figures.row("lasted", format!("{:.1} s", took.as_secs_f64()));
    figures
        .row("offered", stream.per_s.map_or("as fast as they can".to_owned(), |rate| format!("{rate} /s")));
    figures.row("durable reports", format!("{per_s:.0} /s"));
    figures.row("server: processors in use", format!("{:.2}", used / took.as_secs_f64()));
    let waits = Quantiles::of(&told.report);
    figures.quantiles("report, to its ack", waits);
    demand_kept(&mut figures, &told.acknowledged, &found);
    let asked = format!("at least {:.0} /s", stream.per_s_min);
    figures.demand("durable reports a second", format!("{per_s:.0}"), asked, per_s >= stream.per_s_min);
    if let Some(max) = stream.p99_max {
        let max_ms = max.as_secs_f64() * 1e3;
        let asked = format!("at most {max_ms:.0} ms");
        figures.demand("report p99", format!("{:.0} ms", waits.p99_ms), asked, waits.p99_ms <= max_ms);
    }
    Ok(figures)
}

/// Lets all nodes in, a few at a time.
async fn enrol_all(site: &Site) -> Result<Vec<(VirtualNode, EnrolResponse)>, SimulateError> {
    let inventory = site.server.inventory()?;
    let mut known = Vec::new();
    for (index, body) in site.enrolments(site.fleet.options().nodes)?.into_iter().enumerate() {
        let node = site.fleet.node(index, 0);
        let (method, path) = (hyper::Method::POST, "/v1/enrolments".to_owned());
        let answer = inventory.call(node.source, Call { method, path, signature: None, body }).await;
        let session = answer.ok().and_then(|answer| serde_json::from_slice(&answer.body).ok());
        known.push((node, session.ok_or(SimulateError::NotLetIn { index })?));
    }
    Ok(known)
}

/// One node's stream, until its time is over.
async fn send(world: World, mut node: VirtualNode, session: EnrolResponse, stream: Stream) {
    let (end, inventory) = (world.start + stream.lasts, world.inventory.of_one_node());
    let nodes = u32::try_from(world.fleet.options().nodes).unwrap_or(u32::MAX);
    let every = stream.per_s.map(|rate| Duration::from_secs_f64(f64::from(nodes) / rate));
    // Evenly spread over the nodes.
    let first = every.unwrap_or_default() * u32::try_from(node.index).unwrap_or_default() / nodes;
    let mut line = None;
    for sequence in 1_u32.. {
        let due = world.start + first + every.unwrap_or_default() * (sequence - 1);
        sleep_until(due).await;
        let begun = if every.is_some() { due } else { Instant::now() };
        if begun >= end {
            return;
        }
        node.names.run_id = world.fleet.node(node.index, u64::from(sequence)).names.run_id;
        let report = handed_in(&world.fleet, &node, &session, u64::from(sequence));
        while let Err(()) = hand_in(&world, &inventory, &mut line, (&node, &report), begun).await {
            if Instant::now() >= end {
                return;
            }
        }
    }
}

/// One attempt; a connection that is gone is opened again.
async fn hand_in(
    world: &World,
    inventory: &Inventory,
    line: &mut Option<super::line::Line>,
    (node, report): (&VirtualNode, &super::node::HandedIn),
    begun: Instant,
) -> Result<(), ()> {
    if line.is_none() {
        world.tally.attempt();
        *line = Some(inventory.connect(node.source).await.map_err(|how| world.tally.broken(how))?);
    }
    let answer = line.as_mut().ok_or(())?.call(report.call.clone()).await;
    let answer = answer.map_err(|how| {
        *line = None;
        world.tally.broken(how);
    })?;
    match serde_json::from_slice::<ReportAck>(&answer.body) {
        Ok(ack) => {
            let told = report.acknowledged(node, &ack);
            world.tally.acknowledged(told, ack.duplicate, begun.elapsed());
            Ok(())
        }
        Err(_) => {
            world.tally.refused(&format!("status {}", answer.status.as_u16()), answer.retry_after);
            tokio::time::sleep(answer.retry_after.unwrap_or(Duration::from_millis(500))).await;
            Err(())
        }
    }
}
