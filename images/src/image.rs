//! A whole image: kernel, layers, unified kernel image, iPXE script, manifest, bill of materials.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, ensure};
use serde::{Deserialize, Serialize};
use serde_json::json;
use zstd::bulk::Compressor;
use zstd::zstd_safe::CParameter;

use crate::cpio::{self, File, Files, Kind};
use crate::debian::Mirror;
use crate::layer::{self, Input};
use crate::lock::Lock;
use crate::profile::{Name, Profile};
use crate::{manifest, modules, sbom, uki};

/// Name and version of the manifest's format.
pub(crate) const SCHEMA: &str = "assay.image/1";
const LIBRARIES: &str = "usr/lib/x86_64-linux-gnu";

/// What to build.
#[derive(clap::Args, Debug)]
pub(crate) struct Request {
    /// What the image is for.
    #[arg(long)]
    profile: Name,
    /// Folder for the image.
    #[arg(long, value_name = "DIR")]
    out: PathBuf,
    /// The static `node-init`.
    #[arg(long, value_name = "FILE")]
    init: PathBuf,
    /// The program that burns in.
    #[arg(long, value_name = "FILE")]
    burnin: PathBuf,
    /// The site's CA certificate (PEM), for a site layer.
    #[arg(long, value_name = "FILE")]
    ca: Option<PathBuf>,
    /// A setting for the site layer.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// What the kernel's command line begins with.
    #[arg(long, default_value = "console=tty0 console=ttyS0,115200 panic=10")]
    command_line: String,
    /// How hard to compress: 3 is fast, 19 is small.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(i32).range(1..=19))]
    level: i32,
    /// Another lock.
    #[arg(long, value_name = "FILE")]
    lock: Option<PathBuf>,
    /// Where packages come from; this machine's own mirror unless given.
    #[arg(long, value_name = "URL")]
    mirror: Option<String>,
}

/// What is in an image's folder.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Manifest {
    /// [`SCHEMA`].
    pub(crate) schema: String,
    /// What the image is for.
    pub(crate) profile: String,
    /// The kernel's release.
    pub(crate) kernel_release: String,
    /// Seconds since 1970: the lock's.
    pub(crate) build_epoch: u64,
    /// Every file but this one.
    pub(crate) files: Vec<Artefact>,
}

/// A file of an image's folder.
#[derive(Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Artefact {
    /// Its name.
    pub(crate) name: String,
    /// Its size.
    pub(crate) size_bytes: u64,
    /// SHA-256, in hexadecimal.
    pub(crate) sha256: String,
}

impl Manifest {
    /// Reads the manifest in an image's folder.
    pub(crate) fn read(dir: &Path) -> anyhow::Result<Self> {
        let path = dir.join(manifest::FILE_NAME);
        let said: Self = serde_json::from_slice(&read(&path)?)
            .with_context(|| format!("reading `{}`: is this the folder of an image?", path.display()))?;
        ensure!(
            said.schema == SCHEMA,
            "the manifest has schema `{}`, this version reads `{SCHEMA}`",
            said.schema
        );
        for file in &said.files {
            let plain = Path::new(&file.name).file_name().is_some_and(|name| name == file.name.as_str());
            ensure!(plain, "the manifest names `{}`, which is no file beside it", file.name);
        }
        Ok(said)
    }
}

/// What differs between an image and its manifest, one sentence each.
pub(crate) fn verify(dir: &Path) -> anyhow::Result<Vec<String>> {
    let mut differences = Vec::new();
    for said in Manifest::read(dir)?.files {
        let name = &said.name;
        match read(&dir.join(name)) {
            Err(error) => differences.push(format!("{error:#}")),
            Ok(bytes) => {
                let (size, found) = (bytes.len() as u64, manifest::digest(&bytes));
                if (size, &found) != (said.size_bytes, &said.sha256) {
                    differences.push(format!(
                        "`{name}` has {size} bytes with digest {found}, the manifest says {} with {}",
                        said.size_bytes, said.sha256
                    ));
                }
            }
        }
    }
    Ok(differences)
}

