//! What an earlier boot left where memory outlives a reset: the kernel's last words (`dmesg`, `console`) and our own
//! (`pmsg`), as files of pstore (`Documentation/ABI/testing/pstore`). They tell in which phase that boot ended, and how.
//!
//! They are read bounded and trusted for nothing: only words that this program itself would write are repeated. They are
//! removed, which gives the platform its memory back, when this boot is registered and a copy of each is kept.

use std::fmt;
use std::path::Path;

use data_encoding::HEXLOWER;
use report::text::clean;
use sha2::{Digest as _, Sha256};

use crate::phase::{Code, Phase};
use crate::system::System;

/// Where the kernel shows them.
const PSTORE: &str = "/sys/fs/pstore";
/// Where copies are kept, beside the state of the registration.
pub const KEPT: &str = "/run/assay/state/evidence";
/// What is read of one record: its end, where the last words stand.
const RECORD_BYTES_MAX: usize = 64 << 10;
/// What is read of all.
const ALL_BYTES_MAX: usize = 1 << 20;
/// Longest name of a record; the kernel's have about 30 bytes.
const NAME_BYTES_MAX: usize = 64;

/// One record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    /// Its file name in pstore.
    pub name: String,
    /// Its last bytes.
    pub bytes: Vec<u8>,
}

impl Record {
    /// SHA-256 of its last bytes.
    pub fn digest(&self) -> String {
        HEXLOWER.encode(&Sha256::digest(&self.bytes))
    }
}

/// How a boot ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum End {
    /// The kernel panicked.
    KernelPanic,
    /// The kernel met a fault of its own and went on.
    KernelOops,
    /// Our own word for why it failed.
    Failed(Code),
    /// The watchdog reset the machine.
    Watchdog,
    /// It went down or was registered as it should.
    Orderly,
    /// Nobody said anything: power failed, or somebody reset the machine.
    CutShort,
}

impl fmt::Display for End {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::KernelPanic => "KERNEL_PANIC",
            Self::KernelOops => "KERNEL_OOPS",
            Self::Failed(code) => code.name(),
            Self::Watchdog => "WATCHDOG",
            Self::Orderly => "ORDERLY",
            Self::CutShort => "CUT_SHORT",
        })
    }
}

/// Everything that was left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Evidence {
    /// The records that were read, sorted by name.
    pub records: Vec<Record>,
    /// What could not be read, as text.
    pub remarks: Vec<String>,
}

/// What the lines of one boot say.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Trace {
    phase: Option<Phase>,
    failed: Option<Code>,
    orderly: bool,
}

impl Evidence {
    /// Reads what is there. A platform without such memory has nothing.
    pub fn collect(system: &dyn System) -> Self {
        let mut this = Self::default();
        let mut left = ALL_BYTES_MAX;
        for entry in system.list(Path::new(PSTORE)).unwrap_or_default() {
            let name = entry.name;
            if !is_record(&name) {
                this.remarks.push(format!("`{}` in pstore is left alone", clean(&name)));
            } else if left == 0 {
                this.remarks.push(format!("`{name}` in pstore is left for the next boot"));
            } else {
                match system.read_end(&Path::new(PSTORE).join(&name), RECORD_BYTES_MAX.min(left)) {
                    Ok(bytes) => {
                        left -= bytes.len();
                        this.records.push(Record { name, bytes });
                    }
                    Err(error) => this.remarks.push(format!("reading `{name}` in pstore: {error}")),
                }
            }
        }
        this
    }

    /// The end of the previous boot on one line; `None` where nothing is known of it, or nothing is wrong.
    pub fn finding(&self, watchdog_bit: bool) -> Option<String> {
        let (trace, end) = (self.trace(), self.end(watchdog_bit));
        if end == End::Orderly || (self.records.is_empty() && !watchdog_bit) {
            return None;
        }
        let phase = trace.phase.map_or_else(|| "unknown".to_owned(), |phase| phase.to_string());
        let count = self.records.len();
        let records = if count == 1 { "record" } else { "records" };
        Some(format!("previous boot ended in phase {phase} ({end}), {count} {records} of it"))
    }

