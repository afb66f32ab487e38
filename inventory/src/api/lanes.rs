//! Places for requests in work, counted apart for each kind of client, so that people cannot starve nodes, nor nodes people.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::access::table::Lane;
use crate::refusal::{Code, Refusal};

/// How many requests of each kind may be in work.
#[derive(Clone, Copy, Debug)]
pub struct LaneLimits {
    /// Of nodes, beside enrolments and reports.
    pub nodes: usize,
    /// Of people and their programs.
    pub people: usize,
    /// Of collectors of figures.
    pub figures: usize,
    /// Streams of changes that are open.
    pub watchers: usize,
    /// Streams that the holder of one access key has open.
    pub watchers_per_key: usize,
}

impl Default for LaneLimits {
    fn default() -> Self {
        Self { nodes: 256, people: 32, figures: 4, watchers: 64, watchers_per_key: 8 }
    }
}

/// The places.
#[derive(Debug)]
pub(super) struct Lanes {
    limits: LaneLimits,
    nodes: Arc<Semaphore>,
    people: Arc<Semaphore>,
    figures: Arc<Semaphore>,
    watchers: Arc<Semaphore>,
    by_key: Arc<Mutex<HashMap<String, usize>>>,
}

/// One stream's place; given back when it is dropped.
#[derive(Debug)]
pub(super) struct WatchPlace {
    _permit: OwnedSemaphorePermit,
    key: String,
    by_key: Arc<Mutex<HashMap<String, usize>>>,
}

impl Lanes {
    pub(super) fn new(limits: LaneLimits) -> Self {
        let places = |count| Arc::new(Semaphore::new(count));
        Self {
            limits,
            nodes: places(limits.nodes),
            people: places(limits.people),
            figures: places(limits.figures),
            watchers: places(limits.watchers),
            by_key: Arc::default(),
        }
    }

    /// A place for one request, if its lane has one. A watcher takes a [`WatchPlace`] later.
    pub(super) fn enter(&self, lane: Lane) -> Result<Option<OwnedSemaphorePermit>, Refusal> {
        let (places, count, whose) = match lane {
            Lane::Nodes => (&self.nodes, self.limits.nodes, "nodes"),
            Lane::People => (&self.people, self.limits.people, "people"),
            Lane::Figures => (&self.figures, self.limits.figures, "collectors of figures"),
            Lane::Admission | Lane::Watchers | Lane::Free => return Ok(None),
        };
        let place = Arc::clone(places).try_acquire_owned();
        let full = |_| Code::Overloaded.because(format!("{count} requests of {whose} are in work"));
        place.map(Some).map_err(full)
    }

    /// A place for a stream of changes.
    pub(super) fn watch(&self, key: &str) -> Result<WatchPlace, Refusal> {
        let full = |what: String| Code::Overloaded.because(what);
        let permit = Arc::clone(&self.watchers)
            .try_acquire_owned()
            .map_err(|_| full(format!("{} streams are open", self.limits.watchers)))?;
        let mut by_key = self.by_key.lock().unwrap_or_else(PoisonError::into_inner);
        let open = by_key.entry(key.to_owned()).or_default();
        if *open >= self.limits.watchers_per_key {
            return Err(full(format!("this key has {open} streams open")));
        }
        *open += 1;
        Ok(WatchPlace { _permit: permit, key: key.to_owned(), by_key: Arc::clone(&self.by_key) })
    }

    /// Places that are taken, by lane.
    pub(super) fn taken(&self) -> [(&'static str, usize); 4] {
        let taken = |places: &Semaphore, count: usize| count.saturating_sub(places.available_permits());
        [
            ("nodes", taken(&self.nodes, self.limits.nodes)),
            ("people", taken(&self.people, self.limits.people)),
            ("figures", taken(&self.figures, self.limits.figures)),
            ("watchers", taken(&self.watchers, self.limits.watchers)),
        ]
    }
}

impl Drop for WatchPlace {
    fn drop(&mut self) {
        let mut by_key = self.by_key.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(open) = by_key.get_mut(&self.key) {
            *open -= 1;
            if *open == 0 {
                by_key.remove(&self.key);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_lane_leaves_the_others_their_places() {
        let lanes = Lanes::new(LaneLimits { people: 1, ..LaneLimits::default() });
        let _first = lanes.enter(Lane::People).unwrap();
        assert_eq!(lanes.enter(Lane::People).unwrap_err().code, Code::Overloaded);
        assert!(lanes.enter(Lane::Nodes).is_ok() && lanes.enter(Lane::Free).is_ok());
    }

    #[test]
    fn one_key_cannot_take_every_stream_and_a_place_comes_back() {
        let lanes = Lanes::new(LaneLimits { watchers: 3, watchers_per_key: 2, ..LaneLimits::default() });
        let (a, _b) = (lanes.watch("x").unwrap(), lanes.watch("x").unwrap());
        assert_eq!(lanes.watch("x").unwrap_err().code, Code::Overloaded);
        let _c = lanes.watch("y").unwrap();
        assert_eq!(lanes.watch("z").unwrap_err().code, Code::Overloaded);
        drop(a);
        assert!(lanes.watch("x").is_ok());
    }
}
