//! Which packages an image is made of, by version and digest.

use std::path::Path;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::Context as _;
use serde::{Deserialize, Serialize};

use crate::debian::{self, Apt};
use crate::profile::Profile;

/// The lock.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Lock {
    /// When it was made, in seconds since 1970. Images made from it carry it as the time before which no clock is right.
    pub(crate) epoch: u64,
    /// The packages, by part and name.
    pub(crate) package: Vec<Package>,
}

/// A package.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Package {
    /// What it is for: `kernel`, `uki`, `gpu`.
    pub(crate) part: String,
    /// Its name.
    pub(crate) name: String,
    /// Its version.
    pub(crate) version: String,
    /// The suite that had it.
    pub(crate) suite: String,
    /// Where it is on a mirror.
    pub(crate) path: String,
    /// Its size in bytes.
    pub(crate) size: u64,
    /// SHA-256, in hexadecimal.
    pub(crate) sha256: String,
}

impl Lock {
    /// The given one, or that of this release.
    pub(crate) fn read(path: Option<&Path>) -> anyhow::Result<Self> {
        let text = match path {
            None => include_str!("../lock/software.toml").to_owned(),
            Some(path) => {
                std::fs::read_to_string(path).with_context(|| format!("reading `{}`", path.display()))?
            }
        };
        toml::from_str(&text).context("the lock is not understood: make it anew with `images lock`")
    }

    /// The newest packages that the mirror has for a profile.
    pub(crate) fn resolve(profile: &Profile, apt: &Apt) -> anyhow::Result<Self> {
        let mut package = Vec::new();
        for (part, wanted) in &profile.packages {
            let closure =
                apt.closure(wanted).with_context(|| format!("resolving the packages of `{part}`"))?;
            for (name, version, suite) in closure.into_iter().filter(|(name, ..)| belongs(part, name, wanted))
            {
                let (path, size, sha256) = apt.locate(&name, &version)?;
                package.push(Package { part: part.clone(), name, version, suite, path, size, sha256 });
            }
        }
        package.sort_by(|a, b| (&a.part, &a.name).cmp(&(&b.part, &b.name)));
        let epoch =
            SystemTime::now().duration_since(UNIX_EPOCH).context("the clock is before 1970")?.as_secs();
        Ok(Self { epoch, package })
    }

    /// The packages of a part.
    pub(crate) fn part(&self, part: &str) -> Vec<&Package> {
        self.package.iter().filter(|package| package.part == part).collect()
    }

    /// A root with the packages of a part.
    pub(crate) fn root(&self, part: &str, mirror: &debian::Mirror) -> anyhow::Result<std::path::PathBuf> {
        debian::root(mirror, &self.part(part)).with_context(|| format!("unpacking the packages of `{part}`"))
    }
}

/// Kernel and boot stub are taken without what they would need on an installed system.
fn belongs(part: &str, name: &str, wanted: &[String]) -> bool {
    match part {
        "kernel" => name.starts_with("linux-image-") && !wanted.iter().any(|package| package == name),
        "uki" => wanted.iter().any(|package| package == name),
        _ => true,
    }
}
