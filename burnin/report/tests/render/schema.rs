//! The published schema against reports: those of the tests, and those that an older `burnin` wrote.

use std::path::PathBuf;

use report::render::{Format, render};
use report::{Report, Verdict, schema};
use serde_json::{Value, json};

use crate::reports::eight::eight_gpus;
use crate::reports::{FAULTS, with};

/// The schema as it is published, or closed: no field that it does not name. Readers go by the former; that we write
/// nothing that is not published is seen by the latter.
fn validator(closed: bool) -> jsonschema::Validator {
    let mut schema: Value = serde_json::from_str(schema::REPORT).unwrap();
    if closed {
        close(&mut schema);
    }
    jsonschema::draft202012::new(&schema).unwrap()
}

fn close(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            if map.contains_key("properties") && map.get("type") == Some(&json!("object")) {
                map.insert("additionalProperties".into(), json!(false));
            }
            map.values_mut().for_each(close);
        }
        Value::Array(items) => items.iter_mut().for_each(close),
        _ => {}
    }
}

fn read(folder: &str) -> Vec<(String, Value)> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests").join(folder);
    let files = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    let json = files.filter(|path| path.extension().is_some_and(|ending| ending == "json"));
    json.map(|path| {
        (path.display().to_string(), serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap())
    })
    .collect()
}

#[test]
fn what_this_version_writes_is_what_is_published_and_nothing_else() {
    let closed = validator(true);
    let mut all = read("golden");
    assert!(all.len() >= 5, "golden reports");
    all.push(("eight GPUs".into(), serde_json::to_value(eight_gpus(true)).unwrap()));
    for fault in FAULTS.iter().filter(|fault| fault.0 != "another schema") {
        all.push((fault.0.into(), serde_json::to_value(with(*fault, 2)).unwrap()));
    }
    for (name, report) in all {
        let wrong: Vec<_> =
            closed.iter_errors(&report).map(|e| format!("{} at {}", e, e.instance_path())).collect();
        assert!(wrong.is_empty(), "{name}: {wrong:#?}");
    }
}

#[test]
fn a_field_that_is_wrong_missing_or_of_another_version_is_refused() {
    let published = validator(false);
    let report = serde_json::to_value(eight_gpus(true)).unwrap();
    assert!(published.is_valid(&report));
    let harm: [fn(&mut Value); 9] = [
        |r| r["schema"] = json!("assay.report/2"),
        |r| r["verdict"]["verdict"] = json!("splendid"),
        |r| r["results"][3]["took_s"] = json!(-1.0),
        |r| r["results"][3]["took_s"] = json!("1.0"),
        |r| r["results"][3]["outcome"] = json!("passed"),
        |r| r["devices"][0]["memory_bytes"] = json!(-5),
        |r| r["started_at"] = json!(5),
        |r| drop(r.as_object_mut().unwrap().remove("plan_digest")),
        |r| r["plan"]["checks"][0]["lenient"] = json!(true),
    ];
    for (number, harm) in harm.iter().enumerate() {
        let mut harmed = report.clone();
        harm(&mut harmed);
        assert!(!published.is_valid(&harmed), "harm {number} goes unnoticed");
    }
    // A field of a later version is no harm for a reader, and is noticed where we look for our own.
    let mut later = report;
    later["results"][3]["mood"] = json!("good");
    assert!(published.is_valid(&later) && !validator(true).is_valid(&later));
}

#[test]
fn reports_of_an_older_burnin_are_valid_read_and_shown() {
    let published = validator(false);
    let all = read("older");
    assert!(!all.is_empty());
    for (name, value) in all {
        assert!(published.is_valid(&value), "{name}");
        let report = Report::from_json(value.to_string().as_bytes()).unwrap();
        for format in Format::ALL {
            assert!(!render(&report, format).is_empty());
        }
        let page = render(&report, Format::Html);
        assert!(page.contains("This report does not say when each check began"), "{name}");
        let judged = report::judge::review(&report).verdict;
        assert!(judged == report.verdict.verdict && judged != Verdict::Unknown, "{name}: {judged}");
    }
}
