//! Bundles: packed, checked, and tampered with in every way that a file can be. The report is one of the golden ones, given
//! the serial numbers of a machine.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{Read as _, Write as _};
use std::path::Path;

use burnin::bundle::{Fault, Packing, PublicKey, SecretKey, Verified, pack, verify};
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use report::node::{Disk, Dmi, Linux, Nic};
use report::{Bytes, Origin, Report, Verdict};

const SECRETS: [&str; 8] = [
    "SN-4711-XY",
    "4c4c4544-0042-3510-8052-b4c04f4d3133",
    "BRD-99120",
    "gpu-017.example",
    "b8:3f:d2:01:42:17",
    "NVME-SERIAL-77",
    "00112233445566778899aabbccddee99",
    "7c1c9a52-7d0e-4b0c-9a53-0f6f2f6f7a11",
];

fn key() -> SecretKey {
    SecretKey::from_bytes(&[7; 32])
}

fn now() -> Timestamp {
    "2026-11-25T12:00:00Z".parse().unwrap()
}

/// A healthy report of a machine with names.
fn healthy() -> Report {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("report/tests/golden/healthy-software.json");
    let mut report = Report::from_json(&std::fs::read(golden).unwrap()).unwrap();
    report.node.dmi = Some(Dmi {
        product_serial: Some(SECRETS[0].into()),
        product_uuid: Some(SECRETS[1].into()),
        board_serial: Some(SECRETS[2].into()),
        bios_version: Some("2.7.4".into()),
        ..Dmi::default()
    });
    report.node.linux = Some(Linux {
        release: "6.12".into(),
        architecture: "x86_64".into(),
        boot_id: SECRETS[7].into(),
        hostname: Some(SECRETS[3].into()),
    });
    let mac = SECRETS[4].parse().ok();
    report.node.nics = vec![Nic {
        name: "eth0".into(),
        mac,
        mac_permanent: mac,
        driver: None,
        address: None,
        carrier: None,
        speed_mbit_per_s: None,
    }];
    report.node.disks = vec![Disk {
        name: "nvme0n1".into(),
        size_bytes: Bytes(1 << 40),
        model: None,
        serial: Some(SECRETS[5].into()),
        rotational: None,
        address: None,
    }];
    report.devices[0].uuid = Some(SECRETS[6].into());
    // A name stands in free text as well.
    report.results[0].notes.push(format!("read on {} (disk {})", SECRETS[3], SECRETS[5]));
    report.verdict = report::judge(&report);
    assert_eq!(report.verdict.verdict, Verdict::Healthy);
    report
}

fn folder(report: &Report) -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    std::fs::write(folder.path().join("report.json"), serde_json::to_vec_pretty(report).unwrap()).unwrap();
    std::fs::write(folder.path().join("kernel.log"), b"NVRM: nothing to see\n").unwrap();
    folder
}

fn packed(report: &Report, redact: bool) -> (Vec<u8>, Result<burnin::bundle::Certificate, String>) {
    let (key, valid) = (key(), SignedDuration::from_hours(24 * 90));
    pack(folder(report).path(), &Packing { key: &key, redact, valid, now: now() }).unwrap()
}

fn check(bytes: &[u8]) -> Verified {
    verify(bytes, Some(&key().public()), now())
}

type Files = Vec<(String, Vec<u8>)>;

fn unpack(bytes: &[u8]) -> Files {
    let mut tar = Vec::new();
    GzDecoder::new(bytes).read_to_end(&mut tar).unwrap();
    let mut archive = tar::Archive::new(tar.as_slice());
    let entries = archive.entries().unwrap().map(|entry| {
        let mut entry = entry.unwrap();
        let mut bytes = Vec::new();
        entry.read_to_end(&mut bytes).unwrap();
        (entry.path().unwrap().display().to_string(), bytes)
    });
    entries.collect()
}

fn repack(files: &Files) -> Vec<u8> {
    let mut tar = tar::Builder::new(Vec::new());
    for (path, bytes) in files {
        let mut header = tar::Header::new_ustar();
        header.set_size(bytes.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        tar.append_data(&mut header, path, bytes.as_slice()).unwrap();
    }
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(&tar.into_inner().unwrap()).unwrap();
    gzip.finish().unwrap()
}

/// What is found after a change of the files.
fn tampered(change: impl FnOnce(&mut Files)) -> Vec<Fault> {
    let mut files = unpack(&packed(&healthy(), false).0);
    change(&mut files);
    check(&repack(&files)).faults
}

fn file<'a>(files: &'a mut Files, path: &str) -> &'a mut Vec<u8> {
    &mut files.iter_mut().find(|(name, _)| name == path).unwrap().1
}

