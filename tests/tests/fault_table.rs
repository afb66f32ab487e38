//! Every fault of the table that is not left to `make faults`: it arrives, and ends as its row says. Without a fault the layer changes nothing.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::time::Duration;

use stories::faults::{Table, run};
use stories::{burnin, layer, process, turn};

#[test]
fn every_fault_arrives_and_ends_as_its_row_says() {
    let _turn = turn();
    let table = Table::of_the_tree().unwrap();
    let bad: Vec<_> = table
        .rows
        .iter()
        .filter(|row| !row.long)
        .map(|row| (&row.id, run(row)))
        .filter(|(_, seen)| !seen.holds())
        .collect();
    assert!(bad.is_empty(), "{bad:#?}");
}

#[test]
fn a_row_whose_fault_does_not_arrive_fails() {
    let _turn = turn();
    let mut row =
        Table::of_the_tree().unwrap().rows.into_iter().find(|row| row.id == "lost-at-submit").unwrap();
    row.inject = stories::faults::Inject::Layer("lost:after=1000000".to_owned());
    let seen = run(&row);
    assert_eq!(seen.arrivals, 0);
    assert!(seen.amiss.iter().any(|why| why == "the fault did not arrive"), "{seen:?}");
}

#[test]
fn the_layer_without_a_fault_changes_nothing() {
    let _turn = turn();
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let mut command = burnin(&["run", "--plan", "smoke-software", "--quiet", "--out"]);
    let arrivals = layer::below(command.arg(&out), "", folder.path());
    let ended = process::run(&mut command, Duration::from_secs(120));
    assert_eq!(ended.code(), Some(0), "{}", ended.text());
    assert!(arrivals.lines().is_empty());
}

#[test]
fn a_plan_of_faults_that_nobody_understands_is_no_clean_run() {
    let folder = tempfile::tempdir().unwrap();
    let out = folder.path().join("out");
    let mut command = burnin(&["run", "--plan", "smoke-software", "--quiet", "--out"]);
    layer::below(command.arg(&out), "lots:after=3", folder.path());
    let ended = process::run(&mut command, Duration::from_secs(120));
    assert_eq!(ended.code(), Some(4), "{}", ended.text());
    assert!(ended.stderr.contains("there is no fault `lots`"), "{}", ended.stderr);
}
