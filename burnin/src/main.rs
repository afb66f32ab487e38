//! `burnin`: burns in the GPUs of this node and says whether it may take work.

mod verb_calibrate;
mod replay;

use std::io::{BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use anyhow::{Context as _, Result};
use burnin::clock::MonotonicClock;
use burnin::device::faulty::Fault;
use burnin::journal::JournalError;
use burnin::progress;
use burnin::run::{Options, run};
use burnin::telemetry::sample;
use burnin::worker::serve;
use clap::{Parser, Subcommand, ValueEnum};

mod bench_verb;
mod bundle_verb;
mod compare_verb;
mod list_verb;
mod report_verb;
use report::{Backend, Plan, Report, Verdict};

/// Burns in and benchmarks GPUs, and says whether this node may take work.
///
/// Exit codes: 0 healthy, 1 faulty, 2 wrong usage, 3 degraded, 4 unknown.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// List the compute devices of this node
    List {
        /// Through what to look for devices
        #[arg(long, value_enum, default_value = "vulkan")]
        backend: Through,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Run a plan, and write its report after every check
    Run {
        /// The plan: `quick` for GPUs, `quick-software` for a machine without
        #[arg(long, default_value = "quick")]
        plan: String,
        /// Through what to drive the devices
        #[arg(long, value_enum, default_value = "vulkan")]
        backend: Through,
        /// Folder for the report [default: ./assay-TIME]
        #[arg(long)]
        out: Option<PathBuf>,
        /// Plant a fault, to see that it is found: a drill, never healthy
        #[arg(long, value_enum)]
        plant: Option<Fault>,
        /// Print the report as one JSON document instead of text
        #[arg(long)]
        json: bool,
        /// Show no progress
        #[arg(long)]
        quiet: bool,
    },
    /// Measure how fast the devices are, with every answer verified
    ///
    /// Exit codes: 0 every figure can be believed, 1 wrong answers or a device that failed, 2 wrong usage, 4 a figure that
    /// cannot be believed, or none.
    Bench(bench_verb::BenchArguments),
    /// Judge a saved report again, from its evidence alone
    Judge {
        /// A report.json, or the folder it lies in
        report: PathBuf,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Show a saved report, with the verdict that its evidence carries
    Show {
        /// A report.json, or the folder it lies in
        report: PathBuf,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Turn a saved report into a page, a document or a table, from the report alone
    Report(report_verb::ReportArguments),
    /// Hold two reports against each other, and say which differences are real
    ///
    /// Exit codes: 0 nothing is worse, 1 something is, 2 wrong usage, 4 nothing could be compared.
    Compare(compare_verb::CompareArguments),
    /// Pack a run's folder into one signed file, with a certificate where the node is healthy
    Bundle(bundle_verb::BundleArguments),
    /// Check a bundle, without a network
    ///
    /// Exit codes: 0 intact, signed by the key that was given, and not expired; 1 altered, signed by another, expired or
    /// of another machine; 2 wrong usage; 4 intact, but no key was given to check the signer.
    Verify(bundle_verb::VerifyArguments),
    /// Prove that the checkers see what they claim: put faults in and count which are seen
    ///
    /// Exit code 1 when a claim is broken, when a round without a fault alarms, or when a changed kernel goes unnoticed.
    Calibrate(Box<verb_calibrate::Calibrate>),
    /// Run one workgroup of a check again and again, and count how often it is wrong
    Replay(replay::Replay),
    /// Drive one device; started by `run`, job on standard input
    #[command(hide = true)]
    Worker,
    /// Read power, clocks and temperatures; started by `run`, job on standard input
    #[command(hide = true)]
    Telemetry,
}

/// Where a worker's events go: what is standard output now. From here on standard output is standard error, since a driver
/// that prints must not print into an event.
fn events() -> Result<std::fs::File> {
    let events = rustix::io::dup(std::io::stdout()).context("keeping standard output for events")?;
    rustix::stdio::dup2_stdout(std::io::stderr()).context("turning standard output to standard error")?;
    Ok(std::fs::File::from(events))
}

/// Through what devices are driven.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum Through {
    /// Vulkan
    Vulkan,
    /// wgpu, a second opinion
    Portable,
    /// The reference kernels on the processor
    Cpu,
}

impl From<Through> for Backend {
    fn from(through: Through) -> Self {
        match through {
            Through::Vulkan => Self::Vulkan,
            Through::Portable => Self::Portable,
            Through::Cpu => Self::Cpu,
        }
    }
}

/// Wrong usage, as clap has it.
const USAGE: u8 = 2;

fn main() -> ExitCode {
    let filter = tracing_subscriber::EnvFilter::try_from_default_env()
        .unwrap_or_else(|_| "warn,wgpu_hal=off,wgpu_core=off".into());
    tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr).without_time().init();
    match act(Arguments::parse().verb) {
        Ok(code) => code,
        Err(error) => {
            // A file's own words may be in it.
            let told = format!("{error:#}").lines().map(report::text::clean).collect::<Vec<_>>().join("\n");
            let _ = writeln!(std::io::stderr(), "error: {told}");
            if is_usage(&error) { ExitCode::from(USAGE) } else { code(Verdict::Unknown) }
        }
    }
}

/// Is it the caller's to mend? Any other error leaves the node `unknown`: a driver that hangs, a full disk.
fn is_usage(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.is::<report::plan::PlanError>()
            || cause.is::<NoReport>()
            || cause.is::<burnin::bundle::key::KeyError>()
            || bench_verb::is_usage(cause)
            || cause.is::<verb_calibrate::Usage>()
            || cause.is::<replay::NoTile>()
            || matches!(cause.downcast_ref(), Some(JournalError::Folder { .. } | JournalError::Exists { .. }))
    })
}

