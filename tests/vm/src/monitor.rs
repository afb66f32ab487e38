//! QEMU's monitor (QMP, `docs/interop/qmp-spec.rst`): what is done to a machine while it runs.

use std::io::{BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use serde_json::{Value, json};

/// Longest wait for one line of QEMU's.
const PATIENCE: Duration = Duration::from_secs(120);

/// A connection to the monitor of one machine.
#[derive(Debug)]
pub(crate) struct Monitor {
    stream: BufReader<UnixStream>,
    /// Events that came while something else was waited for.
    events: Vec<String>,
}

impl Monitor {
    /// Speaks to the machine whose monitor is this socket.
    pub(crate) fn connect(socket: &Path) -> Result<Self> {
        let stream = UnixStream::connect(socket)
            .with_context(|| format!("connecting to the monitor `{}`", socket.display()))?;
        stream.set_read_timeout(Some(PATIENCE)).context("bounding the monitor's answers")?;
        let mut this = Self { stream: BufReader::new(stream), events: Vec::new() };
        this.execute("qmp_capabilities", &json!({}))?;
        Ok(this)
    }

    /// Executes a command; its answer.
    pub(crate) fn execute(&mut self, command: &str, arguments: &Value) -> Result<Value> {
        let text = json!({ "execute": command, "arguments": arguments }).to_string();
        self.stream.get_mut().write_all(text.as_bytes()).context("writing to the monitor")?;
        loop {
            let mut answer = self.read()?;
            if answer.get("error").is_some() {
                bail!("QEMU refuses `{text}`: {}", answer["error"]["desc"]);
            }
            if answer.get("return").is_some() {
                return Ok(answer["return"].take());
            }
        }
    }

    /// Executes a command of the monitor for people, which says nothing where all is well.
    pub(crate) fn say(&mut self, line: &str) -> Result<()> {
        let answer = self.execute("human-monitor-command", &json!({ "command-line": line }))?;
        match answer.as_str() {
            Some("") => Ok(()),
            _ => bail!("QEMU says to `{line}`: {answer}"),
        }
    }

    /// Waits for an event.
    pub(crate) fn event(&mut self, name: &str) -> Result<()> {
        while !self.events.iter().any(|event| event == name) {
            self.read().with_context(|| format!("waiting for QEMU's event {name}"))?;
        }
        Ok(())
    }

    fn read(&mut self) -> Result<Value> {
        let mut line = String::new();
        if self.stream.read_line(&mut line).context("reading from the monitor")? == 0 {
            bail!("QEMU closed its monitor");
        }
        let value: Value =
            serde_json::from_str(&line).with_context(|| format!("the monitor says `{line}`"))?;
        self.events.extend(value["event"].as_str().map(str::to_owned));
        Ok(value)
    }
}
