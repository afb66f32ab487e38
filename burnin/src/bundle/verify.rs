//! Is a bundle what its maker signed? Every fault is named; none ends the search for others.

use jiff::Timestamp;
use report::judge::judge_bytes;
use report::{Report, VerdictRecord};

use super::archive::{self, Files};
use super::sha256;
use super::{CERTIFICATE, CONTEXT, Certificate, MANIFEST, Manifest, PublicKey, REPORT, SCHEMA, SIGNATURE};

/// What was found of a bundle.
#[derive(Clone, Debug)]
pub struct Verified {
    /// What is wrong with it, in the order in which it was found.
    pub faults: Vec<Fault>,
    /// Its manifest, where it can be read.
    pub manifest: Option<Manifest>,
    /// Was the signature checked against a key that was given, and is it that key's?
    pub signer_known: bool,
    /// The verdict on its report, by this reader.
    pub judged: Option<VerdictRecord>,
    /// Its certificate, where there is one.
    pub certificate: Option<Certificate>,
}

/// Something that is wrong with a bundle.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Fault {
    /// The archive ends early or cannot be unpacked.
    #[error("the archive is broken or cut short: {0}")]
    Broken(String),
    /// It would unpack to too much.
    #[error("the archive unpacks to more than 1 GiB: this is no bundle")]
    TooLarge,
    /// There are bytes that are in no file.
    #[error("the archive was made anew or holds bytes that are in no file")]
    Hidden,
    /// A link, a folder or a device.
    #[error("`{0}` is no plain file")]
    NotAFile(String),
    /// One name, two files.
    #[error("`{0}` is there twice")]
    Twice(String),
    /// The manifest is not there.
    #[error("there is no manifest: this is no bundle")]
    NoManifest,
    /// The manifest cannot be read.
    #[error("the manifest cannot be read: {0}")]
    Manifest(String),
    /// There is no signature.
    #[error("the signature was taken away")]
    NoSignature,
    /// The signature does not fit.
    #[error("the manifest or its signature was altered: they do not fit each other")]
    Signature,
    /// Another key signed.
    #[error("another key signed it: {found}, where {asked} was asked for")]
    OtherKey {
        /// The key in the manifest.
        found: String,
        /// The key that was given.
        asked: String,
    },
    /// A file is missing.
    #[error("`{0}` was taken away")]
    Missing(String),
    /// A file was altered.
    #[error("`{path}` was altered: its SHA-256 is {found}, the manifest says {expected}")]
    Altered {
        /// The file.
        path: String,
        /// As signed.
        expected: String,
        /// As it is.
        found: String,
    },
    /// A file that the manifest does not name.
    #[error("`{0}` was added: the manifest does not name it")]
    Stray(String),
    /// The report cannot be read.
    #[error("the report cannot be read: {0}")]
    Report(String),
    /// The manifest is about another burn-in.
    #[error("the manifest names run {manifest}, the report is of run {report}")]
    OtherRun {
        /// In the manifest.
        manifest: String,
        /// In the report.
        report: String,
    },
    /// The certificate is not that of the report.
    #[error("the certificate is not that of the report: {0}")]
    Certificate(String),
    /// The certificate is too old.
    #[error("the certificate expired at {0}: burn the node in again")]
    Expired(Timestamp),
}

/// Checks a bundle, against a key where one is given.
pub fn verify(bytes: &[u8], key: Option<&PublicKey>, now: Timestamp) -> Verified {
    let mut faults = Vec::new();
    let files = archive::read(bytes, &mut faults);
    let manifest = manifest(&files, &mut faults);
    let mut signer_known = false;
    if let Some((raw, manifest)) = &manifest {
        signer_known = signed(raw, manifest, &files, key, &mut faults);
        contents(manifest, &files, &mut faults);
    }
    let judged = files.get(REPORT).map(|json| judge_bytes(json));
    let certificate =
        files.get(CERTIFICATE).and_then(|json| match serde_json::from_slice::<Certificate>(json) {
            Ok(certificate) => Some(certificate),
            Err(error) => {
                faults.push(Fault::Certificate(error.to_string()));
                None
            }
        });
    if let Some(json) = files.get(REPORT) {
        of_report(json, manifest.as_ref().map(|(_, m)| m), certificate.as_ref(), &mut faults);
    }
    if let Some(certificate) = certificate.as_ref().filter(|certificate| !certificate.holds_at(now)) {
        faults.push(Fault::Expired(certificate.expires_at));
    }
    Verified { faults, manifest: manifest.map(|(_, manifest)| manifest), signer_known, judged, certificate }
}

