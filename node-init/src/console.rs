//! What a boot says: on every console that the kernel has, and in its log.
//!
//! The kernel repeats its log on the console; lines for both go to the log at the level that it does not repeat by default
//! (debug, `<7>`).

use std::path::{Path, PathBuf};
use std::sync::Arc;

use report::text::clean;

use crate::system::System;

/// The kernel's log takes about 1 kB a line (`LOG_LINE_MAX` in `kernel/printk`), with the prefix.
const LINE_BYTES_MAX: usize = 900;

/// All consoles of this node, and the kernel's log.
#[derive(Clone, Debug)]
pub struct Console {
    system: Arc<dyn System>,
    ttys: Vec<PathBuf>,
}

impl Console {
    /// The console that the kernel started us with; nothing is opened yet.
    pub fn first(system: Arc<dyn System>) -> Self {
        Self { system, ttys: vec![PathBuf::from("/dev/console")] }
    }

    /// Takes the new `/dev/console` for standard streams, and every console that the kernel lists for [`Console::say`].
    pub fn open(&mut self) -> std::io::Result<()> {
        // Its limit of ten lines in five seconds would swallow ours.
        let _ = self.system.write(Path::new("/proc/sys/kernel/printk_devkmsg"), b"on\n");
        let active = self.system.read(Path::new("/sys/class/tty/console/active")).unwrap_or_default();
        let ttys = String::from_utf8_lossy(&active);
        let ttys: Vec<_> = ttys.split_whitespace().map(|tty| Path::new("/dev").join(tty)).collect();
        if !ttys.is_empty() {
            self.ttys = ttys;
        }
        self.system.open_console(Path::new("/dev/console"))
    }

    /// Says `assay: TEXT`. Never fails: there is nobody to tell.
    pub fn say(&self, text: &str) {
        let text = clean(text);
        for tty in &self.ttys {
            let _ = self.system.write(tty, format!("assay: {text}\n").as_bytes());
        }
        self.log(&text);
    }

    /// The kernel's log only.
    pub fn log(&self, text: &str) {
        let mut end = text.len().min(LINE_BYTES_MAX);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        let _ = self.system.write(Path::new("/dev/kmsg"), format!("<7>assay: {}\n", &text[..end]).as_bytes());
        // Where the platform keeps a black box over a reset (ramoops), the next boot finds the line there.
        let _ = self.system.write(Path::new("/dev/pmsg0"), format!("assay: {}\n", &text[..end]).as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::recorder::Recorder;

    #[test]
    fn every_console_and_the_log_get_a_line() {
        let machine = Arc::new(Recorder::machine());
        machine.put("/sys/class/tty/console/active", "tty0 ttyS0\n");
        let mut console = Console::first(machine.clone());
        console.open().unwrap();
        console.say("phase mount\u{1b}[2J");
        for tty in ["/dev/tty0", "/dev/ttyS0"] {
            assert_eq!(machine.text(tty), "assay: phase mount?[2J\n");
        }
        assert_eq!(machine.text("/dev/kmsg"), "<7>assay: phase mount?[2J\n");
    }

    #[test]
    fn a_long_line_is_cut_between_characters() {
        let machine = Arc::new(Recorder::machine());
        let console = Console::first(machine.clone());
        console.log(&"é".repeat(800));
        assert!(machine.text("/dev/kmsg").len() <= LINE_BYTES_MAX + 16);
    }
}
