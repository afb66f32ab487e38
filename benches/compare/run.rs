//! Starting programs: ours and peers', in turn, each with a time after which it is ended.

use std::io::Read as _;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use report::bench::{Bench, Figure};
use rustix::process::{Pid, Signal, kill_process};

use crate::peers::{Ending, Peer, Row};

/// How long a program may take to end once it was asked to.
const GRACE: Duration = Duration::from_secs(10);

/// Runs a peer once and reads its figures; a run without any is an error that shows what it printed.
pub(crate) fn peer(folder: &Path, peer: &Peer) -> Result<Vec<Row>> {
    let mut command = Command::new(folder.join(peer.name));
    command.args(peer.arguments).current_dir(folder).env("VK_LAYER_PATH", "/nonexistent");
    let output = output(command, peer.time, peer.ending)?;
    let rows = (peer.read)(&output);
    if rows.is_empty() {
        bail!("`{}` printed no figure, but:\n{output}", peer.name);
    }
    Ok(rows)
}

/// Runs our bench once; the median of every row that is to be believed, as check, metric, rate.
pub(crate) fn ours(burnin: &Path, checks: &str, seconds: u32) -> Result<Vec<(String, String, f64)>> {
    let mut command = Command::new(burnin);
    command.args(["bench", "--json", "--only", checks, "--seconds", &seconds.to_string()]);
    let output = output(command, Duration::from_secs(900), Ending::Itself)?;
    let bench: Bench = serde_json::from_str(&output)
        .with_context(|| format!("reading the bench that `{}` printed: {output:.400}", burnin.display()))?;
    let mut rows = Vec::new();
    for row in &bench.rows {
        if let Some(Figure::Rate(rate)) = &row.figure {
            if !row.is_believed() {
                bail!("our `{}` is not to be believed: {:?}", row.check, row.reason);
            }
            let found = &rate.measurement;
            rows.push((row.check.as_str().to_owned(), found.metric.clone(), found.median.get()));
        }
    }
    Ok(rows)
}

fn output(mut command: Command, time: Duration, ending: Ending) -> Result<String> {
    let named = format!("{command:?}");
    let mut child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::null())
        .spawn()
        .with_context(|| format!("starting {named}"))?;
    let mut pipe = child.stdout.take().context("a pipe was asked for")?;
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        let mut bytes = Vec::new();
        let _ = pipe.read_to_end(&mut bytes);
        let _ = sender.send(bytes);
    });
    let bytes = match receiver.recv_timeout(time) {
        Ok(bytes) => bytes,
        Err(_) if ending == Ending::Interrupted => {
            end(&child, Signal::INT)?;
            receiver.recv_timeout(GRACE).with_context(|| format!("{named} does not end when interrupted"))?
        }
        Err(_) => {
            end(&child, Signal::KILL)?;
            bail!("{named} was not done after {} s", time.as_secs());
        }
    };
    child.wait().with_context(|| format!("waiting for {named}"))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

fn end(child: &Child, signal: Signal) -> Result<()> {
    let pid = i32::try_from(child.id()).ok().and_then(Pid::from_raw).context("a process has an id")?;
    kill_process(pid, signal).context("ending a program")
}
