//! Vulkan drivers that go wrong, for the loader to find beside the real ones.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const SOURCE: &str = include_str!("driver.c");

/// Where Debian keeps the manifests of drivers.
const MANIFESTS: &str = "/usr/share/vulkan/icd.d";

/// The manifest of Mesa's software device.
///
/// # Panics
/// If it is not installed.
pub fn software() -> PathBuf {
    let found =
        std::fs::read_dir(MANIFESTS).into_iter().flatten().filter_map(Result::ok).map(|entry| entry.path());
    let is_software =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with("lvp_icd"));
    let mut found = found.filter(is_software);
    found.next().unwrap_or_else(|| panic!("no lvp_icd*.json in {MANIFESTS}: install mesa-vulkan-drivers"))
}

/// The program is shown these drivers, and no others.
pub fn only(command: &mut Command, manifests: &[PathBuf]) {
    let list = std::env::join_paths(manifests).unwrap_or_else(|error| panic!("{manifests:?}: {error}"));
    // The loader of Debian 12 knows both names, older ones the second.
    command.env("VK_DRIVER_FILES", &list).env("VK_ICD_FILENAMES", list);
}

/// What goes wrong when the loader first speaks to the driver.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Sickness {
    /// It aborts.
    Crash,
    /// It never answers.
    Hang,
    /// It takes all memory that it can get.
    Eat,
    /// It stops the first process of the machine, whose root it must be: only for machines of one's own.
    FreezeInit,
}

impl Sickness {
    fn macro_name(self) -> &'static str {
        match self {
            Self::Crash => "CRASH",
            Self::Hang => "HANG",
            Self::Eat => "EAT",
            Self::FreezeInit => "FREEZE",
        }
    }
}

/// A driver, built: the library, and the manifest by which the loader finds it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SickDriver {
    /// The shared library.
    pub library: PathBuf,
    /// The manifest, which names the library where it will be loaded from.
    pub manifest: PathBuf,
}

/// Builds a driver in `folder` that will be loaded from `loaded_from`, or from where it is built.
///
/// # Errors
/// If there is no C compiler (`cc`, which Rust links with), or it fails.
pub fn build(folder: &Path, sickness: Sickness, loaded_from: Option<&Path>) -> io::Result<SickDriver> {
    let driver = SickDriver { library: folder.join("driver.so"), manifest: folder.join("driver.json") };
    let source = folder.join("driver.c");
    std::fs::write(&source, SOURCE)?;
    let mut cc = Command::new("cc");
    // It names no library: what it calls is there in every process, and a layer of an image would take a libc along.
    cc.args(["-shared", "-nostdlib", "-fPIC", "-Wall", "-Werror"])
        .arg(format!("-D{}", sickness.macro_name()));
    cc.arg("-o").arg(&driver.library).arg(&source);
    let ended = cc.stdin(Stdio::null()).output()?;
    if !ended.status.success() {
        return Err(io::Error::other(format!("{cc:?}: {}", String::from_utf8_lossy(&ended.stderr))));
    }
    let manifest = serde_json::json!({
        "file_format_version": "1.0.0",
        "ICD": { "library_path": loaded_from.unwrap_or(&driver.library), "api_version": "1.3.0" },
    });
    std::fs::write(&driver.manifest, manifest.to_string())?;
    Ok(driver)
}
