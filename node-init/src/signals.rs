//! What PID 1 is told by signals. Linux drops what the first process does not handle, so that each that means something
//! stands here; children get the default back when they start.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use libc::SIGPWR;
use signal_hook::consts::{SIGCHLD, SIGINT, SIGTERM, SIGUSR1, SIGUSR2};
use signal_hook::iterator::Signals;

use crate::clock::{Clock as _, Monotonic};
use crate::console::Console;
use crate::power::{self, Power};
use crate::reap::{Reaped, reap};
use crate::system::System;

/// How long to leave a dead child to who keeps it before looking again.
const AGAIN: Duration = Duration::from_millis(5);

/// What a signal asks for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Wish {
    /// A child is dead.
    Reap,
    /// Stop the machine.
    Stop(Power),
}

/// Ctrl-alt-del is SIGINT; SIGUSR1 and SIGUSR2 are busybox's halt and power off; the real-time ones are systemd's halt,
/// power off and reboot (`systemd(1)`). A machine that is told to halt is powered off.
fn wish_of(signal: i32) -> Option<Wish> {
    let real_time = signal.checked_sub(libc::SIGRTMIN());
    match (signal, real_time) {
        (SIGCHLD, _) => Some(Wish::Reap),
        (SIGINT | SIGTERM, _) | (_, Some(5)) => Some(Wish::Stop(Power::Reboot)),
        (SIGUSR1 | SIGUSR2 | SIGPWR, _) | (_, Some(3 | 4)) => Some(Wish::Stop(Power::Off)),
        _ => None,
    }
}

/// Handles signals in a thread of its own, from now on.
pub fn watch(system: Arc<dyn System>) -> io::Result<()> {
    let real_time = [3, 4, 5].map(|n| libc::SIGRTMIN() + n);
    let plain = [SIGCHLD, SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGPWR];
    let mut signals = Signals::new(plain.iter().chain(&real_time))?;
    let run = move || {
        let clock = Monotonic::start();
        for signal in signals.forever() {
            match wish_of(signal) {
                Some(Wish::Reap) => {
                    while matches!(reap(), Reaped::Waiting(_)) {
                        clock.sleep(AGAIN);
                    }
                }
                Some(Wish::Stop(power)) => {
                    let console = Console::first(Arc::clone(&system));
                    console.say(&format!("told to stop by signal {signal}"));
                    power::apply(&*system, &console, &clock, power);
                }
                None => {}
            }
        }
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(run).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_signal_has_its_meaning() {
        let stop = |power| Some(Wish::Stop(power));
        assert_eq!(wish_of(SIGCHLD), Some(Wish::Reap));
        assert_eq!((wish_of(SIGINT), wish_of(SIGTERM)), (stop(Power::Reboot), stop(Power::Reboot)));
        assert_eq!((wish_of(SIGUSR2), wish_of(SIGPWR)), (stop(Power::Off), stop(Power::Off)));
        assert_eq!(wish_of(libc::SIGRTMIN() + 5), stop(Power::Reboot));
        assert_eq!(wish_of(libc::SIGRTMIN() + 6), None);
    }
}
