//! `collect` on captured trees, compared with golden JSON. `UPDATE_GOLDEN=1` writes the golden files anew.

#![allow(clippy::unwrap_used, reason = "in a test, what does not work fails it")]

use std::path::Path;

use discover::{PROBES, Root, collect};
use report::NodeFacts;
use report::node::CollectorStatus;

fn facts(machine: &str) -> NodeFacts {
    let tree = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(machine);
    let mut facts = collect(&Root::at(tree));
    facts.collectors.iter_mut().for_each(|collector| collector.milliseconds = 0);
    facts
}

fn compare(machine: &str) -> NodeFacts {
    let facts = facts(machine);
    let json = serde_json::to_string_pretty(&facts).unwrap() + "\n";
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{machine}.json"));
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&golden, &json).unwrap();
    }
    let expected = std::fs::read_to_string(&golden).unwrap_or_default();
    assert_eq!(json, expected, "{} differs: UPDATE_GOLDEN=1 writes it anew", golden.display());
    assert_eq!(serde_json::from_str::<NodeFacts>(&json).unwrap(), facts, "JSON reads back as the facts");
    facts
}

#[test]
fn an_eight_gpu_server_is_found_whole() {
    let facts = compare("eight-gpu");
    assert!(facts.collectors.iter().all(|c| c.status == CollectorStatus::Ok), "{:?}", facts.collectors);
    let gpus: Vec<_> = facts.gpus().collect();
    assert_eq!(gpus.len(), 8);
    for gpu in &gpus {
        let link = gpu.link.unwrap();
        assert_eq!((link.current_gt_per_s, link.current_lanes), (Some(32.0), Some(16)));
        // Each hangs from a switch, which hangs from a root port.
        let parent = |address| facts.pci.iter().find(|f| Some(f.address) == address).unwrap();
        let downstream = parent(gpu.parent);
        let upstream = parent(downstream.parent);
        assert_eq!((downstream.id.vendor, upstream.id.vendor), (0x1000, 0x1000));
        assert_eq!(parent(upstream.parent).parent, None);
    }
    assert_eq!(gpus.iter().filter(|gpu| gpu.numa_node == Some(1)).count(), 4);
    assert_eq!((facts.cpus.len(), facts.memory.unwrap().numa.len()), (2, 2));
    assert_eq!(facts.nics.iter().filter(|nic| nic.speed_mbit_per_s == Some(400_000)).count(), 8);
    assert_eq!(facts.disks.len(), 5);
}

#[test]
fn a_workstation_has_one_gpu_behind_its_own_switch() {
    let facts = compare("workstation");
    let [gpu] = facts.gpus().collect::<Vec<_>>()[..] else { panic!("{:?}", facts.pci) };
    assert_eq!((gpu.id.to_string().as_str(), gpu.driver.as_deref()), ("1002:744c", Some("amdgpu")));
    assert_eq!(gpu.parent.unwrap().to_string(), "0000:09:00.0");
    assert_eq!(facts.dmi.unwrap().product_serial, None);
    assert_eq!(facts.disks.iter().filter(|disk| disk.serial.is_some()).count(), 2);
}

#[test]
fn a_virtual_machine_has_no_gpu_though_it_has_a_vga() {
    let facts = compare("vm-qemu");
    assert_eq!(facts.gpus().count(), 0);
    assert!(facts.pci.iter().any(|f| f.class == 0x03_0000 && f.id.to_string() == "1234:1111"));
    assert_eq!((facts.nics.len(), facts.disks.len()), (1, 1));
    assert_eq!(facts.nics[0].driver.as_deref(), Some("virtio_net"));
}

#[test]
fn this_very_machine_has_a_kernel_a_processor_and_memory() {
    let facts = collect(&Root::machine());
    let names: Vec<_> = facts.collectors.iter().map(|c| c.name.as_str()).collect();
    assert_eq!(names, PROBES.map(|probe| probe.name));
    let linux = facts.linux.unwrap();
    assert!(!linux.release.is_empty() && !linux.architecture.is_empty() && linux.boot_id.len() == 36);
    assert!(facts.cpus.iter().any(|cpu| cpu.threads > 0 && cpu.cores > 0));
    assert!(facts.memory.unwrap().total_bytes.0 > 0);
    for collector in &facts.collectors {
        let well = matches!(collector.status, CollectorStatus::Ok);
        assert_eq!(well, collector.detail.is_none(), "{collector:?}");
    }
}

#[test]
fn an_empty_tree_gives_no_fact_and_a_reason_for_each() {
    let empty = tempfile::tempdir().unwrap();
    let facts = collect(&Root::at(empty.path()));
    assert_eq!(facts.collectors.len(), PROBES.len());
    assert!(facts.collectors.iter().all(|c| c.detail.is_some()), "{:?}", facts.collectors);
    assert_eq!(NodeFacts { collectors: Vec::new(), ..facts }, NodeFacts::default());
}
