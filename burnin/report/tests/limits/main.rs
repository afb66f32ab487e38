//! Limits from the outside: our table holds, what physics forbids is found, and a published table is read as it should be.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod published;
mod physics;
mod reach;

use report::limits::{Metric, Model, table};

fn model(name: &str) -> Model {
    let found = table::built_in().iter().find(|(_, model)| model.name == name);
    found.unwrap_or_else(|| panic!("no model `{name}`")).1.clone()
}

fn physical(model: &Model, metric: Metric) -> f64 {
    model.physical(metric).unwrap().per_s()
}
