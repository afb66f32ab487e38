//! Where the report comes from: the node, its devices and drivers, the plan, the tool and its kernels, and the clocks.

use maud::{Markup, html};

use super::super::view::{ROWS_MAX, View, shown};
use super::{left_out, table};
use crate::text::line::clip;
use crate::{Bdf, NodeFacts};

pub(super) fn origin(view: &View<'_>) -> Option<Markup> {
    let report = view.report;
    Some(html! {
        div class="columns" {
            div { h3 { "Burn-in" } (pairs(&burn_in(view))) }
            div { h3 { "Node" } (pairs(&node(&report.node))) }
        }
        h3 { "Devices and drivers" }
        (devices(view))
        @if !report.node.pci.is_empty() { h3 { "Links of the devices" } (links(view)) }
        h3 { "Readers of facts" }
        p { @for reader in report.node.collectors.iter().take(ROWS_MAX) {
            span class="chip" { (clip(&reader.name, 24)) ": " (format!("{:?}", reader.status).to_lowercase()) @if let Some(detail) = &reader.detail { " (" (shown(detail)) ")" } } " "
        } }
    })
}

fn pairs(pairs: &[(&str, String)]) -> Markup {
    html! { dl class="pairs" { @for (name, value) in pairs { dt { (name) } dd { (value) } } } }
}

fn burn_in(view: &View<'_>) -> Vec<(&'static str, String)> {
    let report = view.report;
    let samples = || report.results.iter().flat_map(|r| &r.measurements).flat_map(|m| &m.samples);
    let (timed, all) = (samples().filter(|s| s.device_s.is_some()).count(), samples().count());
    let clocks = match (timed, all) {
        (_, 0) => "nothing was timed".to_owned(),
        (0, _) => "the host's monotonic clock".to_owned(),
        (timed, all) if timed == all => {
            "device timestamps, held against the host's monotonic clock".to_owned()
        }
        (timed, all) => {
            format!("device timestamps in {timed} of {all} windows, else the host's monotonic clock")
        }
    };
    let mut telemetry: Vec<_> =
        report.results.iter().filter_map(|r| r.telemetry.as_ref()).map(|t| clip(&t.source, 24)).collect();
    telemetry.sort();
    telemetry.dedup();
    vec![
        ("Schema", shown(&report.schema)),
        ("Run", shown(&report.run_id)),
        ("Origin", shown(&report.origin.to_string())),
        ("Began", report.started_at.to_string()),
        ("Ended", report.completed_at.map_or_else(|| "not completed".to_owned(), |end| end.to_string())),
        ("Plan", format!("{}: {}", clip(&report.plan.name, 24), clip(&report.plan.summary, 160))),
        ("Plan's digest", shown(&report.plan_digest)),
        ("burnin", shown(&report.tool.version)),
        ("Kernels' digest", shown(&report.tool.kernels_digest)),
        ("Clocks", clocks),
        ("Telemetry", if telemetry.is_empty() { "none".to_owned() } else { telemetry.join(", ") }),
        ("Writer's verdict", report.verdict.verdict.to_string()),
    ]
}

