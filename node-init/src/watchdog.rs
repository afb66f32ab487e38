//! The hardware watchdog, fed by progress: a boot that hangs is not fed, and the hardware starts the machine again.
//!
//! Where there is no such hardware, what hangs is said on the console all the same, and the policy for failures applied.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use crate::clock::{Clock as _, Monotonic};
use crate::console::Console;
use crate::phase::{Code, Failure};
use crate::power;
use crate::progress::Progress;
use crate::system::System;

const DEVICE: &str = "/dev/watchdog0";
/// How often it is fed; the hardware's own time is 10 s at least.
const FEED: Duration = Duration::from_secs(3);
/// The reset was the watchdog's (`WDIOF_CARDRESET` in `include/uapi/linux/watchdog.h`).
const CARD_RESET: u32 = 0x20;

/// A phase that took too long.
#[derive(Debug, thiserror::Error)]
#[error("nothing has happened for {} s longer than it may take: look at the last lines before this", .0.as_secs())]
struct Hang(Duration);

/// Did the watchdog reset this machine before this boot? `None` where there is none, or it does not know.
pub fn bit_before(system: &dyn System) -> Option<bool> {
    let text = system.read(Path::new("/sys/class/watchdog/watchdog0/bootstatus")).ok()?;
    let status: u32 = String::from_utf8_lossy(&text).trim().parse().ok()?;
    Some(status & CARD_RESET != 0)
}

/// Watches in a thread of its own, as long as this process lives. The device comes with its driver, later.
pub fn watch(system: Arc<dyn System>, progress: Arc<Progress>) -> io::Result<()> {
    let run = move || {
        let clock = Monotonic::start();
        let mut device: Option<File> = None;
        loop {
            if let Some(late) = progress.overdue() {
                let console = Console::first(Arc::clone(&system));
                let failure = Failure::new(progress.phase(), Code::Hang, Hang(late));
                console.say(&format!("failed {failure}"));
                // The device stays open and hungry: it ends what the policy cannot.
                power::apply(&*system, &console, &clock, progress.policy());
            }
            device = device.or_else(|| OpenOptions::new().write(true).open(DEVICE).ok());
            // Any byte but `V` feeds it. A device that fails resets the machine, which is its purpose.
            let _ = device.as_mut().map(|device| device.write_all(b"\0"));
            clock.sleep(FEED);
        }
    };
    std::thread::Builder::new().name("watchdog".to_owned()).spawn(run).map(|_| ())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::recorder::Recorder;

    #[test]
    fn a_reset_by_the_watchdog_is_known() {
        let machine = Recorder::machine();
        assert_eq!(bit_before(&machine), None);
        for (text, bit) in [("0\n", Some(false)), ("32\n", Some(true)), ("33\n", Some(true)), ("x", None)] {
            machine.put("/sys/class/watchdog/watchdog0/bootstatus", text);
            assert_eq!(bit_before(&machine), bit, "{text}");
        }
    }
}
