//! The `newc` archive that Linux reads (Documentation/driver-api/early-userspace/buffer-format.rst): for each entry a
//! header of 110 characters, the name, the content, each padded to four bytes.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};

/// What a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A regular file.
    Regular,
    /// A symbolic link; its content is the target.
    Link,
    /// A character device by its numbers.
    Device {
        /// Which driver.
        major: u32,
        /// Which of its devices.
        minor: u32,
    },
}

/// A file of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct File {
    /// What it is.
    pub(crate) kind: Kind,
    /// Permission bits, for example 0o755.
    pub(crate) mode: u32,
    /// What is in it.
    pub(crate) content: Vec<u8>,
}

impl File {
    /// A regular file.
    pub(crate) fn regular(mode: u32, content: impl Into<Vec<u8>>) -> Self {
        Self { kind: Kind::Regular, mode, content: content.into() }
    }

    /// A symbolic link.
    pub(crate) fn link(target: &str) -> Self {
        Self { kind: Kind::Link, mode: 0o777, content: target.into() }
    }

    /// A character device.
    pub(crate) fn device(major: u32, minor: u32, mode: u32) -> Self {
        Self { kind: Kind::Device { major, minor }, mode, content: Vec::new() }
    }

    fn numbers(&self) -> (u32, u32, u32) {
        match self.kind {
            Kind::Regular => (REGULAR, 0, 0),
            Kind::Link => (LINK, 0, 0),
            Kind::Device { major, minor } => (DEVICE, major, minor),
        }
    }
}

/// The files of an archive by path, without the leading slash.
pub(crate) type Files = BTreeMap<String, File>;

const MAGIC: &str = "070701";
const HEADER_BYTES: usize = 110;
const TRAILER: &str = "TRAILER!!!";
const REGULAR: u32 = 0o100_000;
const DIRECTORY: u32 = 0o040_000;
const LINK: u32 = 0o120_000;
const DEVICE: u32 = 0o020_000;
const KIND: u32 = 0o170_000;

/// The archive of these files and of the folders above them, sorted; owner, group and times are zero.
pub(crate) fn write(files: &Files) -> anyhow::Result<Vec<u8>> {
    let mut entries: BTreeMap<&str, Option<&File>> = BTreeMap::new();
    for path in files.keys() {
        ensure!(path != TRAILER, "`/{path}` ends an archive: give the file another name");
        for (end, _) in path.match_indices('/') {
            entries.insert(&path[..end], None);
        }
    }
    for (path, file) in files {
        let shadowed = entries.insert(path, Some(file));
        ensure!(shadowed.is_none(), "`/{path}` is a file and a folder: give one of them another path");
    }
    let mut archive = Vec::new();
    for (number, (path, file)) in (1..).zip(&entries) {
        entry(&mut archive, number, path, *file).with_context(|| format!("writing `/{path}`"))?;
    }
    put(&mut archive, [0, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0], TRAILER, &[])?;
    Ok(archive)
}

/// A file, or a folder where there is none.
fn entry(archive: &mut Vec<u8>, number: u32, path: &str, file: Option<&File>) -> anyhow::Result<()> {
    let Some(file) = file else {
        return put(archive, [number, DIRECTORY | 0o755, 0, 0, 2, 0, 0, 0, 0, 0, 0], path, &[]);
    };
    let size = u32::try_from(file.content.len()).context("the format ends at 4 GiB")?;
    let (kind, major, minor) = file.numbers();
    put(archive, [number, kind | file.mode, 0, 0, 1, 0, size, 0, 0, major, minor], path, &file.content)
}

/// Inode, mode, user, group, links, time, size, device twice, device of the node twice; then length of the name with its
/// zero, and a checksum, which this format leaves zero.
fn put(archive: &mut Vec<u8>, fields: [u32; 11], path: &str, content: &[u8]) -> anyhow::Result<()> {
    let name_size = u32::try_from(path.len() + 1)?;
    archive.extend(MAGIC.bytes());
    fields.iter().chain(&[name_size, 0]).for_each(|field| archive.extend(format!("{field:08x}").bytes()));
    archive.extend(path.bytes());
    archive.push(0);
    pad(archive);
    archive.extend(content);
    pad(archive);
    Ok(())
}

