//! What absence can do to a document: parts deleted, cut short, or turned into a zero.

use serde_json::Value;

/// What is done to one node of a JSON document.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Mutation {
    /// An object or array loses one child.
    Lose(usize),
    /// An array or string keeps only so many of its first items or bytes.
    Cut(usize),
    /// The node becomes one of the [`zero`]s.
    Zero(usize),
}

/// How many zeros there are.
pub(crate) const ZEROS: usize = 6;

fn zero(which: usize) -> Value {
    match which {
        0 => Value::Null,
        1 => Value::from(0),
        2 => Value::from(""),
        3 => Value::Array(vec![]),
        4 => Value::Object(serde_json::Map::new()),
        _ => Value::Bool(false),
    }
}

/// How many nodes a document has, itself included.
pub(crate) fn size(value: &Value) -> usize {
    1 + match value {
        Value::Array(items) => items.iter().map(size).sum(),
        Value::Object(map) => map.values().map(size).sum::<usize>(),
        _ => 0,
    }
}

/// The nth node of a document, counted from the root down, and the path to it.
pub(crate) fn nth<'a>(value: &'a mut Value, n: &mut usize, path: &mut String) -> Option<&'a mut Value> {
    if *n == 0 {
        return Some(value);
    }
    *n -= 1;
    let kept = path.len();
    let children: Box<dyn Iterator<Item = (String, &mut Value)>> = match value {
        Value::Array(items) => Box::new(items.iter_mut().map(|item| ("[]".to_owned(), item))),
        Value::Object(map) => Box::new(map.iter_mut().map(|(key, item)| (format!(".{key}"), item))),
        _ => return None,
    };
    for (step, child) in children {
        path.push_str(&step);
        if let Some(found) = nth(child, n, path) {
            return Some(found);
        }
        path.truncate(kept);
    }
    None
}

/// All that can be done to a node.
pub(crate) fn all(node: &Value) -> Vec<Mutation> {
    let (children, lengths) = match node {
        Value::Array(items) => (items.len(), items.len()),
        Value::Object(map) => (map.len(), 0),
        Value::String(text) => (0, text.len()),
        _ => (0, 0),
    };
    let lose = (0..children).map(Mutation::Lose);
    lose.chain((0..lengths).map(Mutation::Cut)).chain((0..ZEROS).map(Mutation::Zero)).collect()
}

/// One of all that can be done to a node, by number.
pub(crate) fn choose(node: &Value, number: usize) -> Mutation {
    let all = all(node);
    all[number % all.len()]
}

/// The node after it.
pub(crate) fn apply(mutation: Mutation, node: &Value) -> Value {
    match (mutation, node) {
        (Mutation::Lose(which), Value::Array(items)) => {
            let mut items = items.clone();
            items.remove(which);
            Value::Array(items)
        }
        (Mutation::Lose(which), Value::Object(map)) => {
            let kept = map.iter().enumerate().filter(|(n, _)| *n != which);
            Value::Object(kept.map(|(_, (key, item))| (key.clone(), item.clone())).collect())
        }
        (Mutation::Cut(length), Value::Array(items)) => Value::Array(items[..length].to_vec()),
        (Mutation::Cut(length), Value::String(text)) => Value::from(
            text.char_indices().take_while(|(n, _)| *n < length).map(|(_, c)| c).collect::<String>(),
        ),
        (Mutation::Zero(which), _) => zero(which),
        _ => unreachable!("chosen for this node"),
    }
}
