//! The log of this program: to standard error, at the level of `ASSAY_LOG`, which the configuration of a boot may change.

use std::sync::OnceLock;

use tracing_subscriber::EnvFilter;

/// Puts another filter in the place of the one that is used.
type Reload = Box<dyn Fn(EnvFilter) + Send + Sync>;

/// The log belongs to the process as a whole.
static RELOAD: OnceLock<Reload> = OnceLock::new();

/// Starts it. Call it once, first of all.
pub fn start() {
    let filter = EnvFilter::try_from_env("ASSAY_LOG").unwrap_or_else(|_| EnvFilter::new("info"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    let log = log.with_filter_reloading();
    let handle = log.reload_handle();
    log.init();
    // It fails only where the log has ended, and then nobody reads it.
    let reload = move |filter| drop(handle.reload(filter));
    let _ = RELOAD.set(Box::new(reload));
}

/// Logs from now on what is at this level (`off`, `error`, `warn`, `info`, `debug`, `trace`) or above it. Without
/// [`start`] there is no log to change.
pub fn set(level: &str) {
    if let Some(reload) = RELOAD.get() {
        reload(EnvFilter::new(level));
    }
}

#[cfg(test)]
mod tests {
    use tracing::{Level, enabled};

    #[test]
    fn the_level_can_be_changed_while_it_runs() {
        super::start();
        for (level, info, debug) in [("error", false, false), ("debug", true, true), ("info", true, false)] {
            super::set(level);
            assert_eq!((enabled!(Level::INFO), enabled!(Level::DEBUG)), (info, debug), "{level}");
        }
    }
}