/// Builds it.
pub(crate) fn build(request: &Request) -> anyhow::Result<Manifest> {
    let profile = Profile::load(request.profile)?;
    let lock = Lock::read(request.lock.as_deref())?;
    let mirror = Mirror::find(request.mirror.as_deref())?;
    let (kernel_root, gpu_root) = (lock.root("kernel", &mirror)?, lock.root("gpu", &mirror)?);
    let release = modules::release(&kernel_root)?;
    let mut init = init_files(request)?;
    init.extend(modules::gather(&kernel_root, &release, &profile.modules)?);
    let mut gpu = gpu_files(request, &profile, &gpu_root)?;
    let name = format!("{:?}", request.profile).to_lowercase();
    // The GPU layer is unpacked behind the init layer and replaces its description: it describes both.
    let all: Files = init.iter().chain(&gpu).map(|(path, file)| (path.clone(), file.clone())).collect();
    init.insert("etc/assay/image.json".into(), describe(&lock, &release, &name, &init)?);
    gpu.insert("etc/assay/image.json".into(), describe(&lock, &release, &name, &all)?);

    let vmlinuz = read(&kernel_root.join(format!("boot/vmlinuz-{release}")))?;
    let mut packages = sbom::used(&gpu_root, &lock.part("gpu"), &gpu);
    packages.extend(lock.part("kernel"));
    packages.extend(lock.part("uki"));
    let mut layers = vec![("init", compress(&init, request.level)?), ("gpu", compress(&gpu, request.level)?)];
    if let Some(site) = site_files(request)? {
        layers.push(("site", compress(&site, request.level)?));
    }
    budget(&profile, &vmlinuz, &layers)?;
    let stub = read(&lock.root("uki", &mirror)?.join("usr/lib/systemd/boot/efi/linuxx64.efi.stub"))?;
    let initrd: Vec<u8> = layers.iter().flat_map(|(_, bytes)| bytes.iter().copied()).collect();
    let osrel = format!("ID=assay\nNAME=Assay\nVERSION_ID={}\n", env!("CARGO_PKG_VERSION"));
    let sections: [(&str, &[u8]); 5] = [
        (".osrel", osrel.as_bytes()),
        (".cmdline", request.command_line.as_bytes()),
        (".uname", release.as_bytes()),
        (".initrd", &initrd),
        (".linux", &vmlinuz),
    ];
    let efi = uki::assemble(&stub, &sections).context("assembling the unified kernel image")?;
    let digest = manifest::digest(&efi);
    let created = utc(lock.epoch)?;
    let bill =
        serde_json::to_vec_pretty(&sbom::document(&format!("assay-{name}"), &digest, &created, &packages))?;
    let script = script(&request.command_line, &layers.iter().map(|(name, _)| *name).collect::<Vec<_>>());
    let mut files = vec![("vmlinuz".to_owned(), vmlinuz), ("node.efi".to_owned(), efi)];
    files.push(("boot.ipxe".to_owned(), script.into_bytes()));
    files.push(("sbom.spdx.json".to_owned(), bill));
    files.extend(layers.into_iter().map(|(name, bytes)| (format!("{name}.cpio.zst"), bytes)));
    files.sort();
    save(
        request,
        Manifest {
            schema: SCHEMA.into(),
            profile: name,
            kernel_release: release,
            build_epoch: lock.epoch,
            files: vec![],
        },
        &files,
    )
}

fn save(request: &Request, mut manifest: Manifest, files: &[(String, Vec<u8>)]) -> anyhow::Result<Manifest> {
    std::fs::create_dir_all(&request.out).with_context(|| format!("creating `{}`", request.out.display()))?;
    for (name, bytes) in files {
        let sha256 = manifest::digest(bytes);
        manifest.files.push(Artefact { name: name.clone(), size_bytes: bytes.len() as u64, sha256 });
        let path = request.out.join(name);
        std::fs::write(&path, bytes).with_context(|| format!("writing `{}`", path.display()))?;
    }
    let mut json = serde_json::to_vec_pretty(&manifest)?;
    json.push(b'\n');
    let path = request.out.join(manifest::FILE_NAME);
    std::fs::write(&path, json).with_context(|| format!("writing `{}`", path.display()))?;
    Ok(manifest)
}

fn read(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path).with_context(|| format!("reading `{}`", path.display()))
}

/// `node-init` under both its names, the links of a merged `/usr`, and the nodes that exist before `/dev` is mounted.
fn init_files(request: &Request) -> anyhow::Result<Files> {
    let program = layer::load(&request.init)?;
    let needs = crate::elf::needs(&program.content)
        .with_context(|| format!("reading `{}`", request.init.display()))?;
    ensure!(
        needs.is_none_or(|needs| needs.loader.is_none() && needs.libraries.is_empty()),
        "`{}` needs shared libraries, which the init layer has not: build it with `-C target-feature=+crt-static`",
        request.init.display()
    );
    let files = [
        ("init", File { mode: 0o755, ..program }),
        ("usr/sbin/modprobe", File::link("/init")),
        ("bin", File::link("usr/bin")),
        ("sbin", File::link("usr/sbin")),
        ("lib", File::link("usr/lib")),
        ("lib64", File::link("usr/lib64")),
        ("dev/console", File::device(5, 1, 0o600)),
        ("dev/null", File::device(1, 3, 0o666)),
    ];
    Ok(files.map(|(path, file)| (path.to_owned(), file)).into())
}

