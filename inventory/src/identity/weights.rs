//! Weights and policy of the match rule, as data with a lint.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde::{Deserialize, Serialize};

use super::claim::{Evidence, normal};
use super::kind::Kind;
use super::sha256_hex;

/// The weights that are built in.
const BUILT_IN: &str = include_str!("weights.toml");

/// Weights and policy of the match rule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weights {
    /// From this score on a claim is of the same machine as a record.
    pub same_min: u32,
    /// Below this score a claim has nothing to do with a record.
    pub doubt_min: u32,
    /// What the owner of a key must still show of its record, if the record holds as much.
    pub known_key_min: u32,
    /// What a new key may do on hardware that has a record.
    pub new_key: NewKey,
    /// Each kind.
    pub kinds: BTreeMap<Kind, Weight>,
    /// Values that the site knows to be shared.
    pub junk: BTreeMap<Kind, BTreeSet<String>>,
}

/// What a new key may do on hardware that has a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum NewKey {
    /// Nothing: it is quarantined.
    Never,
    /// Take the record over with a token that was made for this node.
    BoundToken,
    /// Take the record over with any token.
    AnyToken,
}

/// What a kind of evidence is good for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Strength {
    /// An anchor that must not differ nor be left out.
    Strong,
    /// An anchor that firmware changes by itself.
    Medium,
    /// A part.
    Weak,
    /// Where the machine stands.
    Hint,
}

impl Strength {
    /// Does it name the machine itself, not a part of it?
    pub fn is_anchor(self) -> bool {
        matches!(self, Self::Strong | Self::Medium)
    }
}

/// What one kind of evidence counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weight {
    /// What it is good for.
    pub strength: Strength,
    /// Points for each value that matches.
    pub weight: u32,
    /// Most points of this kind.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cap: Option<u32>,
    /// How many nodes may claim one value before it is a maker's default.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub shared_max: Option<u32>,
}

