//! The hardware of a virtual node: one of a few systems as they are sold, with serial numbers and addresses of its own.

use data_encoding::HEXLOWER;
use report::node::{
    Collector, CollectorStatus, Cpu, Disk, Dmi, Linux, Memory, Nic, NumaNode, PciFunction, PciLink,
};
use report::{Bdf, Bytes, NodeFacts, PciId};

use super::names::Names;
use super::random::Seeded;

/// A system as it is sold, and what its GPUs reach.
#[derive(Debug)]
pub(super) struct Model {
    vendor: &'static str,
    product: &'static str,
    board: &'static str,
    cpu_vendor: &'static str,
    cpu: &'static str,
    cores: u32,
    gpu: (u16, u16),
    gpu_driver: &'static str,
    /// What the Vulkan driver calls a GPU.
    pub(super) gpu_name: &'static str,
    /// What the Vulkan driver calls itself.
    pub(super) vulkan_driver: &'static str,
    /// Memory of a GPU.
    pub(super) gpu_memory: Bytes,
    /// Subgroup of a GPU.
    pub(super) subgroup_size: u32,
    /// FP32 rate that a sound GPU reaches, below its physical peak.
    pub(super) flop_per_s: f64,
    /// Bandwidth that a sound GPU reaches, below its physical peak.
    pub(super) bytes_per_s: f64,
}

/// Network ports of a node.
pub(super) const NICS: u8 = 10;
/// GPUs of a node.
pub(super) const GPUS: u8 = 8;

/// Peaks by `burnin/report/limits`: the judge would not believe more.
pub(super) const MODELS: [Model; 3] = [
    Model {
        vendor: "NVIDIA",
        product: "DGXH100",
        board: "DGXH100",
        cpu_vendor: "GenuineIntel",
        cpu: "Intel(R) Xeon(R) Platinum 8480C",
        cores: 56,
        gpu: (0x10de, 0x2330),
        gpu_driver: "nvidia",
        gpu_name: "NVIDIA H100 80GB HBM3",
        vulkan_driver: "NVIDIA 570.172.8",
        gpu_memory: Bytes::mib(81_559),
        subgroup_size: 32,
        flop_per_s: 6.1e13,
        bytes_per_s: 2.8e12,
    },
    Model {
        vendor: "Dell Inc.",
        product: "PowerEdge XE9680",
        board: "0V1RMW",
        cpu_vendor: "GenuineIntel",
        cpu: "INTEL(R) XEON(R) PLATINUM 8568Y+",
        cores: 48,
        gpu: (0x10de, 0x2335),
        gpu_driver: "nvidia",
        gpu_name: "NVIDIA H200",
        vulkan_driver: "NVIDIA 570.172.8",
        gpu_memory: Bytes::mib(143_771),
        subgroup_size: 32,
        flop_per_s: 6.1e13,
        bytes_per_s: 4.1e12,
    },
    Model {
        vendor: "Supermicro",
        product: "AS -8125GS-TNMR2",
        board: "H13DSG-O-CPU-D",
        cpu_vendor: "AuthenticAMD",
        cpu: "AMD EPYC 9654 96-Core Processor",
        cores: 96,
        gpu: (0x1002, 0x74a1),
        gpu_driver: "amdgpu",
        gpu_name: "AMD Instinct MI300X (RADV GFX942)",
        vulkan_driver: "radv Mesa 26.1.4",
        gpu_memory: Bytes::mib(196_592),
        subgroup_size: 64,
        flop_per_s: 1.2e14,
        bytes_per_s: 3.9e12,
    },
];

