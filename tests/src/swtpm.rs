//! A TPM in software (`swtpm`): a state of its own below a temporary folder, a socket that takes the bytes of commands.

use std::io::{Read as _, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use tempfile::TempDir;

/// swtpm makes its socket at once; a busy machine may take a while.
const PATIENCE: Duration = Duration::from_secs(20);

/// A running TPM; ends with this value.
#[derive(Debug)]
pub struct Swtpm {
    dir: TempDir,
    child: Child,
}

/// What the maker put into it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Maker {
    /// Nothing: it came without certificates.
    None,
    /// Certificates for its endorsement keys, by a root of its own (`swtpm_localca`), RSA and P-384.
    Certificates,
}

impl Swtpm {
    /// Starts a fresh one.
    ///
    /// # Panics
    /// If swtpm is not installed (`images/packages.sh test`), or does not start.
    pub fn start(maker: Maker) -> Self {
        let dir = tempfile::tempdir().unwrap_or_else(|error| panic!("making a folder: {error}"));
        if maker == Maker::Certificates {
            manufacture(dir.path());
        }
        let child = serve(dir.path());
        Self { dir, child }
    }

    /// Where it takes commands.
    pub fn socket(&self) -> PathBuf {
        self.dir.path().join("tpm.sock")
    }

    /// The maker's root certificates, PEM.
    pub fn roots(&self) -> PathBuf {
        self.dir.path().join("ca/roots.pem")
    }

    /// Off and on again, with the same state: a reboot of the machine.
    pub fn restart(&mut self) {
        self.stop();
        self.child = serve(self.dir.path());
    }

    /// Gives it another endorsement seed, as a reset by its platform does: another endorsement key from now on.
    pub fn change_endorsement_seed(&self) {
        let mut socket = UnixStream::connect(self.socket()).unwrap_or_else(|error| panic!("swtpm: {error}"));
        // `TPM2_ChangeEPS` by the platform's empty password (Part 3, 24.5).
        const COMMAND: [u8; 27] = [
            0x80, 0x02, 0, 0, 0, 27, 0, 0, 0x01, 0x24, 0x40, 0, 0, 0x0c, 0, 0, 0, 9, 0x40, 0, 0, 0x09, 0, 0, 0, 0, 0,
        ];
        let mut response = [0; 10];
        let exchanged = socket.write_all(&COMMAND).and_then(|()| socket.read_exact(&mut response));
        exchanged.unwrap_or_else(|error| panic!("swtpm: {error}"));
        assert_eq!(response[6..], [0; 4], "swtpm refuses to change its endorsement seed");
    }

    fn stop(&mut self) {
        // It may be gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
        let _ = std::fs::remove_file(self.socket());
    }
}

impl Drop for Swtpm {
    fn drop(&mut self) {
        self.stop();
    }
}

/// Gives the TPM its endorsement keys and certificates, as its maker would.
fn manufacture(dir: &Path) {
    let ca = dir.join("ca");
    std::fs::create_dir(&ca).unwrap_or_else(|error| panic!("making {}: {error}", ca.display()));
    let write = |name: &str, text: String| {
        std::fs::write(dir.join(name), text).unwrap_or_else(|error| panic!("writing {name}: {error}"));
    };
    let at = ca.display();
    write(
        "localca.conf",
        format!(
            "statedir = {at}\nsigningkey = {at}/signkey.pem\nissuercert = {at}/issuercert.pem\ncertserial = {at}/serial\n"
        ),
    );
    write("localca.options", "--platform-manufacturer Assay\n--platform-version 1\n--platform-model Test\n".into());
    let dir_shown = dir.display();
    write(
        "setup.conf",
        format!(
            "create_certs_tool = swtpm_localca\ncreate_certs_tool_config = {dir_shown}/localca.conf\n\
             create_certs_tool_options = {dir_shown}/localca.options\n"
        ),
    );
    let output = Command::new("swtpm_setup")
        .args(["--tpm2", "--createek", "--create-ek-cert", "--overwrite", "--tpmstate"])
        .arg(dir)
        .arg("--config")
        .arg(dir.join("setup.conf"))
        .output()
        .unwrap_or_else(|error| panic!("swtpm_setup cannot be run, is swtpm-tools installed? {error}"));
    assert!(output.status.success(), "{}{}", show(&output.stdout), show(&output.stderr));
    let mut roots = Vec::new();
    for name in ["swtpm-localca-rootca-cert.pem", "issuercert.pem"] {
        roots.extend(std::fs::read(ca.join(name)).unwrap_or_else(|error| panic!("reading {name}: {error}")));
    }
    std::fs::write(ca.join("roots.pem"), roots).unwrap_or_else(|error| panic!("writing the roots: {error}"));
}

fn show(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

fn serve(dir: &Path) -> Child {
    let socket = dir.join("tpm.sock");
    let in_dir = |what: &str, name: &str| format!("{what}{}", dir.join(name).display());
    let child = Command::new("swtpm")
        .args(["socket", "--tpm2", "--flags", "not-need-init,startup-clear"])
        .args(["--tpmstate", &in_dir("dir=", "")])
        .args(["--server", &in_dir("type=unixio,path=", "tpm.sock")])
        .args(["--ctrl", &in_dir("type=unixio,path=", "control.sock")])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap_or_else(|error| panic!("swtpm cannot be run: run `images/packages.sh test`: {error}"));
    let mut waited = Duration::ZERO;
    const STEP: Duration = Duration::from_millis(10);
    while !socket.exists() {
        assert!(waited < PATIENCE, "swtpm has no socket after {waited:?}");
        pause(STEP);
        waited += STEP;
    }
    child
}

#[expect(clippy::disallowed_methods, reason = "waits for another process")]
fn pause(time: Duration) {
    std::thread::sleep(time);
}
