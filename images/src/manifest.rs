//! What is in a layer, file by file.

use std::path::Path;

use anyhow::Context as _;
use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::cpio::Files;

/// Name and version of the format.
pub(crate) const SCHEMA: &str = "assay.layer/1";
/// Name of the file.
pub(crate) const FILE_NAME: &str = "manifest.json";

/// What is in a layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    /// [`SCHEMA`].
    pub(crate) schema: String,
    /// Name of the layer.
    pub(crate) name: String,
    /// File name of the layer.
    pub(crate) layer: String,
    /// SHA-256 of the layer's bytes, in hexadecimal.
    pub(crate) layer_sha256: String,
    /// Its files, sorted by path.
    pub(crate) files: Vec<Entry>,
}

/// One file of a layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Entry {
    /// Where it is, without the leading slash.
    pub(crate) path: String,
    /// Permissions, octal.
    pub(crate) mode: String,
    /// Size.
    pub(crate) size_bytes: u64,
    /// SHA-256 of its content, in hexadecimal.
    pub(crate) sha256: String,
}

/// The schema of the manifest in a folder, whichever it is.
pub(crate) fn schema(dir: &Path) -> anyhow::Result<String> {
    #[derive(Deserialize)]
    struct Head {
        schema: String,
    }
    let path = dir.join(FILE_NAME);
    let bytes = std::fs::read(&path).with_context(|| format!("reading `{}`", path.display()))?;
    let head: Head =
        serde_json::from_slice(&bytes).with_context(|| format!("reading `{}`", path.display()))?;
    Ok(head.schema)
}

/// SHA-256 in hexadecimal.
pub(crate) fn digest(bytes: &[u8]) -> String {
    HEXLOWER.encode(&Sha256::digest(bytes))
}

/// The entries of these files.
pub(crate) fn entries(files: &Files) -> Vec<Entry> {
    let entry = |(path, file): (&String, &crate::cpio::File)| Entry {
        path: path.clone(),
        mode: format!("{:04o}", file.mode),
        size_bytes: file.content.len() as u64,
        sha256: digest(&file.content),
    };
    files.iter().map(entry).collect()
}

/// What differs between what a manifest says and what is there, one sentence each.
pub(crate) fn differences(said: &[Entry], found: &[Entry]) -> Vec<String> {
    let by_path = |list: &[Entry], path: &str| list.iter().find(|entry| entry.path == path).cloned();
    let mut differences = Vec::new();
    for said in said {
        let path = &said.path;
        let Some(found) = by_path(found, path) else {
            differences.push(format!("`/{path}` is missing from the layer"));
            continue;
        };
        if found.mode != said.mode {
            differences.push(format!("`/{path}` has mode {}, the manifest says {}", found.mode, said.mode));
        }
        if (found.size_bytes, &found.sha256) != (said.size_bytes, &said.sha256) {
            differences.push(format!(
                "`/{path}` has {} bytes with digest {}, the manifest says {} with {}",
                found.size_bytes, found.sha256, said.size_bytes, said.sha256
            ));
        }
    }
    let strays = found.iter().filter(|found| by_path(said, &found.path).is_none());
    differences.extend(strays.map(|stray| format!("`/{}` is not in the manifest", stray.path)));
    differences
}
