//! Debian as the source of packages. `apt` and `dpkg-deb` are tools here: nothing is installed, root is not needed, and of
//! this machine's apt only the transport and the mirror are used.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, bail, ensure};

use crate::lock::Package;
use crate::manifest;

const HELPER: &str = "/usr/lib/apt/apt-helper";
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";
/// The release that the image is made of.
pub(crate) const SUITE: &str = "trixie";

/// Runs a program to its end; its standard output.
pub(crate) fn run(command: &mut Command) -> anyhow::Result<String> {
    let name = command.get_program().to_string_lossy().into_owned();
    let output = command
        .env("LC_ALL", "C")
        .output()
        .with_context(|| format!("starting `{name}`: is it installed?"))?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`{name}` failed ({}): {}", output.status, said.trim());
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// Where packages come from.
#[derive(Clone, Debug)]
pub(crate) struct Mirror(String);

impl Mirror {
    /// The given one, or the first of this machine's own that has the release.
    pub(crate) fn find(given: Option<&str>) -> anyhow::Result<Self> {
        if let Some(given) = given {
            return Ok(Self(given.trim_end_matches('/').to_owned()));
        }
        let format = ["indextargets", "--format", "$(REPO_URI)", "Created-By: Packages", "Component: main"];
        let mut all: Vec<_> = run(Command::new("apt-get").args(format))?
            .lines()
            .map(|line| line.trim_end_matches('/').to_owned())
            .collect();
        all.sort();
        all.dedup();
        let dir = tempfile::tempdir()?;
        let has = |mirror: &&String| {
            let url = format!("{mirror}/dists/{SUITE}-backports/InRelease");
            run(Command::new(HELPER).arg("download-file").arg(url).arg(dir.path().join("InRelease"))).is_ok()
        };
        let found = all.iter().find(has);
        let found = found.with_context(|| {
            format!("none of this machine's apt sources has {SUITE}: name one with --mirror")
        })?;
        Ok(Self(found.clone()))
    }

    /// The package, from the cache or the mirror; its digest is what the lock says.
    pub(crate) fn fetch(&self, package: &Package) -> anyhow::Result<PathBuf> {
        let folder = cache()?.join("packages");
        std::fs::create_dir_all(&folder).with_context(|| format!("creating `{}`", folder.display()))?;
        let path = folder.join(format!("{}.deb", package.sha256));
        if let Ok(bytes) = std::fs::read(&path)
            && manifest::digest(&bytes) == package.sha256
        {
            return Ok(path);
        }
        let part = tempfile::Builder::new().prefix("fetch").tempdir_in(&folder)?;
        let (url, file) = (format!("{}/{}", self.0, package.path), part.path().join("deb"));
        let sum = format!("SHA256:{}", package.sha256);
        run(Command::new(HELPER).arg("download-file").arg(url).arg(&file).arg(sum)).with_context(|| {
            format!(
                "fetching {} {}: if the mirror has a newer one, run `images lock`",
                package.name, package.version
            )
        })?;
        let found = manifest::digest(&std::fs::read(&file)?);
        ensure!(
            found == package.sha256,
            "{} has digest {found}, the lock says {}",
            package.name,
            package.sha256
        );
        std::fs::rename(&file, &path)?;
        Ok(path)
    }
}

/// The user's cache folder for Assay.
pub(crate) fn cache() -> anyhow::Result<PathBuf> {
    let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || std::env::var_os("HOME").map(|home| Path::new(&home).join(".cache"));
    Ok(base.or_else(home).context("neither XDG_CACHE_HOME nor HOME is set")?.join("assay"))
}

/// A root with these packages unpacked, kept in the cache. `.packages/NAME` lists the files of each.
pub(crate) fn root(mirror: &Mirror, packages: &[&Package]) -> anyhow::Result<PathBuf> {
    let key: Vec<&str> = packages.iter().map(|package| package.sha256.as_str()).collect();
    let roots = cache()?.join("roots");
    let root = roots.join(&manifest::digest(key.join("\n").as_bytes())[..16]);
    if root.is_dir() {
        return Ok(root);
    }
    std::fs::create_dir_all(&roots)?;
    let part = tempfile::Builder::new().prefix("part").tempdir_in(&roots)?;
    for folder in ["bin", "sbin", "lib", "lib64"] {
        std::fs::create_dir_all(part.path().join("usr").join(folder))?;
        std::os::unix::fs::symlink(format!("usr/{folder}"), part.path().join(folder))?;
    }
    let lists = part.path().join(".packages");
    std::fs::create_dir(&lists)?;
    for package in packages {
        let deb = mirror.fetch(package)?;
        let listed = run(Command::new("dpkg-deb").arg("--vextract").arg(deb).arg(part.path()))
            .with_context(|| format!("unpacking {}", package.name))?;
        std::fs::write(lists.join(&package.name), listed)?;
    }
    let made = part.keep();
    match std::fs::rename(&made, &root) {
        Ok(()) => {}
        Err(_) if root.is_dir() => std::fs::remove_dir_all(&made)?,
        Err(error) => bail!("moving `{}` to `{}`: {error}", made.display(), root.display()),
    }
    Ok(root)
}

/// An apt of our own: none of this machine's lists, pins or packages.
#[derive(Debug)]
pub(crate) struct Apt {
    dir: tempfile::TempDir,
    mirror: Mirror,
}

impl Apt {
    /// With the lists of the release and its backports.
    pub(crate) fn new(mirror: Mirror) -> anyhow::Result<Self> {
        let dir = tempfile::tempdir()?;
        for folder in ["lists/partial", "archives/partial"] {
            std::fs::create_dir_all(dir.path().join(folder))?;
        }
        std::fs::write(dir.path().join("status"), "")?;
        let suites = [SUITE.to_owned(), format!("{SUITE}-backports")];
        let lines = suites.map(|suite| format!("deb [signed-by={KEYRING}] {} {suite} main\n", mirror.0));
        std::fs::write(dir.path().join("sources.list"), lines.concat())?;
        let apt = Self { dir, mirror };
        run(apt.command().arg("update")).context("reading the package lists")?;
        Ok(apt)
    }

    fn command(&self) -> Command {
        let mut command = Command::new("apt-get");
        let dir = self.dir.path().display();
        let options = [
            format!("Dir::State={dir}"),
            format!("Dir::State::status={dir}/status"),
            format!("Dir::State::lists={dir}/lists"),
            format!("Dir::Cache={dir}"),
            format!("Dir::Etc::sourcelist={dir}/sources.list"),
            "Dir::Etc::sourceparts=/dev/null".into(),
            "Dir::Etc::preferencesparts=/dev/null".into(),
            "Acquire::Languages=none".into(),
            format!("APT::Default-Release={SUITE}"),
            "APT::Architecture=amd64".into(),
            "APT::Sandbox::User=".into(),
            "APT::Install-Recommends=false".into(),
        ];
        command
            .args(options.iter().flat_map(|option| ["-o", option]))
            .current_dir(self.dir.path())
            .arg("-qq");
        command
    }

    /// Name, version and suite of these packages and all that they need.
    pub(crate) fn closure(&self, wanted: &[String]) -> anyhow::Result<Vec<(String, String, String)>> {
        let plan = run(self.command().args(["install", "--simulate"]).args(wanted))?;
        let parse = |line: &str| {
            let (name, rest) = line.strip_prefix("Inst ")?.split_once(" (")?;
            let (version, origin) = rest.split_once(' ')?;
            let backports = if origin.contains("Backports") { "-backports" } else { "" };
            Some((name.to_owned(), version.to_owned(), format!("{SUITE}{backports}")))
        };
        Ok(plan.lines().filter_map(parse).collect())
    }

    /// Path on the mirror, size and SHA-256 of a package.
    pub(crate) fn locate(&self, name: &str, version: &str) -> anyhow::Result<(String, u64, String)> {
        let said = run(self.command().args(["download", "--print-uris", &format!("{name}={version}")]))?;
        let parse = |line: &str| {
            let mut words = line.split_whitespace();
            let url =
                words.next()?.trim_matches('\'').strip_prefix(&format!("{}/", self.mirror.0))?.to_owned();
            let size = words.nth(1)?.parse().ok()?;
            Some((url, size, words.next()?.strip_prefix("SHA256:")?.to_owned()))
        };
        said.lines()
            .find_map(parse)
            .with_context(|| format!("apt says nothing of {name} {version}: `{}`", said.trim()))
    }
}
