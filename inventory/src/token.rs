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
        let formed = |part: &str, chars: usize| {
            part.len() == chars && part.bytes().all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7'))
        };
        (formed(id, ID_CHARS) && formed(secret, SECRET_CHARS))
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

/// The text with the secret of every token in it struck out.
pub fn redact(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(PREFIX) {
        let (before, token) = rest.split_at(start);
        let word = token.bytes().take_while(|b| b.is_ascii_alphanumeric() || *b == b'-').count();
        let (token, after) = token.split_at(word);
        let id = token[PREFIX.len()..].split('-').next().unwrap_or_default();
        out.push_str(before);
        // A text without a second hyphen may be a token that lost it: nothing of it is kept.
        let shown = if id.len() <= ID_CHARS { id } else { "" };
        out.push_str(PREFIX);
        out.push_str(shown);
        out.push_str("-***");
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Random bytes as lower-case base32.
fn random_text<const N: usize>() -> Result<String, getrandom::Error> {
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
        let text = format!("/v1/{}?x={} {:?}", token.reveal(), token.reveal(), token);
        assert!(text.contains(&token.secret));
        assert!(!redact(&text).contains(&token.secret), "{}", redact(&text));
        assert!(redact(&text).contains(token.id()));
        let glued = token.reveal().replacen(&format!("{}-", token.id), &token.id, 1);
        assert!(!redact(&glued).contains(&token.secret), "{}", redact(&glued));
        assert_eq!(redact("plain text"), "plain text");
    }

    proptest! {
        #[test]
        fn no_text_breaks_parsing_or_redaction(text in any::<String>(), tail in "assay-.{0,20}") {
            let _ = Token::parse(&text);
            redact(&format!("{text}{tail}"));
        }
    }
}
