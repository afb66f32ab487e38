//! `VK_LAYER_ASSAY_fault` below a program: what goes wrong in its devices, and the proof that it did.

use std::path::{Path, PathBuf};
use std::process::Command;

use fault_layer::{LAYER_NAME, LOG_VARIABLE, PLAN_VARIABLE, manifest};

use crate::program;

/// The record of what arrived.
#[derive(Clone, Debug)]
pub struct Arrivals(PathBuf);

impl Arrivals {
    /// One line of JSON each, in the order in which they came.
    pub fn lines(&self) -> Vec<String> {
        let text = std::fs::read_to_string(&self.0).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

/// Puts the layer below a program, with this plan; `folder` takes the manifest and the record.
///
/// # Panics
/// If the layer is not built, or the manifest cannot be written.
pub fn below(command: &mut Command, plan: &str, folder: &Path) -> Arrivals {
    let library = program("libfault_layer.so");
    let path = folder.join("fault-layer.json");
    let written = std::fs::write(&path, manifest(&library.display().to_string(), false));
    written.unwrap_or_else(|error| panic!("writing `{}`: {error}", path.display()));
    let arrivals = Arrivals(folder.join("arrivals"));
    command.env("VK_ADD_LAYER_PATH", folder).env("VK_INSTANCE_LAYERS", LAYER_NAME);
    command.env(PLAN_VARIABLE, plan).env(LOG_VARIABLE, &arrivals.0);
    arrivals
}
