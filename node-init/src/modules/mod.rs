//! Drivers for the devices that are there, without udev: the kernel says what a device is (its *modalias*), the tables of
//! `depmod` say which module wants it and what that needs.
//!
//! What is not done: to unload, and to run the commands of `install` lines.

use std::collections::BTreeSet;
use std::ffi::CString;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::system::System;

mod glob;
pub mod late;
pub mod nvidia;
mod tables;

pub use tables::{Tables, canonical};

/// A driver makes new devices, which want drivers again: so many rounds at most.
const ROUNDS_MAX: usize = 8;
/// Depth of the tree of devices below `/sys/devices`; a loop of links is never followed, so this is far above any.
const DEPTH_MAX: usize = 40;

/// Loads modules, and remembers.
#[derive(Debug)]
pub struct Loader {
    system: Arc<dyn System>,
    tables: Tables,
    /// What was tried, with or without success.
    tried: BTreeSet<String>,
    seen: BTreeSet<String>,
    /// What was loaded, in order.
    pub loaded: Vec<String>,
    /// What went wrong, as text.
    pub remarks: Vec<String>,
}

impl Loader {
    /// Reads the tables of the running kernel.
    pub fn new(system: Arc<dyn System>, command_line: &str) -> Self {
        let release = system.release().unwrap_or_default();
        let tables = Tables::read(&*system, &release, command_line);
        let (tried, seen) = (BTreeSet::new(), BTreeSet::new());
        Self { system, tables, tried, seen, loaded: Vec::new(), remarks: Vec::new() }
    }

    /// Drivers for all devices that are there, and for those that these drivers make.
    pub fn cold_plug(&mut self) {
        for _ in 0..ROUNDS_MAX {
            let mut aliases = Vec::new();
            self.collect(Path::new("/sys/devices"), 0, &mut aliases);
            let before = self.loaded.len();
            for alias in aliases {
                self.plug(&alias);
            }
            if self.loaded.len() == before {
                return;
            }
        }
    }

    /// Drivers for one device.
    pub fn plug(&mut self, modalias: &str) {
        if self.seen.insert(modalias.to_owned()) {
            let wanted: Vec<String> =
                self.tables.wanted_by(modalias).into_iter().map(str::to_owned).collect();
            for name in wanted {
                self.load(&name);
            }
        }
    }

    /// One module by its name or alias, with all it needs; `false` if there is none or it cannot be loaded.
    pub fn load_by_name(&mut self, name: &str) -> bool {
        let module = canonical(name);
        if self.tables.has(&module) {
            return !self.tables.is_forbidden(&module) && self.load(&module);
        }
        let wanted: Vec<String> = self.tables.wanted_by(name).into_iter().map(str::to_owned).collect();
        let loaded: Vec<bool> = wanted.iter().map(|module| self.load(module)).collect();
        loaded.contains(&true)
    }

    fn load(&mut self, name: &str) -> bool {
        let mut all_well = true;
        for module in self.tables.order(name) {
            if self.tried.insert(module.clone()) {
                all_well &= self.insert(&module);
            }
        }
        all_well
    }

    fn insert(&mut self, module: &str) -> bool {
        let Some(file) = self.tables.file(module) else { return false };
        let parameters = CString::new(self.tables.parameters(module)).unwrap_or_default();
        match self.system.load_module(&file, &parameters) {
            Ok(()) => {
                self.loaded.push(module.to_owned());
                true
            }
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => true,
            // Its hardware is not there, which many modules find out for themselves.
            Err(error) if error.raw_os_error() == Some(libc::ENODEV) => false,
            Err(error) => {
                self.remarks.push(format!("module `{module}` is not loaded: {error}"));
                false
            }
        }
    }

    /// All aliases below a directory of devices. What cannot be read has gone meanwhile.
    fn collect(&self, dir: &Path, depth: usize, aliases: &mut Vec<String>) {
        for entry in self.system.list(dir).unwrap_or_default() {
            let path: PathBuf = dir.join(&entry.name);
            if entry.is_dir && depth < DEPTH_MAX {
                self.collect(&path, depth + 1, aliases);
            } else if entry.name == "modalias" {
                let alias = self.system.read(&path).unwrap_or_default();
                let alias = String::from_utf8_lossy(&alias).trim().to_owned();
                if !alias.is_empty() && !self.seen.contains(&alias) {
                    aliases.push(alias);
                }
            }
        }
    }
}

