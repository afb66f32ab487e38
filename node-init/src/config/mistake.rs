//! What is wrong with a configuration: all of it at once, each with where it came from.

use std::fmt;

use report::text::clean;

use super::source::{Origin, Setting};

/// One mistake. A value is never shown where it may be a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mistake {
    /// A key that does not exist, and the nearest that does.
    Unknown {
        /// As written.
        key: String,
        /// Where.
        origin: Origin,
        /// What may have been meant.
        nearest: Option<&'static str>,
    },
    /// A value that does not fit.
    Value {
        /// Of which key.
        key: &'static str,
        /// The value; absent for secrets.
        value: Option<String>,
        /// Where.
        origin: Origin,
        /// What would fit.
        expected: String,
    },
    /// A key that this source may not set.
    NotFrom {
        /// Which.
        key: &'static str,
        /// Where.
        origin: Origin,
    },
    /// A key that must be set is not.
    Missing {
        /// Which, and how it is written.
        form: &'static str,
    },
}

impl fmt::Display for Mistake {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unknown { key, origin, nearest } => {
                write!(f, "{origin}: `{}` is no key", clean(key))?;
                nearest.map_or(Ok(()), |nearest| write!(f, ": did you mean `{nearest}`?"))
            }
            Self::Value { key, value: Some(value), origin, expected } => {
                write!(f, "{origin}: `{key}={}`: {expected}", clean(value))
            }
            Self::Value { key, value: None, origin, expected } => write!(f, "{origin}: `{key}`: {expected}"),
            Self::NotFrom { key, origin } => {
                write!(f, "{origin} may not set `{key}`: set it in the image or on the kernel command line")
            }
            Self::Missing { form } => write!(f, "missing: set `{form}`"),
        }
    }
}

/// All mistakes of a configuration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistakes(pub Vec<Mistake>);

impl fmt::Display for Mistakes {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (n, mistake) in self.0.iter().enumerate() {
            write!(f, "{}{mistake}", if n == 0 { "" } else { "; " })?;
        }
        Ok(())
    }
}

impl std::error::Error for Mistakes {}

/// The key that is nearest to what was written, if it is near.
pub(super) fn unknown(setting: &Setting, keys: impl Iterator<Item = &'static str>) -> Mistake {
    let near = keys.map(|key| (distance(&setting.key, key), key)).min();
    let nearest = near.filter(|(distance, _)| *distance <= 3).map(|(_, key)| key);
    Mistake::Unknown { key: setting.key.clone(), origin: setting.origin, nearest }
}

/// How many letters to insert, delete or change (Levenshtein).
fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = std::mem::replace(&mut row[0], i + 1);
        for (j, y) in b.iter().enumerate() {
            let change = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = change.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distance_counts_letters() {
        for (a, b, n) in
            [("", "", 0), ("ca", "ca", 0), ("ca", "", 2), ("tokn", "token", 1), ("ntp", "log", 3)]
        {
            assert_eq!(distance(a, b), n, "{a} {b}");
            assert_eq!(distance(b, a), n, "{b} {a}");
        }
    }
}
