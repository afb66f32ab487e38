//! A fleet of virtual nodes: each with a key, a source address, a moment of power-on and a burn-in of its own, all of them
//! drawn from one seed.

use std::net::Ipv4Addr;
use std::time::Duration;

use data_encoding::HEXLOWER;
use ed25519_dalek::{Signer, SigningKey};
use report::plan::PlanError;
use report::wire::{EnrolRequest, EnrolResponse, enrolment_context, signing_context};
use report::{Plan, Verdict};

use super::evidence::{self, Fault};
use super::machine::{self, GPUS, MODELS};
use super::names::{Names, Template};
use super::random::Seeded;

/// What a fleet is made of.
#[derive(Clone, Debug)]
pub struct FleetOptions {
    /// Same seed, same fleet.
    pub seed: u64,
    /// So many nodes.
    pub nodes: usize,
    /// GPUs of each that are burned in, 1 to 8: the size of a report goes with it.
    pub gpus: u8,
    /// The plan that they burn in by.
    pub plan: String,
    /// Within what time all are powered on.
    pub window: Duration,
    /// Longest burn-in; each takes a part of it.
    pub burn_in: Duration,
    /// Share of nodes with a stuck bit, and as many that are slow, and as many whose check is blind.
    pub faults: f64,
}

/// Nodes that hang on one power feed come on together.
const NODES_PER_RACK: usize = 16;
/// They come on within this time.
const RACK_JITTER: Duration = Duration::from_millis(500);
/// Reports of one model with one fault that differ in their figures.
const VARIANTS: usize = 4;
/// Every fault, in the order of the templates.
const FAULTS: [Fault; 4] = [Fault::None, Fault::Slow, Fault::StuckBit, Fault::Blind];
/// Streams of the seed.
const OF_TEMPLATES: u64 = 1 << 40;
const OF_RACKS: u64 = 2 << 40;
const OF_NODES: u64 = 3 << 40;

/// A fleet.
#[derive(Debug)]
pub struct Fleet {
    options: FleetOptions,
    templates: Vec<Template>,
}

/// One virtual node, in one boot.
#[derive(Clone, Debug)]
pub struct VirtualNode {
    /// Its number in the fleet.
    pub index: usize,
    /// The address that it calls from: its own, within 127.0.0.0/8.
    pub source: Ipv4Addr,
    /// When it is powered on, counted from the start.
    pub power_on: Duration,
    /// How long it burns in.
    pub burn_in: Duration,
    /// What is wrong with it.
    pub fault: Fault,
    /// What tells it from others.
    pub names: Names,
    key: SigningKey,
    template: usize,
}

impl Fleet {
    /// Prepares the reports; a node is made when it is asked for.
    pub fn new(options: FleetOptions) -> Result<Self, PlanError> {
        let plan = Plan::built_in(&options.plan)?;
        let kinds = MODELS.iter().flat_map(|model| FAULTS.map(|fault| (model, fault)));
        let templates = kinds
            .flat_map(|kind| (0..VARIANTS).map(move |_| kind))
            .zip(OF_TEMPLATES..)
            .map(|((model, fault), stream)| {
                let mut chance = Seeded::new(options.seed, stream);
                let names = Names::new(0, &mut chance);
                let facts = machine::facts(model, &names, &mut chance);
                let burned_in = (options.gpus.clamp(1, GPUS), fault);
                let mut report = evidence::report((model, facts), &plan, burned_in, &mut chance);
                report.run_id.clone_from(&names.run_id);
                Template::new(serde_json::to_vec(&report).unwrap_or_default(), &names)
            })
            .collect();
        Ok(Self { options, templates })
    }

    /// How it was made.
    pub fn options(&self) -> &FleetOptions {
        &self.options
    }

    /// Mean size of a report.
    pub fn report_bytes(&self) -> usize {
        self.templates.iter().map(Template::bytes).sum::<usize>() / self.templates.len().max(1)
    }

    /// Node `index` in its boot number `boot`.
    pub fn node(&self, index: usize, boot: u64) -> VirtualNode {
        let seed = self.options.seed;
        let mut rack = Seeded::new(seed, OF_RACKS + (index / NODES_PER_RACK) as u64);
        let (rack_on, model) = (rack.share(), rack.draw());
        let mut hardware = Seeded::new(seed, OF_NODES + index as u64);
        let key = SigningKey::from_bytes(&hardware.bytes());
        let fault = self.fault(hardware.share());
        let variant = hardware.draw();
        let mut names = Names::new(index, &mut hardware);
        let mut chance = Seeded::new(seed ^ boot.rotate_left(32), OF_NODES + index as u64);
        if boot > 0 {
            names = Names::new(index, &mut chance).with_hardware_of(&names);
        }
        let window = self.options.window.saturating_sub(RACK_JITTER);
        VirtualNode {
            index,
            source: source(index),
            power_on: window.mul_f64(rack_on) + chance.up_to(RACK_JITTER.min(self.options.window)),
            burn_in: chance.up_to(self.options.burn_in),
            fault,
            names,
            key,
            template: template(model, fault, variant),
        }
    }

    fn fault(&self, share: f64) -> Fault {
        match share {
            share if share < self.options.faults => Fault::StuckBit,
            share if share < 2.0 * self.options.faults => Fault::Slow,
            share if share < 3.0 * self.options.faults => Fault::Blind,
            _ => Fault::None,
        }
    }