fn pad(archive: &mut Vec<u8>) {
    archive.resize(archive.len().next_multiple_of(4), 0);
}

/// The files of an archive; its folders are implied.
pub(crate) fn read(archive: &[u8]) -> anyhow::Result<Files> {
    let mut files = Files::new();
    let mut at = 0;
    loop {
        let (path, file, next) =
            next_entry(archive, at).with_context(|| format!("reading the archive's entry at byte {at}"))?;
        if path == TRAILER {
            return Ok(files);
        }
        if let Some(file) = file {
            ensure!(files.insert(path.to_owned(), file).is_none(), "`/{path}` stands there twice");
        }
        at = next;
    }
}

fn next_entry(archive: &[u8], at: usize) -> anyhow::Result<(&str, Option<File>, usize)> {
    let part = |start: usize, length: usize| {
        let end = start.checked_add(length).context("a size is too large")?;
        archive.get(start..end).context("the archive ends too early")
    };
    let header = std::str::from_utf8(part(at, HEADER_BYTES)?).context("the header is no text")?;
    ensure!(header.starts_with(MAGIC), "this is no `newc` header");
    let field = |number: usize| -> anyhow::Result<u32> {
        let start = MAGIC.len() + 8 * number;
        let digits = header.get(start..start + 8).context("the header is no plain text")?;
        u32::from_str_radix(digits, 16).with_context(|| format!("`{digits}` is no number"))
    };
    let (mode, size, name_size) = (field(1)?, field(6)? as usize, field(11)? as usize);
    let name = part(at + HEADER_BYTES, name_size)?;
    let path = std::str::from_utf8(name.strip_suffix(b"\0").context("the name does not end")?)?;
    let start = (at + HEADER_BYTES + name_size).next_multiple_of(4);
    let content = part(start, size)?;
    let kind = match mode & KIND {
        REGULAR => Some(Kind::Regular),
        LINK => Some(Kind::Link),
        DEVICE => Some(Kind::Device { major: field(9)?, minor: field(10)? }),
        DIRECTORY => None,
        _ if path == TRAILER => None,
        _ => anyhow::bail!("`/{path}` is neither file, folder, link nor character device (mode {mode:o})"),
    };
    let file = kind.map(|kind| File { kind, mode: mode & !KIND, content: content.to_vec() });
    Ok((path, file, (start + size).next_multiple_of(4)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn some_files() -> Files {
        let files = [
            ("usr/bin/b", File::regular(0o755, *b"12345")),
            ("init", File::regular(0o644, [])),
            ("lib", File::link("usr/lib")),
            ("dev/console", File::device(5, 1, 0o600)),
        ];
        files.map(|(path, file)| (path.to_owned(), file)).into()
    }

    #[test]
    fn an_archive_reads_back_and_has_each_folder_before_its_files() {
        let archive = write(&some_files()).unwrap();
        assert_eq!(archive.len() % 4, 0);
        assert_eq!(read(&archive).unwrap(), some_files());
        let at =
            |name: &str| archive.windows(name.len() + 1).position(|w| w == format!("{name}\0").as_bytes());
        assert!(at("usr") < at("usr/bin") && at("usr/bin") < at("usr/bin/b"));
    }

    #[test]
    fn a_cut_archive_is_refused_wherever_it_is_cut() {
        let archive = write(&some_files()).unwrap();
        let end = archive.len() - 4;
        for length in 0..end {
            assert!(read(&archive[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn a_path_cannot_be_file_and_folder() {
        let mut files = some_files();
        files.insert("usr".into(), File::regular(0o644, []));
        assert!(write(&files).unwrap_err().to_string().contains("`/usr` is a file and a folder"));
    }
}
