//! Files below a root directory, which may be `/` or a captured tree.
//!
//! Paths are given without a leading slash and errors name them so. A symbolic link is followed inside the root only, as
//! `chroot` would: an absolute target counts from the root and `..` stops there, so that a captured tree never shows a
//! fact of the machine that reads it.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read as _};
use std::path::{Component, Path, PathBuf};

/// What a sysfs attribute can hold at most: one page.
const ATTRIBUTE_BYTES_MAX: u64 = 4 << 10;
/// Bound for the long files of procfs; `/proc/cpuinfo` has about 2 KiB for each logical processor.
const DOCUMENT_BYTES_MAX: u64 = 16 << 20;
/// How many symbolic links one path may lead through, as in Linux (`MAXSYMLINKS`).
const LINKS_MAX: usize = 40;

/// Where facts are read.
#[derive(Clone, Debug)]
pub struct Root {
    dir: PathBuf,
}

/// Why a file below the root gives no fact.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// It is not there.
    #[error("`{path}` is not there")]
    Missing {
        /// Path below the root.
        path: String,
    },
    /// This user may not read it.
    #[error("`{path}` may not be read by this user: run as root")]
    Denied {
        /// Path below the root.
        path: String,
    },
    /// The kernel does not answer.
    #[error("reading `{path}`: {source}")]
    Unreadable {
        /// Path below the root.
        path: String,
        /// What the kernel said.
        source: io::Error,
    },
    /// What it holds is not what it should.
    #[error("`{path}` holds `{found}`: expected {expected}")]
    Malformed {
        /// Path below the root.
        path: String,
        /// The beginning of what it holds, made printable.
        found: String,
        /// What it should hold.
        expected: &'static str,
    },
}

impl ReadError {
    fn io(path: &str, source: io::Error) -> Self {
        let path = path.to_owned();
        match source.kind() {
            io::ErrorKind::NotFound | io::ErrorKind::NotADirectory => Self::Missing { path },
            io::ErrorKind::PermissionDenied => Self::Denied { path },
            _ => Self::Unreadable { path, source },
        }
    }

    /// The file holds something else than it should.
    pub(crate) fn malformed(path: &str, found: &str, expected: &'static str) -> Self {
        let found = found.chars().take(60).map(|c| if c.is_control() { '?' } else { c }).collect();
        Self::Malformed { path: path.to_owned(), found, expected }
    }

    /// The driver has no answer for this attribute at this time: `EINVAL` (an interface that is down) or
    /// `EOPNOTSUPP`. See `net/core/net-sysfs.c`.
    fn has_no_answer(&self) -> bool {
        matches!(self, Self::Unreadable { source, .. }
            if matches!(source.kind(), io::ErrorKind::InvalidInput | io::ErrorKind::Unsupported))
    }
}

impl Root {
    /// The machine itself.
    pub fn machine() -> Self {
        Self::at("/")
    }

    /// A captured tree, which holds `sys/` and `proc/`.
    pub fn at(dir: impl Into<PathBuf>) -> Self {
        Self { dir: dir.into() }
    }

    /// Is this the machine itself?
    pub fn is_machine(&self) -> bool {
        self.dir == Path::new("/")
    }

    /// The text of an attribute, without white space and zero bytes at either end.
    pub fn text(&self, path: &str) -> Result<String, ReadError> {
        let bytes = self.bytes(path, ATTRIBUTE_BYTES_MAX)?;
        let text = String::from_utf8_lossy(&bytes);
        Ok(text.trim_matches(|c: char| c.is_whitespace() || c == '\0').to_owned())
    }

