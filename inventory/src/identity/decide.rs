//! The match rule, as a pure function: the same, new, or a conflict.
//!
//! A claim is compared with each record that shares a value with it. Per record:
//!
//! - the *score* is the sum of what matches, weighed and capped;
//! - below `doubt_min` the two have nothing to do with each other;
//! - an anchor that differs while none matches tells them apart: parts have moved, the machines are two;
//! - an anchor that differs while another matches is a conflict, however high the score;
//! - a strong anchor that the record has and the claim leaves out is a conflict: to hold something back never helps;
//! - else it is the same machine from `same_min` on, and a conflict below.
//!
//! The owner of a key is compared with its own record more gently: nothing strong may differ or be left out, and
//! something must be left of what it was.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::claim::Evidence;
use super::kind::Kind;
use super::weights::{Strength, Weights};

/// What a node says it is.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Claim {
    /// The record that its key owns, if it owns one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub owner_of: Option<String>,
    /// The evidence.
    pub evidence: Vec<Evidence>,
}

/// A record that shares a value with the claim, or is the claimant's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Candidate {
    /// Its name.
    pub node: String,
    /// Is it in good standing? A node in quarantine owns nothing; what it claims only shows how common a value is.
    pub owns: bool,
    /// What it holds.
    pub evidence: Vec<Evidence>,
}

/// The end of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "is", rename_all = "snake_case")]
pub enum Outcome {
    /// The machine of this record.
    Same {
        /// Its name.
        node: String,
    },
    /// A machine that no record is about.
    New,
    /// Nobody but an operator can say.
    Conflict {
        /// The record that it conflicts with most.
        with: String,
        /// In which way.
        why: Why,
    },
}

