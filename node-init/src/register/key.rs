//! The node's own Ed25519 key: made on the node, kept in its state directory, never sent.

use std::fmt;
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};

use data_encoding::{BASE64, HEXLOWER};
use ed25519_dalek::{Signer as _, SigningKey};

use crate::durable;

/// Name of the file: 64 hexadecimal digits and a newline.
const FILE: &str = "node.key";
/// What the file can hold at most; anything longer is no key.
const FILE_BYTES: u64 = 65;

/// The key with which the node signs.
pub struct NodeKey(SigningKey);

impl fmt::Debug for NodeKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "NodeKey({})", self.public_hex())
    }
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read or written.
    #[error("{doing} the node's key `{}`", path.display())]
    File {
        /// Reading or writing.
        doing: &'static str,
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Others can read it, so that it proves nothing any more.
    #[error(
        "the node's key `{}` is open to other users (mode {mode:04o}): if nobody can have read it, `chmod 600` it; \
         else delete it and enrol with a new token",
        path.display()
    )]
    Open {
        /// The file.
        path: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It is a link, a directory, or holds something else.
    #[error("`{}` holds no key (64 hexadecimal digits in a plain file): delete it and enrol with a new token", path.display())]
    Malformed {
        /// The file.
        path: PathBuf,
    },
    /// The operating system has no entropy.
    #[error("drawing a key: the operating system gives no entropy: {0}")]
    Entropy(getrandom::Error),
}

impl NodeKey {
    /// The key in `dir`; made there if there is none.
    pub fn load_or_make(dir: &Path) -> Result<Self, KeyError> {
        let path = dir.join(FILE);
        match path.symlink_metadata() {
            Ok(_) => Self::load(&path),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self::make(&path),
            Err(source) => Err(KeyError::File { doing: "reading", path, source }),
        }
    }

    fn load(path: &Path) -> Result<Self, KeyError> {
        let failed = |source| KeyError::File { doing: "reading", path: path.to_owned(), source };
        let metadata = path.symlink_metadata().map_err(failed)?;
        let malformed = || KeyError::Malformed { path: path.to_owned() };
        if !metadata.is_file() || metadata.len() > FILE_BYTES {
            return Err(malformed());
        }
        let mode = metadata.permissions().mode() & 0o7777;
        if mode & 0o077 != 0 {
            return Err(KeyError::Open { path: path.to_owned(), mode });
        }
        let text = fs::read(path).map_err(failed)?;
        let digits = text.strip_suffix(b"\n").unwrap_or(&text);
        let bytes = HEXLOWER.decode(digits).ok().and_then(|bytes| <[u8; 32]>::try_from(bytes).ok());
        Ok(Self(SigningKey::from_bytes(&bytes.ok_or_else(malformed)?)))
    }

    fn make(path: &Path) -> Result<Self, KeyError> {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).map_err(KeyError::Entropy)?;
        let text = HEXLOWER.encode(&secret) + "\n";
        durable::create(path, text.as_bytes()).map_err(|source| KeyError::File {
            doing: "writing",
            path: path.to_owned(),
            source,
        })?;
        // From the file: another process may have been first, and what counts is what the next start finds.
        Self::load(path)
    }

    /// The public half, 64 hexadecimal digits.
    pub fn public_hex(&self) -> String {
        HEXLOWER.encode(self.0.verifying_key().as_bytes())
    }

    /// As PKCS #8 (RFC 8410) in PEM, for TLS in this very process.
    pub(super) fn pkcs8_pem(&self) -> String {
        const HEAD: [u8; 16] =
            [0x30, 0x2e, 2, 1, 0, 0x30, 5, 6, 3, 0x2b, 0x65, 0x70, 4, 0x22, 4, 0x20];
        let der = BASE64.encode(&[&HEAD[..], self.0.as_bytes()].concat());
        format!("-----BEGIN PRIVATE KEY-----\n{der}\n-----END PRIVATE KEY-----\n")
    }

    /// The signature of a message, 128 hexadecimal digits.
    pub fn sign_hex(&self, message: &[u8]) -> String {
        HEXLOWER.encode(&self.0.sign(message).to_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs::Permissions;

    #[test]
    fn a_key_is_made_once_private_and_found_again() {
        let dir = tempfile::tempdir().unwrap();
        let made = NodeKey::load_or_make(dir.path()).unwrap();
        let found = NodeKey::load_or_make(dir.path()).unwrap();
        assert_eq!(made.public_hex(), found.public_hex());
        assert_eq!(fs::metadata(dir.path().join(FILE)).unwrap().permissions().mode() & 0o777, 0o600);
        let other = tempfile::tempdir().unwrap();
        assert_ne!(NodeKey::load_or_make(other.path()).unwrap().public_hex(), made.public_hex());
    }

    #[test]
    fn what_it_signs_verifies_strictly() {
        let dir = tempfile::tempdir().unwrap();
        let key = NodeKey::load_or_make(dir.path()).unwrap();
        let bytes = HEXLOWER.decode(key.sign_hex(b"context").as_bytes()).unwrap();
        let signature = ed25519_dalek::Signature::from_slice(&bytes).unwrap();
        assert!(key.0.verifying_key().verify_strict(b"context", &signature).is_ok());
        assert!(key.0.verifying_key().verify_strict(b"contexT", &signature).is_err());
    }

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        NodeKey::load_or_make(dir.path()).unwrap();
        for mode in [0o644, 0o640, 0o604, 0o602] {
            fs::set_permissions(dir.path().join(FILE), Permissions::from_mode(mode)).unwrap();
            let error = NodeKey::load_or_make(dir.path()).unwrap_err();
            assert!(error.to_string().contains(&format!("(mode {mode:04o}): if nobody")), "{error}");
        }
    }

    #[test]
    fn a_malformed_key_is_refused_and_neither_shown_nor_written_over() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join(FILE);
        let nearly = "0123456789abcdef".repeat(4).replace("01", "0z");
        for bad in ["", "00", "hello", &nearly, &"00".repeat(33)] {
            fs::write(&file, bad).unwrap();
            fs::set_permissions(&file, Permissions::from_mode(0o600)).unwrap();
            let error = NodeKey::load_or_make(dir.path()).unwrap_err();
            assert!(matches!(error, KeyError::Malformed { .. }), "{bad}: {error}");
            assert!(bad.is_empty() || !error.to_string().contains(bad));
            assert_eq!(fs::read_to_string(&file).unwrap(), bad);
        }
        fs::remove_file(&file).unwrap();
        std::os::unix::fs::symlink("/dev/zero", &file).unwrap();
        assert!(matches!(NodeKey::load_or_make(dir.path()).unwrap_err(), KeyError::Malformed { .. }));
    }

    #[test]
    fn debug_shows_the_public_half_only() {
        let dir = tempfile::tempdir().unwrap();
        let key = NodeKey::load_or_make(dir.path()).unwrap();
        let secret = fs::read_to_string(dir.path().join(FILE)).unwrap();
        assert_eq!(format!("{key:?}"), format!("NodeKey({})", key.public_hex()));
        assert!(!format!("{key:?}").contains(secret.trim()));
    }
}
