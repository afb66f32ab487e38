//! Fresh tokens, by a program of the site's, such as `inventory token`.

use std::ffi::OsString;
use std::process::{Output, Stdio};
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::process::Command;
use tokio::sync::Semaphore;
use tokio::time::timeout;

/// How long the program may take.
pub(super) const DEADLINE: Duration = Duration::from_secs(10);
/// So many may run at once; further machines wait their turn.
const AT_ONCE: usize = 4;
/// What every token begins with.
const PREFIX: &str = "assay-";
/// So much of what the program complains of is repeated.
const COMPLAINT_CHARS: usize = 500;

/// A token. It has no `Debug` and no `Display`: it goes into a site layer and nowhere else.
pub(super) struct Token(String);

impl Token {
    /// For the site layer.
    pub(super) fn reveal(&self) -> &str {
        &self.0
    }
}

/// The program.
pub(super) struct Source {
    program: OsString,
    arguments: Vec<OsString>,
    turns: Semaphore,
}

impl Source {
    /// A program and its arguments.
    pub(super) fn new(command: &[OsString]) -> anyhow::Result<Self> {
        let (program, arguments) = command.split_first().context("the token command is empty")?;
        Ok(Self { program: program.clone(), arguments: arguments.to_vec(), turns: Semaphore::new(AT_ONCE) })
    }

    /// Runs the program. The errors say nothing of what it printed to its standard output.
    pub(super) async fn ask(&self, deadline: Duration) -> anyhow::Result<Token> {
        let name = self.program.to_string_lossy();
        let _turn = self.turns.acquire().await?;
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let child = command.spawn().with_context(|| format!("starting `{name}`"))?;
        let mut group = Group(child.id());
        let Ok(output) = timeout(deadline, child.wait_with_output()).await else {
            bail!("`{name}` has not answered for {deadline:?}");
        };
        group.0 = None;
        read(&output.with_context(|| format!("waiting for `{name}`"))?)
            .with_context(|| format!("asking `{name}`"))
    }
}

/// The program and what it started: ended with the wait, also when the machine that asked has gone.
struct Group(Option<u32>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0.and_then(|id| i32::try_from(id).ok()).and_then(Pid::from_raw) {
            // It may have ended just now.
            let _ = kill_process_group(group, Signal::KILL);
        }
    }
}

fn read(output: &Output) -> anyhow::Result<Token> {
    if !output.status.success() {
        bail!("it failed ({}): {}", output.status, complaint(&output.stderr));
    }
    let text = String::from_utf8_lossy(&output.stdout);
    let token = text.trim();
    let plain = token.len() > PREFIX.len() && token.bytes().all(|byte| byte.is_ascii_graphic());
    ensure!(plain && token.starts_with(PREFIX), "its standard output is no token and nothing else");
    Ok(Token(token.to_owned()))
}

/// What a program complains of, on one line and without what looks like a token.
fn complaint(text: &[u8]) -> String {
    let text = String::from_utf8_lossy(text);
    let words = text.split_whitespace().map(|word| if word.contains(PREFIX) { "[hidden]" } else { word });
    let line = words.collect::<Vec<_>>().join(" ");
    let shown: String = line.chars().filter(|c| !c.is_control()).take(COMPLAINT_CHARS).collect();
    if shown.is_empty() { "it does not say why".to_owned() } else { shown }
}

#[cfg(test)]
mod tests {
    use super::*;

    async fn ask(script: &str, deadline: Duration) -> Result<String, String> {
        let source = Source::new(&["sh", "-c", script].map(OsString::from)).unwrap();
        source.ask(deadline).await.map(|token| token.reveal().to_owned()).map_err(|e| format!("{e:#}"))
    }

    #[tokio::test]
    async fn a_line_with_a_token_is_one_and_nothing_else_is() {
        assert_eq!(ask("echo assay-id-secret", DEADLINE).await.unwrap(), "assay-id-secret");
        for bad in
            ["true", "echo", "echo assay-", "echo no", "echo assay-a; echo assay-b", "echo '\"assay-a\"'"]
        {
            assert!(ask(bad, DEADLINE).await.unwrap_err().contains("is no token"), "{bad}");
        }
    }

    #[tokio::test]
    async fn a_failure_is_repeated_without_what_looks_like_a_token() {
        let error = ask("echo assay-out-x; echo 'store assay-err-y is locked' >&2; exit 3", DEADLINE).await;
        let error = error.unwrap_err();
        assert!(error.contains("exit status: 3): store [hidden] is locked"), "{error}");
        assert!(!error.contains("assay-"), "{error}");
        assert!(ask("exit 1", DEADLINE).await.unwrap_err().contains("it does not say why"));
    }

    #[tokio::test]
    async fn a_program_that_does_not_answer_is_ended_with_all_that_it_started() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("pid");
        let script = format!("sleep 600 & echo $! >'{}'; wait", file.display());
        // Two seconds for a shell to start on a busy machine.
        let error = ask(&script, Duration::from_secs(2)).await.unwrap_err();
        assert!(error.contains("has not answered for 2s"), "{error}");
        let pid: i32 = std::fs::read_to_string(&file).unwrap().trim().parse().unwrap();
        // Killed: gone, or waiting to be collected by whoever adopted it.
        let ended = || {
            let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            stat.rsplit_once(')').is_none_or(|(_, rest)| rest.trim_start().starts_with(['Z', 'X']))
        };
        while !ended() {
            tokio::task::yield_now().await;
        }
    }
}