/// `burnin`, the Vulkan loader, the drivers, and what they need.
fn gpu_files(request: &Request, profile: &Profile, root: &Path) -> anyhow::Result<Files> {
    let mut inputs = vec![Input::new(&request.burnin, "usr/bin/burnin")];
    let library = |name: &str| Input::new(root.join(LIBRARIES).join(name), format!("{LIBRARIES}/{name}"));
    inputs.push(library("libvulkan.so.1"));
    for driver in &profile.vulkan_drivers {
        inputs.push(library(&format!("libvulkan_{driver}.so")));
    }
    let mut files: Files =
        layer::gather(&inputs, root)?.into_iter().map(|(path, file)| (merged(path), file)).collect();
    for driver in &profile.vulkan_drivers {
        let path = root.join(format!("usr/share/vulkan/icd.d/{driver}_icd.json"));
        let mut icd: serde_json::Value =
            serde_json::from_slice(&read(&path)?).with_context(|| format!("reading `{}`", path.display()))?;
        icd["ICD"]["library_path"] = format!("/{LIBRARIES}/libvulkan_{driver}.so").into();
        let text = serde_json::to_vec_pretty(&icd)?;
        files.insert(format!("usr/share/vulkan/icd.d/{driver}_icd.json"), File::regular(0o644, text));
    }
    Ok(files)
}

/// A folder `lib` in a later layer would replace the link of an earlier one.
fn merged(path: String) -> String {
    let top = path.split('/').next().unwrap_or_default();
    if ["bin", "sbin", "lib", "lib64"].contains(&top) { format!("usr/{path}") } else { path }
}

fn site_files(request: &Request) -> anyhow::Result<Option<Files>> {
    if request.ca.is_none() && request.settings.is_empty() {
        return Ok(None);
    }
    let mut text = request.settings.join("\n");
    text.push('\n');
    let mut files = Files::from([("etc/assay/site.conf".to_owned(), File::regular(0o600, text))]);
    if let Some(ca) = &request.ca {
        files.insert("etc/assay/ca.pem".into(), File::regular(0o644, read(ca)?));
    }
    Ok(Some(files))
}

/// The description by which init sees whether all of the image was unpacked.
fn describe(lock: &Lock, release: &str, profile: &str, files: &Files) -> anyhow::Result<File> {
    let regular = files.iter().filter(|(_, file)| file.kind == Kind::Regular);
    let listed: Vec<_> = regular
        .filter(|(path, _)| *path != "etc/assay/image.json")
        .map(|(path, file)| json!({"path": path, "size": file.content.len(), "sha256": manifest::digest(&file.content)}))
        .collect();
    let image =
        json!({"build_epoch": lock.epoch, "kernel_release": release, "profile": profile, "files": listed});
    Ok(File::regular(0o644, serde_json::to_vec(&image)?))
}

/// Layers are put one behind the other; each starts at a multiple of four bytes. With a checksum, which Linux compares.
pub(crate) fn compress(files: &Files, level: i32) -> anyhow::Result<Vec<u8>> {
    let archive = cpio::write(files)?;
    let checked = Compressor::new(level).and_then(|mut compressor| {
        compressor.set_parameter(CParameter::ChecksumFlag(true))?;
        compressor.compress(&archive)
    });
    let mut packed = checked.context("compressing a layer")?;
    packed.resize(packed.len().next_multiple_of(4), 0);
    Ok(packed)
}

fn budget(profile: &Profile, vmlinuz: &[u8], layers: &[(&str, Vec<u8>)]) -> anyhow::Result<()> {
    let of = |names: &[&str]| -> u64 {
        let sizes =
            layers.iter().filter(|(name, _)| names.contains(name)).map(|(_, bytes)| bytes.len() as u64);
        vmlinuz.len() as u64 + sizes.sum::<u64>()
    };
    let limits = [
        ("kernel and init layer", of(&["init"]), profile.budget.init_bytes_max),
        ("kernel and all layers", of(&["init", "gpu", "site"]), profile.budget.all_bytes_max),
    ];
    for (what, size, max) in limits {
        ensure!(
            size <= max,
            "{what} have {size} bytes, the budget is {max}: take something out of the profile"
        );
    }
    Ok(())
}

/// An iPXE script that loads the files beside it. Linux started from UEFI by an iPXE of before 2023 asks for each layer by
/// the name on its command line; others get all layers, and the names mean nothing.
pub(crate) fn script(command_line: &str, layers: &[&str]) -> String {
    let names: String = layers.iter().map(|layer| format!("initrd={layer}.cpio.zst ")).collect();
    let mut text = format!("#!ipxe\nkernel vmlinuz {names}BOOTIF=${{netX/mac}} {command_line}\n");
    layers.iter().for_each(|layer| text += &format!("initrd {layer}.cpio.zst\n"));
    text + "boot\n"
}

