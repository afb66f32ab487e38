//! What an operator wants of a node, kept apart from where it stands. Only the controller moves the node after it.

use std::fmt;

use serde::{Deserialize, Serialize};

/// What is to become of a node.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Wish {
    /// Take work as soon as it is proven.
    #[default]
    InService,
    /// Go to maintenance when the work at hand is done; take no other.
    Drain,
    /// Go to maintenance now, work or not.
    Maintenance,
    /// Go for good when the work at hand is done.
    Retired,
}

impl Wish {
    /// Every wish there is.
    pub const ALL: [Self; 4] = [Self::InService, Self::Drain, Self::Maintenance, Self::Retired];

    /// The word used in the store and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::InService => "in_service",
            Self::Drain => "drain",
            Self::Maintenance => "maintenance",
            Self::Retired => "retired",
        }
    }

    /// The wish of that name.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|wish| wish.as_str() == word)
    }
}

impl fmt::Display for Wish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}
