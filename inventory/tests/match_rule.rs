//! What the match rule promises, whatever the evidence.

#![allow(clippy::unwrap_used, reason = "a test ends where it breaks")]

use inventory::identity::{
    Candidate, Claim, Effect, Evidence, Kind, NewKey, Outcome, Weights, Why, decide, effect,
};
use proptest::prelude::*;
use proptest::sample::{select, subsequence};

/// Few values of each kind, so that sets overlap in all ways.
fn one() -> impl Strategy<Value = Evidence> {
    let vendor = select(vec![None, None, Some("a".to_owned()), Some("b".to_owned())]);
    (select(Kind::ALL), 0..3u8, vendor).prop_map(|(kind, value, vendor)| Evidence {
        kind,
        value: format!("{kind}-{value}"),
        vendor: vendor.filter(|_| matches!(kind, Kind::BoardSerial | Kind::ProductSerial)),
    })
}

/// A set that a machine can have: of what it has one of, at most one.
fn set() -> impl Strategy<Value = Vec<Evidence>> {
    prop::collection::vec(one(), 0..10).prop_map(|evidence| {
        let mut set: Vec<Evidence> = Vec::new();
        for one in evidence {
            if !(one.kind.is_single() && set.iter().any(|other| other.kind == one.kind)) {
                set.push(one);
            }
        }
        set.sort();
        set.dedup();
        set
    })
}

fn candidates(most: usize) -> impl Strategy<Value = Vec<Candidate>> {
    prop::collection::vec((set(), prop::bool::weighted(0.8)), 0..most).prop_map(|sets| {
        let named = sets.into_iter().enumerate();
        named.map(|(n, (evidence, owns))| Candidate { node: format!("node-{n}"), owns, evidence }).collect()
    })
}

/// A claim, perhaps by the owner of one of the records, with some of it left out.
fn case(most: usize) -> impl Strategy<Value = (Claim, Claim, Vec<Candidate>)> {
    (set(), candidates(most), any::<prop::sample::Index>(), any::<bool>()).prop_flat_map(
        |(evidence, candidates, index, known)| {
            let owner_of = (known && !candidates.is_empty())
                .then(|| candidates[index.index(candidates.len())].node.clone());
            let all = evidence.len();
            let fewer = subsequence(evidence.clone(), 0..=all);
            let claim = Claim { owner_of: owner_of.clone(), evidence };
            (
                Just(claim),
                fewer.prop_map(move |evidence| Claim { owner_of: owner_of.clone(), evidence }),
                Just(candidates),
            )
        },
    )
}

/// Do two sets name one machine as far as anybody can see? Used as a second opinion on `Same`.
fn contradict(claim: &[Evidence], record: &[Evidence]) -> bool {
    [Kind::TpmEk, Kind::BoardSerial, Kind::ProductSerial].iter().any(|kind| {
        let of = |set: &[Evidence]| set.iter().find(|e| e.kind == *kind).cloned();
        match (of(claim), of(record)) {
            (Some(claimed), Some(held)) => !claimed.names_the_same(&held),
            (None, Some(_)) => true,
            _ => false,
        }
    })
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn the_order_of_evidence_and_of_records_does_not_matter((claim, _, candidates) in case(4)) {
        let weights = Weights::default();
        let decision = decide(&claim, &candidates, &weights);
        let turned = Claim { evidence: claim.evidence.iter().rev().cloned().collect(), ..claim.clone() };
        let records: Vec<_> = candidates.iter().rev().cloned().map(|mut c| { c.evidence.reverse(); c }).collect();
        prop_assert_eq!(decide(&turned, &records, &weights), decision);
    }

    #[test]
    fn to_leave_evidence_out_never_turns_a_conflict_into_the_same((claim, fewer, candidates) in case(2)) {
        let weights = Weights::default();
        let whole = decide(&claim, &candidates, &weights);
        let part = decide(&fewer, &candidates, &weights);
        for record in &whole.comparisons {
            let Outcome::Conflict { .. } = record.outcome else { continue };
            let same = Outcome::Same { node: record.node.clone() };
            prop_assert_ne!(&part.outcome, &same, "{:?} -> {:?}", whole, part);
        }
    }

    #[test]
    fn nobody_is_the_same_against_strong_evidence_and_no_two_are((claim, _, candidates) in case(4)) {
        let weights = Weights::default();
        let decision = decide(&claim, &candidates, &weights);
        let same: Vec<_> =
            decision.comparisons.iter().filter(|c| matches!(c.outcome, Outcome::Same { .. })).collect();
        if let Outcome::Same { node } = &decision.outcome {
            prop_assert!(same.iter().all(|c| c.node == *node), "{decision:?}");
            if let Some(record) = candidates.iter().find(|c| c.node == *node) {
                prop_assert!(record.owns || claim.owner_of.as_ref() == Some(node));
                prop_assert!(!contradict(&claim.evidence, &record.evidence), "{decision:?}");
            }
        }
    }

    /// A record goes on under another key only for a claim that is of the same machine, or may be and nothing speaks
    /// against it; and by default only with a token made for it.
    #[test]
    fn no_record_moves_to_another_key_without_the_operators_word(
        (claim, _, candidates) in case(4),
        token_for in prop::option::of(0..4usize),
        policy in select(vec![NewKey::Never, NewKey::BoundToken, NewKey::AnyToken]),
    ) {
        let weights = Weights { new_key: policy, ..Weights::default() };
        let decision = decide(&claim, &candidates, &weights);
        let token_for = token_for.map(|n| format!("node-{n}"));
        match effect(&claim, &decision, token_for.as_deref(), &weights) {
            Effect::Rekey { node } => {
                prop_assert!(claim.owner_of.is_none());
                prop_assert_ne!(policy, NewKey::Never);
                prop_assert!(policy == NewKey::AnyToken || token_for.as_ref() == Some(&node));
                let record = candidates.iter().find(|c| c.node == node).unwrap();
                prop_assert!(record.owns && !contradict(&claim.evidence, &record.evidence));
            }
            Effect::Keep => prop_assert!(claim.owner_of.is_some()),
            Effect::Create => prop_assert_eq!(decision.outcome, Outcome::New),
            Effect::Refuse { .. } => prop_assert!(claim.owner_of.is_some()),
            Effect::Quarantine { with, .. } => prop_assert_ne!(Some(with), claim.owner_of),
            Effect::RefuseToken => prop_assert!(token_for.is_some()),
        }
    }
}

