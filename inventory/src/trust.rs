//! How well a node is known: which evidence holds a level up, for how long, and which level a site asks for.
//!
//! Evidence is bound to a boot and to the node's key; of another boot or key it counts for nothing. The level is that of
//! the best evidence that is not expired, so that it falls by itself when time passes, and without anybody's word.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use data_encoding::HEXLOWER;
use jiff::{SignedDuration, Timestamp};
use report::wire::TrustLevel;
use serde::{Deserialize, Serialize};

/// Longest life of a node's certificate.
pub const CERTIFICATE_LIFE_MAX: SignedDuration = SignedDuration::from_hours(24);

/// What a site asks for. Read from a TOML file; every key may be left out.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct TrustPolicy {
    /// The level that a node needs to become available.
    pub minimum: TrustLevel,
    /// The level for a pool, where it is higher.
    pub pools: BTreeMap<String, TrustLevel>,
    /// The level for a plan, where it is higher.
    pub plans: BTreeMap<String, TrustLevel>,
    /// How long a node's certificate is good.
    pub certificate_life: SignedDuration,
    /// How long an attestation holds a level up.
    pub attestation_life: SignedDuration,
    /// Boots that are expected: each names the values of some registers.
    pub boots: Vec<ExpectedBoot>,
}

/// A boot that the site expects.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExpectedBoot {
    /// What people call it: the version of an image.
    pub name: String,
    /// SHA-256 registers by number, each in hexadecimal.
    pub pcrs: BTreeMap<String, String>,
}

impl Default for TrustPolicy {
    fn default() -> Self {
        Self {
            minimum: TrustLevel::Token,
            pools: BTreeMap::new(),
            plans: BTreeMap::new(),
            certificate_life: CERTIFICATE_LIFE_MAX,
            attestation_life: SignedDuration::from_hours(24),
            boots: Vec::new(),
        }
    }
}

/// Why a policy cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TrustPolicyError {
    /// The file cannot be read.
    #[error("reading the trust policy `{path}`")]
    Read {
        /// Which.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is no policy.
    #[error("`{path}` is no trust policy: see docs/trust.md")]
    Malformed {
        /// Which.
        path: PathBuf,
        /// What is wrong, with line and column.
        #[source]
        source: Box<toml::de::Error>,
    },
    /// A time that makes no sense.
    #[error("`{0}` must be longer than a minute{1}")]
    Life(&'static str, &'static str),
    /// An expected boot that any boot, or none, would be.
    #[error("the expected boot `{name}` {problem}")]
    Boot {
        /// Which.
        name: String,
        /// What is wrong.
        problem: &'static str,
    },
}

impl TrustPolicy {
    /// Reads a file.
    pub fn load(path: &Path) -> Result<Self, TrustPolicyError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| TrustPolicyError::Read { path: path.to_owned(), source })?;
        let policy: Self = toml::from_str(&text).map_err(|source| TrustPolicyError::Malformed {
            path: path.to_owned(),
            source: Box::new(source),
        })?;
        policy.checked()
    }

    fn checked(self) -> Result<Self, TrustPolicyError> {
        let minute = SignedDuration::from_mins(1);
        if self.certificate_life < minute || self.certificate_life > CERTIFICATE_LIFE_MAX {
            return Err(TrustPolicyError::Life("certificate_life", " and at most a day"));
        }
        if self.attestation_life < minute {
            return Err(TrustPolicyError::Life("attestation_life", ""));
        }
        for boot in &self.boots {
            let bad = |problem| TrustPolicyError::Boot { name: boot.name.clone(), problem };
            if boot.pcrs.is_empty() {
                return Err(bad("names no register, so that every boot would be it"));
            }
            if boot.registers().len() != boot.pcrs.len() {
                return Err(bad("names registers other than 0 to 23, or values that are not 64 hexadecimal digits"));
            }
        }
        Ok(self)
    }

    /// The level that a node needs to take work in that pool after that plan.
    pub fn needed(&self, pool: &str, plan: &str) -> TrustLevel {
        let of_pool = self.pools.get(pool).copied();
        let of_plan = self.plans.get(plan).copied();
        [Some(self.minimum), of_pool, of_plan].into_iter().flatten().max().unwrap_or_default()
    }

    /// The expected boot that left these registers.
    pub fn boot_of(&self, pcrs: &BTreeMap<u8, [u8; 32]>) -> Option<&ExpectedBoot> {
        self.boots.iter().find(|boot| {
            let expected = boot.registers();
            !expected.is_empty() && expected.iter().all(|(index, value)| pcrs.get(index) == Some(value))
        })
    }
}

