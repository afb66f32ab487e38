//! `burnin calibrate`.

use std::io::{IsTerminal as _, Write as _};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result, anyhow};
use burnin::calibrate::checkers::{self, Checker};
use burnin::calibrate::class::Class;
use burnin::calibrate::document::{Calibration, Mutants};
use burnin::calibrate::inject::Injector;
use burnin::calibrate::matrix::{Bench, Shot};
use burnin::calibrate::mutants::{MUTANT_DEADLINE_MS, Trials};
use burnin::calibrate::{Options, crew, planned, table};
use burnin::clock::{Clock as _, MonotonicClock};
use burnin::device::{self, Device};
use burnin::worker::Job;
use burnin::worker::supervise::list;
use report::{Backend, DeviceInfo};

/// What `calibrate` is asked for.
#[derive(Debug, clap::Args)]
pub(crate) struct Calibrate {
    /// Through what to drive the device
    #[arg(long, value_enum, default_value = "vulkan")]
    backend: super::Through,
    /// Which device, as in `burnin list` [default: the first]
    #[arg(long)]
    device: Option<String>,
    /// Only this checker; may be given again
    #[arg(long)]
    checker: Vec<String>,
    /// Only this class of faults; may be given again
    #[arg(long, value_enum)]
    class: Vec<Class>,
    /// Faults put in for each checker and class
    #[arg(long, default_value_t = 3000)]
    injections: u32,
    /// Rounds without a fault, over all checkers
    #[arg(long, default_value_t = 300_000)]
    clean_rounds: u64,
    /// Do one injection again, by its seed; needs one checker and one class
    #[arg(long, value_name = "SEED")]
    replay: Option<String>,
    /// Workers at once; more than one where a device has time for it
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    jobs: u16,
    /// Also change the kernels, in every small way, and see that it is noticed; Vulkan only
    #[arg(long)]
    mutants: bool,
    /// Of the changed kernels only every so-manieth
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    mutants_step: u32,
    /// Print one JSON document
    #[arg(long, conflicts_with = "markdown")]
    json: bool,
    /// Print Markdown, as in docs/calibration.md
    #[arg(long)]
    markdown: bool,
    /// Run nothing: print a document that `--out` wrote
    #[arg(long, value_name = "FILE")]
    show: Option<std::path::PathBuf>,
    /// Also write the JSON document to this file
    #[arg(long)]
    out: Option<std::path::PathBuf>,
}

/// What was asked for makes no sense.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Usage(String);

/// How long a driver may take to list its devices.
const LIST_DEADLINE: Duration = Duration::from_secs(60);
/// A claim is broken, a clean round alarmed, or a changed kernel was not noticed.
const BROKEN: u8 = 1;

/// Calibrates, prints, and says by the exit code whether every claim holds.
pub(crate) fn calibrate(arguments: &Calibrate) -> Result<ExitCode> {
    if let Some(path) = &arguments.show {
        let text =
            std::fs::read(path).map_err(|error| Usage(format!("reading `{}`: {error}", path.display())))?;
        let calibration: Calibration = serde_json::from_slice(&text)
            .map_err(|error| Usage(format!("`{}` is no calibration: {error}", path.display())))?;
        return print(arguments, &calibration);
    }
    let target = target(arguments)?;
    let checkers = chosen(&arguments.checker)?;
    if let Some(seed) = &arguments.replay {
        let device =
            device::open(target.backend, &target.id).with_context(|| format!("opening {}", target.id))?;
        return replay(arguments, device, &checkers, seed);
    }
    let classes = if arguments.class.is_empty() { Class::ALL.to_vec() } else { arguments.class.clone() };
    let options =
        Options { checkers, classes, injections: arguments.injections, clean_rounds: arguments.clean_rounds };
    let clock = MonotonicClock::start();
    let program = super::this_program()?;
    let mut calibration = crew::run(&program, &options, &target, arguments.jobs.into(), &mut progress)?;
    if arguments.mutants {
        let start = clock.now();
        calibration.mutants = Some(mutants(arguments, &calibration.device, &options.checkers)?);
        calibration.took_s += (clock.now() - start).as_secs_f64();
    }
    print(arguments, &calibration)
}

