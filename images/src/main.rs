//! `images`: builds the layers of the boot image, and serves them to machines that boot from the network.
//!
//! A *layer* is a compressed archive that Linux unpacks into its first file system (initramfs); several are put one
//! behind the other. Beside each stands a manifest that says what is in it. The same inputs give the same bytes, so that
//! two people who build a layer can compare digests.

mod cpio;
mod debian;
mod dnsmasq;
mod elf;
mod image;
mod layer;
mod lock;
mod manifest;
mod modules;
mod profile;
mod sbom;
mod serve;
mod uki;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};

/// Builds the layers of the boot image.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Subcommand)]
enum Verb {
    /// Builds an image: kernel, layers, unified kernel image, iPXE script, manifest, bill of materials.
    Build(image::Request),
    /// Writes a lock of the newest packages that the mirror has.
    Lock {
        /// What the image is for.
        #[arg(long)]
        profile: profile::Name,
        /// The lock.
        #[arg(long, value_name = "FILE")]
        out: PathBuf,
        /// Where packages come from; this machine's own mirror unless given.
        #[arg(long, value_name = "URL")]
        mirror: Option<String>,
    },
    /// Builds a layer of programs and the shared libraries that they need.
    Layer {
        /// Folder for the layer and its manifest.
        #[arg(long, value_name = "DIR")]
        out: PathBuf,
        /// Name of the layer.
        #[arg(long, default_value = "init")]
        name: String,
        /// Files, each with its path in the image (`/usr/bin/NAME` unless given).
        #[arg(value_name = "FILE[=PATH_IN_IMAGE]", required = true)]
        files: Vec<layer::Input>,
    },
    /// Serves an image to machines that boot from the network by iPXE, each with a token of its own.
    Serve(serve::Options),
    /// Prints a configuration of dnsmasq that sends machines to `serve`.
    Dnsmasq(dnsmasq::Wish),
    /// Compares an image or a layer with its manifest.
    Verify {
        /// Folder of the image or layer and its manifest.
        dir: PathBuf,
    },
}

fn main() -> ExitCode {
    match run(Arguments::parse().verb) {
        Ok(same) => ExitCode::from(u8::from(!same)),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "images: {error:#}");
            ExitCode::from(2)
        }
    }
}

/// Was all as it should be?
fn run(verb: Verb) -> anyhow::Result<bool> {
    let mut out = std::io::stdout().lock();
    match verb {
        Verb::Build(request) => {
            let manifest = image::build(&request).context("building the image")?;
            for file in &manifest.files {
                writeln!(out, "{}  {:>10}  {}", file.sha256, file.size_bytes, file.name)?;
            }
            Ok(true)
        }
        Verb::Lock { profile, out: path, mirror } => {
            let apt = debian::Apt::new(debian::Mirror::find(mirror.as_deref())?)?;
            let lock =
                lock::Lock::resolve(&profile::Profile::load(profile)?, &apt).context("making the lock")?;
            let text = toml::to_string(&lock).context("writing the lock")?;
            std::fs::write(&path, text).with_context(|| format!("writing `{}`", path.display()))?;
            writeln!(out, "{} packages in `{}`", lock.package.len(), path.display())?;
            Ok(true)
        }
        Verb::Layer { out: dir, name, files } => {
            let manifest = layer::build(&name, &files, &dir)
                .with_context(|| format!("building layer `{name}` in `{}`", dir.display()))?;
            for file in &manifest.files {
                writeln!(out, "{}  {:>10}  /{}", file.mode, file.size_bytes, file.path)?;
            }
            writeln!(out, "{}  {}", manifest.layer_sha256, dir.join(&manifest.layer).display())?;
            Ok(true)
        }
        Verb::Dnsmasq(wish) => {
            out.write_all(dnsmasq::configuration(&wish)?.as_bytes())?;
            Ok(true)
        }
        Verb::Serve(options) => {
            serve::run(options).context("serving the image")?;
            Ok(true)
        }
        Verb::Verify { dir } => {
            let verify = if manifest::schema(&dir)? == image::SCHEMA { image::verify } else { layer::verify };
            let differences = verify(&dir).with_context(|| format!("verifying `{}`", dir.display()))?;
            for difference in &differences {
                writeln!(out, "{difference}")?;
            }
            if differences.is_empty() {
                writeln!(out, "`{}` is what its manifest says", dir.display())?;
            }
            Ok(differences.is_empty())
        }
    }
}
