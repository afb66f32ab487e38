//! Addresses and numbers by which hardware is named: PCI address, PCI id, MAC address.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

/// A text that does not have the form of the address it should be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is no {kind}: expected the form `{form}`")]
pub struct ParseAddressError {
    text: String,
    kind: &'static str,
    form: &'static str,
}

/// The address of a PCI function, `domain:bus:device.function`, for example `0000:3b:00.0`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
pub struct Bdf {
    /// PCI domain (segment); 32 bits, since Linux numbers virtual domains from 0x10000 up.
    pub domain: u32,
    /// Bus number.
    pub bus: u8,
    /// Device number, 0 to 31.
    pub device: u8,
    /// Function number, 0 to 7.
    pub function: u8,
}

impl fmt::Display for Bdf {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}:{:02x}:{:02x}.{:x}", self.domain, self.bus, self.device, self.function)
    }
}

impl FromStr for Bdf {
    type Err = ParseAddressError;

    fn from_str(text: &str) -> Result<Self, ParseAddressError> {
        let parse = || {
            let (domain, rest) = text.split_once(':')?;
            let (bus, rest) = rest.split_once(':')?;
            let (device, function) = rest.split_once('.')?;
            Some(Self {
                domain: hex(domain, 8)?,
                bus: u8::try_from(hex(bus, 2)?).ok()?,
                device: u8::try_from(hex(device, 2)?).ok().filter(|n| *n < 32)?,
                function: u8::try_from(hex(function, 1)?).ok().filter(|n| *n < 8)?,
            })
        };
        parse().ok_or_else(|| ParseAddressError {
            text: text.to_owned(),
            kind: "PCI address",
            form: "0000:3b:00.0",
        })
    }
}

/// Hexadecimal digits only: `from_str_radix` alone would accept a sign.
fn hex(text: &str, digits_max: usize) -> Option<u32> {
    let plain = !text.is_empty() && text.len() <= digits_max && text.bytes().all(|b| b.is_ascii_hexdigit());
    plain.then(|| u32::from_str_radix(text, 16).ok()).flatten()
}

/// Vendor and device number of a PCI function, for example `10de:2335`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
pub struct PciId {
    /// Vendor, as PCI-SIG assigns it.
    pub vendor: u16,
    /// Device, as the vendor assigns it.
    pub device: u16,
}

impl fmt::Display for PciId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04x}:{:04x}", self.vendor, self.device)
    }
}

impl FromStr for PciId {
    type Err = ParseAddressError;

    fn from_str(text: &str) -> Result<Self, ParseAddressError> {
        let parse = || {
            let (vendor, device) = text.split_once(':')?;
            Some(Self {
                vendor: u16::try_from(hex(vendor, 4)?).ok()?,
                device: u16::try_from(hex(device, 4)?).ok()?,
            })
        };
        parse().ok_or_else(|| ParseAddressError { text: text.to_owned(), kind: "PCI id", form: "10de:2335" })
    }
}

/// An Ethernet hardware address, for example `b8:3f:d2:01:02:03`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(try_from = "String", into = "String")]
pub struct MacAddr(pub [u8; 6]);

impl MacAddr {
    /// Given by software rather than by the maker (second lowest bit of the first octet): no proof of identity.
    pub fn is_locally_administered(self) -> bool {
        self.0[0] & 2 != 0
    }

    /// All zeros: loopback and interfaces without an address show this.
    pub fn is_zero(self) -> bool {
        self.0 == [0; 6]
    }
}

impl fmt::Display for MacAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [a, b, c, d, e, g] = self.0;
        write!(f, "{a:02x}:{b:02x}:{c:02x}:{d:02x}:{e:02x}:{g:02x}")
    }
}

impl FromStr for MacAddr {
    type Err = ParseAddressError;

    fn from_str(text: &str) -> Result<Self, ParseAddressError> {
        let parse = || {
            let mut octets = [0; 6];
            let mut parts = text.split(':');
            for octet in &mut octets {
                *octet = parts.next().filter(|p| p.len() == 2).and_then(|p| u8::try_from(hex(p, 2)?).ok())?;
            }
            parts.next().is_none().then_some(Self(octets))
        };
        parse().ok_or_else(|| ParseAddressError {
            text: text.to_owned(),
            kind: "MAC address",
            form: "b8:3f:d2:01:02:03",
        })
    }
}

macro_rules! as_text {
    ($($name:ident),*) => {$(
        impl TryFrom<String> for $name {
            type Error = ParseAddressError;
            fn try_from(text: String) -> Result<Self, ParseAddressError> {
                text.parse()
            }
        }
        impl From<$name> for String {
            fn from(address: $name) -> Self {
                address.to_string()
            }
        }
    )*};
}
as_text!(Bdf, PciId, MacAddr);

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn malformed_addresses_are_refused_and_named() {
        for bad in [
            "",
            "0000:3b:00",
            "0000:3b:20.0",
            "0000:3b:00.8",
            "+000:3b:00.0",
            "0000:3b:00.0 ",
            "0000:3b:00.0.0",
        ] {
            assert!(bad.parse::<Bdf>().is_err(), "{bad}");
        }
        for bad in ["", "10de", "10de:", "10de:23355", "10de:2335:1", "-0de:2335"] {
            assert!(bad.parse::<PciId>().is_err(), "{bad}");
        }
        for bad in ["", "b8:3f:d2:01:02", "b8:3f:d2:01:02:03:04", "b8:3f:d2:01:02:3", "b8-3f-d2-01-02-03"] {
            assert!(bad.parse::<MacAddr>().is_err(), "{bad}");
        }
        let message = "gpu0".parse::<Bdf>().unwrap_err().to_string();
        assert_eq!(message, "`gpu0` is no PCI address: expected the form `0000:3b:00.0`");
    }

    proptest! {
        #[test]
        fn every_address_reads_back_as_itself(domain: u32, bus: u8, device in 0u8..32, function in 0u8..8, mac: [u8; 6], id: (u16, u16)) {
            let bdf = Bdf { domain, bus, device, function };
            prop_assert_eq!(bdf.to_string().parse::<Bdf>(), Ok(bdf));
            let mac = MacAddr(mac);
            prop_assert_eq!(mac.to_string().parse::<MacAddr>(), Ok(mac));
            let id = PciId { vendor: id.0, device: id.1 };
            prop_assert_eq!(id.to_string().parse::<PciId>(), Ok(id));
        }

        #[test]
        fn no_text_makes_a_parser_panic(text in ".{0,40}") {
            let _ = (text.parse::<Bdf>(), text.parse::<PciId>(), text.parse::<MacAddr>());
        }
    }
}
