//! Limits from the outside: our table holds, what physics forbids is found, and a published table is read as it should be.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

mod reach;

use report::limits::{Model, table};

fn model(name: &str) -> Model {
    let found = table::built_in().iter().find(|(_, model)| model.name == name);
    found.unwrap_or_else(|| panic!("no model `{name}`")).1.clone()
}
