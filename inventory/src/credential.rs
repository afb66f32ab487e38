//! Secrets that are handed to somebody, `PREFIX-ID-SECRET`: single-use tokens for nodes ([`Token`]) and access keys for
//! people and their programs ([`crate::access::AccessKey`]). The id is public and names the credential in listings and
//! audit lines; the secret is shown once, when it is made, and only its SHA-256 is kept.

use std::fmt;
use std::marker::PhantomData;

use data_encoding::BASE32_NOPAD;
use sha2::{Digest, Sha256};
use subtle::ConstantTimeEq;

const ID_BYTES: usize = 8;
const SECRET_BYTES: usize = 32;
const ID_CHARS: usize = 13;
const SECRET_CHARS: usize = 52;

/// What a credential is for.
pub trait Kind {
    /// What its text begins with, without the dash.
    const PREFIX: &'static str;
    /// What people call it.
    const NAME: &'static str;
    /// The command that makes one.
    const MADE_BY: &'static str;
}

/// Lets one node in, once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LetsNodeIn;

impl Kind for LetsNodeIn {
    const PREFIX: &'static str = "assay";
    const NAME: &'static str = "token";
    const MADE_BY: &'static str = "inventory token";
}

/// A single-use token, `assay-ID-SECRET`.
pub type Token = Credential<LetsNodeIn>;

/// A credential with its secret.
#[derive(Clone, PartialEq, Eq)]
pub struct Credential<K> {
    id: String,
    secret: String,
    kind: PhantomData<K>,
}

/// A text that is no credential of that kind. Says nothing of the text: it may hold most of a secret.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Malformed<K>(PhantomData<K>);

impl<K: Kind> fmt::Display for Malformed<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, prefix, made_by) = (K::NAME, K::PREFIX, K::MADE_BY);
        write!(f, "the text is no {name}: expected the form `{prefix}-ID-SECRET` as `{made_by}` prints it")
    }
}

impl<K: Kind + fmt::Debug> std::error::Error for Malformed<K> {}

impl<K: Kind> Credential<K> {
    /// A new random one.
    pub fn generate() -> Result<Self, getrandom::Error> {
        let (id, secret) = (random_text::<ID_BYTES>()?, random_text::<SECRET_BYTES>()?);
        Ok(Self { id, secret, kind: PhantomData })
    }

    /// Reads one.
    pub fn parse(text: &str) -> Result<Self, Malformed<K>> {
        let rest = text.strip_prefix(K::PREFIX).and_then(|rest| rest.strip_prefix('-'));
        let (id, secret) = rest.and_then(|rest| rest.split_once('-')).ok_or(Malformed(PhantomData))?;
        (is_base32(id, ID_CHARS) && is_base32(secret, SECRET_CHARS))
            .then(|| Self { id: id.to_owned(), secret: secret.to_owned(), kind: PhantomData })
            .ok_or(Malformed(PhantomData))
    }

    /// The public part.
    pub fn id(&self) -> &str {
        &self.id
    }

    /// The whole text, for the one who is to use it.
    pub fn reveal(&self) -> String {
        format!("{}-{}-{}", K::PREFIX, self.id, self.secret)
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

impl<K: Kind> fmt::Debug for Credential<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}, secret withheld", K::NAME, self.id)
    }
}

/// The text with everything struck out that could be a secret: long runs of base32, whatever is around them.
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
fn is_base32(text: &str, chars: usize) -> bool {
    text.len() == chars && text.bytes().all(|b| matches!(b, b'a'..=b'z' | b'2'..=b'7'))
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
    use crate::access::AccessKey;
    use proptest::prelude::*;

    fn reads_back_and_knows_its_secret<K: Kind + fmt::Debug + PartialEq>() {
        let made = Credential::<K>::generate().unwrap();
        let read = Credential::<K>::parse(&made.reveal()).unwrap();
        assert_eq!(read, made);
        assert!(read.has_secret(&made.secret_sha256()));
        assert!(!read.has_secret(&Credential::<K>::generate().unwrap().secret_sha256()));
        assert!(!read.has_secret(&[]));
        let good = made.reveal();
        for bad in ["", "assay-", "assay-a-b", &good[1..], &good.to_uppercase(), &format!("{good}a")] {
            assert_eq!(Credential::<K>::parse(bad), Err(Malformed(PhantomData)), "{bad}");
        }
    }

    #[test]
    fn each_kind_reads_back_and_knows_its_secret() {
        reads_back_and_knows_its_secret::<LetsNodeIn>();
        reads_back_and_knows_its_secret::<crate::access::LetsPersonIn>();
    }

    #[test]
    fn a_token_is_no_key_and_a_key_no_token_and_each_says_who_makes_it() {
        let (key, token) = (AccessKey::generate().unwrap().reveal(), Token::generate().unwrap().reveal());
        let no_key = AccessKey::parse(&token).unwrap_err().to_string();
        let no_token = Token::parse(&key).unwrap_err().to_string();
        assert!(no_key.contains("`assaykey-ID-SECRET` as `inventory access-key create`"), "{no_key}");
        assert!(no_token.contains("`assay-ID-SECRET` as `inventory token`"), "{no_token}");
    }

    #[test]
    fn a_secret_shows_neither_in_debug_output_nor_after_redaction() {
        let token = Token::generate().unwrap();
        let text = format!("/v1/{}?x={} {token:?}", token.reveal(), token.secret.to_uppercase());
        assert_eq!(redact(&text), format!("/v1/assay-{}-***?x=*** {token:?}", token.id()));
        assert!(!format!("{token:?}").contains(&token.secret));
        let glued = format!("{}{}", token.id, token.secret);
        assert_eq!(redact(&glued), "***");
        let key = AccessKey::generate().unwrap();
        assert_eq!(redact(&key.reveal()), format!("assaykey-{}-***", key.id()));
        let plain = format!("plain text, node-abcdefghijklmnop, run {}", "abcdef22".repeat(4));
        assert_eq!(redact(&plain), plain);
    }

    proptest! {
        #[test]
        fn no_text_breaks_parsing_or_redaction(text in any::<String>(), tail in "assay-[a-z2-7-]{0,80}") {
            let _ = (Token::parse(&text), Token::parse(&tail));
            redact(&format!("{text}{tail}{text}"));
            let plain = text.replace(|c: char| c.is_ascii_alphanumeric(), "0");
            prop_assert_eq!(redact(&plain), plain);
        }
    }
}
