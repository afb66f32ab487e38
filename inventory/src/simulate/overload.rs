//! Ten times what the server can do: does it go on doing what it can, and is it well again when the flood is over?
//!
//! ```text
//! peak    a few nodes at a time, each from power-on to its report: what the server does at most
//! flood   connections at ten times that rate: new nodes, and those that were refused and come again by `node-init`'s law
//! after   the flood is gone; new nodes at half the peak's rate
//! ```
//!
//! Nodes make their keys and sign their enrolments before the clock starts: in life each does so on a machine of its own.
//! On request server and nodes are kept on processors of their own, so that the flood costs the server only what it asks
//! of it.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Bytes;
use tokio::task::JoinSet;
use tokio::time::{Instant, sleep_until};

use super::figures::{Figures, Quantiles};
use super::fleet::{FleetOptions, VirtualNode};
use super::node::live;
use super::server::Apart;
use super::site::{SimulateError, Site, demand_kept};
use super::tally::Counts;

/// How it runs.
#[derive(Clone, Copy, Debug)]
pub struct Overload {
    /// For how long the peak is measured.
    pub peak: Duration,
    /// For how long the flood lasts.
    pub flood: Duration,
    /// How many times the peak.
    pub times: f64,
    /// For how long it is watched afterwards.
    pub after: Duration,
    /// Share of the peak that must remain.
    pub goodput_min: f64,
    /// Keep server and nodes on processors of their own.
    pub apart: bool,
}

/// Nodes at a time while the peak is measured.
const AT_A_TIME: usize = 64;
/// Connections that one registration takes.
const CONNECTIONS_OF_ONE: f64 = 2.0;
/// How often new nodes are added to a flood.
const PACE: Duration = Duration::from_millis(20);
/// Share of the nodes that come afterwards that must be registered within a second for the server to be well again.
const WELL: f64 = 0.95;
/// Share of the flood that must really have come.
const OFFERED_MIN: f64 = 0.9;
/// How long it may take to be well again.
const RECOVERY_MAX: Duration = Duration::from_secs(60);
/// The start of the flood, in which its nodes arrive and none can be done.
const SETTLE: Duration = Duration::from_secs(2);
/// Highest wait of the nodes that come afterwards.
const WAIT_MAX_MS: f64 = 1000.0;

/// Runs it.
pub async fn run(options: FleetOptions, load: Overload, dir: &PathBuf) -> Result<Figures, SimulateError> {
    let mut figures = Figures::of("overload", options.seed);
    let apart = load.apart.then(Apart::before_the_server).transpose()?;
    let mut crowd = Crowd { site: Site::new(options, dir, &[]).await?, next: 0 };
    apart.map(Apart::after_it_started).transpose()?;
    let peak = crowd.peak(load.peak).await?;
    let flood = crowd.flood(load, peak).await?;
    let recovery = crowd.after(load, peak).await?;
    let fleet = Arc::clone(&crowd.site.fleet);
    let (told, found) = crowd.site.settle(&mut figures).await?;
    figures.row("size of a report", format!("{} B", fleet.report_bytes()));
    figures.row("processors", if load.apart { "one for the server" } else { "shared with the nodes" });
    figures.row("peak", format!("{peak:.0} registered /s"));
    let offered = flood.attempts_per_s / (CONNECTIONS_OF_ONE * peak);
    figures.row("flood: lasted", format!("{} s", load.flood.as_secs()));
    figures.row(
        "flood: connections tried",
        format!("{:.0} /s, {offered:.1} times the peak", flood.attempts_per_s),
    );
    figures.row("flood: registered", format!("{:.0} /s", flood.registered_per_s));
    figures.row("flood: longest Retry-After", format!("{} s", flood.retry_after_max_s));
    figures.quantiles("flood: report, to its ack", flood.report);
    figures.row("flood: processors in use", format!("{:.2}", flood.processors));
    figures.quantiles("flood: nodes late by", flood.late);
    let asked = format!("at least {:.1} times", OFFERED_MIN * load.times);
    figures.demand("offered", format!("{offered:.1} times"), asked, offered >= OFFERED_MIN * load.times);
    let share = flood.registered_per_s / peak;
    let asked = format!("at least {:.0} % of the peak", 100.0 * load.goodput_min);
    figures.demand(
        "goodput in the flood",
        format!("{:.0} %", 100.0 * share),
        asked,
        share >= load.goodput_min,
    );
    let well = recovery.map_or("never".to_owned(), |after| format!("{} s", after.as_secs()));
    let met = recovery.is_some_and(|after| after <= RECOVERY_MAX);
    figures.demand("well again after", well, format!("at most {} s", RECOVERY_MAX.as_secs()), met);
    demand_kept(&mut figures, &told.acknowledged, &found);
    Ok(figures)
}

/// Nodes that come one after the other.
struct Crowd {
    site: Site,
    next: usize,
}

/// What was seen in the flood. Figures of nodes that are late themselves say less of the server.
#[derive(Default)]
struct Flood {
    attempts_per_s: f64,
    registered_per_s: f64,
    retry_after_max_s: u64,
    report: Quantiles,
    processors: f64,
    late: Quantiles,
}

