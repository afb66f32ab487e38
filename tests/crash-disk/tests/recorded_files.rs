//! Files written through the standard library, below which the disk remembers, fails and crashes.

#![allow(clippy::unwrap_used, reason = "a test ends where it breaks")]

use std::collections::BTreeSet;
use std::convert::Infallible;
use std::fs::{self, File};
use std::io::Write;
use std::path::Path;

use crash_disk::images::{Image, Limits, visit};
use crash_disk::{Call, Event, Fault, record};

fn images(log: &[Event]) -> Vec<Image> {
    let mut images = Vec::new();
    let built = visit(log, Limits::default(), |image| {
        images.push(image.clone());
        Ok::<_, Infallible>(())
    });
    assert_eq!(built.unwrap(), images.len());
    images
}

/// What that file can hold once so many marks were set; `None` where it is not there.
fn contents(images: &[Image], name: &str, marks: usize) -> BTreeSet<Option<String>> {
    let text = |bytes: &Vec<u8>| String::from_utf8_lossy(bytes).into_owned();
    let after = images.iter().filter(|image| image.marks >= marks);
    after.map(|image| image.files.get(Path::new(name)).map(text)).collect()
}

fn set(contents: &[Option<&str>]) -> BTreeSet<Option<String>> {
    contents.iter().map(|text| text.map(ToOwned::to_owned)).collect()
}

#[test]
fn what_no_fsync_covers_may_be_missing_and_what_one_covers_is_there() {
    let temporary = tempfile::tempdir().unwrap();
    let disk = record(temporary.path()).unwrap();
    let mut file = File::create(temporary.path().join("a")).unwrap();
    file.write_all(b"one").unwrap();
    file.sync_all().unwrap();
    disk.mark();
    File::open(temporary.path()).unwrap().sync_all().unwrap();
    disk.mark();
    file.write_all(b"two").unwrap();
    disk.mark();
    file.sync_all().unwrap();
    disk.mark();
    let images = images(&disk.events());
    let any = set(&[None, Some(""), Some("one"), Some("onetwo")]);
    assert_eq!(contents(&images, "a", 0), any);
    // The bytes are on disk; the name is not.
    assert_eq!(contents(&images, "a", 1), set(&[None, Some("one"), Some("onetwo")]));
    assert_eq!(contents(&images, "a", 2), set(&[Some("one"), Some("onetwo")]));
    assert_eq!(contents(&images, "a", 3), set(&[Some("one"), Some("onetwo")]));
    assert_eq!(contents(&images, "a", 4), set(&[Some("onetwo")]));
}

#[test]
fn later_bytes_may_be_there_without_earlier_ones_and_half_of_them() {
    let temporary = tempfile::tempdir().unwrap();
    fs::write(temporary.path().join("a"), "").unwrap();
    let disk = record(temporary.path()).unwrap();
    let mut file = File::options().append(true).open(temporary.path().join("a")).unwrap();
    file.write_all(&[b'x'; 512]).unwrap();
    file.write_all(&[b'y'; 1024]).unwrap();
    let found = contents(&images(&disk.events()), "a", 0);
    let [none, x, y] = ["\0", "x", "y"].map(|byte| byte.repeat(512));
    for whole in [String::new(), x.clone(), [&*none, &y, &y].concat(), [&*x, &y, &y].concat()] {
        assert!(found.contains(&Some(whole.clone())), "{:?}", whole.len());
    }
    let torn = found.iter().flatten().filter(|text| text.contains('y') && text.matches('y').count() == 512);
    assert!(torn.count() > 0, "no torn write among {}", found.len());
}

#[test]
fn a_file_that_replaces_another_is_there_whole_or_the_old_one_is() {
    let temporary = tempfile::tempdir().unwrap();
    let path = |name: &str| temporary.path().join(name);
    fs::write(path("a"), "old").unwrap();
    let replace = |sync: bool| {
        let disk = record(temporary.path()).unwrap();
        let mut file = File::create(path("b")).unwrap();
        file.write_all(b"new").unwrap();
        if sync {
            file.sync_all().unwrap();
        }
        fs::rename(path("b"), path("a")).unwrap();
        File::open(temporary.path()).unwrap().sync_all().unwrap();
        disk.mark();
        let images = images(&disk.events());
        (contents(&images, "a", 0), contents(&images, "a", 1))
    };
    assert_eq!(replace(true), (set(&[Some("old"), Some("new")]), set(&[Some("new")])));
    fs::write(path("a"), "old").unwrap();
    assert!(replace(false).1.contains(&Some(String::new())), "a rename before the fsync may leave nothing");
}

#[test]
fn a_failed_fsync_is_never_made_good_by_a_later_one() {
    let temporary = tempfile::tempdir().unwrap();
    fs::write(temporary.path().join("a"), "").unwrap();
    let disk = record(temporary.path()).unwrap();
    let mut file = File::options().write(true).open(temporary.path().join("a")).unwrap();
    disk.fail(Fault { call: Call::Sync, nth: 1, errno: libc::EIO, lasting: false });
    file.write_all(b"one").unwrap();
    assert_eq!(file.sync_all().unwrap_err().raw_os_error(), Some(libc::EIO));
    assert_eq!(disk.heal(), 1);
    file.sync_all().unwrap();
    file.write_all(b"two").unwrap();
    file.sync_all().unwrap();
    disk.mark();
    let found = contents(&images(&disk.events()), "a", 1);
    assert_eq!(found, set(&[Some("\0\0\0two"), Some("onetwo")]));
}

#[test]
fn the_call_that_must_fail_fails_and_no_other() {
    let temporary = tempfile::tempdir().unwrap();
    let disk = record(temporary.path()).unwrap();
    let mut file = File::create(temporary.path().join("a")).unwrap();
    disk.fail(Fault { call: Call::Write, nth: 2, errno: libc::ENOSPC, lasting: true });
    file.write_all(b"one").unwrap();
    for _ in 0..2 {
        assert_eq!(file.write_all(b"two").unwrap_err().raw_os_error(), Some(libc::ENOSPC));
    }
    // Another folder's files are another disk's.
    let other = tempfile::tempdir().unwrap();
    fs::write(other.path().join("a"), "well").unwrap();
    assert_eq!(disk.heal(), 2);
    file.write_all(b"two").unwrap();
    assert_eq!(fs::read(temporary.path().join("a")).unwrap(), b"onetwo");
}
