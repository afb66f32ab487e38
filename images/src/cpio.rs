//! The `newc` archive that Linux reads (Documentation/driver-api/early-userspace/buffer-format.rst): for each entry a
//! header of 110 characters, the name, the content, each padded to four bytes.

use std::collections::BTreeMap;

use anyhow::{Context as _, ensure};

/// A regular file of an archive.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct File {
    /// Permission bits, for example 0o755.
    pub(crate) mode: u32,
    /// What is in it.
    pub(crate) content: Vec<u8>,
}

/// The files of an archive by path, without the leading slash.
pub(crate) type Files = BTreeMap<String, File>;

const MAGIC: &str = "070701";
const HEADER_BYTES: usize = 110;
const TRAILER: &str = "TRAILER!!!";
const REGULAR: u32 = 0o100_000;
const DIRECTORY: u32 = 0o040_000;
const KIND: u32 = 0o170_000;

/// The archive of these files and of the folders above them, sorted; owner, group and times are zero.
pub(crate) fn write(files: &Files) -> anyhow::Result<Vec<u8>> {
    let mut entries: BTreeMap<&str, (u32, &[u8])> = BTreeMap::new();
    for path in files.keys() {
        ensure!(path != TRAILER, "`/{path}` ends an archive: give the file another name");
        for (end, _) in path.match_indices('/') {
            entries.insert(&path[..end], (DIRECTORY | 0o755, &[]));
        }
    }
    for (path, file) in files {
        let shadowed = entries.insert(path, (REGULAR | file.mode, &file.content));
        ensure!(shadowed.is_none(), "`/{path}` is a file and a folder: give one of them another path");
    }
    let mut archive = Vec::new();
    for (number, (path, (mode, content))) in (1..).zip(&entries) {
        entry(&mut archive, number, path, *mode, content).with_context(|| format!("writing `/{path}`"))?;
    }
    entry(&mut archive, 0, TRAILER, 0, &[])?;
    Ok(archive)
}

fn entry(archive: &mut Vec<u8>, number: u32, path: &str, mode: u32, content: &[u8]) -> anyhow::Result<()> {
    let size = u32::try_from(content.len()).context("the format ends at 4 GiB")?;
    let name_size = u32::try_from(path.len() + 1)?;
    let links = if mode & KIND == DIRECTORY { 2 } else { 1 };
    // Inode, mode, user, group, links, time, size, device twice, device of the node twice, name with its zero, checksum.
    let fields = [number, mode, 0, 0, links, 0, size, 0, 0, 0, 0, name_size, 0];
    archive.extend(MAGIC.bytes());
    fields.iter().for_each(|field| archive.extend(format!("{field:08x}").bytes()));
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

/// The regular files of an archive.
pub(crate) fn read(archive: &[u8]) -> anyhow::Result<Files> {
    let mut files = Files::new();
    let mut at = 0;
    loop {
        let (path, mode, content, next) =
            next_entry(archive, at).with_context(|| format!("reading the archive's entry at byte {at}"))?;
        match mode & KIND {
            _ if path == TRAILER => return Ok(files),
            REGULAR => {
                let file = File { mode: mode & !KIND, content: content.to_vec() };
                ensure!(files.insert(path.to_owned(), file).is_none(), "`/{path}` stands there twice");
            }
            DIRECTORY => {}
            _ => anyhow::bail!("`/{path}` is neither file nor folder (mode {mode:o})"),
        }
        at = next;
    }
}

fn next_entry(archive: &[u8], at: usize) -> anyhow::Result<(&str, u32, &[u8], usize)> {
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
    Ok((path, mode, part(start, size)?, (start + size).next_multiple_of(4)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn two_files() -> Files {
        let file = |mode, content: &[u8]| File { mode, content: content.to_vec() };
        [("usr/bin/b".to_owned(), file(0o755, b"12345")), ("init".to_owned(), file(0o644, b""))].into()
    }

    #[test]
    fn an_archive_reads_back_and_has_each_folder_before_its_files() {
        let archive = write(&two_files()).unwrap();
        assert_eq!(archive.len() % 4, 0);
        assert_eq!(read(&archive).unwrap(), two_files());
        let at =
            |name: &str| archive.windows(name.len() + 1).position(|w| w == format!("{name}\0").as_bytes());
        assert!(at("usr") < at("usr/bin") && at("usr/bin") < at("usr/bin/b"));
    }

    #[test]
    fn a_cut_archive_is_refused_wherever_it_is_cut() {
        let archive = write(&two_files()).unwrap();
        let end = archive.len() - 4;
        for length in 0..end {
            assert!(read(&archive[..length]).is_err(), "{length}");
        }
    }

    #[test]
    fn a_path_cannot_be_file_and_folder() {
        let mut files = two_files();
        files.insert("usr".into(), File { mode: 0o644, content: vec![] });
        assert!(write(&files).unwrap_err().to_string().contains("`/usr` is a file and a folder"));
    }
}
