//! Which hardware a node claims to be. Each piece of evidence is a claim that can be compared with the claims of other
//! nodes; placeholders that many machines share are no evidence at all. A host name never is.

use data_encoding::{BASE32_NOPAD, HEXLOWER};
use report::wire::Identity;
use report::{MacAddr, wire};
use serde::Serialize;
use sha2::{Digest, Sha256};

/// Longest text of one piece of evidence, in bytes.
pub const TEXT_BYTES_MAX: usize = 256;
/// Most MAC addresses of one node.
pub const MACS_MAX: usize = 256;

/// UUIDs that firmware ships with when nobody set one; seen on many machines.
const DEFAULT_UUIDS: [&str; 4] = [
    "03000200-0400-0500-0006-000700080009",
    "00020003-0004-0005-0006-000700080009",
    "12345678-1234-5678-90ab-cddeefaabbcc",
    "fefefefe-fefe-fefe-fefe-fefefefefefe",
];

/// What firmware prints where a serial number should be, in lower case.
const PLACEHOLDERS: [&str; 24] = [
    "to be filled by o.e.m.",
    "to be filled by oem",
    "default string",
    "default",
    "system serial number",
    "base board serial number",
    "chassis serial number",
    "system product name",
    "serial number",
    "none",
    "not specified",
    "not applicable",
    "not available",
    "not provided",
    "unknown",
    "undefined",
    "empty",
    "invalid",
    "n/a",
    "na",
    "oem",
    "o.e.m.",
    "123456789",
    "1234567890",
];

/// One claim about the hardware.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct Evidence {
    /// `product_uuid`, `product_serial`, `board_serial` or `mac`.
    pub kind: String,
    /// The value, trimmed and in lower case.
    pub value: String,
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
}

/// Refuses identities of unreasonable size.
pub fn check_size(identity: &wire::Identity) -> Result<(), BadIdentity> {
    let texts = [
        ("product_uuid", &identity.product_uuid),
        ("product_serial", &identity.product_serial),
        ("board_serial", &identity.board_serial),
        ("hostname", &identity.hostname),
    ];
    let long = texts.iter().find(|(_, text)| text.as_ref().is_some_and(|text| text.len() > TEXT_BYTES_MAX));
    match long {
        Some((name, _)) => Err(BadIdentity::TextTooLong(name)),
        None if identity.macs.len() > MACS_MAX => Err(BadIdentity::TooManyMacs),
        None => Ok(()),
    }
}

/// What of an identity can tell one machine from another, sorted.
pub fn evidence(identity: &Identity) -> Vec<Evidence> {
    let claim = |kind: &str, value: String| Evidence { kind: kind.to_owned(), value };
    let uuid = identity.product_uuid.as_deref().map(normal).filter(|uuid| is_telling_uuid(uuid));
    let serial = |text: &Option<String>| text.as_deref().map(normal).filter(|text| is_telling_text(text));
    let macs = identity.macs.iter().filter(|mac| is_telling_mac(**mac));
    let mut found: Vec<_> = uuid
        .map(|uuid| claim("product_uuid", uuid))
        .into_iter()
        .chain(serial(&identity.product_serial).map(|value| claim("product_serial", value)))
        .chain(serial(&identity.board_serial).map(|value| claim("board_serial", value)))
        .chain(macs.map(|mac| claim("mac", mac.to_string())))
        .collect();
    found.sort();
    found.dedup();
    found
}

/// The name of the node that holds this key: stable, printable, fit for DNS; 80 bits of the key's SHA-256.
pub fn node_id(public_key: &[u8; 32]) -> String {
    let digest = Sha256::digest(public_key);
    format!("node-{}", BASE32_NOPAD.encode(&digest[..10]).to_ascii_lowercase())
}

/// SHA-256 in hexadecimal.
pub(crate) fn sha256_hex(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes))
}

fn normal(text: &str) -> String {
    text.trim().chars().map(|c| if c.is_control() { '?' } else { c.to_ascii_lowercase() }).collect()
}

fn is_telling_uuid(uuid: &str) -> bool {
    let groups: Vec<_> = uuid.split('-').map(str::len).collect();
    let formed = groups == [8, 4, 4, 4, 12] && uuid.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit());
    formed && !DEFAULT_UUIDS.contains(&uuid) && !is_one_symbol(&uuid.replace('-', ""))
}

fn is_telling_text(text: &str) -> bool {
    // `0123456789`, `0123456789abcdef`: the head of the counting sequence.
    let counting = "0123456789abcdefghij".starts_with(text);
    !text.is_empty() && !counting && !PLACEHOLDERS.contains(&text) && !is_one_symbol(text)
}

fn is_telling_mac(mac: MacAddr) -> bool {
    let is_group = mac.0[0] & 1 != 0;
    !(mac.is_zero() || mac.is_locally_administered() || is_group)
}

/// `000000`, `......`, `xx xx`: one symbol again and again.
fn is_one_symbol(text: &str) -> bool {
    let mut symbols = text.chars().filter(|c| !c.is_whitespace());
    let first = symbols.next();
    symbols.all(|c| Some(c) == first)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn of(uuid: &str, serial: &str, mac: &str) -> Vec<Evidence> {
        evidence(&Identity {
            product_uuid: Some(uuid.to_owned()),
            product_serial: Some(serial.to_owned()),
            board_serial: None,
            macs: vec![mac.parse().unwrap()],
            hostname: Some("gpu-17".to_owned()),
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
            for serial in ["None", "Not Specified", "0000000", "........", "x", "", "0", "N/A"] {
                assert_eq!(of(uuid, serial, "00:00:00:00:00:00"), [], "{uuid} {serial}");
            }
        }
        assert_eq!(of("", "", "ff:ff:ff:ff:ff:ff"), []);
    }

    #[test]
    fn real_evidence_is_kept_in_one_form_whatever_the_case() {
        let upper = of("4C4C4544-0042-3510-8051-B7C04F564433", " CN7016 ", "b8:3f:d2:01:02:03");
        let lower = of("4c4c4544-0042-3510-8051-b7c04f564433", "cn7016", "b8:3f:d2:01:02:03");
        assert_eq!(upper, lower);
        assert_eq!(
            upper.iter().map(|e| e.kind.as_str()).collect::<Vec<_>>(),
            ["mac", "product_serial", "product_uuid"]
        );
    }

    #[test]
    fn a_node_id_is_fit_for_dns_and_stable() {
        let id = node_id(&[7; 32]);
        assert_eq!(id, node_id(&[7; 32]));
        assert_eq!(id.len(), "node-".len() + 16);
        assert!(id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'));
    }

    proptest! {
        #[test]
        fn no_text_from_firmware_breaks_the_filter(uuid in any::<String>(), serial in any::<String>()) {
            let identity = Identity {
                product_uuid: Some(uuid),
                product_serial: Some(serial),
                ..Identity::default()
            };
            prop_assert!(evidence(&identity).iter().all(|e| !e.value.chars().any(char::is_control)));
        }
    }
}
