//! The ICD doctor: PCI, the kernel driver and Vulkan must show the same GPUs, and the plan must find its devices.
//!
//! A pure function of what was discovered and what the backend lists. What does not fit gets a cause and a remedy; a
//! software device never stands in for a GPU unless the plan names its kind.

use report::judge::ReasonCode;
use report::node::{CollectorStatus, NodeFacts, PciFunction};
use report::{CheckId, CheckResult, DeviceInfo, DeviceKind, Outcome, Plan, Reason, Subject};

use crate::session::coverage;

/// What the backend shows, or why it shows nothing.
pub type Listed = Result<Vec<DeviceInfo>, String>;

/// Devices to burn in: those of the plan's kinds, else, so that something is exercised, the software devices; the judge
/// then says that they are not what the plan is about.
pub fn select(plan: &Plan, listed: &Listed) -> Vec<DeviceInfo> {
    let Ok(devices) = listed else { return Vec::new() };
    let of_plan: Vec<_> = devices.iter().filter(|device| plan.accepts(&device.kind)).cloned().collect();
    if of_plan.is_empty() {
        devices.iter().filter(|device| device.kind == DeviceKind::Cpu).cloned().collect()
    } else {
        of_plan
    }
}

/// The doctor's finding. The outcome is `pass` if nothing is amiss, else `error`: what is not seen cannot be judged.
pub fn examine(check: CheckId, plan: &Plan, facts: &NodeFacts, listed: &Listed) -> CheckResult {
    let mut result = CheckResult::without_evidence(check, Subject::Node, Outcome::Pass, None);
    let accepted: Vec<&DeviceInfo> =
        listed.iter().flatten().filter(|device| plan.accepts(&device.kind)).collect();
    #[expect(clippy::cast_precision_loss, reason = "a handful of devices")]
    result.coverage.push(coverage("devices", accepted.len() as f64));
    result.notes = notes(facts, listed);
    let reason = if plan.is_software() {
        software(plan, facts, listed, &accepted)
    } else {
        hardware(plan, facts, listed, &accepted)
    };
    if let Some(reason) = reason {
        result.outcome = Outcome::Error;
        result.reason = Some(reason);
    }
    result
}

fn software(plan: &Plan, facts: &NodeFacts, listed: &Listed, accepted: &[&DeviceInfo]) -> Option<Reason> {
    match listed {
        Err(message) => Some(ReasonCode::DriverError.because(message.clone())),
        Ok(_) => stray(accepted, facts).or_else(|| too_few(plan, accepted)),
    }
}

fn hardware(plan: &Plan, facts: &NodeFacts, listed: &Listed, accepted: &[&DeviceInfo]) -> Option<Reason> {
    if !collected(facts, "pci") {
        let detail = "the PCI tree could not be read, so that nobody knows which GPUs there should be";
        return Some(ReasonCode::SourcesDisagree.because(detail));
    }
    let shown =
        |function: &&PciFunction| accepted.iter().any(|device| device.address == Some(function.address));
    let anonymous = accepted.iter().filter(|device| device.address.is_none()).count();
    let unseen: Vec<_> = facts.gpus().filter(|function| !shown(function)).collect();
    // A driver that does not tell addresses can only be matched by number.
    if unseen.len() > anonymous {
        return unseen.first().map(|function| invisible(function, unseen.len(), listed));
    }
    if let Some(reason) = stray(accepted, facts) {
        return Some(reason);
    }
    if accepted.is_empty() && facts.gpus().next().is_none() {
        let others = match listed {
            Ok(devices) if devices.is_empty() => "Vulkan shows no device at all".to_owned(),
            Ok(devices) => {
                let names: Vec<_> = devices.iter().map(|d| format!("{} ({})", d.name, d.kind)).collect();
                format!("Vulkan shows only {}", names.join(", "))
            }
            Err(message) => format!("Vulkan shows nothing: {message}"),
        };
        return Some(ReasonCode::NoGpu.because(format!("PCI has no GPU; {others}")));
    }
    too_few(plan, accepted)
}

