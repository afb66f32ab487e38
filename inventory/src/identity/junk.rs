//! Values that tell no machine from another, since firmware and drivers give them to many.
//!
//! The lists are those that inventories of the field grew after machines had been merged by mistake: OCS Inventory's
//! `blacklist_serials` and `blacklist_macaddresses`, GLPI's `Blacklist::getDefaults`, and the defaults of AMI's and
//! Supermicro's firmware. What a site finds on top goes into its own configuration; what many nodes share is learned
//! (see [`super::decide`]).

use report::MacAddr;

/// UUIDs that firmware ships with when nobody set one.
const UUIDS: [&str; 12] = [
    "03000200-0400-0500-0006-000700080009",
    "00020003-0004-0005-0006-000700080009",
    "03020100-0504-0706-0809-0a0b0c0d0e0f",
    "00010203-0405-0607-0809-0a0b0c0d0e0f",
    "12345678-1234-5678-90ab-cddeefaabbcc",
    "12345678-1234-1234-1234-123456789012",
    "03d40274-0435-05dc-8506-010700080009",
    "6ab5b300-538d-1014-9fb5-b0684d007b53",
    "01010101-0101-0101-0101-010101010101",
    "fefefefe-fefe-fefe-fefe-fefefefefefe",
    "deadbeef-dead-beef-dead-beefdeadbeef",
    "11111111-2222-3333-4444-555555555555",
];

/// What stands where a serial number should be, with letters and digits alone and in lower case.
const TEXTS: [&str; 62] = [
    "tobefilledbyoem",
    "tobefilledby",
    "tobefilled",
    "tobesetbyoem",
    "filledbyoem",
    "oem",
    "oemserial",
    "oemstring",
    "oemdefault",
    "default",
    "defaultstring",
    "defaultvalue",
    "systemserialnumber",
    "systemserialnumb",
    "systemserial",
    "systemproductname",
    "systemmanufacturer",
    "systemname",
    "productname",
    "baseboardserialnumber",
    "boardserialnumber",
    "mbserialnumber",
    "chassisserialnumber",
    "serialnumber",
    "serialnumberxxxxxx",
    "serial",
    "none",
    "null",
    "nullstring",
    "nil",
    "notspecified",
    "notapplicable",
    "notavailable",
    "notprovided",
    "notset",
    "notpresent",
    "notsupported",
    "notdefined",
    "unspecified",
    "unknown",
    "unknow",
    "undefined",
    "unset",
    "empty",
    "blank",
    "invalid",
    "noserialnumber",
    "noserial",
    "noassettag",
    "na",
    "tbd",
    "test",
    "eval",
    "iatpass",
    "standard",
    "xxxx",
    "tulipcomputers",
    "sn123456fvgv3i0b8o5n6n7k",
    "5ekpm18320000397",
    "sample",
    "example",
    "placeholder",
];

/// Addresses that a driver or adapter gives to each of its kind, or that many were made with.
const MACS: [[u8; 6]; 14] = [
    // Microsoft's PPP adapter: "DEST" in ASCII, not marked as local.
    [0x44, 0x45, 0x53, 0x54, 0x00, 0x00],
    [0x44, 0x45, 0x53, 0x54, 0x00, 0x01],
    [0x44, 0x45, 0x53, 0x54, 0x61, 0x6f],
    // "PPTP00" and "RAS" adapters.
    [0x50, 0x50, 0x54, 0x50, 0x30, 0x30],
    [0x24, 0xb6, 0x20, 0x52, 0x41, 0x53],
    [0x20, 0x41, 0x53, 0x59, 0x4e, 0xff],
    // Qualcomm's default for modems.
    [0x00, 0xa0, 0xc6, 0x00, 0x00, 0x00],
    [0x00, 0x0b, 0xca, 0xfe, 0x00, 0x00],
    // Made more than once.
    [0x00, 0x01, 0x02, 0x7d, 0x9b, 0x1c],
    [0x00, 0x08, 0xa1, 0x46, 0x06, 0x35],
    [0x00, 0x08, 0xa1, 0x66, 0xe2, 0x1a],
    [0x00, 0x09, 0xdd, 0x10, 0x37, 0x68],
    [0x00, 0x0f, 0xea, 0x9a, 0xe2, 0xf0],
    [0x10, 0x11, 0x11, 0x11, 0x11, 0x11],
];

