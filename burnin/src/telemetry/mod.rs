//! Power, clocks, temperature and throttle reasons beside every check, taken by a process of its own: a library or an
//! attribute of a driver that hangs must cost its samples and nothing else.
//!
//! [`sample`] is that process: [`nvml`] for NVIDIA, [`sysfs`] for AMD and Intel, by the PCI address. [`Sampler`] is the side
//! that listens: readings between the beginning and the end of a check on a device are that check's. It reads and never
//! sets.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Read, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use report::telemetry::Reading;
use report::{Bdf, DeviceId, DeviceInfo, DeviceKind, Telemetry};
use serde::{Deserialize, Serialize};

pub mod nvml;
pub mod sample;
pub mod sysfs;

/// How often a device is asked.
const INTERVAL: Duration = Duration::from_millis(100);
/// How long the sampler may say nothing: loading a driver's library takes a second or two, a reading milliseconds.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// Longest line of a sampler of ours.
const LINE_BYTES_MAX: u64 = 64 << 10;
/// Readings of one check that are kept: a day of them.
const KEPT_MAX: usize = 1_000_000;

/// What a sampler is to do.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// The devices.
    pub targets: Vec<Target>,
    /// How often each is asked, in milliseconds.
    pub interval_ms: u64,
}

/// One device.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// Its name in the report.
    pub id: DeviceId,
    /// Where it is.
    pub address: Bdf,
}

/// What a sampler says.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Word {
    /// Where the readings of a device come from, or why there are none.
    Source(DeviceId, Result<String, String>),
    /// A reading.
    Reading(DeviceId, Reading),
}

/// What was heard of one device.
#[derive(Debug, Default)]
struct Heard {
    source: Option<Result<String, String>>,
    readings: Vec<Reading>,
}

/// What was heard of all devices.
#[derive(Debug, Default)]
struct Ear {
    devices: HashMap<DeviceId, Heard>,
    words: u64,
    closed: bool,
}

/// A sampler that runs. Dropped, it is killed.
#[derive(Debug)]
pub struct Sampler {
    child: Option<Child>,
    /// Open as long as it is to go on.
    _stdin: Option<ChildStdin>,
    ear: Arc<Mutex<Ear>>,
    patience: Duration,
    /// How many words there were, and when there was last a new one.
    heard: Option<(u64, Duration)>,
    /// Why nothing more comes.
    lost: Option<String>,
}

impl Drop for Sampler {
    fn drop(&mut self) {
        self.end();
    }
}

impl Sampler {
    /// Starts `program telemetry` for the devices that have a PCI address. Without any, or if it does not start, there is
    /// nothing to be heard, and the reason is kept.
    pub fn start(program: &Path, devices: &[DeviceInfo], patience: Duration) -> Self {
        let targets: Vec<_> = devices
            .iter()
            .filter(|device| device.kind != DeviceKind::Cpu)
            .filter_map(|device| Some(Target { id: device.id.clone(), address: device.address? }))
            .collect();
        let ear = Arc::default();
        let (child, stdin, lost) = if targets.is_empty() {
            (None, None, Some("no GPU with a PCI address".to_owned()))
        } else {
            let interval_ms = u64::try_from(INTERVAL.as_millis()).unwrap_or(u64::MAX);
            match spawn(program, &Job { targets, interval_ms }) {
                Ok((child, stdin, stdout)) => {
                    let listening = Arc::clone(&ear);
                    std::thread::spawn(move || listen(stdout, &listening));
                    (Some(child), Some(stdin), None)
                }
                Err(error) => (None, None, Some(format!("the sampler did not start: {error}"))),
            }
        };
        Self { child, _stdin: stdin, ear, patience, heard: None, lost }
    }

    /// Readings of this device from now on are those of a check.
    pub fn begin(&mut self, device: &DeviceId) {
        if let Some(heard) = self.ear().devices.get_mut(device) {
            heard.readings.clear();
        }
    }

    /// The readings since [`Self::begin`], summed up; or why there are none, where one would expect some.
    pub fn take(&mut self, device: &DeviceId) -> Result<Telemetry, String> {
        let mut ear = self.ear();
        let lost = || self.lost.clone().unwrap_or_else(|| "no sample came in time".to_owned());
        let Some(heard) = ear.devices.get_mut(device) else { return Err(lost()) };
        let readings = std::mem::take(&mut heard.readings);
        match &heard.source {
            Some(Ok(source)) => Telemetry::of(source, &readings).ok_or_else(lost),
            Some(Err(why)) => Err(why.clone()),
            None => Err(lost()),
        }
    }

    /// Why nothing is to be heard; absent while it speaks.
    pub fn silence(&self) -> Option<&str> {
        self.lost.as_deref()
    }

