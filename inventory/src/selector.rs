//! Label selectors as Kubernetes writes them: `rack=r7,gpu in (h100,h200),!canary`. All requirements of a selector must
//! hold. As there, `!=` and `notin` also hold for a node that does not have the label.

use std::collections::BTreeMap;

/// Longest name of a label, and longest value, in characters.
pub const NAME_CHARS_MAX: usize = 63;
/// Longest prefix of a label's key.
const PREFIX_CHARS_MAX: usize = 253;
/// Most requirements of one selector.
pub const REQUIREMENTS_MAX: usize = 16;
/// Most values of one requirement.
const VALUES_MAX: usize = 64;

/// What a node's labels must be like.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Selector(pub Vec<Requirement>);

/// What one label must be like.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Requirement {
    /// It is there with one of these values.
    In(String, Vec<String>),
    /// It is not there with one of these values.
    NotIn(String, Vec<String>),
    /// It is there.
    Exists(String),
    /// It is not there.
    Absent(String),
}

/// Why a text is no selector.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum BadSelector {
    /// A requirement cannot be read.
    #[error(
        "`{0}` is no requirement: write key=value, key!=value, key in (a,b), key notin (a,b), key or !key"
    )]
    Requirement(String),
    /// A key is no label's key.
    #[error(
        "`{0}` is no key of a label: letters, digits, `-`, `_` and `.`, at most {NAME_CHARS_MAX}, perhaps after `prefix/`"
    )]
    Key(String),
    /// A value is no label's value.
    #[error(
        "`{0}` is no value of a label: at most {NAME_CHARS_MAX} letters, digits, `-`, `_` and `.`, a letter or digit at both ends"
    )]
    Value(String),
    /// Too many of them.
    #[error("a selector has at most {REQUIREMENTS_MAX} requirements with {VALUES_MAX} values each")]
    TooLong,
}

impl Selector {
    /// Reads a selector; an empty text selects everything.
    pub fn parse(text: &str) -> Result<Self, BadSelector> {
        let parts = split(text);
        if parts.len() > REQUIREMENTS_MAX {
            return Err(BadSelector::TooLong);
        }
        parts.into_iter().map(requirement).collect::<Result<_, _>>().map(Self)
    }

    /// Does a node with these labels suit?
    pub fn matches(&self, labels: &BTreeMap<String, String>) -> bool {
        self.0.iter().all(|requirement| match requirement {
            Requirement::In(key, values) => labels.get(key).is_some_and(|value| values.contains(value)),
            Requirement::NotIn(key, values) => labels.get(key).is_none_or(|value| !values.contains(value)),
            Requirement::Exists(key) => labels.contains_key(key),
            Requirement::Absent(key) => !labels.contains_key(key),
        })
    }
}

/// At commas outside of brackets; nothing for a text of blanks.
fn split(text: &str) -> Vec<&str> {
    if text.trim().is_empty() {
        return Vec::new();
    }
    let mut depth = 0usize;
    let is_end = |c: char| {
        match c {
            '(' => depth += 1,
            ')' => depth = depth.saturating_sub(1),
            _ => {}
        }
        c == ',' && depth == 0
    };
    text.split(is_end).map(str::trim).collect()
}

fn requirement(text: &str) -> Result<Requirement, BadSelector> {
    let bad = || BadSelector::Requirement(text.to_owned());
    if let Some(head) = text.strip_suffix(')') {
        let (head, values) = head.split_once('(').ok_or_else(bad)?;
        let mut words = head.split_whitespace();
        let (Some(key), Some(operator), None) = (words.next(), words.next(), words.next()) else {
            return Err(bad());
        };
        let values = values.split(',').map(|text| value(text.trim())).collect::<Result<Vec<_>, _>>()?;
        return match operator {
            _ if values.len() > VALUES_MAX => Err(BadSelector::TooLong),
            "in" => Ok(Requirement::In(self::key(key)?, values)),
            "notin" => Ok(Requirement::NotIn(self::key(key)?, values)),
            _ => Err(bad()),
        };
    }
    if let Some((key, text)) = text.split_once("!=") {
        return Ok(Requirement::NotIn(self::key(key.trim())?, vec![value(text.trim())?]));
    }
    if let Some((key, text)) = text.split_once("==").or_else(|| text.split_once('=')) {
        return Ok(Requirement::In(self::key(key.trim())?, vec![value(text.trim())?]));
    }
    match text.strip_prefix('!') {
        Some(key) => Ok(Requirement::Absent(self::key(key.trim())?)),
        None => Ok(Requirement::Exists(self::key(text)?)),
    }
}

