//! What can go wrong, and what the node and the inventory must say of it.

use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, ensure};
use serde_json::json;
use stories::driver::{self, Sickness};

use crate::machine::Machine;
use crate::monitor::Monitor;
use crate::process::Running;
use crate::site::Site;
use crate::{Arguments, say};

/// From power on to the line that is waited for, under emulation, beside other work.
const DEADLINE: Duration = Duration::from_secs(420);
/// From that line to the end of the machine.
const OFF: Duration = Duration::from_secs(60);

/// One story.
struct Scenario {
    name: &'static str,
    /// What is wrong.
    what: &'static str,
    tell: fn(&Arguments, &str) -> Result<()>,
}

const ALL: &[Scenario] = &[
    Scenario {
        name: "no-nic",
        what: "no network card",
        tell: |a, n| fails(a, n, "network NO_LINK", &[], |_, _| Ok(())),
    },
    Scenario {
        name: "no-dhcp",
        what: "a network on which nobody answers DHCP",
        tell: |a, n| {
            fails(a, n, "network NO_DHCP", &["eth0: no DHCP server answered"], |machine, settings| {
                settings.push(("net.timeout", "20".to_owned()));
                machine.on_silent_network();
                Ok(())
            })
        },
    },
    Scenario { name: "slow-dhcp", what: "DHCP whose answers are ten seconds late", tell: slow_dhcp },
    Scenario {
        name: "unknown-name",
        what: "a name of the inventory that nobody knows",
        tell: |a, n| {
            fails(a, n, "register INVENTORY_DOWN", &["Name or service not known"], |machine, settings| {
                machine.on_network(None);
                set(settings, "inventory", "https://inventory.invalid:8443");
                settings.push(("give_up_after", "10".to_owned()));
                Ok(())
            })
        },
    },
    Scenario {
        name: "dead-dns",
        what: "a server for DNS that never answers",
        tell: |a, n| {
            fails(
                a,
                n,
                "register INVENTORY_DOWN",
                &["Temporary failure in name resolution"],
                |machine, settings| {
                    machine.on_network_without_dns();
                    set(settings, "inventory", "https://inventory.example:8443");
                    settings.push(("give_up_after", "10".to_owned()));
                    Ok(())
                },
            )
        },
    },
    Scenario {
        name: "bad-settings",
        what: "two mistakes in the site's settings, both named",
        tell: |a, n| {
            fails(a, n, "config CONFIG", &["ftp://inventory", "on_don"], |_, settings| {
                set(settings, "inventory", "ftp://inventory");
                settings.push(("on_don", "reboot".to_owned()));
                Ok(())
            })
        },
    },
    Scenario { name: "wrong-ca", what: "a certificate of another site", tell: wrong_ca },
    Scenario { name: "truncated", what: "layers whose end is missing", tell: truncated },
    Scenario { name: "corrupted", what: "a layer with one wrong bit", tell: corrupted },
    Scenario {
        name: "driver-crash",
        what: "a Vulkan driver that crashes",
        tell: |a, n| is_kept_out(a, n, Sickness::Crash, "signal 6"),
    },
    Scenario {
        name: "driver-hang",
        what: "a Vulkan driver that never answers",
        tell: |a, n| is_kept_out(a, n, Sickness::Hang, "the driver hangs"),
    },
    Scenario {
        name: "driver-memory",
        what: "a Vulkan driver that takes all memory",
        tell: |a, n| is_kept_out(a, n, Sickness::Eat, "signal 9"),
    },
    Scenario {
        name: "watchdog",
        what: "a first process that is stopped, and the boot after the watchdog's reset",
        tell: watchdog,
    },
    Scenario {
        name: "disk-removed",
        what: "a disk that is pulled while the node registers",
        tell: disk_removed,
    },
    Scenario {
        name: "machine-check",
        what: "a machine check that ends a boot, and the next boot that tells of it once",
        tell: machine_check,
    },
    Scenario {
        name: "clock-1970",
        what: "a clock at 1970",
        tell: |a, n| registers(a, n, &["-rtc", "base=1970-01-01"]),
    },
    Scenario {
        name: "clock-2099",
        what: "a clock at 2099",
        tell: |a, n| registers(a, n, &["-rtc", "base=2099-01-01"]),
    },
    Scenario {
        name: "inventory-down",
        what: "an inventory that comes later than the node",
        tell: inventory_down,
    },
    Scenario { name: "two-nodes", what: "two machines at once", tell: two_nodes },
    Scenario { name: "clone", what: "a second machine with the UUID of the first", tell: clone },
];

