//! The real Linux, behind the traits of [`super`].

use std::ffi::CStr;
use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::fs::{CWD, FileType, Mode, makedev, mknodat};
use rustix::mount::MountFlags;
use rustix::process::Signal;
use rustix::system::RebootCommand;
use rustix::time::{ClockId, Timespec};
use sha2::{Digest as _, Sha256};

use super::devices::DeviceEvents;
use super::{Entry, Mount, READ_BYTES_MAX, Stop, System};

pub mod links;
mod packet;
mod proc_net;
mod uevents;
pub mod wait;

use uevents::Uevents;

/// The module file is compressed (`include/uapi/linux/module.h`).
const MODULE_INIT_COMPRESSED_FILE: i32 = 4;

/// The Linux that this process runs on.
#[derive(Clone, Copy, Debug, Default)]
pub struct Linux;

impl System for Linux {
    fn mount(&self, mount: &Mount) -> io::Result<()> {
        let mut flags = MountFlags::NOSUID;
        flags.set(MountFlags::NOEXEC, !mount.exec);
        flags.set(MountFlags::NODEV, !mount.devices);
        flags.set(MountFlags::RDONLY, mount.read_only);
        Ok(rustix::mount::mount(mount.source, mount.target, mount.kind, flags, mount.data)?)
    }

    fn make_dir(&self, path: &Path) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o755).create(path)
    }

    fn symlink(&self, target: &Path, link: &Path) -> io::Result<()> {
        symlink(target, link)
    }

    fn make_character_device(&self, path: &Path, major: u32, minor: u32) -> io::Result<()> {
        let mode = Mode::from_raw_mode(0o666);
        mknodat(CWD, path, FileType::CharacterDevice, mode, makedev(major, minor))?;
        // Past the umask.
        fs::set_permissions(path, fs::Permissions::from_mode(0o666))
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let mut bytes = Vec::new();
        File::open(path)?.take(READ_BYTES_MAX).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn read_end(&self, path: &Path, max: usize) -> io::Result<Vec<u8>> {
        let (mut file, max) = (File::open(path)?, max as u64);
        let size = file.metadata()?.len();
        file.seek(SeekFrom::Start(size.saturating_sub(max)))?;
        let mut bytes = Vec::new();
        file.take(max).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        OpenOptions::new().write(true).custom_flags(libc::O_NOCTTY).open(path)?.write_all(bytes)
    }

    fn create(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        fs::write(path, bytes)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        let mut entries = Vec::new();
        for entry in fs::read_dir(dir)? {
            let entry = entry?;
            // A name that is no text is nothing that the boot looks for.
            if let Ok(name) = entry.file_name().into_string() {
                entries.push(Entry { name, is_dir: entry.file_type()?.is_dir() });
            }
        }
        entries.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(entries)
    }

    fn size(&self, path: &Path) -> io::Result<u64> {
        Ok(fs::metadata(path)?.len())
    }

    fn sha256(&self, path: &Path) -> io::Result<[u8; 32]> {
        let (mut file, mut digest) = (File::open(path)?, Sha256::new());
        let mut piece = vec![0; 1 << 20];
        loop {
            match file.read(&mut piece)? {
                0 => return Ok(digest.finalize().into()),
                count => digest.update(&piece[..count]),
            }
        }
    }

    fn read_link(&self, path: &Path) -> io::Result<PathBuf> {
        fs::read_link(path)
    }

    fn open_console(&self, console: &Path) -> io::Result<()> {
        let file = OpenOptions::new().read(true).write(true).custom_flags(libc::O_NOCTTY).open(console)?;
        rustix::stdio::dup2_stdin(&file)?;
        rustix::stdio::dup2_stdout(&file)?;
        Ok(rustix::stdio::dup2_stderr(&file)?)
    }

    fn load_module(&self, file: &Path, parameters: &CStr) -> io::Result<()> {
        let compressed = file.extension().is_some_and(|extension| extension != "ko");
        let flags = if compressed { MODULE_INIT_COMPRESSED_FILE } else { 0 };
        Ok(rustix::system::finit_module(File::open(file)?, parameters, flags)?)
    }

    fn listen_for_devices(&self) -> io::Result<Box<dyn DeviceEvents>> {
        Ok(Box::new(Uevents::listen()?))
    }

    fn release(&self) -> io::Result<String> {
        Ok(rustix::system::uname().release().to_string_lossy().into_owned())
    }

    fn wall_clock(&self) -> io::Result<Duration> {
        let now = rustix::time::clock_gettime(ClockId::Realtime);
        Ok(Duration::try_from(now).unwrap_or_default())
    }

    fn set_wall_clock(&self, since_1970: Duration) -> io::Result<()> {
        let time = Timespec::try_from(since_1970).map_err(|_| io::ErrorKind::InvalidInput)?;
        Ok(rustix::time::clock_settime(ClockId::Realtime, time)?)
    }

    fn since_boot(&self) -> io::Result<Duration> {
        let now = rustix::time::clock_gettime(ClockId::Boottime);
        Ok(Duration::try_from(now).unwrap_or_default())
    }

    fn set_hostname(&self, name: &str) -> io::Result<()> {
        Ok(rustix::system::sethostname(name.as_bytes())?)
    }

    fn random_is_ready(&self) -> io::Result<bool> {
        // Readable is what `poll` calls a random device whose generator is seeded (`drivers/char/random.c`).
        let file = File::open("/dev/random")?;
        let mut poll = [rustix::event::PollFd::new(&file, rustix::event::PollFlags::IN)];
        Ok(rustix::event::poll(&mut poll, Some(&Timespec::default()))? == 1)
    }

    fn take_ctrl_alt_del(&self) -> io::Result<()> {
        Ok(rustix::system::reboot(RebootCommand::CadOff)?)
    }

    fn end_all(&self, kill: bool) -> io::Result<()> {
        let signal = if kill { Signal::KILL } else { Signal::TERM };
        // Of PID 1, which this never reaches: every process but the caller and init.
        for entry in self.list(Path::new("/proc"))? {
            let Some(pid) = entry.name.parse().ok().and_then(rustix::process::Pid::from_raw) else {
                continue;
            };
            // A thread of the kernel has no program, and no use for signals.
            let is_kernel = fs::read_link(format!("/proc/{}/exe", entry.name)).is_err();
            if pid != rustix::process::getpid() && !is_kernel {
                // It may have ended meanwhile.
                let _ = rustix::process::kill_process(pid, signal);
            }
        }
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        rustix::fs::sync();
        Ok(())
    }

    fn stop(&self, stop: Stop) -> io::Result<()> {
        Ok(rustix::system::reboot(match stop {
            Stop::PowerOff => RebootCommand::PowerOff,
            Stop::Reboot => RebootCommand::Restart,
        })?)
    }
}
