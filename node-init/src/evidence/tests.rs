use super::*;
use crate::system::recorder::Recorder;

const PMSG: &str = "/sys/fs/pstore/pmsg-ramoops-0";

fn found(files: &[(&str, &str)], watchdog_bit: bool) -> Option<String> {
    let machine = Recorder::machine();
    for (name, text) in files {
        machine.put(&format!("{PSTORE}/{name}"), text);
    }
    Evidence::collect(&machine).finding(watchdog_bit)
}

#[test]
fn the_last_phase_and_how_it_ended_are_told() {
    let panic = "Panic#1 Part1\n<15>[    7.5][    T1] assay: phase network\n<0>[    8.1] Kernel panic\n";
    let part = "Panic#1 Part2\n<15>[    1.5] assay: phase mount\n<15>[    1.6] assay: phase image\n";
    type Files<'a> = &'a [(&'a str, &'a str)];
    let cases: [(Files<'_>, bool, &str); 7] = [
        (
            &[("pmsg-ramoops-0", "assay: phase mount\nassay: phase clock\n")],
            false,
            "clock (CUT_SHORT), 1 record",
        ),
        (&[("pmsg-ramoops-0", "assay: phase clock\n")], true, "clock (WATCHDOG), 1 record"),
        (&[], true, "unknown (WATCHDOG), 0 records"),
        (
            &[(
                "pmsg-ramoops-0",
                "assay: phase register\nassay: failed register HANG: x\nassay: power REBOOT\n",
            )],
            true,
            "register (HANG), 1 record",
        ),
        (&[("dmesg-erst-1", panic), ("dmesg-erst-2", part)], false, "network (KERNEL_PANIC), 2 records"),
        (&[("dmesg-efi-1", "Oops#1 Part1\n<1>[ 3.1] BUG\n")], false, "unknown (KERNEL_OOPS), 1 record"),
        (
            &[("console-ramoops-0", "[    1.2] assay: phase modules\n")],
            false,
            "modules (CUT_SHORT), 1 record",
        ),
    ];
    for (files, bit, expected) in cases {
        let text = found(files, bit).unwrap();
        assert_eq!(text, format!("previous boot ended in phase {expected} of it"), "{files:?}");
    }
}

#[test]
fn a_boot_that_ended_well_or_left_nothing_is_no_finding() {
    assert_eq!(found(&[], false), None);
    for end in ["registered n7 available", "power OFF", "power REBOOT"] {
        assert_eq!(
            found(&[("pmsg-ramoops-0", &format!("assay: phase register\nassay: {end}\n"))], false),
            None
        );
    }
    // The same box may hold the boot before: only the last counts.
    let text =
        "assay: phase register\nassay: failed register CA: x\nassay: power REBOOT\nassay: phase mount\n";
    assert!(found(&[("pmsg-ramoops-0", text)], false).unwrap().contains("mount (CUT_SHORT)"));
}

#[test]
fn what_a_record_holds_is_never_repeated() {
    let hostile = "assay: phase \u{1b}[2Jx\nassay: failed mount \u{1b}]0;x: y\nxassay: phase clock\nassay: phase mount x\n";
    let text = found(&[("pmsg-ramoops-0", hostile)], false).unwrap();
    assert_eq!(text, "previous boot ended in phase mount (CUT_SHORT), 1 record of it");
    let machine = Recorder::machine();
    machine.put_bytes(PMSG, &[0xff, 0xfe, 0, b'\n', 0x1b, b'[']);
    machine.put(&format!("{PSTORE}/dmesg-\u{1b}[2J"), "Panic#1");
    machine.put(&format!("{PSTORE}/{}", "dmesg-".repeat(20)), "Panic#1");
    machine.put(&format!("{PSTORE}/lost+found"), "");
    let evidence = Evidence::collect(&machine);
    assert_eq!(evidence.records.len(), 1);
    assert_eq!(evidence.remarks.len(), 3);
    let said = evidence.remarks.concat() + &evidence.finding(false).unwrap();
    assert!(!said.contains(|c: char| c.is_control()), "{said:?}");
    evidence.settle(&machine);
    assert_eq!(machine.calls_of("remove"), [format!("remove {PMSG}")]);
}

#[test]
fn a_huge_record_is_read_from_its_end_and_all_together_are_bounded() {
    let machine = Recorder::machine();
    machine.put(PMSG, &("x".repeat(3 << 20) + "\nassay: phase image\n"));
    let evidence = Evidence::collect(&machine);
    assert_eq!(evidence.records[0].bytes.len(), RECORD_BYTES_MAX);
    assert!(evidence.finding(false).unwrap().contains("image"));
    for n in 10..40 {
        machine.put(&format!("{PSTORE}/dmesg-erst-{n}"), &"y".repeat(RECORD_BYTES_MAX));
    }
    let evidence = Evidence::collect(&machine);
    let sum: usize = evidence.records.iter().map(|record| record.bytes.len()).sum();
    assert_eq!((sum, evidence.remarks.len()), (ALL_BYTES_MAX, 31 - 16));
    evidence.settle(&machine);
    assert_eq!(machine.calls_of("remove").len(), 16, "what was not read is not removed");
}

#[test]
fn a_record_is_removed_only_after_its_copy_is_kept() {
    let fresh = || {
        let machine = Recorder::machine();
        machine.put(PMSG, "assay: phase image\n");
        machine.put(&format!("{PSTORE}/dmesg-erst-1"), "Panic#1 Part1\n");
        machine
    };
    let machine = fresh();
    assert_eq!(Evidence::collect(&machine).settle(&machine), [""; 0]);
    let count = machine.calls().len();
    assert_eq!(machine.text(&format!("{KEPT}/pmsg-ramoops-0")), "assay: phase image\n");
    for n in 0..count {
        let machine = fresh();
        machine.fail_at(n);
        let evidence = Evidence::collect(&machine);
        let remarks = [evidence.remarks.clone(), evidence.settle(&machine)].concat();
        // Without a list there is nothing to tell.
        assert!(n == 0 || remarks.len() == 1, "call {n}: {remarks:?}");
        for name in ["pmsg-ramoops-0", "dmesg-erst-1"] {
            let there = |dir: &str| !machine.text(&format!("{dir}/{name}")).is_empty();
            assert!(there(PSTORE) || there(KEPT), "call {n}: `{name}` is lost");
        }
    }
}

#[test]
fn a_digest_is_of_the_bytes() {
    let record = Record { name: "pmsg-x-0".to_owned(), bytes: b"abc".to_vec() };
    // FIPS 180-2, appendix B.1.
    assert_eq!(record.digest(), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
}

proptest::proptest! {
    #[test]
    fn no_record_is_too_odd(bytes: Vec<u8>, name: String) {
        let _ = is_record(&name);
        let evidence = Evidence { records: vec![Record { name, bytes }], remarks: Vec::new() };
        let _ = evidence.finding(true);
    }
}
