//! The patterns of `modules.alias`: `*`, `?` and sets like `[0-9a-f]`, as the kernel's build writes them.

/// Does the pattern match the whole text?
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let (pattern, text) = (pattern.as_bytes(), text.as_bytes());
    let (mut p, mut t) = (0, 0);
    // Where to go on after the last star: one character later each time, which is enough, since only the last star counts.
    let mut star = None;
    loop {
        if t == text.len() {
            return pattern[p..].iter().all(|byte| *byte == b'*');
        }
        if pattern.get(p) == Some(&b'*') {
            star = Some((p + 1, t + 1));
            p += 1;
        } else if let Some(width) = one(&pattern[p..], text[t]) {
            p += width;
            t += 1;
        } else if let Some((after, next)) = star {
            star = Some((after, next + 1));
            (p, t) = (after, next);
        } else {
            return false;
        }
    }
}

/// The width of the pattern's first element, if it matches the byte.
fn one(pattern: &[u8], byte: u8) -> Option<usize> {
    match *pattern.first()? {
        b'?' => Some(1),
        b'[' => {
            let close = pattern.iter().position(|byte| *byte == b']')?;
            in_set(&pattern[1..close], byte).then_some(close + 1)
        }
        b'\\' if pattern.len() > 1 => (pattern[1] == byte).then_some(2),
        plain => (plain == byte).then_some(1),
    }
}

fn in_set(set: &[u8], byte: u8) -> bool {
    let (negated, mut set) = match set.split_first() {
        Some((b'!' | b'^', rest)) => (true, rest),
        _ => (false, set),
    };
    let mut found = false;
    while let Some((first, rest)) = set.split_first() {
        match rest {
            [b'-', last, more @ ..] => {
                found |= (*first..=*last).contains(&byte);
                set = more;
            }
            _ => {
                found |= *first == byte;
                set = rest;
            }
        }
    }
    found != negated
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn real_aliases_are_matched() {
        let e1000e = "pci:v00008086d000010D3sv00008086sd0000A01Fbc02sc00i00";
        assert!(matches("pci:v00008086d000010D3sv*sd*bc*sc*i*", e1000e));
        assert!(!matches("pci:v00008086d000010D4sv*sd*bc*sc*i*", e1000e));
        assert!(matches("virtio:d00000001v*", "virtio:d00000001v00001AF4"));
        assert!(matches("usb:v*p*d*dc*dsc*dp*ic03isc*ip*in*", "usb:v1p2d3dc0dsc0dp0ic03isc1ip2in0"));
        assert!(matches("of:N*T*Ca[b-d]", "of:NxTyCac"));
        assert!(!matches("of:N*T*Ca[!b-d]", "of:NxTyCac"));
        assert!(matches("a*b*c", "aXbYbZc"));
        assert!(!matches("a*b*c", "aXbYbZ"));
        assert!(matches("", "") && matches("**", "") && !matches("?", ""));
        assert!(!matches("[", "[") && !matches("[abc", "a"));
    }

    /// Slow and plain.
    fn reference(pattern: &[u8], text: &[u8]) -> bool {
        match pattern.first() {
            None => text.is_empty(),
            Some(b'*') => (0..=text.len()).any(|n| reference(&pattern[1..], &text[n..])),
            Some(_) => text
                .first()
                .and_then(|byte| one(pattern, *byte))
                .is_some_and(|n| reference(&pattern[n..], &text[1..])),
        }
    }

    proptest! {
        #[test]
        fn it_agrees_with_the_plain_definition(pattern in r"[ab*?\[\]\\!-]{0,10}", text in "[ab]{0,12}") {
            prop_assert_eq!(matches(&pattern, &text), reference(pattern.as_bytes(), text.as_bytes()));
        }
    }
}
