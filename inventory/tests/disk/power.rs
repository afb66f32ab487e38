//! Power failures: every image that the log of the story allows, opened and compared with what was acknowledged.

use std::fs;
use std::path::Path;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Instant;

use crash_disk::images::{Image, Limits, visit};
use crash_disk::{Event, record};

use crate::oracle::{self, Acked};
use crate::story::Story;
use crate::{folder, setting};

pub(crate) const DATABASE: &str = "inventory.db";

/// Every how manieth image must also take a new node.
const GO_ON_EVERY: usize = 16;

/// A story that ended well, and its log.
fn tell(rounds: usize, change: impl FnOnce(&crash_disk::Recording)) -> (Vec<Event>, Vec<Acked>) {
    let folder = folder();
    let disk = record(folder.path()).unwrap();
    change(&disk);
    let mut story = Story::on(folder.path().canonicalize().unwrap().join(DATABASE), disk);
    story.serve(rounds).unwrap();
    story.serve(1).unwrap();
    (story.disk.events(), story.acked)
}

/// The first image that is wrong, in words, or how many were right.
pub(crate) fn sweep(log: &[Event], acked: &[Acked], limits: Limits) -> Result<usize, String> {
    let workers = std::thread::available_parallelism().map_or(1, Into::into);
    let (right, is_over) = (AtomicUsize::new(0), AtomicBool::new(false));
    std::thread::scope(|scope| {
        let shares: Vec<_> = (0..workers)
            .map(|share| {
                let (right, is_over) = (&right, &is_over);
                scope.spawn(move || {
                    let place = folder();
                    let limits = Limits { share: (share, workers), ..limits };
                    visit(log, limits, |image| {
                        let go_on = right.fetch_add(1, Ordering::Relaxed).is_multiple_of(GO_ON_EVERY);
                        // The other share found something: enough.
                        if is_over.load(Ordering::Relaxed) {
                            return Err(None);
                        }
                        examine(place.path(), image, acked, go_on).map_err(|wrong| {
                            is_over.store(true, Ordering::Relaxed);
                            Some(wrong)
                        })
                    })
                })
            })
            .collect();
        let outcomes: Vec<_> = shares.into_iter().map(|share| share.join().unwrap()).collect();
        match outcomes.iter().find_map(|outcome| outcome.as_ref().err().cloned().flatten()) {
            Some(wrong) => Err(wrong),
            None => Ok(outcomes.into_iter().map(|outcome| outcome.unwrap_or(0)).sum()),
        }
    })
}

/// What a server finds after that power failure.
pub(crate) fn examine(place: &Path, image: &Image, acked: &[Acked], go_on: bool) -> Result<(), String> {
    for entry in fs::read_dir(place).unwrap() {
        fs::remove_file(entry.unwrap().path()).unwrap();
    }
    for (path, bytes) in &image.files {
        fs::write(place.join(path), bytes).unwrap();
    }
    oracle::check(&place.join(DATABASE), &acked[..image.marks], go_on).map_err(|wrong| {
        let (kept, open) = (image.kept.iter().filter(|kept| **kept).count(), image.kept.len());
        let Image { events, marks, torn, .. } = image;
        format!(
            "{wrong}, after {events} calls and {marks} acknowledgements, {kept} of {open} kept, torn {torn:?}"
        )
    })
}

#[test]
fn nothing_acknowledged_is_lost_or_half_visible_after_a_power_failure() {
    let limits = Limits { random: setting("ASSAY_CRASH_RANDOM", 1), ..Limits::default() };
    let limits = Limits { exhaustive: setting("ASSAY_CRASH_EXHAUSTIVE", 2), ..limits };
    let (log, acked) = tell(setting("ASSAY_CRASH_ROUNDS", 1), |_| {});
    #[expect(clippy::disallowed_methods, reason = "times itself")]
    let begun = Instant::now();
    let images = sweep(&log, &acked, limits).unwrap();
    let seconds = begun.elapsed().as_secs_f64();
    println!(
        "power failures: {images} images of {} calls and {} acknowledgements in {seconds:.1} s ({:.0} a second), seed {}: 0 lost, 0 half visible",
        log.len() - acked.len(),
        acked.len(),
        images as f64 / seconds,
        limits.seed,
    );
    assert!(images > 300, "{images}");
}

#[test]
fn a_store_whose_fsyncs_do_nothing_is_caught() {
    let (log, acked) = tell(1, crash_disk::Recording::ignore_syncs);
    let wrong = sweep(&log, &acked, Limits { exhaustive: 2, random: 2, ..Limits::default() }).unwrap_err();
    assert!(
        wrong.contains("lost") || wrong.contains("malformed") || wrong.contains("does not open"),
        "{wrong}"
    );
}

/// Each acknowledgement moves before the last fsync that it waited for.
#[test]
fn an_acknowledgement_before_the_commit_is_caught() {
    let (mut log, acked) = tell(1, |_| {});
    let syncs: Vec<_> = (0..log.len()).filter(|at| matches!(log[*at], Event::Sync { .. })).collect();
    let early = syncs.iter().find(|sync| log.get(*sync + 1) == Some(&Event::Mark)).unwrap();
    log.swap(*early, *early + 1);
    let limits = Limits { from: *early, ..Limits::default() };
    let wrong = sweep(&log, &acked, limits).unwrap_err();
    assert!(wrong.contains("lost"), "{wrong}");
}
