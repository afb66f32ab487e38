//! Identity of board, chassis and firmware, as the kernel shows the SMBIOS tables in `/sys/class/dmi/id`. Serial numbers
//! and the UUID are readable by root only.

use report::NodeFacts;
use report::node::Dmi;

use crate::error::Troubles;
use crate::{ProbeError, Root};

const DIR: &str = "sys/class/dmi/id";

pub(super) fn read(root: &Root, facts: &mut NodeFacts) -> Result<(), ProbeError> {
    if !root.has(DIR) {
        return Err(ProbeError::Unsupported { path: DIR });
    }
    let mut troubles = Troubles::default();
    let mut text = |name: &str| troubles.note(root.text_if_told(&format!("{DIR}/{name}"))).flatten();
    facts.dmi = Some(Dmi {
        system_vendor: text("sys_vendor"),
        product_name: text("product_name"),
        product_serial: text("product_serial"),
        product_uuid: text("product_uuid").map(|uuid| uuid.to_lowercase()),
        board_vendor: text("board_vendor"),
        board_name: text("board_name"),
        board_serial: text("board_serial"),
        chassis_serial: text("chassis_serial"),
        bios_vendor: text("bios_vendor"),
        bios_version: text("bios_version"),
        bios_date: text("bios_date"),
    });
    troubles.into_result()
}

#[cfg(test)]
mod tests {
    use super::super::tree::Tree;
    use super::*;
    use report::node::CollectorStatus;

    #[test]
    fn texts_are_trimmed_and_empty_ones_absent() {
        let tree = Tree::new(&[
            ("sys/class/dmi/id/sys_vendor", "Example Corp.   \n"),
            ("sys/class/dmi/id/product_serial", "\n"),
            ("sys/class/dmi/id/product_uuid", "4C4C4544-0042-3510-8052-B4C04F564433\n"),
        ]);
        let (facts, ended) = tree.read(read);
        assert_eq!(ended, Ok(()));
        let dmi = facts.dmi.unwrap();
        assert_eq!(dmi.system_vendor.as_deref(), Some("Example Corp."));
        assert_eq!(dmi.product_serial, None);
        assert_eq!(dmi.product_uuid.as_deref(), Some("4c4c4544-0042-3510-8052-b4c04f564433"));
    }

    #[test]
    fn one_text_that_cannot_be_read_does_not_lose_the_others() {
        let tree = Tree::new(&[("sys/class/dmi/id/board_name", "H100")]);
        tree.write("sys/class/dmi/id/board_serial", vec![0xff; 5000]);
        let (facts, ended) = tree.read(read);
        let (status, detail) = ended.unwrap_err();
        assert_eq!(status, CollectorStatus::Error);
        assert!(detail.starts_with("`sys/class/dmi/id/board_serial` holds `"), "{detail}");
        assert_eq!(facts.dmi.unwrap().board_name.as_deref(), Some("H100"));
    }

    #[test]
    fn a_platform_without_dmi_does_not_tell() {
        let (facts, ended) = Tree::new(&[]).read(read);
        assert_eq!(ended.unwrap_err().0, CollectorStatus::Unsupported);
        assert_eq!(facts.dmi, None);
    }
}
