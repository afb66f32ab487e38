//! From what a node sends to what can be compared: one form for each value, junk left out, sizes bounded.

use report::wire::{self, Identity};
use serde::{Deserialize, Serialize};

use super::junk::{is_telling_mac, is_telling_serial, is_telling_uuid};
use super::kind::Kind;

/// Longest text of one piece of evidence, in bytes.
pub const TEXT_BYTES_MAX: usize = 256;
/// Most MAC addresses of one node.
pub const MACS_MAX: usize = 256;

pub use report::wire::PARTS_MAX;
/// What a text ends in that was cut after normalizing.
const LENGTH_EK: usize = 64;

/// One claim about the hardware.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub struct Evidence {
    /// What it is about.
    pub kind: Kind,
    /// The value, trimmed and in lower case.
    pub value: String,
    /// Who made the thing that has this serial number, where that is known: makers number by themselves.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub vendor: Option<String>,
}

impl Evidence {
    /// Do both name the same thing? A maker that is not known on one side is no difference.
    pub fn names_the_same(&self, other: &Self) -> bool {
        let same_vendor = match (&self.vendor, &other.vendor) {
            (Some(ours), Some(theirs)) => ours == theirs,
            _ => true,
        };
        self.kind == other.kind && self.value == other.value && same_vendor
    }
}

