//! The sampler's side: ask each device in turn, say what it tells, until the parent closes the pipe.

use std::io::{BufRead, Write};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use discover::Root;
use report::Quantity;
use report::telemetry::Reading;

use super::nvml::{Board, Library};
use super::sysfs::Card;
use super::{Job, Target, Word};
use crate::clock::{Clock as _, MonotonicClock};

/// Samples the devices of the job that stands on `input`, and says what they tell on `output`, until `closed` is.
pub fn sample(
    input: &mut dyn BufRead,
    closed: impl FnOnce() -> Receiver<()>,
    output: &mut dyn Write,
) -> std::io::Result<()> {
    // It must not outlive its parent.
    let _ = rustix::process::set_parent_process_death_signal(Some(rustix::process::Signal::KILL));
    let mut line = String::new();
    input.read_line(&mut line)?;
    let job: Job = serde_json::from_str(&line)?;
    // From here on only the end of the input is of interest.
    let closed = closed();
    let library = Library::open();
    let root = Root::machine();
    let mut sources = Vec::new();
    for target in job.targets {
        let (name, source) = match open(&root, &library, &target) {
            Ok((name, source)) => (Ok(name.to_owned()), Some(source)),
            Err(why) => (Err(why), None),
        };
        say(output, &Word::Source(target.id.clone(), name))?;
        sources.extend(source.map(|source| (target.id, source)));
    }
    let clock = MonotonicClock::start();
    // Without a source there is nothing to stay for; the reasons have been said.
    while !sources.is_empty() {
        for (device, source) in &mut sources {
            let at_s = Quantity::new(clock.now().as_secs_f64()).ok();
            say(output, &Word::Reading(device.clone(), Reading { at_s, ..source.read(&root) }))?;
        }
        match closed.recv_timeout(Duration::from_millis(job.interval_ms)) {
            Err(RecvTimeoutError::Timeout) => {}
            Ok(()) | Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    Ok(())
}

/// Ends when standard input does: the parent is done.
pub fn until_closed() -> Receiver<()> {
    let (open, closed) = channel();
    std::thread::spawn(move || {
        let _ = std::io::copy(&mut std::io::stdin(), &mut std::io::sink());
        drop(open);
    });
    closed
}

fn say(output: &mut dyn Write, word: &Word) -> std::io::Result<()> {
    let mut line = serde_json::to_vec(word)?;
    line.push(b'\n');
    output.write_all(&line)?;
    output.flush()
}

/// Where the readings of one device come from.
enum Source<'a> {
    Board(Board<'a>),
    Card(Card),
}

impl Source<'_> {
    fn read(&mut self, root: &Root) -> Reading {
        match self {
            Self::Board(board) => board.read(),
            Self::Card(card) => card.read(root),
        }
    }
}

fn open<'a>(
    root: &Root,
    library: &'a Library,
    target: &Target,
) -> Result<(&'static str, Source<'a>), String> {
    let driver = root.link_name(&format!("sys/bus/pci/devices/{}/driver", target.address));
    match driver.ok().flatten().as_deref() {
        Some("nvidia") => library.board(target.address).map(|board| ("NVML", Source::Board(board))),
        Some(driver) => Card::open(root, target.address, driver, MonotonicClock::start())
            .map(|card| (card.source(), Source::Card(card))),
        None => Err(format!("no kernel driver is bound to {}", target.address)),
    }
}