impl ExpectedBoot {
    /// The registers that can be read.
    fn registers(&self) -> BTreeMap<u8, [u8; 32]> {
        let register = |(index, value): (&String, &String)| {
            let index = index.parse().ok().filter(|index: &u8| *index < 24)?;
            Some((index, HEXLOWER.decode(value.to_ascii_lowercase().as_bytes()).ok()?.try_into().ok()?))
        };
        self.pcrs.iter().filter_map(register).collect()
    }
}

/// Kinds of evidence.
pub mod kind {
    /// The token that let the boot in.
    pub const TOKEN: &str = "token";
    /// A certificate of the site's CA.
    pub const CERTIFICATE: &str = "certificate";
    /// The word of an operator.
    pub const OPERATOR: &str = "operator";
    /// A TPM that the site trusts.
    pub const TPM: &str = "tpm";
    /// A TPM that nobody vouches for yet: it holds up no more than a token does.
    pub const TPM_UNVOUCHED: &str = "tpm_unvouched";
    /// A boot that the site expects, measured by a TPM that it trusts.
    pub const BOOT: &str = "boot";
}

/// One piece of evidence for a level.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TrustEvidence {
    /// The level it holds up.
    pub level: TrustLevel,
    /// What it is: one of the words in [`kind`].
    pub kind: String,
    /// The token, certificate or endorsement key that it is.
    pub subject: String,
    /// The particulars, as JSON, where there are any.
    pub detail: Option<String>,
    /// Since when.
    pub at: Timestamp,
    /// Until when; absent if until the next boot.
    pub expires_at: Option<Timestamp>,
}

/// A level with its end.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Trust {
    /// The level.
    pub level: TrustLevel,
    /// When it falls, if nothing is done; absent if not before the next boot.
    pub expires_at: Option<Timestamp>,
}

impl Trust {
    /// What this evidence of the current boot, by the current key, holds up now.
    pub fn of(evidence: &[TrustEvidence], now: Timestamp) -> Self {
        let holds = |one: &&TrustEvidence| one.expires_at.is_none_or(|end| end > now);
        let level = evidence.iter().filter(holds).map(|one| one.level).max().unwrap_or_default();
        if level == TrustLevel::Claimed {
            return Self::default();
        }
        let of_level = evidence.iter().filter(holds).filter(|one| one.level == level);
        // The evidence that lasts longest; one without an end has no end.
        let ends: Option<Vec<Timestamp>> = of_level.map(|one| one.expires_at).collect();
        Self { level, expires_at: ends.and_then(|ends| ends.into_iter().max()) }
    }

    /// Is its time over, so that the evidence must be looked at again?
    pub fn has_ended(self, now: Timestamp) -> bool {
        self.expires_at.is_some_and(|end| end <= now)
    }