/// Why an identity is refused before anything is compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadIdentity {
    /// A text is too long.
    #[error("`{0}` is longer than {TEXT_BYTES_MAX} bytes")]
    TextTooLong(&'static str),
    /// Too many MAC addresses.
    #[error("there are more than {MACS_MAX} MAC addresses")]
    TooManyMacs,
    /// Too many parts of one kind.
    #[error("`{0}` has more than {PARTS_MAX} entries")]
    TooManyParts(&'static str),
}

/// Refuses identities of unreasonable size.
pub fn check_size(identity: &wire::Identity) -> Result<(), BadIdentity> {
    let texts = [
        ("product_uuid", &identity.product_uuid),
        ("product_serial", &identity.product_serial),
        ("board_serial", &identity.board_serial),
        ("hostname", &identity.hostname),
        ("system_vendor", &identity.system_vendor),
        ("board_vendor", &identity.board_vendor),
        ("chassis_serial", &identity.chassis_serial),
        ("tpm_ek_sha256", &identity.tpm_ek_sha256),
    ];
    let is_long = |text: &str| text.len() > TEXT_BYTES_MAX;
    if let Some((name, _)) = texts.iter().find(|(_, text)| text.as_deref().is_some_and(is_long)) {
        return Err(BadIdentity::TextTooLong(name));
    }
    if identity.macs.len() > MACS_MAX {
        return Err(BadIdentity::TooManyMacs);
    }
    let lists = [
        ("nvme_serials", &identity.nvme_serials),
        ("gpu_serials", &identity.gpu_serials),
        ("gpu_uuids", &identity.gpu_uuids),
        ("lldp", &identity.lldp),
    ];
    for (name, list) in lists {
        if list.len() > PARTS_MAX {
            return Err(BadIdentity::TooManyParts(name));
        }
        if list.iter().any(|text| is_long(text)) {
            return Err(BadIdentity::TextTooLong(name));
        }
    }
    Ok(())
}

/// What of an identity can tell one machine from another, sorted.
pub fn evidence(identity: &Identity) -> Vec<Evidence> {
    let vendor = |text: &Option<String>| text.as_deref().map(maker).filter(|maker| !maker.is_empty());
    let serial = |kind, text: &Option<String>, vendor| {
        let value = text.as_deref().map(normal).filter(|text| is_telling_serial(text))?;
        Some(Evidence { kind, value, vendor })
    };
    let bare = |kind, value| Evidence { kind, value, vendor: None };
    let serials = |kind, list: &[String]| -> Vec<Evidence> {
        list.iter()
            .map(|text| normal(text))
            .filter(|text| is_telling_serial(text))
            .map(|text| bare(kind, text))
            .collect()
    };
    let uuid = identity.product_uuid.as_deref().map(normal).filter(|uuid| is_telling_uuid(uuid));
    let mut found: Vec<Evidence> = Vec::new();
    found.extend(
        identity
            .tpm_ek_sha256
            .as_deref()
            .map(normal)
            .filter(|ek| is_digest(ek))
            .map(|ek| bare(Kind::TpmEk, ek)),
    );
    found.extend(serial(Kind::BoardSerial, &identity.board_serial, vendor(&identity.board_vendor)));
    found.extend(serial(Kind::ProductSerial, &identity.product_serial, vendor(&identity.system_vendor)));
    found.extend(uuid.map(|uuid| bare(Kind::ProductUuid, uuid)));
    found.extend(serial(Kind::ChassisSerial, &identity.chassis_serial, None));
    let macs = identity.macs.iter().filter(|mac| is_telling_mac(**mac));
    found.extend(macs.map(|mac| bare(Kind::Mac, mac.to_string())));
    found.extend(serials(Kind::NvmeSerial, &identity.nvme_serials));
    found.extend(serials(Kind::GpuSerial, &identity.gpu_serials));
    found.extend(
        identity.gpu_uuids.iter().filter_map(|uuid| gpu_uuid(uuid)).map(|uuid| bare(Kind::GpuUuid, uuid)),
    );
    let ports = identity.lldp.iter().map(|port| normal(port)).filter(|port| !port.is_empty());
    found.extend(ports.map(|port| bare(Kind::Lldp, port)));
    found.sort();
    found.dedup();
    found
}

/// The one form of a GPU's UUID, whether it came as NVML writes it (`GPU-...`) or as bare digits; none for junk.
pub fn gpu_uuid(text: &str) -> Option<String> {
    let text = normal(text);
    let digits: String = text.strip_prefix("gpu-").unwrap_or(&text).chars().filter(|c| *c != '-').collect();
    let formed = digits.len() == 32 && digits.bytes().all(|b| b.is_ascii_hexdigit());
    let grouped = formed
        .then(|| [&digits[..8], &digits[8..12], &digits[12..16], &digits[16..20], &digits[20..]].join("-"))?;
    is_telling_uuid(&grouped).then_some(grouped)
}

/// Trimmed, in lower case, without control characters.
pub(crate) fn normal(text: &str) -> String {
    text.trim().chars().map(|c| if c.is_control() { '?' } else { c.to_ascii_lowercase() }).collect()
}

/// A serial number in its one form; none for junk.
pub(crate) fn telling_serial(text: &str) -> Option<String> {
    Some(normal(text)).filter(|text| is_telling_serial(text))
}

/// A maker's name without what firmware changes from one version to the next: case, points, the kind of company.
fn maker(text: &str) -> String {
    const COMPANY: [&str; 9] =
        ["inc", "corp", "corporation", "co", "ltd", "limited", "gmbh", "llc", "computer"];
    let text = normal(text);
    let words = text.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
    words.filter(|word| !COMPANY.contains(word)).collect::<Vec<_>>().join(" ")
}

fn is_digest(text: &str) -> bool {
    text.len() == LENGTH_EK && text.bytes().all(|b| b.is_ascii_hexdigit()) && !text.bytes().all(|b| b == b'0')
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(uuid: &str, serial: &str, mac: &str) -> Vec<Evidence> {
        evidence(&Identity {
            product_uuid: Some(uuid.to_owned()),
            product_serial: Some(serial.to_owned()),
            macs: vec![mac.parse().unwrap()],
            hostname: Some("gpu-17".to_owned()),
            ..Identity::default()
        })
    }

    #[test]
    fn placeholders_are_no_evidence() {
        for uuid in [
            "00000000-0000-0000-0000-000000000000",
            "FFFFFFFF-FFFF-FFFF-FFFF-FFFFFFFFFFFF",
            "03000200-0400-0500-0006-000700080009",
            "not a uuid",
            "",
        ] {
            for serial in ["To be filled by O.E.M.", " Default string ", "System Serial Number", "0123456789"]
            {
                assert_eq!(of(uuid, serial, "02:00:00:00:00:01"), [], "{uuid} {serial}");
            }
        }
        assert_eq!(of("", "", "ff:ff:ff:ff:ff:ff"), []);
    }

    #[test]
    fn real_evidence_is_kept_in_one_form_whatever_the_case() {
        let upper = of("4C4C4544-0042-3510-8051-B7C04F564433", " CN7016 ", "b8:3f:d2:01:02:03");
        let lower = of("4c4c4544-0042-3510-8051-b7c04f564433", "cn7016", "b8:3f:d2:01:02:03");
        assert_eq!(upper, lower);
        let kinds: Vec<_> = upper.iter().map(|e| e.kind).collect();
        assert_eq!(kinds, [Kind::ProductSerial, Kind::ProductUuid, Kind::Mac]);
    }

    #[test]
    fn a_maker_is_the_same_however_firmware_writes_it_and_its_absence_is_no_difference() {
        let of = |vendor: Option<&str>| Evidence {
            kind: Kind::BoardSerial,
            value: "b1".to_owned(),
            vendor: vendor.map(maker),
        };
        assert!(of(Some("Dell Inc.")).names_the_same(&of(Some("DELL"))));
        assert!(of(Some("Super Micro Computer, Inc.")).names_the_same(&of(Some("super micro"))));
        assert!(of(Some("Dell Inc.")).names_the_same(&of(None)));
        assert!(!of(Some("Dell Inc.")).names_the_same(&of(Some("Lenovo"))));
    }

    #[test]
    fn a_gpu_has_one_uuid_whoever_tells_it() {
        let form = Some("5c5b1c9a-1f4e-3a2b-9d8c-7e6f5a4b3c2d".to_owned());
        assert_eq!(gpu_uuid("GPU-5c5b1c9a-1f4e-3a2b-9d8c-7e6f5a4b3c2d"), form);
        assert_eq!(gpu_uuid("5C5B1C9A1F4E3A2B9D8C7E6F5A4B3C2D"), form);
        assert_eq!(gpu_uuid("00000000000000000000000000000000"), None);
        assert_eq!(gpu_uuid("GPU-?"), None);
    }

    #[test]
    fn sizes_are_bounded() {
        let long = Identity { lldp: vec!["x".repeat(TEXT_BYTES_MAX + 1)], ..Identity::default() };
        assert_eq!(check_size(&long), Err(BadIdentity::TextTooLong("lldp")));
        let many = Identity { nvme_serials: vec!["s1".to_owned(); PARTS_MAX + 1], ..Identity::default() };
        assert_eq!(check_size(&many), Err(BadIdentity::TooManyParts("nvme_serials")));
        let long = Identity { chassis_serial: Some("x".repeat(TEXT_BYTES_MAX + 1)), ..Identity::default() };
        assert_eq!(check_size(&long), Err(BadIdentity::TextTooLong("chassis_serial")));
        assert_eq!(check_size(&Identity::default()), Ok(()));
    }

    proptest! {
        #[test]
        fn no_text_from_firmware_breaks_the_filter(uuid in any::<String>(), serial in any::<String>()) {
            let identity = Identity {
                product_uuid: Some(uuid.clone()),
                product_serial: Some(serial.clone()),
                board_vendor: Some(uuid.clone()),
                gpu_uuids: vec![uuid],
                lldp: vec![serial],
                ..Identity::default()
            };
            prop_assert!(evidence(&identity).iter().all(|e| !e.value.chars().any(char::is_control)));
        }
    }
}