/// Why Vulkan does not show a GPU that PCI has.
fn invisible(function: &PciFunction, count: usize, listed: &Listed) -> Reason {
    let which = format!(
        "{} of the GPUs on PCI are not shown by Vulkan; first {} ({})",
        count, function.address, function.id
    );
    match (&function.driver, listed) {
        (None, _) => ReasonCode::NoKernelDriver.because(format!("{which}: no kernel driver is bound to it")),
        (Some(driver), Err(message)) => ReasonCode::NoVulkanDriver
            .because(format!("{which}: kernel driver `{driver}` is bound, Vulkan says: {message}")),
        (Some(driver), Ok(_)) => ReasonCode::NoVulkanDriver
            .because(format!("{which}: kernel driver `{driver}` is bound, no Vulkan driver shows it")),
    }
}

/// A device that claims a PCI address at which PCI has no GPU.
fn stray(accepted: &[&DeviceInfo], facts: &NodeFacts) -> Option<Reason> {
    let on_pci = |address| facts.pci.iter().any(|function| function.address == address);
    let stray = accepted.iter().find(|device| device.address.is_some_and(|address| !on_pci(address)))?;
    let detail = format!("Vulkan shows {} at {}, where PCI has no GPU", stray.name, stray.id);
    Some(ReasonCode::SourcesDisagree.because(detail))
}

fn too_few(plan: &Plan, accepted: &[&DeviceInfo]) -> Option<Reason> {
    let (found, least) = (accepted.len(), plan.devices.count_min as usize);
    (found < least).then(|| {
        let kinds: Vec<_> = plan.devices.kinds.iter().map(DeviceKind::as_str).collect();
        ReasonCode::TooFewDevices.because(format!(
            "{found} devices of kind {}, plan `{}` asks for {least}",
            kinds.join(" or "),
            plan.name
        ))
    })
}

fn collected(facts: &NodeFacts, name: &str) -> bool {
    // A machine without PCI (`absent`) has no GPU on it for certain.
    let known = |status| matches!(status, CollectorStatus::Ok | CollectorStatus::Absent);
    facts.collectors.iter().any(|collector| collector.name == name && known(collector.status))
}

