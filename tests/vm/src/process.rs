//! Programs that run beside a story: their lines with a deadline, and their end.

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail};

/// A program that runs, until it is dropped.
#[derive(Debug)]
pub(crate) struct Running {
    child: Child,
    name: String,
    started: Instant,
    lines: Receiver<String>,
    said: Vec<String>,
    /// Are lines of ours shown as they come?
    pub(crate) tell: bool,
}

#[expect(clippy::disallowed_methods, reason = "whole stories run in real time")]
fn now() -> Instant {
    Instant::now()
}

impl Running {
    /// Starts it; what it says on standard error is kept in a file too.
    pub(crate) fn start(command: &mut Command, log: &Path) -> Result<Self> {
        let name = command.get_program().to_string_lossy().into_owned();
        log.parent().map(std::fs::create_dir_all).transpose().context("making the folder of logs")?;
        let mut kept = std::fs::File::create(log).with_context(|| format!("creating `{}`", log.display()))?;
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().with_context(|| format!("starting `{name}`"))?;
        let (line, lines) = channel();
        let stderr = child.stderr.take().map(BufReader::new).context("its standard error is not there")?;
        std::thread::spawn(move || {
            for bytes in stderr.split(b'\n').map_while(Result::ok) {
                // A console is written for a terminal.
                let text = crate::console::plain(&bytes);
                let _ = writeln!(kept, "{text}");
                if line.send(text).is_err() {
                    break;
                }
            }
        });
        Ok(Self { child, name, started: now(), lines, said: Vec::new(), tell: false })
    }

    /// Waits for a line that holds this text; the line from there on.
    pub(crate) fn line(&mut self, text: &str, deadline: Duration) -> Result<String> {
        if let Some(found) = self.said.iter().find_map(|line| from(line, text)) {
            return Ok(found);
        }
        let until = now() + deadline;
        loop {
            match self.next(until)? {
                Some(line) => {
                    if let Some(found) = from(&line, text) {
                        return Ok(found);
                    }
                }
                None => bail!("`{}` did not say `{text}`; its last words:\n{}", self.name, self.tail()),
            }
        }
    }

    /// Waits until it ends by itself.
    pub(crate) fn off(&mut self, deadline: Duration) -> Result<ExitStatus> {
        let until = now() + deadline;
        while self.next(until)?.is_some() {}
        match self.child.try_wait().context("asking for its end")? {
            Some(status) => Ok(status),
            // Its standard error is closed: it is about to end.
            None if now() < until => self.child.wait().context("waiting for its end"),
            None => bail!("`{}` goes on; its last words:\n{}", self.name, self.tail()),
        }
    }

    /// How long it has been there.
    pub(crate) fn took(&self) -> Duration {
        now() - self.started
    }

    /// The next line; `None` at its end or at the deadline.
    fn next(&mut self, until: Instant) -> Result<Option<String>> {
        match self.lines.recv_timeout(until.saturating_duration_since(now())) {
            Ok(line) => {
                self.keep(&line);
                Ok(Some(line))
            }
            Err(RecvTimeoutError::Timeout | RecvTimeoutError::Disconnected) => Ok(None),
        }
    }

    fn keep(&mut self, line: &str) {
        if self.tell
            && let Some(ours) = from(line, "assay: ")
        {
            let _ = writeln!(std::io::stdout(), "  {:7.1} s  {ours}", self.took().as_secs_f64());
        }
        self.said.push(line.to_owned());
    }

    fn tail(&self) -> String {
        self.said[self.said.len().saturating_sub(25)..].join("\n")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The rest of the line from this text on.
fn from(line: &str, text: &str) -> Option<String> {
    line.find(text).map(|at| line[at..].trim_end().to_owned())
}
