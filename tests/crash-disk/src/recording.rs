//! One recorded folder: its log, its marks, and the fault that is to come.

use std::collections::HashMap;
use std::fmt;
use std::io;
use std::os::fd::RawFd;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One file, whatever its name is now.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FileId(pub usize);

/// What was asked of the disk. Paths are below the recorded folder.
#[derive(Clone, PartialEq, Eq)]
pub enum Event {
    /// The file was there, on disk, when the recording began.
    Found {
        /// Which.
        file: FileId,
        /// Its name.
        path: PathBuf,
        /// What was in it.
        bytes: Vec<u8>,
    },
    /// A new, empty file under that name.
    Create {
        /// Which.
        file: FileId,
        /// Its name.
        path: PathBuf,
    },
    /// Bytes in a file.
    Write {
        /// Which.
        file: FileId,
        /// From where on.
        offset: usize,
        /// Which bytes.
        bytes: Vec<u8>,
    },
    /// Another length of a file.
    Truncate {
        /// Which.
        file: FileId,
        /// How many bytes it has now.
        len: usize,
    },
    /// An fsync of a file that succeeded.
    Sync {
        /// Which.
        file: FileId,
    },
    /// An fsync of a file that failed: what was open may be on disk or not, and no later fsync changes that.
    SyncFailed {
        /// Which.
        file: FileId,
    },
    /// An fsync of a directory: its entries are on disk.
    SyncFolder {
        /// Which; empty for the recorded folder itself.
        path: PathBuf,
    },
    /// Another name for a file, in place of whatever had it.
    Rename {
        /// The name before.
        from: PathBuf,
        /// The name after.
        to: PathBuf,
    },
    /// A name is gone.
    Remove {
        /// Which.
        path: PathBuf,
    },
    /// The test says that something was acknowledged.
    Mark,
}

impl fmt::Debug for Event {
    /// In one line, without the bytes.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Found { file, path, bytes } => {
                write!(f, "found {} {path:?}, {} bytes", file.0, bytes.len())
            }
            Self::Create { file, path } => write!(f, "create {} {path:?}", file.0),
            Self::Write { file, offset, bytes } => {
                write!(f, "write {}, {} bytes at {offset}", file.0, bytes.len())
            }
            Self::Truncate { file, len } => write!(f, "truncate {} to {len}", file.0),
            Self::Sync { file } => write!(f, "fsync {}", file.0),
            Self::SyncFailed { file } => write!(f, "fsync {} failed", file.0),
            Self::SyncFolder { path } => write!(f, "fsync of folder {path:?}"),
            Self::Rename { from, to } => write!(f, "rename {from:?} to {to:?}"),
            Self::Remove { path } => write!(f, "remove {path:?}"),
            Self::Mark => write!(f, "acknowledged"),
        }
    }
}

/// A kind of call that can be failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Call {
    /// `write` and `pwrite`.
    Write,
    /// `fsync` and `fdatasync`, of files and directories.
    Sync,
    /// `ftruncate`.
    Truncate,
    /// `unlink` and `rename`.
    Entry,
}

/// The call that fails.
#[derive(Clone, Copy, Debug)]
pub struct Fault {
    /// Of which kind.
    pub call: Call,
    /// The how manieth of its kind, from 1 on.
    pub nth: usize,
    /// With which error.
    pub errno: i32,
    /// All later ones fail too: a disk that stays full.
    pub lasting: bool,
}

/// A recorded folder. The recording ends when this goes.
#[derive(Debug)]
pub struct Recording {
    disk: Arc<Disk>,
}

#[derive(Debug)]
pub(crate) struct Disk {
    root: PathBuf,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
pub(crate) struct State {
    events: Vec<Event>,
    names: HashMap<PathBuf, FileId>,
    files: usize,
    fault: Option<Fault>,
    /// Calls that failed since the fault was set, and those of its kind that came at all.
    arrived: usize,
    seen: usize,
    silent_sync: bool,
}

static DISKS: Mutex<Vec<Arc<Disk>>> = Mutex::new(Vec::new());
/// Is anything recorded? Spares all other programs the look-up.
static ANY: AtomicBool = AtomicBool::new(false);
/// What the open descriptors of recorded folders are.
static OPEN: Mutex<Option<HashMap<RawFd, Opened>>> = Mutex::new(None);

/// A descriptor's disk, and what it stands for there.
type Opened = (Arc<Disk>, Target);

/// What a descriptor stands for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Target {
    File(FileId),
    Folder(PathBuf),
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Records what is asked of the files below that folder from now on. What is in it counts as durable.
pub fn record(folder: &Path) -> io::Result<Recording> {
    let root = folder.canonicalize()?;
    let mut state = State::default();
    for entry in std::fs::read_dir(&root)? {
        let entry = entry?;
        let path = PathBuf::from(entry.file_name());
        if entry.file_type()?.is_file() && is_recorded(&path) {
            let file = state.name(&path);
            state.events.push(Event::Found { file, bytes: std::fs::read(entry.path())?, path });
        }
    }
    let disk = Arc::new(Disk { root, state: Mutex::new(state) });
    lock(&DISKS).push(Arc::clone(&disk));
    ANY.store(true, Ordering::SeqCst);
    Ok(Recording { disk })
}

impl Recording {
    /// Writes down that something was acknowledged; gives how many marks there are before it.
    pub fn mark(&self) -> usize {
        let mut state = lock(&self.disk.state);
        let before = state.events.iter().filter(|event| **event == Event::Mark).count();
        state.events.push(Event::Mark);
        before
    }

