//! The archive: a gzipped tar whose every byte follows from its files, so that nothing can hide between them.

use std::collections::BTreeMap;
use std::io::{Read as _, Write as _};

use flate2::read::GzDecoder;
use flate2::{Compression, GzBuilder};

use super::{Fault, MANIFEST, SIGNATURE};

/// What a bundle unpacks to at most: a report of a thousand devices has 300 MB.
const BYTES_MAX: u64 = 1 << 30;
/// Files at most.
const FILES_MAX: usize = 4096;

/// Bytes before the packed ones: no name, no time (RFC 1952).
const GZIP_HEADER: usize = 10;

/// Files by name.
pub(super) type Files = BTreeMap<String, Vec<u8>>;

/// The archive of these files: manifest and signature first, the others by name.
pub(super) fn write(files: &Files) -> std::io::Result<Vec<u8>> {
    let mut gzip = GzBuilder::new().write(Vec::new(), Compression::default());
    gzip.write_all(&tar(files)?)?;
    gzip.finish()
}

fn tar(files: &Files) -> std::io::Result<Vec<u8>> {
    let mut tar = tar::Builder::new(Vec::new());
    let first = |path: &str| !matches!(path, MANIFEST | SIGNATURE);
    let mut order: Vec<_> = files.iter().collect();
    order.sort_by_key(|(path, _)| (first(path), path.as_str()));
    for (path, bytes) in order {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        tar.append_data(&mut header, path, bytes.as_slice())?;
    }
    tar.into_inner()
}

/// The files of an archive, and what is wrong with it. A broken archive gives the files before the break.
pub(super) fn read(bytes: &[u8], faults: &mut Vec<Fault>) -> Files {
    let mut rest = bytes;
    let mut unpacked = Vec::new();
    let mut gzip = GzDecoder::new(&mut rest);
    let gzip_is_ours =
        write(&Files::new()).is_ok_and(|ours| bytes.get(..GZIP_HEADER) == ours.get(..GZIP_HEADER));
    if let Err(error) = gzip.by_ref().take(BYTES_MAX + 1).read_to_end(&mut unpacked) {
        faults.push(Fault::Broken(error.to_string()));
    }
    drop(gzip);
    if unpacked.len() as u64 > BYTES_MAX {
        faults.push(Fault::TooLarge);
        return Files::new();
    }
    let files = entries(&unpacked, faults);
    // The same files give the same archive; where they do not, there is something that is in no file.
    let same = tar(&files).is_ok_and(|again| again == unpacked);
    if faults.is_empty() && !(same && gzip_is_ours && rest.is_empty()) {
        faults.push(Fault::Hidden);
    }
    files
}

fn entries(unpacked: &[u8], faults: &mut Vec<Fault>) -> Files {
    let mut files = Files::new();
    let mut archive = tar::Archive::new(unpacked);
    let entries = match archive.entries() {
        Ok(entries) => entries,
        Err(error) => {
            faults.push(Fault::Broken(error.to_string()));
            return files;
        }
    };
    for entry in entries.take(FILES_MAX) {
        let mut entry = match entry {
            Ok(entry) => entry,
            Err(error) => {
                faults.push(Fault::Broken(error.to_string()));
                break;
            }
        };
        let path = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
        let mut bytes = Vec::new();
        if !entry.header().entry_type().is_file() {
            faults.push(Fault::NotAFile(path));
        } else if let Err(error) = entry.read_to_end(&mut bytes) {
            faults.push(Fault::Broken(format!("`{path}`: {error}")));
        } else if files.insert(path.clone(), bytes).is_some() {
            faults.push(Fault::Twice(path));
        }
    }
    files
}
