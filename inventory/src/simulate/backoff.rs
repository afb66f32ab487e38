//! How a node waits before it tries again: the law of `node-init` (`node-init/src/register/backoff.rs`), which this crate
//! may not use. A test of whole stories compares the two, draw by draw.

use std::time::Duration;

/// Ceiling of the first wait.
pub const BASE: Duration = Duration::from_millis(500);
/// Highest ceiling.
pub const CAP: Duration = Duration::from_secs(300);
/// A server may ask for a longer wait than [`CAP`], up to this.
pub const RETRY_AFTER_MAX: Duration = Duration::from_secs(3600);

/// The wait after `failures` failures beside this one; `draw` takes a ceiling and gives a duration from zero up to it.
pub fn wait(
    failures: u32,
    retry_after: Option<Duration>,
    draw: impl FnOnce(Duration) -> Duration,
) -> Duration {
    let doubled = BASE.saturating_mul(1_u32.checked_shl(failures).unwrap_or(u32::MAX));
    let floor = retry_after.unwrap_or_default().min(RETRY_AFTER_MAX);
    let room = CAP.saturating_sub(floor).max(BASE);
    floor + draw(doubled.min(CAP).min(room))
}