fn manifest<'a>(files: &'a Files, faults: &mut Vec<Fault>) -> Option<(&'a [u8], Manifest)> {
    let Some(raw) = files.get(MANIFEST) else {
        faults.push(Fault::NoManifest);
        return None;
    };
    match serde_json::from_slice::<Manifest>(raw) {
        Ok(manifest) if manifest.schema == SCHEMA => Some((raw, manifest)),
        Ok(other) => {
            faults.push(Fault::Manifest(format!(
                "its schema is `{}`, this version reads `{SCHEMA}`",
                other.schema
            )));
            None
        }
        Err(error) => {
            faults.push(Fault::Manifest(error.to_string()));
            None
        }
    }
}

/// Is it signed by the key that was given? Without one only that it fits the key that it names.
fn signed(
    raw: &[u8],
    manifest: &Manifest,
    files: &Files,
    key: Option<&PublicKey>,
    faults: &mut Vec<Fault>,
) -> bool {
    let Some(signature) = files.get(SIGNATURE) else {
        faults.push(Fault::NoSignature);
        return false;
    };
    let signature = String::from_utf8_lossy(signature);
    let named = PublicKey::from_hex(&manifest.public_key);
    let fits = named.is_some_and(|named| named.signed(&[CONTEXT, raw].concat(), &signature));
    if !fits {
        faults.push(Fault::Signature);
    }
    match key {
        Some(key) if named.as_ref() != Some(key) => {
            faults.push(Fault::OtherKey { found: manifest.public_key.clone(), asked: key.to_string() });
            false
        }
        Some(_) => fits,
        None => false,
    }
}

fn contents(manifest: &Manifest, files: &Files, faults: &mut Vec<Fault>) {
    for packed in &manifest.files {
        let Some(bytes) = files.get(&packed.path) else {
            faults.push(Fault::Missing(packed.path.clone()));
            continue;
        };
        let found = sha256(bytes);
        if found != packed.sha256 || bytes.len() as u64 != packed.bytes {
            faults.push(Fault::Altered { path: packed.path.clone(), expected: packed.sha256.clone(), found });
        }
    }
    let named = |path: &&String| {
        matches!(path.as_str(), MANIFEST | SIGNATURE)
            || manifest.files.iter().any(|packed| packed.path == **path)
    };
    faults.extend(files.keys().filter(|path| !named(path)).map(|path| Fault::Stray(path.clone())));
    if !files.contains_key(REPORT) && !manifest.files.iter().any(|packed| packed.path == REPORT) {
        faults.push(Fault::Missing(REPORT.to_owned()));
    }
}

fn of_report(
    json: &[u8],
    manifest: Option<&Manifest>,
    certificate: Option<&Certificate>,
    faults: &mut Vec<Fault>,
) {
    let report = match Report::from_json(json) {
        Ok(report) => report,
        Err(error) => return faults.push(Fault::Report(error.to_string())),
    };
    if let Some(manifest) = manifest.filter(|manifest| manifest.run_id != report.run_id) {
        faults.push(Fault::OtherRun { manifest: manifest.run_id.clone(), report: report.run_id.clone() });
    }
    let Some(certificate) = certificate else { return };
    // What it must say follows from the report.
    let valid = certificate.expires_at.duration_since(certificate.issued_at);
    match Certificate::of(&report, json, certificate.issued_at, valid) {
        Ok(ours) if ours == *certificate => {}
        Ok(_) => faults.push(Fault::Certificate("it says something else than the report".to_owned())),
        Err(why) => faults.push(Fault::Certificate(why)),
    }
}
