//! DHCP options: code, length, value (RFC 2132 §2). A code that comes again continues its value (RFC 3396).

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use super::Malformed;

/// Option codes that Assay sends or reads (IANA, BOOTP and DHCP parameters).
pub mod code {
    #![allow(missing_docs, reason = "each is the name that IANA gives it")]
    pub const PAD: u8 = 0;
    pub const SUBNET_MASK: u8 = 1;
    pub const ROUTER: u8 = 3;
    pub const DOMAIN_SERVER: u8 = 6;
    pub const HOSTNAME: u8 = 12;
    pub const DOMAIN_NAME: u8 = 15;
    pub const INTERFACE_MTU: u8 = 26;
    pub const NTP_SERVERS: u8 = 42;
    pub const REQUESTED_ADDRESS: u8 = 50;
    pub const LEASE_TIME: u8 = 51;
    pub const OVERLOAD: u8 = 52;
    pub const MESSAGE_TYPE: u8 = 53;
    pub const SERVER_ID: u8 = 54;
    pub const PARAMETER_LIST: u8 = 55;
    pub const MESSAGE: u8 = 56;
    pub const MAX_SIZE: u8 = 57;
    pub const RENEWAL_TIME: u8 = 58;
    pub const REBINDING_TIME: u8 = 59;
    pub const VENDOR_CLASS: u8 = 60;
    pub const CLIENT_ID: u8 = 61;
    pub const DOMAIN_SEARCH: u8 = 119;
    pub const CLASSLESS_ROUTES: u8 = 121;
    /// First and last code that a site may use as it likes (RFC 3942 §3).
    pub const SITE: std::ops::RangeInclusive<u8> = 224..=254;
    pub const END: u8 = 255;
}

/// Values by code.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Options(BTreeMap<u8, Vec<u8>>);

impl Options {
    /// Adds what an options field holds, up to its end mark or its end.
    pub fn read(&mut self, mut field: &[u8]) -> Result<(), Malformed> {
        while let Some((&code, rest)) = field.split_first() {
            match code {
                code::PAD => field = rest,
                code::END => return Ok(()),
                _ => {
                    let (&length, rest) = rest.split_first().ok_or(Malformed::Cut { option: code })?;
                    let (value, rest) =
                        rest.split_at_checked(length.into()).ok_or(Malformed::Cut { option: code })?;
                    self.0.entry(code).or_default().extend_from_slice(value);
                    field = rest;
                }
            }
        }
        Ok(())
    }

    /// Writes all, and the end mark. The message type comes first, as some servers expect; values longer than 255 bytes
    /// are split.
    pub fn write(&self, into: &mut Vec<u8>) {
        let (first, others): (Vec<_>, Vec<_>) =
            self.0.iter().partition(|(code, _)| **code == code::MESSAGE_TYPE);
        for (code, value) in first.into_iter().chain(others) {
            let parts = value.chunks(255).chain(value.is_empty().then_some(&[][..]));
            for part in parts {
                into.extend([*code, u8::try_from(part.len()).unwrap_or(u8::MAX)]);
                into.extend_from_slice(part);
            }
        }
        into.push(code::END);
    }

    /// Sets a value.
    pub fn set(&mut self, code: u8, value: impl Into<Vec<u8>>) {
        self.0.insert(code, value.into());
    }

    /// Takes values away.
    pub fn remove(&mut self, codes: &[u8]) {
        self.0.retain(|code, _| !codes.contains(code));
    }

    /// A value as it is.
    pub fn get(&self, code: u8) -> Option<&[u8]> {
        self.0.get(&code).map(Vec::as_slice)
    }

    /// Values of the site's own codes.
    pub fn site(&self) -> BTreeMap<u8, Vec<u8>> {
        self.0.range(code::SITE).map(|(code, value)| (*code, value.clone())).collect()
    }

    fn array<const N: usize>(&self, code: u8) -> Result<Option<[u8; N]>, Malformed> {
        let Some(value) = self.get(code) else { return Ok(None) };
        value.try_into().map(Some).map_err(|_| Malformed::Length { option: code, length: value.len() })
    }