/// Why weights cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum WeightsError {
    /// The file cannot be read.
    #[error("reading the weights of identity from `{path}`")]
    Read {
        /// Which file.
        path: String,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Not TOML, or not these keys.
    #[error("`{path}` is no table of weights: {}", .source.message())]
    Malformed {
        /// Which file.
        path: String,
        /// Why.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// Weights with which the rule would not hold what it promises.
    #[error("`{path}`: {}: mend it, or take the file away for the weights that are built in", .faults.join("; "))]
    Lint {
        /// Which file.
        path: String,
        /// All that is wrong.
        faults: Vec<String>,
    },
}

impl Default for Weights {
    /// Those that are built in.
    fn default() -> Self {
        // A test reads them; they are part of the program.
        Self::from_toml("built in", BUILT_IN).unwrap_or_else(|error| panic!("{error}"))
    }
}

impl Weights {
    /// Reads a file.
    pub fn load(path: &Path) -> Result<Self, WeightsError> {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path)
            .map_err(|source| WeightsError::Read { path: name.clone(), source })?;
        Self::from_toml(&name, &text)
    }

    /// From the text of a file of that name.
    pub fn from_toml(path: &str, text: &str) -> Result<Self, WeightsError> {
        let mut weights: Self = toml::from_str(text)
            .map_err(|source| WeightsError::Malformed { path: path.to_owned(), source: Box::new(source) })?;
        for values in weights.junk.values_mut() {
            *values = values.iter().map(|value| normal(value)).collect();
        }
        match weights.lint() {
            faults if faults.is_empty() => Ok(weights),
            faults => Err(WeightsError::Lint { path: path.to_owned(), faults }),
        }
    }

    /// The whole as JSON, which a decision is stored with.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// SHA-256 of that.
    pub fn digest(&self) -> String {
        sha256_hex(self.to_json().as_bytes())
    }

    /// What a kind counts; nothing for one that is not weighed, which the lint does not let in.
    pub fn of(&self, kind: Kind) -> Weight {
        const NOTHING: Weight = Weight { strength: Strength::Hint, weight: 0, cap: None, shared_max: None };
        self.kinds.get(&kind).copied().unwrap_or(NOTHING)
    }

    /// Does the site call this value junk?
    pub fn is_junk(&self, evidence: &Evidence) -> bool {
        self.junk.get(&evidence.kind).is_some_and(|values| values.contains(&evidence.value))
    }

    /// The points of so many matches of a kind.
    pub fn points(&self, kind: Kind, matches: usize) -> u32 {
        let weight = self.of(kind);
        let sum = weight.weight.saturating_mul(u32::try_from(matches).unwrap_or(u32::MAX));
        sum.min(weight.cap.unwrap_or(if kind.is_single() { weight.weight } else { u32::MAX }))
    }

    /// Most nodes that must be known to hold one value, so that sharing can be learned.
    pub fn holders_max(&self) -> u32 {
        self.kinds.values().filter_map(|weight| weight.shared_max).max().unwrap_or(0) + 1
    }

    /// All that would make the rule break a promise.
    fn lint(&self) -> Vec<String> {
        let mut faults = Vec::new();
        let mut must = |holds: bool, fault: String| {
            if !holds {
                faults.push(fault);
            }
        };
        must(self.doubt_min >= 1, "doubt_min must be at least 1: otherwise every claim conflicts".to_owned());
        must(self.doubt_min <= self.same_min, "doubt_min must not be above same_min".to_owned());
        must(
            self.known_key_min >= 1,
            "known_key_min must be at least 1: a key alone is no machine".to_owned(),
        );
        for kind in Kind::ALL {
            match self.kinds.get(kind) {
                None => must(false, format!("kinds.{kind} is missing")),
                Some(weight) => self.lint_kind(*kind, *weight, &mut must),
            }
        }
        let strong = self.kinds.values().filter(|weight| weight.strength == Strength::Strong).count();
        must(strong > 0, "no kind is strong: nothing could contradict a forged claim".to_owned());
        faults
    }

    fn lint_kind(&self, kind: Kind, weight: Weight, must: &mut impl FnMut(bool, String)) {
        let Weight { strength, weight: points, cap, shared_max } = weight;
        must((1..=1000).contains(&points), format!("kinds.{kind}.weight must be from 1 to 1000"));
        must(cap.is_none_or(|cap| cap >= points), format!("kinds.{kind}.cap must not be below its weight"));
        must(
            kind.is_single() == cap.is_none(),
            format!("kinds.{kind}.cap is for kinds that a machine has several of, and needed there"),
        );
        must(
            shared_max.is_none_or(|n| (2..=64).contains(&n)),
            format!("kinds.{kind}.shared_max must be from 2 to 64"),
        );
        let all = self.points(kind, usize::MAX);
        match strength {
            Strength::Strong | Strength::Medium => {
                must(
                    kind.is_single(),
                    format!("kinds.{kind} cannot be an anchor: a machine has several of it"),
                );
                must(
                    all >= self.doubt_min,
                    format!(
                        "kinds.{kind} is an anchor and must reach doubt_min by itself: else a clone is let in"
                    ),
                );
                let learned = kind != Kind::TpmEk && strength == Strength::Strong;
                must(
                    learned || shared_max.is_none(),
                    format!(
                        "kinds.{kind}.shared_max: sharing of it must not be learned, clones would learn it"
                    ),
                );
            }
            Strength::Weak => must(
                all < self.same_min,
                format!("kinds.{kind} is weak and must not reach same_min by itself: parts move"),
            ),
            Strength::Hint => must(
                all < self.doubt_min,
                format!("kinds.{kind} is a hint and must not reach doubt_min by itself"),
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(from: &str, to: &str) -> Result<Weights, WeightsError> {
        assert!(BUILT_IN.contains(from), "{from}");
        Weights::from_toml("test.toml", &BUILT_IN.replacen(from, to, 1))
    }

    #[test]
    fn the_built_in_weights_pass_the_lint_and_are_a_safe_default() {
        let weights = Weights::default();
        assert_eq!(weights.new_key, NewKey::BoundToken);
        assert_eq!(weights, Weights::default());
        assert_eq!(weights.digest().len(), 64);
    }

    #[test]
    fn an_unknown_key_or_kind_is_an_error() {
        for (from, to) in [
            ("same_min = 100", "same_min = 100\nsame_max = 1"),
            ("[kinds.mac]", "[kinds.mac_address]"),
            ("cap = 60", "cap = 60\ncolour = 1"),
            ("new_key = \"bound_token\"", "new_key = \"whoever\""),
            ("[junk]", "[junk]\nhostname = [\"a\"]"),
        ] {
            let error = with(from, to).unwrap_err();
            assert!(matches!(error, WeightsError::Malformed { .. }), "{to}: {error}");
        }
    }

    #[test]
    fn the_lint_finds_each_weight_with_which_the_rule_would_not_hold() {
        for (from, to, says) in [
            ("doubt_min = 40", "doubt_min = 101", "above same_min"),
            ("doubt_min = 40", "doubt_min = 0", "every claim conflicts"),
            ("known_key_min = 20", "known_key_min = 0", "a key alone"),
            ("weight = 100", "weight = 0", "kinds.tpm_ek.weight"),
            ("weight = 40", "weight = 39", "a clone is let in"),
            ("weight = 40", "weight = 40\nshared_max = 8", "clones would learn it"),
            ("weight = 100", "weight = 100\nshared_max = 8", "clones would learn it"),
            ("cap = 60", "cap = 100", "parts move"),
            ("cap = 60", "cap = 10", "below its weight"),
            ("cap = 10\n", "cap = 40\n", "is a hint"),
            ("shared_max = 8", "shared_max = 1", "from 2 to 64"),
            ("[kinds.lldp]\nstrength = \"hint\"\nweight = 5\ncap = 10\n", "", "kinds.lldp is missing"),
            (
                "strength = \"weak\"\nweight = 20\ncap = 60",
                "strength = \"strong\"\nweight = 20\ncap = 60",
                "cannot be an anchor",
            ),
        ] {
            let error = with(from, to).unwrap_err().to_string();
            assert!(error.contains(says), "{to}: {error}");
        }
    }

    #[test]
    fn what_the_site_calls_junk_is_compared_in_the_form_of_evidence() {
        let weights = with("[junk]", "[junk]\nproduct_serial = [\" SYS-Default \"]").unwrap();
        let evidence = Evidence { kind: Kind::ProductSerial, value: "sys-default".to_owned(), vendor: None };
        assert!(weights.is_junk(&evidence));
        assert!(!weights.is_junk(&Evidence { kind: Kind::BoardSerial, ..evidence }));
    }
}
