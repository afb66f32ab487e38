//! What a node is made of, as its latest report says it.

use anyhow::{Context as _, Result};
use inventory::store::read::{NodeDetail, View};
use report::node::{Cpu, Disk, Dmi, Nic, NodeFacts};
use report::{Bytes, DeviceInfo};
use serde::{Deserialize, Serialize};

/// A part of a report.
#[derive(Clone, Debug, Deserialize)]
struct Part {
    devices: Vec<DeviceInfo>,
    node: NodeFacts,
}

/// What a node is made of.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Hardware {
    /// The change by which the report was stored that says so.
    pub(crate) revision: u64,
    /// The devices that were burned in.
    devices: Vec<DeviceInfo>,
    /// Everything else.
    facts: NodeFacts,
}

impl Hardware {
    /// As the node's latest report has it; none before the first.
    pub(crate) fn of(view: &View, node: &NodeDetail) -> Result<Option<Self>> {
        let Some(revision) = node.reports.first().map(|report| report.revision) else { return Ok(None) };
        let Some(bytes) = view.report_bytes(revision)? else { return Ok(None) };
        let Part { devices, node } =
            serde_json::from_slice(&bytes).with_context(|| format!("reading report {revision}"))?;
        Ok(Some(Self { revision, devices, facts: node }))
    }

    /// A kind and a description for each part, for people.
    pub(crate) fn rows(&self) -> Vec<[String; 2]> {
        let facts = &self.facts;
        let mut rows: Vec<(&str, String)> = Vec::new();
        rows.extend(facts.dmi.iter().map(|dmi| ("machine", machine(dmi))));
        rows.extend(
            facts.linux.iter().map(|linux| ("linux", format!("{} {}", linux.release, linux.architecture))),
        );
        rows.extend(facts.cpus.iter().map(|cpu| ("cpu", processor(cpu))));
        rows.extend(facts.memory.iter().map(|memory| ("memory", memory.total_bytes.to_string())));
        rows.extend(self.devices.iter().map(|device| ("device", compute(device))));
        rows.extend(facts.gpus().map(|gpu| {
            let driver = gpu.driver.as_deref().unwrap_or("no driver");
            ("gpu", format!("{} {} {driver}", gpu.address, gpu.id))
        }));
        rows.extend(facts.nics.iter().map(|nic| ("nic", network(nic))));
        rows.extend(facts.disks.iter().map(|disk| ("disk", storage(disk))));
        rows.into_iter().map(|(kind, text)| [kind.to_owned(), text]).collect()
    }
}

/// The words that there are, in a row.
fn words<'a>(all: impl IntoIterator<Item = Option<&'a str>>) -> String {
    all.into_iter().flatten().collect::<Vec<_>>().join(" ")
}

fn machine(dmi: &Dmi) -> String {
    let serial = dmi.product_serial.as_ref().map(|serial| format!("serial {serial}"));
    let firmware = words([dmi.bios_vendor.as_deref(), dmi.bios_version.as_deref()]);
    let firmware = (!firmware.is_empty()).then(|| format!("firmware {firmware}"));
    let named = words([dmi.system_vendor.as_deref(), dmi.product_name.as_deref()]);
    let all = [(!named.is_empty()).then_some(named), serial, firmware];
    all.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

fn processor(cpu: &Cpu) -> String {
    let model = cpu.model.as_deref().or(cpu.vendor.as_deref()).unwrap_or("of unknown make");
    format!("socket {}: {model}, {} cores, {} threads", cpu.socket, cpu.cores, cpu.threads)
}

fn compute(device: &DeviceInfo) -> String {
    format!("{}: {}, {}, {}", device.id, device.name, device.memory_bytes, device.driver)
}

fn network(nic: &Nic) -> String {
    let mac = nic.mac.map(|mac| mac.to_string());
    let speed = nic.speed_mbit_per_s.map(|speed| format!("{speed} Mbit/s"));
    let carrier = (nic.carrier == Some(false)).then_some("no carrier");
    words([Some(nic.name.as_str()), mac.as_deref(), nic.driver.as_deref(), speed.as_deref(), carrier])
}

fn storage(disk: &Disk) -> String {
    let size = some_bytes(disk.size_bytes);
    let serial = disk.serial.as_ref().map(|serial| format!("serial {serial}"));
    words([Some(disk.name.as_str()), size.as_deref(), disk.model.as_deref(), serial.as_deref()])
}

/// An empty drive has no size.
fn some_bytes(bytes: Bytes) -> Option<String> {
    (bytes.0 > 0).then(|| bytes.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_has_a_row_and_what_is_unknown_is_left_out() {
        let facts = r#"{
            "collectors": [],
            "dmi": { "system_vendor": "Maker", "product_name": "Model", "product_serial": "S1", "bios_version": "2.4" },
            "cpus": [{ "socket": 0, "vendor": "AuthenticAMD", "cores": 2, "threads": 4 }],
            "memory": { "total_bytes": 1073741824 },
            "pci": [{ "address": "0000:41:00.0", "id": "10de:2335", "class": 197120 }],
            "nics": [{ "name": "eth0", "mac": "52:54:00:00:00:01", "carrier": false }],
            "disks": [{ "name": "sr0", "size_bytes": 0 }]
        }"#;
        let facts: NodeFacts = serde_json::from_str(facts).unwrap();
        let rows = Hardware { revision: 1, devices: Vec::new(), facts }.rows();
        let rows: Vec<_> = rows.iter().map(|[kind, text]| (kind.as_str(), text.as_str())).collect();
        assert_eq!(
            rows,
            [
                ("machine", "Maker Model, serial S1, firmware 2.4"),
                ("cpu", "socket 0: AuthenticAMD, 2 cores, 4 threads"),
                ("memory", "1.00 GiB"),
                ("gpu", "0000:41:00.0 10de:2335 no driver"),
                ("nic", "eth0 52:54:00:00:00:01 no carrier"),
                ("disk", "sr0"),
            ]
        );
    }
}
