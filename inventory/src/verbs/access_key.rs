//! `inventory access-key`: keys for people and their programs.

use std::io::{self, Write};
use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};
use inventory::access::Role;
use inventory::clock::SystemClock;
use inventory::store;
use jiff::SignedDuration;
use serde_json::json;

use super::{Site, print, show};

/// Make, list or revoke keys for people and their programs
#[derive(Debug, Args)]
pub(crate) struct AccessKey {
    #[command(subcommand)]
    what: What,
}

#[derive(Debug, Subcommand)]
enum What {
    /// Make a key; it is shown only now
    Create {
        /// What it gives: operator, reader or metrics
        #[arg(long, value_parser = role)]
        role: Role,
        /// What to call it, for example who holds it
        #[arg(long)]
        name: String,
        /// How long it can be used, for example 12h or 2160h; until it is revoked if absent
        #[arg(long)]
        ttl: Option<SignedDuration>,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// List keys, without secrets
    List {
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Take a key back, for good
    Revoke {
        /// Its id, as `inventory access-key list` shows it
        id: String,
        /// Why
        #[arg(long)]
        cause: String,
    },
}

fn role(word: &str) -> Result<Role, String> {
    let role = Role::parse(word).filter(|role| Role::OF_KEYS.contains(role));
    role.ok_or_else(|| "the roles are operator, reader, metrics".to_owned())
}

impl AccessKey {
    pub(crate) fn run(self, site: &Site) -> Result<ExitCode> {
        match self.what {
            What::Create { role, name, ttl, json } => {
                let created = store::create_key(site.create()?, &SystemClock, (role, &name), ttl)?;
                // The key alone on standard output, so that a script can take it.
                print(json, &created, || format!("{}\n", created.key))?;
                if !json {
                    let until = created
                        .expires_at
                        .map_or_else(|| "it is revoked".to_owned(), |at| format!("{at:.0}"));
                    writeln!(io::stderr(), "for {role} `{name}`, until {until}; shown only now")?;
                }
            }
            What::List { json } => {
                let keys = site.view()?.access_keys()?;
                print(json, &json!({ "access_keys": keys }), || show::access_keys(&keys))?;
            }
            What::Revoke { id, cause } => {
                store::revoke_key(site.location(), &SystemClock, &id, &cause)?;
                print(false, &(), || format!("revoked {id}\n"))?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
