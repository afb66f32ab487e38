//! A machine in memory, whose calls are recorded and can be made to fail.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::ffi::CStr;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use sha2::{Digest as _, Sha256};

use super::devices::{DeviceEvent, DeviceEvents};
use super::{Entry, Mount, Stop, System};

/// The machine.
#[derive(Debug, Default)]
pub(crate) struct Recorder {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    files: BTreeMap<PathBuf, Vec<u8>>,
    calls: Vec<String>,
    refused: Vec<(String, i32)>,
    fail_at: Option<usize>,
    wall: Duration,
}

impl Recorder {
    /// A plain machine with a few devices of the kernel.
    pub(crate) fn machine() -> Self {
        let this = Self::default();
        for device in ["/dev/kmsg", "/dev/console", "/dev/ttyS0", "/dev/tty0", "/dev/pmsg0"] {
            this.put(device, "");
        }
        this.put("/proc/sys/kernel/printk_devkmsg", "ratelimit\n");
        this
    }

    /// Puts a file.
    pub(crate) fn put(&self, path: &str, text: &str) {
        self.put_bytes(path, text.as_bytes());
    }

    /// Puts a file that is no text.
    pub(crate) fn put_bytes(&self, path: &str, bytes: &[u8]) {
        self.state.lock().unwrap().files.insert(path.into(), bytes.to_owned());
    }

    /// The text of a file; empty if there is none.
    pub(crate) fn text(&self, path: &str) -> String {
        let state = self.state.lock().unwrap();
        String::from_utf8(state.files.get(Path::new(path)).cloned().unwrap_or_default()).unwrap()
    }

    /// Lets calls that begin so fail with an error of the system.
    pub(crate) fn refuse(&self, call: &str, errno: i32) {
        self.state.lock().unwrap().refused.push((call.to_owned(), errno));
    }

    /// Lets the nth call fail.
    pub(crate) fn fail_at(&self, n: usize) {
        self.state.lock().unwrap().fail_at = Some(n);
    }

    /// Sets the clock.
    pub(crate) fn set_wall(&self, wall: Duration) {
        self.state.lock().unwrap().wall = wall;
    }

    /// All calls so far.
    pub(crate) fn calls(&self) -> Vec<String> {
        self.state.lock().unwrap().calls.clone()
    }

    /// Those of one kind.
    pub(crate) fn calls_of(&self, kind: &str) -> Vec<String> {
        let is = |call: &String| call.split(' ').next() == Some(kind);
        self.calls().into_iter().filter(is).collect()
    }

    fn call(&self, call: String) -> io::Result<std::sync::MutexGuard<'_, State>> {
        let mut state = self.state.lock().unwrap();
        let refused =
            state.refused.iter().find(|(begin, _)| call.starts_with(begin)).map(|(_, errno)| *errno);
        let number = state.calls.len();
        state.calls.push(call);
        match refused {
            Some(errno) => Err(io::Error::from_raw_os_error(errno)),
            None if state.fail_at == Some(number) => Err(io::Error::from_raw_os_error(libc::EIO)),
            None => Ok(state),
        }
    }
}

/// Events in their order; then the listener breaks.
#[derive(Debug)]
pub(crate) struct Script(Mutex<VecDeque<DeviceEvent>>);

impl Script {
    pub(crate) fn of(events: impl IntoIterator<Item = DeviceEvent>) -> Self {
        Self(Mutex::new(events.into_iter().collect()))
    }
}

impl DeviceEvents for Script {
    fn next(&self, _: Duration) -> io::Result<DeviceEvent> {
        self.0.lock().unwrap().pop_front().ok_or_else(missing)
    }
}

fn missing() -> io::Error {
    io::Error::from_raw_os_error(libc::ENOENT)
}

impl System for Recorder {
    fn mount(&self, mount: &Mount) -> io::Result<()> {
        self.call(format!("mount {} {}", mount.kind, mount.target)).map(|_| ())
    }

    fn make_dir(&self, path: &Path) -> io::Result<()> {
        self.call(format!("make_dir {}", path.display())).map(|_| ())
    }

    fn symlink(&self, target: &Path, link: &Path) -> io::Result<()> {
        self.call(format!("symlink {} {}", link.display(), target.display())).map(|_| ())
    }

    fn make_character_device(&self, path: &Path, major: u32, minor: u32) -> io::Result<()> {
        let mut state = self.call(format!("make_character_device {} {major} {minor}", path.display()))?;
        state.files.insert(path.to_owned(), Vec::new());
        Ok(())
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let state = self.call(format!("read {}", path.display()))?;
        state.files.get(path).cloned().ok_or_else(missing)
    }

