//! Calls to the disk that fail, one in each run, from the first to the last: the store stops and acknowledges nothing more;
//! what it acknowledged before is there after a power failure at once, and after a restart and a power failure later.

use crash_disk::images::{Limits, visit_end};
use crash_disk::{Call, Event, Fault, record};

use crate::power::{DATABASE, examine, sweep};
use crate::story::Story;
use crate::{folder, setting};

/// Linux's numbers (`errno-base.h`).
const EIO: i32 = 5;
const ENOSPC: i32 = 28;

/// What a failed call did to the run.
#[derive(Debug, Default)]
struct Tally {
    arrived: usize,
    stopped: usize,
    images: usize,
}

/// One run with that fault; `None` if the run was over before the fault came.
fn run(fault: Fault, tally: &mut Tally) -> Option<()> {
    let folder = folder();
    let mut story =
        Story::on(folder.path().canonicalize().unwrap().join(DATABASE), record(folder.path()).unwrap());
    story.disk.fail(fault);
    let mut starts = vec![0];
    let mut outcome = Ok(());
    for _ in 0..2 {
        outcome = outcome.and_then(|()| story.serve(1));
        starts.push(story.disk.events().len());
    }
    if story.disk.heal() == 0 {
        assert!(outcome.is_ok(), "it stopped although nothing failed");
        return None;
    }
    tally.arrived += 1;
    tally.stopped += usize::from(outcome.is_err());
    // The power fails now, or after the server started again and took more.
    let few = Limits { exhaustive: 3, random: 4, ..Limits::default() };
    let log = story.disk.events();
    if !story.operator_failed
        && let Err(wrong) = no_second_try(&log, &starts)
    {
        panic!("{fault:?}: {wrong}; the log: {log:#?}");
    }
    let wrong = |wrong: String| panic!("{fault:?}: {wrong}");
    let place = crate::folder();
    let at_once = visit_end(&log, few, |image| examine(place.path(), image, &story.acked, true));
    tally.images += at_once.unwrap_or_else(wrong);
    story.serve(1).unwrap_or_else(|_| panic!("{fault:?}: it does not start again"));
    let later = Limits { from: log.len(), at_marks: true, ..few };
    tally.images += sweep(&story.disk.events(), &story.acked, later).unwrap_or_else(wrong);
    Some(())
}

/// Reports that are handed in at once, in the story: when the commit of one fails, those of the commits before it may not
/// have been told yet. Whether they are there is for the images to say.
const VOLLEY: usize = 3;

/// Between two starts no fsync of a file follows one that failed without anything changed in between (a roll-back puts
/// back what was there before), and nothing is acknowledged after it.
fn no_second_try(log: &[Event], starts: &[usize]) -> Result<(), String> {
    for part in starts.windows(2).map(|ends| &log[ends[0]..ends[1]]) {
        let (mut failed, mut untouched, mut late) = (false, None, 0);
        for event in part {
            match event {
                Event::SyncFailed { file } => (failed, untouched) = (true, Some(*file)),
                Event::Write { file, .. } | Event::Truncate { file, .. } if untouched == Some(*file) => {
                    untouched = None;
                }
                Event::Sync { file } if untouched == Some(*file) => {
                    return Err(format!("the fsync of {file:?} was tried again"));
                }
                Event::Mark if failed => {
                    late += 1;
                    if late >= VOLLEY {
                        return Err("acknowledged after a failed fsync".to_owned());
                    }
                }
                _ => {}
            }
        }
    }
    Ok(())
}

#[expect(clippy::print_stdout, reason = "the figures of the full form")]
/// The faults in turn, until the run is over before they come.
fn run_all(call: Call, errno: i32, lasting: bool) {
    let step = match call {
        Call::Write => setting("ASSAY_FAIL_STEP", 97),
        _ => setting("ASSAY_FAIL_STEP", 7),
    };
    let mut tally = Tally::default();
    let faults = (1..).step_by(step).map(|nth| Fault { call, nth, errno, lasting });
    let injected = faults.map_while(|fault| run(fault, &mut tally)).count();
    assert!(injected > 0);
    println!(
        "{call:?} fails with {errno}, every {step}th: {injected} put in, {} arrived, {} stopped the store; {} images after: 0 lost",
        tally.arrived, tally.stopped, tally.images
    );
    assert_eq!(tally.arrived, injected);
}

#[test]
fn a_failed_write_loses_nothing_acknowledged() {
    run_all(Call::Write, EIO, false);
}

#[test]
fn a_full_disk_loses_nothing_acknowledged_and_with_room_it_goes_on() {
    run_all(Call::Write, ENOSPC, true);
}

#[test]
fn a_failed_fsync_ends_the_store_and_loses_nothing_acknowledged() {
    run_all(Call::Sync, EIO, false);
}

#[test]
fn a_failed_truncation_or_removal_loses_nothing_acknowledged() {
    run_all(Call::Truncate, EIO, false);
    run_all(Call::Entry, EIO, false);
}
