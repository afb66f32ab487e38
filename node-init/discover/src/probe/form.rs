//! The forms in which the kernel writes values.

use std::ops::RangeInclusive;
use std::path::Path;

use report::{Bdf, Bytes};

/// `42`. The parser of the standard library would accept a sign in front; the kernel writes none.
pub(super) fn decimal<T: std::str::FromStr>(text: &str) -> Option<T> {
    text.bytes().all(|b| b.is_ascii_digit()).then(|| text.parse().ok()).flatten()
}

/// `0x10de`.
pub(super) fn hex(text: &str) -> Option<u32> {
    let digits = text.strip_prefix("0x")?;
    let plain = digits.bytes().all(|b| b.is_ascii_hexdigit());
    plain.then(|| u32::from_str_radix(digits, 16).ok()).flatten()
}

/// `0x10de`, 16 bits.
pub(super) fn hex16(text: &str) -> Option<u16> {
    hex(text).and_then(|number| u16::try_from(number).ok())
}

/// `0` or `1`.
pub(super) fn flag(text: &str) -> Option<bool> {
    match text {
        "0" => Some(false),
        "1" => Some(true),
        _ => None,
    }
}

/// `24682416 kB`, which are KiB (`fs/proc/meminfo.c`).
pub(super) fn kib(text: &str) -> Option<Bytes> {
    let count: u64 = decimal(text.strip_suffix("kB")?.trim_end())?;
    count.checked_mul(1024).map(Bytes)
}

/// The value of the line `key: value`.
pub(super) fn line<'a>(document: &'a str, key: &str) -> Option<&'a str> {
    document.lines().find_map(|line| {
        let (name, value) = line.split_once(':')?;
        (name.trim() == key).then(|| value.trim())
    })
}

/// A list of processors, `0-47,96-143`, as ranges.
pub(super) fn list(text: &str) -> Option<Vec<RangeInclusive<u32>>> {
    text.split(',')
        .map(|range| {
            let (first, last) = range.split_once('-').unwrap_or((range, range));
            let (first, last) = (decimal(first)?, decimal(last)?);
            (first <= last).then_some(first..=last)
        })
        .collect()
}

/// The PCI function nearest to the end of a device's path, which is the one behind it.
pub(super) fn nearest_function(path: &Path) -> Option<Bdf> {
    path.ancestors().find_map(|dir| dir.file_name()?.to_str()?.parse().ok())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn what_the_kernel_writes_is_read() {
        assert_eq!(decimal::<u32>("42"), Some(42));
        assert_eq!(hex16("0x10de"), Some(0x10de));
        assert_eq!(kib("24682416 kB"), Some(Bytes(24_682_416 << 10)));
        assert_eq!(list("0-1,4"), Some(vec![0..=1, 4..=4]));
        assert_eq!(line("MemTotal:  1 kB\nMemFree: 2 kB\n", "MemFree"), Some("2 kB"));
        let disk = Path::new("sys/devices/pci0000:00/0000:00:02.0/virtio1/block/vda");
        assert_eq!(nearest_function(disk), "0000:00:02.0".parse().ok());
    }

    #[test]
    fn what_it_never_writes_is_refused() {
        for bad in ["", "+1", "-1", " 1", "1 ", "99999999999999999999"] {
            assert_eq!(decimal::<u32>(bad), None, "{bad}");
        }
        for bad in ["", "0x", "10de", "0x+1", "0x1ffffffff"] {
            assert_eq!(hex(bad), None, "{bad}");
        }
        for bad in ["", "1-0", "0-", "0,,1", "a"] {
            assert_eq!(list(bad), None, "{bad}");
        }
        assert_eq!(kib("18446744073709551615 kB"), None);
        assert_eq!(nearest_function(Path::new("sys/devices/virtual/net/lo")), None);
    }

    proptest! {
        #[test]
        fn no_text_makes_a_form_panic(text in ".{0,40}") {
            let _ = (decimal::<u8>(&text), hex(&text), hex16(&text), flag(&text), kib(&text), list(&text));
            let _ = (line(&text, "a"), nearest_function(Path::new(&text)));
        }
    }
}