    /// A number of one byte.
    pub fn u8(&self, code: u8) -> Result<Option<u8>, Malformed> {
        Ok(self.array(code)?.map(u8::from_be_bytes))
    }

    /// A number of two bytes.
    pub fn u16(&self, code: u8) -> Result<Option<u16>, Malformed> {
        Ok(self.array(code)?.map(u16::from_be_bytes))
    }

    /// A number of four bytes.
    pub fn u32(&self, code: u8) -> Result<Option<u32>, Malformed> {
        Ok(self.array(code)?.map(u32::from_be_bytes))
    }

    /// One address.
    pub fn address(&self, code: u8) -> Result<Option<Ipv4Addr>, Malformed> {
        Ok(self.array::<4>(code)?.map(Ipv4Addr::from))
    }

    /// Addresses, most wanted first; none where the option is absent.
    pub fn addresses(&self, code: u8) -> Result<Vec<Ipv4Addr>, Malformed> {
        let value = self.get(code).unwrap_or_default();
        let (addresses, rest) = value.as_chunks::<4>();
        if !rest.is_empty() {
            return Err(Malformed::Length { option: code, length: value.len() });
        }
        Ok(addresses.iter().map(|octets| Ipv4Addr::from(*octets)).collect())
    }

    /// Text, without the zeros that some servers put behind it; none where it is empty or not printable ASCII.
    pub fn text(&self, code: u8) -> Option<String> {
        let text = std::str::from_utf8(self.get(code)?).ok()?.trim_end_matches('\0');
        let printable = !text.is_empty() && text.bytes().all(|byte| (0x20..0x7f).contains(&byte));
        printable.then(|| text.to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_code_that_comes_again_continues_its_value() {
        let mut options = Options::default();
        options.read(&[12, 3, b'n', b'o', b'd', 0, 0, 12, 2, b'e', b'1', 255, 12, 9]).unwrap();
        assert_eq!(options.text(code::HOSTNAME).as_deref(), Some("node1"));
    }

    #[test]
    fn what_is_cut_or_of_the_wrong_length_is_malformed() {
        let read = |field: &[u8]| Options::default().read(field);
        assert_eq!(read(&[51]), Err(Malformed::Cut { option: 51 }));
        assert_eq!(read(&[51, 4, 0, 0, 0]), Err(Malformed::Cut { option: 51 }));
        let mut options = Options::default();
        options.read(&[51, 3, 0, 0, 0, 6, 5, 1, 2, 3, 4, 5]).unwrap();
        assert_eq!(options.u32(code::LEASE_TIME), Err(Malformed::Length { option: 51, length: 3 }));
        assert_eq!(options.addresses(code::DOMAIN_SERVER), Err(Malformed::Length { option: 6, length: 5 }));
        assert_eq!(options.u16(code::INTERFACE_MTU), Ok(None));
    }

    #[test]
    fn text_that_could_hide_something_is_none() {
        let mut options = Options::default();
        options.set(code::HOSTNAME, *b"node\nroot");
        options.set(code::DOMAIN_NAME, *b"example.net\0");
        assert_eq!(options.text(code::HOSTNAME), None);
        assert_eq!(options.text(code::DOMAIN_NAME).as_deref(), Some("example.net"));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_without_a_panic_and_what_was_read_is_written_back(field: Vec<u8>) {
            let mut options = Options::default();
            if options.read(&field).is_ok() {
                for code in 0..=255 {
                    let _ = (options.u8(code), options.u16(code), options.u32(code), options.address(code));
                    let _ = (options.addresses(code), options.text(code));
                }
                let (mut bytes, mut again) = (Vec::new(), Options::default());
                options.write(&mut bytes);
                again.read(&bytes).unwrap();
                prop_assert_eq!(again, options);
            }
        }

        #[test]
        fn long_values_are_split_and_joined(value in proptest::collection::vec(any::<u8>(), 0..1000)) {
            let (mut options, mut bytes, mut again) = (Options::default(), Vec::new(), Options::default());
            options.set(224, value.clone());
            options.write(&mut bytes);
            again.read(&bytes).unwrap();
            prop_assert_eq!(again.get(224), Some(value.as_slice()));
        }
    }
}
