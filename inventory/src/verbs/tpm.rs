//! `inventory tpm-roots` and `inventory tpm-keys`: whom the site lets vouch for TPMs.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use inventory::attest::read_roots;
use inventory::clock::SystemClock;
use inventory::store;
use serde_json::json;

use super::{Site, print};

/// Makers of TPMs that this site trusts, by their root certificates
#[derive(Debug, Args)]
pub(crate) struct TpmRoots {
    #[command(subcommand)]
    verb: RootsVerb,
}

#[derive(Debug, Subcommand)]
enum RootsVerb {
    /// Trust the certificates in a file (PEM or DER): roots, and the intermediates that TPMs do not carry
    Add {
        /// The file
        file: PathBuf,
    },
    /// List those that are trusted
    List {
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
}

impl TpmRoots {
    pub(crate) fn run(self, site: &Site) -> Result<ExitCode> {
        match self.verb {
            RootsVerb::Add { file } => {
                let name = file.display().to_string();
                let bytes = std::fs::read(&file).with_context(|| format!("reading `{name}`"))?;
                let roots = read_roots(&bytes).with_context(|| format!("using `{name}`"))?;
                let new = store::add_tpm_roots(site.location(), &SystemClock, &roots, &name)?;
                print(false, &(), || format!("{new} of {} certificates are new\n", roots.len()))?;
            }
            RootsVerb::List { json } => {
                let roots = store::tpm_roots(site.location())?;
                print(json, &json!({ "tpm_roots": roots }), || {
                    let line = |root: &store::TpmRoot| format!("{}  {}\n", root.sha256, root.source);
                    roots.iter().map(line).collect()
                })?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Endorsement keys of TPMs that this site trusts by themselves
#[derive(Debug, Args)]
pub(crate) struct TpmKeys {
    #[command(subcommand)]
    verb: KeysVerb,
}

#[derive(Debug, Subcommand)]
enum KeysVerb {
    /// Trust a TPM, in whatever node it is
    Add {
        /// SHA-256 of its endorsement key (SubjectPublicKeyInfo, DER), 64 hexadecimal digits
        sha256: String,
    },
    /// List those that are trusted
    List {
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
}

impl TpmKeys {
    pub(crate) fn run(self, site: &Site) -> Result<ExitCode> {
        match self.verb {
            KeysVerb::Add { sha256 } => {
                let sha256 = sha256.to_ascii_lowercase();
                if sha256.len() != 64 || !sha256.bytes().all(|b| b.is_ascii_hexdigit()) {
                    bail!("expected the SHA-256 of an endorsement key, 64 hexadecimal digits");
                }
                store::add_tpm_key(site.location(), &SystemClock, &sha256)?;
            }
            KeysVerb::List { json } => {
                let keys = store::tpm_keys(site.location())?;
                print(json, &json!({ "tpm_keys": keys }), || {
                    let node = |key: &store::TpmKey| key.node_id.clone().unwrap_or_else(|| "any node".to_owned());
                    keys.iter().map(|key| format!("{}  {}\n", key.ek_sha256, node(key))).collect()
                })?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
