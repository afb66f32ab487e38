//! Who is cabled where: nodes with one port for each rail, leaves with uplinks.

use std::fmt;

use serde::{Deserialize, Serialize};

/// A port: its number among all ports, `node * rails + rail`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Port(pub u32);

/// A switch that ports are cabled to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Leaf {
    /// Its name, as LLDP or the subnet manager tells it.
    pub name: String,
    /// Links from it to the rest of the fabric; flows are spread over them by hash.
    pub uplinks: u32,
}

/// The fabric.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Fabric {
    /// Names of the nodes.
    pub nodes: Vec<String>,
    /// Ports of each node.
    pub rails: u32,
    /// The leaves.
    pub leaves: Vec<Leaf>,
    /// For each port, in order: the index of its leaf.
    pub leaf_of: Vec<u32>,
}

/// Why a fabric makes no sense.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum FabricError {
    /// A node without ports, or a fabric without nodes.
    #[error("a fabric needs at least one node and one rail")]
    Empty,
    /// Not one leaf for each port.
    #[error("`leaf_of` has {found} entries; {nodes} nodes with {rails} rails have {expected} ports")]
    Ports {
        /// How many there are.
        found: usize,
        /// How many there should be.
        expected: usize,
        /// So many nodes.
        nodes: usize,
        /// So many rails.
        rails: u32,
    },
    /// A leaf that is not listed.
    #[error("port {port} is cabled to leaf {leaf}, and only {leaves} leaves are listed")]
    NoLeaf {
        /// Which port.
        port: usize,
        /// Which leaf.
        leaf: u32,
        /// How many there are.
        leaves: usize,
    },
    /// A leaf from which nothing leads on.
    #[error("leaf `{0}` has no uplink: give it the number of its links to other switches")]
    NoUplink(String),
}

/// What can be bad.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Part {
    /// All of a node: its memory, its PCIe root, its processor.
    Node(u32),
    /// A port of a node's NIC.
    Port(Port),
    /// The cable or optics between a port and its leaf.
    Cable(Port),
    /// One of a leaf's uplinks.
    Uplink(u32),
}

impl Fabric {
    /// Does it make sense?
    pub fn check(&self) -> Result<(), FabricError> {
        let expected = self.nodes.len() * self.rails as usize;
        if expected == 0 {
            return Err(FabricError::Empty);
        }
        if self.leaf_of.len() != expected {
            let (found, nodes, rails) = (self.leaf_of.len(), self.nodes.len(), self.rails);
            return Err(FabricError::Ports { found, expected, nodes, rails });
        }
        let leaves = self.leaves.len();
        let stray = self.leaf_of.iter().enumerate().find(|(_, leaf)| **leaf as usize >= leaves);
        if let Some((port, leaf)) = stray {
            return Err(FabricError::NoLeaf { port, leaf: *leaf, leaves });
        }
        match self.leaves.iter().find(|leaf| leaf.uplinks == 0) {
            Some(leaf) if leaves > 1 => Err(FabricError::NoUplink(leaf.name.clone())),
            _ => Ok(()),
        }
    }

    /// How many ports there are.
    pub fn ports(&self) -> u32 {
        u32::try_from(self.leaf_of.len()).unwrap_or(u32::MAX)
    }

    /// The port of that node on that rail.
    pub fn port(&self, node: u32, rail: u32) -> Port {
        Port(node * self.rails + rail)
    }

    /// The node that a port belongs to.
    pub fn node_of(&self, port: Port) -> u32 {
        port.0 / self.rails
    }

    /// The rail that a port is on.
    pub fn rail_of(&self, port: Port) -> u32 {
        port.0 % self.rails
    }

    /// The leaf that a port is cabled to.
    pub fn leaf(&self, port: Port) -> u32 {
        self.leaf_of[port.0 as usize]
    }

    /// Does a flow between them leave its leaf?
    pub fn crosses(&self, a: Port, b: Port) -> bool {
        self.leaf(a) != self.leaf(b)
    }

    /// The parts that a flow between two ports runs through.
    pub fn parts(&self, a: Port, b: Port) -> impl Iterator<Item = Part> + use<> {
        let ends = [a, b].map(|port| [Part::Node(self.node_of(port)), Part::Port(port), Part::Cable(port)]);
        let uplinks = self.crosses(a, b).then(|| [a, b].map(|port| Part::Uplink(self.leaf(port))));
        ends.into_iter().flatten().chain(uplinks.into_iter().flatten())
    }

    /// Does a flow between them run through that part?
    pub fn runs_through(&self, a: Port, b: Port, part: Part) -> bool {
        self.parts(a, b).any(|other| other == part)
    }

    /// The part by the names of the site.
    pub fn name(&self, part: Part) -> PartName<'_> {
        PartName { fabric: self, part }
    }
}

/// A part, to be shown.
#[derive(Debug)]
pub struct PartName<'a> {
    fabric: &'a Fabric,
    part: Part,
}

impl fmt::Display for PartName<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fabric = self.fabric;
        let node = |port| &fabric.nodes[fabric.node_of(port) as usize];
        let leaf = |leaf: u32| &fabric.leaves[leaf as usize].name;
        match self.part {
            Part::Node(index) => write!(f, "node {}", fabric.nodes[index as usize]),
            Part::Port(port) => write!(f, "port {} of {}", fabric.rail_of(port), node(port)),
            Part::Cable(port) => {
                let (rail, leaf) = (fabric.rail_of(port), leaf(fabric.leaf(port)));
                write!(f, "cable from port {rail} of {} to {leaf}", node(port))
            }
            Part::Uplink(index) => write!(f, "an uplink of {}", leaf(index)),
        }
    }
}
