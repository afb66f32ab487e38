//! `inventory simulate`: a fleet that is not there against a server of its own, to see what it does under load.

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use clap::{Args, Subcommand};
use inventory::simulate::figures::Figures;
use inventory::simulate::fleet::FleetOptions;
use inventory::simulate::outage::{self, Outage};
use inventory::simulate::overload::{self, Overload};
use inventory::simulate::sustained::Stream;
use inventory::simulate::{clones, storm, sustained};
use jiff::SignedDuration;

use super::print;

/// Load a server of its own with virtual nodes, and say what it did
#[derive(Debug, Args)]
pub(crate) struct Simulate {
    #[command(subcommand)]
    subject: Subject,
    /// Same seed, same fleet
    #[arg(long, global = true, value_name = "N", default_value_t = 1)]
    seed: u64,
    /// GPUs of each node that are burned in: the size of a report goes with it
    #[arg(long, global = true, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u8).range(1..=8))]
    gpus: u8,
    /// Share of nodes with a stuck bit, and as many that are slow, and as many whose check is blind
    #[arg(long, global = true, value_name = "SHARE", default_value_t = 0.02)]
    faults: f64,
    /// Where the server keeps its data meanwhile: the disk that is measured
    #[arg(long, global = true, value_name = "DIR", default_value = ".assay/simulate")]
    dir: PathBuf,
    /// Print one JSON document
    #[arg(long, global = true)]
    json: bool,
}

#[derive(Clone, Debug, Subcommand)]
enum Subject {
    /// A whole fleet is powered on at once
    Storm {
        /// So many nodes
        #[arg(long, value_name = "N", default_value_t = 10_000)]
        nodes: usize,
        /// All are on within this time
        #[arg(long, default_value = "60s")]
        within: SignedDuration,
        /// Longest burn-in
        #[arg(long, default_value = "5s")]
        burn_in: SignedDuration,
    },
    /// A steady stream of reports
    Sustained {
        /// So many connections, each of a node of its own
        #[arg(long, value_name = "N", default_value_t = 256)]
        connections: usize,
        /// For how long
        #[arg(long = "for", default_value = "60s")]
        lasts: SignedDuration,
        /// Reports a second; without it each connection sends as fast as it is answered
        #[arg(long, value_name = "N")]
        rate: Option<f64>,
        /// Reports a second that are asked
        #[arg(long, value_name = "N", default_value_t = 1000.0)]
        rate_min: f64,
        /// Wait that one report in a hundred may exceed
        #[arg(long)]
        p99_max: Option<SignedDuration>,
    },
    /// Many times what the server can do
    Overload {
        /// For how long the peak is measured
        #[arg(long, default_value = "10s")]
        peak: SignedDuration,
        /// For how long the flood lasts
        #[arg(long, default_value = "20s")]
        flood: SignedDuration,
        /// How many times the peak
        #[arg(long, value_name = "N", default_value_t = 10.0)]
        times: f64,
        /// For how long it is watched afterwards
        #[arg(long, default_value = "60s")]
        after: SignedDuration,
        /// Share of the peak that must remain
        #[arg(long, value_name = "SHARE", default_value_t = 0.8)]
        goodput_min: f64,
        /// Keep the server on one processor and the nodes on the others
        #[arg(long)]
        apart: bool,
    },
    /// The server is gone and a fleet waits for it, in simulated time
    Outage {
        /// So many nodes
        #[arg(long, value_name = "N", default_value_t = 10_000)]
        nodes: usize,
        /// How long it is gone
        #[arg(long = "for", default_value = "1h")]
        lasts: SignedDuration,
        /// Requests that the server answers a second, as measured
        #[arg(long, value_name = "N", default_value_t = 500.0)]
        served: f64,
        /// Longest burn-in
        #[arg(long, default_value = "2m")]
        burn_in: SignedDuration,
    },
    /// Many machines with one identity at once
    Clones {
        /// So many
        #[arg(long, value_name = "N", default_value_t = 1000)]
        nodes: usize,
    },
}

impl Simulate {
    pub(crate) fn run(self) -> Result<ExitCode> {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
        let figures = runtime.block_on(self.subject())?;
        print(self.json, &figures, || figures.text())?;
        Ok(if figures.are_as_asked() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
    }

    async fn subject(&self) -> Result<Figures> {
        let fleet = |nodes, window: Duration, burn_in: Duration| FleetOptions {
            seed: self.seed,
            nodes,
            gpus: self.gpus,
            plan: "quick".to_owned(),
            window,
            burn_in,
            faults: self.faults,
        };
        Ok(match self.subject.clone() {
            Subject::Storm { nodes, within, burn_in } => {
                storm::run(fleet(nodes, within.unsigned_abs(), burn_in.unsigned_abs()), &self.dir).await?
            }
            Subject::Sustained { connections, lasts, rate, rate_min, p99_max } => {
                let stream = Stream {
                    lasts: lasts.unsigned_abs(),
                    per_s: rate,
                    per_s_min: rate_min,
                    p99_max: p99_max.map(SignedDuration::unsigned_abs),
                };
                sustained::run(fleet(connections, Duration::ZERO, Duration::ZERO), stream, &self.dir).await?
            }
            Subject::Overload { peak, flood, times, after, goodput_min, apart } => {
                let load = Overload {
                    peak: peak.unsigned_abs(),
                    flood: flood.unsigned_abs(),
                    times,
                    after: after.unsigned_abs(),
                    goodput_min,
                    apart,
                };
                overload::run(fleet(0, Duration::ZERO, Duration::ZERO), load, &self.dir).await?
            }
            Subject::Outage { nodes, lasts, served, burn_in } => outage::run(Outage {
                seed: self.seed,
                nodes,
                lasts: lasts.unsigned_abs(),
                served_per_s: served,
                burn_in: burn_in.unsigned_abs(),
            }),
            Subject::Clones { nodes } => {
                let moment = Duration::from_secs(1);
                clones::run(fleet(nodes, moment, Duration::ZERO), &self.dir).await?
            }
        })
    }
}
