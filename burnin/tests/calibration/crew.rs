//! Workers that die are named, and what they did is done again.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use burnin::calibrate::checkers;
use burnin::calibrate::class::Class;
use burnin::calibrate::crew::{CrewError, run};
use burnin::calibrate::document::{Calibration, Death};
use burnin::calibrate::{Options, table};
use burnin::device;
use report::Backend;

/// A calibration of the digest by workers of which those that are to count missed dispatches do this first.
fn by_workers(folder: &Path, first: &str) -> Result<Calibration, CrewError> {
    let program = folder.join("worker.sh");
    let real = env!("CARGO_BIN_EXE_burnin");
    let script = format!(
        "#!/bin/sh\nread -r job\ncase \"$job\" in *'\"dropped\"'*) {first};; esac\necho \"$job\" | '{real}' worker\n"
    );
    std::fs::write(&program, script).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let digest: Vec<_> = checkers::all().into_iter().filter(|checker| checker.name() == "digest").collect();
    let classes = vec![Class::OneBit, Class::Dropped];
    let options = Options { checkers: digest, classes, injections: 20, clean_rounds: 90 };
    let target = device::list(Backend::Cpu).unwrap().remove(0);
    run(&program, &options, &target, 2, &mut |_, _| ())
}

#[test]
fn a_worker_that_dies_is_named_and_its_cell_done_again() {
    let folder = tempfile::tempdir().unwrap();
    let once = format!("mkdir '{}' 2>/dev/null && kill -SEGV $$", folder.path().join("once").display());
    let calibration = by_workers(folder.path(), &once).unwrap();
    let died = Death { part: "digest dropped".to_owned(), how: "signal 11".to_owned() };
    assert_eq!(calibration.deaths, [died]);
    assert!(table::text(&calibration).contains("digest dropped: signal 11"));
    let cells: Vec<_> =
        calibration.cells.iter().map(|cell| (cell.class, cell.injected, cell.found)).collect();
    assert_eq!(cells, [(Class::OneBit, 20, 20), (Class::Dropped, 20, 20)]);
    assert!(calibration.holds() && calibration.clean.rounds >= 90, "{:?}", calibration.clean);
    assert_eq!(calibration.checkers.len(), 1);
}

#[test]
fn a_cell_of_which_every_worker_dies_has_no_calibration() {
    let folder = tempfile::tempdir().unwrap();
    let error = by_workers(folder.path(), "exit 7").unwrap_err();
    assert!(error.to_string().starts_with("digest dropped: 3 workers ended"), "{error}");
    assert!(error.to_string().ends_with("exit code 7"), "{error}");
}
