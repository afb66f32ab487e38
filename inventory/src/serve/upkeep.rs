//! What the server does by itself: follows the last change for those who watch, moves nodes that are due, and writes down
//! what it kept in memory.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};

use crate::clock::Clock;
use crate::store::Store;

/// How often.
#[derive(Clone, Copy, Debug)]
pub struct UpkeepTimes {
    /// Looking for the last change.
    pub follow: Duration,
    /// Moving nodes that are due.
    pub settle: Duration,
    /// Writing down heartbeats and uses of keys.
    pub flush: Duration,
}

impl Default for UpkeepTimes {
    fn default() -> Self {
        Self {
            follow: Duration::from_millis(200),
            settle: Duration::from_secs(1),
            flush: Duration::from_secs(10),
        }
    }
}

/// The task.
#[derive(Debug)]
pub(super) struct Upkeep {
    pub(super) store: Store,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) times: UpkeepTimes,
    /// Dropped with the task, which ends every stream.
    pub(super) head: watch::Sender<u64>,
}

impl Upkeep {
    /// For ever. What fails is done again at the next turn.
    pub(super) async fn run(self) {
        let mut turns = interval(self.times.follow);
        turns.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let (mut settled, mut flushed) = (Instant::now(), Instant::now());
        loop {
            turns.tick().await;
            self.follow().await;
            if settled.elapsed() >= self.times.settle {
                settled = Instant::now();
                if let Err(error) = self.store.settle_due(self.clock.now()).await {
                    tracing::warn!(%error, "nodes that are due could not be looked for");
                }
            }
            if flushed.elapsed() >= self.times.flush {
                flushed = Instant::now();
                flush(&self.store, self.clock.as_ref()).await;
            }
        }
    }

    async fn follow(&self) {
        // The interface itself holds one receiver; without a stream nobody needs to know.
        if self.head.receiver_count() < 2 {
            return;
        }
        let store = self.store.clone();
        match tokio::task::spawn_blocking(move || store.view(|view| view.head())).await {
            Ok(Ok(head)) => {
                self.head.send_if_modified(|known| std::mem::replace(known, head) != head);
            }
            Ok(Err(error)) => tracing::warn!(%error, "the last change could not be read"),
            Err(error) => tracing::error!(%error, "the last change could not be read"),
        }
    }
}

/// Writes down what is kept in memory.
pub(super) async fn flush(store: &Store, clock: &dyn Clock) {
    let heard = store.flush_heartbeats(clock.now()).await;
    let used = store.flush_uses().await;
    if let Err(refusal) = heard.and(used) {
        tracing::warn!(%refusal, "heartbeats and uses of keys could not be written down");
    }
}
