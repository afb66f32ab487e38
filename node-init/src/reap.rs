//! The dead among the children of PID 1: orphans are buried, a child that somebody waits for is left to that one.
//!
//! A wait for any child would take a status that another thread waits for. So the reaper only looks (`WNOWAIT`), and takes
//! a status only of a number that nobody keeps; children are started under the lock that it looks under.

use std::collections::BTreeSet;
use std::io;
use std::process::Child;
use std::sync::{Mutex, PoisonError};

use rustix::process::{Pid, WaitId, WaitIdOptions, waitid};

use crate::system::linux::wait::dead_child;

/// Children that somebody waits for; they belong to the process as a whole, as its children do.
static KEPT: Mutex<BTreeSet<i32>> = Mutex::new(BTreeSet::new());

/// Starts a child whose status its starter takes; [`release`] it after that.
pub fn keep(spawn: impl FnOnce() -> io::Result<Child>) -> io::Result<Child> {
    let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
    let child = spawn()?;
    kept.insert(Pid::from_child(&child).as_raw_nonzero().get());
    Ok(child)
}

/// Its status was taken: the number may be another's from now on.
pub fn release(child: Pid) {
    KEPT.lock().unwrap_or_else(PoisonError::into_inner).remove(&child.as_raw_nonzero().get());
}

/// What a look found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reaped {
    /// Nobody is dead any more; so many orphans were buried.
    All(usize),
    /// So many were, and then came a child that somebody keeps: look again when it was taken.
    Waiting(usize),
}

/// Buries all orphans up to the first dead child that somebody keeps.
pub fn reap() -> Reaped {
    let mut count = 0;
    loop {
        let pid = match dead_child() {
            Ok(Some(pid)) => pid,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Ok(None) | Err(_) => return Reaped::All(count),
        };
        let kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        if kept.contains(&pid) {
            return Reaped::Waiting(count);
        }
        // Its starter may have taken the status since the look, and given the number free.
        if let Some(pid) = Pid::from_raw(pid) {
            let taken = waitid(WaitId::Pid(pid), WaitIdOptions::EXITED | WaitIdOptions::NOHANG);
            count += usize::from(matches!(taken, Ok(Some(_))));
        }
    }
}
