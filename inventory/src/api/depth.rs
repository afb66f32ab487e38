//! How deep JSON is nested, counted before anything is parsed, so that a hostile body costs one pass over its bytes.

/// Are there more than `max` arrays and objects inside each other?
///
/// Looks at brackets outside of strings only; whether the text is JSON at all is for the parser to say.
pub(super) fn is_deeper_than(text: &[u8], max: usize) -> bool {
    let (mut depth, mut in_string, mut escaped) = (0usize, false, false);
    for byte in text {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'[' | b'{' if !in_string => {
                depth += 1;
                if depth > max {
                    return true;
                }
            }
            b']' | b'}' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;
    use serde_json::Value;

    fn depth(value: &Value) -> usize {
        match value {
            Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or(0),
            Value::Object(fields) => 1 + fields.values().map(depth).max().unwrap_or(0),
            _ => 0,
        }
    }

    #[test]
    fn brackets_in_strings_do_not_count() {
        assert!(!is_deeper_than(br#"{"a": "[[[[\"[[[[", "b": ["\\"]}"#, 2));
        assert!(is_deeper_than(br#"{"a": [[]]}"#, 2));
        assert!(is_deeper_than(&[b'['; 100], 16));
    }

    fn json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![Just(Value::Null), any::<String>().prop_map(Value::String)];
        leaf.prop_recursive(6, 40, 4, |inner| {
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..4).prop_map(Value::Array),
                prop::collection::vec((any::<String>(), inner), 0..4)
                    .prop_map(|fields| Value::Object(fields.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn the_count_agrees_with_the_parser(value in json(), max in 0usize..8) {
            let text = serde_json::to_vec(&value).unwrap();
            prop_assert_eq!(is_deeper_than(&text, max), depth(&value) > max);
        }
    }
}
