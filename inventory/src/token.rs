//! Single-use tokens, `assay-ID-SECRET`. The id is public and names the token in listings and audit lines; the secret is
//! shown once, when the token is made, and only its SHA-256 is kept.

use std::fmt;

use data_encoding::BASE32_NOPAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

const PREFIX: &str = "assay-";
const ID_BYTES: usize = 8;
const SECRET_BYTES: usize = 32;
const ID_CHARS: usize = 13;
const SECRET_CHARS: usize = 52;

/// A token with its secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Token {
    id: String,
    secret: String,
}

/// A text that is no token. Says nothing of the text: it may hold most of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the text is no token: expected the form `assay-ID-SECRET` as `inventory token` prints it")]
pub struct BadToken;

impl Token {
    /// A new random token.
    pub fn generate() -> Result<Self, getrandom::Error> {
        Ok(Self { id: random_text::<ID_BYTES>()?, secret: random_text::<SECRET_BYTES>()? })
    }

    /// Reads a token.
    pub fn parse(text: &str) -> Result<Self, BadToken> {
        let (id, secret) = text.strip_prefix(PREFIX).and_then(|rest| rest.split_once('-')).ok_or(BadToken)?;
        (is_base32(id, ID_CHARS) && is_base32(secret, SECRET_CHARS))
            .then(|| Self { id: id.to_owned(), secret: secret.to_owned() })
            .ok_or(BadToken)
    }

    /// The public part.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The whole token, for the one who is to use it.
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

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Token({}, secret withheld)", self.id)
    }
}

/// The text with everything struck out that could be the secret of a token: long runs of base32, whatever is around them.
pub fn redact(text: &str) -> String {
    /// Nothing else in an audit line has so many: ids have 32 digits at most.
    const RUN_MIN: usize = 44;
    let is_base32 = |c: char| c.is_ascii_alphabetic() || ('2'..='7').contains(&c);
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while !rest.is_empty() {
        let run = rest.find(|c| !is_base32(c)).unwrap_or(rest.len());
        out.push_str(if run < RUN_MIN { &rest[..run] } else { "***" });
        let other = rest[run..].find(is_base32).map_or(rest.len(), |at| run + at);
        out.push_str(&rest[run..other]);
        rest = &rest[other..];
    }
    out
}

/// Is the text so many digits of lower-case base32?
pub(crate) fn is_base32(text: &str, chars: usize) -> bool {
    text.len() == chars && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7'))
}

/// Random bytes as lower-case base32.
pub(crate) fn random_text<const N: usize>() -> Result<String, getrandom::Error> {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes)?;
    Ok(BASE32_NOPAD.encode(&bytes).to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_token_reads_back_and_knows_its_secret() {
        let token = Token::generate().unwrap();
        let read = Token::parse(&token.reveal()).unwrap();
        assert_eq!(read, token);
        assert!(read.has_secret(&token.secret_sha256()));
        assert!(!read.has_secret(&Token::generate().unwrap().secret_sha256()));
        assert!(!read.has_secret(&[]));
    }

    #[test]
    fn malformed_tokens_are_refused() {
        let good = Token::generate().unwrap().reveal();
        for bad in ["", "assay-", "assay-a-b", &good[1..], &good.to_uppercase(), &format!("{good}a")] {
            assert_eq!(Token::parse(bad), Err(BadToken), "{bad}");
        }
    }

    #[test]
    fn a_secret_shows_neither_in_debug_output_nor_after_redaction() {
        let token = Token::generate().unwrap();
        let text = format!("/v1/{}?x={} {token:?}", token.reveal(), token.secret.to_uppercase());
        assert_eq!(redact(&text), format!("/v1/assay-{}-***?x=*** {token:?}", token.id()));
        assert!(!format!("{token:?}").contains(&token.secret));
        let glued = format!("{}{}", token.id, token.secret);
        assert_eq!(redact(&glued), "***");
        let plain = format!("plain text, node-abcdefghijklmnop, run {}", "abcdef22".repeat(4));
        assert_eq!(redact(&plain), plain);
    }

    proptest! {
        #[test]
        fn no_text_breaks_parsing_or_redaction(text in any::<String>(), tail in "assay-[a-z2-7-]{0,80}") {
            let _ = (Token::parse(&text), Token::parse(&tail));
            redact(&format!("{text}{tail}{text}"));
            prop_assert_eq!(redact(&text.replace(|c: char| c.is_ascii_alphanumeric(), "0")), text.replace(|c: char| c.is_ascii_alphanumeric(), "0"));
        }
    }
}