/// The facts about one node of this model, as `discover` would find them.
pub(super) fn facts(model: &Model, names: &Names, chance: &mut Seeded) -> NodeFacts {
    let serial = &names.serial;
    let linux = Linux {
        release: "6.12.107-amd64".to_owned(),
        architecture: "x86_64".to_owned(),
        boot_id: names.boot_id.clone(),
        hostname: Some(names.hostname.clone()),
    };
    let dmi = Dmi {
        system_vendor: Some(model.vendor.to_owned()),
        product_name: Some(model.product.to_owned()),
        product_serial: Some(format!("SN{serial}")),
        product_uuid: Some(names.product_uuid.clone()),
        board_vendor: Some(model.vendor.to_owned()),
        board_name: Some(model.board.to_owned()),
        board_serial: Some(format!("BN{serial}")),
        chassis_serial: Some(format!("CH{serial}")),
        ..Dmi::default()
    };
    let collectors = ["linux", "dmi", "cpu", "memory", "pci", "nic", "disk"].map(|name| Collector {
        name: name.to_owned(),
        status: CollectorStatus::Ok,
        detail: None,
        milliseconds: 1 + chance.draw() % 40,
    });
    NodeFacts {
        collectors: collectors.into(),
        linux: Some(linux),
        dmi: Some(dmi),
        cpus: (0..2).map(|socket| cpu(model, socket)).collect(),
        memory: Some(memory(model)),
        pci: (0..GPUS).map(|number| gpu(model, number)).collect(),
        nics: nics(names),
        disks: disks(chance),
    }
}

/// Where a GPU sits.
pub(super) fn gpu_address(number: u8) -> Bdf {
    Bdf { domain: 0, bus: 0x1b + 0x11 * number, device: 0, function: 0 }
}

/// PCI number of the model's GPU.
pub(super) fn gpu_id(model: &Model) -> PciId {
    PciId { vendor: model.gpu.0, device: model.gpu.1 }
}

fn gpu(model: &Model, number: u8) -> PciFunction {
    let (gt_per_s, lanes) = (Some(32.0), Some(16));
    PciFunction {
        address: gpu_address(number),
        id: gpu_id(model),
        subsystem: None,
        class: 0x03_02_00,
        driver: Some(model.gpu_driver.to_owned()),
        parent: None,
        numa_node: Some(u32::from(number / 4)),
        link: Some(PciLink {
            current_gt_per_s: gt_per_s,
            current_lanes: lanes,
            max_gt_per_s: gt_per_s,
            max_lanes: lanes,
        }),
    }
}

fn cpu(model: &Model, socket: u32) -> Cpu {
    Cpu {
        socket,
        vendor: Some(model.cpu_vendor.to_owned()),
        model: Some(model.cpu.to_owned()),
        microcode: None,
        cores: model.cores,
        threads: 2 * model.cores,
    }
}

fn memory(model: &Model) -> Memory {
    let half = Bytes::mib(1_031_000);
    let numa = |id: u32| NumaNode {
        id,
        total_bytes: half,
        cpu_list: format!("{}-{}", id * model.cores, (id + 1) * model.cores - 1),
    };
    Memory { total_bytes: Bytes(2 * half.0), available_bytes: None, numa: vec![numa(0), numa(1)] }
}

/// Eight for the fabric, two for everything else.
fn nics(names: &Names) -> Vec<Nic> {
    (0..NICS)
        .map(|number| {
            let mac = Some(names.mac(number));
            let fabric = number < GPUS;
            let bus = if fabric { 0x18 + 0x11 * number } else { 0x02 };
            Nic {
                name: if fabric { format!("ib{number}") } else { format!("eth{}", number - GPUS) },
                mac,
                mac_permanent: mac,
                driver: Some("mlx5_core".to_owned()),
                address: Some(Bdf { domain: 0, bus, device: 0, function: number.saturating_sub(GPUS) }),
                carrier: Some(true),
                speed_mbit_per_s: Some(if fabric { 400_000 } else { 25_000 }),
            }
        })
        .collect()
}

fn disks(chance: &mut Seeded) -> Vec<Disk> {
    (0..8)
        .map(|number| Disk {
            name: format!("nvme{number}n1"),
            size_bytes: Bytes(3_840_755_982_336),
            model: Some("SAMSUNG MZQL23T8HCLS-00A07".to_owned()),
            serial: Some(format!("S64HNE0{}", HEXLOWER.encode(&chance.bytes::<4>()).to_uppercase())),
            rotational: Some(false),
            address: None,
        })
        .collect()
}
