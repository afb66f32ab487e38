//! A story as it is written down.

use std::collections::BTreeMap;

use inventory::identity::NewKey;
use serde::Deserialize;

const FILES: [(&str, &str); 4] = [
    ("keys.toml", include_str!("keys.toml")),
    ("hardware.toml", include_str!("hardware.toml")),
    ("clones.toml", include_str!("clones.toml")),
    ("operators.toml", include_str!("operators.toml")),
];

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Volume {
    story: Vec<Story>,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Story {
    pub name: String,
    pub new_key: Option<NewKey>,
    pub junk: Option<Junk>,
    pub only: Option<Vec<String>>,
    pub without: Option<Vec<String>>,
    pub steps: Vec<Step>,
}

/// A value that the site calls junk.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Junk {
    pub kind: inventory::identity::Kind,
    pub value: String,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub enum Step {
    Enrol(Box<Enrol>),
    Verb(Box<Verb>),
}

/// A machine asks to be let in.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Enrol {
    pub enrol: String,
    pub key: Option<String>,
    pub token_for: Option<String>,
    #[serde(default)]
    pub with: BTreeMap<String, Things>,
    pub only: Option<Vec<String>>,
    pub without: Option<Vec<String>>,
    pub times: Option<usize>,
    /// The very same request as in the step before.
    #[serde(default)]
    pub again: bool,
    pub outcome: Option<String>,
    pub on: Option<String>,
    pub why: Option<String>,
    pub effect: Option<String>,
    pub reason: Option<String>,
    pub state: Option<String>,
    pub refused: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub enum Things {
    One(String),
    Several(Vec<String>),
}

/// An operator decides.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Verb {
    pub verb: String,
    pub keep: Option<String>,
    pub gone: Option<String>,
    pub old: Option<String>,
    pub new: Option<String>,
    pub node: Option<String>,
    #[serde(default)]
    pub evidence: BTreeMap<String, String>,
    pub state: Option<String>,
    pub refused: Option<String>,
    /// It was decided before.
    #[serde(default)]
    pub again: bool,
}

/// All stories.
pub fn corpus() -> Vec<Story> {
    let read = |(file, text): &(&str, &str)| {
        let volume: Volume = toml::from_str(text).unwrap_or_else(|error| panic!("{file}: {error}"));
        volume.story
    };
    FILES.iter().flat_map(read).collect()
}