/// Changed kernels of the checkers that are asked for.
fn mutants(arguments: &Calibrate, info: &DeviceInfo, checkers: &[&'static dyn Checker]) -> Result<Mutants> {
    let backend = Backend::from(arguments.backend);
    if backend != Backend::Vulkan {
        return Err(Usage("--mutants changes SPIR-V, which only `--backend vulkan` runs".to_owned()).into());
    }
    let program = super::this_program()?;
    let mut mutants = Mutants::default();
    for kernel in kernels::ALL {
        let able = checkers.iter().filter(|checker| checker.lacks(info).is_none());
        if !able.flat_map(|checker| checker.kernels()).any(|mine| mine.name == kernel.name) {
            continue;
        }
        // A form that the device cannot run is never dispatched: nobody could notice.
        if !kernel.needs.iter().all(|need| burnin::device::offers(info, *need)) {
            continue;
        }
        let trials = Trials {
            backend,
            device: info.id.clone(),
            kernel: kernel.name.to_owned(),
            from: 0,
            step: arguments.mutants_step,
            deadline_ms: MUTANT_DEADLINE_MS,
        };
        burnin::calibrate::mutants::run(&program, &trials, kernel, &mut progress, &mut mutants)?;
    }
    Ok(mutants)
}

/// The device to calibrate on, as a worker lists it.
fn target(arguments: &Calibrate) -> Result<DeviceInfo> {
    let backend = Backend::from(arguments.backend);
    let listed = list(&super::this_program()?, &Job::List { backend }, LIST_DEADLINE)
        .map_err(|error| anyhow!("listing {backend} devices: {error}"))?;
    let names: Vec<_> = listed.iter().map(|info| info.id.to_string()).collect();
    let found = match &arguments.device {
        Some(id) => listed.into_iter().find(|info| info.id.0 == *id).ok_or_else(|| {
            anyhow!(Usage(format!("backend `{backend}` shows no device `{id}`, only: {}", names.join(", "))))
        })?,
        None => listed.into_iter().next().ok_or_else(|| anyhow!("backend `{backend}` shows no device"))?,
    };
    Ok(found)
}

fn chosen(names: &[String]) -> Result<Vec<&'static dyn Checker>> {
    let all = checkers::all();
    if names.is_empty() {
        return Ok(all);
    }
    let find = |name: &String| {
        let known: Vec<_> = all.iter().map(|checker| checker.name()).collect();
        let found = all.iter().find(|checker| checker.name() == name).copied();
        let missing = || Usage(format!("there is no checker `{name}`; there are {}", known.join(", ")));
        Ok(found.ok_or_else(missing)?)
    };
    names.iter().map(find).collect()
}

/// A line that is written over on a terminal, a line for each checker and class elsewhere.
fn progress(what: &str, share: f64) {
    let mut stderr = std::io::stderr();
    let _ = if stderr.is_terminal() {
        write!(stderr, "\r\x1b[K{:3.0} % {what}", share * 100.0).and_then(|()| stderr.flush())
    } else {
        writeln!(stderr, "{what}")
    };
}

fn print(arguments: &Calibrate, calibration: &Calibration) -> Result<ExitCode> {
    if std::io::stderr().is_terminal() {
        let _ = write!(std::io::stderr(), "\r\x1b[K");
    }
    let json = serde_json::to_string_pretty(calibration)?;
    if let Some(path) = &arguments.out {
        std::fs::write(path, &json).with_context(|| format!("writing `{}`", path.display()))?;
    }
    super::print(&match (arguments.json, arguments.markdown) {
        (true, _) => json,
        (_, true) => table::markdown(calibration),
        _ => table::text(calibration),
    })?;
    Ok(if calibration.holds() { ExitCode::SUCCESS } else { ExitCode::from(BROKEN) })
}

fn replay(
    arguments: &Calibrate,
    device: Box<dyn Device>,
    checkers: &[&'static dyn Checker],
    seed: &str,
) -> Result<ExitCode> {
    let ([checker], [class]) = (checkers, arguments.class.as_slice()) else {
        return Err(Usage("--replay needs one --checker and one --class".to_owned()).into());
    };
    let seed = u64::from_str_radix(seed.trim_start_matches("0x"), 16)
        .map_err(|_| Usage(format!("the seed `{seed}` is not a hexadecimal number")))?;
    let (clock, planned) = (MonotonicClock::start(), planned());
    let mut bench = Bench { device: Injector::new(device), clock: &clock, planned: &planned };
    let (shot, clean) = bench.replay(*checker, *class, seed)?;
    let (text, bad) = match &shot {
        Shot::Found(what) => (format!("found: {what}"), false),
        Shot::Missed(what) => (format!("missed: {what}"), checker.claims(*class)),
        Shot::Absent => ("the fault could not be put there".to_owned(), checker.claims(*class)),
    };
    super::print(&format!("{text}\n{} rounds without a fault, {} alarms", clean.rounds, clean.alarms))?;
    Ok(if bad || clean.alarms > 0 { ExitCode::from(BROKEN) } else { ExitCode::SUCCESS })
}
