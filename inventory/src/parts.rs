//! Parts that have an identity of their own, as a report shows them: GPU, network interface, disk, board.

use std::collections::{BTreeMap, BTreeSet};

use report::node::{Collector, CollectorStatus, NodeFacts};
use report::{DeviceInfo, DeviceKind, Report};
use serde::Serialize;

use crate::identity::{gpu_uuid, telling_mac, telling_serial};

/// Most parts of one report that go into the ledger.
pub const PARTS_OF_NODE_MAX: usize = 512;
/// NVIDIA's number: its Vulkan driver shows the UUID of the GPU; others make one up from the address.
const NVIDIA: u16 = 0x10de;

/// What sort of part.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum PartKind {
    /// The board.
    Board,
    /// A GPU.
    Gpu,
    /// A network interface.
    Nic,
    /// An NVMe disk.
    Nvme,
    /// Another disk.
    Disk,
}

impl PartKind {
    /// Every kind there is.
    pub const ALL: &'static [Self] = &[Self::Board, Self::Gpu, Self::Nic, Self::Nvme, Self::Disk];

    /// The word used in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Board => "board",
            Self::Gpu => "gpu",
            Self::Nic => "nic",
            Self::Nvme => "nvme",
            Self::Disk => "disk",
        }
    }

    /// The reader of facts that finds it.
    fn collector(self) -> &'static str {
        match self {
            Self::Board => "dmi",
            Self::Gpu => "pci",
            Self::Nic => "nics",
            Self::Nvme | Self::Disk => "disks",
        }
    }
}

/// One part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// What sort.
    pub kind: PartKind,
    /// What names it: serial number, UUID or address.
    pub serial: String,
    /// What it is, for people.
    pub model: Option<String>,
    /// Where it is in its node.
    pub place: Option<String>,
}

/// The parts of one report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartList {
    /// Those that are there.
    pub parts: Vec<Part>,
    /// Kinds of which those that are not listed are gone: their reader ended well.
    pub whole: BTreeSet<PartKind>,
}

/// The parts that a report shows.
pub fn parts_of(report: &Report) -> PartList {
    let facts = &report.node;
    let mut found: BTreeMap<(PartKind, String), Part> = BTreeMap::new();
    let all =
        board(facts).into_iter().chain(gpus(facts, &report.devices)).chain(nics(facts)).chain(disks(facts));
    for part in all.take(PARTS_OF_NODE_MAX) {
        // The first of two with one name counts: a disk that is reached on two ways.
        found.entry((part.kind, part.serial.clone())).or_insert(part);
    }
    let read_well = |kind: &PartKind| {
        let is_well = |c: &Collector| c.name == kind.collector() && c.status == CollectorStatus::Ok;
        facts.collectors.iter().any(is_well)
    };
    // Without its driver a GPU does not tell its name, and is there all the same.
    let untold = |kind: &PartKind| {
        *kind == PartKind::Gpu && facts.gpus().count() > gpus(facts, &report.devices).count()
    };
    let whole = PartKind::ALL.iter().copied().filter(read_well).filter(|kind| !untold(kind)).collect();
    PartList { parts: found.into_values().collect(), whole }
}

fn board(facts: &NodeFacts) -> Option<Part> {
    let dmi = facts.dmi.as_ref()?;
    Some(Part {
        kind: PartKind::Board,
        serial: telling_serial(dmi.board_serial.as_deref()?)?,
        model: words([dmi.board_vendor.as_deref(), dmi.board_name.as_deref()]),
        place: None,
    })
}

fn gpus<'a>(facts: &'a NodeFacts, devices: &'a [DeviceInfo]) -> impl Iterator<Item = Part> + 'a {
    facts.gpus().filter_map(move |gpu| {
        let device = devices.iter().find(|device| device.address == Some(gpu.address));
        let of_vulkan = device
            .filter(|device| gpu.id.vendor == NVIDIA && device.kind == DeviceKind::Discrete)
            .and_then(|device| gpu_uuid(device.uuid.as_deref()?));
        let uuid = gpu.uuid.as_deref().and_then(gpu_uuid).or(of_vulkan);
        let serial = uuid.or_else(|| telling_serial(gpu.serial.as_deref()?))?;
        let model = device.map_or_else(|| gpu.id.to_string(), |device| device.name.clone());
        Some(Part { kind: PartKind::Gpu, serial, model: Some(model), place: Some(gpu.address.to_string()) })
    })
}

fn nics(facts: &NodeFacts) -> impl Iterator<Item = Part> + '_ {
    facts.nics.iter().filter_map(|nic| {
        let mac = nic.mac_permanent.filter(|mac| telling_mac(*mac))?;
        let place = nic.address.map_or_else(|| nic.name.clone(), |address| address.to_string());
        Some(Part {
            kind: PartKind::Nic,
            serial: mac.to_string(),
            model: nic.driver.clone(),
            place: Some(place),
        })
    })
}

fn disks(facts: &NodeFacts) -> impl Iterator<Item = Part> + '_ {
    facts.disks.iter().filter_map(|disk| {
        let kind = if disk.name.starts_with("nvme") { PartKind::Nvme } else { PartKind::Disk };
        let serial = telling_serial(disk.serial.as_deref()?)?;
        Some(Part { kind, serial, model: disk.model.clone(), place: Some(disk.name.clone()) })
    })
}

/// The words that there are, in a row.
fn words<const N: usize>(all: [Option<&str>; N]) -> Option<String> {
    let text = all.into_iter().flatten().collect::<Vec<_>>().join(" ");
    (!text.is_empty()).then_some(text)
}
