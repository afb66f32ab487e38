//! What the image says about itself, and whether all of it was unpacked as it was built: the kernel starts init all the
//! same when memory ran out in the middle of an image, or when a bit of it is wrong.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use data_encoding::HEXLOWER;
use serde::Deserialize;

use crate::system::System;

/// Where the image's description lies.
pub const FILE: &str = "/etc/assay/image.json";

/// The description.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize)]
pub struct Image {
    /// When the image was built, in seconds since 1970: no clock may be before it.
    pub build_epoch: u64,
    /// The kernel that its modules are for.
    #[serde(default)]
    pub kernel_release: String,
    /// Which hardware it is for.
    #[serde(default)]
    pub profile: String,
    /// What it holds.
    #[serde(default)]
    pub files: Vec<ImageFile>,
}

/// One file of the image.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct ImageFile {
    /// Its path, from the root.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// SHA-256 of its content, in hexadecimal digits. An image of before may not name it.
    pub sha256: Option<String>,
}

/// What is wrong with an image.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// No description.
    #[error("reading `{FILE}`: build the image anew")]
    Read(#[source] io::Error),
    /// Not the form.
    #[error("`{FILE}` is not understood: use images and node-init of one release")]
    Form(#[source] serde_json::Error),
    /// Files are not what was built. The first is named.
    #[error(
        "{count} of {all} files are missing, cut short or changed, the first is `{}` ({found}): give the machine more \
         memory, or build the image anew; where another machine boots it, suspect this one's memory", path.display()
    )]
    NotWhole {
        /// How many.
        count: usize,
        /// Of how many.
        all: usize,
        /// The first of them.
        path: PathBuf,
        /// What is there of it.
        found: String,
    },
    /// Its modules fit another kernel.
    #[error(
        "the image is for kernel {image}, this is {running}: boot the kernel that was built with the image"
    )]
    Kernel {
        /// The image's.
        image: String,
        /// The one that runs.
        running: String,
    },
}

impl Image {
    /// Reads it.
    pub fn read(system: &dyn System) -> Result<Self, ImageError> {
        let text = system.read(Path::new(FILE)).map_err(ImageError::Read)?;
        serde_json::from_slice(&text).map_err(ImageError::Form)
    }

    /// When it was built, since 1970.
    pub fn built(&self) -> Duration {
        Duration::from_secs(self.build_epoch)
    }

    /// Is every file there, as it was built, and is this the kernel?
    pub fn check(&self, system: &dyn System) -> Result<(), ImageError> {
        let mut broken = self.files.iter().filter_map(|file| {
            let path = Path::new("/").join(&file.path);
            let found = match file.find_fault(system, &path) {
                Ok(fault) => fault?,
                Err(error) => error.to_string(),
            };
            Some((path, found))
        });
        if let Some((path, found)) = broken.next() {
            return Err(ImageError::NotWhole {
                count: 1 + broken.count(),
                all: self.files.len(),
                path,
                found,
            });
        }
        let running = system.release().unwrap_or_default();
        if self.kernel_release.is_empty() || self.kernel_release == running {
            Ok(())
        } else {
            Err(ImageError::Kernel { image: self.kernel_release.clone(), running })
        }
    }
}

impl ImageFile {
    /// What is wrong with it, if anything. The size is cheap, so it goes first.
    fn find_fault(&self, system: &dyn System, path: &Path) -> io::Result<Option<String>> {
        let size = system.size(path)?;
        if size != self.size {
            return Ok(Some(format!("{size} of {} bytes", self.size)));
        }
        let Some(built) = &self.sha256 else { return Ok(None) };
        let found = HEXLOWER.encode(&system.sha256(path)?);
        Ok((found != *built).then(|| format!("its SHA-256 is {found}, it was built as {built}")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::recorder::Recorder;

    fn image() -> Image {
        let text = r#"{"build_epoch":1767225600,"kernel_release":"6.12.0","profile":"software","more":[1],
            "files":[{"path":"usr/bin/burnin","size":3,
             "sha256":"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"},{"path":"etc/assay/ca.pem","size":2}]}"#;
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn a_whole_image_is_fine_and_a_cut_one_is_not() {
        let machine = Recorder::machine();
        machine.put("/usr/bin/burnin", "abc");
        machine.put("/etc/assay/ca.pem", "ab");
        image().check(&machine).unwrap();
        machine.put("/etc/assay/ca.pem", "a");
        let error = image().check(&machine).unwrap_err();
        assert!(matches!(&error, ImageError::NotWhole { count: 1, all: 2, .. }), "{error}");
        assert!(error.to_string().contains("`/etc/assay/ca.pem` (1 of 2 bytes)"), "{error}");
    }

    #[test]
    fn one_wrong_bit_is_seen_where_the_size_is_right() {
        let machine = Recorder::machine();
        machine.put("/usr/bin/burnin", "abb");
        machine.put("/etc/assay/ca.pem", "ab");
        let error = image().check(&machine).unwrap_err();
        assert!(error.to_string().contains("1 of 2 files"), "{error}");
        assert!(error.to_string().contains("`/usr/bin/burnin` (its SHA-256 is "), "{error}");
    }

    #[test]
    fn modules_of_another_kernel_are_refused() {
        let machine = Recorder::machine();
        let image = Image { kernel_release: "6.1.0".to_owned(), files: Vec::new(), ..image() };
        assert!(matches!(image.check(&machine), Err(ImageError::Kernel { .. })));
    }
}
