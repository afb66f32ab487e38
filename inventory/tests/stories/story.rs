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
pub(crate) struct Story {
    pub(crate) name: String,
    pub(crate) new_key: Option<NewKey>,
    pub(crate) junk: Option<Junk>,
    pub(crate) only: Option<Vec<String>>,
    pub(crate) without: Option<Vec<String>>,
    pub(crate) steps: Vec<Step>,
}

/// A value that the site calls junk.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Junk {
    pub(crate) kind: inventory::identity::Kind,
    pub(crate) value: String,
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Step {
    Enrol(Box<Enrol>),
    Verb(Box<Verb>),
}

/// A machine asks to be let in.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Enrol {
    pub(crate) enrol: String,
    pub(crate) key: Option<String>,
    pub(crate) token_for: Option<String>,
    #[serde(default)]
    pub(crate) with: BTreeMap<String, Things>,
    pub(crate) only: Option<Vec<String>>,
    pub(crate) without: Option<Vec<String>>,
    pub(crate) times: Option<usize>,
    /// The very same request as in the step before.
    #[serde(default)]
    pub(crate) again: bool,
    pub(crate) outcome: Option<String>,
    pub(crate) on: Option<String>,
    pub(crate) why: Option<String>,
    pub(crate) effect: Option<String>,
    pub(crate) reason: Option<String>,
    pub(crate) state: Option<String>,
    pub(crate) refused: Option<String>,
}

#[derive(Clone, Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Things {
    One(String),
    Several(Vec<String>),
}

/// An operator decides.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Verb {
    pub(crate) verb: String,
    pub(crate) keep: Option<String>,
    pub(crate) gone: Option<String>,
    pub(crate) old: Option<String>,
    pub(crate) new: Option<String>,
    pub(crate) node: Option<String>,
    #[serde(default)]
    pub(crate) evidence: BTreeMap<String, String>,
    pub(crate) state: Option<String>,
    pub(crate) refused: Option<String>,
    /// It was decided before.
    #[serde(default)]
    pub(crate) again: bool,
}

/// All stories.
pub(crate) fn corpus() -> Vec<Story> {
    let read = |(file, text): &(&str, &str)| {
        let volume: Volume = toml::from_str(text).unwrap_or_else(|error| panic!("{file}: {error}"));
        volume.story
    };
    FILES.iter().flat_map(read).collect()
}
