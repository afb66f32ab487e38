//! Stories of the field, replayed: what nodes claim one after the other, what operators decide, and what must come of it.
//! The stories are the `.toml` files beside this one; they run against the real store, all in one, so that each is a
//! bystander of all others.
//!
//! A machine is a letter, and has one thing of each kind that is named by it: TPM, board, serial, UUID, chassis, two MAC
//! addresses (`A0`, `A1`), two NVMe disks, two GPUs, a switch port. A step `enrol`s it
//! - with its own key, or with `key`;
//! - `with` some things replaced (`=...` is a literal value), `without` some or `only` some, in a step or a whole story;
//! - `times` over, each time another machine: `B.0`, `B.1`;
//! - with a token made `token_for` a record.
//!
//! A record has the name of the key that made it. Expected are the `outcome` of the rule and the record it is `on`, the
//! `effect`, the `why`, the head of the `reason` of the claimant's record, its `state`, or the code with which it is
//! `refused`. A node that is let in then hands in a good report, so that it has something to lose.
//!
//! After each step, whatever it was: every record but the one that the step is about is as it was before, each decision
//! in the store gives the same again from its own inputs and weights, and no two nodes in good standing hold one TPM or,
//! unless it was learned to be junk, one board.

#![allow(clippy::unwrap_used, reason = "a test ends where it breaks")]

#[path = "../support/mod.rs"]
mod support;
mod replay;
mod story;

use std::collections::BTreeSet;
use std::io::Write as _;

use inventory::identity::Why;
use replay::World;
use story::{Step, Story, corpus};

/// As many as the corpus must hold.
const STORIES_MIN: usize = 40;

#[test]
fn every_story_of_the_corpus_ends_as_it_should_and_nobody_loses_a_record() {
    let stories = corpus();
    assert!(stories.len() >= STORIES_MIN, "{} stories", stories.len());
    let mut world = World::new();
    let steps: usize = stories.iter().map(|story| world.tell(story)).sum();
    let _ = writeln!(std::io::stderr(), "{} stories in {steps} steps: no owner displaced", stories.len());
}

#[test]
fn the_corpus_names_each_story_once_and_meets_every_kind_of_conflict() {
    let stories = corpus();
    let names: BTreeSet<_> = stories.iter().map(|story| &story.name).collect();
    assert_eq!(names.len(), stories.len());
    let met: BTreeSet<&str> = stories
        .iter()
        .flat_map(|story: &Story| &story.steps)
        .filter_map(|step| match step {
            Step::Enrol(enrol) => enrol.why.as_deref().or(enrol.reason.as_deref()),
            Step::Verb(_) => None,
        })
        .collect();
    for why in Why::ALL {
        assert!(met.contains(why.as_str()), "no story ends in {}", why.as_str());
    }
}