macro_rules! whys {
    ($($(#[$doc:meta])* $variant:ident = $word:literal, $text:literal;)*) => {
        /// In which way a claim and a record conflict.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
        #[serde(rename_all = "snake_case")]
        pub enum Why { $($(#[$doc])* $variant,)* }

        impl Why {
            /// Every way there is.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word used in the store and in reasons.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }

            /// What is the matter, for people.
            pub fn text(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }
        }
    };
}

whys! {
    /// The machine of a record, with another key.
    KeyChanged = "key_changed", "the machine of a record, with another key";
    /// The TPM differs, another anchor matches.
    TpmChanged = "tpm_changed", "the TPM is another one: was it replaced, or its seed?";
    /// The board differs, another anchor matches.
    BoardChanged = "board_changed", "the board is another one: was it replaced?";
    /// The system's serial number differs, another anchor matches.
    SerialChanged = "serial_changed", "the serial number is another one: was the firmware written anew?";
    /// Nothing but the UUID matches, and what is stronger differs.
    ClonedUuid = "cloned_uuid", "the UUID is that of another machine: a clone, or a default of the firmware";
    /// Nothing that counts is left of the record of this key.
    HardwareChanged = "hardware_changed", "a known key on other hardware: was a disk moved or copied?";
    /// The record has strong evidence that the claim leaves out.
    EvidenceMissing = "evidence_missing", "evidence that the record has is missing: could it not be read?";
    /// More than chance, less than enough.
    Ambiguous = "ambiguous", "it may be the same machine or not: the evidence does not suffice";
    /// Two records match.
    TwoNodes = "two_nodes", "two records are both about this machine";
}

/// What one value added to a score.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Contribution {
    /// Which kind.
    pub kind: Kind,
    /// The values that match.
    pub values: Vec<String>,
    /// Their points, capped.
    pub points: u32,
}

/// The claim beside one record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Comparison {
    /// The record.
    pub node: String,
    /// The sum of the points.
    pub score: u32,
    /// What matches.
    pub matched: Vec<Contribution>,
    /// Strong kinds that differ.
    pub differs: Vec<Kind>,
    /// Strong kinds that the record has and the claim leaves out.
    pub missing: Vec<Kind>,
    /// What this record alone would lead to.
    pub outcome: Outcome,
}

/// The end, and all that led to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Decision {
    /// The end.
    pub outcome: Outcome,
    /// The claim beside each record in good standing, the highest score first.
    pub comparisons: Vec<Comparison>,
    /// Values that were left out, since the site calls them junk or too many nodes share them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ignored: Vec<Evidence>,
}

impl Decision {
    /// The points that speak for the record that the outcome names; 0 for a new machine.
    pub fn score(&self) -> u32 {
        let named = match &self.outcome {
            Outcome::Same { node } => node,
            Outcome::Conflict { with, .. } => with,
            Outcome::New => return 0,
        };
        self.comparisons.iter().find(|c| c.node == *named).map_or(0, |c| c.score)
    }
}

/// Which machine is it? The order of evidence and candidates does not matter.
pub fn decide(claim: &Claim, candidates: &[Candidate], weights: &Weights) -> Decision {
    let ignored = ignored(claim, candidates, weights);
    let counts = |evidence: &&Evidence| !ignored.iter().any(|junk| junk.names_the_same(evidence));
    let claimed = Set::of(claim.evidence.iter().filter(counts));
    let mut comparisons: Vec<Comparison> = candidates
        .iter()
        .filter(|candidate| candidate.owns || claim.owner_of.as_ref() == Some(&candidate.node))
        .map(|candidate| {
            let held = Set::of(candidate.evidence.iter().filter(counts));
            let own = claim.owner_of.as_ref() == Some(&candidate.node);
            compare(&claimed, &held, (&candidate.node, own), weights)
        })
        .collect();
    comparisons.sort_by(|a, b| (b.score, &a.node).cmp(&(a.score, &b.node)));
    let outcome = settle(claim, &comparisons);
    Decision { outcome, comparisons, ignored }
}

/// From the end beside each record to the end.
fn settle(claim: &Claim, comparisons: &[Comparison]) -> Outcome {
    let own = claim.owner_of.as_ref().and_then(|own| comparisons.iter().find(|c| c.node == *own));
    let others = || comparisons.iter().filter(|c| Some(&c.node) != claim.owner_of.as_ref());
    let doubt = others().find(|c| matches!(c.outcome, Outcome::Conflict { .. }));
    let mut same = others().filter(|c| matches!(c.outcome, Outcome::Same { .. }));
    let (first, second) = (same.next(), same.next());
    let two = |with: &Comparison| Outcome::Conflict { with: with.node.clone(), why: Why::TwoNodes };
    match (own, first) {
        // A stranger's claim first: a key does not excuse it.
        (Some(_), Some(other)) => two(other),
        (None, Some(_)) if second.is_some() => second.map_or(Outcome::New, two),
        _ => match (doubt, own.or(first)) {
            (Some(doubt), _) => doubt.outcome.clone(),
            (None, Some(found)) => found.outcome.clone(),
            (None, None) => match &claim.owner_of {
                // A record without any evidence: its key is all there is.
                Some(node) => Outcome::Same { node: node.clone() },
                None => Outcome::New,
            },
        },
    }
}

fn compare(claimed: &Set<'_>, held: &Set<'_>, (node, own): (&str, bool), weights: &Weights) -> Comparison {
    let (score, matched) = claimed.score(held, weights);
    let strong = |kind: &Kind| weights.of(*kind).strength == Strength::Strong;
    let differing =
        |kind: &Kind| claimed.has(*kind) && held.has(*kind) && !matched.iter().any(|c| c.kind == *kind);
    let differs: Vec<Kind> =
        Kind::ALL.iter().copied().filter(|kind| strong(kind) && differing(kind)).collect();
    let missing: Vec<Kind> = Kind::ALL
        .iter()
        .copied()
        .filter(|kind| strong(kind) && held.has(*kind) && !claimed.has(*kind))
        .collect();
    let anchors: Vec<Kind> =
        matched.iter().map(|c| c.kind).filter(|kind| weights.of(*kind).strength.is_anchor()).collect();
    let conflict = |why| Outcome::Conflict { with: node.to_owned(), why };
    let same = Outcome::Same { node: node.to_owned() };
    let outcome = if own {
        let whole = held.score(held, weights).0;
        match (differs.is_empty(), missing.is_empty()) {
            (false, _) => conflict(difference(&differs, &anchors)),
            (true, false) => conflict(Why::EvidenceMissing),
            (true, true) if score < weights.known_key_min.min(whole) => conflict(Why::HardwareChanged),
            (true, true) => same,
        }
    } else if score < weights.doubt_min || (!differs.is_empty() && anchors.is_empty()) {
        Outcome::New
    } else if !differs.is_empty() {
        conflict(difference(&differs, &anchors))
    } else if !missing.is_empty() {
        conflict(Why::EvidenceMissing)
    } else if score >= weights.same_min {
        same
    } else {
        conflict(Why::Ambiguous)
    };
    Comparison { node: node.to_owned(), score, matched, differs, missing, outcome }
}

/// The name of a contradiction.
fn difference(differs: &[Kind], anchors: &[Kind]) -> Why {
    match anchors {
        [] => Why::HardwareChanged,
        [Kind::ProductUuid] => Why::ClonedUuid,
        // With a board its TPM may have come.
        _ if differs.contains(&Kind::BoardSerial) => Why::BoardChanged,
        _ if differs.contains(&Kind::TpmEk) => Why::TpmChanged,
        _ => Why::SerialChanged,
    }
}

/// Values of claim and own record that count for nothing: the site says so, or more nodes than may share one claim it,
/// which other anchors tell apart.
fn ignored(claim: &Claim, candidates: &[Candidate], weights: &Weights) -> Vec<Evidence> {
    let own =
        candidates.iter().filter(|c| claim.owner_of.as_ref() == Some(&c.node)).flat_map(|c| &c.evidence);
    let all: BTreeSet<&Evidence> = claim.evidence.iter().chain(own).collect();
    let shared = |evidence: &Evidence| {
        let Some(max) = weights.of(evidence.kind).shared_max else { return false };
        let holders = candidates.iter().filter(|c| Some(&c.node) != claim.owner_of.as_ref());
        let holders = holders.filter(|c| c.evidence.iter().any(|held| held.names_the_same(evidence)));
        let told_apart: BTreeSet<_> =
            holders.filter_map(|c| anchor_beside(c, evidence.kind, weights)).collect();
        told_apart.len() > max as usize
    };
    all.into_iter().filter(|evidence| weights.is_junk(evidence) || shared(evidence)).cloned().collect()
}

/// What names this node besides evidence of that kind.
fn anchor_beside<'a>(candidate: &'a Candidate, kind: Kind, weights: &Weights) -> Option<(Kind, &'a str)> {
    let anchors =
        candidate.evidence.iter().filter(|e| e.kind != kind && weights.of(e.kind).strength.is_anchor());
    anchors.map(|e| (e.kind, e.value.as_str())).min()
}

/// Evidence by kind.
struct Set<'a>(BTreeMap<Kind, BTreeSet<&'a Evidence>>);

impl<'a> Set<'a> {
    fn of(evidence: impl Iterator<Item = &'a Evidence>) -> Self {
        let mut by_kind: BTreeMap<Kind, BTreeSet<&Evidence>> = BTreeMap::new();
        for one in evidence {
            by_kind.entry(one.kind).or_default().insert(one);
        }
        Self(by_kind)
    }

    fn has(&self, kind: Kind) -> bool {
        self.0.contains_key(&kind)
    }

    /// The points of what both hold, by kind.
    fn score(&self, other: &Self, weights: &Weights) -> (u32, Vec<Contribution>) {
        let mut matched = Vec::new();
        for (kind, ours) in &self.0 {
            let Some(theirs) = other.0.get(kind) else { continue };
            let both = ours.iter().filter(|one| theirs.iter().any(|other| one.names_the_same(other)));
            let values: BTreeSet<String> = both.map(|one| one.value.clone()).collect();
            if !values.is_empty() {
                let points = weights.points(*kind, values.len());
                matched.push(Contribution { kind: *kind, values: values.into_iter().collect(), points });
            }
        }
        (matched.iter().map(|c| c.points).sum(), matched)
    }
}
