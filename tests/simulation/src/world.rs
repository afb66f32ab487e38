//! The machines: what each is made of, which boot it is in, and what its disk holds.

use std::fs;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, Result};
use data_encoding::HEXLOWER;
use inventory::simulate::fleet::{Fleet, FleetOptions};
use report::{NodeFacts, Report};

use crate::node::Start;
use crate::server::Server;

/// The plan that all of them burn in by.
const PLAN: &str = "quick";
/// Longest burn-in.
const BURN_IN_MAX: Duration = Duration::from_secs(120);

/// One machine.
#[derive(Debug)]
pub(crate) struct Machine {
    facts: NodeFacts,
    report: Arc<Vec<u8>>,
    burn_in: Duration,
    disk: PathBuf,
    random: fastrand::Rng,
    boots: u32,
    boots_wanted: u32,
    token: Option<String>,
    written: Arc<Mutex<Vec<Vec<u8>>>>,
}

impl Machine {
    /// All machines of a seed. Their reports are healthy: what a sick one is told is for other tests.
    pub(crate) fn fleet(server: &Server, nodes: usize, seed: u64) -> Result<Vec<Self>> {
        let fleet = Fleet::new(FleetOptions {
            seed,
            nodes,
            gpus: 1,
            plan: PLAN.to_owned(),
            window: Duration::ZERO,
            burn_in: BURN_IN_MAX,
            faults: 0.0,
        })?;
        (0..nodes)
            .map(|index| {
                let node = fleet.node(index, 0);
                let report = fleet.report(&node);
                let facts = Report::from_json(&report).context("the fleet's report")?.node;
                let mut random = fastrand::Rng::with_seed(seed ^ (index as u64) << 32);
                let disk = server.dir().join(format!("node-{index}"));
                fs::create_dir_all(&disk)?;
                let mut machine = Self {
                    facts,
                    report: Arc::new(report),
                    burn_in: node.burn_in,
                    disk,
                    boots: 0,
                    boots_wanted: random.u32(1..=2),
                    random,
                    token: None,
                    written: Arc::default(),
                };
                machine.next_boot();
                Ok(machine)
            })
            .collect()
    }

    /// Another boot: another id of it, another token.
    pub(crate) fn next_boot(&mut self) {
        self.boots += 1;
        self.token = None;
        let hex = HEXLOWER.encode(&self.random.u128(..).to_be_bytes());
        if let Some(linux) = &mut self.facts.linux {
            linux.boot_id =
                [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-");
        }
    }

    /// After a boot that was registered: is there another one to come? Then it has begun.
    pub(crate) fn has_another_boot(&mut self) -> bool {
        let more = self.boots < self.boots_wanted;
        if more {
            self.next_boot();
        }
        more
    }

    /// The disk is empty.
    pub(crate) fn lose_disk(&self) -> Result<()> {
        fs::remove_dir_all(&self.disk)?;
        Ok(fs::create_dir_all(&self.disk)?)
    }

    /// All that its program needs to start.
    pub(crate) fn start(&mut self, server: &Server, seed: u64) -> Result<Start> {
        let token = match &self.token {
            Some(token) => token.clone(),
            None => self.token.insert(server.token(PLAN)?).clone(),
        };
        Ok(Start {
            state: self.disk.clone(),
            facts: self.facts.clone(),
            token,
            report: Arc::clone(&self.report),
            burn_in: self.burn_in,
            seed,
            written: Arc::clone(&self.written),
        })
    }

    /// Every report that it ever wrote.
    pub(crate) fn written(&self) -> Vec<Vec<u8>> {
        self.written.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The boot that it is in.
    pub(crate) fn boot_id(&self) -> &str {
        self.facts.linux.as_ref().map_or("", |linux| &linux.boot_id)
    }
}
