//! The parent's side: start a worker, listen, keep its deadlines from outside, and end it.
//!
//! A worker that is killed is waited for only a few seconds: one that sits in the driver, unkillable, is left behind and
//! reported.

use std::io::{BufRead, BufReader, Write};
use std::os::unix::process::{CommandExt as _, ExitStatusExt as _};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::time::Duration;

use super::{Event, Job};
use crate::chains::Replayed;

/// How long a killed worker may take to end before it counts as unkillable.
const KILL_PATIENCE: Duration = Duration::from_secs(5);
/// Longest line a worker may say; more is not a worker of ours.
const LINE_BYTES_MAX: u64 = 4 << 20;

/// How much of a line that is not ours goes to the log.
const LOGGED_BYTES_MAX: usize = 200;

/// Why a worker could not be started or understood.
#[derive(Debug, thiserror::Error)]
pub enum SuperviseError {
    /// It did not start.
    #[error("starting the worker `{program}`")]
    Start {
        /// The program.
        program: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The job could not be handed over.
    #[error("handing the job to the worker")]
    Job(#[source] std::io::Error),
    /// It said nothing in time.
    #[error("the worker was not done after {0} s: the driver hangs")]
    TimedOut(u64),
    /// It ended without an answer.
    #[error("the worker ended without an answer: {0}")]
    Ended(String),
}

/// What comes from a worker.
#[derive(Debug)]
pub enum Said {
    /// An event.
    Event(Event),
    /// It will say no more.
    Closed,
}

/// A worker that runs. Dropped, it is killed: nobody keeps its deadlines any more.
#[derive(Debug)]
pub struct Worker {
    child: Child,
}

impl Drop for Worker {
    fn drop(&mut self) {
        // It is not waited for: it may be unkillable.
        self.send_kill();
    }
}

impl Worker {
    /// Starts `program worker`, hands it the job, and sends what it says, marked with `tag`, to `sink`.
    pub fn start(
        program: &PathBuf,
        job: &Job,
        tag: usize,
        sink: Sender<(usize, Said)>,
    ) -> Result<Self, SuperviseError> {
        let child = Command::new(program)
            .arg("worker")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            // Mesa's layer that puts a desktop's favourite device first reads beyond the list where a driver shows no
            // device at all (22.3.6), and a node whose GPU is gone would look like one with a broken driver.
            .env("NODEVICE_SELECT", "1")
            // A group of its own: Ctrl-C on the terminal is for the parent, which ends its workers in order.
            .process_group(0)
            .spawn()
            .map_err(|source| SuperviseError::Start { program: program.clone(), source })?;
        let mut worker = Self { child };
        let mut line = serde_json::to_vec(job).unwrap_or_default();
        line.push(b'\n');
        if let Some(mut stdin) = worker.child.stdin.take() {
            stdin.write_all(&line).map_err(SuperviseError::Job)?;
        }
        if let Some(stdout) = worker.child.stdout.take() {
            std::thread::spawn(move || listen(stdout, tag, &sink));
        }
        Ok(worker)
    }

    /// Kills it and does not wait.
    pub fn send_kill(&mut self) {
        // Where it ended before, this does nothing.
        let _ = self.child.kill();
    }

    /// Kills it and waits a little; `None` if it does not end: the driver holds it in the kernel.
    pub fn kill(&mut self) -> Option<ExitStatus> {
        self.send_kill();
        self.wait(KILL_PATIENCE)
    }

    /// Waits for its end, at most so long.
    pub fn wait(&mut self, patience: Duration) -> Option<ExitStatus> {
        const STEP: Duration = Duration::from_millis(10);
        // A channel on which nobody speaks is a sleep that needs no clock.
        let (_never, silence) = channel::<()>();
        let mut left = patience;
        loop {
            if let Ok(Some(status)) = self.child.try_wait() {
                return Some(status);
            }
            left = left.checked_sub(STEP)?;
            let _ = silence.recv_timeout(STEP);
        }
    }
}

fn listen(stdout: impl std::io::Read, tag: usize, sink: &Sender<(usize, Said)>) {
    let mut reader = BufReader::new(stdout);
    loop {
        let mut line = Vec::new();
        match std::io::Read::take(&mut reader, LINE_BYTES_MAX).read_until(b'\n', &mut line) {
            Ok(0) | Err(_) => break,
            Ok(bytes) if bytes as u64 == LINE_BYTES_MAX && !line.ends_with(b"\n") => {
                tracing::warn!(bytes, "a line without end: the worker is not heard any more");
                break;
            }
            Ok(_) => match serde_json::from_slice(&line) {
                Ok(event) => {
                    if sink.send((tag, Said::Event(event))).is_err() {
                        break;
                    }
                }
                // A driver may print to standard output; such lines are not ours.
                Err(_) => {
                    let start = &line[..line.len().min(LOGGED_BYTES_MAX)];
                    let start = report::text::clean(String::from_utf8_lossy(start).trim());
                    tracing::warn!(line = %start, "not an event of a worker")
                }
            },
        }
    }
    let _ = sink.send((tag, Said::Closed));
}

/// How a worker ended, for people.
pub fn describe(status: Option<ExitStatus>) -> String {
    match status {
        None => "it cannot be killed".to_owned(),
        Some(status) => match (status.code(), status.signal()) {
            (Some(code), _) => format!("exit code {code}"),
            (None, Some(signal)) => format!("signal {signal}"),
            (None, None) => "no exit code".to_owned(),
        },
    }
}

/// Asks a worker of its own for the devices of a backend.
pub fn list(program: &PathBuf, job: &Job, deadline: Duration) -> Result<Vec<report::DeviceInfo>, String> {
    ask(program, job, deadline, |event| match event {
        Event::Listed(listed) => Some(listed),
        _ => None,
    })
}

/// Has a worker of its own run a tile again and again.
pub fn replay(program: &PathBuf, job: &Job, deadline: Duration) -> Result<Box<Replayed>, String> {
    ask(program, job, deadline, |event| match event {
        Event::Replayed(replayed) => Some(replayed),
        _ => None,
    })
}

/// The one answer of a worker to its job.
fn ask<T>(
    program: &PathBuf,
    job: &Job,
    deadline: Duration,
    answer: impl Fn(Event) -> Option<Result<T, String>>,
) -> Result<T, String> {
    let (sink, events) = channel();
    let mut worker = Worker::start(program, job, 0, sink).map_err(|error| error.to_string())?;
    let said = match events.recv_timeout(deadline) {
        Ok((_, Said::Event(event))) => answer(event),
        Ok((_, Said::Closed)) | Err(RecvTimeoutError::Disconnected) => None,
        Err(RecvTimeoutError::Timeout) => {
            worker.kill();
            return Err(SuperviseError::TimedOut(deadline.as_secs()).to_string());
        }
    };
    match said {
        Some(answer) => {
            worker.wait(KILL_PATIENCE);
            answer
        }
        None => Err(SuperviseError::Ended(describe(worker.kill())).to_string()),
    }
}
