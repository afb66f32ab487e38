//! The tables that `depmod` writes beside the modules, and what forbids a module: read once, looked up by name.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use super::glob;
use crate::system::System;

/// All tables of one kernel.
#[derive(Clone, Debug, Default)]
pub struct Tables {
    /// Module -> its file and the files it needs, from below the directory of modules.
    files: BTreeMap<String, (PathBuf, Vec<String>)>,
    /// Bus (what stands before the first colon) -> pattern and module.
    aliases: BTreeMap<String, Vec<(String, String)>>,
    /// Module -> what to load before and after it.
    soft: BTreeMap<String, (Vec<String>, Vec<String>)>,
    builtin: BTreeSet<String>,
    blacklist: BTreeSet<String>,
    parameters: BTreeMap<String, String>,
    /// The directory of modules.
    pub dir: PathBuf,
}

/// The name of a module as the kernel writes it: a hyphen in a file's name is an underscore.
pub fn canonical(name: &str) -> String {
    name.replace('-', "_")
}

/// The module in a file `kernel/a/some-name.ko.xz`.
fn module_of(path: &str) -> Option<String> {
    let file = Path::new(path).file_name()?.to_str()?;
    file.split_once(".ko").map(|(name, _)| canonical(name))
}

impl Tables {
    /// Reads the tables of this kernel. A table that is missing is an empty one: a kernel may have no module at all.
    pub fn read(system: &dyn System, release: &str, command_line: &str) -> Self {
        let dir = Path::new("/usr/lib/modules").join(release);
        let text = |name: &str| {
            let bytes = system.read(&dir.join(name)).unwrap_or_default();
            String::from_utf8_lossy(&bytes).into_owned()
        };
        let mut this = Self { dir: dir.clone(), ..Self::default() };
        this.read_dependencies(&text("modules.dep"));
        this.read_aliases(&text("modules.alias"));
        this.read_soft(&text("modules.softdep"));
        this.builtin = text("modules.builtin").lines().filter_map(module_of).collect();
        for dir in ["/usr/lib/modprobe.d", "/etc/modprobe.d"] {
            for entry in system.list(Path::new(dir)).unwrap_or_default() {
                let bytes = system.read(&Path::new(dir).join(&entry.name)).unwrap_or_default();
                this.read_settings(&String::from_utf8_lossy(&bytes));
            }
        }
        this.read_command_line(command_line);
        this
    }

    fn read_dependencies(&mut self, text: &str) {
        for line in text.lines() {
            let Some((path, needs)) = line.split_once(':') else { continue };
            let Some(name) = module_of(path) else { continue };
            let needs = needs.split_whitespace().filter_map(module_of).collect();
            self.files.insert(name, (PathBuf::from(path), needs));
        }
    }

    fn read_aliases(&mut self, text: &str) {
        for line in text.lines() {
            let mut words = line.split_whitespace();
            if let (Some("alias"), Some(pattern), Some(module)) = (words.next(), words.next(), words.next()) {
                let entry = (pattern.to_owned(), canonical(module));
                self.aliases.entry(bus(pattern).to_owned()).or_default().push(entry);
            }
        }
    }

    fn read_soft(&mut self, text: &str) {
        for line in text.lines() {
            let mut words = line.split_whitespace();
            let (Some("softdep"), Some(module)) = (words.next(), words.next()) else { continue };
            let (before, after) = self.soft.entry(canonical(module)).or_default();
            let mut list = None;
            for word in words {
                match (word, &mut list) {
                    ("pre:", _) => list = Some(&mut *before),
                    ("post:", _) => list = Some(&mut *after),
                    (name, Some(list)) => list.push(canonical(name)),
                    (_, None) => {}
                }
            }
        }
    }

    /// `blacklist`, `options`, `softdep` and `alias` of a file of `modprobe.d`.
    fn read_settings(&mut self, text: &str) {
        for line in text.lines() {
            let mut words = line.split_whitespace();
            match (words.next(), words.next()) {
                (Some("blacklist"), Some(name)) => drop(self.blacklist.insert(canonical(name))),
                (Some("options"), Some(name)) => self.parameter(name, &words.collect::<Vec<_>>().join(" ")),
                (Some("softdep"), _) => self.read_soft(line),
                (Some("alias"), _) => self.read_aliases(line),
                _ => {}
            }
        }
    }

    /// `module_blacklist=`, `modprobe.blacklist=` and `MODULE.PARAMETER=VALUE` of the kernel's command line.
    fn read_command_line(&mut self, text: &str) {
        for word in crate::config::source::words(text) {
            let Some((key, value)) = word.split_once('=') else { continue };
            match (key, key.split_once('.')) {
                ("module_blacklist" | "modprobe.blacklist", _) => {
                    self.blacklist.extend(value.split(',').map(canonical));
                }
                (_, Some((module, parameter))) if module != "assay" => {
                    self.parameter(module, &format!("{parameter}={value}"));
                }
                _ => {}
            }
        }
    }

