//! The table as data (`tests/faults.toml`).

use std::collections::BTreeSet;

use report::Outcome;
use serde::Deserialize;

/// The table of the tree.
const TEXT: &str = include_str!("../../faults.toml");

/// All rows.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Table {
    /// The rows, in order.
    #[serde(rename = "fault")]
    pub rows: Vec<Row>,
}

/// One fault.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Row {
    /// Its name.
    pub id: String,
    /// What is wrong, as an engineer would tell it.
    pub what: String,
    /// The plan that is run.
    #[serde(default = "smoke")]
    pub plan: String,
    /// How it is put in.
    pub inject: Inject,
    /// What must come of it.
    pub expect: Expected,
    /// In how many seconds the verdict must be there.
    #[serde(default = "a_minute")]
    pub within_s: u32,
    /// Is it left to `make faults`: for its length, or since a row of its kind is in `make test`?
    #[serde(default)]
    pub long: bool,
}

/// How a fault is put in.
#[derive(Clone, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Inject {
    /// Below the program, by `VK_LAYER_ASSAY_fault` with this plan.
    Layer(String),
    /// By `burnin run --plant`.
    Plant(String),
    /// A driver beside the software device's: `crash`, `hang`.
    Driver(String),
    /// The only driver is this manifest.
    Manifest(String),
    /// Nothing: the machine itself is what is wrong.
    Machine,
}

/// What must come of a fault.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Expected {
    /// The exit code: 1 faulty, 3 degraded, 4 unknown.
    pub exit: i32,
    /// The check that sees it.
    pub check: String,
    /// How that check ends.
    pub outcome: Outcome,
    /// Why.
    pub code: String,
    /// Words of the reason's detail. Where the layer does not record the arrival, they are what proves it.
    #[serde(default)]
    pub says: String,
}

fn smoke() -> String {
    "smoke-software".to_owned()
}

fn a_minute() -> u32 {
    60
}

/// Why a table cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// It is no such table.
    #[error("reading the table of faults")]
    Malformed(#[from] toml::de::Error),
    /// A row could hold without its fault.
    #[error("row `{id}`: {why}")]
    Weak {
        /// The row.
        id: String,
        /// What is missing.
        why: &'static str,
    },
}

impl Table {
    /// The table of the tree.
    ///
    /// # Errors
    /// If it is malformed or a row of it could hold without its fault.
    pub fn of_the_tree() -> Result<Self, TableError> {
        Self::read(TEXT)
    }

    fn read(text: &str) -> Result<Self, TableError> {
        let table: Self = toml::from_str(text)?;
        let mut ids = BTreeSet::new();
        for row in &table.rows {
            let weak = |why| TableError::Weak { id: row.id.clone(), why };
            if !ids.insert(&row.id) {
                return Err(weak("another row has this name"));
            }
            if !matches!(row.inject, Inject::Layer(_)) && row.expect.says.is_empty() {
                return Err(weak("nothing would prove that the fault arrived: give words of the reason"));
            }
            if row.expect.exit == 0 || row.expect.outcome == Outcome::Pass {
                return Err(weak("a fault never ends in a pass"));
            }
        }
        Ok(table)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ROW: &str = "[[fault]]\nid = 'x'\nwhat = 'w'\n";

    #[test]
    fn a_row_that_could_hold_without_its_fault_is_refused() {
        let expect = |inject: &str, rest: &str| {
            let code = "code = 'C', check = 'digest'";
            Table::read(&format!("{ROW}inject = {inject}\nexpect = {{ {code}, {rest} }}\n")).err()
        };
        let weak = |inject: &str, rest: &str| matches!(expect(inject, rest), Some(TableError::Weak { .. }));
        assert!(expect("{ layer = 'lost' }", "exit = 1, outcome = 'fail'").is_none());
        assert!(weak("{ plant = 'hang' }", "exit = 1, outcome = 'fail'"));
        assert!(weak("{ layer = 'lost' }", "exit = 0, outcome = 'fail'"));
        assert!(weak("{ layer = 'lost' }", "exit = 1, outcome = 'pass'"));
        assert!(matches!(
            expect("{ magic = 'x' }", "exit = 1, outcome = 'fail'"),
            Some(TableError::Malformed(_))
        ));
    }

    #[test]
    fn two_rows_of_one_name_are_refused() {
        let row = format!(
            "{ROW}inject = {{ layer = 'lost' }}\nexpect = {{ exit = 1, check = 'd', outcome = 'fail', code = 'C' }}\n"
        );
        assert!(Table::read(&row).is_ok());
        assert!(Table::read(&format!("{row}{row}")).is_err());
    }
}
