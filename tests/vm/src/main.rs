//! `vm`: boots the image in virtual machines, as a site would, and sees what becomes of the node.
//!
//! Everything is real but the machine: firmware, DHCP, HTTP, Linux, `node-init`, `burnin`, and an inventory of its own on
//! loopback. QEMU emulates the processor: times are those of an emulator. No privileges are needed.

mod console;
mod machine;
mod monitor;
mod process;
mod scenario;
mod site;

use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, Result};
use clap::{Parser, Subcommand};

use machine::{Firmware, Machine};
use site::Site;

/// Boots the image in virtual machines.
#[derive(Debug, Parser)]
#[command(max_term_width = 100)]
struct Arguments {
    /// Folder of the image: `images build --profile software --out DIR`
    #[arg(long, value_name = "DIR", global = true, default_value = ".assay/image")]
    image: PathBuf,
    /// Folder of our programs
    #[arg(long, value_name = "DIR", global = true, default_value = "target/release")]
    programs: PathBuf,
    /// Where consoles are kept
    #[arg(long, value_name = "DIR", global = true, default_value = ".assay/vm")]
    consoles: PathBuf,
    #[command(subcommand)]
    verb: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// From an empty machine by PXE to a node in the pool
    Pxe {
        /// With which firmware; both, one after the other, unless given
        #[arg(long)]
        firmware: Vec<Firmware>,
    },
    /// What can go wrong, one machine after the other
    Scenarios {
        /// Only this one; may be given again
        #[arg(long)]
        only: Vec<String>,
    },
}

/// A whole PXE boot with burn-in, under emulation, beside other work.
const DEADLINE: Duration = Duration::from_secs(600);

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let ended = match &arguments.verb {
        Verb::Pxe { firmware } => pxe(&arguments, firmware).map(|()| true),
        Verb::Scenarios { only } => scenario::run(&arguments, only),
    };
    match ended {
        Ok(held) => ExitCode::from(u8::from(!held)),
        Err(error) => {
            let _ = writeln!(std::io::stderr(), "vm: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn say(text: &str) -> Result<()> {
    writeln!(std::io::stdout(), "{text}").context("writing to standard output")
}

fn pxe(arguments: &Arguments, asked: &[Firmware]) -> Result<()> {
    let both = [Firmware::Bios, Firmware::Uefi];
    for firmware in if asked.is_empty() { &both[..] } else { asked } {
        let name = format!("pxe-{firmware}");
        let mut site = Site::start(arguments)?;
        site.serve_image()?;
        say(&format!("{name}: an empty machine asks the network"))?;
        let mut machine = Machine::named(&name);
        site.offer(&mut machine, *firmware)?;
        let mut running = machine.start(&arguments.consoles.join(format!("{name}.log")))?;
        running.tell = true;
        running.line("assay: phase ", DEADLINE)?;
        let registered = running.line("assay: registered ", DEADLINE)?;
        running.off(Duration::from_secs(60)).context("waiting for the machine to power itself off")?;
        say(&format!("{name}: powered itself off after {:.1} s", running.took().as_secs_f64()))?;
        let node = site.only_node()?;
        anyhow::ensure!(
            node.state == "available" && registered.ends_with(&format!("{} available", node.id)),
            "the inventory has the node as {}, its console says `{registered}`",
            node.state
        );
        let hardware = site.hardware(&node.id)?;
        anyhow::ensure!(
            hardware["facts"]["dmi"]["product_serial"] == name
                && hardware["facts"]["nics"][0]["name"].is_string(),
            "the inventory does not know what the machine is made of: {hardware}"
        );
        say(&site.inventory(&["node", &node.id])?)?;
    }
    Ok(())
}