fn notes(facts: &NodeFacts, listed: &Listed) -> Vec<String> {
    let gpus = facts.gpus().count();
    let mut notes = vec![format!(
        "PCI: {gpus} GPU{} among {} functions",
        if gpus == 1 { "" } else { "s" },
        facts.pci.len()
    )];
    match listed {
        Ok(devices) => notes
            .extend(devices.iter().map(|d| format!("shown: {} {} ({}, {})", d.id, d.name, d.kind, d.driver))),
        Err(message) => notes.push(format!("no device is shown: {message}")),
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;
    use report::node::Collector;
    use report::{Backend, Bytes, DeviceId};

    fn id() -> CheckId {
        CheckId::try_from("doctor").unwrap()
    }

    fn device(address: Option<&str>, kind: DeviceKind) -> DeviceInfo {
        let address = address.map(|a| a.parse().unwrap());
        DeviceInfo {
            id: DeviceId(address.map_or("vulkan-0".to_owned(), |a: report::Bdf| a.to_string())),
            backend: Backend::Vulkan,
            kind,
            name: "device".to_owned(),
            pci_id: None,
            address,
            uuid: None,
            driver: "driver".to_owned(),
            api_version: None,
            memory_bytes: Bytes::mib(1024),
            memory_budget_bytes: None,
            binding_bytes_max: Bytes::mib(128),
            timestamps: true,
            features: Vec::new(),
            units: None,
            subgroup_size: None,
            matrix_shapes: Vec::new(),
        }
    }

    fn gpu(address: &str, driver: Option<&str>) -> PciFunction {
        PciFunction {
            address: address.parse().unwrap(),
            id: "10de:2335".parse().unwrap(),
            subsystem: None,
            class: 0x03_0200,
            driver: driver.map(str::to_owned),
            parent: None,
            numa_node: None,
            link: None,
            serial: None,
            uuid: None,
        }
    }

    fn facts(pci: Vec<PciFunction>) -> NodeFacts {
        let collector =
            Collector { name: "pci".to_owned(), status: CollectorStatus::Ok, detail: None, milliseconds: 0 };
        NodeFacts { collectors: vec![collector], pci, ..NodeFacts::default() }
    }

    fn code(plan: &str, facts: &NodeFacts, listed: &Listed) -> (Outcome, Option<String>) {
        let result = examine(id(), &Plan::built_in(plan).unwrap(), facts, listed);
        (result.outcome, result.reason.map(|reason| reason.code))
    }

    fn error(code: ReasonCode) -> (Outcome, Option<String>) {
        (Outcome::Error, Some(code.as_str().to_owned()))
    }

    #[test]
    fn a_gpu_that_all_sources_show_passes() {
        let listed =
            Ok(vec![device(Some("0000:3b:00.0"), DeviceKind::Discrete), device(None, DeviceKind::Cpu)]);
        assert_eq!(
            code("quick", &facts(vec![gpu("0000:3b:00.0", Some("nvidia"))]), &listed),
            (Outcome::Pass, None)
        );
    }

    #[test]
    fn a_software_device_never_stands_in_for_a_gpu() {
        let listed = Ok(vec![device(None, DeviceKind::Cpu)]);
        assert_eq!(code("quick", &facts(vec![]), &listed), error(ReasonCode::NoGpu));
        assert_eq!(code("quick-software", &facts(vec![]), &listed), (Outcome::Pass, None));
    }

    #[test]
    fn each_way_to_miss_a_gpu_has_its_own_cause() {
        let none = Ok(vec![]);
        let broken = Err("no loader".to_owned());
        let bare = facts(vec![gpu("0000:3b:00.0", None)]);
        let bound = facts(vec![gpu("0000:3b:00.0", Some("nvidia"))]);
        assert_eq!(code("quick", &bare, &none), error(ReasonCode::NoKernelDriver));
        assert_eq!(code("quick", &bound, &none), error(ReasonCode::NoVulkanDriver));
        assert_eq!(code("quick", &bound, &broken), error(ReasonCode::NoVulkanDriver));
        assert_eq!(code("quick-software", &bound, &broken), error(ReasonCode::DriverError));
        assert_eq!(code("quick-software", &bound, &none), error(ReasonCode::TooFewDevices));
    }

    #[test]
    fn one_gpu_of_two_unseen_is_named() {
        let listed = Ok(vec![device(Some("0000:3b:00.0"), DeviceKind::Discrete)]);
        let facts = facts(vec![gpu("0000:3b:00.0", Some("nvidia")), gpu("0000:86:00.0", Some("nvidia"))]);
        let result = examine(id(), &Plan::built_in("quick").unwrap(), &facts, &listed);
        assert!(result.reason.unwrap().detail.contains("0000:86:00.0"));
    }

    #[test]
    fn a_device_where_pci_has_none_and_an_unread_pci_tree_are_not_believed() {
        let listed = Ok(vec![device(Some("0000:3b:00.0"), DeviceKind::Discrete)]);
        assert_eq!(code("quick", &facts(vec![]), &listed), error(ReasonCode::SourcesDisagree));
        assert_eq!(code("quick", &NodeFacts::default(), &listed), error(ReasonCode::SourcesDisagree));
        let lying = Ok(vec![device(Some("0000:3b:00.0"), DeviceKind::Cpu)]);
        assert_eq!(code("quick-software", &facts(vec![]), &lying), error(ReasonCode::SourcesDisagree));
    }
}
