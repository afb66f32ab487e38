//! PCI functions, from `/sys/bus/pci/devices` (`drivers/pci/pci-sysfs.c`).

use report::node::{PciFunction, PciLink};
use report::{Bdf, NodeFacts, PciId};

use super::{form, gpu};
use crate::error::Troubles;
use crate::{ProbeError, ReadError, Root};

const DIR: &str = "sys/bus/pci/devices";

pub(super) fn read(root: &Root, facts: &mut NodeFacts) -> Result<(), ProbeError> {
    if !root.has(DIR) {
        return Err(ProbeError::Absent { path: DIR });
    }
    let mut troubles = Troubles::default();
    for name in root.names(DIR)? {
        let address = name.parse::<Bdf>().map_err(|_| ReadError::malformed(DIR, &name, "PCI addresses"));
        let Some(address) = troubles.note(address) else { continue };
        let dir = format!("{DIR}/{name}");
        facts.pci.extend(function(root, &dir, address, &mut troubles));
    }
    facts.pci.sort_unstable_by_key(|function| function.address);
    troubles.into_result()
}

/// One function; `None` if it cannot be said what it is. Anything else that cannot be read is only left out.
fn function(root: &Root, dir: &str, address: Bdf, troubles: &mut Troubles) -> Option<PciFunction> {
    let id = troubles.note(id(root, dir, "vendor", "device"))?;
    let class = root.value(&format!("{dir}/class"), "24 bits in hexadecimal", |text| {
        form::hex(text).filter(|class| *class < 1 << 24)
    });
    let class = troubles.note(class)?;
    let has_subsystem = root.has(&format!("{dir}/subsystem_vendor"));
    let subsystem = has_subsystem.then(|| id_of_board(root, dir, troubles)).flatten();
    let mut function = PciFunction {
        address,
        id,
        subsystem,
        class,
        driver: troubles.note(root.link_name(&format!("{dir}/driver"))).flatten(),
        parent: troubles.note(parent(root, dir)).flatten(),
        numa_node: troubles.note(numa_node(root, dir)).flatten(),
        link: link(root, dir, troubles),
        serial: None,
        uuid: None,
    };
    if function.is_gpu() {
        (function.serial, function.uuid) = gpu::names(root, dir, address, troubles);
    }
    Some(function)
}

fn id(root: &Root, dir: &str, vendor: &str, device: &str) -> Result<PciId, ReadError> {
    const EXPECTED: &str = "16 bits in hexadecimal such as `0x10de`";
    Ok(PciId {
        vendor: root.value(&format!("{dir}/{vendor}"), EXPECTED, form::hex16)?,
        device: root.value(&format!("{dir}/{device}"), EXPECTED, form::hex16)?,
    })
}

/// Bridges show zeros: they have no board of their own.
fn id_of_board(root: &Root, dir: &str, troubles: &mut Troubles) -> Option<PciId> {
    let board = troubles.note(id(root, dir, "subsystem_vendor", "subsystem_device"))?;
    (board != PciId { vendor: 0, device: 0 }).then_some(board)
}

/// The bridge above, by the function's place in the tree of devices.
fn parent(root: &Root, dir: &str) -> Result<Option<Bdf>, ReadError> {
    let place = root.resolve(dir)?;
    Ok(place.parent().and_then(|above| above.file_name()?.to_str()?.parse().ok()))
}

/// `-1` says that the firmware does not tell.
fn numa_node(root: &Root, dir: &str) -> Result<Option<u32>, ReadError> {
    let node = root.value_if_told(&format!("{dir}/numa_node"), "a NUMA node or -1", |text| {
        if text == "-1" { Some(None) } else { form::decimal(text).map(Some) }
    })?;
    Ok(node.flatten())
}

/// The PCI Express link; `None` where the kernel tells nothing of it: a conventional function, or one that is part of
/// the root complex (which shows `Unknown` and 0 or 255 lanes).
fn link(root: &Root, dir: &str, troubles: &mut Troubles) -> Option<PciLink> {
    let mut speed = |name| {
        let path = format!("{dir}/{name}");
        troubles.note(root.value_if_told(&path, "a speed such as `32.0 GT/s PCIe`", gt_per_s)).flatten()?
    };
    let (current_gt_per_s, max_gt_per_s) = (speed("current_link_speed"), speed("max_link_speed"));
    let mut width = |name| {
        let path = format!("{dir}/{name}");
        troubles.note(root.value_if_told(&path, "a width of 0 to 32 lanes or 255", lanes)).flatten()?
    };
    let (current_lanes, max_lanes) = (width("current_link_width"), width("max_link_width"));
    let link = PciLink { current_gt_per_s, current_lanes, max_gt_per_s, max_lanes };
    let nothing =
        PciLink { current_gt_per_s: None, current_lanes: None, max_gt_per_s: None, max_lanes: None };
    (link != nothing).then_some(link)
}

/// `32.0 GT/s PCIe`; before Linux 5.11 without `PCIe`, before 4.17 without the fraction; `Unknown`, in whatever
/// surroundings, is no speed.
#[expect(clippy::option_option, reason = "outer: is it understood; inner: is it known")]
fn gt_per_s(text: &str) -> Option<Option<f64>> {
    if text.starts_with("Unknown") {
        return Some(None);
    }
    let number = text.strip_suffix("PCIe").unwrap_or(text).trim_end().strip_suffix("GT/s")?.trim_end();
    let plain = number.bytes().all(|b| b.is_ascii_digit() || b == b'.');
    // No generation is near 1000 GT/s per lane (PCIe 7.0: 128).
    let speed = number.parse::<f64>().ok().filter(|speed| plain && *speed > 0.0 && *speed < 1000.0)?;
    Some(Some(speed))
}