    /// Why this is not enough, in one line; nothing where it is.
    pub fn missing(self, needed: TrustLevel) -> Option<String> {
        if self.level >= needed {
            return None;
        }
        let what = match needed {
            TrustLevel::Claimed => return None,
            TrustLevel::Token => "enrol with a token",
            TrustLevel::Key => "the node must ask for a certificate",
            TrustLevel::Approved => "compare the node's key with its console, then `inventory approve NODE`",
            TrustLevel::Tpm => {
                "the node must attest with a TPM that its maker, an enrolled key or an approval vouches for"
            }
            TrustLevel::Measured => "the node must attest a boot that the trust policy expects",
        };
        Some(format!("trust level {}, {needed} is needed: {what}", self.level))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const NOW: Timestamp = Timestamp::UNIX_EPOCH;

    fn evidence(level: TrustLevel, ends_in_s: Option<i64>) -> TrustEvidence {
        TrustEvidence {
            level,
            kind: kind::TPM.into(),
            subject: String::new(),
            detail: None,
            at: NOW,
            expires_at: ends_in_s.map(|s| NOW + SignedDuration::from_secs(s)),
        }
    }

    #[test]
    fn the_best_evidence_counts_and_falls_away_when_it_ends() {
        let all = [
            evidence(TrustLevel::Token, None),
            evidence(TrustLevel::Key, Some(100)),
            evidence(TrustLevel::Tpm, Some(10)),
            evidence(TrustLevel::Tpm, Some(50)),
        ];
        let at = |s| {
            let trust = Trust::of(&all, NOW + SignedDuration::from_secs(s));
            (trust.level, trust.expires_at.map(|end| end.duration_since(NOW).as_secs()))
        };
        assert_eq!(at(0), (TrustLevel::Tpm, Some(50)));
        assert_eq!(at(49), (TrustLevel::Tpm, Some(50)));
        assert_eq!(at(50), (TrustLevel::Key, Some(100)));
        assert_eq!(at(100), (TrustLevel::Token, None));
        assert_eq!(Trust::of(&[], NOW), Trust { level: TrustLevel::Claimed, expires_at: None });
    }

    #[test]
    fn the_highest_level_that_applies_is_needed() {
        let policy: TrustPolicy = toml::from_str(
            "minimum = 'key'\n[pools]\ngpu = 'tpm'\nlab = 'claimed'\n[plans]\nsoak = 'measured'\n",
        )
        .unwrap();
        assert_eq!(policy.needed("gpu", "quick"), TrustLevel::Tpm);
        assert_eq!(policy.needed("gpu", "soak"), TrustLevel::Measured);
        assert_eq!(policy.needed("lab", "quick"), TrustLevel::Key);
        assert_eq!(TrustPolicy::default().needed("gpu", "quick"), TrustLevel::Token);
    }

    #[test]
    fn a_policy_that_would_let_everything_in_is_refused() {
        let load = |text: &str| {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), text).unwrap();
            TrustPolicy::load(file.path()).map_err(|error| error.to_string())
        };
        assert_eq!(load("").unwrap(), TrustPolicy::default());
        let good = format!("[[boots]]\nname = 'v1'\npcrs = {{ 11 = '{}' }}\n", "AB".repeat(32));
        let policy = load(&good).unwrap();
        assert_eq!(policy.boot_of(&BTreeMap::from([(11, [0xab; 32])])).unwrap().name, "v1");
        assert_eq!(policy.boot_of(&BTreeMap::from([(11, [0xac; 32])])), None);
        assert_eq!(policy.boot_of(&BTreeMap::from([(4, [0xab; 32])])), None, "not quoted is not equal");
        for bad in [
            "minimum = 'root'",
            "minimun = 'tpm'",
            "certificate_life = '25h'",
            "certificate_life = '1s'",
            "attestation_life = '0s'",
            "[[boots]]\nname = 'any'\npcrs = {}",
            "[[boots]]\nname = 'odd'\npcrs = { 24 = '00' }",
            "[[boots]]\nname = 'odd'\npcrs = { 4 = '00' }",
        ] {
            assert!(load(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn what_is_missing_is_named_with_what_to_do() {
        let trust = Trust { level: TrustLevel::Token, expires_at: None };
        assert_eq!(trust.missing(TrustLevel::Token), None);
        for needed in &TrustLevel::ALL[2..] {
            let text = trust.missing(*needed).unwrap();
            assert!(text.starts_with(&format!("trust level token, {needed} is needed: ")), "{text}");
        }
    }

    fn any_evidence() -> impl Strategy<Value = TrustEvidence> {
        (0..TrustLevel::ALL.len(), proptest::option::of(-100_i64..100))
            .prop_map(|(level, end)| evidence(TrustLevel::ALL[level], end))
    }

    proptest! {
        #[test]
        fn time_alone_never_raises_a_level_and_the_end_that_is_told_is_the_end(
            all in proptest::collection::vec(any_evidence(), 0..8),
            s in 0_i64..200,
        ) {
            let (first, later) = (Trust::of(&all, NOW), Trust::of(&all, NOW + SignedDuration::from_secs(s)));
            prop_assert!(later.level <= first.level);
            if let Some(end) = first.expires_at {
                prop_assert!(Trust::of(&all, end).level < first.level);
                prop_assert_eq!(Trust::of(&all, end - SignedDuration::from_nanos(1)).level, first.level);
            } else {
                prop_assert_eq!(later.level, first.level);
            }
        }
    }
}