/// The host side of VMware's virtual networks: the same on every machine.
const VMWARE_HOST: [u8; 4] = [0x00, 0x50, 0x56, 0xc0];

/// Does this UUID, in lower case, name a machine?
pub(super) fn is_telling_uuid(uuid: &str) -> bool {
    let groups: Vec<_> = uuid.split('-').map(str::len).collect();
    let formed = groups == [8, 4, 4, 4, 12] && uuid.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit());
    formed && !UUIDS.contains(&uuid) && !is_one_symbol(&uuid.replace('-', ""))
}

/// Does this serial number, in lower case, name a thing?
pub(super) fn is_telling_serial(text: &str) -> bool {
    let plain: String = text.chars().filter(|c| c.is_alphanumeric()).collect();
    !(plain.is_empty() || TEXTS.contains(&plain.as_str()) || is_one_symbol(&plain) || is_counting(&plain))
}

/// Does this address name a network interface?
pub(crate) fn is_telling_mac(mac: MacAddr) -> bool {
    let is_group = mac.0[0] & 1 != 0;
    let is_default = MACS.contains(&mac.0) || mac.0.starts_with(&VMWARE_HOST);
    !(mac.is_zero() || mac.is_locally_administered() || is_group || is_default)
}

/// `000000`, `xxxx`: one symbol again and again, or a single one.
fn is_one_symbol(text: &str) -> bool {
    let mut symbols = text.chars();
    let first = symbols.next();
    symbols.all(|c| Some(c) == first)
}

/// `0123456789`, `123456`, `SYS-1234567890`, `9876543210`: counting, with or without a word in front that makes it look
/// like a serial number.
fn is_counting(plain: &str) -> bool {
    const UP: &str = "01234567890123456789";
    const UP_HEX: &str = "0123456789abcdefghij";
    const DOWN: &str = "98765432109876543210";
    let digits = ["sys", "sn", "mb", "serial", "bs", "cn"]
        .iter()
        .find_map(|word| plain.strip_prefix(word))
        .unwrap_or(plain);
    let trimmed = digits.trim_end_matches('0');
    let counts = |text: &str| UP.contains(text) || UP_HEX.starts_with(text) || DOWN.contains(text);
    !digits.is_empty()
        && (digits.len() < 3 || counts(digits) || (trimmed.len() >= 5 && counts(trimmed)))
        && digits.chars().next().is_some_and(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_firmware_prints_for_want_of_a_serial_number_is_junk() {
        for text in [
            "to be filled by o.e.m.",
            "default string",
            "default_string",
            "system serial number",
            "0123456789",
            "123456789",
            "1234567890",
            "123456789000",
            "12345678901234567",
            "0123456789abcdef",
            "sys-1234567890",
            "sys-9876543210",
            "sn-12345",
            "mb-1234567890",
            "none",
            "not specified",
            "0000000",
            "........",
            "x",
            "",
            "0",
            "n/a",
            "(null string)",
            "nnnnnnn",
            "xxxxxxxxxxx",
            "serial number xxxxxx",
            "eval",
            "  ",
            "-",
            "o.e.m.",
            "no asset tag",
            "12345",
        ] {
            assert!(!is_telling_serial(text), "{text}");
        }
    }

    #[test]
    fn real_serial_numbers_are_none() {
        for text in [
            "cn7016",
            "s1",
            "a1b2c3",
            "1234567890123a",
            "4c4c4544",
            "sgh123abcd",
            "jxyz123",
            "1583921",
            "mxq2100001",
            "s6b0nn0w100123",
            "5d6c-0001",
            "20230001",
            "1652923012345",
            "none-4711",
            "bn9f00a1",
        ] {
            assert!(is_telling_serial(text), "{text}");
        }
    }

    #[test]
    fn shared_and_virtual_addresses_are_junk_and_a_makers_own_is_not() {
        for mac in [
            "00:00:00:00:00:00",
            "ff:ff:ff:ff:ff:ff",
            "02:00:00:00:00:01",
            "00:50:56:c0:00:08",
            "44:45:53:54:00:00",
            "01:00:5e:00:00:01",
            "0a:00:27:00:00:00",
        ] {
            assert!(!is_telling_mac(mac.parse().unwrap()), "{mac}");
        }
        assert!(is_telling_mac("b8:3f:d2:01:02:03".parse().unwrap()));
    }
}
