//! Access keys, `assaykey-ID-SECRET`, for people and their programs. The id is public and names the key in listings and
//! audit lines; the secret is shown once, when the key is made, and only its SHA-256 is kept.

use std::fmt;

use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

use crate::token::{is_base32, random_text};

const PREFIX: &str = "assaykey-";
const ID_BYTES: usize = 8;
const SECRET_BYTES: usize = 32;
const ID_CHARS: usize = 13;
const SECRET_CHARS: usize = 52;

/// Longest name of a key, in characters.
pub const NAME_CHARS_MAX: usize = 63;

/// A key with its secret.
#[derive(Clone, PartialEq, Eq)]
pub struct AccessKey {
    id: String,
    secret: String,
}

/// A text that is no access key. Says nothing of the text: it may hold most of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "the text is no access key: expected the form `assaykey-ID-SECRET` as `inventory access-key create` prints it"
)]
pub struct BadAccessKey;

impl AccessKey {
    /// A new random key.
    pub fn generate() -> Result<Self, getrandom::Error> {
        Ok(Self { id: random_text::<ID_BYTES>()?, secret: random_text::<SECRET_BYTES>()? })
    }

    /// Reads a key.
    pub fn parse(text: &str) -> Result<Self, BadAccessKey> {
        let rest = text.strip_prefix(PREFIX).ok_or(BadAccessKey)?;
        let (id, secret) = rest.split_once('-').ok_or(BadAccessKey)?;
        (is_base32(id, ID_CHARS) && is_base32(secret, SECRET_CHARS))
            .then(|| Self { id: id.to_owned(), secret: secret.to_owned() })
            .ok_or(BadAccessKey)
    }

    /// The public part.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The whole key, for the one who is to use it.
    pub fn reveal(&self) -> String {
        format!("{PREFIX}{}-{}", self.id, self.secret)
    }

    /// What is kept of the secret. It has 256 random bits, so that a plain hash is enough.
    pub fn secret_sha256(&self) -> [u8; 32] {
        Sha256::digest(self.secret.as_bytes()).into()
    }

    /// Is this the hash of the secret? Takes the same time whatever the answer.
    pub fn has_secret(&self, sha256: &[u8]) -> bool {
        self.secret_sha256().ct_eq(sha256).into()
    }
}

impl fmt::Debug for AccessKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "AccessKey({}, secret withheld)", self.id)
    }
}

/// Is this a name for a key: short, of letters, digits, dots, dashes and underscores?
pub fn is_name(text: &str) -> bool {
    let formed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'-' | b'_' | b'@');
    (1..=NAME_CHARS_MAX).contains(&text.len()) && text.bytes().all(formed)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::token::{Token, redact};

    #[test]
    fn a_key_reads_back_and_knows_its_secret() {
        let key = AccessKey::generate().unwrap();
        let read = AccessKey::parse(&key.reveal()).unwrap();
        assert_eq!(read, key);
        assert!(read.has_secret(&key.secret_sha256()));
        assert!(!read.has_secret(&AccessKey::generate().unwrap().secret_sha256()));
        assert!(!read.has_secret(&[]));
    }

    #[test]
    fn a_token_is_no_key_and_a_key_no_token() {
        let (key, token) = (AccessKey::generate().unwrap().reveal(), Token::generate().unwrap().reveal());
        assert_eq!(AccessKey::parse(&token), Err(BadAccessKey));
        assert!(Token::parse(&key).is_err());
        for bad in ["", "assaykey-", "assaykey-a-b", &key[1..], &key.to_uppercase(), &format!("{key}a")] {
            assert_eq!(AccessKey::parse(bad), Err(BadAccessKey), "{bad}");
        }
    }

    #[test]
    fn a_secret_shows_neither_in_debug_output_nor_after_redaction() {
        let key = AccessKey::generate().unwrap();
        assert!(!format!("{key:?}").contains(&key.secret));
        assert_eq!(redact(&key.reveal()), format!("assaykey-{}-***", key.id()));
    }

    #[test]
    fn a_name_is_short_and_plain() {
        assert!(is_name("ci@site-1.example_2"));
        for bad in ["", "a b", "a\n", "ä", &"a".repeat(64)] {
            assert!(!is_name(bad), "{bad}");
        }
    }
}
