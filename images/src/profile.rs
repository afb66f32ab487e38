//! Profiles: what an image is for, as data in `images/profiles`.

use std::collections::BTreeMap;

use anyhow::Context as _;
use clap::ValueEnum;
use serde::Deserialize;

/// The profiles there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Name {
    /// Any machine, with the software Vulkan device.
    Software,
}

/// What an image is made of.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Profile {
    /// Vulkan drivers, as Mesa names their files.
    pub(crate) vulkan_drivers: Vec<String>,
    /// Kernel modules; those that they need come along.
    pub(crate) modules: Vec<String>,
    /// Packages by part of the image.
    pub(crate) packages: BTreeMap<String, Vec<String>>,
    /// Sizes beyond which a build fails.
    pub(crate) budget: Budget,
}

/// Compressed sizes.
#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Budget {
    /// Kernel and init layer, in bytes.
    pub(crate) init_bytes_max: u64,
    /// Kernel and all layers, in bytes.
    pub(crate) all_bytes_max: u64,
}

impl Profile {
    /// By name.
    pub(crate) fn load(name: Name) -> anyhow::Result<Self> {
        let text = match name {
            Name::Software => include_str!("../profiles/software.toml"),
        };
        toml::from_str(text).context("reading the profile")
    }
}
