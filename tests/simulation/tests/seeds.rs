//! A few seeds of each kind; `make simulation` plays many.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use simulation::run::{Counts, Options, Outcome, Plant, run};
use simulation::weather::Weather;

const NODES: usize = 5;

fn play(seed: u64, plant: Plant) -> Outcome {
    run(Options { seed, nodes: NODES, weather: None, plant }).unwrap()
}

#[test]
fn each_node_has_one_record_whatever_is_lost_repeated_reordered_or_restarted() {
    let mut sum = Counts::default();
    for seed in 0..40 {
        let outcome = play(seed, Plant::Nothing);
        assert_eq!(outcome.violations, [""; 0], "seed {seed}");
        sum.add(&outcome.counts);
    }
    // It did happen.
    let Counts { requests_lost, answers_lost, repeated, overtaken, server_stops, node_deaths, node_resets, .. } = sum;
    for (what, count) in [
        ("requests lost", requests_lost),
        ("answers lost", answers_lost),
        ("repeated", repeated),
        ("overtaken", overtaken),
        ("server stops", server_stops),
        ("node deaths", node_deaths),
        ("node resets", node_resets),
    ] {
        assert!(count > 10, "{what}: {count}");
    }
}

#[test]
fn a_seed_plays_the_same_again() {
    for seed in [3, 7] {
        let (once, again) = (play(seed, Plant::Nothing), play(seed, Plant::Nothing));
        assert_eq!((once.transcript, once.counts), (again.transcript, again.counts), "seed {seed}");
    }
    assert_ne!(play(3, Plant::Nothing).transcript, play(4, Plant::Nothing).transcript);
}

#[test]
fn in_fair_weather_every_request_is_made_once() {
    let fair = Options { seed: 1, nodes: NODES, weather: Some(Weather::FAIR), plant: Plant::Nothing };
    let outcome = run(fair).unwrap();
    assert_eq!(outcome.violations, [""; 0]);
    assert_eq!((outcome.counts.requests_lost, outcome.counts.server_stops), (0, 0));
}

#[test]
fn a_server_that_forgets_what_it_acknowledged_is_caught() {
    let caught = (0..20).filter(|seed| !play(*seed, Plant::ForgetfulServer).violations.is_empty()).count();
    assert!(caught > 3, "{caught}");
}

#[test]
fn a_node_that_forgets_who_it_is_is_caught() {
    let caught = (0..20).filter(|seed| !play(*seed, Plant::ForgetfulNode).violations.is_empty()).count();
    assert!(caught > 3, "{caught}");
}
