//! The whole way, by the very script behind `make bringup`: discover, burn in, register, be admitted, or not.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use serde_json::Value;
use stories::process::{Ended, run};
use stories::{burnin, program, turn};

const DEADLINE: Duration = Duration::from_secs(240);

/// A machine with these programs, and the state that bringing it up leaves.
struct Machine {
    folder: tempfile::TempDir,
}

impl Machine {
    /// Programs as they were built; `burnin` is this script instead, where one is given. It finds the real one in `$REAL`.
    fn with(burnin: Option<&str>) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let programs = folder.path().join("programs");
        std::fs::create_dir(&programs).unwrap();
        for name in ["inventory", "node-init", "burnin"] {
            match burnin.filter(|_| name == "burnin") {
                None => symlink(program(name), programs.join(name)).unwrap(),
                Some(script) => {
                    let real = program(name);
                    let text = format!("#!/bin/sh\nREAL='{}'\n{script}\n", real.display());
                    std::fs::write(programs.join(name), text).unwrap();
                    let all = std::fs::Permissions::from_mode(0o755);
                    std::fs::set_permissions(programs.join(name), all).unwrap();
                }
            }
        }
        Self { folder }
    }

    fn state(&self) -> PathBuf {
        self.folder.path().join("state")
    }

    fn bring_up(&self) -> Ended {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("../images/bringup.sh");
        let mut command = Command::new(script);
        run(command.arg(self.folder.path().join("programs")).arg(self.state()), DEADLINE)
    }

    /// What the inventory says with these words, as JSON.
    fn inventory(&self, words: &[&str]) -> Value {
        let mut command = Command::new(program("inventory"));
        command.args(words).args(["--json", "--data"]).arg(self.state().join("inventory"));
        let ended = run(&mut command, Duration::from_secs(20));
        assert_eq!(ended.code(), Some(0), "{}", ended.stderr);
        serde_json::from_slice(&ended.stdout).unwrap()
    }

    /// The one node there is.
    fn node(&self) -> Value {
        let nodes = self.inventory(&["nodes"]);
        let nodes = nodes.as_array().or_else(|| nodes["nodes"].as_array()).unwrap().clone();
        assert_eq!(nodes.len(), 1, "{nodes:?}");
        nodes[0].clone()
    }
}

/// Does this machine have a GPU? Then it is burned in with the plan `quick`, and its pool is another.
fn has_gpu() -> bool {
    let listed = run(&mut burnin(&["list", "--json"]), Duration::from_secs(40));
    let devices: Value = serde_json::from_slice(&listed.stdout).unwrap();
    devices
        .as_array()
        .unwrap()
        .iter()
        .any(|device| device["kind"] == "discrete" || device["kind"] == "integrated")
}

#[test]
fn a_machine_goes_from_discovery_to_the_pool_and_comes_back_as_the_same_node() {
    let _turn = turn();
    let machine = Machine::with(None);
    let first = machine.bring_up();
    assert_eq!(first.code(), Some(0), "{}", first.stderr);
    let node = machine.node();
    assert_eq!(node["state"], "available");
    assert_eq!(node["pool"], if has_gpu() { "gpu" } else { "software" });
    let text = first.text();
    let report = text.lines().find_map(|line| line.strip_prefix("report")).unwrap().trim();
    assert!(Path::new(report).is_file(), "{report}");
    let shown = run(&mut burnin(&["show", report]), Duration::from_secs(20));
    assert_eq!(shown.code(), Some(0));
    assert!(shown.text().starts_with("HEALTHY"), "{}", shown.text());

    let whole = machine.inventory(&["node", node["id"].as_str().unwrap()]);
    let hardware = &whole["hardware"];
    assert_eq!(hardware["devices"][0]["kind"], "cpu");
    assert!(hardware["facts"]["memory"]["total_bytes"].as_u64().is_some_and(|bytes| bytes > 1 << 20));

    let second = machine.bring_up();
    assert_eq!(second.code(), Some(0), "{}", second.stderr);
    let again = machine.node();
    assert_eq!((&again["id"], &again["state"]), (&node["id"], &node["state"]));
}

#[test]
fn a_node_that_fails_its_burn_in_is_registered_and_not_admitted() {
    let _turn = turn();
    // `list` must be left as it is; a burn-in gets a fault.
    let machine = Machine::with(Some(
        r#"[ "$1" = run ] && exec "$REAL" "$@" --plant flipped-bit
exec "$REAL" "$@""#,
    ));
    let ended = machine.bring_up();
    assert_eq!(ended.code(), Some(1), "{}", ended.stderr);
    let node = machine.node();
    assert_eq!((&node["state"], &node["pool"]), (&Value::from("failed"), &Value::Null));
}

#[test]
fn a_node_that_calls_itself_healthy_is_not_believed() {
    let _turn = turn();
    // A liar: the burn-in found a fault, and the report is altered to say that all is well.
    let machine = Machine::with(Some(
        r#"[ "$1" = run ] || exec "$REAL" "$@"
for word in "$@"; do [ "$before" = --out ] && out=$word; before=$word; done
"$REAL" "$@" --plant flipped-bit
sed -i 's/"verdict": "faulty"/"verdict": "healthy"/; s/"outcome": "fail"/"outcome": "pass"/; s/"planted:flipped-bit"/"measured"/' "$out/report.json""#,
    ));
    let ended = machine.bring_up();
    assert_eq!(ended.code(), Some(1), "{}", ended.stderr);
    assert_eq!(machine.node()["state"], "failed");
}