/// Seconds since 1970 as `YYYY-MM-DDThh:mm:ssZ`; civil date after Howard Hinnant, "chrono-compatible low-level date algorithms".
fn utc(epoch: u64) -> anyhow::Result<String> {
    let (days, second) = (epoch / 86_400 + 719_468, epoch % 86_400);
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let (day, month) =
        (day_of_year - (153 * shifted + 2) / 5 + 1, if shifted < 10 { shifted + 3 } else { shifted - 9 });
    let year = year_of_era + era * 400 + u64::from(month <= 2);
    ensure!(year < 10_000, "the lock's epoch is no date");
    Ok(format!(
        "{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}Z",
        second / 3600,
        second / 60 % 60,
        second % 60
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_flipped_bit_of_a_layer_does_not_unpack() {
        let noise: Vec<u8> = (0..5000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 24) as u8).collect();
        let files = Files::from([("noise".to_owned(), File::regular(0o644, noise))]);
        let whole = compress(&files, 3).unwrap();
        let unpack = |packed: &[u8]| {
            let mut archive = Vec::new();
            zstd::Decoder::new(packed).and_then(|mut decoder| {
                decoder = decoder.single_frame();
                std::io::Read::read_to_end(&mut decoder, &mut archive)
            })?;
            std::io::Result::Ok(archive)
        };
        let archive = unpack(&whole).unwrap();
        // The last bytes fill up to a multiple of four.
        for at in 0..whole.len() - 4 {
            let mut harmed = whole.clone();
            harmed[at] ^= 1;
            assert!(unpack(&harmed).map_or(true, |found| found == archive), "byte {at}");
        }
    }

    #[test]
    fn a_flipped_byte_in_any_file_and_a_missing_file_are_named() {
        let dir = tempfile::tempdir().unwrap();
        let names = ["boot.ipxe", "init.cpio.zst", "node.efi", "vmlinuz"];
        let entry = |name: &str| Artefact {
            name: name.to_owned(),
            size_bytes: name.len() as u64,
            sha256: manifest::digest(name.as_bytes()),
        };
        let said = Manifest {
            schema: SCHEMA.into(),
            profile: "software".into(),
            kernel_release: "6.12".into(),
            build_epoch: 0,
            files: names.map(entry).into(),
        };
        names.iter().for_each(|name| std::fs::write(dir.path().join(name), name).unwrap());
        std::fs::write(dir.path().join(manifest::FILE_NAME), serde_json::to_vec(&said).unwrap()).unwrap();
        assert_eq!(verify(dir.path()).unwrap(), Vec::<String>::new());
        for name in names {
            let mut bytes = name.as_bytes().to_vec();
            bytes[2] ^= 1;
            std::fs::write(dir.path().join(name), bytes).unwrap();
            let found = verify(dir.path()).unwrap();
            assert!(found.len() == 1 && found[0].starts_with(&format!("`{name}` has ")), "{found:?}");
            std::fs::write(dir.path().join(name), name).unwrap();
        }
        std::fs::remove_file(dir.path().join("vmlinuz")).unwrap();
        let found = verify(dir.path()).unwrap();
        assert!(found.len() == 1 && found[0].contains("vmlinuz"), "{found:?}");
    }

    #[test]
    fn times_are_those_of_the_calendar() {
        for (epoch, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_399, "2000-02-28T23:59:59Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (951_868_800, "2000-03-01T00:00:00Z"),
            (1_709_164_800, "2024-02-29T00:00:00Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
            (253_402_300_799, "9999-12-31T23:59:59Z"),
        ] {
            assert_eq!(utc(epoch).unwrap(), text);
        }
        assert!(utc(253_402_300_800).is_err());
    }

    #[test]
    fn a_size_beyond_the_budget_fails_and_names_what() {
        let mut profile = Profile::load(Name::Software).unwrap();
        let layers = [("init", vec![0; 10]), ("gpu", vec![0; 100])];
        profile.budget.init_bytes_max = 15;
        profile.budget.all_bytes_max = 115;
        budget(&profile, &[0; 5], &layers).unwrap();
        let error = budget(&profile, &[0; 6], &layers).unwrap_err().to_string();
        assert!(error.starts_with("kernel and init layer have 16 bytes, the budget is 15"), "{error}");
        profile.budget.init_bytes_max = 16;
        let error = budget(&profile, &[0; 6], &layers).unwrap_err().to_string();
        assert!(error.starts_with("kernel and all layers have 116 bytes, the budget is 115"), "{error}");
    }
}
