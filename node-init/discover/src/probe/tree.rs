//! A small tree for the tests of one probe: a temporary directory in which files are written by path.

use std::fs;
use std::os::unix::fs::symlink;

use report::NodeFacts;
use report::node::CollectorStatus;

use crate::{ProbeError, Root};

pub(super) struct Tree(tempfile::TempDir);

impl Tree {
    pub(super) fn new(files: &[(&str, &str)]) -> Self {
        let tree = Self(tempfile::tempdir().unwrap());
        for (path, text) in files {
            tree.write(path, text);
        }
        tree
    }

    pub(super) fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        let file = self.0.path().join(path);
        fs::create_dir_all(file.parent().unwrap()).unwrap();
        fs::write(file, text).unwrap();
    }

    pub(super) fn link(&self, path: &str, target: &str) {
        let link = self.0.path().join(path);
        fs::create_dir_all(link.parent().unwrap()).unwrap();
        symlink(target, link).unwrap();
    }

    pub(super) fn remove(&self, path: &str) {
        fs::remove_file(self.0.path().join(path)).unwrap();
    }

    /// What a probe finds here: the facts, and status and detail of an error.
    pub(super) fn read(
        &self,
        probe: fn(&Root, &mut NodeFacts) -> Result<(), ProbeError>,
    ) -> (NodeFacts, Result<(), (CollectorStatus, String)>) {
        let mut facts = NodeFacts::default();
        let ended = probe(&Root::at(self.0.path()), &mut facts);
        (facts, ended.map_err(|error| (error.status(), error.to_string())))
    }
}