    /// The text of an attribute; `None` where it is missing, empty, or the driver has no answer.
    pub fn text_if_told(&self, path: &str) -> Result<Option<String>, ReadError> {
        match self.text(path) {
            Ok(text) => Ok(Some(text).filter(|text| !text.is_empty())),
            Err(ReadError::Missing { .. }) => Ok(None),
            Err(error) if error.has_no_answer() => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// The value of an attribute, read by `parse`.
    pub fn value<T>(
        &self,
        path: &str,
        expected: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<T, ReadError> {
        let text = self.text(path)?;
        parse(&text).ok_or_else(|| ReadError::malformed(path, &text, expected))
    }

    /// The value of an attribute, read by `parse`; `None` where [`Root::text_if_told`] has none.
    pub fn value_if_told<T>(
        &self,
        path: &str,
        expected: &'static str,
        parse: impl FnOnce(&str) -> Option<T>,
    ) -> Result<Option<T>, ReadError> {
        let Some(text) = self.text_if_told(path)? else { return Ok(None) };
        parse(&text).map(Some).ok_or_else(|| ReadError::malformed(path, &text, expected))
    }

    /// The whole text of a long file of procfs.
    pub fn document(&self, path: &str) -> Result<String, ReadError> {
        let bytes = self.bytes(path, DOCUMENT_BYTES_MAX)?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The bytes of a binary attribute.
    pub fn binary(&self, path: &str) -> Result<Vec<u8>, ReadError> {
        self.bytes(path, ATTRIBUTE_BYTES_MAX)
    }

    /// Names of what lies in a directory, sorted.
    pub fn names(&self, dir: &str) -> Result<Vec<String>, ReadError> {
        let failed = |source| ReadError::io(dir, source);
        let entries = std::fs::read_dir(self.dir.join(self.resolve(dir)?)).map_err(failed)?;
        let mut names = entries
            .map(|entry| Ok(entry.map_err(failed)?.file_name().to_string_lossy().into_owned()))
            .collect::<Result<Vec<_>, ReadError>>()?;
        names.sort_unstable();
        Ok(names)
    }

    /// The last name of what a symbolic link points to, for example the driver's; `None` where there is no link.
    ///
    /// The target itself need not be there, so that a captured tree can leave it out.
    pub fn link_name(&self, path: &str) -> Result<Option<String>, ReadError> {
        let (dir, name) = path.rsplit_once('/').unwrap_or(("", path));
        let resolved = match self.resolve(dir) {
            Err(ReadError::Missing { .. }) => return Ok(None),
            other => other?,
        };
        match std::fs::read_link(self.dir.join(resolved).join(name)) {
            Ok(target) => Ok(target.file_name().map(|name| name.to_string_lossy().into_owned())),
            // `EINVAL`: there, and no link.
            Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::InvalidInput) => Ok(None),
            Err(source) => Err(ReadError::io(path, source)),
        }
    }

    /// Is there something at this path?
    pub fn has(&self, path: &str) -> bool {
        self.resolve(path).is_ok_and(|resolved| self.dir.join(resolved).symlink_metadata().is_ok())
    }

    /// The path below the root, free of symbolic links, that `path` leads to. A part that is not there stays as it is
    /// written, so that the names in a dangling link of a captured tree are still known.
    pub fn resolve(&self, path: &str) -> Result<PathBuf, ReadError> {
        let mut todo: Vec<OsString> = parts(Path::new(path)).rev().collect();
        let mut done = PathBuf::new();
        let mut links = 0;
        while let Some(part) = todo.pop() {
            if part == ".." {
                done.pop();
                continue;
            }
            done.push(&part);
            let target = match std::fs::read_link(self.dir.join(&done)) {
                Ok(target) => target,
                Err(e) if e.kind() == io::ErrorKind::PermissionDenied => return Err(ReadError::io(path, e)),
                Err(_) => continue,
            };
            links += 1;
            if links > LINKS_MAX {
                return Err(ReadError::io(path, io::Error::other("too many symbolic links")));
            }
            done.pop();
            if target.is_absolute() {
                done.clear();
            }
            todo.extend(parts(&target).rev());
        }
        Ok(done)
    }

    fn bytes(&self, path: &str, bytes_max: u64) -> Result<Vec<u8>, ReadError> {
        let failed = |source| ReadError::io(path, source);
        let file = File::open(self.dir.join(self.resolve(path)?)).map_err(failed)?;
        let mut bytes = Vec::new();
        let read = file.take(bytes_max + 1).read_to_end(&mut bytes).map_err(failed)?;
        if read as u64 > bytes_max {
            let start = String::from_utf8_lossy(&bytes[..bytes.len().min(240)]);
            return Err(ReadError::malformed(path, &start, "a shorter text"));
        }
        Ok(bytes)
    }
}

/// The parts of a path that count: names and `..`.
fn parts(path: &Path) -> impl DoubleEndedIterator<Item = OsString> + '_ {
    path.components().filter_map(|part| match part {
        Component::Normal(name) => Some(name.to_owned()),
        Component::ParentDir => Some("..".into()),
        Component::RootDir | Component::CurDir | Component::Prefix(_) => None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::symlink;

    fn tree() -> (tempfile::TempDir, Root) {
        let dir = tempfile::tempdir().unwrap();
        fs::create_dir_all(dir.path().join("sys/devices/a")).unwrap();
        fs::write(dir.path().join("sys/devices/a/id"), " 0x10de \n\0").unwrap();
        let root = Root::at(dir.path());
        (dir, root)
    }

    #[test]
    fn a_text_is_trimmed_and_an_empty_one_is_absent() {
        let (dir, root) = tree();
        assert_eq!(root.text("sys/devices/a/id").unwrap(), "0x10de");
        fs::write(dir.path().join("sys/devices/a/empty"), " \n").unwrap();
        assert_eq!(root.text_if_told("sys/devices/a/empty").unwrap(), None);
        assert_eq!(root.text_if_told("sys/devices/b/id").unwrap(), None);
    }

    #[test]
    fn missing_and_malformed_are_told_apart_and_named() {
        let (dir, root) = tree();
        let missing = root.text("sys/devices/b/id").unwrap_err();
        assert_eq!(missing.to_string(), "`sys/devices/b/id` is not there");
        let malformed = root.value("sys/devices/a/id", "a number", |t| t.parse::<u8>().ok()).unwrap_err();
        assert_eq!(malformed.to_string(), "`sys/devices/a/id` holds `0x10de`: expected a number");
        fs::write(dir.path().join("sys/devices/a/long"), vec![b'x'; 5000]).unwrap();
        assert!(matches!(root.text("sys/devices/a/long").unwrap_err(), ReadError::Malformed { .. }));
        assert!(matches!(root.text("sys/devices/a").unwrap_err(), ReadError::Unreadable { .. }));
        assert!(matches!(
            ReadError::io("x", io::Error::from(io::ErrorKind::PermissionDenied)),
            ReadError::Denied { .. }
        ));
    }

    #[test]
    fn no_link_leads_out_of_the_root() {
        let (dir, root) = tree();
        let at = |name: &str| dir.path().join("sys").join(name);
        symlink("/etc/hostname", at("absolute")).unwrap();
        symlink("../../../../../../../../../../etc/hostname", at("relative")).unwrap();
        symlink("/sys/devices/a", at("inside")).unwrap();
        symlink("loop", at("loop")).unwrap();
        assert!(matches!(root.text("sys/absolute").unwrap_err(), ReadError::Missing { .. }));
        assert!(matches!(root.text("sys/relative").unwrap_err(), ReadError::Missing { .. }));
        assert!(matches!(root.text("../../../../../etc/hostname").unwrap_err(), ReadError::Missing { .. }));
        assert_eq!(root.text("sys/inside/id").unwrap(), "0x10de");
        assert!(root.text("sys/loop").unwrap_err().to_string().contains("too many symbolic links"));
    }

    #[test]
    fn a_dangling_link_still_tells_its_names() {
        let (dir, root) = tree();
        symlink("../../bus/pci/drivers/nvidia", dir.path().join("sys/devices/driver")).unwrap();
        assert_eq!(root.link_name("sys/devices/driver").unwrap().as_deref(), Some("nvidia"));
        assert_eq!(root.resolve("sys/devices/driver").unwrap(), Path::new("bus/pci/drivers/nvidia"));
        assert_eq!(root.link_name("sys/devices/a/id").unwrap(), None);
        assert_eq!(root.link_name("sys/devices/none").unwrap(), None);
    }
}
