//! What a site asks of its nodes beyond their plans: a file in TOML, by pool.
//!
//! ```toml
//! name = "strict memory"
//!
//! [pools.gpu]
//! require = ["fp64"]                # must pass, although the plan can do without
//!
//! [pools.gpu.fleet]
//! false_alarms = 0.005
//!
//! [[pools.gpu.limits]]
//! check = "stream"
//! metric = "read"
//! model = "NVIDIA H200"             # absent: every model
//! fail_below_per_s = 4.0e12
//! source = "site: acceptance contract of 2026"
//! ```
//!
//! A policy can ask for more than a plan and never for less: it raises limits, requires checks, refuses plans, and compares
//! with the fleet. [`judge`] applies it. Its digest stands beside every verdict.

mod judge;

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use report::{CheckId, Plan, Quantity};
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::fleet::{Effect, Rule};

/// A policy.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Policy {
    /// Its name, for people.
    pub name: String,
    /// By pool: `gpu` or `software`. A pool that is not named is as in the policy that is built in.
    #[serde(default)]
    pub pools: BTreeMap<Pool, Demands>,
}

/// Which nodes: those that a plan for software devices admits are kept apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Pool {
    /// Nodes with GPUs.
    Gpu,
    /// Nodes that compute on their processor.
    Software,
}

impl Pool {
    /// The pool of nodes that pass this plan.
    pub fn of(plan: &Plan) -> Self {
        if plan.is_software() { Self::Software } else { Self::Gpu }
    }

    /// The word used in the store and on the wire.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Gpu => "gpu",
            Self::Software => "software",
        }
    }
}

/// What is asked of the nodes of a pool.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Demands {
    /// Digests of the plans that are believed; absent for each that was asked for when the node enrolled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub plans: Option<Vec<String>>,
    /// Checks that must pass, whatever the plan says.
    pub require: Vec<CheckId>,
    /// Limits beside those of the plan: of two, the higher counts.
    pub limits: Vec<SiteLimit>,
    /// How nodes are compared with the fleet.
    pub fleet: Rule,
}

/// A limit of the site.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SiteLimit {
    /// Of which check.
    pub check: CheckId,
    /// Of which measurement.
    pub metric: String,
    /// Only for nodes with a device that its driver calls so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub model: Option<String>,
    /// A median below this is a failure.
    #[serde(default)]
    pub fail_below_per_s: Quantity,
    /// A median below this is a warning.
    #[serde(default)]
    pub warn_below_per_s: Quantity,
    /// Worst sustained window over median: lower is a failure.
    #[serde(default)]
    pub worst_to_median_min: Quantity,
    /// Where the figures come from.
    pub source: String,
}

/// Why a text is no policy.
#[derive(Debug, thiserror::Error)]
pub enum PolicyError {
    /// Not the form of one.
    #[error("reading the policy: {0}")]
    Malformed(#[from] toml::de::Error),
    /// A figure that cannot be meant.
    #[error("`{field}` of the policy is {found}: it must be {expected}")]
    Figure {
        /// Which.
        field: &'static str,
        /// What stands there.
        found: f64,
        /// What may stand there.
        expected: &'static str,
    },
    /// A limit that nobody answers for.
    #[error("the limit of `{0}` in the policy has no source: say where it comes from")]
    NoSource(CheckId),
}

impl Policy {
    /// The policy of a site that has none of its own: what the plans ask, and the fleet's comparison. Devices that are
    /// processors share them with other work: there the comparison is a note.
    pub fn built_in() -> Self {
        Self { name: "built in".to_owned(), pools: BTreeMap::new() }
    }

    /// Reads a policy.
    pub fn from_toml(text: &str) -> Result<Self, PolicyError> {
        let policy: Self = toml::from_str(text)?;
        policy.pools.values().try_for_each(Demands::check)?;
        Ok(policy)
    }

    /// SHA-256 of its canonical JSON with all that it leaves out filled in, in hexadecimal: the same demands have the same
    /// digest, whatever their name and the order of the file.
    pub fn digest(&self) -> String {
        let demands = [Pool::Gpu, Pool::Software].map(|pool| self.demands(pool));
        HEXLOWER.encode(&Sha256::digest(serde_json::to_vec(&demands).unwrap_or_default()))
    }

    /// What it asks of a pool.
    pub fn demands(&self, pool: Pool) -> Demands {
        self.pools.get(&pool).cloned().unwrap_or_else(|| match pool {
            Pool::Gpu => Demands::default(),
            Pool::Software => {
                Demands { fleet: Rule { effect: Effect::Note, ..Rule::default() }, ..Demands::default() }
            }
        })
    }
}

impl Demands {
    fn check(&self) -> Result<(), PolicyError> {
        let Rule { false_alarms, slowdown_min, spread_floor, dip_min, .. } = self.fleet;
        let within = |field, found: f64, (low, high): (f64, f64), expected| {
            let fine = (low..=high).contains(&found);
            if fine { Ok(()) } else { Err(PolicyError::Figure { field, found, expected }) }
        };
        within("fleet.false_alarms", false_alarms, (1e-9, 0.5), "a share from 0.000000001 to 0.5")?;
        within("fleet.slowdown_min", slowdown_min, (0.0, 0.5), "a share from 0 to 0.5")?;
        within("fleet.spread_floor", spread_floor, (1e-6, 0.5), "a share from 0.000001 to 0.5")?;
        within("fleet.dip_min", dip_min, (0.0, 1.0), "a share from 0 to 1")?;
        within("fleet.peers_min", self.fleet.peers_min as f64, (5.0, 1e6), "from 5 to 1,000,000 nodes")?;
        for limit in &self.limits {
            within(
                "limits.worst_to_median_min",
                limit.worst_to_median_min.get(),
                (0.0, 1.0),
                "a share from 0 to 1",
            )?;
            if limit.source.trim().is_empty() {
                return Err(PolicyError::NoSource(limit.check.clone()));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_reads_with_all_that_it_leaves_out_as_it_is_built_in() {
        let policy = Policy::from_toml("name = \"site\"\n[pools.gpu]\nrequire = [\"fp64\"]\n").unwrap();
        assert_eq!(policy.demands(Pool::Gpu).fleet, Rule::default());
        assert_eq!(policy.demands(Pool::Software), Policy::built_in().demands(Pool::Software));
        assert_ne!(policy.digest(), Policy::built_in().digest());
        let renamed = Policy::from_toml("name = \"other\"\n[pools.gpu]\n").unwrap();
        assert_eq!(renamed.digest(), Policy::built_in().digest());
    }

    #[test]
    fn slips_are_refused_with_their_place() {
        for (text, part) in [
            ("name = \"x\"\n[pools.gpus]\n", "gpus"),
            ("name = \"x\"\n[pools.gpu]\nrequires = []\n", "requires"),
            ("name = \"x\"\n[pools.gpu.fleet]\nfalse_alarms = 0.0\n", "false_alarms"),
            ("name = \"x\"\n[pools.gpu.fleet]\nfalse_alarms = nan\n", "false_alarms"),
            ("name = \"x\"\n[pools.gpu.fleet]\npeers_min = 2\n", "peers_min"),
            (
                "name = \"x\"\n[[pools.gpu.limits]]\ncheck = \"fp32\"\nmetric = \"fp32\"\nsource = \" \"\n",
                "no source",
            ),
            (
                "name = \"x\"\n[[pools.gpu.limits]]\ncheck = \"fp32\"\nmetric = \"fp32\"\nsource = \"s\"\nfail_below_per_s = -1.0\n",
                "-1",
            ),
        ] {
            let error = Policy::from_toml(text).unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
    }
}
