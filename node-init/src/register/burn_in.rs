//! Runs `burnin` as a child with a deadline from outside, and takes its report whatever it ended with.
//!
//! `burnin` bounds each of its checks itself; the deadline here is for the case that `burnin` itself hangs. The child has
//! a process group of its own, so that what it started ends with it.

use std::fs::{self, File};
use std::io::{self, Read as _};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::time::Duration;

use report::plan::Scope;
use report::wire::REPORT_BYTES_MAX;
use report::{Plan, Report};
use rustix::process::{Pid, Signal, kill_process_group};
use tracing::warn;

use crate::cgroup::Cell;
use crate::{durable, reap};

/// Beside the plan's own deadlines: start, enumeration, and writing the report.
const MARGIN: Duration = Duration::from_secs(120);
/// How long the child may take to end after it was told to, and again after it was killed.
pub const GRACE: Duration = Duration::from_secs(5);
/// How often the wait looks whether the operator wants to stop.
const TICK: Duration = Duration::from_millis(100);
/// Name of the report in the directory of results.
const REPORT: &str = "report.json";

/// One burn-in to run.
#[derive(Clone, Copy, Debug)]
pub struct BurnIn<'a> {
    /// The `burnin` program.
    pub program: &'a Path,
    /// Name of the plan.
    pub plan: &'a str,
    /// Where it puts its results; emptied before.
    pub out: &'a Path,
    /// When it is ended from outside.
    pub deadline: Duration,
    /// See [`GRACE`].
    pub grace: Duration,
    /// Bounds its memory, where there is one.
    pub cell: Option<&'a Cell>,
}

/// How the child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Ended {
    /// By itself.
    Exited(ExitStatus),
    /// It was ended at its deadline.
    Killed,
    /// It could not be ended: the kernel holds it in a driver.
    Unkillable,
}