/// Tells the stories that are asked for, all unless some are named; true if every one held.
pub(crate) fn run(arguments: &Arguments, only: &[String]) -> Result<bool> {
    for name in only {
        let names: Vec<_> = ALL.iter().map(|scenario| scenario.name).collect();
        ensure!(
            names.contains(&name.as_str()),
            "there is no scenario `{name}`; there are {}",
            names.join(", ")
        );
    }
    let asked: Vec<_> = ALL
        .iter()
        .filter(|scenario| only.is_empty() || only.iter().any(|name| name == scenario.name))
        .collect();
    let mut held = 0;
    for scenario in &asked {
        match (scenario.tell)(arguments, scenario.name) {
            Ok(()) => {
                held += 1;
                say(&format!("held    {:<16} {}", scenario.name, scenario.what))?;
            }
            Err(error) => say(&format!("FAILED  {:<16} {}: {error:#}", scenario.name, scenario.what))?,
        }
    }
    say(&format!("{held} of {} scenarios held", asked.len()))?;
    Ok(held == asked.len())
}

type Settings = Vec<(&'static str, String)>;

fn set(settings: &mut Settings, key: &'static str, value: &str) {
    settings.retain(|(known, _)| *known != key);
    settings.push((key, value.to_owned()));
}

fn start(arguments: &Arguments, machine: &Machine, name: &str) -> Result<Running> {
    machine.start(&arguments.consoles.join(format!("{name}.log")))
}

/// A machine that says why it failed, in these words too, and powers itself off; the inventory has no node.
fn fails(
    arguments: &Arguments,
    name: &str,
    code: &str,
    words: &[&str],
    prepare: fn(&mut Machine, &mut Settings) -> Result<()>,
) -> Result<()> {
    let site = Site::start(arguments)?;
    let mut machine = Machine::named(name);
    let mut settings = site.settings()?;
    prepare(&mut machine, &mut settings)?;
    site.put(&mut machine, &settings, &site.ca(), |_| ())?;
    let mut running = start(arguments, &machine, name)?;
    let line = running.line(&format!("assay: failed {code}: "), DEADLINE)?;
    for word in words {
        ensure!(line.contains(word), "it does not say `{word}`: {line}");
    }
    running.line("assay: power OFF", OFF)?;
    running.off(OFF)?;
    ensure!(site.nodes()?.is_empty(), "the inventory has a node");
    Ok(())
}

/// A machine that registers in spite of something.
fn registers(arguments: &Arguments, name: &str, more: &[&str]) -> Result<()> {
    let site = Site::start(arguments)?;
    let mut machine = Machine::named(name);
    machine.on_network(None).with(more);
    site.put(&mut machine, &site.settings()?, &site.ca(), |_| ())?;
    let mut running = start(arguments, &machine, name)?;
    is_available(&mut running, &site)
}

fn is_available(running: &mut Running, site: &Site) -> Result<()> {
    let line = running.line("assay: registered ", DEADLINE)?;
    running.off(OFF)?;
    let node = site.only_node()?;
    ensure!(
        node.state == "available" && line.contains(&node.id),
        "the node is {node:?}, its console says `{line}`"
    );
    Ok(())
}

/// The token must not leave the node: it still lets another one in.
fn wrong_ca(arguments: &Arguments, name: &str) -> Result<()> {
    let (site, other) = (Site::start(arguments)?, Site::start(arguments)?);
    let settings = site.settings()?;
    let mut machine = Machine::named(name);
    machine.on_network(None);
    let mut short = settings.clone();
    short.push(("give_up_after", "10".to_owned()));
    site.put(&mut machine, &short, &other.ca(), |_| ())?;
    let mut running = start(arguments, &machine, name)?;
    running.line("assay: failed register CA: ", DEADLINE)?;
    running.off(OFF)?;
    ensure!(site.nodes()?.is_empty(), "the inventory has a node");
    let mut honest = Machine::named("honest");
    honest.on_network(None);
    site.put(&mut honest, &settings, &site.ca(), |_| ())?;
    is_available(&mut start(arguments, &honest, "wrong-ca-honest")?, &site).context("the token was used up")
}

/// Linux goes on without what it could not unpack; the node must not.
fn truncated(arguments: &Arguments, name: &str) -> Result<()> {
    let site = Site::start(arguments)?;
    let mut machine = Machine::named(name);
    machine.on_network(None);
    let settings = site.settings()?;
    site.put(&mut machine, &settings, &site.ca(), |layers| layers.truncate(layers.len() / 2))?;
    let mut running = start(arguments, &machine, name)?;
    running.line("assay: failed ", DEADLINE)?;
    ensure!(site.nodes()?.is_empty(), "the inventory has a node");
    Ok(())
}

/// One bit of the largest layer: what Linux unpacks must be what was built, or nothing.
fn corrupted(arguments: &Arguments, name: &str) -> Result<()> {
    let site = Site::start(arguments)?;
    let mut machine = Machine::named(name);
    machine.on_network(None);
    let settings = site.settings()?;
    site.put(&mut machine, &settings, &site.ca(), |layers| {
        let middle = layers.len() / 2;
        layers[middle] ^= 1;
    })?;
    let mut running = start(arguments, &machine, name)?;
    running.line("assay: failed image IMAGE: ", DEADLINE)?;
    ensure!(site.nodes()?.is_empty(), "the inventory has a node");
    Ok(())
}

fn give_driver(machine: &mut Machine, site: &Site, sickness: Sickness) -> Result<()> {
    const LIBRARY: &str = "/usr/lib/assay-sick-driver.so";
    let folder = site.path("driver");
    std::fs::create_dir(&folder).context("making a folder for the driver")?;
    let sick = driver::build(&folder, sickness, Some(Path::new(LIBRARY))).context("building the driver")?;
    machine.carried.push((sick.library, LIBRARY));
    machine.carried.push((sick.manifest, "/usr/share/vulkan/icd.d/assay-sick-driver.json"));
    Ok(())
}

/// Beside the image's own driver there is one that goes wrong: the node registers, what happened is in its record, and it
/// gets no work.
fn is_kept_out(arguments: &Arguments, name: &str, sickness: Sickness, words: &str) -> Result<()> {
    let site = Site::start(arguments)?;
    let mut machine = Machine::named(name);
    machine.on_network(None);
    give_driver(&mut machine, &site, sickness)?;
    site.put(&mut machine, &site.settings()?, &site.ca(), |_| ())?;
    let mut running = start(arguments, &machine, name)?;
    running.line("assay: registered ", DEADLINE)?;
    running.off(OFF)?;
    let node = site.only_node()?;
    let record = site.record(&node.id)?.to_string();
    // Not known to be faulty, and so far from proven.
    ensure!(node.state == "validating", "the node is {node:?}");
    ensure!(record.contains(words), "nothing in the inventory says `{words}`: {record}");
    Ok(())
}

/// Every answer comes after questions were asked again, to more than one of them.
fn slow_dhcp(arguments: &Arguments, name: &str) -> Result<()> {
    let site = Site::start(arguments)?;
    let socket = site.path("monitor");
    let mut machine = Machine::named(name);
    machine.on_slow_network().with_monitor(&socket);
    site.put(&mut machine, &site.settings()?, &site.ca(), |_| ())?;
    let mut running = start(arguments, &machine, name)?;
    running.line("assay: phase network", DEADLINE)?;
    let asked = running.took();
    running.line("assay: phase clock", DEADLINE)?;
    let waited = running.took().saturating_sub(asked);
    ensure!(waited > Duration::from_secs(10), "DHCP was not slow: {waited:?}");
    Monitor::connect(&socket)?.execute("object-del", &json!({ "id": "slow" }))?;
    is_available(&mut running, &site)
}

/// A process that does not run feeds no watchdog. The machine starts again, says why, and stops there in the same way:
/// what is wrong with it is still there.
fn watchdog(arguments: &Arguments, name: &str) -> Result<()> {
    let site = Site::start(arguments)?;
    let socket = site.path("monitor");
    let mut machine = Machine::named(name);
    machine.on_network(None).with_watchdog().with_monitor(&socket);
    give_driver(&mut machine, &site, Sickness::FreezeInit)?;
    site.put(&mut machine, &site.settings()?, &site.ca(), |_| ())?;
    let mut running = start(arguments, &machine, name)?;
    running.line("assay: phase register", DEADLINE)?;
    Monitor::connect(&socket)?.event("WATCHDOG").context("nobody reset the machine")?;
    let told = running.line("assay: previous boot ended in phase ", DEADLINE)?;
    ensure!(told.contains("(WATCHDOG)"), "the second boot says `{told}`");
    ensure!(site.nodes()?.iter().all(|node| node.state != "available"), "the node may take work");
    Ok(())
}

/// A device that goes while the boot is under way does not end it.
fn disk_removed(arguments: &Arguments, name: &str) -> Result<()> {
    let site = Site::start(arguments)?;
    let (disk, socket) = (site.path("disk"), site.path("monitor"));
    let file = std::fs::File::create(&disk).context("making a disk")?;
    file.set_len(64 << 20).context("making a disk")?;
    let mut machine = Machine::named(name);
    machine.on_network(None).with_removable_disk(&disk).with_monitor(&socket);
    site.put(&mut machine, &site.settings()?, &site.ca(), |_| ())?;
    let mut running = start(arguments, &machine, name)?;
    running.line("assay: phase register", DEADLINE)?;
    let mut monitor = Monitor::connect(&socket)?;
    monitor.execute("device_del", &json!({ "id": "gone" }))?;
    monitor.event("DEVICE_DELETED").context("the machine kept its disk")?;
    is_available(&mut running, &site)
}

/// Uncorrected, its context corrupt (Intel SDM 3B, 15.3.2.2), in bank 1, since Linux leaves bank 0 alone on many CPUs: Linux panics, and its last words outlive the reset in the
/// firmware's variables. The next boot tells of them until one that keeps them in its own memory is registered.
fn machine_check(arguments: &Arguments, name: &str) -> Result<()> {
    const CHECK: &str = "mce 0 1 0xbe00000000000134 0x5 0x123000 0x8c";
    const TOLD: &str = "assay: previous boot ended in phase ";
    let site = Site::start(arguments)?;
    let socket = site.path("monitor");
    let mut machine = Machine::named(name);
    machine.on_network(None).with_monitor(&socket);
    site.give_uefi(&mut machine)?;
    let boot = |number: u32, on_done: &str| {
        let mut machine = machine.clone();
        let mut settings = site.settings()?;
        set(&mut settings, "on_done", on_done);
        site.put(&mut machine, &settings, &site.ca(), |_| ())?;
        start(arguments, &machine, &format!("{name}-{number}"))
    };

    let mut first = boot(1, "poweroff")?;
    first.line("assay: phase register", DEADLINE)?;
    Monitor::connect(&socket)?.say(CHECK)?;
    first.line("Kernel panic - not syncing", DEADLINE).context("the machine check did not arrive")?;
    first.off(OFF)?;
    drop(first);

    let mut second = boot(2, "hold")?;
    let told = second.line(TOLD, DEADLINE)?;
    ensure!(told.contains("(KERNEL_PANIC)"), "the second boot says `{told}`");
    second.line("assay: registered ", DEADLINE)?;
    second.line("assay: power HOLD", OFF)?;
    drop(second);

    let mut third = boot(3, "poweroff")?;
    third.line("assay: registered ", DEADLINE)?;
    third.off(OFF)?;
    ensure!(third.line(TOLD, OFF).is_err(), "the third boot tells of it again");
    Ok(())
}

/// The inventory is away when the node asks for it.
fn inventory_down(arguments: &Arguments, name: &str) -> Result<()> {
    let mut site = Site::start(arguments)?;
    let mut machine = Machine::named(name);
    machine.on_network(None);
    site.put(&mut machine, &site.settings()?, &site.ca(), |_| ())?;
    site.stop_inventory();
    let mut running = start(arguments, &machine, name)?;
    running.line("assay: phase register", DEADLINE)?;
    running.line("trying again", DEADLINE).context("the node did not say that it waits")?;
    site.start_inventory()?;
    is_available(&mut running, &site)
}

/// Both, of one site, in any order.
fn two_nodes(arguments: &Arguments, name: &str) -> Result<()> {
    let site = Site::start(arguments)?;
    let mut running = Vec::new();
    for number in ["1", "2"] {
        let name = format!("{name}-{number}");
        let mut machine = Machine::named(&name);
        machine.on_network(None);
        site.put(&mut machine, &site.settings()?, &site.ca(), |_| ())?;
        running.push(start(arguments, &machine, &name)?);
    }
    for running in &mut running {
        running.line("assay: registered ", DEADLINE * 2)?;
        running.off(OFF)?;
    }
    let nodes = site.nodes()?;
    let available = nodes.iter().filter(|node| node.state == "available").count();
    ensure!(nodes.len() == 2 && available == 2, "the inventory has {nodes:?}");
    Ok(())
}

/// The first owner of an identity keeps it.
fn clone(arguments: &Arguments, name: &str) -> Result<()> {
    let site = Site::start(arguments)?;
    let mut first = Machine::named(name);
    first.on_network(None);
    site.put(&mut first, &site.settings()?, &site.ca(), |_| ())?;
    is_available(&mut start(arguments, &first, "clone-first")?, &site)?;
    let owner = site.only_node()?;
    let mut second = Machine::named("impostor");
    second.uuid.clone_from(&first.uuid);
    second.on_network(None);
    site.put(&mut second, &site.settings()?, &site.ca(), |_| ())?;
    let mut running = start(arguments, &second, "clone-second")?;
    running.line("assay: registered ", DEADLINE).context("the second machine")?;
    running.off(OFF)?;
    let nodes = site.nodes()?;
    let quarantined = nodes.iter().filter(|node| node.state == "quarantined").count();
    ensure!(nodes.len() == 2 && nodes.contains(&owner) && quarantined == 1, "the inventory has {nodes:?}");
    Ok(())
}
