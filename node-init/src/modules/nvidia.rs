//! What NVIDIA's driver leaves to `nvidia-modprobe` and no device of the kernel asks for: its module for unified memory,
//! and its device nodes (NVIDIA's driver README, "How do I have my kernel module load").

use std::collections::BTreeMap;
use std::io;
use std::path::Path;

use super::Loader;
use crate::system::System;

/// Name in `/proc/devices`, node, minor number: of those that are there once.
const NODES: &[(&str, &str, u32)] = &[
    ("nvidia", "/dev/nvidiactl", 255),
    ("nvidia-modeset", "/dev/nvidia-modeset", 254),
    ("nvidia-uvm", "/dev/nvidia-uvm", 0),
    ("nvidia-uvm-tools", "/dev/nvidia-uvm-tools", 1),
];
/// GPUs have the minor numbers below those of the nodes above.
const GPUS_MAX: u32 = 254;

/// Does both, where the driver was loaded. What fails is returned as text.
pub fn complete(loader: &mut Loader, system: &dyn System) -> Vec<String> {
    if !loader.loaded.iter().any(|module| module == "nvidia") {
        return Vec::new();
    }
    loader.load_by_name("nvidia_uvm");
    make_nodes(system)
}

fn make_nodes(system: &dyn System) -> Vec<String> {
    let devices = system.read(Path::new("/proc/devices")).unwrap_or_default();
    let majors = majors(&String::from_utf8_lossy(&devices));
    let bound = system.list(Path::new("/sys/bus/pci/drivers/nvidia")).unwrap_or_default();
    let gpus = bound.iter().filter(|entry| entry.name.parse::<report::Bdf>().is_ok());
    let gpus = (0..GPUS_MAX).zip(gpus).map(|(minor, _)| ("nvidia", format!("/dev/nvidia{minor}"), minor));
    let once = NODES.iter().map(|(name, path, minor)| (*name, (*path).to_owned(), *minor));
    let mut remarks = Vec::new();
    for (name, path, minor) in gpus.chain(once) {
        let Some(major) = majors.get(name) else { continue };
        match system.make_character_device(Path::new(&path), *major, minor) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => {
                remarks.push(format!("making `{path}`: {error}"));
            }
            _ => {}
        }
    }
    remarks
}

/// Major numbers of character devices by the driver's names. Older drivers say `nvidia-frontend`, and name neither of the
/// nodes that share another's number.
fn majors(text: &str) -> BTreeMap<String, u32> {
    let lines = text.lines().take_while(|line| !line.starts_with("Block"));
    let pair = |line: &str| {
        let (major, name) = line.trim().split_once(' ')?;
        let name = if name == "nvidia-frontend" { "nvidia" } else { name };
        Some((name.to_owned(), major.parse().ok()?))
    };
    let mut majors: BTreeMap<_, _> = lines.filter_map(pair).collect();
    if let Some(uvm) = majors.get("nvidia-uvm").copied() {
        majors.insert("nvidia-uvm-tools".to_owned(), uvm);
    }
    majors
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::recorder::Recorder;

    fn machine(devices: &str) -> Recorder {
        let machine = Recorder::machine();
        machine.put("/proc/devices", devices);
        for entry in ["0000:3b:00.0/x", "0000:86:00.0/x", "bind", "module/x", "new_id"] {
            machine.put(&format!("/sys/bus/pci/drivers/nvidia/{entry}"), "");
        }
        machine
    }

    #[test]
    fn every_gpu_and_the_driver_itself_get_their_nodes() {
        for name in ["nvidia", "nvidia-frontend"] {
            let machine = machine(&format!(
                "Character devices:\n  1 mem\n195 {name}\n508 nvidia-uvm\n\nBlock devices:\n  9 nvidia-modeset\n"
            ));
            assert_eq!(make_nodes(&machine), [""; 0]);
            let expected = [
                "/dev/nvidia0 195 0",
                "/dev/nvidia1 195 1",
                "/dev/nvidiactl 195 255",
                "/dev/nvidia-uvm 508 0",
                "/dev/nvidia-uvm-tools 508 1",
            ];
            let calls = machine.calls_of("make_character_device");
            assert_eq!(calls, expected.map(|node| format!("make_character_device {node}")));
        }
    }

    #[test]
    fn a_node_that_is_there_is_fine_and_one_that_cannot_be_made_is_a_remark() {
        let machine = machine("Character devices:\n195 nvidia\n");
        machine.refuse("make_character_device /dev/nvidia0", libc::EEXIST);
        machine.refuse("make_character_device /dev/nvidiactl", libc::EROFS);
        assert!(matches!(&make_nodes(&machine)[..], [one] if one.starts_with("making `/dev/nvidiactl`")));
    }

    #[test]
    fn without_the_driver_nothing_is_made() {
        let machine = std::sync::Arc::new(machine("Character devices:\n195 nvidia\n"));
        let mut loader = Loader::new(machine.clone(), "");
        assert_eq!(complete(&mut loader, &*machine), [""; 0]);
        assert_eq!(machine.calls_of("make_character_device"), [""; 0]);
    }
}
