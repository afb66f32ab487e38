//! The part ledger: what it says when parts stay, move, vanish, or are in two nodes at once.

#![allow(clippy::unwrap_used, reason = "a test ends where it breaks")]

mod support;

use inventory::store::read::{PartFilter, PartPlace};
use report::Report;
use report::node::{Collector, CollectorStatus, Disk, Nic, PciFunction};
use report::wire::EnrolResponse;
use support::direct::{Direct, enrolment};
use support::{Node, healthy_report, random};

const GPU: &str = "5c5b1c9a-1f4e-3a2b-9d8c-7e6f5a4b3c2d";

/// A node of the ledger's tests, with the number of its last report.
struct Owner {
    boot_id: String,
    session: EnrolResponse,
    sequence: u64,
}

impl Owner {
    fn new(direct: &Direct) -> Self {
        let request = enrolment(direct.tokens(1).pop().unwrap(), random(), &Node::new().identity);
        let session = direct.enrol(&request);
        Self { boot_id: request.boot_id, session, sequence: 0 }
    }

    /// Reports with these GPUs, a network interface and a disk of its own.
    fn shows(&mut self, direct: &Direct, gpus: &[&str], change: impl FnOnce(&mut Report)) {
        let mut report = healthy_report(&self.boot_id);
        let well = |name: &str| Collector {
            name: name.to_owned(),
            status: CollectorStatus::Ok,
            detail: None,
            milliseconds: 1,
        };
        report.node.collectors = ["dmi", "pci", "nics", "disks"].map(well).to_vec();
        report.node.pci = gpus.iter().zip(0x41..).map(|(uuid, bus)| gpu(uuid, bus)).collect();
        let own = &self.session.node_id[5..];
        report.node.disks = vec![disk("nvme0n1", &format!("disk {own}"))];
        change(&mut report);
        self.sequence += 1;
        direct.report(&self.boot_id, &self.session, self.sequence, report);
    }

    fn id(&self) -> &str {
        &self.session.node_id
    }
}

fn gpu(uuid: &str, bus: u8) -> PciFunction {
    PciFunction {
        address: format!("0000:{bus:02x}:00.0").parse().unwrap(),
        id: "10de:2330".parse().unwrap(),
        subsystem: None,
        class: 0x03_0200,
        driver: Some("nvidia".to_owned()),
        parent: None,
        numa_node: None,
        link: None,
        serial: None,
        uuid: Some(format!("GPU-{uuid}")),
    }
}

fn disk(name: &str, serial: &str) -> Disk {
    Disk {
        name: name.to_owned(),
        size_bytes: report::Bytes::mib(1024),
        model: None,
        serial: Some(serial.to_owned()),
        rotational: None,
        address: None,
    }
}

fn nic(mac: &str) -> Nic {
    let mac = mac.parse().ok();
    Nic {
        name: "eth0".to_owned(),
        mac,
        mac_permanent: mac,
        driver: None,
        address: None,
        carrier: None,
        speed_mbit_per_s: None,
    }
}

fn history(direct: &Direct, part: &str) -> Vec<PartPlace> {
    direct.view().parts(&PartFilter { part: Some(part), ..PartFilter::default() }).unwrap()
}

fn findings(direct: &Direct) -> usize {
    let lines = direct.view().audit(10_000).unwrap();
    lines.iter().filter(|line| line.code.as_deref() == Some("part_twice")).count()
}

#[test]
fn a_gpu_that_moves_leaves_its_node_when_that_shows_up_without_it() {
    let direct = Direct::new();
    let (mut a, mut b) = (Owner::new(&direct), Owner::new(&direct));
    a.shows(&direct, &[GPU], |_| {});
    b.shows(&direct, &[GPU], |_| {});
    let places: Vec<_> =
        history(&direct, GPU).into_iter().map(|p| (p.node_id, p.to.is_some(), p.contested)).collect();
    assert_eq!(places, [(a.id().to_owned(), false, Some("moved")), (b.id().to_owned(), false, None)]);
    b.shows(&direct, &[GPU], |_| {});
    a.shows(&direct, &[], |_| {});
    let places = history(&direct, GPU);
    assert_eq!((places[0].node_id.as_str(), places[0].to.is_some()), (a.id(), true));
    assert_eq!((places[1].node_id.as_str(), places[1].to, places[1].contested), (b.id(), None, None));
    assert!(places[0].from <= places[1].from && places[0].from_revision < places[1].from_revision);
    assert_eq!(findings(&direct), 0);
}

