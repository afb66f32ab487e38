//! `burnin bench`: how fast the devices are.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use burnin::clock::MonotonicClock;
use burnin::device::faulty::Fault;
use burnin::figures::{BenchError, Wanted, bench};
use burnin::progress;
use report::bench::{Bench, ReadBenchError, compare};
use report::text::bench::{Style, render};
use report::{CheckId, DeviceId, Quantity};

use crate::{Through, interruption, print, this_program};

/// What is asked of a bench.
#[derive(Debug, clap::Args)]
pub(crate) struct BenchArguments {
    /// A device, by its id in `burnin list`; several times for several [default: every GPU]
    #[arg(long, value_name = "ID")]
    device: Vec<String>,
    /// Through what to drive the devices
    #[arg(long, value_enum, default_value = "vulkan")]
    backend: Through,
    /// Only these checks, by their names in plans
    #[arg(long, value_delimiter = ',', value_name = "NAME")]
    only: Vec<CheckName>,
    /// How long each check measures [default: as in a burn-in]
    #[arg(long, value_parser = seconds)]
    seconds: Option<Quantity>,
    /// Print one JSON document instead of a table
    #[arg(long)]
    json: bool,
    /// Write the JSON document to this file as well
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
    /// Compare with a document that was written with --out
    #[arg(long, value_name = "FILE")]
    compare: Option<PathBuf>,
    /// Show method, inputs of the limits and evidence of each row
    #[arg(long, short)]
    verbose: bool,
    /// Plant a fault, to see that it is found: a drill
    #[arg(long, value_enum)]
    plant: Option<Fault>,
    /// Show no progress
    #[arg(long)]
    quiet: bool,
}

/// A check's name, as clap reads it.
#[derive(Clone, Debug)]
struct CheckName(CheckId);

impl std::str::FromStr for CheckName {
    type Err = report::check::BadCheckId;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        CheckId::try_from(text).map(Self)
    }
}

fn seconds(text: &str) -> Result<Quantity, String> {
    let seconds: f64 = text.parse().map_err(|_| "not a number".to_owned())?;
    let quantity = Quantity::new(seconds).map_err(|error| error.to_string())?;
    if (0.1..=3600.0).contains(&seconds) { Ok(quantity) } else { Err("from 0.1 to 3600".to_owned()) }
}

/// Is it the caller's to mend?
pub(crate) fn is_usage(cause: &(dyn std::error::Error + 'static)) -> bool {
    let named = matches!(
        cause.downcast_ref(),
        Some(BenchError::NoDevice | BenchError::UnknownDevice { .. } | BenchError::UnknownCheck(_))
    );
    named || cause.is::<ReadBenchError>() || cause.is::<NoFile>()
}

/// A file that was named cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("{doing} `{}`", path.display())]
struct NoFile {
    doing: &'static str,
    path: PathBuf,
    #[source]
    source: std::io::Error,
}

pub(crate) fn act(arguments: BenchArguments) -> Result<ExitCode> {
    // Before anything is measured: a name that is wrong must not cost a minute.
    let before = arguments.compare.as_deref().map(earlier).transpose()?;
    if let Some(out) = &arguments.out {
        // Not emptied: what stands there is lost only when there is something to take its place.
        let opened = std::fs::OpenOptions::new().create(true).append(true).open(out);
        opened.map_err(|source| NoFile { doing: "writing", path: out.clone(), source })?;
    }
    let wanted = Wanted {
        backend: arguments.backend.into(),
        devices: arguments.device.into_iter().map(DeviceId).collect(),
        only: arguments.only.into_iter().map(|name| name.0).collect(),
        seconds: arguments.seconds,
        fault: arguments.plant,
        program: this_program()?,
    };
    let interrupted = interruption()?;
    let mut watch = progress::for_stderr(arguments.quiet);
    let bench = bench(&wanted, &MonotonicClock::start(), watch.as_mut(), &interrupted)?;
    drop(watch);
    let json = serde_json::to_string_pretty(&bench)?;
    if let Some(out) = &arguments.out {
        save(out, &format!("{json}\n")).with_context(|| format!("writing `{}`", out.display()))?;
    }
    if arguments.json {
        print(&json)?;
    } else {
        let comparison = before.map(|before| compare(&before, &bench));
        let style = Style { columns: columns(), verbose: arguments.verbose };
        print(&render(&bench, comparison.as_ref(), style))?;
    }
    Ok(ExitCode::from(bench.exit_code()))
}

/// Takes the place of what stood there, in one step: no moment has half a document.
fn save(path: &Path, text: &str) -> std::io::Result<()> {
    let mut new = path.as_os_str().to_owned();
    new.push(".new");
    std::fs::write(&new, text)?;
    std::fs::rename(&new, path)
}

fn earlier(path: &Path) -> Result<Bench> {
    let bytes =
        std::fs::read(path).map_err(|source| NoFile { doing: "reading", path: path.to_owned(), source })?;
    Bench::from_json(&bytes).with_context(|| format!("comparing with `{}`", path.display()))
}

/// Columns of the terminal; 100 where the text goes elsewhere.
fn columns() -> usize {
    let asked = || std::env::var("COLUMNS").ok()?.parse().ok();
    let terminal = rustix::termios::tcgetwinsize(std::io::stdout()).ok().map(|size| usize::from(size.ws_col));
    terminal.filter(|columns| *columns > 0).or_else(asked).unwrap_or(100)
}
