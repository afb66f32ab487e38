//! The data directory: its paths, its lock, and files that are there whole or not at all.

use std::fs::{self, DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

/// Where an inventory keeps everything.
#[derive(Clone, Debug)]
pub struct DataDir {
    root: PathBuf,
}

/// Why the data directory cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// It cannot be made.
    #[error("making the data directory `{path}`")]
    Make {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// Another process serves it.
    #[error(
        "another `inventory serve` uses the data directory `{path}`: stop it first, or choose another with --data"
    )]
    InUse {
        /// Which.
        path: PathBuf,
    },
    /// The lock file cannot be used.
    #[error("locking `{path}`")]
    Lock {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("writing `{path}`")]
    Write {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
}

impl DataDir {
    /// The directory at that path; nothing is made.
    pub fn at(root: impl Into<PathBuf>) -> Self {
        Self { root: root.into() }
    }

    /// The directory at that path, made if it is missing, readable for its owner only.
    pub fn create(root: impl Into<PathBuf>) -> Result<Self, DataDirError> {
        let this = Self::at(root);
        for path in [this.root.clone(), this.tls()] {
            make_folder(&path).map_err(|source| DataDirError::Make { path, source })?;
        }
        Ok(this)
    }

    /// The directory itself.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// The database.
    pub fn database(&self) -> PathBuf {
        self.root.join("inventory.db")
    }

    /// Keys and certificates.
    pub fn tls(&self) -> PathBuf {
        self.root.join("tls")
    }

    /// The certificate that nodes must trust.
    pub fn ca_certificate(&self) -> PathBuf {
        self.tls().join("ca.pem")
    }

    /// The address the server listens on, while it does.
    pub fn endpoint(&self) -> PathBuf {
        self.root.join("endpoint")
    }

    /// Takes the right to serve this directory; it ends with the returned file or with the process.
    pub fn lock(&self) -> Result<File, DataDirError> {
        let path = self.root.join("lock");
        let failed = |source| DataDirError::Lock { path: path.clone(), source };
        let file = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(false)
            .mode(0o600)
            .open(&path)
            .map_err(failed)?;
        match file.try_lock() {
            Ok(()) => Ok(file),
            Err(TryLockError::WouldBlock) => Err(DataDirError::InUse { path: self.root.clone() }),
            Err(TryLockError::Error(source)) => Err(failed(source)),
        }
    }
}

/// Makes a directory and those above it, on disk: a file in one that a power failure takes back is lost with it.
fn make_folder(path: &Path) -> io::Result<()> {
    let is_missing = |path: &&Path| !path.as_os_str().is_empty() && !path.exists();
    let made: Vec<_> = path.ancestors().take_while(is_missing).collect();
    DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    made.into_iter().try_for_each(|path| sync_folder(path.parent().unwrap_or(Path::new("."))))
}

/// Waits until the entries of that directory are on disk; an empty path is the working directory.
pub(crate) fn sync_folder(path: &Path) -> io::Result<()> {
    let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
    File::open(path)?.sync_all()
}

/// Writes a file so that it is there with all its bytes, or as it was before, whenever the power fails.
pub fn write_atomic(path: &Path, bytes: &[u8], mode: u32) -> Result<(), DataDirError> {
    let write = || {
        let mut name = path.file_name().unwrap_or_default().to_owned();
        name.push(".new");
        let new = path.with_file_name(name);
        // A file that an earlier crash left may have other permissions.
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(mode).open(&new)?;
        file.write_all(bytes)?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        sync_folder(path.parent().unwrap_or(Path::new(".")))
    };
    write().map_err(|source| DataDirError::Write { path: path.to_owned(), source })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_directory_can_be_served_once_at_a_time() {
        let temporary = tempfile::tempdir().unwrap();
        let data = DataDir::create(temporary.path().join("a")).unwrap();
        let held = data.lock().unwrap();
        assert!(matches!(data.lock(), Err(DataDirError::InUse { .. })));
        drop(held);
        data.lock().unwrap();
    }

    #[test]
    fn an_atomic_file_has_its_mode_and_replaces_what_was_there() {
        let temporary = tempfile::tempdir().unwrap();
        let path = temporary.path().join("key");
        fs::write(temporary.path().join("key.new"), "left by a crash").unwrap();
        write_atomic(&path, b"one", 0o644).unwrap();
        write_atomic(&path, b"two", 0o600).unwrap();
        assert_eq!(fs::read(&path).unwrap(), b"two");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_dir(temporary.path()).unwrap().count(), 1);
    }
}
