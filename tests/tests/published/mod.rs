//! Real reports against the schema that is published.

use serde_json::Value;

/// Is it valid by the published schema, and is every field of it named there?
#[track_caller]
pub(crate) fn assert_published(report: &[u8]) {
    let mut schema: Value = serde_json::from_str(report::schema::REPORT).unwrap();
    close(&mut schema);
    let value: Value = serde_json::from_slice(report).unwrap();
    let validator = jsonschema::draft202012::new(&schema).unwrap();
    let wrong: Vec<_> =
        validator.iter_errors(&value).map(|error| format!("{error} at {}", error.instance_path())).collect();
    assert!(wrong.is_empty(), "{wrong:#?}");
}

/// No field that the schema does not name: readers pass over such, a writer of this version has none.
fn close(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if map.contains_key("properties") && map.get("type") == Some(&Value::from("object")) {
                map.insert("additionalProperties".into(), Value::Bool(false));
            }
            map.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}
