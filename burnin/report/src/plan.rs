//! A plan: which checks a node must stand, on which kinds of device, with which floors and limits. Plans are data
//! (`plans/*.toml`); their digest goes into every report, and whoever judges compares it with a plan of its own.

use std::sync::OnceLock;

use data_encoding::HEXLOWER;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::{Bytes, CheckId, DeviceInfo, DeviceKind, Quantity, Subject};

/// The plans that are built in, as name and text.
const BUILT_IN: [(&str, &str); 3] = [
    ("quick", include_str!("../plans/quick.toml")),
    ("quick-software", include_str!("../plans/quick-software.toml")),
    ("smoke-software", include_str!("../plans/smoke-software.toml")),
];

/// Memory of a device that stands in for one of the kind that the plan is about: enough to show that the check works.
const STAND_IN_MEMORY_MAX: Bytes = Bytes::mib(128);

/// What is to be checked and when it counts as passed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// Its name.
    pub name: String,
    /// What it is for, in one sentence.
    pub summary: String,
    /// The devices it is about.
    pub devices: DevicePolicy,
    /// The checks, in the order in which they run.
    pub checks: Vec<PlannedCheck>,
}

/// Which devices a plan accepts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DevicePolicy {
    /// Kinds that count. `cpu` must be named here for a software device to pass.
    pub kinds: Vec<DeviceKind>,
    /// How many there must be.
    pub count_min: u32,
}

/// Is a check about the node or about each device?
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Scope {
    /// Once for the node.
    Node,
    /// Once for each device.
    Device,
}

/// What a warning of a check means for the node.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
pub enum Class {
    /// Is it right? A warning is a note.
    Correctness,
    /// Is it fast? A warning makes the node `degraded`.
    Performance,
}

/// One check of a plan.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PlannedCheck {
    /// Which check.
    pub id: CheckId,
    /// On what.
    pub scope: Scope,
    /// Must it pass for the node to be healthy?
    pub required: bool,
    /// What a warning means.
    pub class: Class,
    /// Does it compare answers, so that a count of mismatches must be there?
    pub exact: bool,
    /// Must it find planted faults to be believed?
    pub canary: bool,
    /// When it must be over; then its process is killed and the device counts as hung.
    pub deadline_s: u32,
    /// How long its measuring should take, at about.
    #[serde(default)]
    pub measure_s: Quantity,
    /// Share of the device's memory to work on.
    #[serde(default)]
    pub memory_fraction: Quantity,
    /// At most so much memory, whatever the device has; 0 for no such bound.
    #[serde(default)]
    pub memory_max_bytes: Bytes,
    /// Least coverage.
    #[serde(default)]
    pub floors: Vec<Floor>,
    /// Limits on rates.
    #[serde(default)]
    pub limits: Vec<Limit>,
}

/// The least that must be covered for a result to be believed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Floor {
    /// Of what, as in [`crate::Coverage`].
    pub quantity: String,
    /// How much.
    pub min: Quantity,
}

/// A limit on a rate, with its origin.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(test, derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Limit {
    /// Of which measurement.
    pub metric: String,
    /// A median below this is a failure.
    pub fail_below_per_s: Quantity,
    /// A median below this is a warning.
    pub warn_below_per_s: Quantity,
    /// Worst sustained window over median: lower is a failure.
    pub worst_to_median_min: Quantity,
    /// How far device clock and host clock may be apart, as a share of the host's time.
    pub clock_tolerance: Quantity,
    /// How many windows there must be.
    pub samples_min: u32,
    /// Where the figures come from.
    pub source: String,
}

/// Why a plan cannot be had.
#[derive(Debug, thiserror::Error)]
pub enum PlanError {
    /// No plan of that name is built in.
    #[error("there is no plan `{name}`: the plans are {known}")]
    Unknown {
        /// The name asked for.
        name: String,
        /// The names there are.
        known: String,
    },
    /// The text is no plan.
    #[error("reading plan `{name}`")]
    Malformed {
        /// The plan's name.
        name: String,
        /// What is wrong, with line and column.
        #[source]
        source: toml::de::Error,
    },
}

impl Plan {
    /// The plan of that name that is built in.
    pub fn built_in(name: &str) -> Result<Self, PlanError> {
        // Read once: a server asks for them with every enrolment and every report.
        static READ: [OnceLock<Plan>; BUILT_IN.len()] = [const { OnceLock::new() }; BUILT_IN.len()];
        let place = BUILT_IN.iter().position(|(known, _)| *known == name);
        let place = place.ok_or_else(|| PlanError::Unknown {
            name: name.to_owned(),
            known: Self::names().map(|n| format!("`{n}`")).collect::<Vec<_>>().join(", "),
        })?;
        if let Some(plan) = READ[place].get() {
            return Ok(plan.clone());
        }
        let (_, text) = BUILT_IN[place];
        let plan: Self =
            toml::from_str(text).map_err(|source| PlanError::Malformed { name: name.to_owned(), source })?;
        Ok(READ[place].get_or_init(|| plan).clone())
    }

