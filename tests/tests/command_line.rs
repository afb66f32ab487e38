//! `burnin` as a person or a script meets it: what stands on which output, which exit code, and what is said about wrong
//! usage. `UPDATE_GOLDEN=1 cargo test -p stories --test command_line` writes the help texts anew.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use report::{Backend, DeviceInfo, DeviceKind, Outcome, Verdict, VerdictRecord};
use stories::process::{Ended, run};
use stories::{burnin, report_in, report_of};

/// Longest wait for anything: much more than it takes.
const PATIENCE: Duration = Duration::from_secs(180);

fn ends(command: &mut Command) -> Ended {
    run(command, PATIENCE)
}

/// Runs verb and arguments, with a path at the end.
fn on(arguments: &[&str], path: &Path) -> Ended {
    ends(burnin(arguments).arg(path))
}

/// A report that a short run saved: of a device that is gone, so that nothing computes.
fn saved() -> (tempfile::TempDir, Ended) {
    let folder = tempfile::tempdir().unwrap();
    let drill = ["run", "--plan", "quick-software", "--plant", "missing-device", "--json", "--out"];
    let ended = on(&drill, folder.path());
    assert_eq!(ended.code(), Some(1), "{}", ended.stderr);
    (folder, ended)
}

fn golden(name: &str, found: &str) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(name);
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, found).unwrap();
    }
    let expected = std::fs::read_to_string(&path).unwrap_or_default();
    assert_eq!(found, expected, "`{}` differs: look, then UPDATE_GOLDEN=1", path.display());
}

#[test]
fn the_help_is_as_it_was_looked_at() {
    for (name, arguments) in [
        ("burnin-help.txt", &["--help"][..]),
        ("burnin-run-help.txt", &["run", "--help"]),
        ("burnin-bench-help.txt", &["bench", "--help"]),
        ("burnin-replay-help.txt", &["replay", "--help"]),
    ] {
        // The width of a terminal must not matter.
        let ended = ends(burnin(arguments).env("COLUMNS", "100"));
        assert_eq!((ended.code(), ended.stderr.as_str()), (Some(0), ""));
        golden(name, &ended.text());
    }
}

#[test]
fn wrong_usage_ends_with_2_and_says_what_is_right() {
    for (arguments, words) in [
        (&["run", "--plan", "quik", "--out", "/nowhere"][..], &["`quik`", "`quick`", "`quick-software`"][..]),
        (&["run", "--plant", "gremlin"], &["gremlin", "flipped-bit", "missing-device"]),
        (&["judge", "/nonexistent/assay"], &["/nonexistent/assay", "No such file"]),
        (&["show", "/nonexistent/assay"], &["/nonexistent/assay", "No such file"]),
        (&["bench", "--backend", "cpu", "--only", "fp33"], &["`fp33`", "`fp32`"]),
        (&["bench", "--backend", "cpu", "--device", "gpu-7"], &["`gpu-7`", "`cpu-0`"]),
        (&["bench", "--compare", "/nonexistent/before.json"], &["/nonexistent/before.json", "No such file"]),
        (&["brun"], &["brun", "run"]),
        (&[], &["Usage"]),
    ] {
        let ended = ends(&mut burnin(arguments));
        assert_eq!(ended.code(), Some(2), "{arguments:?}: {}", ended.stderr);
        assert_eq!(ended.text(), "", "{arguments:?}: nothing on standard output");
        for word in words {
            assert!(ended.stderr.contains(word), "{arguments:?} lacks `{word}`: {}", ended.stderr);
        }
    }
}

#[test]
fn an_empty_folder_has_no_report_and_the_file_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let ended = on(&["show"], folder.path());
    assert_eq!(ended.code(), Some(2));
    assert!(ended.stderr.contains(folder.path().join("report.json").to_str().unwrap()), "{}", ended.stderr);
}

