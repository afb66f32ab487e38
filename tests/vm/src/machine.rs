//! A virtual machine with an empty disk: what it is made of, and how it is started.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context as _, Result, ensure};

use crate::process::Running;

/// Firmware of UEFI, from Debian's package `ovmf`.
const OVMF_CODE: &str = "/usr/share/OVMF/OVMF_CODE_4M.fd";
const OVMF_VARIABLES: &str = "/usr/share/OVMF/OVMF_VARS_4M.fd";

/// What starts the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub(crate) enum Firmware {
    /// SeaBIOS.
    Bios,
    /// OVMF.
    Uefi,
}

impl fmt::Display for Firmware {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Bios => "bios",
            Self::Uefi => "uefi",
        })
    }
}

/// A machine that was not started yet.
#[derive(Clone, Debug)]
pub(crate) struct Machine {
    name: String,
    /// Another machine with the same is the same to an inventory, or a clone of it.
    pub(crate) uuid: String,
    arguments: Vec<String>,
    /// Files for its layer of the site, each with its place in the image.
    pub(crate) carried: Vec<(PathBuf, &'static str)>,
}

impl Machine {
    /// A machine with a name, from which its serial number and UUID follow.
    pub(crate) fn named(name: &str) -> Self {
        let number = name.bytes().fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
            (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
        });
        let uuid = format!("a55a7000-0000-4000-8000-{:012x}", number & 0xffff_ffff_ffff);
        Self { name: name.to_owned(), uuid, arguments: Vec::new(), carried: Vec::new() }
    }

    /// More arguments of QEMU.
    pub(crate) fn with(&mut self, arguments: &[&str]) -> &mut Self {
        self.arguments.extend(arguments.iter().map(|argument| (*argument).to_owned()));
        self
    }

    /// A network card on a network with DHCP, on which 10.0.2.2 is this machine's loopback.
    pub(crate) fn on_network(&mut self, bootfile: Option<&str>) -> &mut Self {
        let bootfile = bootfile.map(|url| format!(",bootfile={url}")).unwrap_or_default();
        self.with_card(&format!("user,id=net{bootfile}"))
    }

    /// The same network, of which nothing but DHCP works: the server for DNS that it names never answers.
    pub(crate) fn on_network_without_dns(&mut self) -> &mut Self {
        self.with_card("user,id=net,restrict=on")
    }

    /// The same network, on which what the machine sends goes on its way every ten seconds, until that is ended by the
    /// name `slow`.
    pub(crate) fn on_slow_network(&mut self) -> &mut Self {
        self.on_network(None)
            .with(&["-object", "filter-buffer,id=slow,netdev=net,queue=all,interval=10000000"])
    }

    /// A network on which nobody is.
    pub(crate) fn on_silent_network(&mut self) -> &mut Self {
        self.with_card("hubport,id=net,hubid=0")
    }

    fn with_card(&mut self, network: &str) -> &mut Self {
        self.with(&["-netdev", network, "-device", "virtio-net-pci,netdev=net,bootindex=1"])
    }

    /// A hardware watchdog (Intel 6300ESB) that starts the machine again; so does whatever else resets it.
    pub(crate) fn with_watchdog(&mut self) -> &mut Self {
        self.with(&["-device", "i6300esb", "-action", "reboot=reset,watchdog=reset"])
    }

    /// UEFI in the place of SeaBIOS; its variables are written to this folder.
    pub(crate) fn with_uefi(&mut self, folder: &Path) -> Result<&mut Self> {
        ensure!(
            Path::new(OVMF_CODE).is_file(),
            "`{OVMF_CODE}` is missing: `images/packages.sh vm` installs it"
        );
        let variables = folder.join(format!("{}.vars", self.name));
        std::fs::copy(OVMF_VARIABLES, &variables).with_context(|| format!("copying `{OVMF_VARIABLES}`"))?;
        let code = format!("if=pflash,format=raw,readonly=on,file={OVMF_CODE}");
        let variables = format!("if=pflash,format=raw,file={}", variables.display());
        Ok(self.with(&["-drive", &code, "-drive", &variables]))
    }

    /// A disk on a slot of which it can be taken while the machine runs, by the name `gone`.
    pub(crate) fn with_removable_disk(&mut self, file: &Path) -> &mut Self {
        let drive = format!("if=none,id=disk,format=raw,file={}", file.display());
        self.with(&["-drive", &drive, "-device", "pcie-root-port,id=rp0,chassis=1"]);
        self.with(&["-device", "virtio-blk-pci,drive=disk,id=gone,bus=rp0"])
    }

    /// A monitor on this socket.
    pub(crate) fn with_monitor(&mut self, socket: &Path) -> &mut Self {
        self.with(&["-qmp", &format!("unix:{},server=on,wait=off", socket.display())])
    }

    /// Kernel and layers from files, without firmware or network.
    pub(crate) fn with_kernel(&mut self, kernel: &Path, layers: &Path, command_line: &str) -> &mut Self {
        let (kernel, layers) = (kernel.display().to_string(), layers.display().to_string());
        self.with(&["-kernel", &kernel, "-initrd", &layers, "-append", command_line])
    }

    /// Starts it; its console is kept in this file.
    pub(crate) fn start(&self, console: &Path) -> Result<Running> {
        let identity =
            format!("type=1,manufacturer=Assay,product=Virtual,serial={},uuid={}", self.name, self.uuid);
        let mut command = Command::new("qemu-system-x86_64");
        // KVM is not asked for: where it is there, it need not work (a paravirtual one hangs).
        command.args(["-accel", "tcg", "-cpu", "max", "-smp", "2", "-m", "1536", "-M", "q35,graphics=off"]);
        command.args(["-display", "none", "-nodefaults", "-no-reboot", "-device", "virtio-rng-pci"]);
        command.args(["-serial", "file:/dev/stderr", "-smbios", &identity, "-uuid", &self.uuid]);
        Running::start(command.args(&self.arguments), console)
            .context("`images/packages.sh vm` installs QEMU")
    }
}

/// Where something of an image lies.
pub(crate) fn below(folder: &Path, name: &str) -> Result<PathBuf> {
    let path = folder.join(name);
    ensure!(path.is_file(), "`{}` is missing: `make image` builds the image", path.display());
    Ok(path)
}
