//! What every subject needs: a server of its own in a folder of its own, and somebody who tells how it goes.

use std::fs;
use std::io::{self, Write};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hyper::body::Bytes;
use report::plan::PlanError;
use tokio::task::JoinSet;
use tokio::time::{Instant, interval, sleep_until};

use super::check::{Found, compare};
use super::figures::{Figures, Quantiles, load_average};
use super::fleet::{Fleet, FleetOptions};
use super::node::{World, live};
use super::server::{ServerError, ServerUnderLoad, Usage};
use super::tally::{Acknowledged, Tally, Told};
use crate::store::StoreError;

/// Why a simulation could not be run.
#[derive(Debug, thiserror::Error)]
pub enum SimulateError {
    /// No folder.
    #[error("making a folder for the server in `{path}`: choose another with --dir")]
    Folder {
        /// Where.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// No fleet.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// No server, or it failed.
    #[error(transparent)]
    Server(#[from] ServerError),
    /// What it stored cannot be read.
    #[error("reading what the server stored")]
    Store(#[from] StoreError),
    /// A node that had to be there first was not let in.
    #[error("node {index} was not let in before the clock started")]
    NotLetIn {
        /// Its number.
        index: usize,
    },
}

/// A server with a fleet.
#[derive(Debug)]
pub struct Site {
    /// The server.
    pub server: ServerUnderLoad,
    /// The fleet.
    pub fleet: Arc<Fleet>,
    /// What the fleet is told.
    pub tally: Arc<Tally>,
    _folder: tempfile::TempDir,
}

impl Site {
    /// Starts a server in a new folder below `dir`.
    pub async fn new(options: FleetOptions, dir: &PathBuf, more: &[&str]) -> Result<Self, SimulateError> {
        let failed = |source| SimulateError::Folder { path: dir.clone(), source };
        fs::create_dir_all(dir).map_err(failed)?;
        let folder = tempfile::tempdir_in(dir).map_err(failed)?;
        let fleet = Arc::new(Fleet::new(options)?);
        let server = ServerUnderLoad::start(folder.path(), more).await?;
        Ok(Self { server, fleet, tally: Arc::default(), _folder: folder })
    }

    /// What its nodes share; the clock starts then.
    pub fn world(&self, start: Instant) -> Result<World, SimulateError> {
        let inventory = self.server.inventory()?;
        Ok(World { fleet: Arc::clone(&self.fleet), inventory, tally: Arc::clone(&self.tally), start })
    }

    /// The bodies of the enrolments of the first `count` nodes, made before the clock starts.
    pub fn enrolments(&self, count: usize) -> Result<Vec<Bytes>, SimulateError> {
        let tokens = self.server.tokens(&self.fleet.options().plan, count)?;
        let nodes = tokens.iter().enumerate();
        Ok(nodes.map(|(index, token)| Bytes::from(self.fleet.node(index, 0).enrolment(token))).collect())
    }

    /// Lets the whole fleet live, until all are done or the time is over; tells every second how it goes.
    pub async fn live_all(&self, within: Duration) -> Result<Duration, SimulateError> {
        let count = self.fleet.options().nodes;
        let enrolments = self.enrolments(count)?;
        let world = self.world(Instant::now() + Duration::from_millis(100))?;
        let mut nodes = JoinSet::new();
        for (index, enrolment) in enrolments.into_iter().enumerate() {
            nodes.spawn(live(world.clone(), self.fleet.node(index, 0), enrolment));
        }
        let end = world.start + within;
        let mut every = interval(Duration::from_secs(1));
        loop {
            tokio::select! {
                ended = nodes.join_next() => if ended.is_none() { break },
                _ = every.tick() => self.tell(world.start, count),
                () = sleep_until(end) => break,
            }
        }
        Ok(world.start.elapsed())
    }

    fn tell(&self, start: Instant, count: usize) {
        let counts = self.tally.counts();
        let refused: u64 = counts.refused.values().sum();
        let broken: u64 = counts.broken.values().sum();
        // A terminal that is gone is no reason to end.
        let _ = writeln!(
            io::stderr(),
            "{:4} s: {} of {count} on, {} enrolled, {} registered, {refused} refused, {broken} without answer",
            start.elapsed().as_secs(),
            counts.powered_on,
            counts.enrolled,
            counts.acknowledged,
        );
    }

    /// Stops the server and reads what it stored.
    pub async fn settle(self, figures: &mut Figures) -> Result<(Told, Found), SimulateError> {
        let database = self.server.data().database();
        figures.server = self.server.usage()?;
        figures.load_average = load_average();
        self.server.stop().await?;
        let told = self.tally.into_told();
        figures.refused.clone_from(&told.counts.refused);
        figures.broken = told.counts.broken.iter().map(|(how, count)| ((*how).to_owned(), *count)).collect();
        let found = compare(&database, &told.acknowledged)?;
        Ok((told, found))
    }

    /// What the server used up to now.
    pub fn usage(&self) -> Result<Usage, SimulateError> {
        Ok(self.server.usage()?)
    }
}

/// What is asked of every subject: nothing lost, nothing twice, nothing altered.
pub fn demand_kept(figures: &mut Figures, acknowledged: &[Acknowledged], found: &Found) {
    figures.row("acknowledged reports", acknowledged.len());
    figures.demand("acknowledged and lost", found.lost, 0, found.lost == 0);
    figures.demand("stored twice", found.twice, 0, found.twice == 0);
    figures.demand("altered", found.altered, 0, found.altered == 0);
}

/// The verdict on each node must be the one that its seed gave it.
pub fn demand_verdicts(figures: &mut Figures, fleet: &Fleet, acknowledged: &[Acknowledged]) {
    let wrong = acknowledged.iter().filter(|ack| fleet.node(ack.index, 0).verdict().as_str() != ack.verdict);
    let wrong = wrong.count();
    for verdict in ["healthy", "degraded", "faulty", "unknown"] {
        let count = acknowledged.iter().filter(|ack| ack.verdict == verdict).count();
        figures.row(&format!("verdict {verdict}"), count);
    }
    figures.demand("verdicts other than planted", wrong, 0, wrong == 0);
}

/// Figures of what clients waited for.
pub fn waits(figures: &mut Figures, told: &Told) {
    figures.quantiles("enrolment, to its answer", Quantiles::of(&told.enrol));
    figures.quantiles("report, to its ack", Quantiles::of(&told.report));
}
