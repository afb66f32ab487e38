//! What the program is when Linux starts it: the first process, or `modprobe`.

use std::process::ExitCode;
use std::sync::Arc;

use crate::boot::Boot;
use crate::clock::Monotonic;
use crate::console::Console;
use crate::modules::Loader;
use crate::phase::{Code, Failure};
use crate::progress::Progress;
use crate::stages::Real;
use crate::system::{Linux, System};
use crate::{power, signals, watchdog};

/// Boots this machine. Never returns: Linux panics when its first process ends.
pub fn run() -> ! {
    let system: Arc<dyn System> = Arc::new(Linux);
    let clock = Monotonic::start();
    let progress = Arc::new(Progress::begin(Arc::clone(&system)));
    speak_when_dying(Arc::clone(&system), Arc::clone(&progress));
    // Before any other thread: both go on by themselves, and a boot without them is better than none.
    for (what, started) in [
        ("signals", signals::watch(Arc::clone(&system))),
        ("the watchdog", watchdog::watch(Arc::clone(&system), Arc::clone(&progress))),
    ] {
        if let Err(error) = started {
            Console::first(Arc::clone(&system)).say(&format!("watching {what}: {error}"));
        }
    }
    let (power, console) = Boot::new(Arc::clone(&system), &Real, &clock, progress).run();
    power::apply(&*system, &console, &clock, power)
}

/// A fault of our own is said like every other, and its policy applied, by whichever thread had it.
fn speak_when_dying(system: Arc<dyn System>, progress: Arc<Progress>) {
    std::panic::set_hook(Box::new(move |panic| {
        let console = Console::first(Arc::clone(&system));
        let failure = Failure::new(progress.phase(), Code::Panic, panic.to_string());
        console.say(&format!("failed {failure}"));
        power::apply(&*system, &console, &Monotonic::start(), progress.policy())
    }));
}

/// `modprobe [-OPTIONS] NAME...`, as the kernel calls it (`kernel/module/kmod.c`): 0 if the first name is loaded.
pub fn modprobe(arguments: impl Iterator<Item = String>) -> ExitCode {
    let command_line = Linux.read(std::path::Path::new("/proc/cmdline")).unwrap_or_default();
    let mut loader = Loader::new(Arc::new(Linux), &String::from_utf8_lossy(&command_line));
    // All options of the kernel's call (`-q`) ask to be quiet; `--` ends them.
    let name = arguments.into_iter().find(|argument| !argument.starts_with('-'));
    match name {
        Some(name) if loader.load_by_name(&name) => ExitCode::SUCCESS,
        _ => ExitCode::FAILURE,
    }
}