fn node(facts: &NodeFacts) -> Vec<(&'static str, String)> {
    let mut pairs = Vec::new();
    let mut add = |name, value: Option<String>| pairs.extend(value.map(|value| (name, shown(&value))));
    if let Some(linux) = &facts.linux {
        add("Host name", linux.hostname.clone());
        add("Linux", Some(format!("{} {}", linux.release, linux.architecture)));
        add("Boot", Some(linux.boot_id.clone()));
    }
    if let Some(dmi) = &facts.dmi {
        let system = [dmi.system_vendor.as_deref(), dmi.product_name.as_deref()];
        add(
            "System",
            Some(system.into_iter().flatten().collect::<Vec<_>>().join(" ")).filter(|s| !s.is_empty()),
        );
        add("Serial number", dmi.product_serial.clone());
        add("UUID", dmi.product_uuid.clone());
        add("Board's serial number", dmi.board_serial.clone());
        let firmware = [dmi.bios_vendor.as_deref(), dmi.bios_version.as_deref(), dmi.bios_date.as_deref()];
        add(
            "Firmware",
            Some(firmware.into_iter().flatten().collect::<Vec<_>>().join(" ")).filter(|s| !s.is_empty()),
        );
    }
    for cpu in facts.cpus.iter().take(8) {
        let model = cpu.model.as_deref().unwrap_or("processor");
        add(
            "Processor",
            Some(format!(
                "{model}, {} cores, {} threads, microcode {}",
                cpu.cores,
                cpu.threads,
                cpu.microcode.as_deref().unwrap_or("not told")
            )),
        );
    }
    if let Some(memory) = &facts.memory {
        add("Memory", Some(format!("{} in {} NUMA nodes", memory.total_bytes, memory.numa.len())));
    }
    for nic in facts.nics.iter().take(16) {
        let mac = nic.mac_permanent.or(nic.mac).map(|mac| mac.to_string()).unwrap_or_default();
        let speed =
            nic.speed_mbit_per_s.map_or_else(|| "speed not told".to_owned(), |s| format!("{s} Mbit/s"));
        add("Network", Some(format!("{} {mac} {} {speed}", nic.name, nic.driver.as_deref().unwrap_or(""))));
    }
    for disk in facts.disks.iter().take(16) {
        add(
            "Disk",
            Some(format!(
                "{} {} {} {}",
                disk.name,
                disk.model.as_deref().unwrap_or(""),
                disk.size_bytes,
                disk.serial.as_deref().unwrap_or("")
            )),
        );
    }
    pairs
}

fn devices(view: &View<'_>) -> Markup {
    let rows = html! {
        @for device in view.devices.iter().take(ROWS_MAX) {
            @let info = device.info;
            tr {
                th scope="row" class="id" { (clip(&info.id.0, 24)) }
                td { (clip(&info.name, 60)) }
                td { (clip(info.kind.as_str(), 16)) " through " (info.backend) }
                td class="text" { (clip(&info.driver, 80)) }
                td { (info.api_version.as_deref().map_or_else(|| "–".to_owned(), |v| clip(v, 16))) }
                td class="number" { (info.memory_bytes) }
                td class="number" { @match info.units { Some(units) => (units), None => "–" } }
                td { @if info.timestamps { "yes" } @else { "no" } }
                td class="id" { (info.uuid.as_deref().map_or_else(|| "–".to_owned(), |u| clip(u, 40))) }
            }
        }
    };
    let titles = ["Device", "Name", "Kind", "Driver", "Vulkan", "Memory", "Units", "Timestamps", "UUID"];
    html! { (table("devices and drivers", &titles, &rows)) (left_out(view.devices.len(), "devices")) }
}

/// The links of devices and of the bridges above them.
fn links(view: &View<'_>) -> Markup {
    let pci = &view.report.node.pci;
    let mut shown: Vec<Bdf> = Vec::new();
    for device in view.detailed() {
        let mut at = device.info.address;
        // A chain of bridges is short; one that leads back to itself must end.
        for _ in 0..8 {
            let Some(function) = at.and_then(|at| pci.iter().find(|f| f.address == at)) else { break };
            if !shown.contains(&function.address) {
                shown.push(function.address);
            }
            at = function.parent;
        }
    }
    let rows = html! {
        @for function in pci.iter().filter(|f| shown.contains(&f.address)) {
            @let link = function.link;
            tr {
                th scope="row" class="id" { (function.address) }
                td class="id" { (function.id) }
                td { (function.driver.as_deref().map_or_else(|| "no driver".to_owned(), |d| clip(d, 24))) }
                td class="id" { @match function.parent { Some(parent) => (parent), None => "root" } }
                td class="number" { @match function.numa_node { Some(node) => (node), None => "–" } }
                td class="number" { (lanes(link.and_then(|l| l.current_gt_per_s), link.and_then(|l| l.current_lanes))) }
                td class="number" { (lanes(link.and_then(|l| l.max_gt_per_s), link.and_then(|l| l.max_lanes))) }
            }
        }
    };
    let titles = ["Function", "What", "Driver", "Below", "NUMA node", "Link at rest", "Link at most"];
    html! { (table("links", &titles, &rows)) p class="note" { "A link at rest may run slow to save power; the figures h2d and d2h are what it does under load." } }
}

fn lanes(speed: Option<f64>, width: Option<u8>) -> String {
    let speed = speed.map_or_else(|| "?".to_owned(), |speed| format!("{speed:.1} GT/s"));
    format!("{speed} x{}", width.map_or_else(|| "?".to_owned(), |width| width.to_string()))
}
