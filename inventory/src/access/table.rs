//! The one table of the interface: each action with its method, its path, and how far each role reaches.

use super::Role;

/// How far a role reaches with an action.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reach {
    /// Not at all.
    None,
    /// Only itself: the node of the path must be the one that asks.
    Own,
    /// All.
    Any,
}

/// Which of the server's places a request takes, so that no kind of client can take another's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lane {
    /// Those of nodes that enrol or report, which are let in by [`crate::admission`].
    Admission,
    /// Those of other requests of nodes.
    Nodes,
    /// Those of people and their programs.
    People,
    /// Those of collectors of figures.
    Figures,
    /// Those of watchers, which stay.
    Watchers,
    /// None: answered whatever else is going on.
    Free,
}

macro_rules! actions {
    ($($(#[$doc:meta])* $variant:ident: $verb:literal $object:literal, $method:ident $path:literal, $lane:ident,
        [$anonymous:ident $node:ident $operator:ident $reader:ident $metrics:ident];)*) => {
        /// One thing that can be asked of the inventory.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
        pub enum Action { $($(#[$doc])* $variant,)* }

        impl Action {
            /// Every action there is.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// What is done.
            pub fn verb(self) -> &'static str {
                match self { $(Self::$variant => $verb,)* }
            }

            /// To what.
            pub fn object(self) -> &'static str {
                match self { $(Self::$variant => $object,)* }
            }

            /// HTTP method.
            pub fn method(self) -> &'static str {
                match self { $(Self::$variant => stringify!($method),)* }
            }

            /// Path, as the router knows it.
            pub fn path(self) -> &'static str {
                match self { $(Self::$variant => $path,)* }
            }

            /// Whose places it takes.
            pub fn lane(self) -> Lane {
                match self { $(Self::$variant => Lane::$lane,)* }
            }

            /// How far a role reaches with it.
            pub fn reach(self, role: Role) -> Reach {
                let [anonymous, node, operator, reader, metrics] = match self {
                    $(Self::$variant => [
                        Reach::$anonymous, Reach::$node, Reach::$operator, Reach::$reader, Reach::$metrics,
                    ],)*
                };
                match role {
                    Role::Anonymous => anonymous,
                    Role::Node => node,
                    Role::Operator => operator,
                    Role::Reader => reader,
                    Role::Metrics => metrics,
                }
            }
        }
    };
}

// Roles in this order: anonymous, node, operator, reader, metrics.
actions! {
    /// A node asks to be known; its token is checked with the rest of the request.
    Enrol: "create" "enrolment", POST "/v1/enrolments", Admission, [Any Any None None None];
    /// A node hands in what its burn-in found; its signature covers the very bytes.
    SendReport: "create" "report", PUT "/v1/nodes/{node}/boots/{boot}/reports/{sequence}", Admission, [None Own None None None];
    /// A node says that it lives, and in which phase.
    SendHeartbeat: "create" "heartbeat", POST "/v1/nodes/{node}/heartbeat", Nodes, [None Own None None None];
    /// The fleet, page by page.
    ListNodes: "list" "nodes", GET "/v1/nodes", People, [None None Any Any None];
    /// The page of one node.
    ReadNode: "read" "node", GET "/v1/nodes/{node}", People, [None Own Any Any None];
    /// What keeps a node from work.
    ReadReadiness: "read" "readiness", GET "/v1/nodes/{node}/readiness", People, [None Own Any Any None];
    /// How a node came to where it stands.
    ReadHistory: "read" "history", GET "/v1/nodes/{node}/history", People, [None None Any Any None];
    /// Its reports.
    ReadReports: "read" "reports", GET "/v1/nodes/{node}/reports", People, [None None Any Any None];
    /// What the operator wants of a node.
    ReadWish: "read" "wish", GET "/v1/nodes/{node}/wish", People, [None None Any Any None];
    /// Says what is to become of a node.
    ChangeWish: "change" "wish", PUT "/v1/nodes/{node}/wish", People, [None None Any None None];
    /// Labels a node.
    ChangeLabels: "change" "labels", PATCH "/v1/nodes/{node}/labels", People, [None None Any None None];
    /// A scheduler takes a node.
    Allocate: "create" "allocation", PUT "/v1/nodes/{node}/allocation", People, [None None Any None None];
    /// A scheduler gives a node back.
    Release: "delete" "allocation", DELETE "/v1/nodes/{node}/allocation", People, [None None Any None None];
    /// Who did what, and what was refused.
    ReadAudit: "read" "audit", GET "/v1/audit", People, [None None Any Any None];
    /// Changes as they happen.
    Watch: "watch" "changes", GET "/v1/watch", Watchers, [None None Any Any None];
    /// Figures of the service and the fleet; no identities.
    ReadMetrics: "read" "metrics", GET "/metrics", Figures, [None None Any Any Any];
    /// Targets for Prometheus.
    ReadTargets: "read" "targets", GET "/v1/sd/prometheus", Figures, [None None Any Any Any];
    /// The fleet as Ansible wants it.
    ReadAnsible: "read" "ansible inventory", GET "/v1/inventory/ansible", People, [None None Any Any None];
    /// Does the process live?
    ReadHealth: "read" "health", GET "/healthz", Free, [Any Any Any Any Any];
    /// Can it do its work?
    ReadReady: "read" "ready", GET "/readyz", Free, [Any Any Any Any Any];
}

impl Action {
    /// Does it change something? Then its audit line names who and why.
    pub fn is_change(self) -> bool {
        self.method() != "GET"
    }
}

/// The table for people, in Markdown; `docs/inventory.md` holds it.
pub fn markdown() -> String {
    let cell = |action: &Action, role: &Role| match action.reach(*role) {
        Reach::None => "-",
        Reach::Own => "own",
        Reach::Any => "yes",
    };
    let heads: Vec<_> = Role::ALL.iter().map(|role| role.as_str()).collect();
    let mut out = format!("| Verb | Object | Request | {} |\n", heads.join(" | "));
    out.push_str(&format!("|---|---|---|{}\n", "---|".repeat(heads.len())));
    for action in Action::ALL {
        let cells: Vec<_> = Role::ALL.iter().map(|role| cell(action, role)).collect();
        let (verb, object, method, path) = (action.verb(), action.object(), action.method(), action.path());
        out.push_str(&format!("| {verb} | {object} | `{method} {path}` | {} |\n", cells.join(" | ")));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_changes_something_is_for_nodes_themselves_or_for_operators() {
        for action in Action::ALL.iter().filter(|action| action.is_change()) {
            for role in [Role::Reader, Role::Metrics] {
                assert_eq!(action.reach(role), Reach::None, "{action:?}");
            }
            assert!(*action == Action::Enrol || action.reach(Role::Anonymous) == Reach::None, "{action:?}");
        }
    }

    #[test]
    fn a_node_reaches_no_other_node() {
        for action in Action::ALL.iter().filter(|action| action.path().contains("{node}")) {
            assert_ne!(action.reach(Role::Node), Reach::Any, "{action:?}");
        }
    }

    #[test]
    fn own_stands_only_where_the_path_names_a_node() {
        for action in Action::ALL.iter().filter(|action| !action.path().contains("{node}")) {
            assert_ne!(action.reach(Role::Node), Reach::Own, "{action:?}");
        }
    }

    #[test]
    fn the_page_for_operators_has_this_table() {
        let page = include_str!("../../../docs/inventory.md");
        assert!(page.contains(&markdown()), "put this table into docs/inventory.md:\n{}", markdown());
    }
}
