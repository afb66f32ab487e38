//! The server under load: the program itself, as a child on the loopback, with what the kernel says of its use.

use std::fs::{self, File};
use std::io;
use std::net::SocketAddr;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use rustix::thread::{CpuSet, sched_setaffinity};
use serde::Serialize;
use tokio::time::{Instant, sleep};

use super::line::{Inventory, TrustError};
use crate::clock::SystemClock;
use crate::files::DataDir;
use crate::store::{self, TTL_MAX, TokenError};

/// How long it may take to start and to stop.
const PATIENCE: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Why there is no server to load.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// It cannot be started.
    #[error("starting `{program}`")]
    Start {
        /// Which program.
        program: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// It ended by itself.
    #[error("the server ended by itself; its log is `{log}`")]
    Ended {
        /// What it said.
        log: PathBuf,
    },
    /// It does not listen.
    #[error("the server does not listen after {} s; its log is `{log}`", PATIENCE.as_secs())]
    Silent {
        /// What it said.
        log: PathBuf,
    },
    /// The kernel does not tell of it.
    #[error("reading `{path}`")]
    Proc {
        /// Which file.
        path: String,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Its certificate cannot be trusted.
    #[error(transparent)]
    Trust(#[from] TrustError),
    /// No tokens.
    #[error("making tokens")]
    Token(#[from] TokenError),
}

/// A running server. It is ended when this is dropped.
#[derive(Debug)]
pub struct ServerUnderLoad {
    child: Child,
    data: DataDir,
    log: PathBuf,
    address: SocketAddr,
}

/// What a server used.
#[derive(Clone, Copy, Debug, Default, Serialize)]
pub struct Usage {
    /// Processor time of the whole process.
    pub cpu_s: f64,
    /// Resident memory now.
    pub resident_mib: u64,
    /// The most that it ever was.
    pub resident_peak_mib: u64,
    /// Threads now.
    pub threads: u64,
}

impl ServerUnderLoad {
    /// Starts this very program on a free port with its data below `dir`; `more` are further arguments.
    pub async fn start(dir: &Path, more: &[&str]) -> Result<Self, ServerError> {
        let program = std::env::current_exe()
            .map_err(|source| ServerError::Start { program: "inventory".to_owned(), source })?;
        let failed = |source| ServerError::Start { program: program.display().to_string(), source };
        let (data, log) = (DataDir::at(dir.join("inventory")), dir.join("server.log"));
        // Of a server that was killed: the address of the new one is not known before it says so.
        let _ = fs::remove_file(data.endpoint());
        let out = File::options().create(true).append(true).open(&log).map_err(failed)?;
        let child = Command::new(&program)
            .args(["serve", "--listen", "127.0.0.1:0", "--data"])
            .arg(dir.join("inventory"))
            .args(more)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(out)
            .spawn()
            .map_err(failed)?;
        let address = SocketAddr::from(([127, 0, 0, 1], 0));
        let mut server = Self { child, data, log, address };
        server.address = server.listening().await?;
        Ok(server)
    }

    async fn listening(&mut self) -> Result<SocketAddr, ServerError> {
        let started = Instant::now();
        while started.elapsed() < PATIENCE {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return Err(ServerError::Ended { log: self.log.clone() });
            }
            let told = fs::read_to_string(self.data.endpoint());
            if let Some(address) = told.ok().and_then(|text| text.trim().parse().ok()) {
                return Ok(address);
            }
            sleep(LOOK_EVERY).await;
        }
        Err(ServerError::Silent { log: self.log.clone() })
    }

    /// How nodes reach it.
    pub fn inventory(&self) -> Result<Inventory, ServerError> {
        Ok(Inventory::new(self.address, &self.data.ca_certificate())?)
    }

    /// Its files.
    pub fn data(&self) -> &DataDir {
        &self.data
    }

    /// So many tokens for that plan.
    pub fn tokens(&self, plan: &str, count: usize) -> Result<Vec<String>, ServerError> {
        /// Made in one transaction: the server waits meanwhile.
        const AT_ONCE: usize = 2000;
        let mut tokens = Vec::with_capacity(count);
        while tokens.len() < count {
            let many = AT_ONCE.min(count - tokens.len());
            let issued = store::issue(self.data.database(), &SystemClock, plan, TTL_MAX, many)?;
            tokens.extend(issued.into_iter().map(|token| token.token));
        }
        Ok(tokens)
    }

    /// What it used up to now.
    pub fn usage(&self) -> Result<Usage, ServerError> {
        let read = |name: &str| {
            let path = format!("/proc/{}/{name}", self.child.id());
            fs::read_to_string(&path).map_err(|source| ServerError::Proc { path, source })
        };
        Ok(usage(&read("stat")?, &read("status")?))
    }

    /// Ends it as an operator does.
    pub async fn stop(mut self) -> Result<(), ServerError> {
        let started = Instant::now();
        signal(&self.child, Signal::TERM);
        while started.elapsed() < PATIENCE {
            if matches!(self.child.try_wait(), Ok(Some(_))) {
                return Ok(());
            }
            sleep(LOOK_EVERY).await;
        }
        Err(ServerError::Silent { log: self.log.clone() })
    }
}

impl Drop for ServerUnderLoad {
    fn drop(&mut self) {
        // It may have ended already; then there is nothing to do.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Puts a server that is started from here on the first processor, and this program on all others afterwards.
pub(super) struct Apart(CpuSet);

impl Apart {
    pub(super) fn before_the_server() -> Result<Self, ServerError> {
        let mut first = CpuSet::new();
        first.set(0);
        let others = std::thread::available_parallelism().map_or(1, NonZero::get).max(2);
        move_to(&first)?;
        let mut rest = CpuSet::new();
        (1..others).for_each(|number| rest.set(number));
        Ok(Self(rest))
    }

    pub(super) fn after_it_started(self) -> Result<(), ServerError> {
        move_to(&self.0)
    }
}

/// All threads of this program.
fn move_to(set: &CpuSet) -> Result<(), ServerError> {
    for thread in threads(std::process::id())? {
        // One that ended meanwhile needs no place.
        let _ = sched_setaffinity(Some(thread), set);
    }
    Ok(())
}

fn threads(process: u32) -> Result<Vec<Pid>, ServerError> {
    let path = format!("/proc/{process}/task");
    let entries = fs::read_dir(&path).map_err(|source| ServerError::Proc { path, source })?;
    let number = |entry: io::Result<fs::DirEntry>| entry.ok()?.file_name().to_str()?.parse().ok();
    Ok(entries.filter_map(number).filter_map(Pid::from_raw).collect())
}

fn signal(child: &Child, signal: Signal) {
    if let Some(pid) = i32::try_from(child.id()).ok().and_then(Pid::from_raw) {
        // It may have ended already.
        let _ = kill_process(pid, signal);
    }
}

/// From `/proc/PID/stat` (fields 14 and 15, in clock ticks) and `/proc/PID/status` (see proc(5)).
fn usage(stat: &str, status: &str) -> Usage {
    // The second field, a name in brackets, may hold anything.
    let fields: Vec<_> =
        stat.rsplit_once(')').map(|(_, rest)| rest.split_whitespace().collect()).unwrap_or_default();
    let ticks = |field: usize| fields.get(field - 3).and_then(|text| text.parse().ok()).unwrap_or(0_u32);
    let number = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name));
        line.and_then(|rest| rest.split_whitespace().next()?.parse::<u64>().ok()).unwrap_or_default()
    };
    /// `sysconf(_SC_CLK_TCK)` is 100 on every Linux that we run on.
    const TICKS_PER_S: f64 = 100.0;
    Usage {
        cpu_s: f64::from(ticks(14) + ticks(15)) / TICKS_PER_S,
        resident_mib: number("VmRSS:") / 1024,
        resident_peak_mib: number("VmHWM:") / 1024,
        threads: number("Threads:"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_kernel_tells_is_read_whatever_the_name_of_the_program() {
        let stat = "4711 (a) b 1) S 1 2 3 4 5 6 7 8 9 10 150 50 0 0 20 0 5 0 99";
        let status = "Name:\ta) b\nVmHWM:\t  204800 kB\nVmRSS:\t  102400 kB\nThreads:\t7\n";
        let usage = usage(stat, status);
        assert_eq!((usage.cpu_s, usage.resident_peak_mib), (2.0, 200));
        assert_eq!((usage.resident_mib, usage.threads), (100, 7));
    }
}
