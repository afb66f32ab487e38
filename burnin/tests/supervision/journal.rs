//! The report on disk.

use burnin::journal::{Journal, JournalError};
use report::{CheckResult, Outcome, Report, Verdict};

use super::{ends, id, report, subject};

fn on_disk(journal: &Journal) -> Report {
    Report::from_json(&std::fs::read(journal.path().unwrap()).unwrap()).unwrap()
}

fn passed(check: &str, device: &str) -> CheckResult {
    CheckResult::without_evidence(id(check), subject(device), Outcome::Pass, None)
}

#[test]
fn at_the_start_nothing_has_run_and_nothing_is_known() {
    let folder = tempfile::tempdir().unwrap();
    let journal = Journal::begin(&folder.path().join("new/folder"), report(&["good"])).unwrap();
    let found = on_disk(&journal);
    assert_eq!(&found, journal.report());
    assert_eq!(ends(&found, "good"), vec![(Outcome::NotRun, "NOT-RUN".to_owned()); 3]);
    assert_eq!(found.verdict.verdict, Verdict::Unknown, "whatever it said before");
}

#[test]
fn a_result_takes_its_place_and_is_on_disk_at_once() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::begin(folder.path(), report(&["good", "other"])).unwrap();
    journal.record(passed("fp32", "other")).unwrap();
    let found = on_disk(&journal);
    let order: Vec<_> = found.results.iter().map(|r| (r.check.clone(), r.subject.clone())).collect();
    let planned: Vec<_> = found.planned.iter().map(|p| (p.check.clone(), p.subject.clone())).collect();
    assert_eq!(order, planned);
    assert_eq!(ends(&found, "good"), vec![(Outcome::NotRun, "NOT-RUN".to_owned()); 3]);
    assert_eq!(ends(&found, "other")[1].0, Outcome::Pass);
    let names: Vec<_> = std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name()).collect();
    assert_eq!(names, ["report.json"], "nothing temporary is left");
}

#[test]
fn a_result_that_nobody_planned_is_dropped() {
    let folder = tempfile::tempdir().unwrap();
    let mut journal = Journal::begin(folder.path(), report(&["good"])).unwrap();
    let before = journal.report().results.clone();
    journal.record(passed("nonsense", "good")).unwrap();
    journal.record(passed("digest", "stranger")).unwrap();
    assert_eq!(on_disk(&journal).results, before);
}

#[test]
fn what_lies_there_is_not_overwritten_be_it_a_report_or_not() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("report.json");
    for contents in ["", "mine"] {
        std::fs::write(&path, contents).unwrap();
        let refused = Journal::begin(folder.path(), report(&["good"]));
        assert!(matches!(refused, Err(JournalError::Exists { path: found }) if found == path));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), contents);
    }
}

#[test]
fn a_folder_that_cannot_be_made_and_a_report_that_cannot_be_written_are_named() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("file");
    std::fs::write(&file, "").unwrap();
    let refused = Journal::begin(&file.join("below"), report(&["good"])).unwrap_err();
    assert!(matches!(&refused, JournalError::Folder { .. }) && refused.to_string().contains("file/below"));

    let gone = folder.path().join("gone");
    let mut journal = Journal::begin(&gone, report(&["good"])).unwrap();
    std::fs::remove_dir_all(&gone).unwrap();
    let refused = journal.record(passed("digest", "good")).unwrap_err();
    assert!(
        matches!(&refused, JournalError::Write { .. }) && refused.to_string().contains("gone/report.json")
    );
}