#[test]
fn devices_are_listed_as_text_and_as_one_document() {
    let text = ends(&mut burnin(&["list", "--backend", "cpu"]));
    assert_eq!(text.code(), Some(0));
    assert!(text.text().contains("cpu-0") && text.text().contains("reference kernels"), "{}", text.text());
    for (backend, name) in
        [(Backend::Vulkan, "vulkan"), (Backend::Portable, "portable"), (Backend::Cpu, "cpu")]
    {
        let ended = ends(&mut burnin(&["list", "--backend", name, "--json"]));
        assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
        let devices: Vec<DeviceInfo> = serde_json::from_slice(&ended.stdout).unwrap();
        assert!(devices.iter().all(|device| device.backend == backend));
        assert!(
            devices.iter().any(|device| device.kind == DeviceKind::Cpu),
            "no software device: {devices:?}"
        );
    }
}

#[test]
fn a_run_prints_one_document_and_its_progress_as_plain_lines() {
    let (folder, ended) = saved();
    assert_eq!(report_of(&ended.stdout), report_in(folder.path()));
    assert!(ended.text().ends_with("}\n") && ended.text().starts_with('{'));
    assert!(!ended.stderr.contains(['\u{1b}', '\r']), "no control characters in a pipe: {}", ended.stderr);
    for line in
        ["run    digest on vulkan-", "FAIL   digest on vulkan-", "NOT_RUN fp32 on vulkan-", "report: "]
    {
        assert!(ended.stderr.lines().any(|said| said.starts_with(line)), "no `{line}`: {}", ended.stderr);
    }
}

#[test]
fn a_quiet_run_says_only_where_its_report_is() {
    let folder = tempfile::tempdir().unwrap();
    let drill = ["run", "--plan", "quick-software", "--plant", "missing-device", "--quiet", "--out"];
    let ended = on(&drill, folder.path());
    let path = folder.path().join("report.json");
    assert_eq!(ended.stderr.trim(), format!("report: {}", path.display()));
    assert!(ended.text().starts_with("FAULTY: 1 SOFTWARE DEVICE, NO GPU"), "{}", ended.text());
    assert!(ended.text().contains("drill  fault `missing-device` was planted on purpose"));
}

#[test]
fn a_report_is_not_overwritten() {
    let (folder, _) = saved();
    let before = std::fs::read(folder.path().join("report.json")).unwrap();
    let again = on(&["run", "--plan", "quick-software", "--backend", "cpu", "--out"], folder.path());
    assert_eq!((again.code(), again.text().as_str()), (Some(2), ""));
    assert!(again.stderr.contains("exists: choose another folder with `--out`"), "{}", again.stderr);
    assert_eq!(std::fs::read(folder.path().join("report.json")).unwrap(), before);
}

#[test]
fn a_saved_report_is_judged_to_the_same_bytes_from_anywhere() {
    let (folder, first) = saved();
    let elsewhere = tempfile::tempdir().unwrap();
    let file = folder.path().join("report.json");
    let by_folder = on(&["judge", "--json"], folder.path());
    let by_file = ends(burnin(&["judge", "--json"]).arg(&file).current_dir(elsewhere.path()));
    let relative = ends(burnin(&["judge", "--json", "report.json"]).current_dir(folder.path()));
    assert_eq!(by_folder.code(), Some(1));
    assert_eq!(by_folder.stdout, by_file.stdout);
    assert_eq!(by_folder.stdout, relative.stdout);
    let judged: VerdictRecord = serde_json::from_slice(&by_folder.stdout).unwrap();
    assert_eq!(judged, report_of(&first.stdout).verdict);

    let text = on(&["judge"], folder.path());
    assert_eq!(text.code(), Some(1));
    assert!(text.text().starts_with("faulty\n") && text.text().contains("DEVICE-MISSING"), "{}", text.text());
}

#[test]
fn a_saved_report_is_shown_as_the_run_showed_it() {
    let (folder, first) = saved();
    let json = on(&["show", "--json"], folder.path());
    assert_eq!((json.code(), &json.stdout), (Some(1), &first.stdout));
    let text = on(&["show"], folder.path());
    assert_eq!(text.code(), Some(1));
    assert!(text.text().starts_with("FAULTY: ") && text.text().contains("DEVICE-MISSING"), "{}", text.text());
}

