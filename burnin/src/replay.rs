//! `burnin replay`: run one tile of a chain check again and again, and say how often it was wrong.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use burnin::chains::{Replayed, Tile};
use burnin::device::faulty::Fault;
use burnin::worker::{Again, Job, supervise};
use report::{DeviceId, Quantity};

use crate::Through;

/// What to run again; a report prints this line for every workgroup that was wrong.
#[derive(Debug, clap::Args)]
pub(crate) struct Replay {
    /// Through what to drive the device
    #[arg(long, value_enum, default_value = "vulkan")]
    backend: Through,
    /// The device, as `burnin list` names it
    #[arg(long)]
    device: String,
    /// The check
    #[arg(long)]
    check: String,
    /// The seed of the dispatch
    #[arg(long)]
    seed: u32,
    /// The workgroup that was wrong
    #[arg(long)]
    workgroup: u32,
    /// Steps of each chain [default: as in a window of the check]
    #[arg(long)]
    steps: Option<u32>,
    /// Workgroups of the dispatch [default: as in a window of the check]
    #[arg(long)]
    workgroups: Option<u32>,
    /// Chains of an invocation [default: all]
    #[arg(long)]
    chains: Option<u32>,
    /// Invocations of the device's workgroup [default: 64]
    #[arg(long)]
    invocations: Option<u32>,
    /// How many times at most
    #[arg(long, default_value_t = 1_000_000)]
    times: u64,
    /// How many seconds at most
    #[arg(long, default_value_t = 10)]
    seconds: u32,
    /// Plant a fault, to see that it is found
    #[arg(long, value_enum)]
    plant: Option<Fault>,
    /// Print one JSON document
    #[arg(long)]
    pub(crate) json: bool,
}

/// There is no such tile.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct NoTile(String);

/// Time for opening the device, for the first dispatches and for a last one that hangs.
const MARGIN: Duration = Duration::from_secs(60);

impl Replay {
    /// Runs it in a worker of its own.
    pub(crate) fn run(&self, program: &PathBuf) -> anyhow::Result<Replayed> {
        let tile = Tile {
            backend: self.backend.into(),
            device: DeviceId(self.device.clone()),
            check: self.check.clone(),
            seed: self.seed,
            workgroup: self.workgroup,
            steps: self.steps,
            workgroups: self.workgroups,
            chains: self.chains,
            invocations: self.invocations,
        };
        burnin::catalogue::recipe(&tile).map_err(NoTile)?;
        let seconds = Quantity::new(self.seconds.into()).unwrap_or_default();
        let job = Job::Replay(Again { tile, times: self.times.max(1), seconds, fault: self.plant });
        let deadline = Duration::from_secs(self.seconds.into()) + MARGIN;
        let replayed = supervise::replay(program, &job, deadline).map_err(|message| anyhow::anyhow!(message));
        Ok(*replayed.context("running a tile again")?)
    }
}

/// For a person.
pub(crate) fn text(replayed: &Replayed) -> String {
    let Replayed { tile, dispatches, wrong_dispatches, wrong_words, bits, took_s, .. } = replayed;
    let mut text = format!(
        "{} on {}: workgroup {} was wrong in {wrong_dispatches} of {dispatches} dispatches ({:.1} s)",
        tile.check,
        tile.device,
        tile.workgroup,
        took_s.get()
    );
    if *wrong_words > 0 {
        let _ = write!(text, "\n{wrong_words} wrong words, wrong bits {bits:#010x}");
    }
    if replayed.wrong_words_elsewhere > 0 {
        let _ = write!(text, "\n{} wrong words in other workgroups", replayed.wrong_words_elsewhere);
    }
    for wrong in replayed.first.iter().take(8) {
        let lane = wrong.byte_address / 4 % u64::from(kernels::WORKGROUP_SIZE);
        let _ = write!(
            text,
            "\n  dispatch {}, workgroup {}, lane {lane}: found {:#010x}, expected {:#010x}",
            wrong.pass, wrong.workgroup, wrong.found, wrong.expected
        );
    }
    text
}
