//! `burnin bundle` and `burnin verify`: one signed file to hand over, and whether it is still what was signed.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use burnin::bundle::{Packing, PublicKey, SecretKey, Verified, pack as pack_folder, verify as verify_bytes};
use jiff::{SignedDuration, Timestamp};
use report::text::clean;

use crate::{NoReport, print};

/// It is not what was signed.
const ALTERED: u8 = 1;
/// Nobody said whose signature it should be.
const SIGNER_UNKNOWN: u8 = 4;
/// A bundle's bytes at most.
const BYTES_MAX: u64 = 1 << 30;

/// What is to be packed.
#[derive(Debug, clap::Args)]
pub(crate) struct BundleArguments {
    /// The folder of a run
    folder: PathBuf,
    /// The file to make, usually *.assay
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// The secret Ed25519 key: a node's own, or one that `openssl genpkey -algorithm ed25519` made
    #[arg(long, value_name = "FILE")]
    key: PathBuf,
    /// For how many days a certificate holds
    #[arg(long, default_value_t = 90, value_parser = clap::value_parser!(u16).range(1..=3650))]
    days: u16,
    /// Replace serial numbers, addresses, UUIDs and host names by keyed hashes
    #[arg(long)]
    redact: bool,
}

/// What is to be checked.
#[derive(Debug, clap::Args)]
pub(crate) struct VerifyArguments {
    /// The bundle
    bundle: PathBuf,
    /// The public key that must have signed it
    #[arg(long, value_name = "FILE")]
    key: Option<PathBuf>,
    /// Is this machine the one that the certificate is about?
    #[arg(long)]
    here: bool,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

pub(crate) fn pack(arguments: &BundleArguments) -> Result<ExitCode> {
    let key = SecretKey::load(&arguments.key)?;
    let valid = SignedDuration::from_hours(24 * i64::from(arguments.days));
    let packing = Packing { key: &key, redact: arguments.redact, valid, now: Timestamp::now() };
    let (bytes, certificate) = pack_folder(&arguments.folder, &packing)?;
    let out = &arguments.out;
    std::fs::write(out, &bytes).with_context(|| format!("writing `{}`", out.display()))?;
    let certificate = match &certificate {
        Ok(certificate) => format!("certificate until {}", certificate.expires_at),
        Err(why) => format!("no certificate: {why}"),
    };
    print(&format!("{}: {} bytes, signed by {}\n{certificate}", out.display(), bytes.len(), key.public()))?;
    Ok(ExitCode::SUCCESS)
}

pub(crate) fn verify(arguments: &VerifyArguments) -> Result<ExitCode> {
    let key = arguments.key.as_deref().map(PublicKey::load).transpose()?;
    let verified = verify_bytes(&read(&arguments.bundle)?, key.as_ref(), Timestamp::now());
    let elsewhere = match (&verified.certificate, arguments.here) {
        (Some(certificate), true) => certificate.differs_from(&discover::collect(&discover::Root::machine())),
        (None, true) => vec!["there is no certificate that could be held against this machine".to_owned()],
        (_, false) => Vec::new(),
    };
    print(&if arguments.json { json(&verified, &elsewhere)? } else { text(&verified, &elsewhere) })?;
    Ok(if !verified.faults.is_empty() || !elsewhere.is_empty() {
        ExitCode::from(ALTERED)
    } else if !verified.signer_known {
        ExitCode::from(SIGNER_UNKNOWN)
    } else {
        ExitCode::SUCCESS
    })
}

fn read(path: &Path) -> Result<Vec<u8>> {
    let failed = |source| NoReport { path: path.to_owned(), source };
    let size = std::fs::metadata(path).map_err(failed)?.len();
    if size > BYTES_MAX {
        return Err(failed(std::io::Error::other(format!("{size} bytes are no bundle"))).into());
    }
    Ok(std::fs::read(path).map_err(failed)?)
}

fn json(verified: &Verified, elsewhere: &[String]) -> Result<String> {
    let faults: Vec<_> = verified.faults.iter().map(ToString::to_string).collect();
    Ok(serde_json::to_string_pretty(&serde_json::json!({
        "schema": "assay.verified/1",
        "intact": verified.faults.is_empty(),
        "signer_known": verified.signer_known,
        "faults": faults,
        "not_this_machine": elsewhere,
        "manifest": verified.manifest,
        "verdict": verified.judged,
        "certificate": verified.certificate,
    }))?)
}

fn text(verified: &Verified, elsewhere: &[String]) -> String {
    let mut text = match (verified.faults.is_empty() && elsewhere.is_empty(), verified.signer_known) {
        (false, _) => "NOT ACCEPTED".to_owned(),
        (true, true) => "INTACT, signed by the key that was given".to_owned(),
        (true, false) => "INTACT, but whose key signed it was not checked: name one with --key".to_owned(),
    };
    for fault in &verified.faults {
        let _ = write!(text, "\n  {}", clean(&fault.to_string()));
    }
    for difference in elsewhere {
        let _ = write!(text, "\n  not the machine that was accepted: {}", clean(difference));
    }
    if let Some(manifest) = &verified.manifest {
        let _ = write!(
            text,
            "\n  signer {}\n  run {}, {} files",
            clean(&manifest.public_key),
            clean(&manifest.run_id),
            manifest.files.len()
        );
        text += if manifest.redacted { ", redacted" } else { "" };
    }
    if let Some(judged) = &verified.judged {
        let why = judged
            .findings
            .first()
            .map_or_else(String::new, |finding| format!(": {}", clean(&finding.reason.detail)));
        let _ = write!(text, "\n  verdict {}{why}", judged.verdict);
    }
    match &verified.certificate {
        Some(certificate) => {
            let _ = write!(
                text,
                "\n  certificate until {}, bound to {} parts",
                certificate.expires_at,
                certificate.bound_to.len()
            );
        }
        None => text += "\n  no certificate",
    }
    text
}
