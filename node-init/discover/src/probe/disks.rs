//! Whole disks, from `/sys/block` (`Documentation/ABI/stable/sysfs-block`).

use report::node::Disk;
use report::{Bytes, NodeFacts};

use super::form;
use crate::error::Troubles;
use crate::{ProbeError, ReadError, Root};

const DIR: &str = "sys/block";
/// `size` counts in sectors of 512 bytes, whatever the disk's own sector is.
const SECTOR_BYTES: u64 = 512;
/// Block devices that are no disk: files, memory, what is made out of disks, network, floppy and optical drives.
const NO_DISKS: [&str; 8] = ["loop", "ram", "zram", "dm-", "md", "nbd", "fd", "sr"];

pub(super) fn read(root: &Root, facts: &mut NodeFacts) -> Result<(), ProbeError> {
    if !root.has(DIR) {
        return Err(ProbeError::Absent { path: DIR });
    }
    let mut troubles = Troubles::default();
    for name in root.names(DIR)? {
        if NO_DISKS.iter().any(|prefix| name.starts_with(prefix)) {
            continue;
        }
        let dir = format!("{DIR}/{name}");
        // One path of an NVMe disk that has several: the disk itself is listed beside it.
        let hidden = root.value_if_told(&format!("{dir}/hidden"), "0 or 1", form::flag);
        if troubles.note(hidden).flatten() != Some(true) {
            facts.disks.extend(disk(root, &dir, name, &mut troubles));
        }
    }
    troubles.into_result()
}

/// One disk; `None` if its size cannot be read.
fn disk(root: &Root, dir: &str, name: String, troubles: &mut Troubles) -> Option<Disk> {
    let size = root.value(&format!("{dir}/size"), "a number of sectors", |text| {
        form::decimal::<u64>(text)?.checked_mul(SECTOR_BYTES)
    });
    let size_bytes = Bytes(troubles.note(size)?);
    let rotational = root.value_if_told(&format!("{dir}/queue/rotational"), "0 or 1", form::flag);
    let place = troubles.note(root.resolve(dir));
    Some(Disk {
        size_bytes,
        model: troubles.note(root.text_if_told(&format!("{dir}/device/model"))).flatten(),
        serial: troubles.note(serial(root, dir)).flatten(),
        rotational: troubles.note(rotational).flatten(),
        address: place.and_then(|place| form::nearest_function(&place)),
        name,
    })
}

/// NVMe, virtio and SCSI each have a place of their own for it.
fn serial(root: &Root, dir: &str) -> Result<Option<String>, ReadError> {
    for place in ["device/serial", "serial"] {
        if let Some(serial) = root.text_if_told(&format!("{dir}/{place}"))? {
            return Ok(Some(serial));
        }
    }
    unit_serial(root, &format!("{dir}/device/vpd_pg80"))
}

/// SCSI's vital product data page 0x80: after four bytes (kind, page, length) the serial number in ASCII.
fn unit_serial(root: &Root, path: &str) -> Result<Option<String>, ReadError> {
    let page = match root.binary(path) {
        Err(ReadError::Missing { .. }) => return Ok(None),
        other => other?,
    };
    let length = page.get(2..4).map(|bytes| usize::from(u16::from_be_bytes([bytes[0], bytes[1]])));
    let serial = length.and_then(|length| page.get(4..4 + length));
    let serial = serial.and_then(|bytes| std::str::from_utf8(bytes).ok());
    let serial = serial.ok_or_else(|| {
        ReadError::malformed(path, &String::from_utf8_lossy(&page), "a page 0x80 with a serial")
    })?;
    let serial = serial.trim_matches(|c: char| c.is_whitespace() || c == '\0');
    Ok((!serial.is_empty()).then(|| serial.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::super::tree::Tree;
    use super::*;
    use report::node::CollectorStatus;

    fn tree() -> Tree {
        let tree = Tree::new(&[
            ("sys/devices/virtual/block/loop0/size", "8\n"),
            ("sys/devices/pci0000:00/0000:05:00.0/nvme/nvme0/model", "EXAMPLE 3.84TB      \n"),
            ("sys/devices/pci0000:00/0000:05:00.0/nvme/nvme0/serial", "S123   \n"),
            ("sys/devices/pci0000:00/0000:05:00.0/nvme/nvme0/nvme0n1/size", "7501476528\n"),
            ("sys/devices/pci0000:00/0000:05:00.0/nvme/nvme0/nvme0n1/queue/rotational", "0\n"),
            ("sys/devices/pci0000:00/0000:05:00.0/nvme/nvme0/nvme0c0n1/hidden", "1\n"),
        ]);
        let nvme = "../devices/pci0000:00/0000:05:00.0/nvme/nvme0";
        tree.link("sys/devices/pci0000:00/0000:05:00.0/nvme/nvme0/nvme0n1/device", "../../nvme0");
        tree.link("sys/block/nvme0n1", &format!("{nvme}/nvme0n1"));
        tree.link("sys/block/nvme0c0n1", &format!("{nvme}/nvme0c0n1"));
        tree.link("sys/block/loop0", "../devices/virtual/block/loop0");
        tree
    }

    #[test]
    fn a_disk_is_read_and_what_is_no_disk_left_out() {
        let (facts, ended) = tree().read(read);
        assert_eq!(ended, Ok(()));
        let [disk] = &facts.disks[..] else { panic!("{:?}", facts.disks) };
        assert_eq!((disk.name.as_str(), disk.size_bytes), ("nvme0n1", Bytes(3_840_755_982_336)));
        assert_eq!((disk.model.as_deref(), disk.serial.as_deref()), (Some("EXAMPLE 3.84TB"), Some("S123")));
        assert_eq!(
            (disk.rotational, disk.address.unwrap().to_string().as_str()),
            (Some(false), "0000:05:00.0")
        );
    }

    #[test]
    fn a_malformed_size_loses_one_disk_only() {
        let tree = tree();
        tree.write("sys/block/vda/size", "18446744073709551615\n");
        let (facts, ended) = tree.read(read);
        assert_eq!(facts.disks.len(), 1);
        assert_eq!(
            ended.unwrap_err(),
            (
                CollectorStatus::Error,
                "`sys/block/vda/size` holds `18446744073709551615`: expected a number of sectors".to_owned()
            )
        );
    }

    #[test]
    fn serials_of_scsi_and_virtio_are_found() {
        let tree = Tree::new(&[("sys/block/sda/size", "8\n"), ("sys/block/vda/size", "8\n")]);
        tree.write("sys/block/sda/device/vpd_pg80", b"\x00\x80\x00\x08  WD-42\0");
        tree.write("sys/block/vda/serial", "disk-1\n");
        let (facts, ended) = tree.read(read);
        assert_eq!(ended, Ok(()));
        let serials: Vec<_> = facts.disks.iter().map(|d| d.serial.as_deref().unwrap()).collect();
        assert_eq!(serials, ["WD-42", "disk-1"]);
        tree.write("sys/block/sda/device/vpd_pg80", b"\x00\x80\xff\xffshort");
        let (facts, ended) = tree.read(read);
        assert_eq!((ended.unwrap_err().0, facts.disks.len()), (CollectorStatus::Error, 2));
    }

    #[test]
    fn a_kernel_without_block_devices_says_so() {
        assert_eq!(Tree::new(&[]).read(read).1.unwrap_err().0, CollectorStatus::Absent);
    }
}
