//! The direction of dependencies, and where unsafe code may stand. The same table is in `docs/architecture.md`.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "architecture/source.rs"]
mod source;

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, PackageId};

/// Which of our crates a crate may use, in any way: at run time, to build, to test. `None` is any.
type Table = BTreeMap<String, Option<BTreeSet<String>>>;

const ALLOWED: &[(&str, Option<&[&str]>)] = &[
    ("kernels", Some(&[])),
    ("kernels-compile", Some(&[])),
    ("report", Some(&[])),
    ("discover", Some(&["report"])),
    ("burnin", Some(&["kernels", "report", "discover"])),
    ("node-init", Some(&["report", "discover"])),
    ("inventory", Some(&["report", "crash-disk"])),
    ("images", Some(&[])),
    ("benches", None),
    ("stories", None),
    ("fault-layer", Some(&[])),
    ("crash-disk", Some(&[])),
    ("vm", Some(&["stories"])),
];

/// Threads and no async runtime: what these do must be simple to reason about while a device hangs.
const LEAVES: &[&str] = &["report", "discover", "kernels", "burnin", "node-init"];

/// The only folders with unsafe code.
const UNSAFE_FOLDERS: &[&str] = &[
    "burnin/src/device/vulkan",
    "burnin/src/link",
    "node-init/src/system/linux",
    "tests/fault-layer",
    "tests/crash-disk/src/calls",
];

/// One crate of ours names another in its manifest.
#[derive(Clone, Debug)]
struct Edge {
    from: String,
    to: String,
    kind: DependencyKind,
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

fn metadata() -> Metadata {
    let mut command = MetadataCommand::new();
    command.manifest_path(root().join("Cargo.toml"));
    command.other_options(["--filter-platform".to_owned(), "x86_64-unknown-linux-gnu".to_owned()]);
    command.exec().unwrap()
}

fn allowed() -> Table {
    let own = |names: &&[&str]| names.iter().map(ToString::to_string).collect();
    ALLOWED.iter().map(|(name, uses)| (name.to_string(), uses.as_ref().map(own))).collect()
}

/// Every edge between crates of ours, whatever feature or platform switches it on.
fn edges(metadata: &Metadata) -> Vec<Edge> {
    let ours = metadata.workspace_packages();
    let names: BTreeSet<_> = ours.iter().map(|package| package.name.to_string()).collect();
    let edges = ours.iter().flat_map(|package| {
        package.dependencies.iter().map(|dependency| Edge {
            from: package.name.to_string(),
            to: dependency.name.clone(),
            kind: dependency.kind,
        })
    });
    edges.filter(|edge| names.contains(&edge.to)).collect()
}

fn forbidden(edges: &[Edge], table: &Table) -> Vec<String> {
    let bad = edges.iter().filter(|edge| match table.get(&edge.from) {
        None => true,
        Some(uses) => uses.as_ref().is_some_and(|uses| !uses.contains(&edge.to)),
    });
    bad.map(|edge| format!("`{}` may not use `{}` ({:?})", edge.from, edge.to, edge.kind)).collect()
}

/// The table of the page: rows of crates, folders, what they may use, and a description.
fn documented(page: &str) -> Table {
    let names =
        |cell: &str| -> Vec<String> { cell.split('`').skip(1).step_by(2).map(ToOwned::to_owned).collect() };
    let rows = page.lines().filter(|line| line.starts_with("| `"));
    rows.flat_map(|row| {
        let cells: Vec<_> = row.split('|').map(str::trim).collect();
        let uses = match cells[3] {
            "any" => None,
            "nothing" => Some(BTreeSet::new()),
            some => Some(names(some).into_iter().collect()),
        };
        names(cells[1]).into_iter().map(move |name| (name, uses.clone()))
    })
    .collect()
}

/// All packages that end up in a program that uses this crate.
fn pulled(metadata: &Metadata, name: &str) -> BTreeSet<String> {
    let nodes: BTreeMap<&PackageId, _> =
        metadata.resolve.as_ref().unwrap().nodes.iter().map(|node| (&node.id, node)).collect();
    let start = metadata.workspace_packages().into_iter().find(|package| package.name == name).unwrap();
    let (mut open, mut seen) = (vec![&start.id], BTreeSet::new());
    while let Some(id) = open.pop() {
        if seen.insert(id) {
            let normal = nodes[id].deps.iter().filter(|dependency| {
                dependency.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal)
            });
            open.extend(normal.map(|dependency| &dependency.pkg));
        }
    }
    seen.iter().map(|id| metadata[id].name.to_string()).collect()
}

