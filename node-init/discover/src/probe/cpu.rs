//! Processor sockets: topology from sysfs, maker and model from `/proc/cpuinfo`.

use std::collections::{BTreeMap, BTreeSet};

use report::NodeFacts;
use report::node::Cpu;

use super::form;
use crate::error::Troubles;
use crate::{ProbeError, ReadError, Root};

const DIR: &str = "sys/devices/system/cpu";
const ONLINE: &str = "sys/devices/system/cpu/online";
const CPUINFO: &str = "proc/cpuinfo";
/// Most logical processors that Linux can be built for (`NR_CPUS` with `MAXSMP`).
const THREADS_MAX: usize = 8192;

pub(super) fn read(root: &Root, facts: &mut NodeFacts) -> Result<(), ProbeError> {
    if !root.has(DIR) {
        return Err(ProbeError::Unsupported { path: DIR });
    }
    let mut troubles = Troubles::default();
    let mut sockets: BTreeMap<u32, Socket> = BTreeMap::new();
    for thread in online(root)? {
        if let Some((socket, core)) = troubles.note(place(root, thread)) {
            let socket =
                sockets.entry(socket).or_insert(Socket { first: thread, threads: 0, cores: BTreeSet::new() });
            socket.threads += 1;
            socket.cores.insert(core);
        }
    }
    let cpuinfo = troubles.note(root.document(CPUINFO)).unwrap_or_default();
    let entries = by_processor(&cpuinfo);
    facts.cpus = sockets
        .into_iter()
        .map(|(number, socket)| {
            let entry = entries.get(&socket.first).copied().unwrap_or_default();
            let text = |key| form::line(entry, key).filter(|value| !value.is_empty()).map(str::to_owned);
            Cpu {
                socket: number,
                vendor: text("vendor_id"),
                model: text("model name"),
                microcode: text("microcode"),
                cores: u32::try_from(socket.cores.len()).unwrap_or(u32::MAX),
                threads: socket.threads,
            }
        })
        .collect();
    troubles.into_result()
}

/// One socket, while its processors are counted.
struct Socket {
    /// Its lowest logical processor, which speaks for it in `/proc/cpuinfo`.
    first: u32,
    threads: u32,
    cores: BTreeSet<String>,
}

/// Numbers of the logical processors that are online.
fn online(root: &Root) -> Result<Vec<u32>, ReadError> {
    let numbers = |text: &str| {
        let ranges = form::list(text)?;
        let numbers: Vec<u32> = ranges.into_iter().flatten().take(THREADS_MAX + 1).collect();
        (numbers.len() <= THREADS_MAX).then_some(numbers)
    };
    root.value(ONLINE, "a list of at most 8192 processors such as `0-47,96-143`", numbers)
}

/// The socket of a logical processor, and its core: named by the list of processors that share it, which unlike `core_id`
/// differs between cores of different dies.
fn place(root: &Root, thread: u32) -> Result<(u32, String), ReadError> {
    let topology = format!("{DIR}/cpu{thread}/topology");
    let socket =
        root.value(&format!("{topology}/physical_package_id"), "a socket number", form::decimal::<u32>)?;
    let core = match root.text(&format!("{topology}/core_cpus_list")) {
        // Before Linux 5.3 it had another name.
        Err(ReadError::Missing { .. }) => root.text(&format!("{topology}/thread_siblings_list"))?,
        other => other?,
    };
    Ok((socket, core))
}

/// The entries of `/proc/cpuinfo` by number of the processor.
fn by_processor(cpuinfo: &str) -> BTreeMap<u32, &str> {
    cpuinfo
        .split("\n\n")
        .filter_map(|entry| Some((form::decimal(form::line(entry, "processor")?)?, entry)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::tree::Tree;
    use super::*;
    use report::node::CollectorStatus;

    /// Two sockets of one core with two threads each.
    fn tree() -> Tree {
        let tree = Tree::new(&[(ONLINE, "0-3\n")]);
        for (thread, socket, core) in [(0, "0", "0,2"), (1, "1", "1,3"), (2, "0", "0,2"), (3, "1", "1,3")] {
            tree.write(&format!("{DIR}/cpu{thread}/topology/physical_package_id"), socket);
            tree.write(&format!("{DIR}/cpu{thread}/topology/core_cpus_list"), core);
        }
        tree.write(
            CPUINFO,
            "processor\t: 0\nvendor_id\t: GenuineIntel\nmodel name\t: Xeon\nmicrocode\t: 0x2b\n\n\
             processor\t: 1\nvendor_id\t: GenuineIntel\nmodel name\t: Xeon B\n\n",
        );
        tree
    }

    #[test]
    fn sockets_cores_and_threads_are_counted() {
        let (facts, ended) = tree().read(read);
        assert_eq!(ended, Ok(()));
        let counted: Vec<_> = facts.cpus.iter().map(|c| (c.socket, c.cores, c.threads)).collect();
        assert_eq!(counted, [(0, 1, 2), (1, 1, 2)]);
        assert_eq!(facts.cpus[0].microcode.as_deref(), Some("0x2b"));
        assert_eq!(facts.cpus[1].model.as_deref(), Some("Xeon B"));
    }

    #[test]
    fn a_malformed_socket_number_loses_one_thread_only() {
        let tree = tree();
        tree.write("sys/devices/system/cpu/cpu3/topology/physical_package_id", "-1\n");
        let (facts, ended) = tree.read(read);
        assert_eq!(
            ended.unwrap_err().1,
            "`sys/devices/system/cpu/cpu3/topology/physical_package_id` holds `-1`: expected a socket number"
        );
        assert_eq!(facts.cpus[1].threads, 1);
    }

    #[test]
    fn without_cpuinfo_the_counts_stay() {
        let tree = tree();
        tree.remove(CPUINFO);
        let (facts, ended) = tree.read(read);
        assert_eq!(ended.unwrap_err(), (CollectorStatus::Error, "`proc/cpuinfo` is not there".to_owned()));
        assert_eq!((facts.cpus.len(), facts.cpus[0].vendor.clone()), (2, None));
        assert_eq!(Tree::new(&[]).read(read).1.unwrap_err().0, CollectorStatus::Unsupported);
    }

    #[test]
    fn a_list_of_four_milliard_processors_is_refused_at_once() {
        let tree = tree();
        tree.write(ONLINE, "0-4294967295");
        assert_eq!(tree.read(read).1.unwrap_err().0, CollectorStatus::Error);
    }
}