/// Files that are no report of ours, by their names here.
fn spoiled(folder: &Path) -> Vec<PathBuf> {
    let (good, _) = saved();
    let good = std::fs::read(good.path().join("report.json")).unwrap();
    let foreign = String::from_utf8(good.clone()).unwrap().replacen("assay.report/1", "assay.report/9", 1);
    let contents = [
        ("truncated", good[..good.len() / 2].to_vec()),
        ("empty", Vec::new()),
        ("binary", vec![0xff, 0, 0x80, b'{']),
        ("foreign", foreign.into_bytes()),
        ("twice", [good.clone(), good].concat()),
    ];
    let write = |(name, bytes): (&str, Vec<u8>)| {
        let path = folder.join(name);
        std::fs::write(&path, bytes).unwrap();
        path
    };
    contents.into_iter().map(write).collect()
}

#[test]
fn what_is_no_report_is_unknown() {
    let folder = tempfile::tempdir().unwrap();
    for path in spoiled(folder.path()) {
        let judged = on(&["judge", "--json"], &path);
        assert_eq!(judged.code(), Some(4), "{path:?}");
        let verdict: VerdictRecord = serde_json::from_slice(&judged.stdout).unwrap();
        assert_eq!(verdict.verdict, Verdict::Unknown);
        assert_eq!(verdict.findings[0].reason.code, "REPORT-UNREADABLE");

        let shown = on(&["show"], &path);
        assert_eq!((shown.code(), shown.text().as_str()), (Some(4), ""), "{path:?}");
        assert!(shown.stderr.starts_with("error: "), "{}", shown.stderr);
        if path.ends_with("foreign") {
            assert!(shown.stderr.contains("assay.report/9"), "{}", shown.stderr);
        }
    }
}

#[test]
fn an_output_that_takes_nothing_is_never_healthy() {
    let (folder, _) = saved();
    let full = std::fs::OpenOptions::new().write(true).open("/dev/full").unwrap();
    let mut command = burnin(&["show"]);
    let status =
        command.arg(folder.path()).stdout(full).stderr(std::process::Stdio::null()).status().unwrap();
    assert_eq!(status.code(), Some(4));
}

/// Runs with a loader that finds only this driver manifest.
fn with_driver(manifest: &Path, arguments: &[&str]) -> Command {
    let mut command = burnin(arguments);
    command.env("VK_DRIVER_FILES", manifest).env("VK_ICD_FILENAMES", manifest);
    command
}

/// The doctor says why there is no device, and the node is unknown.
fn without_driver(manifest: &Path) {
    let folder = tempfile::tempdir().unwrap();
    for plan in ["quick", "quick-software"] {
        let out = folder.path().join(plan);
        let ended = ends(with_driver(manifest, &["run", "--plan", plan, "--json", "--out"]).arg(&out));
        assert_eq!(ended.code(), Some(4), "{}", ended.stderr);
        let report = report_of(&ended.stdout);
        assert!(report.devices.is_empty());
        let doctor = &report.results[0];
        assert_eq!((doctor.check.as_str(), doctor.outcome), ("doctor", Outcome::Error));
        let reason = doctor.reason.as_ref().unwrap();
        assert!(!reason.detail.is_empty() && !reason.action.is_empty(), "{reason:?}");
        assert_eq!(report.verdict.findings[0].reason.code, reason.code, "the doctor's reason comes first");
        assert!(
            doctor.notes.iter().any(|note| note.starts_with("no device is shown: ")),
            "{:?}",
            doctor.notes
        );
    }
}

#[test]
fn a_driver_manifest_that_does_not_exist_is_explained() {
    without_driver(Path::new("/nonexistent/icd.json"));
}