    /// The report of a node, as `burnin` would have written it.
    pub fn report(&self, node: &VirtualNode) -> Vec<u8> {
        self.templates[node.template].of(&node.names)
    }
}

fn template(model: u64, fault: Fault, variant: u64) -> usize {
    let of = |draw: u64, count: usize| usize::try_from(draw % count as u64).unwrap_or_default();
    let fault = FAULTS.iter().position(|known| *known == fault).unwrap_or_default();
    (of(model, MODELS.len()) * FAULTS.len() + fault) * VARIANTS + of(variant, VARIANTS)
}

/// 127.16.0.0 and up: never the address of the server.
fn source(index: usize) -> Ipv4Addr {
    let [.., a, b, c] = index.to_be_bytes();
    Ipv4Addr::new(127, 16 + a % 224, b, c)
}

impl VirtualNode {
    /// The body of its enrolment, signed.
    pub fn enrolment(&self, token: &str) -> Vec<u8> {
        let identity = self.names.identity();
        let context = enrolment_context(token, &self.names.boot_id, &identity);
        let request = EnrolRequest {
            token: token.to_owned(),
            public_key: HEXLOWER.encode(self.key.verifying_key().as_bytes()),
            boot_id: self.names.boot_id.clone(),
            proof: HEXLOWER.encode(&self.key.sign(&context).to_bytes()),
            identity,
        };
        serde_json::to_vec(&request).unwrap_or_default()
    }

    /// The signature of a report.
    pub fn sign(&self, session: &EnrolResponse, sequence: u64, bytes: &[u8]) -> String {
        let (node_id, boot_id) = (&session.node_id, &self.names.boot_id);
        let context = signing_context(node_id, boot_id, sequence, &session.nonce, bytes);
        HEXLOWER.encode(&self.key.sign(&context).to_bytes())
    }

    /// What the inventory must make of it.
    pub fn verdict(&self) -> Verdict {
        self.fault.verdict()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;
    use report::Report;
    use report::judge::review;

    fn fleet(seed: u64, gpus: u8) -> Fleet {
        let (window, burn_in) = (Duration::from_secs(60), Duration::from_secs(5));
        let plan = "quick".to_owned();
        Fleet::new(FleetOptions { seed, nodes: 4000, gpus, plan, window, burn_in, faults: 0.1 }).unwrap()
    }

    #[test]
    fn the_judge_finds_each_node_as_its_seed_made_it() {
        for gpus in [1, 8] {
            let fleet = fleet(7, gpus);
            let mut seen = HashSet::new();
            for index in 0..200 {
                let node = fleet.node(index, 0);
                let report = Report::from_json(&fleet.report(&node)).unwrap();
                let verdict = review(&report);
                assert_eq!(verdict.verdict, node.verdict(), "{:?}: {:?}", node.fault, verdict.findings);
                assert_eq!(report.verdict.verdict, node.verdict());
                assert_eq!(report.devices.len(), usize::from(gpus));
                seen.insert(node.verdict());
            }
            assert_eq!(seen.len(), FAULTS.len(), "every verdict occurs");
        }
    }

    #[test]
    fn a_report_names_its_node_and_no_other() {
        let fleet = fleet(7, 1);
        for index in [0, 1, 255, 256, 3999] {
            let node = fleet.node(index, 3);
            let report = Report::from_json(&fleet.report(&node)).unwrap();
            assert_eq!(report.run_id, node.names.run_id);
            assert_eq!(report.node.linux.as_ref().unwrap().boot_id, node.names.boot_id);
            let told = report::wire::Identity::of(&report.node);
            assert_eq!(told, node.names.identity());
        }
    }

    #[test]
    fn a_seed_makes_the_same_fleet_and_nodes_share_nothing() {
        let (one, same, other) = (fleet(7, 1), fleet(7, 1), fleet(8, 1));
        let mut seen = HashSet::new();
        for index in 0..4000 {
            let node = one.node(index, 0);
            assert_eq!(node.names, same.node(index, 0).names);
            assert_eq!(one.report(&node), same.report(&same.node(index, 0)));
            assert_ne!(node.names.serial, other.node(index, 0).names.serial);
            assert!(node.power_on < Duration::from_secs(60));
            let Names { run_id, boot_id, product_uuid, serial, .. } = node.names.clone();
            for text in [run_id, boot_id, product_uuid, serial, node.source.to_string()] {
                assert!(seen.insert(text));
            }
            assert!(seen.insert(node.names.mac(0).to_string()));
        }
    }

    #[test]
    fn another_boot_is_of_the_same_machine() {
        let fleet = fleet(7, 1);
        let (first, second) = (fleet.node(5, 0), fleet.node(5, 1));
        assert_eq!(first.names.identity(), second.names.identity());
        assert_ne!(first.names.boot_id, second.names.boot_id);
        assert_ne!(first.names.run_id, second.names.run_id);
    }

    #[test]
    fn a_report_on_one_gpu_has_about_26_kb_and_one_on_eight_about_114() {
        let bytes = [1, 8].map(|gpus| fleet(7, gpus).report_bytes());
        assert!((24_000..28_000).contains(&bytes[0]) && (105_000..120_000).contains(&bytes[1]), "{bytes:?}");
    }
}
