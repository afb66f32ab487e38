//! A site on loopback: an inventory, the image, and who serves it.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};
use serde_json::Value;

use crate::Arguments;
use crate::machine::{Firmware, Machine, below};
use crate::process::Running;

/// What the kernel is told for a console that a story reads.
const COMMAND_LINE: &str = "console=ttyS0,115200 panic=5";
/// The burn-in that an emulated machine can stand.
const PLAN: &str = "smoke-software";
/// How long a server may take to listen.
const START: Duration = Duration::from_secs(30);

/// A site of one story.
pub(crate) struct Site {
    folder: tempfile::TempDir,
    image: PathBuf,
    programs: PathBuf,
    inventory: Option<Running>,
    serve: Option<Running>,
    /// Port of the inventory, once it has one.
    port: u16,
    /// URL of the image, once it is served.
    url: String,
}

/// What the inventory knows of a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Node {
    pub(crate) id: String,
    pub(crate) state: String,
}

impl Site {
    /// An inventory without nodes, which listens.
    pub(crate) fn start(arguments: &Arguments) -> Result<Self> {
        let mut site = Self {
            folder: tempfile::tempdir().context("making a folder for the site")?,
            image: arguments.image.clone(),
            programs: arguments.programs.clone(),
            inventory: None,
            serve: None,
            port: 0,
            url: String::new(),
        };
        site.start_inventory()?;
        Ok(site)
    }

    /// A place for a file of this story.
    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn program(&self, name: &str) -> Result<Command> {
        let path = self.programs.join(name);
        ensure!(path.is_file(), "`{}` is not built", path.display());
        Ok(Command::new(path))
    }

    /// Where the inventory's certificate lies.
    pub(crate) fn ca(&self) -> PathBuf {
        self.path("inventory/tls/ca.pem")
    }

    /// Starts the inventory, on the port that it had before.
    pub(crate) fn start_inventory(&mut self) -> Result<()> {
        let mut command = self.program("inventory")?;
        command.args(["serve", "--name", "10.0.2.2", "--listen", &format!("127.0.0.1:{}", self.port)]);
        let mut running =
            Running::start(command.arg("--data").arg(self.path("inventory")), &self.path("inventory.log"))?;
        let line = running.line("listening on https://", START)?;
        let port = line
            .split_whitespace()
            .filter_map(|word| word.rsplit_once(':'))
            .find_map(|(_, port)| port.parse().ok());
        self.port = port.with_context(|| format!("the inventory names no port: `{line}`"))?;
        self.inventory = Some(running);
        Ok(())
    }

    /// Ends the inventory as a crash would.
    pub(crate) fn stop_inventory(&mut self) {
        self.inventory = None;
    }

    /// Serves the image to machines that boot from the network.
    pub(crate) fn serve_image(&mut self) -> Result<()> {
        let mut command = self.program("images")?;
        command.args(["serve", "--listen", "127.0.0.1:0", "--inventory", &self.inventory_url()]);
        command.arg("--dir").arg(&self.image).arg("--ca").arg(self.ca());
        command.args(["--set", "on_done=poweroff", "--set", "on_failure=poweroff", "--set", "after=1"]);
        let inventory = self.programs.join("inventory");
        command
            .arg("--token-command")
            .arg(inventory)
            .args(["token", "--plan", PLAN, "--data"])
            .arg(self.path("inventory"));
        let mut running = Running::start(&mut command, &self.path("images.log"))?;
        let line = running.line("listening on http://", START)?;
        let port = line.rsplit_once(':').and_then(|(_, port)| port.trim().parse::<u16>().ok());
        let port = port.with_context(|| format!("the image's server names no port: `{line}`"))?;
        self.url = format!("http://10.0.2.2:{port}/boot.ipxe");
        self.serve = Some(running);
        Ok(())
    }

    /// Puts a machine on the network, from which its firmware boots.
    pub(crate) fn offer(&self, machine: &mut Machine, firmware: Firmware) -> Result<()> {
        machine.on_network(Some(&self.url));
        if firmware == Firmware::Uefi {
            self.give_uefi(machine)?;
        }
        Ok(())
    }

    /// Gives a machine UEFI, whose variables outlive its boots.
    pub(crate) fn give_uefi(&self, machine: &mut Machine) -> Result<()> {
        machine.with_uefi(self.folder.path()).map(|_| ())
    }

