//! The schema of a report as JSON Schema (draft 2020-12), for who reads reports without this crate.
//!
//! The file is made from the types and their comments by a test of this module (`UPDATE_GOLDEN=1 cargo test -p report
//! --lib schema` writes it anew), so that the types stay the one place where the form of a report is told. Within a
//! version fields are only ever added, each with a default: what an older `burnin` wrote stays valid and readable. A
//! reader must pass over fields that it does not know; a plan alone is closed, since a demand that is not understood
//! must not be passed over.

/// The schema of [`crate::SCHEMA`].
pub const REPORT: &str = include_str!("../schema/assay.report-1.schema.json");

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Report, SCHEMA};

    #[test]
    fn the_published_schema_is_that_of_the_types() {
        let mut schema = schemars::schema_for!(Report);
        schema.insert("$id".into(), "urn:assay:report:1".into());
        schema.insert("title".into(), SCHEMA.into());
        let properties = schema.get_mut("properties").and_then(|all| all.get_mut("schema")).unwrap();
        properties["const"] = SCHEMA.into();
        let found = serde_json::to_string_pretty(&schema).unwrap() + "\n";
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            let path = concat!(env!("CARGO_MANIFEST_DIR"), "/schema/assay.report-1.schema.json");
            std::fs::write(path, &found).unwrap();
            return;
        }
        assert!(found == REPORT, "the types have another schema; look, then UPDATE_GOLDEN=1");
    }
}