    fn read_end(&self, path: &Path, max: usize) -> io::Result<Vec<u8>> {
        let state = self.call(format!("read_end {}", path.display()))?;
        let bytes = state.files.get(path).ok_or_else(missing)?;
        Ok(bytes[bytes.len().saturating_sub(max)..].to_owned())
    }

    fn write(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut state = self.call(format!("write {}", path.display()))?;
        let file = state.files.get_mut(path).ok_or_else(missing)?;
        // A device remembers all, a setting its last value.
        if path.starts_with("/dev") {
            file.extend_from_slice(bytes);
        } else {
            *file = bytes.to_owned();
        }
        Ok(())
    }

    fn create(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.call(format!("create {}", path.display()))?.files.insert(path.to_owned(), bytes.to_owned());
        Ok(())
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        let mut state = self.call(format!("remove {}", path.display()))?;
        state.files.remove(path).map(|_| ()).ok_or_else(missing)
    }

    fn list(&self, dir: &Path) -> io::Result<Vec<Entry>> {
        let state = self.call(format!("list {}", dir.display()))?;
        let (mut names, mut dirs) = (BTreeSet::new(), BTreeSet::new());
        for path in state.files.keys() {
            let Ok(rest) = path.strip_prefix(dir) else { continue };
            let mut parts = rest.components().map(|part| part.as_os_str().to_str().unwrap().to_owned());
            let Some(name) = parts.next() else { continue };
            if parts.next().is_some() {
                dirs.insert(name.clone());
            }
            names.insert(name);
        }
        if names.is_empty() {
            return Err(missing());
        }
        Ok(names.into_iter().map(|name| Entry { is_dir: dirs.contains(&name), name }).collect())
    }

    fn size(&self, path: &Path) -> io::Result<u64> {
        let state = self.call(format!("size {}", path.display()))?;
        state.files.get(path).map(|file| file.len() as u64).ok_or_else(missing)
    }

    fn sha256(&self, path: &Path) -> io::Result<[u8; 32]> {
        let state = self.call(format!("sha256 {}", path.display()))?;
        state.files.get(path).map(|file| Sha256::digest(file).into()).ok_or_else(missing)
    }

    fn read_link(&self, path: &Path) -> io::Result<PathBuf> {
        drop(self.call(format!("read_link {}", path.display()))?);
        Err(missing())
    }

    fn open_console(&self, console: &Path) -> io::Result<()> {
        self.call(format!("open_console {}", console.display())).map(|_| ())
    }

    fn load_module(&self, file: &Path, parameters: &CStr) -> io::Result<()> {
        let parameters = parameters.to_str().unwrap();
        self.call(format!("load_module {} {parameters}", file.display()).trim_end().to_owned()).map(|_| ())
    }

    fn listen_for_devices(&self) -> io::Result<Box<dyn DeviceEvents>> {
        drop(self.call("listen_for_devices".to_owned())?);
        Ok(Box::new(Script::of([DeviceEvent::Added("late:v1".to_owned()), DeviceEvent::Quiet])))
    }

    fn release(&self) -> io::Result<String> {
        self.call("release".to_owned()).map(|_| "6.12.0".to_owned())
    }

    fn wall_clock(&self) -> io::Result<Duration> {
        self.call("wall_clock".to_owned()).map(|state| state.wall)
    }

    fn set_wall_clock(&self, since_1970: Duration) -> io::Result<()> {
        self.call(format!("set_wall_clock {}", since_1970.as_secs()))?.wall = since_1970;
        Ok(())
    }

    fn since_boot(&self) -> io::Result<Duration> {
        self.call("since_boot".to_owned()).map(|state| Duration::from_millis(state.calls.len() as u64))
    }

    fn set_hostname(&self, name: &str) -> io::Result<()> {
        self.call(format!("set_hostname {name}")).map(|_| ())
    }

    fn random_is_ready(&self) -> io::Result<bool> {
        self.call("random_is_ready".to_owned()).map(|_| true)
    }

    fn take_ctrl_alt_del(&self) -> io::Result<()> {
        self.call("take_ctrl_alt_del".to_owned()).map(|_| ())
    }

    fn end_all(&self, kill: bool) -> io::Result<()> {
        self.call(format!("end_all {kill}")).map(|_| ())
    }

    fn sync(&self) -> io::Result<()> {
        self.call("sync".to_owned()).map(|_| ())
    }

    fn stop(&self, stop: Stop) -> io::Result<()> {
        self.call(format!("stop {stop:?}")).map(|_| ())
    }
}
