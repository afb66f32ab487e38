//! What people and their programs ask.

pub(super) mod nodes;
pub(super) mod node;
pub(super) mod readiness;
pub(super) mod history;
pub(super) mod reports;
pub(super) mod wish;
pub(super) mod labels;
pub(super) mod allocation;
pub(super) mod audit;
pub(super) mod watch;
pub(super) mod metrics;
pub(super) mod targets;
pub(super) mod ansible;
pub(super) mod health;
mod ask;
mod etag;
mod stream;

/// Rows of a page, where the request does not say.
const LIMIT: u32 = 100;
/// Most rows of a page.
const LIMIT_MAX: u32 = 500;