#[test]
fn a_gpu_in_two_nodes_at_once_is_a_finding_and_is_told_once() {
    let direct = Direct::new();
    let (mut a, mut b) = (Owner::new(&direct), Owner::new(&direct));
    for _ in 0..3 {
        a.shows(&direct, &[GPU], |_| {});
        b.shows(&direct, &[GPU], |_| {});
    }
    assert_eq!(findings(&direct), 1);
    let twice = direct.view().parts(&PartFilter { twice: true, ..PartFilter::default() }).unwrap();
    let nodes: Vec<_> = twice.iter().map(|p| (p.serial.as_str(), p.node_id.as_str(), p.contested)).collect();
    assert_eq!(nodes, [(GPU, a.id(), Some("twice")), (GPU, b.id(), Some("twice"))]);
    b.shows(&direct, &[], |_| {});
    assert!(direct.view().parts(&PartFilter { twice: true, ..PartFilter::default() }).unwrap().is_empty());
}

#[test]
fn what_did_not_change_is_not_written_again() {
    let direct = Direct::new();
    let mut a = Owner::new(&direct);
    let all =
        |direct: &Direct| direct.view().parts(&PartFilter { past: true, ..PartFilter::default() }).unwrap();
    a.shows(&direct, &[GPU], |report| report.node.nics = vec![nic("b8:3f:d2:01:02:03")]);
    let first = all(&direct);
    let kinds: Vec<_> = first.iter().map(|place| place.kind.as_str()).collect();
    assert_eq!(kinds, ["gpu", "nic", "nvme"]);
    for _ in 0..3 {
        a.shows(&direct, &[GPU], |report| report.node.nics = vec![nic("b8:3f:d2:01:02:03")]);
    }
    assert_eq!(all(&direct), first);
    // Another slot is another place.
    let other = "5c5b1c9a-1f4e-3a2b-9d8c-7e6f5a4b3c2e";
    a.shows(&direct, &[other, GPU], |report| report.node.nics = vec![nic("b8:3f:d2:01:02:03")]);
    let places: Vec<_> =
        history(&direct, GPU).into_iter().map(|p| (p.place.unwrap(), p.to.is_some())).collect();
    assert_eq!(places, [("0000:41:00.0".to_owned(), true), ("0000:42:00.0".to_owned(), false)]);
}

#[test]
fn a_reader_that_failed_takes_no_part_away() {
    let direct = Direct::new();
    let mut a = Owner::new(&direct);
    a.shows(&direct, &[GPU], |_| {});
    a.shows(&direct, &[], |report| report.node.collectors[1].status = CollectorStatus::Error);
    assert_eq!(history(&direct, GPU)[0].to, None);
    // A GPU whose driver does not tell its name is there all the same.
    a.shows(&direct, &[GPU], |report| report.node.pci[0].uuid = None);
    assert_eq!(history(&direct, GPU)[0].to, None);
    a.shows(&direct, &[], |_| {});
    assert!(history(&direct, GPU)[0].to.is_some());
}

#[test]
fn a_serial_number_that_many_nodes_show_names_no_part() {
    let direct = Direct::new();
    for _ in 0..10 {
        let shared = |report: &mut Report| report.node.disks = vec![disk("nvme0n1", "VENDOR-DEFAULT-7")];
        Owner::new(&direct).shows(&direct, &[], shared);
    }
    assert_eq!(history(&direct, "vendor-default-7").len(), 8);
}

#[test]
fn a_node_in_quarantine_moves_no_part() {
    let direct = Direct::new();
    let mut a = Owner::new(&direct);
    let identity = Node::new().identity;
    a.shows(&direct, &[GPU], |_| {});
    let tokens = direct.tokens(2);
    let mut sessions = tokens.into_iter().map(|token| {
        let request = enrolment(token, random(), &identity);
        (request.boot_id.clone(), direct.enrol(&request))
    });
    let (_, (boot_id, session)) = (sessions.next().unwrap(), sessions.next().unwrap());
    assert_eq!(session.state, "quarantined");
    let mut clone = Owner { boot_id, session, sequence: 0 };
    clone.shows(&direct, &[GPU], |_| {});
    assert_eq!(history(&direct, GPU).len(), 1);
}
