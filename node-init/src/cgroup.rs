//! A bound on the memory of the burn-in, so that what it takes too much ends it and not init: a control group of Linux
//! (`Documentation/admin-guide/cgroup-v2.rst`).

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::system::System;

const ROOT: &str = "/sys/fs/cgroup";
/// What is left to init and the kernel.
const RESERVE_BYTES: u64 = 512 << 20;

/// The group of the burn-in.
#[derive(Debug)]
pub struct Cell {
    system: Arc<dyn System>,
    dir: PathBuf,
    limit: u64,
}

/// Why there is no bound.
#[derive(Debug, thiserror::Error)]
pub enum CellError {
    /// The size of the memory is not known.
    #[error("`/proc/meminfo` names no total: mount procfs on `/proc`")]
    Total,
    /// A file of the group.
    #[error("writing `{}`: boot a kernel with the memory controller", path.display())]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl Cell {
    /// Makes it: all memory but a reserve of 512 MiB, and at least half.
    pub fn make(system: Arc<dyn System>) -> Result<Self, CellError> {
        let text = system.read(Path::new("/proc/meminfo")).unwrap_or_default();
        let total = total_bytes(&String::from_utf8_lossy(&text)).ok_or(CellError::Total)?;
        let limit = total.saturating_sub(RESERVE_BYTES).max(total / 2);
        let dir = Path::new(ROOT).join("burnin");
        let failed = |path: &Path| {
            let path = path.to_owned();
            |source| CellError::Write { path, source }
        };
        let control = Path::new(ROOT).join("cgroup.subtree_control");
        system.write(&control, b"+memory").map_err(failed(&control))?;
        system.make_dir(&dir).map_err(failed(&dir))?;
        let max = dir.join("memory.max");
        system.write(&max, limit.to_string().as_bytes()).map_err(failed(&max))?;
        Ok(Self { system, dir, limit })
    }

    /// The bound in bytes.
    pub fn limit(&self) -> u64 {
        self.limit
    }

    /// Takes a process in, with all that it starts from now on.
    pub fn take_in(&self, process: u32) -> io::Result<()> {
        self.system.write(&self.dir.join("cgroup.procs"), process.to_string().as_bytes())
    }

    /// How many of its processes were killed since they needed more; 0 where the kernel does not say.
    pub fn kills(&self) -> u64 {
        let events = self.system.read(&self.dir.join("memory.events")).unwrap_or_default();
        let events = String::from_utf8_lossy(&events).into_owned();
        events.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok()).unwrap_or(0)
    }
}

/// `MemTotal` of `/proc/meminfo`, whose kB are KiB.
fn total_bytes(text: &str) -> Option<u64> {
    let line = text.lines().find_map(|line| line.strip_prefix("MemTotal:"))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    kib.checked_mul(1024)
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;
    use crate::system::recorder::Recorder;

    pub(crate) fn machine(total_kib: u64) -> Arc<Recorder> {
        let machine = Recorder::machine();
        machine.put("/proc/meminfo", &format!("MemTotal:       {total_kib} kB\nMemFree: 1 kB\n"));
        for file in ["cgroup.subtree_control", "burnin/memory.max", "burnin/cgroup.procs"] {
            machine.put(&format!("{ROOT}/{file}"), "");
        }
        Arc::new(machine)
    }

    #[test]
    fn a_reserve_is_left_and_half_at_least_given() {
        for (total_mib, limit_mib) in [(8192, 7680), (1024, 512), (600, 300), (512, 256)] {
            let machine = machine(total_mib << 10);
            let cell = Cell::make(machine.clone()).unwrap();
            assert_eq!(cell.limit(), limit_mib << 20, "{total_mib}");
            assert_eq!(machine.text("/sys/fs/cgroup/burnin/memory.max"), (limit_mib << 20).to_string());
            assert_eq!(machine.text("/sys/fs/cgroup/cgroup.subtree_control"), "+memory");
            cell.take_in(77).unwrap();
            assert_eq!(machine.text("/sys/fs/cgroup/burnin/cgroup.procs"), "77");
        }
    }

    #[test]
    fn only_kills_are_counted() {
        let machine = machine(1 << 20);
        let cell = Cell::make(machine.clone()).unwrap();
        assert_eq!(cell.kills(), 0);
        for (text, kills) in
            [("oom 3\noom_kill 2\noom_group_kill 9\n", 2), ("oom_kill x\n", 0), ("oom 1\n", 0)]
        {
            machine.put("/sys/fs/cgroup/burnin/memory.events", text);
            assert_eq!(cell.kills(), kills, "{text}");
        }
    }

    #[test]
    fn whatever_call_fails_there_is_an_error_and_not_an_unbounded_cell() {
        for n in 0..4 {
            let machine = machine(1 << 20);
            machine.fail_at(n);
            assert!(Cell::make(machine.clone()).is_err(), "call {n}");
        }
        assert_eq!(total_bytes("MemTotal: 5 MB\n"), None);
    }
}
