//! A program that runs: its lines as they come, signals to it, and its end. Every wait has a deadline; past it the
//! program is killed and the test fails with what was said until then.

use std::io::{BufRead as _, BufReader, Read as _};
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

pub use rustix::process::Signal;
use rustix::process::{Pid, kill_process};

/// A program that runs.
#[derive(Debug)]
pub struct Running {
    pid: Pid,
    started: Instant,
    lines: Receiver<String>,
    ended: Receiver<(ExitStatus, Vec<u8>)>,
    said: String,
    over: bool,
}

/// How a program ended, and what it said.
#[derive(Debug)]
pub struct Ended {
    /// How.
    pub status: ExitStatus,
    /// All of standard output.
    pub stdout: Vec<u8>,
    /// All of standard error.
    pub stderr: String,
    /// How long it took.
    pub took: Duration,
}

impl Ended {
    /// Its exit code; `None` if a signal ended it.
    pub fn code(&self) -> Option<i32> {
        self.status.code()
    }

    /// Standard output as text.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }
}

/// Runs a program to its end.
///
/// # Panics
/// If it cannot be started, or is not over before the deadline.
pub fn run(command: &mut Command, deadline: Duration) -> Ended {
    Running::start(command).end(deadline)
}

#[expect(clippy::disallowed_methods, reason = "whole stories run real programs in real time")]
fn now() -> Instant {
    Instant::now()
}

impl Running {
    /// Starts a program with nothing on standard input.
    ///
    /// # Panics
    /// If it cannot be started.
    pub fn start(command: &mut Command) -> Self {
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap_or_else(|error| panic!("starting {command:?}: {error}"));
        let pid = Pid::from_child(&child);
        let (line, lines) = channel();
        let (end, ended) = channel();
        let stderr = child.stderr.take();
        std::thread::spawn(move || {
            for text in
                stderr.into_iter().flat_map(|stderr| BufReader::new(stderr).lines()).map_while(Result::ok)
            {
                // Who waits for no more lines still gets the end.
                let _ = line.send(text);
            }
        });
        let stdout = child.stdout.take();
        std::thread::spawn(move || {
            let mut bytes = Vec::new();
            let _ = stdout.map(|mut stdout| stdout.read_to_end(&mut bytes));
            let _ = child.wait().map(|status| end.send((status, bytes)));
        });
        Self { pid, started: now(), lines, ended, said: String::new(), over: false }
    }

    /// Waits for a line on standard error that begins so.
    ///
    /// # Panics
    /// If it ends or the deadline passes before.
    pub fn says(&mut self, beginning: &str, deadline: Duration) -> String {
        let until = now() + deadline;
        loop {
            match self.lines.recv_timeout(until.saturating_duration_since(now())) {
                Ok(line) => {
                    self.said += &line;
                    self.said.push('\n');
                    if line.starts_with(beginning) {
                        return line;
                    }
                }
                Err(error) => panic!("no line `{beginning}…` ({error}); it said:\n{}", self.said),
            }
        }
    }

    /// Sends it a signal.
    ///
    /// # Panics
    /// If it is not there any more.
    pub fn signal(&self, signal: Signal) {
        kill_process(self.pid, signal).unwrap_or_else(|error| panic!("signalling {:?}: {error}", self.pid));
    }

    /// Processes whose parent it is.
    pub fn children(&self) -> Vec<Process> {
        let all = std::fs::read_dir("/proc").into_iter().flatten().flatten();
        let ids = all.filter_map(|entry| entry.file_name().to_str().and_then(|name| name.parse().ok()));
        ids.filter(|id| stat(*id).is_some_and(|stat| stat.parent == self.pid.as_raw_pid()))
            .map(|id| Process { id })
            .collect()
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// If the deadline passes before.
    pub fn end(mut self, deadline: Duration) -> Ended {
        let left = deadline.saturating_sub(now() - self.started);
        let ended = self.ended.recv_timeout(left);
        let took = now() - self.started;
        match ended {
            Ok((status, stdout)) => {
                self.over = true;
                // Its end closed standard error: whatever it said is there.
                let rest: Vec<String> = self.lines.iter().collect();
                let stderr = format!("{}{}", self.said, rest.join("\n"));
                Ended { status, stdout, stderr, took }
            }
            Err(RecvTimeoutError::Timeout) => panic!("not over after {took:?}; it said:\n{}", self.said),
            Err(RecvTimeoutError::Disconnected) => panic!("waiting for it failed; it said:\n{}", self.said),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if !self.over {
            let _ = kill_process(self.pid, Signal::KILL);
        }
    }
}

/// Another process, by its id.
#[derive(Clone, Copy, Debug)]
pub struct Process {
    id: i32,
}

impl Process {
    /// Sends it a signal.
    ///
    /// # Panics
    /// If it is not there any more.
    pub fn signal(self, signal: Signal) {
        let sent = Pid::from_raw(self.id).map(|pid| kill_process(pid, signal));
        assert!(matches!(sent, Some(Ok(()))), "signalling {}: {sent:?}", self.id);
    }

    /// Waits until it is over (gone, or a zombie that nobody has reaped yet).
    ///
    /// # Panics
    /// If the deadline passes before.
    pub fn is_over_within(self, deadline: Duration) {
        // The end of a process that is not a child cannot be waited for; a channel on which nobody speaks is the pause.
        let (_never, silence) = channel::<()>();
        let until = now() + deadline;
        while stat(self.id).is_some_and(|stat| stat.state != 'Z') {
            assert!(now() < until, "process {} is still there after {deadline:?}", self.id);
            let _ = silence.recv_timeout(Duration::from_millis(5));
        }
    }
}

struct Stat {
    state: char,
    parent: i32,
}

/// State and parent from `/proc/ID/stat`; the name before them is in brackets and may hold anything (proc(5)).
fn stat(id: i32) -> Option<Stat> {
    let text = std::fs::read_to_string(Path::new("/proc").join(id.to_string()).join("stat")).ok()?;
    let (_, rest) = text.rsplit_once(") ")?;
    let mut words = rest.split(' ');
    Some(Stat { state: words.next()?.chars().next()?, parent: words.next()?.parse().ok()? })
}