    /// Everything so far.
    pub fn events(&self) -> Vec<Event> {
        lock(&self.disk.state).events.clone()
    }

    /// Lets a call fail; counting begins now. Takes the place of an earlier fault.
    pub fn fail(&self, fault: Fault) {
        let mut state = lock(&self.disk.state);
        (state.fault, state.arrived, state.seen) = (Some(fault), 0, 0);
    }

    /// No call fails any more; gives how many did.
    pub fn heal(&self) -> usize {
        let mut state = lock(&self.disk.state);
        state.fault = None;
        state.arrived
    }

    /// From now on fsync says that all is well and does nothing: what `synchronous=OFF` amounts to.
    pub fn ignore_syncs(&self) {
        lock(&self.disk.state).silent_sync = true;
    }
}

impl Drop for Recording {
    fn drop(&mut self) {
        let mut disks = lock(&DISKS);
        disks.retain(|disk| !Arc::ptr_eq(disk, &self.disk));
        if let Some(open) = lock(&OPEN).as_mut() {
            open.retain(|_, (disk, _)| !Arc::ptr_eq(disk, &self.disk));
        }
    }
}

/// SQLite makes `-shm` anew after a crash, and writes it by memory map.
fn is_recorded(path: &Path) -> bool {
    !path.to_string_lossy().ends_with("-shm")
}

/// The disk of a path, and the path below its root.
pub(crate) fn disk_of(path: &Path) -> Option<(Arc<Disk>, PathBuf)> {
    if !ANY.load(Ordering::Relaxed) || !path.is_absolute() {
        return None;
    }
    let disks = lock(&DISKS);
    let (disk, inside) = disks.iter().find_map(|disk| Some((disk, path.strip_prefix(&disk.root).ok()?)))?;
    is_recorded(inside).then(|| (Arc::clone(disk), inside.to_owned()))
}

/// What a descriptor stands for, if it is recorded.
pub(crate) fn target_of(descriptor: RawFd) -> Option<Opened> {
    if !ANY.load(Ordering::Relaxed) {
        return None;
    }
    lock(&OPEN).as_ref()?.get(&descriptor).cloned()
}

pub(crate) fn opened(descriptor: RawFd, disk: Arc<Disk>, target: Target) {
    lock(&OPEN).get_or_insert_default().insert(descriptor, (disk, target));
}

pub(crate) fn closed(descriptor: RawFd) {
    if ANY.load(Ordering::Relaxed)
        && let Some(open) = lock(&OPEN).as_mut()
    {
        open.remove(&descriptor);
    }
}

impl Disk {
    /// Nobody else asks anything of this disk until the guard goes, so that the log has the order of the calls.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        lock(&self.state)
    }
}

impl State {
    pub(crate) fn push(&mut self, event: Event) {
        self.events.push(event);
    }

    pub(crate) fn is_known(&self, path: &Path) -> bool {
        self.names.contains_key(path)
    }

    /// The file of that name; a new one if there is none.
    pub(crate) fn name(&mut self, path: &Path) -> FileId {
        if let Some(file) = self.names.get(path) {
            return *file;
        }
        let file = FileId(self.files);
        self.files += 1;
        self.names.insert(path.to_owned(), file);
        file
    }

    pub(crate) fn forget(&mut self, path: &Path) {
        self.names.remove(path);
    }

    pub(crate) fn rename(&mut self, from: &Path, to: &Path) {
        if let Some(file) = self.names.remove(from) {
            self.names.insert(to.to_owned(), file);
        }
    }

    pub(crate) fn ignores_syncs(&self) -> bool {
        self.silent_sync
    }

    /// Is this the call that must fail? Counts it.
    pub(crate) fn strikes(&mut self, call: Call) -> Option<i32> {
        let fault = self.fault.filter(|fault| fault.call == call)?;
        self.seen += 1;
        let hit = self.seen == fault.nth || (fault.lasting && self.seen > fault.nth);
        hit.then(|| {
            self.arrived += 1;
            fault.errno
        })
    }
}