    /// Looks whether it still speaks, and ends it if it does not. The reason, once.
    pub fn keep(&mut self, now: Duration) -> Option<String> {
        self.child.as_ref()?;
        let (words, closed) = {
            let ear = self.ear();
            (ear.words, ear.closed)
        };
        let why = match self.heard {
            _ if closed => self.last_words(),
            Some((before, since)) if before == words => {
                if now.saturating_sub(since) <= self.patience {
                    return None;
                }
                format!("the sampler said nothing for {} s and was ended", self.patience.as_secs())
            }
            _ => {
                self.heard = Some((words, now));
                return None;
            }
        };
        self.end();
        self.lost = Some(why.clone());
        Some(why)
    }

    /// Why it ended by itself: no device has a source, or something broke.
    fn last_words(&self) -> String {
        let ear = self.ear();
        let sources = || ear.devices.values().filter_map(|heard| heard.source.as_ref());
        if ear.devices.is_empty() || sources().any(Result::is_ok) {
            return "the sampler ended by itself".to_owned();
        }
        let mut reasons: Vec<_> = sources().filter_map(|source| source.as_ref().err().cloned()).collect();
        reasons.sort();
        reasons.dedup();
        reasons.join("; ")
    }

    /// Kills it and does not wait: it may sit in a driver.
    fn end(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            // Reaps it if it is over at once; else init does.
            let _ = child.try_wait();
        }
    }

    fn ear(&self) -> std::sync::MutexGuard<'_, Ear> {
        self.ear.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn spawn(program: &Path, job: &Job) -> std::io::Result<(Child, ChildStdin, std::process::ChildStdout)> {
    let mut child = Command::new(program)
        .arg("telemetry")
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        // As with workers: Ctrl-C is for the parent.
        .process_group(0)
        .spawn()?;
    let pipes = child.stdin.take().zip(child.stdout.take());
    let (mut stdin, stdout) = pipes.ok_or_else(|| std::io::Error::other("a pipe is missing"))?;
    let mut line = serde_json::to_vec(job).unwrap_or_default();
    line.push(b'\n');
    stdin.write_all(&line)?;
    Ok((child, stdin, stdout))
}

fn listen(stdout: impl Read, ear: &Mutex<Ear>) {
    let mut reader = BufReader::new(stdout);
    loop {
        let mut line = Vec::new();
        match Read::take(&mut reader, LINE_BYTES_MAX).read_until(b'\n', &mut line) {
            Ok(1..) if line.ends_with(b"\n") => {}
            _ => break,
        }
        // A library may print; such lines are not ours.
        let Ok(word) = serde_json::from_slice(&line) else { continue };
        let mut ear = ear.lock().unwrap_or_else(PoisonError::into_inner);
        ear.words += 1;
        match word {
            Word::Source(device, source) => ear.devices.entry(device).or_default().source = Some(source),
            Word::Reading(device, reading) => {
                let heard = ear.devices.entry(device).or_default();
                if heard.readings.len() < KEPT_MAX {
                    heard.readings.push(reading);
                }
            }
        }
    }
    ear.lock().unwrap_or_else(PoisonError::into_inner).closed = true;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sampler(words: &[Word], closed: bool) -> Sampler {
        let mut text: Vec<u8> = b"a library prints\n[]\n".to_vec();
        for word in words {
            text.extend(serde_json::to_vec(word).unwrap());
            text.push(b'\n');
        }
        let ear = Arc::new(Mutex::new(Ear::default()));
        listen(&text[..], &ear);
        ear.lock().unwrap().closed = closed;
        let patience = Duration::from_secs(10);
        Sampler { child: None, _stdin: None, ear, patience, heard: None, lost: None }
    }

    fn id() -> DeviceId {
        DeviceId("0000:3b:00.0".to_owned())
    }

    fn reading(watts: f64) -> Word {
        let power_w = report::Quantity::new(watts).ok();
        Word::Reading(id(), Reading { power_w, ..Reading::default() })
    }

    #[test]
    fn readings_belong_to_the_check_between_whose_beginning_and_end_they_came() {
        let mut sampler = sampler(&[Word::Source(id(), Ok("NVML".to_owned())), reading(90.0)], false);
        sampler.begin(&id());
        assert!(sampler.take(&id()).is_err(), "nothing came since");
        sampler.ear().devices.get_mut(&id()).unwrap().readings.push(Reading::default());
        let telemetry = sampler.take(&id()).unwrap();
        assert_eq!((telemetry.source.as_str(), telemetry.samples), ("NVML", 1));
        assert!(sampler.take(&id()).is_err());
    }

    #[test]
    fn a_device_without_a_source_says_why() {
        let why = "opening libnvidia-ml.so.1: not there".to_owned();
        let mut sampler = sampler(&[Word::Source(id(), Err(why.clone()))], true);
        assert_eq!(sampler.take(&id()), Err(why.clone()));
        assert_eq!(sampler.last_words(), why);
        assert!(sampler.take(&DeviceId("other".to_owned())).is_err());
    }
}
