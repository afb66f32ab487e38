//! Keys to sign and to check with: 64 hexadecimal digits, as `node-init` keeps a node's own, or PEM as `openssl genpkey
//! -algorithm ed25519` and `openssl pkey -pubout` write it.

use std::fmt;
use std::path::{Path, PathBuf};

use data_encoding::{BASE64, HEXLOWER};
use ed25519_dalek::{Signature, Signer as _, SigningKey, VerifyingKey};

/// What a key's file holds at most.
const FILE_BYTES_MAX: u64 = 4096;
/// What stands before the 32 bytes of a key in DER (RFC 8410): PKCS #8 for a secret one, SPKI for a public one.
const PKCS8: [u8; 16] = [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
const SPKI: [u8; 12] = [0x30, 0x2a, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 3, 0x21, 0];

/// A key that signs.
pub struct SecretKey(SigningKey);

/// A key that signatures are checked with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PublicKey(VerifyingKey);

impl fmt::Debug for SecretKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "SecretKey({})", self.public())
    }
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read.
    #[error("reading the key `{}`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Others can read it.
    #[error("the key `{}` is open to other users: `chmod 600` it, or make another if one of them may have read it", path.display())]
    Open {
        /// The file.
        path: PathBuf,
    },
    /// It holds something else.
    #[error("`{}` holds no {kind} Ed25519 key: 64 hexadecimal digits, or PEM as `openssl genpkey -algorithm ed25519` writes it", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
        /// `secret` or `public`.
        kind: &'static str,
    },
}

impl SecretKey {
    /// The key in a file that nobody else can read.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        use std::os::unix::fs::PermissionsExt as _;
        let text = read(path)?;
        let mode = std::fs::metadata(path).map(|metadata| metadata.permissions().mode()).unwrap_or(0o777);
        if mode & 0o077 != 0 {
            return Err(KeyError::Open { path: path.to_owned() });
        }
        let malformed = || KeyError::Malformed { path: path.to_owned(), kind: "secret" };
        Ok(Self(SigningKey::from_bytes(&bytes_of(&text, &PKCS8).ok_or_else(malformed)?)))
    }

    /// The key of these bytes.
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        Self(SigningKey::from_bytes(bytes))
    }

    /// The public half.
    pub fn public(&self) -> PublicKey {
        PublicKey(self.0.verifying_key())
    }

    pub(super) fn sign(&self, message: &[u8]) -> String {
        HEXLOWER.encode(&self.0.sign(message).to_bytes())
    }

    /// The key of keyed hashes that follows from it, and that does not give it away.
    pub(super) fn for_hashes(&self) -> [u8; 32] {
        use sha2::{Digest as _, Sha256};
        Sha256::new()
            .chain_update(b"assay.bundle/1 redact\n")
            .chain_update(self.0.to_bytes())
            .finalize()
            .into()
    }
}

impl PublicKey {
    /// The key in a file.
    pub fn load(path: &Path) -> Result<Self, KeyError> {
        let text = read(path)?;
        let key = bytes_of(&text, &SPKI).and_then(|bytes| VerifyingKey::from_bytes(&bytes).ok());
        key.map(Self).ok_or_else(|| KeyError::Malformed { path: path.to_owned(), kind: "public" })
    }

    /// The key of 64 hexadecimal digits.
    pub fn from_hex(text: &str) -> Option<Self> {
        VerifyingKey::from_bytes(&bytes_of(text, &SPKI)?).ok().map(Self)
    }

    /// Is this the signature of the message, in hexadecimal? By the strict rules: a small key or another form of the same
    /// signature is none.
    pub(super) fn signed(&self, message: &[u8], signature: &str) -> bool {
        let bytes = HEXLOWER.decode(signature.trim_end().as_bytes()).ok();
        let signature = bytes.and_then(|bytes| Signature::from_slice(&bytes).ok());
        signature.is_some_and(|signature| self.0.verify_strict(message, &signature).is_ok())
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&HEXLOWER.encode(self.0.as_bytes()))
    }
}

fn read(path: &Path) -> Result<String, KeyError> {
    let failed = |source| KeyError::Read { path: path.to_owned(), source };
    let size = std::fs::metadata(path).map_err(failed)?.len();
    if size > FILE_BYTES_MAX {
        return Err(failed(std::io::Error::other(format!("{size} bytes are no key"))));
    }
    std::fs::read_to_string(path).map_err(failed)
}

fn bytes_of(text: &str, prefix: &[u8]) -> Option<[u8; 32]> {
    let text = text.trim();
    if let Some(bytes) = HEXLOWER.decode(text.as_bytes()).ok().and_then(|bytes| bytes.try_into().ok()) {
        return Some(bytes);
    }
    let lines = text.lines().map(str::trim).filter(|line| !line.starts_with("-----"));
    let der = BASE64.decode(lines.collect::<String>().as_bytes()).ok()?;
    der.strip_prefix(prefix)?.try_into().ok()
}

#[cfg(test)]
mod tests {
    use std::fs::Permissions;
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    // Made by `openssl genpkey -algorithm ed25519` and `openssl pkey -pubout` of OpenSSL 3.0.
    const SECRET: &str = "-----BEGIN PRIVATE KEY-----\nMC4CAQAwBQYDK2VwBCIEIN9t1cYUCLrdyYi5bXXtILwRIVQEppMhYcI14p84Fxra\n-----END PRIVATE KEY-----\n";
    const PUBLIC: &str = "-----BEGIN PUBLIC KEY-----\nMCowBQYDK2VwAyEAHc6PcGIcTucnu/Y3K5J4ihFJfCfJZYMnebW/mRLM2Aw=\n-----END PUBLIC KEY-----\n";

    fn file(text: &str, mode: u32) -> tempfile::NamedTempFile {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        std::fs::set_permissions(file.path(), Permissions::from_mode(mode)).unwrap();
        file
    }

    #[test]
    fn keys_of_openssl_and_of_a_node_are_read_and_fit_each_other() {
        let secret = SecretKey::load(file(SECRET, 0o600).path()).unwrap();
        let public = PublicKey::load(file(PUBLIC, 0o644).path()).unwrap();
        assert_eq!(secret.public(), public);
        assert_eq!(PublicKey::load(file(&format!("{public}\n"), 0o644).path()).unwrap(), public);
        let signature = secret.sign(b"words");
        assert!(public.signed(b"words", &signature) && !public.signed(b"other", &signature));
    }

    #[test]
    fn a_key_that_others_can_read_or_that_is_none_is_refused() {
        assert!(matches!(SecretKey::load(file(SECRET, 0o644).path()), Err(KeyError::Open { .. })));
        assert!(matches!(SecretKey::load(file(PUBLIC, 0o600).path()), Err(KeyError::Malformed { .. })));
        assert!(matches!(PublicKey::load(file(SECRET, 0o600).path()), Err(KeyError::Malformed { .. })));
        assert!(matches!(PublicKey::load(Path::new("/nonexistent/key")), Err(KeyError::Read { .. })));
    }
}