#[test]
fn what_was_packed_is_intact_and_the_same_bytes_again() {
    let report = healthy();
    let (bytes, certificate) = packed(&report, false);
    assert_eq!(bytes, packed(&report, false).0);
    assert_eq!(repack(&unpack(&bytes)), bytes, "tar and gzip as anybody makes them");
    let found = check(&bytes);
    assert_eq!(found.faults, []);
    assert!(found.signer_known);
    assert_eq!(found.judged.unwrap().verdict, Verdict::Healthy);
    assert_eq!(found.certificate, certificate.ok());
    let evidence: Vec<_> =
        found.manifest.unwrap().files.into_iter().filter_map(|packed| packed.name).collect();
    assert_eq!(evidence, ["kernel.log"]);
}

#[test]
fn every_tampering_is_found_and_named() {
    let words = |faults: &[Fault]| faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ");
    let cases: Vec<(&str, Vec<Fault>)> = vec![
        (
            "`report.json` was altered",
            tampered(|f| {
                let json = file(f, "report.json");
                *json =
                    String::from_utf8_lossy(json).replace("quick-software", "quick-softwarE").into_bytes();
            }),
        ),
        ("`report.html` was altered", tampered(|f| file(f, "report.html").push(b' '))),
        (
            "`evidence/",
            tampered(|f| f.iter_mut().find(|(name, _)| name.starts_with("evidence/")).unwrap().1.clear()),
        ),
        ("`report.html` was taken away", tampered(|f| f.retain(|(name, _)| name != "report.html"))),
        ("`report.json` was taken away", tampered(|f| f.retain(|(name, _)| name != "report.json"))),
        ("`extra.txt` was added", tampered(|f| f.push(("extra.txt".into(), vec![1])))),
        (
            "`report.json` is there twice",
            tampered(|f| {
                let again = file(f, "report.json").clone();
                f.push(("report.json".into(), again));
            }),
        ),
        ("the signature was taken away", tampered(|f| f.retain(|(name, _)| name != "manifest.sig"))),
        ("do not fit each other", tampered(|f| file(f, "manifest.sig")[3] ^= 1)),
        (
            "do not fit each other",
            tampered(|f| {
                let manifest = file(f, "manifest.json");
                *manifest = String::from_utf8_lossy(manifest)
                    .replace("\"redacted\": false", "\"redacted\": true")
                    .into_bytes();
            }),
        ),
        ("the manifest cannot be read", tampered(|f| file(f, "manifest.json").truncate(40))),
        ("there is no manifest", tampered(|f| f.retain(|(name, _)| name != "manifest.json"))),
        (
            "`certificate.json` was altered",
            tampered(|f| {
                let json = file(f, "certificate.json");
                *json = String::from_utf8_lossy(json).replace("2027-02-23", "2037-02-23").into_bytes();
            }),
        ),
        ("holds bytes that are in no file", tampered(|f| f.reverse())),
    ];
    for (expected, faults) in cases {
        assert!(words(&faults).contains(expected), "`{expected}` is not named: {}", words(&faults));
    }
}

#[test]
fn a_file_that_is_cut_or_goes_on_after_its_end_or_is_none_is_refused() {
    let (bytes, _) = packed(&healthy(), false);
    for length in [0, 1, 20, bytes.len() / 2, bytes.len() - 9, bytes.len() - 1] {
        let faults = check(&bytes[..length]).faults;
        assert!(matches!(faults.first(), Some(Fault::Broken(_))), "{length}: {faults:?}");
    }
    assert_eq!(check(&[&bytes[..], b"more"].concat()).faults, [Fault::Hidden]);
    assert!(!check(b"this is no archive").faults.is_empty());
    let mut link = tar::Builder::new(Vec::new());
    let mut header = tar::Header::new_ustar();
    header.set_entry_type(tar::EntryType::Symlink);
    header.set_size(0);
    link.append_link(&mut header, "report.json", "/etc/passwd").unwrap();
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(&link.into_inner().unwrap()).unwrap();
    assert!(check(&gzip.finish().unwrap()).faults.contains(&Fault::NotAFile("report.json".into())));
}

#[test]
fn an_archive_that_unpacks_to_too_much_is_not_unpacked() {
    let mut gzip = GzEncoder::new(Vec::new(), Compression::best());
    let zeros = vec![0; 1 << 20];
    (0..1025).for_each(|_| gzip.write_all(&zeros).unwrap());
    assert!(check(&gzip.finish().unwrap()).faults.contains(&Fault::TooLarge));
}

