//! Access keys, for people and their programs.

use crate::credential::{Credential, Kind};

/// Lets somebody in, with a role, until it ends or is revoked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LetsPersonIn;

impl Kind for LetsPersonIn {
    const PREFIX: &'static str = "assaykey";
    const NAME: &'static str = "access key";
    const MADE_BY: &'static str = "inventory access-key create";
}

/// An access key, `assaykey-ID-SECRET`.
pub type AccessKey = Credential<LetsPersonIn>;

/// Longest name of a key, in characters.
pub const NAME_CHARS_MAX: usize = 63;

/// Is this a name for a key: short, of letters, digits, dots, dashes, underscores and at signs?
pub fn is_name(text: &str) -> bool {
    let formed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'@');
    (1..=NAME_CHARS_MAX).contains(&text.len()) && text.bytes().all(formed)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_short_and_plain() {
        assert!(is_name("ci@site-1.example_2"));
        for bad in ["", "a b", "a\n", "ä", &"a".repeat(64)] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
