//! Ctrl-C and a polite end (SIGINT, SIGTERM): while a burn-in runs they end the burn-in first, at any other time this
//! process dies of them as usual; the journal makes that safe.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

/// What the operator wants.
#[derive(Debug, Default)]
pub(super) struct Interrupt {
    wanted: Arc<AtomicBool>,
    deadly: Arc<AtomicBool>,
}

impl Interrupt {
    /// Watches for both signals from now on.
    pub(super) fn watch() -> io::Result<Self> {
        let this = Self { wanted: Arc::default(), deadly: Arc::new(AtomicBool::new(true)) };
        for signal in [SIGINT, SIGTERM] {
            flag::register_conditional_default(signal, Arc::clone(&this.deadly))?;
            flag::register(signal, Arc::clone(&this.wanted))?;
        }
        Ok(this)
    }

    /// Nobody can interrupt.
    pub(super) fn never() -> Self {
        Self::default()
    }

    /// Runs something that looks at the flag by itself.
    pub(super) fn during<T>(&self, run: impl FnOnce(&AtomicBool) -> T) -> T {
        self.deadly.store(false, Ordering::SeqCst);
        let result = run(&self.wanted);
        self.deadly.store(true, Ordering::SeqCst);
        result
    }
}
