use super::*;
use crate::clock::Manual;
use crate::net::ntp::Offset;
use crate::register::{Options, RegisterError};
use crate::system::recorder::Recorder;
use report::wire::ReportAck;
use report::{Verdict, VerdictRecord};

/// An inventory that takes every node, on a network that is there.
#[derive(Debug, Default)]
struct Kind {
    dhcp: Vec<(String, String)>,
    levels: std::cell::RefCell<Vec<String>>,
}

impl Stages for Kind {
    fn network(&self, _: &Config, _: &dyn Clock) -> Result<Online, Failure> {
        Ok(Online { settings: self.dhcp.clone(), hostname: Some("gpu-7".to_owned()), ntp: Vec::new() })
    }

    fn time(&self, _: &[String], _: Duration, _: &dyn Clock) -> Result<Offset, Vec<String>> {
        Ok(Offset { behind: true, by: Duration::from_secs(7), round_trip: Duration::ZERO, stratum: 2 })
    }

    fn log(&self, level: &str) {
        self.levels.borrow_mut().push(level.to_owned());
    }

    fn register(
        &self,
        options: &Options,
        _: &dyn crate::register::Progress,
        _: Option<&Cell>,
    ) -> Result<Registration, RegisterError> {
        options.token.read()?;
        let ack = ReportAck {
            revision: 1,
            verdict: VerdictRecord { verdict: Verdict::Healthy, findings: Vec::new() },
            state: "available".to_owned(),
            pool: None,
            duplicate: false,
        };
        Ok(Registration { node_id: "n7".to_owned(), boot_id: "b1".to_owned(), sequence: 1, ack })
    }
}

const SITE: &str =
    "inventory=https://inv:8443\ntoken=assay-k7-hunter2\non_done=poweroff\non_failure=reboot\n";

const RECORD: &str = "/sys/fs/pstore/pmsg-ramoops-0";

fn machine() -> Recorder {
    let machine = Recorder::machine();
    machine.put("/proc/cmdline", "quiet panic=-1\n");
    machine.put(config::SITE_FILE, SITE);
    machine.put(
        crate::image::FILE,
        r#"{"build_epoch":1767225600,"files":[{"path":"init","size":2,
            "sha256":"2689367b205c16ce32ed4200942b8b8b1e262dfc70d9bc9fbc77c49699a4f1df"}]}"#,
    );
    machine.put("/init", "ok");
    let dir = "/usr/lib/modules/6.12.0";
    machine.put(&format!("{dir}/modules.dep"), "kernel/a.ko.xz:\nkernel/b.ko:\n");
    machine.put(&format!("{dir}/modules.alias"), "alias pci:v1* a\nalias late:* b\n");
    machine.put("/sys/devices/pci0/0000:00:01.0/modalias", "pci:v1d2\n");
    machine.put("/proc/meminfo", "MemTotal: 4194304 kB\n");
    for file in ["cgroup.subtree_control", "burnin/memory.max"] {
        machine.put(&format!("/sys/fs/cgroup/{file}"), "");
    }
    machine.put(RECORD, "assay: phase network\n");
    machine
}

/// Boots it; how it ended and what stood on the console.
fn boot(machine: Recorder, stages: &dyn Stages) -> (Power, String, Arc<Recorder>) {
    let machine = Arc::new(machine);
    let progress = Arc::new(Progress::begin(machine.clone()));
    let (power, _) = Boot::new(machine.clone(), stages, &Manual::default(), progress).run();
    (power, machine.text("/dev/console"), machine)
}

#[test]
fn a_node_boots_from_mounts_to_registered() {
    let (power, console, machine) = boot(machine(), &Kind::default());
    assert_eq!(power, Power::Off, "{console}");
    let phases: Vec<_> = console.lines().filter_map(|line| line.strip_prefix("assay: phase ")).collect();
    assert_eq!(phases, ["mount", "config", "image", "modules", "network", "clock", "register"]);
    assert!(console.ends_with("assay: registered n7 available\n"), "{console}");
    assert!(console.contains("assay: times since kernel start init 0."), "{console}");
    let calls = machine.calls();
    for call in [
        "set_hostname gpu-7",
        "write /sys/fs/cgroup/burnin/memory.max",
        "set_wall_clock 1767225600",
        "set_wall_clock 1767225607",
        "load_module /usr/lib/modules/6.12.0/kernel/a.ko.xz",
        "load_module /usr/lib/modules/6.12.0/kernel/b.ko",
    ] {
        assert!(calls.iter().any(|one| one == call), "{call} is not in {calls:?}");
    }
    assert!(!console.contains("hunter2"));
}

#[test]
fn a_clock_that_can_be_true_is_left_alone_and_one_in_2099_is_not() {
    for (wall, set) in [(1_770_000_000, 1), (4_070_908_800, 2), (0, 2)] {
        let machine = machine();
        machine.set_wall(Duration::from_secs(wall));
        let (_, _, machine) = boot(machine, &Kind::default());
        assert_eq!(machine.calls_of("set_wall_clock").len(), set, "{wall}");
    }
}

