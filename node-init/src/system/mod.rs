//! What the boot asks of Linux, as a seam: every call can be recorded, and made to fail.
//!
//! Paths are absolute. No call prints, and none waits for longer than the kernel takes for it.

use std::ffi::CStr;
use std::fmt::Debug;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

pub mod devices;
pub mod links;
pub mod linux;
#[cfg(test)]
pub(crate) mod recorder;

use devices::DeviceEvents;

pub use linux::Linux;

/// Largest file that [`System::read`] reads; what the boot reads is far smaller.
pub const READ_BYTES_MAX: u64 = 8 << 20;

/// One file system to mount.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mount {
    /// Shown in the table of mounts.
    pub source: &'static str,
    /// Where.
    pub target: &'static str,
    /// The kernel's name of it.
    pub kind: &'static str,
    /// May files in it be run?
    pub exec: bool,
    /// Are device nodes in it honoured?
    pub devices: bool,
    /// Read only?
    pub read_only: bool,
    /// Options of the file system itself.
    pub data: &'static CStr,
}

/// What a directory holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Its name.
    pub name: String,
    /// A directory, and not a link to one.
    pub is_dir: bool,
}

/// How this machine stops.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stop {
    /// Power off.
    PowerOff,
    /// Start again, by the firmware.
    Reboot,
}

/// Linux, as PID 1 needs it.
pub trait System: Debug + Send + Sync {
    /// Mounts a file system.
    fn mount(&self, mount: &Mount) -> io::Result<()>;
    /// Makes a directory; one that is there is fine.
    fn make_dir(&self, path: &Path) -> io::Result<()>;
    /// Makes a link; one that is there already is [`io::ErrorKind::AlreadyExists`].
    fn symlink(&self, target: &Path, link: &Path) -> io::Result<()>;
    /// Makes the node of a character device, for everyone to read and write.
    fn make_character_device(&self, path: &Path, major: u32, minor: u32) -> io::Result<()>;
    /// Reads a file whole, up to [`READ_BYTES_MAX`].
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// Reads the last bytes of a file, at most `max` of them.
    fn read_end(&self, path: &Path, max: usize) -> io::Result<Vec<u8>>;
    /// Writes to a file of the kernel's, a device or a setting, in one call; never makes one.
    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// Makes a file anew.
    fn create(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Lists a directory, sorted by name.
    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>>;
    /// Size of a file in bytes, through links.
    fn size(&self, path: &Path) -> io::Result<u64>;
    /// SHA-256 of a file of any size, through links.
    fn sha256(&self, path: &Path) -> io::Result<[u8; 32]>;
    /// Where a link leads.
    fn read_link(&self, path: &Path) -> io::Result<PathBuf>;
    /// Makes `console` standard input, output and error.
    fn open_console(&self, console: &Path) -> io::Result<()>;
    /// Loads a module, compressed or not, and waits until its init function is done.
    fn load_module(&self, file: &Path, parameters: &CStr) -> io::Result<()>;
    /// Listens to what the kernel says about devices, from now on.
    fn listen_for_devices(&self) -> io::Result<Box<dyn DeviceEvents>>;
    /// The kernel's release, for example `6.12.107-amd64`.
    fn release(&self) -> io::Result<String>;
    /// Time since 1970 by the machine's clock.
    fn wall_clock(&self) -> io::Result<Duration>;
    /// Sets that clock.
    fn set_wall_clock(&self, since_1970: Duration) -> io::Result<()>;
    /// Time since the kernel started.
    fn since_boot(&self) -> io::Result<Duration>;
    /// Sets the name of this node.
    fn set_hostname(&self, name: &str) -> io::Result<()>;
    /// Is the kernel's random number generator seeded?
    fn random_is_ready(&self) -> io::Result<bool>;
    /// Sends ctrl-alt-del to PID 1 as SIGINT instead of resetting at once.
    fn take_ctrl_alt_del(&self) -> io::Result<()>;
    /// Tells every other process to end (`kill`: at once).
    fn end_all(&self, kill: bool) -> io::Result<()>;
    /// Writes what is still in memory to the disks.
    fn sync(&self) -> io::Result<()>;
    /// Stops this machine; returns only where that failed.
    fn stop(&self, stop: Stop) -> io::Result<()>;
}