/// The alias in a message of the kernel about a device that was added: `ACTION@PATH`, then `KEY=VALUE`, each ended by a
/// zero byte.
pub fn modalias_of_uevent(message: &[u8]) -> Option<String> {
    let mut fields =
        message.split(|byte| *byte == 0).map(|field| String::from_utf8_lossy(field).into_owned());
    let header = fields.next()?;
    if !header.starts_with("add@") && !header.starts_with("bind@") {
        return None;
    }
    fields
        .find_map(|field| field.strip_prefix("MODALIAS=").map(str::to_owned))
        .filter(|alias| !alias.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::system::recorder::Recorder;

    fn machine() -> Arc<Recorder> {
        let machine = Recorder::machine();
        let dir = "/usr/lib/modules/6.12.0";
        machine.put(
            &format!("{dir}/modules.dep"),
            "kernel/a.ko.xz: kernel/b.ko.xz\nkernel/b.ko.xz:\nkernel/c.ko:\n",
        );
        machine.put(&format!("{dir}/modules.alias"), "alias pci:v1* a\nalias virtio:d1v* c\nalias fs-c c\n");
        machine.put("/sys/devices/pci0/0000:00:01.0/modalias", "pci:v1d2\n");
        machine.put("/sys/devices/pci0/0000:00:01.0/virtio0/modalias", "virtio:d1v2\n");
        Arc::new(machine)
    }

    #[test]
    fn every_device_gets_its_driver_with_what_it_needs() {
        let machine = machine();
        let mut loader = Loader::new(machine.clone(), "a.speed=9");
        loader.cold_plug();
        assert_eq!(loader.loaded, ["b", "a", "c"]);
        let dir = "/usr/lib/modules/6.12.0/kernel";
        assert_eq!(
            machine.calls_of("load_module"),
            [
                format!("load_module {dir}/b.ko.xz"),
                format!("load_module {dir}/a.ko.xz speed=9"),
                format!("load_module {dir}/c.ko"),
            ]
        );
        loader.plug("pci:v1d3");
        assert_eq!(loader.loaded.len(), 3, "what is loaded is not loaded again");
    }

    #[test]
    fn a_module_that_fails_is_a_remark_and_one_without_hardware_is_none() {
        let machine = machine();
        machine.refuse("load_module /usr/lib/modules/6.12.0/kernel/b", libc::ENOEXEC);
        machine.refuse("load_module /usr/lib/modules/6.12.0/kernel/c", libc::ENODEV);
        let mut loader = Loader::new(machine.clone(), "");
        loader.cold_plug();
        assert_eq!(loader.loaded, ["a"]);
        assert!(matches!(&loader.remarks[..], [one] if one.starts_with("module `b` is not loaded")));
    }

    #[test]
    fn the_kernel_asks_by_name_or_alias() {
        let machine = machine();
        let mut loader = Loader::new(machine.clone(), "modprobe.blacklist=a");
        assert!(!loader.load_by_name("a"));
        assert!(!loader.load_by_name("net-pf-99"));
        machine.put("/usr/lib/modules/6.12.0/x", "");
        assert!(loader.load_by_name("c"));
    }

    #[test]
    fn only_a_device_that_was_added_has_an_alias() {
        let message = b"add@/devices/x\0ACTION=add\0MODALIAS=pci:v1\0SEQNUM=1\0";
        assert_eq!(modalias_of_uevent(message).as_deref(), Some("pci:v1"));
        for other in [&b"remove@/x\0MODALIAS=pci:v1\0"[..], b"add@/x\0MODALIAS=\0", b"", b"\xff\0\0", b"add@"]
        {
            assert_eq!(modalias_of_uevent(other), None);
        }
    }

    proptest::proptest! {
        #[test]
        fn no_message_is_too_odd(bytes: Vec<u8>) {
            let _ = modalias_of_uevent(&bytes);
        }
    }
}