#[test]
fn a_failure_is_typed_and_its_policy_holds() {
    type Change = fn(&Recorder);
    let cases: [(&str, Change); 6] = [
        ("assay: failed mount MOUNT: ", |m| m.refuse("mount proc", libc::EPERM)),
        ("assay: failed config CONFIG: the kernel command line: `tokn` is no key", |m| {
            m.put("/proc/cmdline", "assay.tokn=x");
        }),
        ("assay: failed image IMAGE: 1 of 1 files", |m| m.put("/init", "o")),
        ("the first is `/init` (its SHA-256 is ", |m| m.put("/init", "oj")),
        ("assay: failed image IMAGE: `/etc/assay/image.json` is not", |m| m.put(crate::image::FILE, "{")),
        ("assay: failed config CONFIG: missing: set `inventory=", |m| {
            m.put(config::SITE_FILE, "on_failure=reboot");
        }),
    ];
    for (line, change) in cases {
        let machine = machine();
        change(&machine);
        let (power, console, _) = boot(machine, &Kind::default());
        assert!(console.contains(line), "{line} is not in {console}");
        let expected = if line.contains("MOUNT") { Power::Hold } else { Power::Reboot };
        assert_eq!(power, expected, "{line}");
    }
}

#[test]
fn dhcp_may_name_the_inventory_and_not_the_ca() {
    let pair = |key: &str, value: &str| (key.to_owned(), value.to_owned());
    let fine = Kind { dhcp: vec![pair("inventory", "https://other:1")], ..Kind::default() };
    assert_eq!(boot(machine(), &fine).0, Power::Off);
    let bad = Kind { dhcp: vec![pair("ca", "/tmp/ca.pem")], ..Kind::default() };
    let (power, console, _) = boot(machine(), &bad);
    assert!(console.contains("assay: failed network CONFIG: DHCP may not set `ca`"), "{console}");
    assert_eq!(power, Power::Reboot);
}

#[test]
fn whatever_call_fails_the_boot_ends_registered_or_with_a_typed_reason() {
    let count = boot(machine(), &Kind::default()).2.calls().len();
    assert!(count > 60, "only {count} calls");
    let mut registered = 0;
    for n in 0..count {
        let machine = machine();
        machine.fail_at(n);
        let (_, _, machine) = boot(machine, &Kind::default());
        let call = machine.calls()[n].clone();
        // The console itself may be what fails: the log has the line too.
        let said = machine.text("/dev/console") + &machine.text("/dev/kmsg");
        let ends: Vec<_> =
            said.lines().filter(|l| l.contains("assay: registered") || l.contains("assay: failed")).collect();
        assert!(!ends.is_empty(), "call {n} (`{call}`) left no word");
        registered += usize::from(said.contains("assay: registered n7 available"));
    }
    // The boot needs its mounts, its configuration and its image, and little else.
    assert!(registered * 4 > count * 3, "{registered} of {count}");
}

/// An inventory that looks, before it answers, whether the record is still there.
struct Watching<'a> {
    kind: Kind,
    machine: &'a Recorder,
    refuse: bool,
}

impl Stages for Watching<'_> {
    fn network(&self, config: &Config, clock: &dyn Clock) -> Result<Online, Failure> {
        self.kind.network(config, clock)
    }

    fn time(&self, servers: &[String], built: Duration, clock: &dyn Clock) -> Result<Offset, Vec<String>> {
        self.kind.time(servers, built, clock)
    }

    fn log(&self, level: &str) {
        self.kind.log(level);
    }

    fn register(
        &self,
        options: &Options,
        progress: &dyn crate::register::Progress,
        cell: Option<&Cell>,
    ) -> Result<Registration, RegisterError> {
        assert_eq!(self.machine.calls_of("remove"), [""; 0], "removed before the acknowledgement");
        if self.refuse { Err(RegisterError::NoBootId) } else { self.kind.register(options, progress, cell) }
    }
}

#[test]
fn the_end_of_the_previous_boot_is_told_and_its_record_removed_only_after_the_acknowledgement() {
    // Where the machine powers off its copy would be gone too: the record stays.
    for (refuse, on_done) in [(false, "hold"), (true, "hold"), (false, "poweroff")] {
        let machine = Arc::new(machine());
        machine.put("/proc/cmdline", &format!("assay.on_done={on_done}"));
        let stages = Watching { kind: Kind::default(), machine: &machine, refuse };
        let progress = Arc::new(Progress::begin(machine.clone()));
        Boot::new(machine.clone(), &stages, &Manual::default(), progress).run();
        let console = machine.text("/dev/console");
        let line = "assay: previous boot ended in phase network (CUT_SHORT), 1 record of it\n";
        assert!(console.contains(line), "{console}");
        let kept = refuse || on_done == "poweroff";
        let removed = if kept { vec![] } else { vec![format!("remove {RECORD}")] };
        assert_eq!(machine.calls_of("remove"), removed);
    }
}

#[test]
fn the_level_of_the_log_is_what_the_site_sets_and_else_left_alone() {
    let (kind, machine) = (Kind::default(), machine());
    machine.put("/proc/cmdline", "assay.log=debug");
    boot(machine, &kind);
    assert!(kind.levels.borrow().iter().all(|level| level == "debug"));
    assert!(!kind.levels.borrow().is_empty());
    let kind = Kind::default();
    boot(self::machine(), &kind);
    assert!(kind.levels.borrow().is_empty());
}
