//! Building a layer out of programs, and comparing one with its manifest.

use std::collections::BTreeSet;
use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use anyhow::{Context as _, bail, ensure};
use flate2::{Compression, GzBuilder, read::GzDecoder};

use crate::cpio::{self, File, Files};
use crate::elf::{self, Needs};
use crate::manifest::{self, FILE_NAME, Manifest, SCHEMA};

/// Largest layer that is unpacked to be verified.
const UNPACKED_BYTES_MAX: u64 = 4 << 30;

/// A file and where it belongs in the image.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Input {
    file: PathBuf,
    /// Without the leading slash.
    path: String,
}

impl Input {
    /// A file, and its path in the image without the leading slash.
    pub(crate) fn new(file: impl Into<PathBuf>, path: impl Into<String>) -> Self {
        Self { file: file.into(), path: path.into() }
    }
}

impl FromStr for Input {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> anyhow::Result<Self> {
        let (file, path) = text.split_once('=').map_or((text, None), |(file, path)| (file, Some(path)));
        let file = PathBuf::from(file);
        let path = match path {
            Some(path) => path.to_owned(),
            None => {
                let name = file.file_name().with_context(|| format!("`{text}` names no file"))?;
                format!("/usr/bin/{}", name.to_str().context("the file name is no UTF-8")?)
            }
        };
        let inner = path.strip_prefix('/').unwrap_or_default();
        let plain = inner.split('/').all(|part| !part.is_empty() && part != "." && part != "..");
        ensure!(plain, "`{path}` is no path in the image: use an absolute one without `.`, `..` and `//`");
        Ok(Self { file, path: inner.to_owned() })
    }
}

/// Builds a layer and its manifest in a folder.
pub(crate) fn build(name: &str, inputs: &[Input], dir: &Path) -> anyhow::Result<Manifest> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-';
    ensure!(
        !name.is_empty() && name.chars().all(plain),
        "`{name}` names no layer: use letters, digits and hyphens"
    );
    let files = gather(inputs, Path::new("/"))?;
    let packed = compress(&cpio::write(&files)?)?;
    let manifest = Manifest {
        schema: SCHEMA.to_owned(),
        name: name.to_owned(),
        layer: format!("{name}.cpio.gz"),
        layer_sha256: manifest::digest(&packed),
        files: manifest::entries(&files),
    };
    let mut json = serde_json::to_vec_pretty(&manifest)?;
    json.push(b'\n');
    std::fs::create_dir_all(dir).with_context(|| format!("creating `{}`", dir.display()))?;
    for (file, bytes) in [(manifest.layer.as_str(), &packed), (FILE_NAME, &json)] {
        let path = dir.join(file);
        std::fs::write(&path, bytes).with_context(|| format!("writing `{}`", path.display()))?;
    }
    Ok(manifest)
}

/// The inputs, and all that they need and that these need, looked for below a root.
pub(crate) fn gather(inputs: &[Input], root: &Path) -> anyhow::Result<Files> {
    let folders = elf::folders(root);
    let mut files = Files::new();
    let mut found = BTreeSet::new();
    // Who needs what: path in the image, file on this machine.
    let mut open: Vec<_> = inputs.iter().map(|input| (input.path.clone(), input.file.clone())).collect();
    while let Some((path, source)) = open.pop() {
        let file = load(&source)?;
        let needs = elf::needs(&file.content).with_context(|| format!("reading `{}`", source.display()))?;
        match files.insert(path.clone(), file) {
            Some(old) if old != files[&path] => bail!("two different files want to be `/{path}`"),
            Some(_) => continue,
            None => {}
        }
        let Some(needs) = needs else { continue };
        if let Some(loader) = &needs.loader {
            open.push((loader.trim_start_matches('/').to_owned(), elf::below(root, loader)));
        }
        for library in &needs.libraries {
            if found.insert((needs.kind, library.clone())) {
                let file = find(library, &needs, &folders).with_context(|| missing(&source, library))?;
                open.push((place(&file, root), file));
            }
        }
    }
    Ok(files)
}