fn evidence(kind: Kind, value: &str) -> Evidence {
    Evidence { kind, value: value.to_owned(), vendor: None }
}

/// Records of machines that boards tell apart and that share one more value.
fn sharing(shared: &Evidence, count: usize, owns: bool) -> Vec<Candidate> {
    let of = |n| vec![shared.clone(), evidence(Kind::BoardSerial, &format!("b{n}"))];
    (0..count).map(|n| Candidate { node: format!("node-{n}"), owns, evidence: of(n) }).collect()
}

#[test]
fn an_address_that_many_nodes_share_is_learned_to_be_junk() {
    let weights = Weights::default();
    let usb = evidence(Kind::Mac, "00:e0:4c:68:00:01");
    let claim = Claim { owner_of: None, evidence: vec![usb.clone(), evidence(Kind::ChassisSerial, "c1")] };
    for (holders, learned) in [(3, false), (4, true)] {
        let decision = decide(&claim, &sharing(&usb, holders, true), &weights);
        assert_eq!(!decision.ignored.is_empty(), learned, "{holders}");
        assert_eq!(decision.comparisons[0].score, if learned { 0 } else { 20 });
    }
}

#[test]
fn a_default_serial_number_is_learned_even_from_nodes_in_quarantine() {
    let weights = Weights::default();
    let serial = evidence(Kind::ProductSerial, "sys-default");
    let claim = Claim { owner_of: None, evidence: vec![serial.clone(), evidence(Kind::BoardSerial, "b99")] };
    let records = |count| {
        let mut records = sharing(&serial, count, false);
        records[0].owns = true;
        records
    };
    let few = decide(&claim, &records(8), &weights).outcome;
    assert_eq!(few, Outcome::Conflict { with: "node-0".to_owned(), why: Why::BoardChanged });
    assert_eq!(decide(&claim, &records(9), &weights).outcome, Outcome::New);
}

#[test]
fn clones_that_nothing_tells_apart_teach_nothing_and_neither_does_a_uuid() {
    let weights = Weights::default();
    let serial = evidence(Kind::ProductSerial, "s1");
    let alike: Vec<_> = (0..40)
        .map(|n| Candidate { node: format!("node-{n}"), owns: n == 0, evidence: vec![serial.clone()] })
        .collect();
    let claim = Claim { owner_of: None, evidence: vec![serial] };
    assert!(matches!(decide(&claim, &alike, &weights).outcome, Outcome::Conflict { .. }));
    let uuid = evidence(Kind::ProductUuid, "u1");
    let claim = Claim { owner_of: None, evidence: vec![uuid.clone(), evidence(Kind::BoardSerial, "b99")] };
    let outcome = decide(&claim, &sharing(&uuid, 40, true), &weights).outcome;
    assert!(matches!(outcome, Outcome::Conflict { why: Why::ClonedUuid, .. }), "{outcome:?}");
}

#[test]
fn a_decision_says_what_each_kind_added() {
    let weights = Weights::default();
    let mac = |n: u8| evidence(Kind::Mac, &format!("b8:3f:d2:00:00:{n:02x}"));
    let all: Vec<_> = (0..8).map(mac).chain([evidence(Kind::BoardSerial, "b1")]).collect();
    let record = Candidate { node: "node-a".to_owned(), owns: true, evidence: all.clone() };
    let decision = decide(&Claim { owner_of: None, evidence: all }, &[record], &weights);
    let points: Vec<_> =
        decision.comparisons[0].matched.iter().map(|c| (c.kind, c.values.len(), c.points)).collect();
    assert_eq!(points, [(Kind::BoardSerial, 1, 60), (Kind::Mac, 8, 60)]);
    assert_eq!((decision.score(), decision.outcome), (120, Outcome::Same { node: "node-a".to_owned() }));
}
