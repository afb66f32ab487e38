//! Main memory: `/proc/meminfo`, and each NUMA node's part from sysfs.

use report::NodeFacts;
use report::node::{Memory, NumaNode};

use super::form;
use crate::error::Troubles;
use crate::{ProbeError, ReadError, Root};

const MEMINFO: &str = "proc/meminfo";
const NUMA: &str = "sys/devices/system/node";
const EXPECTED: &str = "a line such as `MemTotal: 24682416 kB`";

pub(super) fn read(root: &Root, facts: &mut NodeFacts) -> Result<(), ProbeError> {
    if !root.has(MEMINFO) {
        return Err(ProbeError::Unsupported { path: MEMINFO });
    }
    let document = root.document(MEMINFO)?;
    let total_bytes = form::line(&document, "MemTotal")
        .and_then(form::kib)
        .ok_or_else(|| ReadError::malformed(MEMINFO, &document, EXPECTED))?;
    let mut troubles = Troubles::default();
    let available_bytes = form::line(&document, "MemAvailable").and_then(|value| {
        let bytes = form::kib(value).ok_or_else(|| ReadError::malformed(MEMINFO, value, EXPECTED));
        troubles.note(bytes)
    });
    let numa = numa(root, &mut troubles);
    facts.memory = Some(Memory { total_bytes, available_bytes, numa });
    troubles.into_result()
}

/// The NUMA nodes; none where the kernel is built without NUMA.
fn numa(root: &Root, troubles: &mut Troubles) -> Vec<NumaNode> {
    if !root.has(NUMA) {
        return Vec::new();
    }
    let names = troubles.note(root.names(NUMA)).unwrap_or_default();
    let ids = names.iter().filter_map(|name| form::decimal(name.strip_prefix("node")?));
    let mut nodes: Vec<NumaNode> = ids.filter_map(|id| troubles.note(numa_node(root, id))).collect();
    nodes.sort_unstable_by_key(|node| node.id);
    nodes
}

fn numa_node(root: &Root, id: u32) -> Result<NumaNode, ReadError> {
    let meminfo = format!("{NUMA}/node{id}/meminfo");
    let document = root.document(&meminfo)?;
    let total_bytes = form::line(&document, &format!("Node {id} MemTotal"))
        .and_then(form::kib)
        .ok_or_else(|| ReadError::malformed(&meminfo, &document, EXPECTED))?;
    let cpulist = format!("{NUMA}/node{id}/cpulist");
    // A node with memory only (CXL, HBM) has an empty list.
    let cpu_list = root.value(&cpulist, "a list such as `0-47,96-143`", |text| {
        (text.is_empty() || form::list(text).is_some()).then(|| text.to_owned())
    })?;
    Ok(NumaNode { id, total_bytes, cpu_list })
}

#[cfg(test)]
mod tests {
    use super::super::tree::Tree;
    use super::*;
    use report::Bytes;
    use report::node::CollectorStatus;

    fn tree() -> Tree {
        Tree::new(&[
            (MEMINFO, "MemTotal:       2000 kB\nMemFree:         10 kB\nMemAvailable:   1500 kB\n"),
            ("sys/devices/system/node/node0/meminfo", "\nNode 0 MemTotal:       1200 kB\n"),
            ("sys/devices/system/node/node0/cpulist", "0-3\n"),
            ("sys/devices/system/node/node10/meminfo", "Node 10 MemTotal:       800 kB\n"),
            ("sys/devices/system/node/node10/cpulist", "\n"),
            ("sys/devices/system/node/node2/meminfo", "Node 2 MemTotal:       0 kB\n"),
            ("sys/devices/system/node/node2/cpulist", "4\n"),
            ("sys/devices/system/node/online", "0,2,10\n"),
        ])
    }

    #[test]
    fn totals_and_numa_nodes_are_read_in_order() {
        let (facts, ended) = tree().read(read);
        assert_eq!(ended, Ok(()));
        let memory = facts.memory.unwrap();
        assert_eq!((memory.total_bytes, memory.available_bytes), (Bytes(2_048_000), Some(Bytes(1_536_000))));
        assert_eq!(memory.numa.iter().map(|n| n.id).collect::<Vec<_>>(), [0, 2, 10]);
        assert_eq!((memory.numa[0].cpu_list.as_str(), memory.numa[2].cpu_list.as_str()), ("0-3", ""));
    }

    #[test]
    fn a_malformed_numa_node_does_not_lose_the_rest() {
        let tree = tree();
        tree.write("sys/devices/system/node/node2/meminfo", "garbage");
        let (facts, ended) = tree.read(read);
        assert_eq!(ended.unwrap_err().0, CollectorStatus::Error);
        assert_eq!(facts.memory.unwrap().numa.len(), 2);
    }

    #[test]
    fn without_a_total_there_is_no_memory() {
        let tree = Tree::new(&[(MEMINFO, "MemFree: 1 kB\n")]);
        let (facts, ended) = tree.read(read);
        assert_eq!((facts.memory, ended.unwrap_err().0), (None, CollectorStatus::Error));
        assert_eq!(Tree::new(&[]).read(read).1.unwrap_err().0, CollectorStatus::Unsupported);
    }
}
