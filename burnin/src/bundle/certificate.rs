//! A certificate of acceptance: this hardware, with this firmware, passed this plan, until a date. It is bound to serial
//! numbers and firmware, so that it says nothing about a node of which a part was changed, and it is part of a signed
//! bundle: by itself it proves nothing.

use std::fmt::Write as _;

use jiff::{SignedDuration, Timestamp};
use report::judge::review;
use report::render::{silence, untested};
use report::{NodeFacts, Origin, Report, Verdict};
use serde::{Deserialize, Serialize};

use super::sha256;

/// Name and version of the form.
pub const SCHEMA: &str = "assay.certificate/1";

/// A certificate of acceptance.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Certificate {
    /// [`SCHEMA`].
    pub schema: String,
    /// When it was made.
    pub issued_at: Timestamp,
    /// From when on it says nothing any more.
    pub expires_at: Timestamp,
    /// The burn-in, when it ended, and the SHA-256 of its report.
    pub run_id: String,
    /// When the burn-in was over.
    pub completed_at: Timestamp,
    /// SHA-256 of the report.
    pub report_sha256: String,
    /// The plan and its digest.
    pub plan: String,
    /// Digest of the plan.
    pub plan_digest: String,
    /// What it is bound to: names of parts and their serial numbers or versions, sorted.
    pub bound_to: Vec<Part>,
    /// The devices that passed.
    pub devices: Vec<String>,
    /// What was not tested.
    pub not_tested: Vec<String>,
    /// The greatest share of wrong bits that the silence leaves room for, over all devices; absent where there is none.
    pub wrong_bits_below: Option<f64>,
}

/// A part with what tells it from another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Part {
    /// What it is, for example `system serial number`.
    pub what: String,
    /// Its serial number, address or version.
    pub value: String,
}

impl Certificate {
    /// The certificate of a report, whose bytes are these; or why there is none.
    pub fn of(report: &Report, json: &[u8], now: Timestamp, valid: SignedDuration) -> Result<Self, String> {
        let judged = review(report);
        if judged.verdict != Verdict::Healthy {
            return Err(format!("the verdict is {}", judged.verdict));
        }
        if report.origin != Origin::Measured {
            return Err("a fault was planted on purpose".to_owned());
        }
        let bound_to = parts(&report.node, report);
        if bound_to.is_empty() {
            return Err(
                "the report names no serial number, address or firmware that it could be bound to".to_owned()
            );
        }
        let completed_at = report.completed_at.ok_or("the burn-in was not completed")?;
        let expires_at = now.checked_add(valid).map_err(|_| "it would expire beyond all calendars")?;
        let mut not_tested: Vec<_> =
            untested(report).into_iter().map(|one| format!("{} ({})", one.what, one.why)).collect();
        not_tested.dedup();
        let bounds = silence(report, &judged).errors.into_iter().map(|bound| bound.below);
        Ok(Self {
            schema: SCHEMA.to_owned(),
            issued_at: now,
            expires_at,
            run_id: report.run_id.clone(),
            completed_at,
            report_sha256: sha256(json),
            plan: report.plan.name.clone(),
            plan_digest: report.plan_digest.clone(),
            bound_to,
            devices: report.devices.iter().map(|d| format!("{} {} ({})", d.id, d.name, d.driver)).collect(),
            not_tested,
            wrong_bits_below: bounds
                .collect::<Option<Vec<_>>>()
                .and_then(|all| all.into_iter().reduce(f64::max)),
        })
    }

    /// Does it still hold?
    pub fn holds_at(&self, now: Timestamp) -> bool {
        self.issued_at <= now && now < self.expires_at
    }

    /// What of a node is not what it is bound to. The devices are not asked: only a burn-in knows their UUIDs.
    pub fn differs_from(&self, node: &NodeFacts) -> Vec<String> {
        let here = of_node(node);
        let of_devices = |part: &&Part| !part.what.starts_with("device ");
        let lost = self.bound_to.iter().filter(of_devices).filter(|part| !here.contains(part));
        let lost = lost.map(|part| format!("{} was {}, and is not here", part.what, part.value));
        let new = here.iter().filter(|part| !self.bound_to.contains(part));
        lost.chain(new.map(|part| format!("{} is {}, and was not there", part.what, part.value))).collect()
    }

    /// For people, and for paper.
    pub fn text(&self) -> String {
        let date = |time: Timestamp| time.strftime("%Y-%m-%d %H:%M UTC").to_string();
        let mut text = String::from("CERTIFICATE OF ACCEPTANCE\n\n");
        let _ = writeln!(text, "Passed plan {} on {}.", self.plan, date(self.completed_at));
        let _ = writeln!(text, "Issued {}, expires {}.\n", date(self.issued_at), date(self.expires_at));
        let _ = writeln!(text, "Holds for this hardware and firmware, and for no other:");
        for part in &self.bound_to {
            let _ = writeln!(text, "  {}: {}", part.what, part.value);
        }
        let _ = writeln!(text, "\nDevices:");
        for device in &self.devices {
            let _ = writeln!(text, "  {device}");
        }
        if let Some(below) = self.wrong_bits_below {
            let _ = writeln!(
                text,
                "\nFewer than {below:.1e} of all compared bits are wrong (95 %, rule of three)."
            );
        }
        let _ = writeln!(text, "\nNot tested:");
        for one in &self.not_tested {
            let _ = writeln!(text, "  {one}");
        }
        let _ = writeln!(
            text,
            "\nRun {}\nPlan's SHA-256 {}\nReport's SHA-256 {}",
            self.run_id, self.plan_digest, self.report_sha256
        );
        let _ = writeln!(text, "Only the signed bundle proves this: burnin verify FILE --key KEY.");
        let clean = text.lines().map(report::text::clean).collect::<Vec<_>>();
        clean.join("\n") + "\n"
    }
}

fn parts(node: &NodeFacts, report: &Report) -> Vec<Part> {
    let mut parts = of_node(node);
    let devices = report.devices.iter().filter_map(|device| Some((device, device.uuid.clone()?)));
    // A software device's UUID is that of its driver's version.
    let devices = devices.filter(|(device, _)| device.kind != report::DeviceKind::Cpu);
    parts.extend(devices.map(|(device, value)| Part { what: format!("device {} UUID", device.id), value }));
    parts.sort();
    parts
}

fn of_node(node: &NodeFacts) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut add = |what: String, value: Option<String>| parts.extend(value.map(|value| Part { what, value }));
    if let Some(dmi) = &node.dmi {
        add("system serial number".into(), dmi.product_serial.clone());
        add("system UUID".into(), dmi.product_uuid.clone());
        add("board serial number".into(), dmi.board_serial.clone());
        add("chassis serial number".into(), dmi.chassis_serial.clone());
        add("firmware version".into(), dmi.bios_version.clone());
    }
    for nic in &node.nics {
        add(format!("address of {}", nic.name), nic.mac_permanent.map(|mac| mac.to_string()));
    }
    for disk in &node.disks {
        add(format!("serial number of {}", disk.name), disk.serial.clone());
    }
    for cpu in &node.cpus {
        add(format!("microcode of socket {}", cpu.socket), cpu.microcode.clone());
    }
    for function in node.gpus() {
        add(format!("GPU at {}", function.address), Some(function.id.to_string()));
    }
    parts.sort();
    parts
}
