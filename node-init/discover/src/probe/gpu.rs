//! What names one GPU: its serial number and UUID, as its driver tells them without any library.
//!
//! amdgpu: `serial_number` of the board and `unique_id` of the chip (`Documentation/gpu/amdgpu/driver-misc.rst`).
//! NVIDIA's driver: `/proc/driver/nvidia/gpus/ADDRESS/information`, with question marks before the first use.

use report::Bdf;

use super::form;
use crate::error::Troubles;
use crate::{ReadError, Root};

/// Where NVIDIA's driver tells about its GPUs.
const NVIDIA: &str = "proc/driver/nvidia/gpus";

/// Serial number and UUID of the GPU at that address, whose attributes are in `dir`.
pub(super) fn names(
    root: &Root,
    dir: &str,
    address: Bdf,
    troubles: &mut Troubles,
) -> (Option<String>, Option<String>) {
    let serial = troubles.note(serial(root, dir)).flatten();
    let uuid = troubles.note(nvidia_uuid(root, address)).flatten();
    (serial, uuid)
}

/// That of the board; where it has none, the chip's number.
fn serial(root: &Root, dir: &str) -> Result<Option<String>, ReadError> {
    match root.text_if_told(&format!("{dir}/serial_number"))? {
        Some(serial) => Ok(Some(serial)),
        None => root.text_if_told(&format!("{dir}/unique_id")),
    }
}

fn nvidia_uuid(root: &Root, address: Bdf) -> Result<Option<String>, ReadError> {
    let path = format!("{NVIDIA}/{address}/information");
    let document = match root.document(&path) {
        Err(ReadError::Missing { .. }) => return Ok(None),
        other => other?,
    };
    let uuid =
        form::line(&document, "GPU UUID").filter(|uuid| uuid.starts_with("GPU-") && !uuid.contains('?'));
    Ok(uuid.map(ToOwned::to_owned))
}

#[cfg(test)]
mod tests {
    use super::super::{pci, tree::Tree};
    use report::node::PciFunction;

    const AMD: &str = "sys/bus/pci/devices/0000:03:00.0";
    const NVIDIA: &str = "sys/bus/pci/devices/0000:04:00.0";
    const INFORMATION: &str = "proc/driver/nvidia/gpus/0000:04:00.0/information";

    fn tree() -> Tree {
        let tree = Tree::new(&[]);
        for (dir, vendor) in [(AMD, "0x1002\n"), (NVIDIA, "0x10de\n")] {
            tree.write(&format!("{dir}/vendor"), vendor);
            tree.write(&format!("{dir}/device"), "0x74a1\n");
            tree.write(&format!("{dir}/class"), "0x120000\n");
        }
        tree
    }

    fn gpus(tree: &Tree) -> [PciFunction; 2] {
        let (facts, ended) = tree.read(pci::read);
        assert_eq!(ended, Ok(()));
        facts.pci.try_into().unwrap()
    }

    #[test]
    fn a_gpu_is_named_by_board_then_by_chip_and_by_uuid() {
        let tree = tree();
        let [amd, nvidia] = gpus(&tree);
        assert_eq!((amd.serial, amd.uuid, nvidia.serial, nvidia.uuid), (None, None, None, None));
        tree.write(&format!("{AMD}/unique_id"), "8f3c1d2e4b5a6978\n");
        tree.write(
            INFORMATION,
            "Model: \t\t NVIDIA H100\nGPU UUID: \t GPU-5c5b1c9a-1f4e-3a2b-9d8c-7e6f5a4b3c2d\n",
        );
        let [amd, nvidia] = gpus(&tree);
        assert_eq!(amd.serial.as_deref(), Some("8f3c1d2e4b5a6978"));
        assert_eq!(nvidia.uuid.as_deref(), Some("GPU-5c5b1c9a-1f4e-3a2b-9d8c-7e6f5a4b3c2d"));
        tree.write(&format!("{AMD}/serial_number"), "692204001234\n");
        assert_eq!(gpus(&tree)[0].serial.as_deref(), Some("692204001234"));
    }

    #[test]
    fn a_uuid_that_the_driver_does_not_know_yet_is_absent() {
        let tree = tree();
        tree.write(INFORMATION, "GPU UUID: \t GPU-????????-????-????-????-????????????\n");
        assert_eq!(gpus(&tree)[1].uuid, None);
    }
}