fn key(text: &str) -> Result<String, BadSelector> {
    if is_key(text) { Ok(text.to_owned()) } else { Err(BadSelector::Key(text.to_owned())) }
}

fn value(text: &str) -> Result<String, BadSelector> {
    if is_value(text) { Ok(text.to_owned()) } else { Err(BadSelector::Value(text.to_owned())) }
}

/// Is this the key of a label, `name` or `prefix/name`?
pub fn is_key(text: &str) -> bool {
    let (prefix, name) = text.split_once('/').map_or((None, text), |(prefix, name)| (Some(prefix), name));
    let is_prefix = |prefix: &str| {
        let formed = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || matches!(b, b'-' | b'.');
        (1..=PREFIX_CHARS_MAX).contains(&prefix.len()) && prefix.bytes().all(formed)
    };
    !name.is_empty() && is_value(name) && prefix.is_none_or(is_prefix)
}

/// Is this the value of a label? The empty one is.
pub fn is_value(text: &str) -> bool {
    let formed = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_' | b'.');
    let is_end = |b: Option<&u8>| b.is_none_or(u8::is_ascii_alphanumeric);
    let bytes = text.as_bytes();
    bytes.len() <= NAME_CHARS_MAX && text.bytes().all(formed) && is_end(bytes.first()) && is_end(bytes.last())
}

/// The nearest value of a label to any text: what does not fit becomes `-`.
pub fn to_value(text: &str) -> String {
    let fit = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '_' | '.') { c } else { '-' };
    let mut all: String = text.trim().chars().map(fit).collect();
    all.truncate(NAME_CHARS_MAX);
    all.trim_matches(|c: char| !c.is_ascii_alphanumeric()).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn labels(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn selectors_mean_what_they_mean_in_kubernetes() {
        let node = labels(&[("rack", "r7"), ("example.com/gpu", "h100")]);
        for (text, suits) in [
            ("", true),
            ("rack=r7", true),
            ("rack==r7", true),
            (" rack = r7 , example.com/gpu=h100 ", true),
            ("rack=r8", false),
            ("rack!=r8", true),
            ("rack!=r7", false),
            ("row!=1", true),
            ("rack in (r6, r7)", true),
            ("rack in (r6)", false),
            ("rack notin (r6,r8)", true),
            ("rack notin (r7)", false),
            ("row notin (1)", true),
            ("rack", true),
            ("row", false),
            ("!row", true),
            ("!rack", false),
            ("rack in (r6,r7),!row,example.com/gpu!=h200", true),
            ("rack=", false),
        ] {
            assert_eq!(Selector::parse(text).unwrap().matches(&node), suits, "{text}");
        }
    }

    #[test]
    fn what_is_no_selector_is_refused_with_what_to_write() {
        for bad in [
            "=",
            "a=b=c",
            "a in",
            "a in b",
            "a in (b",
            "in (b)",
            "a or (b)",
            "a b in (c)",
            "a,,b",
            ",",
            "a=b'; DROP TABLE nodes",
            "ä=b",
            "a=-b",
            "a/b/c=d",
            "/a",
            "!",
            "a>1",
        ] {
            assert!(Selector::parse(bad).is_err(), "{bad}");
        }
        let long = vec!["a"; REQUIREMENTS_MAX + 1].join(",");
        assert_eq!(Selector::parse(&long), Err(BadSelector::TooLong));
        assert!(Selector::parse("a or (b)").unwrap_err().to_string().contains("key in (a,b)"));
    }

    #[test]
    fn any_name_of_a_model_becomes_a_value() {
        assert_eq!(to_value("NVIDIA H100 80GB HBM3"), "NVIDIA-H100-80GB-HBM3");
        assert_eq!(to_value("llvmpipe (LLVM 15.0.6, 256 bits)"), "llvmpipe--LLVM-15.0.6--256-bits");
        assert_eq!(to_value("((("), "");
    }

    proptest! {
        #[test]
        fn no_text_breaks_the_parser_and_every_text_becomes_a_value(text in any::<String>(), near in "[a-c!=, ()in]{0,24}") {
            let _ = (Selector::parse(&text), Selector::parse(&near));
            prop_assert!(is_value(&to_value(&text)));
        }
    }
}
