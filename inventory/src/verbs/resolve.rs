//! `inventory merge`, `split`, `replace`, `release`: what an operator decides where evidence does not suffice.

use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::Args;
use inventory::clock::SystemClock;
use inventory::files::DataDir;
use inventory::identity::{Evidence, Kind};
use inventory::store::{self, Resolution, Resolved};

use super::{Site, print};

/// What all of them ask for.
#[derive(Debug, Args)]
struct Why {
    /// Why, for those who read the audit later
    #[arg(long, value_name = "TEXT")]
    cause: String,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

/// Two records are of one machine: the first goes on with the key of the second, which ends
#[derive(Debug, Args)]
pub(crate) struct Merge {
    /// The record that goes on
    keep: String,
    /// The record that ends
    gone: String,
    #[command(flatten)]
    why: Why,
}

/// Take evidence off a node that is not of it
#[derive(Debug, Args)]
pub(crate) struct Split {
    /// The node
    node: String,
    /// What is not of it, for example board_serial=ABC123; may be repeated
    #[arg(long, value_name = "KIND=VALUE", required = true, value_parser = evidence)]
    evidence: Vec<Evidence>,
    #[command(flatten)]
    why: Why,
}

/// Another machine stands where a node stood, whose record ends
#[derive(Debug, Args)]
pub(crate) struct Replace {
    /// The record that ends
    old: String,
    /// The machine in its place
    new: String,
    #[command(flatten)]
    why: Why,
}

/// Let a node out of quarantine once its conflict is settled
#[derive(Debug, Args)]
pub(crate) struct Release {
    /// The node
    node: String,
    #[command(flatten)]
    why: Why,
}

fn evidence(text: &str) -> Result<Evidence, String> {
    let known = || Kind::ALL.iter().map(|kind| kind.as_str()).collect::<Vec<_>>().join(", ");
    let (kind, value) = text.split_once('=').ok_or("it has no `=`, as in board_serial=ABC123")?;
    let kind = Kind::parse(kind).ok_or_else(|| format!("the kinds are {}", known()))?;
    Ok(Evidence { kind, value: value.trim().to_lowercase(), vendor: None })
}

impl Merge {
    pub(crate) fn run(self, site: &Site) -> Result<ExitCode> {
        carry_out(site, Resolution::Merge { keep: self.keep, gone: self.gone }, &self.why)
    }
}

impl Split {
    pub(crate) fn run(self, site: &Site) -> Result<ExitCode> {
        carry_out(site, Resolution::Split { node: self.node, evidence: self.evidence }, &self.why)
    }
}

impl Replace {
    pub(crate) fn run(self, site: &Site) -> Result<ExitCode> {
        carry_out(site, Resolution::Replace { old: self.old, new: self.new }, &self.why)
    }
}

impl Release {
    pub(crate) fn run(self, site: &Site) -> Result<ExitCode> {
        carry_out(site, Resolution::Release { node: self.node }, &self.why)
    }
}

fn carry_out(site: &Site, resolution: Resolution, why: &Why) -> Result<ExitCode> {
    let weights = DataDir::at(&site.data).weights()?;
    // There must be an inventory already: deciding makes none.
    drop(site.view()?);
    let resolved =
        store::resolve(site.location(), &SystemClock, &resolution, ("operator", &why.cause), &weights)
            .with_context(|| resolution.to_string())?;
    print(why.json, &resolved, || text(&resolution, &resolved))?;
    Ok(ExitCode::SUCCESS)
}

fn text(resolution: &Resolution, resolved: &Resolved) -> String {
    let Resolved { node_id, state, revision } = resolved;
    match revision {
        None => format!("{node_id} is {state}: that had been decided before\n"),
        Some(revision) => {
            let next = match resolution {
                Resolution::Split { .. } => "",
                _ => ": it must enrol with a new token, `inventory token --node` makes one for it",
            };
            format!("{node_id} is {state} (revision {revision}){next}\n")
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn evidence_is_a_kind_and_a_value() {
        let parsed = evidence("board_serial= ABC=1").unwrap();
        assert_eq!((parsed.kind, parsed.value.as_str()), (Kind::BoardSerial, "abc=1"));
        assert!(evidence("hostname=a").unwrap_err().contains("tpm_ek"));
        assert!(evidence("board_serial").is_err());
    }
}