fn missing(program: &Path, library: &str) -> String {
    format!(
        "`{}` needs the shared library `{library}`, which is not on this machine: install the package that holds it \
         (`apt-file search {library}`, `dnf provides '*/{library}'`), or link the program statically",
        program.display()
    )
}

/// The first library of that name and kind.
fn find(library: &str, needs: &Needs, folders: &[PathBuf]) -> Option<PathBuf> {
    let fits = |path: &PathBuf| {
        let content = std::fs::read(path).ok()?;
        elf::needs(&content).ok().flatten().filter(|other| other.kind == needs.kind)
    };
    folders.iter().map(|folder| folder.join(library)).find(|path| fits(path).is_some())
}

/// Where a library goes: its own folder if every loader looks there, else `usr/lib`, since the image has no `ld.so.cache`.
fn place(file: &Path, root: &Path) -> String {
    let own = file.strip_prefix(root).unwrap_or(file).to_string_lossy().into_owned();
    let (folder, name) = own.rsplit_once('/').unwrap_or(("", &own));
    if elf::STANDARD_FOLDERS.iter().any(|standard| standard.trim_start_matches('/') == folder) {
        own
    } else {
        format!("usr/lib/{name}")
    }
}

/// Of the permissions only *executable* is kept: the rest depends on who unpacked or built the file.
pub(crate) fn load(path: &Path) -> anyhow::Result<File> {
    let reading = || format!("reading `{}`", path.display());
    let metadata = std::fs::metadata(path).with_context(reading)?;
    ensure!(metadata.is_file(), "`{}` is no regular file", path.display());
    let mode = if metadata.permissions().mode() & 0o111 == 0 { 0o644 } else { 0o755 };
    Ok(File::regular(mode, std::fs::read(path).with_context(reading)?))
}

fn compress(archive: &[u8]) -> anyhow::Result<Vec<u8>> {
    const UNKNOWN_SYSTEM: u8 = 255;
    let header = GzBuilder::new().mtime(0).operating_system(UNKNOWN_SYSTEM);
    let mut packer = header.write(Vec::new(), Compression::best());
    packer.write_all(archive).context("compressing the archive")?;
    packer.finish().context("compressing the archive")
}

/// What differs between a layer and its manifest, one sentence each.
pub(crate) fn verify(dir: &Path) -> anyhow::Result<Vec<String>> {
    let read = |name: &str| {
        let path = dir.join(name);
        std::fs::read(&path).with_context(|| format!("reading `{}`", path.display()))
    };
    let said: Manifest = serde_json::from_slice(&read(FILE_NAME)?)
        .with_context(|| format!("reading `{}`", dir.join(FILE_NAME).display()))?;
    ensure!(
        said.schema == SCHEMA,
        "the manifest has schema `{}`, this version reads `{SCHEMA}`",
        said.schema
    );
    let plain = Path::new(&said.layer).file_name().is_some_and(|name| name == said.layer.as_str());
    ensure!(plain, "the manifest names the layer `{}`, which is no file beside it", said.layer);
    let packed = read(&said.layer)?;
    let mut differences = Vec::new();
    let found = manifest::digest(&packed);
    if found != said.layer_sha256 {
        differences
            .push(format!("`{}` has digest {found}, the manifest says {}", said.layer, said.layer_sha256));
    }
    let mut archive = Vec::new();
    let unpacked = GzDecoder::new(packed.as_slice()).take(UNPACKED_BYTES_MAX).read_to_end(&mut archive);
    match unpacked.map_err(anyhow::Error::from).and_then(|_| cpio::read(&archive)) {
        Ok(files) => differences.extend(manifest::differences(&said.files, &manifest::entries(&files))),
        Err(error) => differences.push(format!("`{}` cannot be unpacked: {error:#}", said.layer)),
    }
    Ok(differences)
}
