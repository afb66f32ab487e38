//! From a log to the states that a power failure at any moment could have left.
//!
//! What an fsync has covered is there. Everything else, be it bytes, a length or an entry of a directory, may be there or
//! not, each apart from the others; later bytes go on top of earlier ones. Up to [`Limits::exhaustive`] open calls all
//! subsets are built, beyond that seeded random ones; beside each, one in which one of its writes is torn. What was open
//! when an fsync failed stays so for ever, though the program sees it: a file system marks such pages as clean.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::{Event, FileId};

/// A disk writes so many bytes whole or not at all.
const SECTOR: usize = 512;

/// How much is built.
#[derive(Clone, Copy, Debug)]
pub struct Limits {
    /// All subsets of at most so many open calls.
    pub exhaustive: usize,
    /// So many random subsets at each moment where more are open.
    pub random: usize,
    /// What the random ones come from.
    pub seed: u64,
    /// Only those of moments after so many events.
    pub from: usize,
    /// Only those of moments right after a mark.
    pub at_marks: bool,
    /// Of that many shares, build only this one: `(share, shares)`.
    pub share: (usize, usize),
}

impl Default for Limits {
    fn default() -> Self {
        Self { exhaustive: 8, random: 16, seed: 1, from: 0, at_marks: false, share: (0, 1) }
    }
}

/// What is found after a power failure.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// Each file by its name.
    pub files: BTreeMap<PathBuf, Vec<u8>>,
    /// So many marks had been set.
    pub marks: usize,
    /// After how many events of the log.
    pub events: usize,
    /// Which of the open calls made it.
    pub kept: Vec<bool>,
    /// Which of those was torn.
    pub torn: Option<usize>,
}

/// Builds the images of that log in order until `visit` is wrong; gives how many.
pub fn visit<E>(
    log: &[Event],
    limits: Limits,
    mut visit: impl FnMut(&Image) -> Result<(), E>,
) -> Result<usize, E> {
    let mut disk = State::default();
    let mut built = 0;
    for (at, event) in log.iter().enumerate() {
        disk.apply(event);
        let is_due = at >= limits.from && (!limits.at_marks || *event == Event::Mark);
        if !is_due || at % limits.share.1 != limits.share.0 {
            continue;
        }
        built += disk.visit(event, at + 1, limits, &mut visit)?;
    }
    Ok(built)
}

/// Builds the images of the moment at that log's end.
pub fn visit_end<E>(
    log: &[Event],
    limits: Limits,
    mut visit: impl FnMut(&Image) -> Result<(), E>,
) -> Result<usize, E> {
    let mut disk = State::default();
    log.iter().for_each(|event| disk.apply(event));
    disk.visit(&Event::Mark, log.len(), limits, &mut visit)
}

/// SplitMix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Below that bound, which is not 0.
    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % bound as u64).unwrap_or_default()
    }
}

/// What one call changes.
#[derive(Clone, Debug)]
enum Change {
    Bytes { file: FileId, offset: usize, bytes: Vec<u8> },
    Length { file: FileId, len: usize },
    Entry(Entry),
}

#[derive(Clone, Debug)]
enum Entry {
    Create { file: FileId, path: PathBuf },
    Rename { from: PathBuf, to: PathBuf },
    Remove { path: PathBuf },
}

/// How sure a change is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Certainty {
    /// No fsync yet.
    Open,
    /// Its fsync failed.
    Doomed,
    /// On disk, above something that is not.
    Settled,
}

#[derive(Clone, Debug)]
struct Pending {
    change: Change,
    certainty: Certainty,
}

impl Pending {
    /// What an fsync covered is whole.
    fn can_tear(&self) -> bool {
        let is_long = matches!(&self.change, Change::Bytes { bytes, .. } if bytes.len() > SECTOR);
        is_long && self.certainty != Certainty::Settled
    }

    fn is_data_of(&self, which: FileId) -> bool {
        match &self.change {
            Change::Bytes { file, .. } | Change::Length { file, .. } => *file == which,
            Change::Entry(_) => false,
        }
    }

