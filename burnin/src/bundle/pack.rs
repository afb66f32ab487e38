//! From a run's folder to a bundle.

use std::path::{Path, PathBuf};

use jiff::{SignedDuration, Timestamp};
use report::Report;
use report::render::{Format, render};

use super::archive::{self, Files};
use super::{
    CERTIFICATE, CONTEXT, Certificate, MANIFEST, Manifest, Packed, REPORT, SCHEMA, SIGNATURE, SecretKey,
};
use super::{redact, sha256};
use crate::journal::REPORT_FILE;

/// Evidence beside the report, in all.
const EVIDENCE_BYTES_MAX: u64 = 512 << 20;

/// How a bundle is made.
#[derive(Debug)]
pub struct Packing<'a> {
    /// Who signs.
    pub key: &'a SecretKey,
    /// Replace serial numbers, addresses and names?
    pub redact: bool,
    /// How long a certificate holds.
    pub valid: SignedDuration,
    /// When it is made.
    pub now: Timestamp,
}

/// Why there is no bundle.
#[derive(Debug, thiserror::Error)]
pub enum PackError {
    /// A file cannot be read.
    #[error("reading `{}`", path.display())]
    Read {
        /// Its path.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The report cannot be read.
    #[error("`{}` is no report that can be packed", path.display())]
    Report {
        /// Its path.
        path: PathBuf,
        /// Why.
        #[source]
        source: report::document::ReadReportError,
    },
    /// There is too much of it.
    #[error("the files beside the report have more than {} MiB: leave out what is no evidence", EVIDENCE_BYTES_MAX >> 20)]
    TooLarge,
    /// It cannot be redacted.
    #[error(transparent)]
    Redact(#[from] redact::RedactError),
    /// The archive cannot be made.
    #[error("packing the files")]
    Archive(#[source] std::io::Error),
}

/// The bundle of a run's folder, and the certificate that is in it, or why there is none.
pub fn pack(
    folder: &Path,
    packing: &Packing<'_>,
) -> Result<(Vec<u8>, Result<Certificate, String>), PackError> {
    let path = folder.join(REPORT_FILE);
    let mut json = std::fs::read(&path).map_err(|source| PackError::Read { path: path.clone(), source })?;
    let mut report = Report::from_json(&json).map_err(|source| PackError::Report { path, source })?;
    if packing.redact {
        report = redact::redact(&report, &packing.key.for_hashes())?;
        json = serde_json::to_vec_pretty(&report).unwrap_or_default();
        json.push(b'\n');
    }
    let mut files = Files::new();
    let mut names = Vec::new();
    if !packing.redact {
        // Nobody knows what they hold, so that they cannot be redacted.
        evidence(folder, &mut files, &mut names)?;
    }
    files.insert("report.html".to_owned(), render(&report, Format::Html).into_bytes());
    let certificate = Certificate::of(&report, &json, packing.now, packing.valid);
    if let Ok(certificate) = &certificate {
        let text = serde_json::to_vec_pretty(certificate).unwrap_or_default();
        files.insert(CERTIFICATE.to_owned(), text);
        files.insert("certificate.txt".to_owned(), certificate.text().into_bytes());
    }
    files.insert(REPORT.to_owned(), json);
    let manifest = manifest(&report, &files, &names, packing);
    let manifest = serde_json::to_vec_pretty(&manifest).unwrap_or_default();
    let signature = packing.key.sign(&[CONTEXT, &manifest].concat());
    files.insert(MANIFEST.to_owned(), manifest);
    files.insert(SIGNATURE.to_owned(), (signature + "\n").into_bytes());
    let bytes = archive::write(&files).map_err(PackError::Archive)?;
    Ok((bytes, certificate))
}

fn manifest(report: &Report, files: &Files, names: &[(String, String)], packing: &Packing<'_>) -> Manifest {
    let packed = files.iter().map(|(path, bytes)| Packed {
        path: path.clone(),
        sha256: sha256(bytes),
        bytes: bytes.len() as u64,
        name: names.iter().find(|(packed, _)| packed == path).map(|(_, name)| name.clone()),
    });
    Manifest {
        schema: SCHEMA.to_owned(),
        created_at: packing.now,
        run_id: report.run_id.clone(),
        public_key: packing.key.public().to_string(),
        redacted: packing.redact,
        files: packed.collect(),
    }
}

/// Every plain file of the folder but what the bundle makes itself, by the hash of its content.
fn evidence(folder: &Path, files: &mut Files, names: &mut Vec<(String, String)>) -> Result<(), PackError> {
    let failed = |path: &Path, source| PackError::Read { path: path.to_owned(), source };
    let mut all = 0;
    let mut paths = Vec::new();
    for entry in std::fs::read_dir(folder).map_err(|source| failed(folder, source))? {
        let entry = entry.map_err(|source| failed(folder, source))?;
        // Neither links, which could lead anywhere, nor folders.
        if entry.file_type().is_ok_and(|kind| kind.is_file()) {
            paths.push(entry.path());
        }
    }
    paths.sort();
    for path in paths {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let ours = matches!(name.as_str(), "report.json" | "report.html") || name.ends_with(".assay");
        if ours {
            continue;
        }
        all += std::fs::metadata(&path).map_err(|source| failed(&path, source))?.len();
        if all > EVIDENCE_BYTES_MAX {
            return Err(PackError::TooLarge);
        }
        let bytes = std::fs::read(&path).map_err(|source| failed(&path, source))?;
        let packed = format!("evidence/{}", sha256(&bytes));
        names.push((packed.clone(), name));
        files.insert(packed, bytes);
    }
    Ok(())
}
