//! Facts about a node, as `discover` finds them. A fact that could not be read is absent, and the [`Collector`] that
//! should have found it says why; nothing here is a guess or a placeholder.

use serde::{Deserialize, Serialize};

use crate::{Bdf, Bytes, MacAddr, PciId};

/// All facts about one node at one boot.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct NodeFacts {
    /// Which readers ran and how each ended, in the order in which they ran.
    pub collectors: Vec<Collector>,
    /// Linux: release, boot id, host name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub linux: Option<Linux>,
    /// Identity of board, chassis and firmware as DMI (SMBIOS) tells it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dmi: Option<Dmi>,
    /// Processor sockets, by number.
    #[serde(default)]
    pub cpus: Vec<Cpu>,
    /// Main memory.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Memory>,
    /// PCI functions, by address.
    #[serde(default)]
    pub pci: Vec<PciFunction>,
    /// Network interfaces with a device behind them, by name.
    #[serde(default)]
    pub nics: Vec<Nic>,
    /// Whole disks, by name.
    #[serde(default)]
    pub disks: Vec<Disk>,
}

impl NodeFacts {
    /// PCI functions that are GPUs: display controllers (class 03) and processing accelerators (class 12).
    ///
    /// Class 03 includes the plain VGA of a BMC or of a virtual machine, which has no compute; whether Vulkan should
    /// show a function is decided by who made it, see [`PciFunction::is_gpu`].
    pub fn gpus(&self) -> impl Iterator<Item = &PciFunction> {
        self.pci.iter().filter(|function| function.is_gpu())
    }
}

/// How one reader of facts ended.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Collector {
    /// Its name, for example `pci`.
    pub name: String,
    /// How it ended.
    pub status: CollectorStatus,
    /// What was wrong, with the path; absent when all was well.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// How long it took.
    pub milliseconds: u64,
}

/// How a reader of facts can end. Only `ok` says that what is not listed is not there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum CollectorStatus {
    /// Read whole.
    Ok,
    /// This kind of hardware is not there.
    Absent,
    /// This kernel or platform does not tell.
    Unsupported,
    /// Not allowed to read it (root is needed).
    Denied,
    /// Not done before its deadline.
    Timeout,
    /// Something there could not be read or understood; the facts found before it are kept.
    Error,
}

/// The running Linux.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Linux {
    /// Kernel release, for example `6.12.107-amd64`.
    pub release: String,
    /// Machine hardware name, for example `x86_64`.
    pub architecture: String,
    /// Random id of this boot (`/proc/sys/kernel/random/boot_id`).
    pub boot_id: String,
    /// Host name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hostname: Option<String>,
}

/// Identity of board, chassis and firmware; each text as the firmware gives it, trimmed, absent when empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Dmi {
    /// Maker of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub system_vendor: Option<String>,
    /// Model of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product_name: Option<String>,
    /// Serial number of the system.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product_serial: Option<String>,
    /// UUID of the system, in lower case.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub product_uuid: Option<String>,
    /// Maker of the board.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub board_vendor: Option<String>,
    /// Model of the board.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub board_name: Option<String>,
    /// Serial number of the board.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub board_serial: Option<String>,
    /// Serial number of the chassis.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chassis_serial: Option<String>,
    /// Maker of the firmware.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bios_vendor: Option<String>,
    /// Version of the firmware.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bios_version: Option<String>,
    /// Date of the firmware, as it is printed there (month/day/year).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bios_date: Option<String>,
}

/// One processor socket.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Cpu {
    /// Socket number (`physical_package_id`).
    pub socket: u32,
    /// Maker, for example `AuthenticAMD`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor: Option<String>,
    /// Model, for example `AMD EPYC 9654 96-Core Processor`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Microcode revision, for example `0xa101144`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub microcode: Option<String>,
    /// Physical cores that are online.
    pub cores: u32,
    /// Logical processors that are online.
    pub threads: u32,
}

/// Main memory.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Memory {
    /// What Linux can use (`MemTotal`).
    pub total_bytes: Bytes,
    /// What a new program can have without swapping (`MemAvailable`) at the time of reading.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub available_bytes: Option<Bytes>,
    /// Per NUMA node, by number.
    #[serde(default)]
    pub numa: Vec<NumaNode>,
}

/// One NUMA node.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct NumaNode {
    /// Its number.
    pub id: u32,
    /// Its memory.
    pub total_bytes: Bytes,
    /// Its processors, in the kernel's list form, for example `0-47,96-143`.
    pub cpu_list: String,
}

/// One PCI function.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PciFunction {
    /// Where it is.
    pub address: Bdf,
    /// What it is.
    pub id: PciId,
    /// Vendor and device number of the board it sits on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub subsystem: Option<PciId>,
    /// Class, subclass and programming interface, 24 bits: 0x030200 is a 3D controller.
    pub class: u32,
    /// The kernel driver that is bound.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// The bridge it hangs from, absent for a function of the root complex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub parent: Option<Bdf>,
    /// The NUMA node it is nearest to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub numa_node: Option<u32>,
    /// Its PCI Express link, absent for functions without one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub link: Option<PciLink>,
}

impl PciFunction {
    /// A GPU that a compute driver should show: class 03 or 12 of a maker of compute GPUs.
    ///
    /// The VGA of a BMC (ASPEED 1a03, Matrox 102b) and of virtual machines (QEMU 1234, Red Hat 1af4/1b36, VMware 15ad,
    /// Cirrus 1013) is class 03 too, and no Vulkan driver is expected for it.
    pub fn is_gpu(&self) -> bool {
        const NVIDIA: u16 = 0x10de;
        const AMD: u16 = 0x1002;
        const INTEL: u16 = 0x8086;
        matches!(self.class >> 16, 0x03 | 0x12) && matches!(self.id.vendor, NVIDIA | AMD | INTEL)
    }
}

/// A PCI Express link: what it runs at and what it could. A link at rest may run slow to save power, so that only a
/// reading under load condemns it.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct PciLink {
    /// Current speed in GT/s per lane; absent where the kernel says `Unknown`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_gt_per_s: Option<f64>,
    /// Current width in lanes; absent where the kernel says 0.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current_lanes: Option<u8>,
    /// Highest speed in GT/s per lane that the function can do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_gt_per_s: Option<f64>,
    /// Greatest width in lanes that the function can do; absent where the kernel says 0 or 255.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub max_lanes: Option<u8>,
}

/// One network interface.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Nic {
    /// Name, for example `eth0`.
    pub name: String,
    /// The address in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac: Option<MacAddr>,
    /// The address that the maker gave, which names the hardware. Only present where it is known to be permanent
    /// (`addr_assign_type` 0: the interface was not given another).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mac_permanent: Option<MacAddr>,
    /// The kernel driver.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub driver: Option<String>,
    /// The PCI function behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Bdf>,
    /// Is there a carrier (a cable with a peer)? Absent while the interface is down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub carrier: Option<bool>,
    /// Link speed in Mbit/s; absent while unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub speed_mbit_per_s: Option<u64>,
}

/// One whole disk.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
pub struct Disk {
    /// Name, for example `nvme0n1`.
    pub name: String,
    /// Size.
    pub size_bytes: Bytes,
    /// Model.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// Serial number.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub serial: Option<String>,
    /// Does it rotate?
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rotational: Option<bool>,
    /// The PCI function behind it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub address: Option<Bdf>,
}
