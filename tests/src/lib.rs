//! The harness of whole stories: start a program of ours as a user would, listen to it, end it before its deadline.
//!
//! Tests that compute on the software device take turns ([`turn`]): it uses every core, and two at once would disturb each
//! other's rates.

pub mod driver;
pub mod faults;
pub mod layer;
pub mod process;
pub mod swtpm;

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Command;

use report::Report;

/// A program of ours, from the folder of this test's own profile (`target/debug`).
///
/// # Panics
/// If it is not built.
pub fn program(name: &str) -> PathBuf {
    let program = profile_folder().join(name);
    assert!(
        program.is_file(),
        "`{}` is not built: run `cargo build --workspace --bins` first (`make test` does)",
        program.display()
    );
    program
}

/// `burnin` with these arguments, without anything of this environment that would change what it says.
pub fn burnin(arguments: &[&str]) -> Command {
    let mut command = Command::new(program("burnin"));
    command.args(arguments).env_remove("RUST_LOG");
    command
}

/// Where cargo puts programs: a test lies in the folder `deps` of it, a program in itself.
fn profile_folder() -> PathBuf {
    let this = std::env::current_exe().unwrap_or_else(|error| panic!("finding this program: {error}"));
    let folder = this.parent().map(|folder| match folder.ends_with("deps") {
        true => folder.parent().unwrap_or(folder),
        false => folder,
    });
    folder.unwrap_or_else(|| panic!("`{}` lies in no profile folder", this.display())).to_owned()
}

/// A turn on the software device, until it is dropped.
#[derive(Debug)]
pub struct Turn {
    _lock: File,
}

/// Waits for a turn on the software device, among all test processes of this build.
///
/// # Panics
/// If the lock file cannot be made.
pub fn turn() -> Turn {
    let path = profile_folder().join("software-device.turn");
    let lock = File::create(&path).and_then(|file| file.lock().map(|()| file));
    Turn { _lock: lock.unwrap_or_else(|error| panic!("locking `{}`: {error}", path.display())) }
}

/// The one report that these bytes are.
///
/// # Panics
/// If they are anything else, or more.
pub fn report_of(bytes: &[u8]) -> Report {
    let text = || String::from_utf8_lossy(&bytes[..bytes.len().min(2000)]).into_owned();
    Report::from_json(bytes).unwrap_or_else(|error| panic!("{error}; it begins with: {}", text()))
}

/// The report in this folder.
///
/// # Panics
/// If there is none.
pub fn report_in(folder: &Path) -> Report {
    let path = folder.join("report.json");
    let bytes = std::fs::read(&path);
    report_of(&bytes.unwrap_or_else(|error| panic!("reading `{}`: {error}", path.display())))
}