/// Why there is no report.
#[derive(Debug, thiserror::Error)]
pub enum BurnInError {
    /// Room for the results could not be made.
    #[error("preparing `{}`: check `--state`", path.display())]
    Prepare {
        /// The directory.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The program does not start.
    #[error("starting `{}`: check `--burnin`", program.display())]
    Start {
        /// The program.
        program: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The operator stopped it.
    #[error("the burn-in was interrupted: start it again")]
    Interrupted,
    /// It was killed since it needed more memory than it may have, and left no report.
    #[error("the burn-in needed more than {} MiB of memory: give the node more, or a smaller plan", limit >> 20)]
    OutOfMemory {
        /// What it may have, in bytes.
        limit: u64,
        /// Why there is no report.
        #[source]
        source: Box<BurnInError>,
    },
    /// It left no report.
    #[error("`{}` cannot be read: see what burnin said above, run it by hand, then register again", path.display())]
    NoReport {
        /// Where the report should be.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The inventory would refuse it.
    #[error("`{}` is larger than {REPORT_BYTES_MAX} bytes: report this as a fault of burnin", path.display())]
    TooLarge {
        /// The report.
        path: PathBuf,
    },
    /// It is no report.
    #[error("`{}` is no report: use burnin and node-init of one release, then register again", path.display())]
    Malformed {
        /// The report.
        path: PathBuf,
        /// Why.
        #[source]
        source: report::document::ReadReportError,
    },
}

/// When a burn-in by this plan on so many devices must be over: all checks of all devices one after the other, each up to
/// its deadline, and [`MARGIN`].
pub fn deadline(plan: &Plan, devices: usize) -> Duration {
    let devices = u32::try_from(devices.max(1)).unwrap_or(u32::MAX);
    plan.checks.iter().fold(MARGIN, |sum, check| {
        let times = if check.scope == Scope::Device { devices } else { 1 };
        sum.saturating_add(Duration::from_secs(check.deadline_s.into()).saturating_mul(times))
    })
}

impl BurnIn<'_> {
    /// Runs it to its end or its deadline. Its progress goes to our standard error, its standard output to nowhere:
    /// ours carries the result alone.
    pub fn run(&self, interrupted: &AtomicBool) -> Result<Ended, BurnInError> {
        self.prepare().map_err(|source| BurnInError::Prepare { path: self.out.to_owned(), source })?;
        let mut command = Command::new(self.program);
        command
            .args(["run", "--plan", self.plan, "--out"])
            .arg(self.out)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .process_group(0);
        let started = reap::keep(|| command.spawn());
        // It starts processes of its own much later, when it has looked for devices.
        if let (Ok(child), Some(cell)) = (&started, self.cell)
            && let Err(error) = cell.take_in(child.id())
        {
            warn!(%error, "the burn-in's memory is not bounded");
        }
        let started = started.and_then(Running::watch);
        let running =
            started.map_err(|source| BurnInError::Start { program: self.program.to_owned(), source })?;
        let ended = match running.wait(self.deadline, interrupted) {
            Wait::Ended(status) => Ok(Ended::Exited(status)),
            Wait::Interrupted => {
                running.end(self.grace);
                Err(BurnInError::Interrupted)
            }
            Wait::Deadline if running.end(self.grace) => Ok(Ended::Killed),
            Wait::Deadline => Ok(Ended::Unkillable),
        };
        running.sweep();
        ended
    }

    /// Its report, or why there is none: a kill for want of memory is named as such.
    pub fn report(&self) -> Result<Vec<u8>, BurnInError> {
        let (report, kills) = (read_report(self.out), self.cell.map_or(0, Cell::kills));
        match (report, self.cell) {
            (Err(source), Some(cell)) if kills > 0 => {
                Err(BurnInError::OutOfMemory { limit: cell.limit(), source: Box::new(source) })
            }
            (report, _) => {
                if kills > 0 {
                    warn!(kills, "processes of the burn-in were killed since they needed more memory");
                }
                report
            }
        }
    }

    /// Removes what an attempt that left no report may have written, so that what is found afterwards is of this run.
    fn prepare(&self) -> io::Result<()> {
        match fs::remove_dir_all(self.out) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        self.out.parent().map_or(Ok(()), fs::create_dir_all)
    }
}

/// The report that a burn-in left in `out`, to the byte; on return it is on the disk.
pub fn read_report(out: &Path) -> Result<Vec<u8>, BurnInError> {
    let path = out.join(REPORT);
    let read = |path: &Path| {
        let mut bytes = Vec::new();
        File::open(path)?.take(REPORT_BYTES_MAX as u64 + 1).read_to_end(&mut bytes)?;
        durable::sync(path)?;
        Ok(bytes)
    };
    let bytes = match read(&path) {
        Ok(bytes) => bytes,
        Err(source) => return Err(BurnInError::NoReport { path, source }),
    };
    if bytes.len() > REPORT_BYTES_MAX {
        return Err(BurnInError::TooLarge { path });
    }
    match Report::from_json(&bytes) {
        Ok(_) => Ok(bytes),
        Err(source) => Err(BurnInError::Malformed { path, source }),
    }
}

/// A child that is waited for by a thread: a child that the kernel holds cannot be waited for with a deadline otherwise.
struct Running {
    group: Pid,
    ended: Receiver<io::Result<ExitStatus>>,
}

enum Wait {
    Ended(ExitStatus),
    Deadline,
    Interrupted,
}

impl Running {
    fn watch(mut child: Child) -> io::Result<Self> {
        let group = Pid::from_child(&child);
        let (sender, ended) = mpsc::channel();
        std::thread::Builder::new().name("burnin-wait".to_owned()).spawn(move || {
            let status = child.wait();
            reap::release(group);
            // Nobody listens any more to a child that could not be ended.
            let _ = sender.send(status);
        })?;
        Ok(Self { group, ended })
    }

    fn wait(&self, deadline: Duration, interrupted: &AtomicBool) -> Wait {
        let mut left = deadline;
        while !interrupted.load(Ordering::Relaxed) {
            let tick = left.min(TICK);
            match self.ended.recv_timeout(tick) {
                Ok(Ok(status)) => return Wait::Ended(status),
                // Waiting fails only where somebody else reaped the child: it is gone, with a status that nobody knows.
                Ok(Err(_)) | Err(RecvTimeoutError::Disconnected) => return Wait::Deadline,
                Err(RecvTimeoutError::Timeout) => left -= tick,
            }
            if left.is_zero() {
                return Wait::Deadline;
            }
        }
        Wait::Interrupted
    }

    /// Ends the whole group: first asked, so that `burnin` can write what it has, then killed. `false` if it is still
    /// there after both.
    fn end(&self, grace: Duration) -> bool {
        [Signal::TERM, Signal::KILL].into_iter().any(|signal| {
            // It fails only where the group is gone, which the wait then shows.
            let _ = kill_process_group(self.group, signal);
            !matches!(self.ended.recv_timeout(grace), Err(RecvTimeoutError::Timeout))
        })
    }

    /// Kills what the child left behind in its group: a worker without its `burnin` would hold its GPU for ever. The
    /// number of the group is not given to others while it has members; without any, this reaches nobody.
    fn sweep(&self) {
        let _ = kill_process_group(self.group, Signal::KILL);
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// A `burnin` that is a shell script; its directory of results is `$OUT`.
    fn burnin(script: &str) -> (tempfile::TempDir, PathBuf) {
        let dir = tempfile::tempdir().unwrap();
        let program = dir.path().join("burnin");
        write_program(&program, &format!("#!/bin/sh\nOUT=$5\nmkdir -p \"$OUT\"\n{script}\n"));
        (dir, program)
    }

    /// Written by a child: if this process had the file open for writing while another test forks, Linux would refuse to
    /// run it (`ETXTBSY`).
    pub(in crate::register) fn write_program(path: &Path, text: &str) {
        let write = "printf %s \"$1\" >\"$0\" && chmod 755 \"$0\"";
        let status = Command::new("sh").arg("-c").arg(write).arg(path).arg(text).status().unwrap();
        assert!(status.success());
    }

    fn run(program: &Path, out: &Path, deadline: Duration) -> Result<Ended, BurnInError> {
        let grace = Duration::from_millis(300);
        BurnIn { program, plan: "quick", out, deadline, grace, cell: None }.run(&AtomicBool::new(false))
    }

    const LONG: Duration = Duration::from_secs(60);

    #[test]
    fn a_report_counts_whatever_the_exit_code() {
        let report = crate::register::tests::REPORT;
        let (dir, program) = burnin(&format!(
            "[ \"$1 $2 $3 $4\" = 'run --plan quick --out' ] || exit 9\ncat >\"$OUT/report.json\" <<'E'\n{report}\nE\nexit 4"
        ));
        let out = dir.path().join("state/runs/boot-1");
        let Ended::Exited(status) = run(&program, &out, LONG).unwrap() else { panic!("killed") };
        assert_eq!(status.code(), Some(4));
        assert_eq!(read_report(&out).unwrap(), format!("{report}\n").as_bytes());
    }

    #[test]
    fn one_that_hangs_is_ended_at_its_deadline_with_all_that_it_started() {
        let (dir, program) = burnin("trap '' TERM\nsleep 1000 &\necho $! >\"$OUT/pid\"\nwait\nsleep 1000");
        let out = dir.path().join("run");
        assert_eq!(run(&program, &out, Duration::from_secs(2)).unwrap(), Ended::Killed);
        assert!(matches!(read_report(&out), Err(BurnInError::NoReport { .. })));
        assert!(is_gone(&out.join("pid")), "its child is gone too");
    }

    /// Is the process of that number gone, or soon?
    fn is_gone(pid: &Path) -> bool {
        let stat = format!("/proc/{}/stat", fs::read_to_string(pid).unwrap().trim());
        (0..1_000_000).any(|_| {
            std::thread::yield_now();
            fs::read_to_string(&stat).map_or(true, |text| text.contains(") Z "))
        })
    }

    #[test]
    fn what_it_leaves_behind_is_ended() {
        let (dir, program) = burnin("sleep 1000 >/dev/null 2>&1 &\necho $! >\"$OUT/pid\"\nexit 4");
        let out = dir.path().join("run");
        assert!(matches!(run(&program, &out, LONG).unwrap(), Ended::Exited(_)));
        assert!(is_gone(&out.join("pid")));
    }

    #[test]
    fn one_that_is_told_to_end_may_still_write_its_report() {
        let report = crate::register::tests::REPORT;
        let (dir, program) = burnin(&format!(
            "finish() {{ cat >\"$OUT/report.json\" <<'E'\n{report}\nE\nexit 4; }}\ntrap finish TERM\nsleep 1000 & wait"
        ));
        let out = dir.path().join("run");
        let grace = Duration::from_secs(20);
        let burn_in = BurnIn {
            program: &program,
            plan: "quick",
            out: &out,
            deadline: Duration::from_secs(2),
            grace,
            cell: None,
        };
        assert_eq!(burn_in.run(&AtomicBool::new(false)).unwrap(), Ended::Killed);
        assert!(read_report(&out).is_ok());
    }

    #[test]
    fn garbage_is_no_report_and_an_old_report_is_never_taken_for_a_new_one() {
        let (dir, program) = burnin("echo garbage >\"$OUT/report.json\"");
        let out = dir.path().join("run");
        run(&program, &out, LONG).unwrap();
        assert!(matches!(read_report(&out), Err(BurnInError::Malformed { .. })));
        fs::write(out.join(REPORT), vec![b' '; REPORT_BYTES_MAX + 1]).unwrap();
        assert!(matches!(read_report(&out), Err(BurnInError::TooLarge { .. })));
        let (_dir, nothing) = burnin("exit 0");
        run(&nothing, &out, LONG).unwrap();
        assert!(matches!(read_report(&out), Err(BurnInError::NoReport { .. })));
    }

    #[test]
    fn it_is_taken_into_its_cell_and_a_kill_for_want_of_memory_is_named() {
        let machine = crate::cgroup::tests::machine(2 << 20);
        let cell = Cell::make(machine.clone()).unwrap();
        let (dir, program) = burnin("echo $$ >\"$OUT/pid\"");
        let out = dir.path().join("run");
        let (plan, deadline, cell) = ("quick", LONG, Some(&cell));
        let burn_in = BurnIn { program: &program, plan, out: &out, deadline, grace: GRACE, cell };
        burn_in.run(&AtomicBool::new(false)).unwrap();
        let pid = fs::read_to_string(out.join("pid")).unwrap();
        assert_eq!(machine.text("/sys/fs/cgroup/burnin/cgroup.procs"), pid.trim());
        assert!(matches!(burn_in.report(), Err(BurnInError::NoReport { .. })));
        machine.put("/sys/fs/cgroup/burnin/memory.events", "oom_kill 1\n");
        let error = burn_in.report().unwrap_err();
        assert!(error.to_string().starts_with("the burn-in needed more than 1536 MiB of memory"), "{error}");
        fs::write(out.join(REPORT), crate::register::tests::REPORT).unwrap();
        assert!(burn_in.report().is_ok(), "a report counts all the same");
    }

    #[test]
    fn an_operator_can_stop_it_and_a_missing_program_is_named() {
        let (dir, program) = burnin("sleep 1000");
        let out = dir.path().join("run");
        let burn_in =
            BurnIn { program: &program, plan: "quick", out: &out, deadline: LONG, grace: GRACE, cell: None };
        assert!(matches!(burn_in.run(&AtomicBool::new(true)), Err(BurnInError::Interrupted)));
        let error = run(Path::new("/nonexistent/burnin"), &out, LONG).unwrap_err();
        assert_eq!(error.to_string(), "starting `/nonexistent/burnin`: check `--burnin`");
    }

    #[test]
    fn the_deadline_grows_with_the_devices() {
        let plan = Plan::built_in("quick").unwrap();
        let (one, eight) = (deadline(&plan, 1), deadline(&plan, 8));
        let of_devices =
            plan.checks.iter().filter(|c| c.scope == Scope::Device).map(|c| u64::from(c.deadline_s));
        assert_eq!(eight - one, Duration::from_secs(7 * of_devices.sum::<u64>()));
        assert_eq!(deadline(&plan, 0), one);
        assert!(deadline(&plan, usize::MAX) > eight);
    }
}
