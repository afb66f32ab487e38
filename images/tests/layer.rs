//! The program as its users see it.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::Path;
use std::process::{Command, Output};

const PROGRAM: &str = env!("CARGO_BIN_EXE_images");

fn images(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(PROGRAM).current_dir(dir).args(arguments).output().unwrap()
}

#[track_caller]
fn succeeds(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout.clone()).unwrap()
}

/// A folder with a layer in `out`: this very program, and a text.
fn built() -> tempfile::TempDir {
    let dir = tempfile::tempdir().unwrap();
    std::fs::write(dir.path().join("motd"), "hello\n").unwrap();
    succeeds(&images(dir.path(), &["layer", "--out", "out", PROGRAM, "motd=/etc/motd"]));
    dir
}

fn manifest(dir: &Path) -> serde_json::Value {
    serde_json::from_slice(&std::fs::read(dir.join("out/manifest.json")).unwrap()).unwrap()
}

#[test]
fn the_same_inputs_give_the_same_bytes_wherever_they_are_built() {
    let (one, other) = (built(), built());
    for file in ["out/init.cpio.gz", "out/manifest.json"] {
        assert_eq!(
            std::fs::read(one.path().join(file)).unwrap(),
            std::fs::read(other.path().join(file)).unwrap()
        );
    }
    let arguments = ["layer", "--out", "out", "motd=/etc/motd", PROGRAM];
    succeeds(&images(other.path(), &arguments));
    assert_eq!(manifest(one.path()), manifest(other.path()), "the order of the arguments changes nothing");
}

#[test]
fn a_dynamic_program_brings_its_loader_and_libraries() {
    let dir = built();
    let files = manifest(dir.path())["files"].clone();
    let paths: Vec<_> = files.as_array().unwrap().iter().map(|f| f["path"].as_str().unwrap()).collect();
    assert!(paths.is_sorted());
    for end in ["usr/bin/images", "etc/motd", "libc.so.6"] {
        assert!(paths.iter().any(|path| path.ends_with(end)), "{end} in {paths:?}");
    }
    assert!(paths.iter().any(|path| path.contains("ld-linux")), "{paths:?}");
    let motd = files.as_array().unwrap().iter().find(|f| f["path"] == "etc/motd").unwrap();
    assert_eq!((&motd["mode"], &motd["size_bytes"]), (&"0644".into(), &6.into()));
}

/// `cpio` is a second opinion and not everywhere; our own reader is always asked.
#[test]
fn the_layer_unpacks_with_cpio_where_it_is_installed_and_with_our_own_reader() {
    let dir = built();
    assert!(succeeds(&images(dir.path(), &["verify", "out"])).contains("is what its manifest says"));
    if Command::new("cpio").arg("--version").output().is_err() {
        return;
    }
    let unpack = "mkdir root && cd root && gzip -dc ../out/init.cpio.gz | cpio -idm --quiet";
    succeeds(&Command::new("sh").arg("-c").arg(unpack).current_dir(dir.path()).output().unwrap());
    for file in manifest(dir.path())["files"].as_array().unwrap() {
        let path = dir.path().join("root").join(file["path"].as_str().unwrap());
        assert_eq!(std::fs::metadata(path).unwrap().len(), file["size_bytes"].as_u64().unwrap());
    }
}

#[test]
fn verify_names_what_differs() {
    let dir = built();
    let path = dir.path().join("out/manifest.json");
    let text = std::fs::read_to_string(&path).unwrap();
    let changed = text.replace("\"etc/motd\"", "\"etc/issue\"").replace("\"0755\"", "\"0644\"");
    std::fs::write(&path, changed).unwrap();
    let output = images(dir.path(), &["verify", "out"]);
    assert_eq!(output.status.code(), Some(1));
    let said = String::from_utf8(output.stdout).unwrap();
    for part in [
        "`/etc/issue` is missing from the layer",
        "`/etc/motd` is not in the manifest",
        "`/usr/bin/images` has mode 0755, the manifest says 0644",
    ] {
        assert!(said.contains(part), "{part} in {said}");
    }
}

#[test]
fn verify_finds_every_kind_of_damage_to_the_layer() {
    let dir = built();
    let path = dir.path().join("out/init.cpio.gz");
    let bytes = std::fs::read(&path).unwrap();
    for place in [0, 9, bytes.len() / 2, bytes.len() - 1] {
        let mut damaged = bytes.clone();
        damaged[place] ^= 1;
        std::fs::write(&path, damaged).unwrap();
        let output = images(dir.path(), &["verify", "out"]);
        assert_eq!(output.status.code(), Some(1), "byte {place}");
        assert!(
            String::from_utf8_lossy(&output.stdout).contains("`init.cpio.gz` has digest"),
            "byte {place}"
        );
    }
    std::fs::write(&path, &bytes[..bytes.len() / 3]).unwrap();
    assert!(
        String::from_utf8_lossy(&images(dir.path(), &["verify", "out"]).stdout)
            .contains("cannot be unpacked")
    );
}

#[test]
fn a_missing_file_is_named() {
    let dir = tempfile::tempdir().unwrap();
    let output = images(dir.path(), &["layer", "--out", "out", "nowhere=/init"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(String::from_utf8_lossy(&output.stderr).contains("reading `nowhere`"));
    assert!(!dir.path().join("out").exists());
}

#[test]
fn a_missing_library_is_named_with_the_program_and_what_to_install() {
    let dir = tempfile::tempdir().unwrap();
    let mut program = std::fs::read(PROGRAM).unwrap();
    let (name, other) = (b"\0libc.so.6\0", b"\0libq.so.6\0");
    let places: Vec<_> =
        program.windows(name.len()).enumerate().filter(|(_, w)| w == name).map(|(at, _)| at).collect();
    assert!(!places.is_empty());
    places.iter().for_each(|at| program[*at..at + other.len()].copy_from_slice(other));
    std::fs::write(dir.path().join("odd"), program).unwrap();
    let output = images(dir.path(), &["layer", "--out", "out", "odd"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert_eq!(output.status.code(), Some(2));
    for part in ["`odd` needs the shared library `libq.so.6`", "apt-file search libq.so.6"] {
        assert!(said.contains(part), "{part} in {said}");
    }
}

#[test]
fn a_path_that_leaves_the_image_is_refused() {
    let dir = tempfile::tempdir().unwrap();
    for path in ["relative", "/a/../b", "/", "//a", "/a/"] {
        let output = images(dir.path(), &["layer", "--out", "out", &format!("{PROGRAM}={path}")]);
        assert_eq!(output.status.code(), Some(2), "{path}");
        assert!(String::from_utf8_lossy(&output.stderr).contains("no path in the image"), "{path}");
    }
}
