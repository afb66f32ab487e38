//! Whatever bytes the files of a node hold, no probe panics, and what lies beside them is still found.

#![allow(clippy::unwrap_used, reason = "in a test, what does not work fails it")]

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use discover::{PROBES, Root};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use report::NodeFacts;

/// The fixture whose files are spoiled.
static TREE: LazyLock<PathBuf> =
    LazyLock::new(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures/vm-qemu"));

/// Its files, as paths below it.
static FILES: LazyLock<Vec<PathBuf>> = LazyLock::new(|| {
    let mut files = Vec::new();
    walk(&TREE, &mut |path| {
        if path.symlink_metadata().unwrap().is_file() && path.extension().is_none_or(|e| e != "md") {
            files.push(path.strip_prefix(&*TREE).unwrap().to_owned());
        }
    });
    files.sort();
    files
});

fn walk(dir: &Path, visit: &mut impl FnMut(&Path)) {
    for entry in fs::read_dir(dir).unwrap() {
        let path = entry.unwrap().path();
        visit(&path);
        if path.symlink_metadata().unwrap().is_dir() {
            walk(&path, visit);
        }
    }
}

fn copy() -> tempfile::TempDir {
    let copy = tempfile::tempdir().unwrap();
    walk(&TREE, &mut |path| {
        let to = copy.path().join(path.strip_prefix(&*TREE).unwrap());
        let kind = path.symlink_metadata().unwrap();
        if kind.is_symlink() {
            symlink(fs::read_link(path).unwrap(), to).unwrap();
        } else if kind.is_dir() {
            fs::create_dir(to).unwrap();
        } else {
            fs::copy(path, to).unwrap();
        }
    });
    copy
}

/// Runs the probes in this thread, where a panic fails the test.
fn read(dir: &Path) -> NodeFacts {
    let mut facts = NodeFacts::default();
    for probe in PROBES {
        let _ = (probe.read)(&Root::at(dir), &mut facts);
    }
    facts
}

/// Bytes at random, and such as nearly are what the kernel writes.
fn bytes() -> impl Strategy<Value = Vec<u8>> {
    prop_oneof![
        proptest::collection::vec(any::<u8>(), 0..200),
        "[-+0-9a-fx,.:\\n ]{0,40}".prop_map(String::into_bytes),
        "(processor|MemTotal|Node 0 MemTotal|model name)?[ \\t]*:[ ]*[0-9]{0,30}( kB)?\\n"
            .prop_map(String::into_bytes),
        Just(vec![b'9'; 5000]),
    ]
}

fn runner() -> TestRunner {
    TestRunner::new(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })
}

#[test]
fn one_spoiled_file_costs_at_most_one_item_of_each_list() {
    let tree = copy();
    let whole = read(tree.path());
    let spoiled = |(file, bytes): (prop::sample::Index, Vec<u8>)| {
        let file = file.get(&FILES);
        let place = tree.path().join(file);
        let original = fs::read(&place).unwrap();
        fs::write(&place, bytes).unwrap();
        let facts = read(tree.path());
        fs::write(&place, original).unwrap();
        prop_assert!(facts.pci.len() + 1 >= whole.pci.len(), "{file:?}");
        prop_assert!(facts.disks.len() + 1 >= whole.disks.len(), "{file:?}");
        prop_assert_eq!(facts.nics.len(), whole.nics.len());
        // What came in can go out and come back: no number that JSON cannot hold.
        let json = serde_json::to_string(&facts).unwrap();
        prop_assert_eq!(serde_json::from_str::<NodeFacts>(&json).unwrap(), facts);
        Ok(())
    };
    runner().run(&(any::<prop::sample::Index>(), bytes()), spoiled).unwrap();
}

#[test]
fn a_tree_of_nothing_but_spoiled_files_is_read_without_a_panic() {
    let tree = copy();
    let spoiled = |all: Vec<Vec<u8>>| {
        for (n, file) in FILES.iter().enumerate() {
            fs::write(tree.path().join(file), &all[n % all.len()]).unwrap();
        }
        read(tree.path());
        Ok(())
    };
    runner().run(&proptest::collection::vec(bytes(), 16), spoiled).unwrap();
}