    fn is_entry_in(&self, folder: &Path) -> bool {
        let inside = |path: &Path| path.parent() == Some(folder);
        match &self.change {
            Change::Entry(Entry::Create { path, .. } | Entry::Remove { path }) => inside(path),
            Change::Entry(Entry::Rename { from, to }) => inside(from) && inside(to),
            Change::Bytes { .. } | Change::Length { .. } => false,
        }
    }
}

/// What is on disk for sure, and what is open above it.
#[derive(Clone, Debug, Default)]
struct State {
    contents: BTreeMap<FileId, Vec<u8>>,
    names: BTreeMap<PathBuf, FileId>,
    open: Vec<Pending>,
    marks: usize,
}

impl State {
    fn apply(&mut self, event: &Event) {
        match event {
            Event::Found { file, path, bytes } => {
                self.contents.insert(*file, bytes.clone());
                self.names.insert(path.clone(), *file);
            }
            Event::Create { file, path } => {
                self.add(Change::Entry(Entry::Create { file: *file, path: path.clone() }));
            }
            Event::Write { file, offset, bytes } => {
                self.add(Change::Bytes { file: *file, offset: *offset, bytes: bytes.clone() });
            }
            Event::Truncate { file, len } => self.add(Change::Length { file: *file, len: *len }),
            Event::Rename { from, to } => {
                self.add(Change::Entry(Entry::Rename { from: from.clone(), to: to.clone() }));
            }
            Event::Remove { path } => self.add(Change::Entry(Entry::Remove { path: path.clone() })),
            Event::Sync { file } => self.become_sure(Certainty::Settled, |change| change.is_data_of(*file)),
            Event::SyncFailed { file } => {
                self.become_sure(Certainty::Doomed, |change| change.is_data_of(*file));
            }
            Event::SyncFolder { path } => {
                self.become_sure(Certainty::Settled, |change| change.is_entry_in(path));
            }
            Event::Mark => self.marks += 1,
        }
    }

    fn add(&mut self, change: Change) {
        self.open.push(Pending { change, certainty: Certainty::Open });
    }

    fn become_sure(&mut self, certainty: Certainty, concerns: impl Fn(&Pending) -> bool) {
        for pending in &mut self.open {
            if pending.certainty == Certainty::Open && concerns(pending) {
                pending.certainty = certainty;
            }
        }
        self.fold();
    }

    /// Takes over what is settled and has nothing of its own kind below it that is not.
    fn fold(&mut self) {
        let mut kept: Vec<Pending> = Vec::new();
        for pending in std::mem::take(&mut self.open) {
            let is_above = |below: &Pending| match (&pending.change, &below.change) {
                (Change::Entry(_), Change::Entry(_)) => true,
                (Change::Entry(_), _) | (_, Change::Entry(_)) => false,
                (change, _) => below.is_data_of(change.file()),
            };
            if pending.certainty == Certainty::Settled && !kept.iter().any(is_above) {
                write(&pending.change, &mut self.contents, &mut self.names);
            } else {
                kept.push(pending);
            }
        }
        self.open = kept;
    }

    /// All images of this moment, `events` calls after the beginning.
    fn visit<E>(
        &self,
        last: &Event,
        events: usize,
        limits: Limits,
        visit: &mut impl FnMut(&Image) -> Result<(), E>,
    ) -> Result<usize, E> {
        let mut random = Random(limits.seed ^ (events as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15));
        let mut built = 0;
        for kept in self.choices(last, limits, &mut random) {
            let writes: Vec<_> = (0..kept.len()).filter(|n| kept[*n] && self.open[*n].can_tear()).collect();
            let torn = (!writes.is_empty()).then(|| Some(writes[built % writes.len()]));
            for torn in std::iter::once(None).chain(torn) {
                built += 1;
                visit(&self.image(&kept, torn, events, &mut random))?;
            }
        }
        Ok(built)
    }

