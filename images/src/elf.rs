//! Which shared libraries a program needs, read from the program itself. Nothing is run: `ldd` would run it.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use object::elf::{DT_NEEDED, ET_DYN, ET_EXEC, FileHeader32, FileHeader64};
use object::read::elf::{ElfFile, FileHeader, ProgramHeader};
use object::{Endianness, FileKind};

/// What a program or library asks of the image it runs in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Needs {
    /// Word size and processor: libraries of another kind do not fit.
    pub(crate) kind: (bool, u16),
    /// The dynamic loader, by absolute path.
    pub(crate) loader: Option<String>,
    /// Libraries, by name.
    pub(crate) libraries: Vec<String>,
}

/// What this file needs; `None` if it is no ELF program or library.
pub(crate) fn needs(content: &[u8]) -> anyhow::Result<Option<Needs>> {
    match FileKind::parse(content) {
        Ok(FileKind::Elf32) => read::<FileHeader32<Endianness>>(content, false),
        Ok(FileKind::Elf64) => read::<FileHeader64<Endianness>>(content, true),
        _ => Ok(None),
    }
}

fn read<Elf: FileHeader<Endian = Endianness>>(content: &[u8], wide: bool) -> anyhow::Result<Option<Needs>> {
    let file = ElfFile::<Elf>::parse(content).context("reading the ELF header")?;
    let (endian, header) = (file.endian(), file.elf_header());
    if !matches!(header.e_type(endian), ET_EXEC | ET_DYN) {
        return Ok(None);
    }
    let mut loader = None;
    let mut dynamic = false;
    for segment in file.elf_program_headers() {
        if let Some(path) = segment.interpreter(endian, content)? {
            loader = Some(std::str::from_utf8(path).context("reading the loader's path")?.to_owned());
        }
        dynamic |= segment.dynamic(endian, content)?.is_some();
    }
    let table = file.elf_dynamic_table().context("reading the dynamic section")?;
    ensure!(
        dynamic != table.is_empty(),
        "its section headers are gone, so that its libraries cannot be told: use it unstripped"
    );
    let names = table.iter().filter(|entry| entry.tag == DT_NEEDED).map(|entry| {
        let name = table.string(entry).context("reading the name of a library")?;
        Ok(std::str::from_utf8(name).context("reading the name of a library")?.to_owned())
    });
    let libraries = names.collect::<anyhow::Result<_>>()?;
    Ok(Some(Needs { kind: (wide, header.e_machine(endian)), loader, libraries }))
}

/// The folders in which every loader looks without being told.
pub(crate) const STANDARD_FOLDERS: [&str; 8] = [
    "/lib/x86_64-linux-gnu",
    "/usr/lib/x86_64-linux-gnu",
    "/lib/aarch64-linux-gnu",
    "/usr/lib/aarch64-linux-gnu",
    "/lib64",
    "/usr/lib64",
    "/lib",
    "/usr/lib",
];

/// The folders to look in: the standard ones, then those of `/etc/ld.so.conf.d` below this root, by file name.
pub(crate) fn folders(root: &Path) -> Vec<PathBuf> {
    let mut folders: Vec<_> = STANDARD_FOLDERS.iter().map(|folder| below(root, folder)).collect();
    let listed = std::fs::read_dir(below(root, "/etc/ld.so.conf.d"));
    let mut files: Vec<_> = listed.into_iter().flatten().flatten().map(|entry| entry.path()).collect();
    files.sort();
    for text in files.iter().filter_map(|file| std::fs::read_to_string(file).ok()) {
        let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
        folders.extend(lines.filter(|line| line.starts_with('/')).map(|line| below(root, line)));
    }
    folders
}

/// An absolute path, below another root.
pub(crate) fn below(root: &Path, path: &str) -> PathBuf {
    root.join(path.trim_start_matches('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dynamic_program_names_its_loader_and_libraries() {
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        let needs = needs(&own).unwrap().unwrap();
        assert!(needs.loader.unwrap().contains("ld-"));
        assert!(needs.libraries.iter().any(|name| name.starts_with("libc.so")), "{:?}", needs.libraries);
    }

    #[test]
    fn what_is_no_program_needs_nothing_and_half_a_program_is_an_error() {
        assert_eq!(needs(b"#!/bin/sh\n").unwrap(), None);
        let own = std::fs::read(std::env::current_exe().unwrap()).unwrap();
        assert!(needs(&own[..own.len() / 2]).is_err());
    }

    #[test]
    fn folders_of_the_machine_come_after_the_standard_ones() {
        let root = tempfile::tempdir().unwrap();
        let conf = root.path().join("etc/ld.so.conf.d");
        std::fs::create_dir_all(&conf).unwrap();
        std::fs::write(conf.join("b.conf"), "# none\n/opt/b # ours\n").unwrap();
        std::fs::write(conf.join("a.conf"), "/opt/a\n\nrelative\n").unwrap();
        let folders = folders(root.path());
        assert_eq!(folders[STANDARD_FOLDERS.len()..], [root.path().join("opt/a"), root.path().join("opt/b")]);
    }
}