#[test]
fn another_key_is_named_and_no_key_is_not_enough() {
    let (bytes, _) = packed(&healthy(), false);
    let other = SecretKey::from_bytes(&[8; 32]).public();
    let found = verify(&bytes, Some(&other), now());
    assert!(matches!(&found.faults[..], [Fault::OtherKey { asked, .. }] if *asked == other.to_string()));
    let found = verify(&bytes, None, now());
    assert!(found.faults.is_empty() && !found.signer_known);
    // Signed again by somebody else, who names his own key: whole in itself, and not ours.
    let key = SecretKey::from_bytes(&[8; 32]);
    let packing = Packing { key: &key, redact: false, valid: SignedDuration::from_hours(24), now: now() };
    let (forged, _) = pack(folder(&healthy()).path(), &packing).unwrap();
    assert!(!check(&forged).signer_known && !check(&forged).faults.is_empty());
}

#[test]
fn a_certificate_is_bound_to_parts_and_to_time() {
    let report = healthy();
    let (bytes, certificate) = packed(&report, false);
    let certificate = certificate.unwrap();
    assert_eq!(certificate.differs_from(&report.node), Vec::<String>::new());
    let mut swapped = report.node.clone();
    swapped.disks[0].serial = Some("ANOTHER".into());
    swapped.dmi.as_mut().unwrap().bios_version = Some("2.7.5".into());
    let differences = certificate.differs_from(&swapped).join("; ");
    assert!(
        differences.contains("serial number of nvme0n1 was NVME-SERIAL-77")
            && differences.contains("firmware version is 2.7.5"),
        "{differences}"
    );
    let late: Timestamp = "2027-03-01T00:00:00Z".parse().unwrap();
    let faults = verify(&bytes, Some(&key().public()), late).faults;
    assert!(matches!(faults[..], [Fault::Expired(_)]), "{faults:?}");
    let text = certificate.text();
    for words in [
        "CERTIFICATE OF ACCEPTANCE",
        "SN-4711-XY",
        "2.7.4",
        "expires 2027-02-23",
        "Not tested",
        "rule of three",
    ] {
        assert!(text.contains(words), "`{words}` is not in\n{text}");
    }
}

#[test]
fn a_node_that_is_not_healthy_and_a_drill_get_no_certificate() {
    let mut report = healthy();
    report.origin = Origin::Planted("flipped-bit".into());
    report.verdict = report::judge(&report);
    assert!(packed(&report, false).1.is_err());
    let mut report = healthy();
    report.completed_at = None;
    report.verdict = report::judge(&report);
    let (bytes, certificate) = packed(&report, false);
    assert_eq!(certificate.unwrap_err(), "the verdict is unknown");
    assert!(check(&bytes).faults.is_empty() && check(&bytes).certificate.is_none());
}

#[test]
fn a_redacted_bundle_names_nothing_and_says_the_same() {
    let report = healthy();
    let (bytes, _) = packed(&report, true);
    for (path, contents) in unpack(&bytes) {
        let text = String::from_utf8_lossy(&contents).to_lowercase();
        for secret in SECRETS {
            assert!(!text.contains(&secret.to_lowercase()), "`{secret}` is in {path}");
        }
    }
    let found = check(&bytes);
    assert_eq!(found.faults, []);
    assert_eq!(found.judged.unwrap().verdict, Verdict::Healthy);
    let again = unpack(&packed(&report, true).0);
    assert_eq!(unpack(&bytes), again, "equal names stay equal below one key");
    let plain = burnin::bundle::redact::redact(&report, &[1; 32]).unwrap();
    let other = burnin::bundle::redact::redact(&report, &[2; 32]).unwrap();
    assert_ne!(plain.node.dmi, other.node.dmi, "and mean nothing below another");
    assert!(plain.results[0].notes.last().unwrap().contains("redacted-"));
}

#[test]
fn public_keys_are_read_from_their_digits() {
    assert_eq!(PublicKey::from_hex(&key().public().to_string()), Some(key().public()));
    assert_eq!(PublicKey::from_hex("00"), None);
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn no_byte_can_be_changed_unseen(place in any::<prop::sample::Index>(), change in 1u8..) {
        static BUNDLE: std::sync::LazyLock<Vec<u8>> = std::sync::LazyLock::new(|| packed(&healthy(), false).0);
        let mut bytes = BUNDLE.clone();
        let place = place.index(bytes.len());
        // The last bits of the packed stream fill up its byte and mean nothing (RFC 1951).
        prop_assume!(place != bytes.len() - 9);
        bytes[place] ^= change;
        prop_assert!(!check(&bytes).faults.is_empty(), "byte {place}");
    }
}
