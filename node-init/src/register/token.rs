//! The enrolment token: a secret that lets one node in once.

use std::fmt;
use std::path::{Path, PathBuf};

/// A token. Neither `Debug` nor any error shows it.
#[derive(Clone, PartialEq, Eq)]
pub struct Token(String);

impl fmt::Debug for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Token(redacted)")
    }
}

/// Never fails: the argument parser prints what it refuses, so the form is looked at later.
impl From<String> for Token {
    fn from(text: String) -> Self {
        Self(text)
    }
}

/// Why there is no token.
#[derive(Debug, thiserror::Error)]
pub enum TokenError {
    /// The file cannot be read.
    #[error("reading the token file `{}`: check `--token-file`", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// It is no token. The text is not shown: it may be a token with a slip.
    #[error("the token does not have the form `assay-ID-SECRET`: copy it whole from the inventory")]
    Form,
}

impl Token {
    /// Accepts `assay-ID-SECRET` with printable ASCII in both parts.
    pub fn checked(self) -> Result<Self, TokenError> {
        let parts = self.0.strip_prefix("assay-").and_then(|rest| rest.split_once('-'));
        let plain = self.0.len() <= 256 && self.0.bytes().all(|b| b.is_ascii_graphic());
        match parts {
            Some((id, secret)) if plain && !id.is_empty() && !secret.is_empty() => Ok(self),
            _ => Err(TokenError::Form),
        }
    }

    /// Reads the token in a file; white space around it does not count.
    pub fn from_file(path: &Path) -> Result<Self, TokenError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| TokenError::Read { path: path.to_owned(), source })?;
        Self(text.trim().to_owned()).checked()
    }

    /// The text, for the body of a request that goes out over TLS and for nothing else.
    pub(crate) fn expose(&self) -> &str {
        &self.0
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn neither_debug_nor_errors_show_it() {
        let token = Token::from("assay-k7-hunter2".to_owned()).checked().unwrap();
        assert_eq!(format!("{token:?}"), "Token(redacted)");
        for bad in ["hunter2", "assay-hunter2", "assay--hunter2", "assay-k7-", "assay-k7-hun ter2", ""] {
            let error = Token::from(bad.to_owned()).checked().unwrap_err();
            assert!(!format!("{error} {error:?}").contains("ter2"), "{bad}");
        }
    }

    #[test]
    fn a_file_may_end_in_a_newline() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("token");
        std::fs::write(&file, "assay-k7-hunter2\n").unwrap();
        assert_eq!(Token::from_file(&file).unwrap().expose(), "assay-k7-hunter2");
        let missing = Token::from_file(&dir.path().join("none")).unwrap_err();
        assert!(matches!(missing, TokenError::Read { .. }));
    }
}