/// Lanes; 0 and 255 say that there is no link to speak of.
#[expect(clippy::option_option, reason = "outer: is it understood; inner: is it known")]
fn lanes(text: &str) -> Option<Option<u8>> {
    match form::decimal::<u8>(text)? {
        0 | 255 => Some(None),
        lanes @ 1..=32 => Some(Some(lanes)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tree::Tree;
    use super::*;
    use report::node::CollectorStatus;

    /// A GPU behind a bridge, and a device of the root complex.
    fn tree() -> Tree {
        let tree = Tree::new(&[]);
        let gpu = "sys/devices/pci0000:00/0000:00:01.0/0000:01:00.0";
        for (name, text) in [
            ("vendor", "0x10de\n"),
            ("device", "0x2330\n"),
            ("class", "0x030200\n"),
            ("subsystem_vendor", "0x10de\n"),
            ("subsystem_device", "0x16c1\n"),
            ("numa_node", "1\n"),
            ("current_link_speed", "2.5 GT/s PCIe\n"),
            ("current_link_width", "16\n"),
            ("max_link_speed", "32.0 GT/s PCIe\n"),
            ("max_link_width", "16\n"),
        ] {
            tree.write(&format!("{gpu}/{name}"), text);
        }
        tree.link(&format!("{gpu}/driver"), "../../../../bus/pci/drivers/nvidia");
        let bridge = "sys/devices/pci0000:00/0000:00:01.0";
        for (name, text) in [
            ("vendor", "0x8086\n"),
            ("device", "0x352a\n"),
            ("class", "0x060400\n"),
            ("subsystem_vendor", "0x0000\n"),
            ("subsystem_device", "0x0000\n"),
            ("numa_node", "-1\n"),
            ("current_link_speed", "Unknown\n"),
            ("current_link_width", "0\n"),
            ("max_link_speed", "Unknown speed\n"),
            ("max_link_width", "255\n"),
        ] {
            tree.write(&format!("{bridge}/{name}"), text);
        }
        tree.link(&format!("{DIR}/0000:00:01.0"), "../../../devices/pci0000:00/0000:00:01.0");
        tree.link(&format!("{DIR}/0000:01:00.0"), "../../../devices/pci0000:00/0000:00:01.0/0000:01:00.0");
        tree
    }

    #[test]
    fn a_gpu_behind_a_bridge_is_read_whole() {
        let (facts, ended) = tree().read(read);
        assert_eq!(ended, Ok(()));
        let [bridge, gpu] = &facts.pci[..] else { panic!("{:?}", facts.pci) };
        assert_eq!((gpu.id.to_string().as_str(), gpu.class), ("10de:2330", 0x03_0200));
        assert_eq!((gpu.driver.as_deref(), gpu.parent), (Some("nvidia"), Some(bridge.address)));
        assert_eq!(gpu.subsystem.unwrap().to_string(), "10de:16c1");
        assert_eq!(gpu.numa_node, Some(1));
        let link = gpu.link.unwrap();
        assert_eq!((link.current_gt_per_s, link.max_gt_per_s), (Some(2.5), Some(32.0)));
        assert_eq!((link.current_lanes, link.max_lanes), (Some(16), Some(16)));
    }

    #[test]
    fn what_the_kernel_does_not_know_is_absent() {
        let (facts, _) = tree().read(read);
        let bridge = &facts.pci[0];
        assert_eq!((bridge.numa_node, bridge.subsystem, bridge.parent), (None, None, None));
        assert_eq!((bridge.driver.as_deref(), bridge.link), (None, None));
    }

    #[test]
    fn a_malformed_file_of_one_function_does_not_lose_the_others() {
        let tree = tree();
        tree.write("sys/bus/pci/devices/0000:01:00.0/device", "lost");
        let (facts, ended) = tree.read(read);
        let (status, detail) = ended.unwrap_err();
        assert_eq!((facts.pci.len(), status), (1, CollectorStatus::Error));
        assert_eq!(
            detail,
            "`sys/bus/pci/devices/0000:01:00.0/device` holds `lost`: expected 16 bits in hexadecimal such as `0x10de`"
        );
    }

    #[test]
    fn a_malformed_link_leaves_the_function() {
        let tree = tree();
        tree.write("sys/bus/pci/devices/0000:01:00.0/current_link_width", "64");
        tree.write("sys/bus/pci/devices/0000:01:00.0/current_link_speed", "inf GT/s");
        tree.remove("sys/bus/pci/devices/0000:01:00.0/max_link_width");
        let (facts, ended) = tree.read(read);
        assert!(ended.unwrap_err().1.ends_with("(and 1 more)"));
        let link = facts.pci[1].link.unwrap();
        assert_eq!((link.current_lanes, link.current_gt_per_s, link.max_lanes), (None, None, None));
        assert_eq!(link.max_gt_per_s, Some(32.0));
    }

    #[test]
    fn a_node_without_pci_says_so() {
        assert_eq!(Tree::new(&[]).read(read).1.unwrap_err().0, CollectorStatus::Absent);
    }

    #[test]
    fn speeds_of_all_kernels_are_read() {
        for (text, speed) in
            [("32.0 GT/s PCIe", 32.0), ("8.0 GT/s", 8.0), ("16 GT/s", 16.0), ("2.5 GT/s PCIe", 2.5)]
        {
            assert_eq!(gt_per_s(text), Some(Some(speed)), "{text}");
        }
        for bad in ["", "GT/s", "-8 GT/s", "NaN GT/s", "1e9 GT/s", "8.0"] {
            assert_eq!(gt_per_s(bad), None, "{bad}");
        }
    }
}