/// The file that was named cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("reading `{}`", path.display())]
struct NoReport {
    path: PathBuf,
    #[source]
    source: std::io::Error,
}

fn act(verb: Verb) -> Result<ExitCode> {
    match verb {
        Verb::List { backend, json } => list_verb::act(backend.into(), json),
        Verb::Run { plan, backend, out, plant, json, quiet } => {
            let options = Options {
                plan: Plan::built_in(&plan)?,
                backend: backend.into(),
                out: out.unwrap_or_else(default_folder),
                fault: plant,
                program: this_program()?,
            };
            run_plan(&options, json, quiet)
        }
        Verb::Bench(arguments) => bench_verb::act(arguments),
        Verb::Judge { report, json } => {
            let judged = report::judge::judge_bytes(&read(&report)?);
            let text = if json {
                serde_json::to_string_pretty(&judged)?
            } else {
                let lines = judged.findings.iter().map(|f| {
                    let check = f.check.as_ref().map_or("report", |check| check.as_str());
                    format!(
                        "  {:<10} {:<17} {check} on {}: {}",
                        f.outcome, f.reason.code, f.subject, f.reason.detail
                    )
                });
                let all: Vec<_> = std::iter::once(judged.verdict.to_string()).chain(lines).collect();
                all.iter().map(|line| report::text::clean(line)).collect::<Vec<_>>().join("\n")
            };
            print(&text)?;
            Ok(code(judged.verdict))
        }
        Verb::Show { report, json } => {
            let bytes = read(&report)?;
            let report = Report::from_json(&bytes)?;
            show(&report, json)
        }
        Verb::Report(arguments) => report_verb::act(&arguments),
        Verb::Compare(arguments) => compare_verb::act(&arguments),
        Verb::Bundle(arguments) => bundle_verb::pack(&arguments),
        Verb::Verify(arguments) => bundle_verb::verify(&arguments),
        Verb::Calibrate(arguments) => verb_calibrate::calibrate(&arguments),
        Verb::Replay(again) => {
            let replayed = again.run(&this_program()?)?;
            print(&if again.json {
                serde_json::to_string_pretty(&replayed)?
            } else {
                replay::text(&replayed)
            })?;
            let right = replayed.wrong_words == 0 && replayed.wrong_words_elsewhere == 0;
            Ok(code(if right { Verdict::Healthy } else { Verdict::Faulty }))
        }
        Verb::Worker => {
            serve::serve(&mut BufReader::new(std::io::stdin()), &mut events()?)?;
            Ok(ExitCode::SUCCESS)
        }
        Verb::Telemetry => {
            let mut output = events()?;
            let mut input = BufReader::new(std::io::stdin());
            sample::sample(&mut input, sample::until_closed, &mut output)?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

fn code(verdict: Verdict) -> ExitCode {
    ExitCode::from(verdict.exit_code())
}

fn this_program() -> Result<PathBuf> {
    std::env::current_exe().context("finding this program, which is also the worker")
}

/// `./assay-20261123T142530`: one folder a run.
fn default_folder() -> PathBuf {
    let digits = |c: &char| c.is_ascii_digit() || *c == 'T';
    let now: String =
        jiff::Timestamp::now().to_string().chars().take_while(|c| *c != '.').filter(digits).collect();
    PathBuf::from(format!("assay-{now}"))
}

/// A report's bytes at most: that of a thousand devices has 300 MB.
const REPORT_BYTES_MAX: u64 = 1 << 30;

fn read(path: &Path) -> Result<Vec<u8>> {
    let file = if path.is_dir() { path.join(burnin::journal::REPORT_FILE) } else { path.to_owned() };
    let failed = |source| NoReport { path: file.clone(), source };
    let size = std::fs::metadata(&file).map_err(failed)?.len();
    if size > REPORT_BYTES_MAX {
        return Err(failed(std::io::Error::other(format!("{size} bytes are no report"))).into());
    }
    Ok(std::fs::read(&file).map_err(failed)?)
}

/// The report in a file or folder; the error names it and says what is wrong.
fn read_report(path: &Path) -> Result<Report> {
    Report::from_json(&read(path)?).with_context(|| format!("`{}` cannot be shown", path.display()))
}

fn print(text: &str) -> Result<()> {
    writeln!(std::io::stdout(), "{}", text.trim_end()).context("writing to standard output")
}

fn show(report: &Report, json: bool) -> Result<ExitCode> {
    let judged = report::judge::review(report);
    if json {
        let mut report = report.clone();
        report.verdict = judged.clone();
        print(&serde_json::to_string_pretty(&report)?)?;
    } else {
        print(&report::text::render(report, &judged))?;
    }
    Ok(code(judged.verdict))
}

/// Set by the signals that ask this program to end.
fn interruption() -> Result<Arc<AtomicBool>> {
    let interrupted = Arc::new(AtomicBool::new(false));
    for signal in [signal_hook::consts::SIGINT, signal_hook::consts::SIGTERM] {
        // A second signal ends at once: the report on disk is valid at every moment.
        let ended_by_signal = 128 + signal;
        signal_hook::flag::register_conditional_shutdown(signal, ended_by_signal, Arc::clone(&interrupted))?;
        signal_hook::flag::register(signal, Arc::clone(&interrupted))?;
    }
    Ok(interrupted)
}

fn run_plan(options: &Options, json: bool, quiet: bool) -> Result<ExitCode> {
    let interrupted = interruption()?;
    let clock = MonotonicClock::start();
    let mut watch = progress::for_stderr(quiet);
    let report = run(options, &clock, watch.as_mut(), &interrupted)?;
    drop(watch);
    let shown = show(&report, json);
    let _ =
        writeln!(std::io::stderr(), "report: {}", options.out.join(burnin::journal::REPORT_FILE).display());
    report_verb::write_page(&report, &options.out);
    shown
}
