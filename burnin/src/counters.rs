//! Counters of errors on the way to a device: those that PCI Express keeps (Advanced Error Reporting), of the device and of
//! every bridge above it, read before the first check and after the last.
//!
//! Linux shows them as `aer_dev_correctable`, `aer_dev_nonfatal` and `aer_dev_fatal` (Documentation/ABI/testing/
//! sysfs-bus-pci-devices-aer_stats), one name and one number a line. A function without them has none to read; a counter
//! that cannot be read twice is left out, for a change that nobody saw is not zero.

use discover::Root;
use report::{Bdf, Counter, DeviceId, DeviceInfo, NodeFacts};

/// The files, and how what they count is called.
const FILES: [(&str, &str); 3] = [
    ("aer_dev_correctable", "corrected"),
    ("aer_dev_nonfatal", "uncorrected"),
    ("aer_dev_fatal", "uncorrected, fatal"),
];
/// A chain of bridges is short; one that leads back to itself must end.
const BRIDGES_MAX: usize = 16;

/// One counter at one time.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Count {
    device: DeviceId,
    place: Bdf,
    name: String,
    value: u64,
}

/// Every counter of these devices and of the bridges above them.
pub fn read(root: &Root, devices: &[DeviceInfo], node: &NodeFacts) -> Vec<Count> {
    let mut counts = Vec::new();
    for device in devices {
        for place in way(device.address, node) {
            for (file, kind) in FILES {
                let Ok(text) = root.text(&format!("sys/bus/pci/devices/{place}/{file}")) else { continue };
                counts.extend(text.lines().filter_map(|line| count(&device.id, place, kind, line)));
            }
        }
    }
    counts
}

/// The function and the bridges above it.
fn way(device: Option<Bdf>, node: &NodeFacts) -> Vec<Bdf> {
    let above = |at: &Bdf| node.pci.iter().find(|function| function.address == *at)?.parent;
    std::iter::successors(device, above).take(BRIDGES_MAX).collect()
}

/// One line; the kernel's own sums are left out, since their parts are there.
fn count(device: &DeviceId, place: Bdf, kind: &str, line: &str) -> Option<Count> {
    let (name, value) = line.trim().rsplit_once(' ')?;
    let value = value.parse().ok().filter(|_| !name.starts_with("TOTAL"))?;
    Some(Count { device: device.clone(), place, name: format!("{kind} {name}"), value })
}

/// Counters that were read both times.
pub fn compare(before: Vec<Count>, after: &[Count]) -> Vec<Counter> {
    let again = |one: &Count| {
        let same = |c: &&Count| c.device == one.device && c.place == one.place && c.name == one.name;
        after.iter().find(same).map(|count| count.value)
    };
    let counters = before.into_iter().filter_map(|one| {
        let after = again(&one)?;
        let place = format!("AER of {}", one.place);
        Some(Counter { device: one.device, place, name: one.name, before: one.value, after })
    });
    counters.collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use report::node::PciFunction;

    use super::*;
    use crate::device::Device as _;
    use crate::device::cpu::Cpu;

    fn write(dir: &Path, at: &str, file: &str, text: &str) {
        let folder = dir.join("sys/bus/pci/devices").join(at);
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join(file), text).unwrap();
    }

    fn node(parents: &[(&str, Option<&str>)]) -> NodeFacts {
        let function = |(at, parent): &(&str, Option<&str>)| PciFunction {
            address: at.parse().unwrap(),
            id: "10de:2330".parse().unwrap(),
            subsystem: None,
            class: 0x03_0200,
            driver: None,
            parent: parent.map(|parent| parent.parse().unwrap()),
            numa_node: None,
            link: None,
        };
        NodeFacts { pci: parents.iter().map(function).collect(), ..NodeFacts::default() }
    }

    fn device(at: &str) -> DeviceInfo {
        DeviceInfo { address: at.parse().ok(), ..Cpu::new().info().clone() }
    }

    #[test]
    fn an_error_on_the_bridge_above_a_device_is_a_change_of_that_device() {
        let dir = tempfile::tempdir().unwrap();
        let (gpu, bridge) = ("0000:3b:00.0", "0000:3a:01.0");
        write(dir.path(), gpu, "aer_dev_correctable", "RxErr 0\nBadTLP 2\nTOTAL_ERR_COR 2\n");
        write(dir.path(), bridge, "aer_dev_correctable", "RxErr 7\nBad DLLP 1\n");
        write(dir.path(), bridge, "aer_dev_fatal", "Undefined 0\nnonsense\n");
        let (devices, node) = ([device(gpu)], node(&[(gpu, Some(bridge)), (bridge, None)]));
        let root = Root::at(dir.path());
        let before = read(&root, &devices, &node);
        write(dir.path(), bridge, "aer_dev_correctable", "RxErr 1439\nBad DLLP 1\n");
        let counters = compare(before, &read(&root, &devices, &node));
        assert_eq!(counters.len(), 5, "{counters:?}");
        let moved: Vec<_> = counters.iter().filter(|c| c.before != c.after).collect();
        assert_eq!(moved.len(), 1);
        assert_eq!(
            (moved[0].place.as_str(), moved[0].name.as_str()),
            ("AER of 0000:3a:01.0", "corrected RxErr")
        );
        assert_eq!((moved[0].before, moved[0].after), (7, 1439));
    }

    #[test]
    fn a_device_that_is_gone_afterwards_shows_no_change_and_no_zero() {
        let dir = tempfile::tempdir().unwrap();
        let gpu = "0000:3b:00.0";
        write(dir.path(), gpu, "aer_dev_correctable", "RxErr 5\n");
        let (devices, root) = ([device(gpu)], Root::at(dir.path()));
        let before = read(&root, &devices, &NodeFacts::default());
        std::fs::remove_dir_all(dir.path().join("sys")).unwrap();
        assert_eq!(before.len(), 1);
        assert_eq!(compare(before, &read(&root, &devices, &NodeFacts::default())), []);
    }

    #[test]
    fn bridges_that_lead_back_to_themselves_end() {
        let node = node(&[("0000:01:00.0", Some("0000:02:00.0")), ("0000:02:00.0", Some("0000:01:00.0"))]);
        assert_eq!(way("0000:01:00.0".parse().ok(), &node).len(), BRIDGES_MAX);
    }
}
