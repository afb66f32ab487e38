//! Changed kernels are noticed, and workers that die or hang of one are told apart.

use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::Command;

use burnin::calibrate::document::{Calibration, Fate, Mutants};
use burnin::calibrate::mutants::{Trials, run};
use report::{Backend, DeviceId};

/// Every so-manieth mutant of the kernels of a checker, on the first Vulkan device.
fn sample(checker: &str, step: &str, least: usize) {
    let arguments = ["calibrate", "--checker", checker, "--injections", "1", "--clean-rounds", "1", "--json"];
    let mut command = Command::new(env!("CARGO_BIN_EXE_burnin"));
    let output = command.args(arguments).args(["--mutants", "--mutants-step", step]).output().unwrap();
    let document: Calibration = serde_json::from_slice(&output.stdout).unwrap();
    let tried = document.mutants.as_ref().unwrap().tried.as_slice();
    let survived: Vec<_> = tried.iter().filter(|mutant| mutant.fate == Fate::Survived).collect();
    assert!(output.status.success() && survived.is_empty(), "{survived:#?}");
    let caught = tried.iter().filter(|mutant| matches!(mutant.fate, Fate::Caught { .. })).count();
    // The others are the same in effect, by a rule that is tried too, or the driver refuses them.
    assert!(caught * 10 >= tried.len() * 6 && tried.len() >= least, "{caught} of {}", tried.len());
}

#[test]
fn mutants_of_the_digest_are_noticed() {
    sample("digest", "7", 20);
}

#[test]
fn mutants_of_fp32_are_noticed() {
    sample("fp32", "17", 20);
}

#[test]
fn mutants_of_the_memory_kernels_are_noticed() {
    sample("memory-own-address", "397", 6);
}

/// What is said of the first three mutants of the digest by a worker that is this shell script. It has the number of the mutant
/// to begin with as `$from`.
fn by_script(script: &str) -> Vec<(u32, Fate)> {
    let folder = tempfile::tempdir().unwrap();
    let program = folder.path().join("worker.sh");
    let head = "#!/bin/sh\nread job\nfrom=$(echo \"$job\" | sed 's/.*\"from\":\\([0-9]*\\).*/\\1/')\n";
    std::fs::write(&program, format!("{head}{script}\n")).unwrap();
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    let kernel = &kernels::digest::KERNEL;
    let trials = Trials {
        backend: Backend::Vulkan,
        device: DeviceId("none".to_owned()),
        kernel: kernel.name.to_owned(),
        from: 0,
        step: 100,
        deadline_ms: 300,
    };
    let mut mutants = Mutants::default();
    run(&PathBuf::from(&program), &trials, kernel, &mut |_, _| (), &mut mutants).unwrap();
    mutants.tried.into_iter().map(|mutant| (mutant.number, mutant.fate)).collect()
}

#[test]
fn a_worker_that_dies_of_a_mutant_has_crashed_and_the_next_one_goes_on() {
    let tried = by_script(r#"echo "{\"mutant\":{\"trying\":$from}}"; kill -SEGV $$"#);
    let crashed = |number| (number, Fate::Crashed("signal 11".to_owned()));
    assert_eq!(tried, [crashed(0), crashed(100)]);
}

#[test]
fn a_worker_that_hangs_in_a_mutant_is_killed_and_the_next_one_goes_on() {
    let tried = by_script(r#"echo "{\"mutant\":{\"trying\":$from}}"; exec sleep 1000"#);
    assert_eq!(tried, [(0, Fate::Hung), (100, Fate::Hung)]);
}

#[test]
fn a_mutant_that_nobody_noticed_is_a_hole_and_said_loudly() {
    let say =
        r#"echo "{\"mutant\":{\"trying\":$from}}"; echo "{\"mutant\":{\"fate\":[$from,\"survived\"]}}""#;
    let tried = by_script(say);
    assert_eq!(tried, [(0, Fate::Survived), (100, Fate::Survived)]);
}