#[test]
fn a_driver_library_that_does_not_exist_is_explained() {
    let folder = tempfile::tempdir().unwrap();
    let manifest = folder.path().join("icd.json");
    let text = r#"{"file_format_version":"1.0.0","ICD":{"library_path":"/nonexistent/libvulkan_gone.so","api_version":"1.3.0"}}"#;
    std::fs::write(&manifest, text).unwrap();
    without_driver(&manifest);
}

#[test]
fn a_list_without_a_driver_is_an_answer_or_an_error_and_never_a_device() {
    let ended = ends(&mut with_driver(Path::new("/nonexistent/icd.json"), &["list", "--json"]));
    assert_eq!((ended.code(), ended.text().as_str()), (Some(4), ""), "{}", ended.stderr);
    assert!(ended.stderr.starts_with("error: listing vulkan devices: "), "{}", ended.stderr);
}

#[test]
fn a_bench_gives_figures_that_can_be_compared_and_none_with_a_good_word_when_an_answer_is_wrong() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("before.json").display().to_string();
    let bench = ["bench", "--only", "digest", "--seconds", "0.3", "--quiet"];
    let ended = ends(burnin(&bench).args(["--json", "--out", &file]));
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
    let document: serde_json::Value = serde_json::from_str(&ended.text()).unwrap();
    assert_eq!(document["schema"], "assay.bench/1");
    assert!(document["rows"][0]["figure"]["rate"]["median"].as_f64().unwrap() > 0.0);

    let drill = ends(burnin(&bench).args(["--plant", "wrong-word", "--compare", &file]).env("COLUMNS", "80"));
    assert_eq!(drill.code(), Some(1), "{}", drill.stderr);
    for part in ["WRONG", "DATA-MISMATCH", "BEFORE"] {
        assert!(drill.text().contains(part), "{}", drill.text());
    }
    assert!(drill.text().lines().all(|line| line.chars().count() <= 80), "{}", drill.text());
}

/// A tile of the reference device.
fn replay(more: &[&str]) -> Ended {
    let tile =
        "replay --backend cpu --device cpu-0 --check digest --seed 5 --workgroup 3 --steps 64 --workgroups 4";
    ends(burnin(&tile.split(' ').collect::<Vec<_>>()).args(more))
}

#[test]
fn a_tile_is_run_again_and_counted() {
    let ended = replay(&["--times", "9"]);
    assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
    let text = ended.text();
    assert!(text.starts_with("digest on cpu-0: workgroup 3 was wrong in 0 of 9 dispatches"), "{text}");

    let ended = replay(&["--times", "9", "--plant", "stuck-lane", "--json"]);
    assert_eq!(ended.code(), Some(1), "{}", ended.stderr);
    let found: serde_json::Value = serde_json::from_slice(&ended.stdout).unwrap();
    // The canonical dispatch and two of the tile come before the fault.
    assert_eq!((&found["dispatches"], &found["tile"]["seed"]), (&9.into(), &5.into()));
    let wrong =
        found["wrong_dispatches"].as_u64().unwrap() + found["wrong_words_elsewhere"].as_u64().unwrap();
    assert!(wrong >= 7, "{found}");
}

#[test]
fn a_tile_that_is_none_is_wrong_usage() {
    for (more, word) in [
        (&["--workgroup", "4"][..], "not one of 4"),
        (&["--check", "stream"], "`fp32`"),
        (&["--invocations", "100"], "shape"),
    ] {
        let mut arguments =
            vec!["replay", "--backend", "cpu", "--device", "cpu-0", "--seed", "5", "--steps", "64"];
        arguments.extend(["--workgroups", "4"]);
        if !more.contains(&"--check") {
            arguments.extend(["--check", "digest"]);
        }
        if !more.contains(&"--workgroup") {
            arguments.extend(["--workgroup", "3"]);
        }
        let ended = ends(burnin(&arguments).args(more));
        assert_eq!(ended.code(), Some(2), "{more:?}: {}", ended.stderr);
        assert!(ended.stderr.contains(word), "{}", ended.stderr);
    }
}
