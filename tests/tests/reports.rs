//! Reports as a person gets them from the programs: written beside a run, turned into other forms, held against each other,
//! packed and checked.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "published/mod.rs"]
mod published;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use stories::process::{Ended, run};
use stories::{burnin, turn};

const PATIENCE: Duration = Duration::from_secs(180);

fn ends(command: &mut Command) -> Ended {
    run(command, PATIENCE)
}

/// A short run on the software device, with this fault or none, and the word for its verdict. Without a fault it may be
/// `unknown` where other work on this machine makes its clocks disagree: that the device is healthy is another test's.
fn burned_in(folder: &Path, plant: Option<&str>) -> (PathBuf, &'static str) {
    let _turn = turn();
    let out = folder.join(plant.unwrap_or("healthy"));
    let mut command = burnin(&["run", "--plan", "smoke-software", "--quiet", "--out"]);
    command.arg(&out);
    if let Some(fault) = plant {
        command.args(["--plant", fault]);
    }
    let ended = ends(&mut command);
    let word = match (plant, ended.code()) {
        (None, Some(0)) => "healthy",
        (None, Some(4)) => "unknown",
        (Some(_), Some(1)) => "faulty",
        (_, code) => panic!("{code:?}: {}{}", ended.text(), ended.stderr),
    };
    (out, word)
}

#[test]
fn two_runs_are_shown_compared_packed_and_checked() {
    let folder = tempfile::tempdir().unwrap();
    let (well, sick) = (burned_in(folder.path(), None), burned_in(folder.path(), Some("flipped-bit")));
    for (run, word) in [&well, &sick] {
        published::assert_published(&std::fs::read(run.join("report.json")).unwrap());
        let page = std::fs::read_to_string(run.join("report.html")).unwrap();
        assert!(page.contains(&format!("</span> {word}</h1>")) && page.contains("Checks and telemetry of"));
        for (format, begins) in [
            ("html", "<!DOCTYPE html>"),
            ("markdown", "# "),
            ("csv", "run_id,node,device"),
            ("junit", "<?xml"),
            ("text", word.to_uppercase().as_str()),
            ("json", "{"),
        ] {
            let ended = ends(burnin(&["report", "--format", format]).arg(run));
            assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
            assert!(ended.text().starts_with(begins), "{format}: {}", &ended.text()[..60]);
            assert!(
                format != "html" || ended.text().trim_end() == page.trim_end(),
                "the page beside the report"
            );
        }
    }
    compared(&well.0, &sick.0);
    packed(folder.path(), &well);
}

/// A run is not worse than itself, and a node whose answers are wrong is.
fn compared(well: &Path, sick: &Path) {
    let same = ends(burnin(&["compare"]).arg(well).arg(well));
    // The smoke plan has few windows: too few for a figure to be compared, and that is said.
    assert!(matches!(same.code(), Some(0 | 4)), "{}{}", same.text(), same.stderr);
    assert!(same.text().contains(": 0 figures really worse, 0 really better"), "{}", same.text());
    let worse = ends(burnin(&["compare"]).arg(well).arg(sick));
    assert_eq!(worse.code(), Some(1), "{}", worse.text());
    assert!(
        worse.text().contains("was pass, is fail") && worse.text().contains("planted:flipped-bit"),
        "{}",
        worse.text()
    );
}

fn packed(folder: &Path, (well, word): &(PathBuf, &str)) {
    let (secret, public, bundle) = (folder.join("key"), folder.join("key.pub"), folder.join("node.assay"));
    std::fs::write(&secret, "2a".repeat(32)).unwrap();
    let open = ends(burnin(&["bundle", "--out", "/nowhere", "--key"]).arg(&secret).arg(well));
    assert_eq!(open.code(), Some(2), "a key that others can read: {}", open.stderr);
    std::fs::set_permissions(&secret, std::fs::Permissions::from_mode(0o600)).unwrap();
    let made = ends(burnin(&["bundle", "--key"]).arg(&secret).arg("--out").arg(&bundle).arg(well));
    assert_eq!(made.code(), Some(0), "{}", made.stderr);
    let signer = made.text().lines().next().unwrap().rsplit(' ').next().unwrap().to_owned();
    std::fs::write(&public, &signer).unwrap();
    let alone = ends(burnin(&["verify"]).arg(&bundle));
    assert_eq!(alone.code(), Some(4), "no key, no trust: {}", alone.text());
    let checked = ends(burnin(&["verify", "--key"]).arg(&public).arg(&bundle));
    assert_eq!(checked.code(), Some(0), "{}", checked.text());
    assert!(
        checked.text().contains("INTACT") && checked.text().contains(&format!("verdict {word}")),
        "{}",
        checked.text()
    );
    let mut bytes = std::fs::read(&bundle).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    std::fs::write(&bundle, bytes).unwrap();
    let harmed = ends(burnin(&["verify", "--json", "--key"]).arg(&public).arg(&bundle));
    assert_eq!(harmed.code(), Some(1), "{}", harmed.text());
    let found: serde_json::Value = serde_json::from_slice(&harmed.stdout).unwrap();
    assert!(found["intact"] == false && !found["faults"].as_array().unwrap().is_empty());
}

#[test]
fn what_is_no_report_is_told_from_one_with_what_to_do() {
    let folder = tempfile::tempdir().unwrap();
    let older = r#"{"schema":"assay.report/0"}"#;
    let newer = serde_json::to_string(&{
        let golden =
            Path::new(env!("CARGO_MANIFEST_DIR")).join("../burnin/report/tests/golden/healthy-software.json");
        let mut value: serde_json::Value = serde_json::from_slice(&std::fs::read(golden).unwrap()).unwrap();
        value["schema"] = "assay.report/2".into();
        value
    })
    .unwrap();
    for (name, contents, words) in [
        ("older.json", older.to_owned(), "`assay.report/0`, this version reads"),
        ("newer.json", newer.clone(), "`assay.report/2`, this version reads `assay.report/1`"),
        ("cut.json", newer[..newer.len() / 2].to_owned(), "EOF while parsing"),
        ("none.json", "\u{1b}[2J<html>".to_owned(), "expected value at line 1 column 1"),
    ] {
        let path = folder.path().join(name);
        std::fs::write(&path, contents).unwrap();
        for verb in [&["report", "--format", "html"][..], &["show"]] {
            let ended = ends(burnin(verb).arg(&path));
            assert_eq!((ended.code(), ended.text().as_str()), (Some(4), ""), "{name}");
            assert!(
                ended.stderr.contains(words) && !ended.stderr.contains('\u{1b}'),
                "{name}: {}",
                ended.stderr
            );
        }
    }
    let gone = ends(&mut burnin(&["report", "/nonexistent"]));
    assert_eq!(gone.code(), Some(2));
}
