//! What tells one virtual node from another: all of fixed length, so that a report is made by writing the names of a node
//! over those of a template.

use data_encoding::HEXLOWER;
use report::MacAddr;
use report::wire::Identity;

use super::machine::NICS;
use super::random::Seeded;

/// Most nodes of a fleet: their MAC addresses have 20 bits of their own.
pub const NODES_MAX: usize = 1 << 20;

/// The names of one node at one boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Names {
    /// Of the burn-in.
    pub run_id: String,
    /// Of the boot.
    pub boot_id: String,
    /// SMBIOS UUID.
    pub product_uuid: String,
    /// Serial number; system, board and chassis have it behind a prefix.
    pub serial: String,
    /// What it calls itself.
    pub hostname: String,
    /// The part of its MAC addresses that is its own.
    mac: [u8; 3],
}

impl Names {
    /// Those of node `index`; no two nodes of one fleet have any in common.
    pub fn new(index: usize, chance: &mut Seeded) -> Self {
        debug_assert!(index < NODES_MAX, "a fleet has fewer than {NODES_MAX} nodes");
        let [_, .., b2, b1, b0] = (index << 4).to_be_bytes();
        Self {
            run_id: HEXLOWER.encode(&chance.bytes::<16>()),
            boot_id: uuid(chance),
            product_uuid: uuid(chance),
            serial: HEXLOWER.encode(&chance.bytes::<8>()).to_uppercase(),
            hostname: format!("gpu-{index:07}"),
            mac: [b2, b1, b0],
        }
    }

    /// The same boot on hardware that says it is another's.
    #[must_use]
    pub fn with_hardware_of(&self, other: &Self) -> Self {
        let (run_id, boot_id) = (self.run_id.clone(), self.boot_id.clone());
        Self { run_id, boot_id, ..other.clone() }
    }

    /// The MAC address of one of its ports.
    pub fn mac(&self, port: u8) -> MacAddr {
        let [a, b, c] = self.mac;
        MacAddr([0xb8, 0x3f, 0xd2, a, b, c | port])
    }

    /// What it says of itself when it enrols.
    pub fn identity(&self) -> Identity {
        Identity {
            product_uuid: Some(self.product_uuid.clone()),
            product_serial: Some(format!("SN{}", self.serial)),
            board_serial: Some(format!("BN{}", self.serial)),
            macs: (0..NICS).map(|port| self.mac(port)).collect(),
            hostname: Some(self.hostname.clone()),
        }
    }

    /// The texts by which they stand in a report.
    fn texts(&self) -> [String; 6] {
        let [a, b, c] = self.mac;
        [
            self.run_id.clone(),
            self.boot_id.clone(),
            self.product_uuid.clone(),
            self.serial.clone(),
            self.hostname.clone(),
            // Without the digit of the port.
            format!("b8:3f:d2:{a:02x}:{b:02x}:{:x}", c >> 4),
        ]
    }
}

/// A report, with the places of its names.
#[derive(Debug)]
pub struct Template {
    bytes: Vec<u8>,
    places: [Vec<usize>; 6],
}

impl Template {
    /// Finds these names in that report.
    pub fn new(bytes: Vec<u8>, names: &Names) -> Self {
        let places = names.texts().map(|text| {
            let windows = bytes.windows(text.len()).enumerate();
            windows.filter(|(_, window)| *window == text.as_bytes()).map(|(at, _)| at).collect()
        });
        Self { bytes, places }
    }

    /// The same report of another node.
    pub fn of(&self, names: &Names) -> Vec<u8> {
        let mut bytes = self.bytes.clone();
        for (text, places) in names.texts().iter().zip(&self.places) {
            for at in places {
                bytes[*at..*at + text.len()].copy_from_slice(text.as_bytes());
            }
        }
        bytes
    }

    /// Its size.
    pub fn bytes(&self) -> usize {
        self.bytes.len()
    }
}

/// A UUID as Linux and firmware print it.
fn uuid(chance: &mut Seeded) -> String {
    let hex = HEXLOWER.encode(&chance.bytes::<16>());
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}
