//! The reaper in a process of its own, since it buries every child: ten thousand orphans, and no status of a kept child
//! lost between them.

#![cfg(target_os = "linux")]
#![allow(clippy::unwrap_used, reason = "in a test, what does not work fails it")]
#![allow(missing_docs, reason = "a test")]

use std::process::Command;
use std::sync::atomic::{AtomicBool, Ordering};

use node_init::reap::{self, Reaped, reap};

#[test]
fn ten_thousand_orphans_are_buried_and_no_kept_status_is_lost() {
    // Orphans of our own descendants come to us, as all orphans come to PID 1.
    rustix::process::set_child_subreaper(Some(rustix::process::getpid())).unwrap();
    let done = AtomicBool::new(false);
    let buried = std::thread::scope(|scope| {
        let reaper = scope.spawn(|| {
            let mut buried = 0;
            while !done.load(Ordering::Relaxed) {
                let (Reaped::All(count) | Reaped::Waiting(count)) = reap();
                buried += count;
                std::thread::yield_now();
            }
            buried
        });
        for round in 0..100_i32 {
            // A shell whose children outlive it by nothing: each `( : & )` leaves one orphan.
            let script = format!("for i in $(seq 100); do ( : & ); done; exit {}", round % 7);
            let mut child = reap::keep(|| Command::new("sh").args(["-c", &script]).spawn()).unwrap();
            let pid = rustix::process::Pid::from_child(&child);
            let status = child.wait().unwrap();
            reap::release(pid);
            assert_eq!(status.code(), Some(round % 7));
        }
        // The last of them may still be on their way here.
        let children = format!("/proc/self/task/{}/children", std::process::id());
        while !std::fs::read_to_string(&children).unwrap().is_empty() {
            std::thread::yield_now();
        }
        done.store(true, Ordering::Relaxed);
        reaper.join().unwrap()
    });
    assert_eq!(buried, 10_000);
}
