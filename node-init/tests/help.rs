//! The help of the program, compared with golden text. `UPDATE_GOLDEN=1` writes it anew.

#![allow(clippy::unwrap_used, reason = "in a test, what does not work fails it")]
#![allow(missing_docs, reason = "a test")]

use std::path::Path;
use std::process::Command;

#[test]
fn the_help_is_the_golden_one() {
    for (name, arguments) in [("help", &["--help"][..]), ("help-register", &["register", "--help"])] {
        let output =
            Command::new(env!("CARGO_BIN_EXE_node-init")).args(arguments).env("COLUMNS", "100").output();
        let text = String::from_utf8(output.unwrap().stdout).unwrap();
        let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden").join(format!("{name}.txt"));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::create_dir_all(golden.parent().unwrap()).unwrap();
            std::fs::write(&golden, &text).unwrap();
        }
        let expected = std::fs::read_to_string(&golden).unwrap_or_default();
        assert_eq!(text, expected, "{} differs: UPDATE_GOLDEN=1 writes it anew", golden.display());
    }
}
