//! The program as a person or a script meets it.

use std::process::{Command, Output};

use burnin::calibrate::document::Calibration;

fn calibrate(arguments: &[&str]) -> Output {
    let program = Command::new(env!("CARGO_BIN_EXE_burnin")).arg("calibrate").args(arguments).output();
    program.unwrap()
}

const SMALL: [&str; 8] =
    ["--backend", "cpu", "--checker", "digest", "--injections", "5", "--clean-rounds", "50"];

#[test]
fn it_prints_a_table_or_a_document_and_exits_with_0_when_every_claim_holds() {
    let output = calibrate(&SMALL);
    let text = String::from_utf8(output.stdout).unwrap();
    assert!(output.status.success() && text.ends_with("every claim holds\n"), "{text}");
    assert!(text.contains("one-bit") && text.contains("0 false alarms") && text.contains("1e-15"), "{text}");

    let output = calibrate(&[&SMALL[..], &["--json"]].concat());
    let document: Calibration = serde_json::from_slice(&output.stdout).unwrap();
    assert!(document.holds() && document.clean.rounds >= 50);
    assert_eq!(document.names(), ["digest"]);
}

#[test]
fn a_document_that_was_written_is_shown_again_as_markdown_with_its_claims_judged_anew() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("calibration.json");
    let file = path.to_str().unwrap();
    assert!(calibrate(&[&SMALL[..], &["--out", file]].concat()).status.success());
    let shown = calibrate(&["--show", file, "--markdown"]);
    let text = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.status.success() && text.contains("| one-bit | 100 |"), "{text}");

    let mut document: Calibration = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    document.cells[0].found -= 1;
    std::fs::write(&path, serde_json::to_vec(&document).unwrap()).unwrap();
    assert_eq!(calibrate(&["--show", file]).status.code(), Some(1));
    std::fs::write(&path, "{}").unwrap();
    assert_eq!(calibrate(&["--show", file]).status.code(), Some(2));
}

#[test]
fn an_injection_is_replayed_by_its_seed() {
    let seed = "0x0123456789abcdef";
    let replay = ["--backend", "cpu", "--checker", "digest", "--class", "many-bits", "--replay", seed];
    let (first, second) = (calibrate(&replay), calibrate(&replay));
    let text = String::from_utf8(first.stdout.clone()).unwrap();
    assert!(first.status.success() && text.starts_with("found: "), "{text}");
    assert_eq!(first.stdout, second.stdout);
}

#[test]
fn a_checker_that_there_is_not_is_named_with_those_that_there_are() {
    let output = calibrate(&["--backend", "cpu", "--checker", "nothing"]);
    let text = String::from_utf8(output.stderr).unwrap();
    assert!(
        output.status.code() == Some(2) && text.contains("no checker `nothing`; there are digest"),
        "{text}"
    );
}
