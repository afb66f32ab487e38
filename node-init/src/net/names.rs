//! Names of nodes and domains as DHCP carries them: checked, because they end in files that programs read.

use std::collections::BTreeSet;

/// Longest name in characters (RFC 1035 §2.3.4, without the root's dot).
const LONGEST: usize = 253;
/// Longest label in characters.
const LABEL: usize = 63;
/// More domains than this make every look-up slow; glibc took six until 2.26.
const DOMAINS: usize = 16;

/// Whether a name is labels of letters, digits, hyphens and underscores with dots between them.
pub fn is_name(name: &str) -> bool {
    let name = name.strip_suffix('.').unwrap_or(name);
    (1..=LONGEST).contains(&name.len()) && name.split('.').all(is_label)
}

fn is_label(label: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    (1..=LABEL).contains(&label.len()) && !label.starts_with('-') && label.bytes().all(allowed)
}

/// Names in the form of DNS, one after another, with pointers back into the list (RFC 1035 §4.1.4; RFC 3397, RFC 8415
/// §10). The good ones before the first that is malformed.
pub fn list_from(field: &[u8]) -> Vec<String> {
    let (mut names, mut at) = (Vec::new(), 0);
    while at < field.len() && names.len() < DOMAINS {
        let Some((name, next)) = name_at(field, at) else { break };
        if is_name(&name) {
            names.push(name);
        }
        at = next;
    }
    names
}

/// The name that starts at an offset, and the offset behind it.
fn name_at(field: &[u8], start: usize) -> Option<(String, usize)> {
    let (mut at, mut next, mut seen, mut labels) = (start, None, BTreeSet::new(), Vec::new());
    loop {
        let length = *field.get(at)?;
        match length {
            0 => return Some((labels.join("."), next.unwrap_or(at + 1))),
            1..=63 => {
                let label = field.get(at + 1..at + 1 + usize::from(length))?;
                labels.push(std::str::from_utf8(label).ok()?);
                at += 1 + usize::from(length);
            }
            0xc0.. => {
                let target = usize::from(length & 0x3f) << 8 | usize::from(*field.get(at + 1)?);
                next = next.or(Some(at + 2));
                // A pointer that was followed before would be followed for ever.
                if !seen.insert(target) {
                    return None;
                }
                at = target;
            }
            _ => return None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_name_is_labels_with_dots() {
        for good in ["node-1", "a.example.net", "example.net.", "_tcp.x9"] {
            assert!(is_name(good), "{good}");
        }
        let long = "a".repeat(64);
        for wrong in ["", ".", "a..b", "-a", "a b", "a\nb", "nöde", &long] {
            assert!(!is_name(wrong), "{wrong}");
        }
    }

    #[test]
    fn a_search_list_may_point_back() {
        let field = b"\x03eng\x07example\x03net\0\x05sales\xc0\x04";
        assert_eq!(list_from(field), ["eng.example.net", "sales.example.net"]);
    }

    #[test]
    fn pointers_in_a_circle_end() {
        assert_eq!(list_from(b"\x01a\xc0\x02"), Vec::<String>::new());
        assert_eq!(list_from(b"\x01a\0\xc0\x05\xc0\x03"), ["a"]);
    }

    proptest! {
        #[test]
        fn any_bytes_give_only_good_names(field: Vec<u8>) {
            prop_assert!(list_from(&field).iter().all(|name| is_name(name)));
        }

        #[test]
        fn what_is_written_is_read_back(names in proptest::collection::vec("[a-z0-9]{1,8}(\\.[a-z0-9]{1,8}){0,3}", 0..8)) {
            let mut field = Vec::new();
            for label in names.iter().flat_map(|name| name.split('.').chain([""])) {
                field.push(u8::try_from(label.len()).unwrap());
                field.extend(label.bytes());
            }
            prop_assert_eq!(list_from(&field), names);
        }
    }
}
