//! All links at once, without threads: each turn looks at every link, takes what came, and sends what is due.

use std::collections::BTreeMap;
use std::net::IpAddr;
use std::time::Duration;

use super::state::State;
use super::{Keeper, LinkReport, Network, Wish};
use crate::system::links::{LinkError, LinkKind, Links};

/// What is known and open of all links.
#[derive(Debug)]
pub struct Engine {
    wish: Wish,
    links: Vec<State>,
    loopback: bool,
}

impl Engine {
    /// Knows nothing yet.
    pub fn new(wish: Wish) -> Self {
        Self { wish, links: Vec::new(), loopback: false }
    }

    /// Looks at every link once. True if a carrier or an address came or went, or a neighbour was heard. What Linux refuses on one
    /// link is that link's reason; only a list of links that cannot be read is an error.
    pub fn turn(&mut self, system: &dyn Links, now: Duration) -> Result<bool, LinkError> {
        self.find(system)?;
        let mut changed = false;
        for state in &mut self.links {
            changed |= state.turn(system, &self.wish, now);
        }
        Ok(changed)
    }

    /// Takes in links that have appeared and drops those that went.
    fn find(&mut self, system: &dyn Links) -> Result<(), LinkError> {
        let found = system.links()?;
        self.links.retain(|state| found.iter().any(|link| link.index == state.link.index));
        for link in found {
            match link.kind {
                LinkKind::Loopback if !self.loopback => {
                    system.set_up(link.index)?;
                    self.loopback = true;
                }
                LinkKind::Ethernet if self.links.iter().all(|state| state.link.index != link.index) => {
                    self.links.push(State::new(link, &self.wish));
                }
                _ => {}
            }
        }
        self.links.sort_by_key(|state| (!state.booted, state.link.index));
        Ok(())
    }

    /// Waits until something comes, something is due, or the time is over.
    pub fn wait(&self, system: &dyn Links, now: Duration, at_most: Duration) {
        let due = self.links.iter().filter_map(State::due);
        let time = due.map(|due| due.saturating_sub(now)).min().unwrap_or(at_most).min(at_most);
        system.wait(&self.links.iter().flat_map(State::ports).collect::<Vec<_>>(), time);
    }

    /// No Ethernet link has been seen.
    pub fn is_empty(&self) -> bool {
        self.links.is_empty()
    }

    /// Some link has an address.
    pub fn ready(&self) -> bool {
        self.links.iter().any(State::ready)
    }

    /// The preferred link is ready, and has a way out: the one the node booted from if it is there, else whichever was
    /// first.
    pub fn preferred_ready(&self) -> bool {
        let ready = |state: &State| state.ready() && state.leads_on(&self.wish);
        match self.links.iter().find(|state| state.booted) {
            Some(booted) => ready(booted),
            None => self.links.iter().any(ready),
        }
    }

    /// What became of each link so far.
    pub fn reports(&self) -> Vec<LinkReport> {
        self.links.iter().map(State::report).collect()
    }

    /// The network as it is now. What several links tell is put together, the preferred link first.
    pub fn into_network(self) -> Network {
        let leases = || self.links.iter().filter_map(State::lease);
        let mut options = BTreeMap::new();
        for (code, value) in leases().flat_map(|lease| &lease.site) {
            let text = std::str::from_utf8(value).map(|text| text.trim_end_matches('\0'));
            if let Ok(text) = text {
                options.entry(*code).or_insert_with(|| text.to_owned());
            }
        }
        Network {
            links: self.reports(),
            dns: unique(leases().flat_map(|lease| lease.dns.iter().map(|ip| IpAddr::V4(*ip)))),
            search: unique(leases().flat_map(|lease| lease.search.iter().cloned())),
            hostname: leases().find_map(|lease| lease.hostname.clone()),
            ntp: unique(leases().flat_map(|lease| lease.ntp.iter().map(|ip| IpAddr::V4(*ip)))),
            options,
            keeper: Keeper(self),
        }
    }
}

fn unique<T: PartialEq>(all: impl Iterator<Item = T>) -> Vec<T> {
    let mut kept = Vec::new();
    for one in all {
        if !kept.contains(&one) {
            kept.push(one);
        }
    }
    kept
}