    /// The kernel's word goes before ours, and ours before the watchdog's, which knows only that nothing happened.
    fn end(&self, watchdog_bit: bool) -> End {
        let trace = self.trace();
        let dump =
            |word: &str| self.of_kind("dmesg-").any(|record| record.bytes.starts_with(word.as_bytes()));
        match trace.failed {
            // The first line of a dump says why it was made (`pstore_dump` in `fs/pstore/platform.c`).
            _ if dump("Panic#") => End::KernelPanic,
            _ if dump("Oops#") => End::KernelOops,
            Some(code) => End::Failed(code),
            None if watchdog_bit => End::Watchdog,
            None if trace.orderly => End::Orderly,
            None => End::CutShort,
        }
    }

    /// From our own box, where lines stand in order; else from the console's; else from the dumps. Those come in parts,
    /// the last lines first, so of them the one that is furthest in a boot counts.
    fn trace(&self) -> Trace {
        let known = |trace: &Trace| trace.phase.is_some();
        let ordered = ["pmsg-", "console-"].into_iter().flat_map(|kind| self.of_kind(kind));
        let mut dumps: Vec<_> = self.of_kind("dmesg-").map(trace_of).filter(known).collect();
        dumps.sort_by_key(|trace| trace.phase);
        ordered.map(trace_of).find(known).or(dumps.pop()).unwrap_or_default()
    }

    fn of_kind<'a>(&'a self, kind: &'a str) -> impl Iterator<Item = &'a Record> {
        self.records.iter().filter(move |record| record.name.starts_with(kind))
    }

    /// Keeps a copy of each and removes it from the platform's memory. Call it when the node is registered. What fails
    /// is returned as text, and stays where it is.
    pub fn settle(&self, system: &dyn System) -> Vec<String> {
        let kept = Path::new(KEPT);
        if self.records.is_empty() {
            return Vec::new();
        }
        if let Err(error) = system.make_dir(kept) {
            return vec![format!("making `{KEPT}`: {error}")];
        }
        let settle = |record: &Record| {
            system.create(&kept.join(&record.name), &record.bytes)?;
            system.remove(&Path::new(PSTORE).join(&record.name))
        };
        let failed = |record: &Record| {
            settle(record).err().map(|error| format!("`{}` stays in pstore: {error}", record.name))
        };
        self.records.iter().filter_map(failed).collect()
    }
}

/// A name that the kernel gives to a record, and that can stand in a path and on a console.
fn is_record(name: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"-_.".contains(&b);
    ["dmesg-", "console-", "pmsg-"].iter().any(|kind| name.starts_with(kind))
        && name.len() <= NAME_BYTES_MAX
        && name.bytes().all(plain)
}

/// What our lines in a record say of the last boot in it.
fn trace_of(record: &Record) -> Trace {
    let text = String::from_utf8_lossy(&record.bytes);
    let mut trace = Trace::default();
    for line in text.lines().filter_map(our_line) {
        let words: Vec<&str> = line.split([' ', ':']).collect();
        match words[..] {
            ["phase", name] => {
                if let Some(phase) = Phase::from_name(name) {
                    trace = Trace { phase: Some(phase), ..Trace::default() };
                }
            }
            ["failed", name, code, ..] => {
                trace.phase = Phase::from_name(name).or(trace.phase);
                trace.failed = Code::from_name(code).or(trace.failed);
            }
            ["registered", ..] => trace = Trace { phase: Some(Phase::Done), failed: None, orderly: true },
            ["power", "OFF" | "REBOOT"] => trace.orderly = true,
            _ => {}
        }
    }
    trace
}

/// What follows `assay: `, after a level (`<7>`) and times and callers in brackets, which the kernel puts before it.
fn our_line(line: &str) -> Option<&str> {
    let mut rest = line;
    for (open, close) in [('<', '>'), ('[', ']'), ('[', ']')] {
        if let Some((_, after)) = rest.strip_prefix(open).and_then(|inner| inner.split_once(close)) {
            rest = after.trim_start();
        }
    }
    rest.strip_prefix("assay: ").map(str::trim_end)
}

#[cfg(test)]
mod tests;
