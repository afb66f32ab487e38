//! The GPU models that are built in. A new model is one file below `limits/` and one line here.

use std::sync::LazyLock;

use super::Model;
use crate::PciId;

/// The data files, as name and text.
const FILES: [(&str, &str); 8] = [
    ("a100-80-sxm.toml", include_str!("../../limits/a100-80-sxm.toml")),
    ("b200.toml", include_str!("../../limits/b200.toml")),
    ("h100-sxm.toml", include_str!("../../limits/h100-sxm.toml")),
    ("h200-sxm.toml", include_str!("../../limits/h200-sxm.toml")),
    ("l40s.toml", include_str!("../../limits/l40s.toml")),
    ("max-1550.toml", include_str!("../../limits/max-1550.toml")),
    ("mi300x.toml", include_str!("../../limits/mi300x.toml")),
    ("rtx-4090.toml", include_str!("../../limits/rtx-4090.toml")),
];

static TABLE: LazyLock<Vec<(&str, Model)>> =
    LazyLock::new(|| FILES.iter().filter_map(|(file, text)| Some((*file, read(file, text).ok()?))).collect());

/// A data file that cannot be read.
#[derive(Debug, thiserror::Error)]
#[error("reading limits `{file}`")]
pub struct TableError {
    /// Its name.
    pub file: String,
    /// What is wrong, with line and column.
    #[source]
    pub source: toml::de::Error,
}

/// Reads one data file.
pub fn read(file: &str, text: &str) -> Result<Model, TableError> {
    toml::from_str(text).map_err(|source| TableError { file: file.to_owned(), source })
}

/// The models that are built in, each with the name of its file.
pub fn built_in() -> &'static [(&'static str, Model)] {
    &TABLE
}

/// The model with this PCI number, if it is built in.
pub fn model_of(id: PciId) -> Option<&'static Model> {
    built_in().iter().map(|(_, model)| model).find(|model| model.pci_ids.iter().any(|listed| listed.id == id))
}

#[cfg(test)]
mod tests {
    use std::error::Error;

    use super::*;

    #[test]
    fn every_file_reads_and_is_found_by_its_pci_numbers() {
        for (file, text) in FILES {
            let model = read(file, text).unwrap_or_else(|e| panic!("{file}: {}", e.source().unwrap()));
            for listed in &model.pci_ids {
                assert_eq!(model_of(listed.id).map(|found| &found.name), Some(&model.name), "{file}");
            }
        }
        assert_eq!(built_in().len(), FILES.len());
    }

    #[test]
    fn a_file_with_an_unknown_key_or_an_infinite_figure_is_refused_with_its_place() {
        let (file, text) = FILES[0];
        for (from, to) in [
            ("unit = ", "unti = \"SM\"\nunit = "),
            ("value = 108", "value = inf"),
            ("value = 108", "value = nan"),
        ] {
            assert!(text.contains(from));
            let error = read(file, &text.replacen(from, to, 1)).unwrap_err();
            assert_eq!(error.to_string(), "reading limits `a100-80-sxm.toml`");
            assert!(error.source().unwrap().to_string().contains("line"), "{to}");
        }
    }
}
