//! Who may do what. A request is made by a [`Principal`]; the table in [`table`] says for each action of the interface
//! which roles may take it, and of which nodes. The guard of the routes works from that table and from nothing else.
//!
//! Nodes prove who they are by a signature or a client certificate; people and their programs by an access key ([`key`]).

pub mod key;
pub mod table;

use std::fmt;

pub use key::{AccessKey, LetsPersonIn};
pub use table::{Action, Reach};

macro_rules! roles {
    ($($(#[$doc:meta])* $variant:ident = $word:literal;)*) => {
        /// What one may be to the inventory.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Role { $($(#[$doc])* $variant,)* }

        impl Role {
            /// Every role there is.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The word used in the store and in the table.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word,)* }
            }
        }
    };
}

roles! {
    /// One who proved nothing.
    Anonymous = "anonymous";
    /// A node, by its own key.
    Node = "node";
    /// Says what is to become of nodes.
    Operator = "operator";
    /// Looks at everything and changes nothing.
    Reader = "reader";
    /// Collects figures.
    Metrics = "metrics";
}

impl Role {
    /// The roles that an access key can give.
    pub const OF_KEYS: [Self; 3] = [Self::Operator, Self::Reader, Self::Metrics];

    /// The role of that name.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|role| role.as_str() == word)
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Who makes a request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Principal {
    /// Nobody knows.
    Anonymous,
    /// The node of that id.
    Node(String),
    /// The holder of an access key.
    Key {
        /// Public id of the key.
        id: String,
        /// What the operator called it.
        name: String,
        /// What it gives.
        role: Role,
    },
}

impl Principal {
    /// What it is to the inventory.
    pub fn role(&self) -> Role {
        match self {
            Self::Anonymous => Role::Anonymous,
            Self::Node(_) => Role::Node,
            Self::Key { role, .. } => *role,
        }
    }

    /// May it take that action on the node that the path names, if it names one?
    pub fn may(&self, action: Action, node: Option<&str>) -> bool {
        match (action.reach(self.role()), self) {
            (Reach::Any, _) => true,
            (Reach::Own, Self::Node(id)) => node == Some(id.as_str()),
            (Reach::Own | Reach::None, _) => false,
        }
    }

    /// As it stands in audit lines and transitions.
    pub fn actor(&self) -> String {
        match self {
            Self::Anonymous => "client".to_owned(),
            Self::Node(_) => "node".to_owned(),
            Self::Key { id, name, role } => format!("{role}:{name} ({id})"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_reaches_itself_and_no_other() {
        let node = Principal::Node("node-a".to_owned());
        assert!(node.may(Action::ReadNode, Some("node-a")));
        assert!(!node.may(Action::ReadNode, Some("node-b")));
        assert!(!node.may(Action::ReadNode, None));
        assert!(!node.may(Action::ListNodes, None));
    }

    #[test]
    fn a_key_never_makes_a_node_of_its_holder() {
        for role in Role::OF_KEYS {
            let key = Principal::Key { id: "k".to_owned(), name: "n".to_owned(), role };
            assert!(!key.may(Action::SendReport, Some("node-a")));
            assert!(!key.may(Action::SendHeartbeat, Some("k")));
        }
    }
}