#[test]
fn no_crate_uses_another_that_the_table_does_not_allow() {
    let metadata = metadata();
    let members: BTreeSet<_> = metadata.workspace_packages().iter().map(|p| p.name.to_string()).collect();
    assert_eq!(members, allowed().into_keys().collect(), "members of the workspace and rows of the table");
    let edges = edges(&metadata);
    assert!(edges.iter().any(|e| e.from == "burnin" && e.to == "kernels"), "no edges were read: {edges:?}");
    assert_eq!(forbidden(&edges, &allowed()), [""; 0]);
}

#[test]
fn the_page_and_the_test_have_the_same_table() {
    let page = std::fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    assert_eq!(documented(&page), allowed());
}

#[test]
fn a_forbidden_edge_of_any_kind_is_found() {
    for kind in [DependencyKind::Normal, DependencyKind::Build, DependencyKind::Development] {
        let planted = Edge { from: "report".into(), to: "burnin".into(), kind };
        let fine = Edge { from: "burnin".into(), to: "report".into(), kind };
        assert_eq!(forbidden(&[fine, planted], &allowed()).len(), 1, "{kind:?}");
    }
    let stranger = Edge { from: "new".into(), to: "report".into(), kind: DependencyKind::Normal };
    assert_eq!(forbidden(&[stranger], &allowed()).len(), 1);
}

#[test]
fn a_changed_page_is_found() {
    let page = std::fs::read_to_string(root().join("docs/architecture.md")).unwrap();
    let row = "| `discover` | `node-init/discover/` | `report` |";
    assert!(page.contains(row));
    let changed = page.replace(row, "| `discover` | `node-init/discover/` | `report`, `burnin` |");
    assert_ne!(documented(&changed), allowed());
}

#[test]
fn the_leaf_crates_have_no_async_runtime() {
    let metadata = metadata();
    // Proof that the walk arrives: the service has both.
    assert!(pulled(&metadata, "inventory").is_superset(&["axum".to_owned(), "tokio".to_owned()].into()));
    for leaf in LEAVES {
        let pulled = pulled(&metadata, leaf);
        for runtime in ["tokio", "axum", "async-std", "smol", "hyper"] {
            assert!(!pulled.contains(runtime), "`{leaf}` pulls `{runtime}`");
        }
    }
}

#[test]
fn the_first_process_links_no_gpu_code() {
    let metadata = metadata();
    assert!(pulled(&metadata, "burnin").contains("ash"));
    let pulled = pulled(&metadata, "node-init");
    for gpu in ["ash", "wgpu", "wgpu-hal", "burnin", "kernels"] {
        assert!(!pulled.contains(gpu), "`node-init` pulls `{gpu}`");
    }
}

#[test]
fn unsafe_code_stands_only_in_its_folders() {
    let root = root();
    let files = source::files(&root);
    assert!(files.iter().any(|file| file.ends_with("tests/tests/architecture.rs")), "no files were read");
    let outside = files.iter().filter(|file| {
        let inside = file.strip_prefix(&root).unwrap();
        !UNSAFE_FOLDERS
            .iter()
            .any(|folder| inside.starts_with(folder) || inside == Path::new(&format!("{folder}.rs")))
    });
    let bad: Vec<_> = outside
        .filter(|file| source::has_word(&source::code(&std::fs::read_to_string(file).unwrap()), "unsafe"))
        .collect();
    assert!(bad.is_empty(), "unsafe code outside its folders: {bad:?}");
}

#[test]
fn unsafe_in_code_is_found_and_in_words_is_not() {
    for code in [
        "unsafe { f() }",
        "fn a() {} /* x */ unsafe fn b() {}",
        "'\"'; unsafe impl X for Y {}",
        "x!(r#\"\"#, unsafe {})",
    ] {
        assert!(source::has_word(&source::code(code), "unsafe"), "{code}");
    }
    for words in [
        "// unsafe",
        "/* a /* unsafe */ unsafe */ fn f<'a>() {}",
        "\"unsafe \\\" unsafe\"",
        "r#\"unsafe \" unsafe\"#",
        "#![deny(unsafe_code)]",
        "fn f<'a>(x: &'a str) -> char { '\\'' } // unsafe",
    ] {
        assert!(!source::has_word(&source::code(words), "unsafe"), "{words}");
    }
}