    /// How machines reach the inventory.
    pub(crate) fn inventory_url(&self) -> String {
        format!("https://10.0.2.2:{}", self.port)
    }

    /// A token that lets one node in.
    pub(crate) fn token(&self) -> Result<String> {
        Ok(self.inventory(&["token", "--plan", PLAN])?.trim().to_owned())
    }

    /// The settings of a node of this site that powers itself off in the end.
    pub(crate) fn settings(&self) -> Result<Vec<(&'static str, String)>> {
        let off = "poweroff".to_owned();
        Ok(vec![
            ("inventory", self.inventory_url()),
            ("ca", "/etc/assay/ca.pem".to_owned()),
            ("token", self.token()?),
            ("on_done", off.clone()),
            ("on_failure", off),
            ("after", "1".to_owned()),
        ])
    }

    /// Gives a machine kernel and layers directly, with a layer of the site made of these settings and this certificate.
    pub(crate) fn put(
        &self,
        machine: &mut Machine,
        settings: &[(&'static str, String)],
        ca: &Path,
        harm: impl FnOnce(&mut Vec<u8>),
    ) -> Result<()> {
        let conf = self.path(&format!("{}.conf", machine.uuid));
        let text: String = settings.iter().map(|(key, value)| format!("{key}={value}\n")).collect();
        std::fs::write(&conf, text).context("writing the site's settings")?;
        let out = self.path(&format!("{}.site", machine.uuid));
        let mut command = self.program("images")?;
        command.args(["layer", "--name", "site", "--out"]).arg(&out);
        command.arg(format!("{}=/etc/assay/site.conf", conf.display()));
        command.arg(format!("{}=/etc/assay/ca.pem", ca.display()));
        for (from, to) in &machine.carried {
            command.arg(format!("{}={to}", from.display()));
        }
        run(&mut command)?;
        let mut layers = Vec::new();
        for path in [
            below(&self.image, "init.cpio.zst")?,
            below(&self.image, "gpu.cpio.zst")?,
            below(&out, "site.cpio.gz")?,
        ] {
            layers.extend(std::fs::read(&path).with_context(|| format!("reading `{}`", path.display()))?);
            layers.resize(layers.len().next_multiple_of(4), 0);
        }
        harm(&mut layers);
        let initrd = self.path(&format!("{}.initrd", machine.uuid));
        std::fs::write(&initrd, layers).context("writing the layers")?;
        machine.with_kernel(&below(&self.image, "vmlinuz")?, &initrd, COMMAND_LINE);
        Ok(())
    }

    /// What `inventory` says.
    pub(crate) fn inventory(&self, words: &[&str]) -> Result<String> {
        let mut command = self.program("inventory")?;
        run(command.args(words).arg("--data").arg(self.path("inventory")))
    }

    /// All nodes.
    pub(crate) fn nodes(&self) -> Result<Vec<Node>> {
        let text = self.inventory(&["nodes", "--json"])?;
        let document: Value = serde_json::from_str(&text).context("reading the list of nodes")?;
        let list =
            document.get("nodes").unwrap_or(&document).as_array().context("the list of nodes is none")?;
        let word = |node: &Value, key: &str| node[key].as_str().unwrap_or_default().to_owned();
        let id = |node: &Value| [word(node, "node_id"), word(node, "id")].concat();
        Ok(list.iter().map(|node| Node { id: id(node), state: word(node, "state") }).collect())
    }

    /// What a node is made of.
    pub(crate) fn hardware(&self, id: &str) -> Result<Value> {
        Ok(self.record(id)?["hardware"].take())
    }

    /// All that the inventory says of a node.
    pub(crate) fn record(&self, id: &str) -> Result<Value> {
        let text = self.inventory(&["node", id, "--json"])?;
        serde_json::from_str(&text).context("reading the node")
    }

    /// The node that there is.
    pub(crate) fn only_node(&self) -> Result<Node> {
        match self.nodes()?.as_slice() {
            [node] => Ok(node.clone()),
            nodes => bail!("one node was expected in the inventory, it has {nodes:?}"),
        }
    }
}

/// Runs a program to its end; what it says on standard output.
fn run(command: &mut Command) -> Result<String> {
    let output = command.output().with_context(|| format!("starting {command:?}"))?;
    ensure!(
        output.status.success(),
        "{command:?} ended with {}: {}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