    /// Which of the open changes may have made it: only what no earlier moment gave already.
    fn choices(&self, event: &Event, limits: Limits, random: &mut Random) -> Vec<Vec<bool>> {
        let free: Vec<_> =
            (0..self.open.len()).filter(|n| self.open[*n].certainty != Certainty::Settled).collect();
        let is_new = match event {
            Event::Mark | Event::Found { .. } => false,
            // What it covers can no longer be missing: nothing that was not built before.
            Event::Sync { .. } | Event::SyncFailed { .. } | Event::SyncFolder { .. } => return Vec::new(),
            _ => true,
        };
        let choose = |mask: u64| {
            let mut kept = vec![true; self.open.len()];
            for (bit, n) in free.iter().enumerate() {
                kept[*n] = mask >> (bit % 64) & 1 == 1;
            }
            if is_new && let Some(last) = kept.last_mut() {
                *last = true;
            }
            kept
        };
        if free.len() <= limits.exhaustive {
            let bits = free.len() - usize::from(is_new);
            return (0..1u64 << bits).map(choose).collect();
        }
        let mut masks = vec![0, u64::MAX];
        masks.extend((0..limits.random).map(|_| random.next()));
        masks.into_iter().map(choose).collect()
    }

    fn image(&self, kept: &[bool], torn: Option<usize>, events: usize, random: &mut Random) -> Image {
        let (mut contents, mut names) = (self.contents.clone(), self.names.clone());
        for (n, pending) in self.open.iter().enumerate().filter(|(n, _)| kept[*n]) {
            match &pending.change {
                Change::Bytes { file, offset, bytes } if torn == Some(n) => {
                    let sectors: Vec<_> = sectors(*offset, bytes).collect();
                    // Not all of them: then it would not be torn.
                    let missing = random.below(sectors.len());
                    for (n, (from, sector)) in sectors.into_iter().enumerate() {
                        if n != missing && random.next() & 1 == 1 {
                            write_bytes(contents.entry(*file).or_default(), from, sector);
                        }
                    }
                }
                change => write(change, &mut contents, &mut names),
            }
        }
        let files = names.into_iter().map(|(path, file)| (path, contents.remove(&file).unwrap_or_default()));
        Image { files: files.collect(), marks: self.marks, events, kept: kept.to_vec(), torn }
    }
}

impl Change {
    fn file(&self) -> FileId {
        match self {
            Self::Bytes { file, .. }
            | Self::Length { file, .. }
            | Self::Entry(Entry::Create { file, .. }) => *file,
            Self::Entry(_) => FileId(usize::MAX),
        }
    }
}

fn write(change: &Change, contents: &mut BTreeMap<FileId, Vec<u8>>, names: &mut BTreeMap<PathBuf, FileId>) {
    match change {
        Change::Bytes { file, offset, bytes } => {
            write_bytes(contents.entry(*file).or_default(), *offset, bytes);
        }
        Change::Length { file, len } => contents.entry(*file).or_default().resize(*len, 0),
        Change::Entry(Entry::Create { file, path }) => drop(names.insert(path.clone(), *file)),
        Change::Entry(Entry::Rename { from, to }) => {
            if let Some(file) = names.remove(from) {
                names.insert(to.clone(), file);
            }
        }
        Change::Entry(Entry::Remove { path }) => drop(names.remove(path)),
    }
}

fn write_bytes(content: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    let end = offset + bytes.len();
    if content.len() < end {
        content.resize(end, 0);
    }
    content[offset..end].copy_from_slice(bytes);
}

/// The bytes cut at the disk's sectors.
fn sectors(offset: usize, bytes: &[u8]) -> impl Iterator<Item = (usize, &[u8])> {
    let mut from = 0;
    std::iter::from_fn(move || {
        let rest = bytes.get(from..).filter(|rest| !rest.is_empty())?;
        let length = (SECTOR - (offset + from) % SECTOR).min(rest.len());
        let at = offset + from;
        from += length;
        Some((at, &rest[..length]))
    })
}
