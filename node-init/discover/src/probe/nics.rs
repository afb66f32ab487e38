//! Network interfaces with a device behind them, from `/sys/class/net` (`Documentation/ABI/testing/sysfs-class-net`).
//! Bridges, tunnels, VLANs and the loopback have none.

use report::node::Nic;
use report::{Bdf, MacAddr, NodeFacts};

use super::form;
use crate::error::Troubles;
use crate::{ProbeError, ReadError, Root};

const DIR: &str = "sys/class/net";
/// `ARPHRD_ETHER` in `if_arp.h`; others, such as InfiniBand (32), have addresses of another length.
const ETHERNET: u32 = 1;
/// `NET_ADDR_PERM` in `netdevice.h`: the address that the maker gave.
const PERMANENT: u32 = 0;

pub(super) fn read(root: &Root, facts: &mut NodeFacts) -> Result<(), ProbeError> {
    if !root.has(DIR) {
        return Err(ProbeError::Absent { path: DIR });
    }
    let mut troubles = Troubles::default();
    for name in root.names(DIR)? {
        let dir = format!("{DIR}/{name}");
        if root.has(&format!("{dir}/device")) {
            facts.nics.push(nic(root, &dir, name, &mut troubles));
        }
    }
    troubles.into_result()
}

fn nic(root: &Root, dir: &str, name: String, troubles: &mut Troubles) -> Nic {
    let mac = troubles.note(mac(root, dir)).flatten();
    let assigned = root.value_if_told(&format!("{dir}/addr_assign_type"), "a number", form::decimal::<u32>);
    let permanent = troubles.note(assigned).flatten() == Some(PERMANENT);
    let carrier = root.value_if_told(&format!("{dir}/carrier"), "0 or 1", form::flag);
    Nic {
        mac,
        mac_permanent: mac.filter(|_| permanent),
        driver: troubles.note(root.link_name(&format!("{dir}/device/driver"))).flatten(),
        address: troubles.note(behind(root, dir)).flatten(),
        carrier: troubles.note(carrier).flatten(),
        speed_mbit_per_s: troubles.note(speed(root, dir)).flatten(),
        name,
    }
}

/// The Ethernet address in use; zeros are none.
fn mac(root: &Root, dir: &str) -> Result<Option<MacAddr>, ReadError> {
    let kind = root.value_if_told(&format!("{dir}/type"), "a number", form::decimal::<u32>)?;
    if kind != Some(ETHERNET) {
        return Ok(None);
    }
    let address = root.value_if_told(&format!("{dir}/address"), "a MAC address", |t| t.parse().ok())?;
    Ok(address.filter(|mac: &MacAddr| !mac.is_zero()))
}

fn behind(root: &Root, dir: &str) -> Result<Option<Bdf>, ReadError> {
    Ok(form::nearest_function(&root.resolve(&format!("{dir}/device"))?))
}

/// Link speed; 0, -1 and its 32 bits unsigned say that it is not known (`SPEED_UNKNOWN` in `ethtool.h`).
fn speed(root: &Root, dir: &str) -> Result<Option<u64>, ReadError> {
    let speed = root.value_if_told(&format!("{dir}/speed"), "a speed in Mbit/s or -1", |text| {
        if text == "-1" { Some(0) } else { form::decimal::<u64>(text) }
    })?;
    Ok(speed.filter(|speed| !matches!(*speed, 0 | 0xffff_ffff)))
}

#[cfg(test)]
mod tests {
    use super::super::tree::Tree;
    use super::*;
    use report::node::CollectorStatus;

    fn tree() -> Tree {
        let tree = Tree::new(&[("sys/class/net/lo/address", "00:00:00:00:00:00\n")]);
        let dir = "sys/devices/pci0000:00/0000:00:03.0/net/eth0";
        for (name, text) in [
            ("type", "1\n"),
            ("address", "b8:3f:d2:01:02:03\n"),
            ("addr_assign_type", "0\n"),
            ("carrier", "1\n"),
            ("speed", "400000\n"),
        ] {
            tree.write(&format!("{dir}/{name}"), text);
        }
        tree.link(&format!("{dir}/device"), "../../../0000:00:03.0");
        tree.link("sys/devices/pci0000:00/0000:00:03.0/driver", "../../../bus/pci/drivers/mlx5_core");
        tree.link("sys/class/net/eth0", "../../devices/pci0000:00/0000:00:03.0/net/eth0");
        tree
    }

    #[test]
    fn an_interface_with_a_device_is_read_and_the_loopback_left_out() {
        let (facts, ended) = tree().read(read);
        assert_eq!(ended, Ok(()));
        let [nic] = &facts.nics[..] else { panic!("{:?}", facts.nics) };
        assert_eq!((nic.name.as_str(), nic.driver.as_deref()), ("eth0", Some("mlx5_core")));
        assert_eq!(nic.address.unwrap().to_string(), "0000:00:03.0");
        assert_eq!(
            (nic.mac, nic.carrier, nic.speed_mbit_per_s),
            (nic.mac_permanent, Some(true), Some(400_000))
        );
        assert_eq!(nic.mac.unwrap().to_string(), "b8:3f:d2:01:02:03");
    }

    #[test]
    fn an_address_that_was_given_by_software_is_not_permanent() {
        let tree = tree();
        for assigned in ["1", "3"] {
            tree.write("sys/class/net/eth0/addr_assign_type", assigned);
            let nic = tree.read(read).0.nics.remove(0);
            assert!(nic.mac.is_some() && nic.mac_permanent.is_none());
        }
        tree.remove("sys/class/net/eth0/addr_assign_type");
        assert_eq!(tree.read(read).0.nics[0].mac_permanent, None);
    }

    #[test]
    fn infiniband_has_no_mac_and_unknown_speeds_are_absent() {
        let tree = tree();
        tree.write("sys/class/net/eth0/type", "32\n");
        tree.write(
            "sys/class/net/eth0/address",
            "00:00:10:87:fe:80:00:00:00:00:00:00:b8:3f:d2:03:00:01:02:03\n",
        );
        for unknown in ["-1", "0", "4294967295"] {
            tree.write("sys/class/net/eth0/speed", unknown);
            let (facts, ended) = tree.read(read);
            assert_eq!((ended, facts.nics[0].mac, facts.nics[0].speed_mbit_per_s), (Ok(()), None, None));
        }
    }

    #[test]
    fn a_malformed_address_is_recorded_and_the_interface_kept() {
        let tree = tree();
        tree.write("sys/class/net/eth0/address", "no address\n");
        let (facts, ended) = tree.read(read);
        let (status, detail) = ended.unwrap_err();
        assert_eq!((status, facts.nics[0].carrier), (CollectorStatus::Error, Some(true)));
        assert_eq!(detail, "`sys/class/net/eth0/address` holds `no address`: expected a MAC address");
        assert_eq!(Tree::new(&[]).read(read).1.unwrap_err().0, CollectorStatus::Absent);
    }
}