    fn parameter(&mut self, module: &str, text: &str) {
        let all = self.parameters.entry(canonical(module)).or_default();
        if !all.is_empty() {
            all.push(' ');
        }
        all.push_str(text);
    }

    /// The modules that want a device with this alias, without those that are forbidden.
    pub fn wanted_by(&self, modalias: &str) -> Vec<&str> {
        let all = self.aliases.get(bus(modalias)).map_or(&[][..], Vec::as_slice);
        let fit = all.iter().filter(|(pattern, _)| glob::matches(pattern, modalias));
        let mut names: Vec<_> = fit.map(|(_, module)| &module[..]).collect();
        names.retain(|name| !self.blacklist.contains(*name));
        names.dedup();
        names
    }

    /// What to load for a module, in order: what it needs, it itself, what comes after it; each once.
    /// Soft dependencies may go in circles.
    pub fn order(&self, name: &str) -> Vec<String> {
        let (mut order, mut seen) = (Vec::new(), BTreeSet::new());
        self.visit(&canonical(name), &mut seen, &mut order);
        order
    }

    fn visit(&self, name: &str, seen: &mut BTreeSet<String>, order: &mut Vec<String>) {
        if !seen.insert(name.to_owned()) || self.builtin.contains(name) {
            return;
        }
        let Some((_, needs)) = self.files.get(name) else { return };
        let none = (Vec::new(), Vec::new());
        let (before, after) = self.soft.get(name).unwrap_or(&none);
        // `modules.dep` names what is needed from the nearest to the farthest.
        for need in before.iter().chain(needs.iter().rev()) {
            self.visit(need, seen, order);
        }
        order.push(name.to_owned());
        for later in after {
            self.visit(later, seen, order);
        }
    }

    /// A module's file.
    pub fn file(&self, name: &str) -> Option<PathBuf> {
        self.files.get(name).map(|(path, _)| self.dir.join(path))
    }

    /// What it is told.
    pub fn parameters(&self, name: &str) -> &str {
        self.parameters.get(name).map_or("", |text| text)
    }

    /// Is there such a module, in a file or in the kernel itself?
    pub fn has(&self, name: &str) -> bool {
        self.files.contains_key(name) || self.builtin.contains(name)
    }

    /// May it be loaded for a device?
    pub fn is_forbidden(&self, name: &str) -> bool {
        self.blacklist.contains(name)
    }
}

/// What stands before the first colon.
fn bus(alias: &str) -> &str {
    alias.split_once(':').map_or("", |(bus, _)| bus)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tables() -> Tables {
        let mut tables = Tables { dir: "/m".into(), ..Tables::default() };
        tables.read_dependencies(
            "kernel/net/virtio_net.ko.xz: kernel/net/net_failover.ko.xz kernel/net/failover.ko.xz\n\
             kernel/net/net_failover.ko.xz: kernel/net/failover.ko.xz\nkernel/net/failover.ko.xz:\n\
             kernel/rdma-a.ko:\nkernel/rdma_b.ko:\n",
        );
        tables.read_aliases("# comment\nalias virtio:d00000001v* virtio_net\nalias virtio:d*v* rdma-a\n");
        tables.read_soft("softdep rdma_a pre: rdma_b post: virtio_net\nsoftdep rdma_b pre: rdma_a\n");
        tables
    }

    #[test]
    fn what_is_needed_comes_first() {
        assert_eq!(tables().order("virtio-net"), ["failover", "net_failover", "virtio_net"]);
        assert_eq!(tables().file("rdma_a"), Some("/m/kernel/rdma-a.ko".into()));
    }

    #[test]
    fn soft_dependencies_in_a_circle_end() {
        assert_eq!(tables().order("rdma_a"), ["rdma_b", "rdma_a", "failover", "net_failover", "virtio_net"]);
    }

    #[test]
    fn an_alias_finds_all_its_modules_but_the_forbidden() {
        let mut tables = tables();
        assert_eq!(tables.wanted_by("virtio:d00000001v00001AF4"), ["virtio_net", "rdma_a"]);
        tables.read_command_line("modprobe.blacklist=rdma-a,x virtio_net.napi_tx=0 assay.after=1");
        assert_eq!(tables.wanted_by("virtio:d00000001v00001AF4"), ["virtio_net"]);
        assert_eq!(tables.parameters("virtio_net"), "napi_tx=0");
        assert_eq!(tables.wanted_by("pci:v1"), [""; 0]);
    }
}