impl Crowd {
    /// The next so many nodes, ready to come; each at once when its task is started.
    fn prepare(&mut self, count: usize) -> Result<Vec<(VirtualNode, Bytes)>, SimulateError> {
        let tokens = self.site.server.tokens(&self.site.fleet.options().plan, count)?;
        let first = self.next;
        self.next += count;
        let nodes = tokens.iter().enumerate().map(|(number, token)| {
            let mut node = self.site.fleet.node(first + number, 0);
            (node.power_on, node.burn_in) = (Duration::ZERO, Duration::ZERO);
            let body = Bytes::from(node.enrolment(token));
            (node, body)
        });
        Ok(nodes.collect())
    }

    /// Registrations a second, a few nodes at a time.
    async fn peak(&mut self, lasts: Duration) -> Result<f64, SimulateError> {
        /// More than any server of today does.
        const PER_S_MAX: f64 = 3000.0;
        let mut nodes = self.prepare(whole(PER_S_MAX * lasts.as_secs_f64()))?.into_iter();
        let world = self.site.world(Instant::now())?;
        let end = world.start + lasts;
        let mut living = JoinSet::new();
        for (node, body) in nodes.by_ref().take(AT_A_TIME) {
            living.spawn(live(world.clone(), node, body));
        }
        while let Some(_done) = living.join_next().await {
            if let Some((node, body)) = nodes.next().filter(|_| Instant::now() < end) {
                living.spawn(live(world.clone(), node, body));
            }
            if Instant::now() >= end {
                break;
            }
        }
        let registered = self.site.tally.counts().acknowledged;
        let took = world.start.elapsed();
        // Those that are under way end as they would.
        while living.join_next().await.is_some() {}
        Ok(per_s(registered, took))
    }

    /// Connections are tried at many times the rate of the peak; when it is over, those that wait are gone.
    async fn flood(&mut self, load: Overload, peak: f64) -> Result<Flood, SimulateError> {
        let rate = load.times * CONNECTIONS_OF_ONE * peak;
        let mut nodes = self.prepare(whole(rate * load.flood.as_secs_f64()))?.into_iter();
        let world = self.site.world(Instant::now())?;
        let (settled, end) = (world.start + SETTLE.min(load.flood / 4), world.start + load.flood);
        let (mut living, mut late, mut settling) = (JoinSet::new(), Vec::new(), None);
        let tried = self.site.tally.counts().attempts;
        while Instant::now() < end {
            let due = Instant::now() + PACE;
            sleep_until(due).await;
            late.push(due.elapsed());
            // Who comes again counts: new ones only fill up to the rate.
            let asked = whole(rate * world.start.elapsed().as_secs_f64());
            let tried = usize::try_from(self.site.tally.counts().attempts - tried).unwrap_or(usize::MAX);
            for (node, body) in nodes.by_ref().take(asked.saturating_sub(tried)) {
                living.spawn(live(world.clone(), node, body));
            }
            if settling.is_none() && Instant::now() >= settled {
                settling = Some((self.counts(), self.site.usage()?, Instant::now()));
            }
        }
        let Some((before, used, begun)) = settling else { return Ok(Flood::default()) };
        let (after, took) = (self.counts(), begun.elapsed());
        let processors = (self.site.usage()?.cpu_s - used.cpu_s) / took.as_secs_f64();
        living.abort_all();
        while living.join_next().await.is_some() {}
        let (report, _) = self.site.tally.reports_since(before.1);
        Ok(Flood {
            attempts_per_s: per_s(after.0.attempts - before.0.attempts, took),
            registered_per_s: per_s(after.0.acknowledged - before.0.acknowledged, took),
            retry_after_max_s: after.0.retry_after_max_s,
            report,
            processors,
            late: Quantiles::of(&late),
        })
    }

    fn counts(&self) -> (Counts, usize) {
        (self.site.tally.counts(), self.site.tally.reports_since(0).1)
    }

    /// After how long nearly all that come at half the peak are registered within a second of time; absent if never.
    async fn after(&mut self, load: Overload, peak: f64) -> Result<Option<Duration>, SimulateError> {
        let rate = peak / 2.0;
        let nodes = self.prepare(whole(rate * load.after.as_secs_f64()))?;
        let world = self.site.world(Instant::now() + Duration::from_millis(100))?;
        let mut living = JoinSet::new();
        for (number, (mut node, body)) in (0_u32..).zip(nodes) {
            node.power_on = Duration::from_secs_f64(f64::from(number) / rate);
            living.spawn(live(world.clone(), node, body));
        }
        let mut well = None;
        let mut second = Duration::ZERO;
        let mut before = self.counts();
        while second < load.after {
            second += Duration::from_secs(1);
            sleep_until(world.start + second).await;
            let now = self.counts();
            let registered = now.0.acknowledged - before.0.acknowledged;
            let (waits, _) = self.site.tally.reports_since(before.1);
            before = now;
            if per_s(registered, Duration::from_secs(1)) >= WELL * rate && waits.p99_ms <= WAIT_MAX_MS {
                well = Some(second);
                break;
            }
        }
        living.abort_all();
        while living.join_next().await.is_some() {}
        Ok(well)
    }
}

#[expect(clippy::cast_precision_loss, reason = "a count of requests")]
fn per_s(count: u64, took: Duration) -> f64 {
    count as f64 / took.as_secs_f64()
}

#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a count of nodes")]
fn whole(count: f64) -> usize {
    count.ceil() as usize
}
