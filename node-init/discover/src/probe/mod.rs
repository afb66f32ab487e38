//! The probes: one file each, one row each in [`PROBES`].

use report::NodeFacts;

use crate::{ProbeError, Root};

mod linux;
mod dmi;
mod cpu;
mod memory;
mod pci;
mod gpu;
mod nics;
mod disks;
mod form;

/// One reader of facts.
#[derive(Clone, Copy, Debug)]
pub struct Probe {
    /// Its name in the record.
    pub name: &'static str,
    /// Fills its part of the facts. Whatever it has put there before an error is kept.
    pub read: fn(&Root, &mut NodeFacts) -> Result<(), ProbeError>,
}

/// Every probe, in the order in which they run.
pub const PROBES: [Probe; 7] = [
    Probe { name: "linux", read: linux::read },
    Probe { name: "dmi", read: dmi::read },
    Probe { name: "cpu", read: cpu::read },
    Probe { name: "memory", read: memory::read },
    Probe { name: "pci", read: pci::read },
    Probe { name: "nics", read: nics::read },
    Probe { name: "disks", read: disks::read },
];

#[cfg(test)]
mod tree;