    /// Names of the plans that are built in.
    pub fn names() -> impl Iterator<Item = &'static str> {
        BUILT_IN.iter().map(|(name, _)| *name)
    }

    /// SHA-256 of the plan's canonical JSON (fields in the order of the types), in hexadecimal.
    pub fn digest(&self) -> String {
        let json = serde_json::to_vec(self).unwrap_or_default();
        HEXLOWER.encode(&Sha256::digest(json))
    }

    /// The check of that name, if the plan has it.
    pub fn check(&self, id: &CheckId) -> Option<&PlannedCheck> {
        self.checks.iter().find(|check| check.id == *id)
    }

    /// The check of that name as it applies to a device (`None`: to the node).
    ///
    /// A device of a kind that the plan does not name stands in where there is no other, so that something is exercised:
    /// its answers are judged, while floors and limits made for another kind say nothing about it. The verdict is
    /// `unknown` at best.
    pub fn check_on(&self, id: &CheckId, device: Option<&DeviceInfo>) -> Option<PlannedCheck> {
        let mut check = self.check(id)?.clone();
        if device.is_some_and(|device| !self.accepts(&device.kind)) {
            // Something must still have been covered.
            check.floors.iter_mut().for_each(|floor| floor.min = Quantity::ZERO);
            check.limits.clear();
            check.memory_max_bytes = STAND_IN_MEMORY_MAX;
        }
        Some(check)
    }

    /// Does the plan accept this kind of device?
    pub fn accepts(&self, kind: &DeviceKind) -> bool {
        self.devices.kinds.contains(kind) && !matches!(kind, DeviceKind::Other(_))
    }

    /// Does the plan prove software devices only? Nodes that pass such a plan go to a pool of their own.
    pub fn is_software(&self) -> bool {
        !self.devices.kinds.is_empty() && self.devices.kinds.iter().all(|kind| *kind == DeviceKind::Cpu)
    }

    /// Every check on every subject, in the order in which they run.
    pub fn expand<'a>(
        &'a self,
        devices: &'a [DeviceInfo],
    ) -> impl Iterator<Item = (&'a PlannedCheck, Subject)> {
        let node = self.checks.iter().filter(|c| c.scope == Scope::Node).map(|check| (check, Subject::Node));
        let each = devices.iter().flat_map(|device| {
            let of_device = self.checks.iter().filter(|c| c.scope == Scope::Device);
            of_device.map(|check| (check, Subject::Device(device.id.clone())))
        });
        node.chain(each)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_built_in_plan_reads_and_has_its_own_name_and_digest() {
        let plans: Vec<_> = Plan::names().map(|name| (name, Plan::built_in(name).unwrap())).collect();
        for (name, plan) in &plans {
            assert_eq!(plan.name, *name);
            assert!(!plan.checks.is_empty());
            assert_eq!(plan.digest().len(), 64);
        }
        assert_ne!(plans[0].1.digest(), plans[1].1.digest());
    }

    #[test]
    fn every_built_in_plan_asks_for_evidence_and_can_be_passed() {
        for plan in Plan::names().map(|name| Plan::built_in(name).unwrap()) {
            assert!(plan.checks.iter().any(|c| c.required && c.scope == Scope::Device), "{}", plan.name);
            for check in &plan.checks {
                let place = format!("`{}` of plan `{}`", check.id, plan.name);
                assert!(
                    !check.floors.is_empty() && check.floors.iter().all(|f| f.min.get() > 0.0),
                    "{place}"
                );
                assert!(check.deadline_s > 0 && check.memory_fraction.get() <= 1.0, "{place}");
                let whole = check.floors.iter().filter(|f| f.quantity == "memory_fraction");
                assert!(whole.into_iter().all(|f| f.min <= check.memory_fraction), "{place}");
                for limit in &check.limits {
                    let place = format!("limit `{}` of {place}", limit.metric);
                    assert!(limit.fail_below_per_s.get() > 0.0 && !limit.source.is_empty(), "{place}");
                    assert!(limit.fail_below_per_s <= limit.warn_below_per_s, "{place}");
                    assert!((0.0..1.0).contains(&limit.worst_to_median_min.get()), "{place}");
                    assert!(limit.samples_min as usize >= crate::judge::SUSTAINED_WINDOWS, "{place}");
                }
            }
        }
    }

    #[test]
    fn only_the_software_plan_accepts_the_processor() {
        assert!(Plan::built_in("quick-software").unwrap().accepts(&DeviceKind::Cpu));
        assert!(Plan::built_in("quick-software").unwrap().is_software());
        let quick = Plan::built_in("quick").unwrap();
        assert!(!quick.accepts(&DeviceKind::Cpu) && !quick.is_software());
        assert!(quick.accepts(&DeviceKind::Discrete));
    }

    #[test]
    fn a_plan_that_names_an_unknown_kind_accepts_no_such_device() {
        let mut plan = Plan::built_in("quick").unwrap();
        plan.devices.kinds = vec![DeviceKind::Other("npu".into())];
        assert!(!plan.accepts(&DeviceKind::Other("npu".into())));
    }

    #[test]
    fn an_unknown_plan_is_refused_with_the_names_there_are() {
        let message = Plan::built_in("quik").unwrap_err().to_string();
        assert_eq!(
            message,
            "there is no plan `quik`: the plans are `quick`, `quick-software`, `smoke-software`"
        );
    }

    #[test]
    fn the_digest_survives_a_round_trip_through_json() {
        for name in Plan::names() {
            let plan = Plan::built_in(name).unwrap();
            let copy: Plan = serde_json::from_str(&serde_json::to_string(&plan).unwrap()).unwrap();
            assert_eq!(copy.digest(), plan.digest());
        }
    }
}
