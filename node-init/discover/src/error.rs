//! How a probe can fail, and how that stands in the record.

use report::node::CollectorStatus;

use crate::ReadError;

/// Why a probe did not read all that it should have. Facts that it found all the same are kept.
#[derive(Debug, thiserror::Error)]
pub enum ProbeError {
    /// Linux shows no such hardware on this node.
    #[error("`{path}` is not there: this kernel shows no such hardware")]
    Absent {
        /// Path below the root.
        path: &'static str,
    },
    /// This kernel or platform has no such source of facts.
    #[error("`{path}` is not there: this platform does not tell")]
    Unsupported {
        /// Path below the root.
        path: &'static str,
    },
    /// Some files could not be read or understood.
    #[error("{gravest}{}", and_more(*more))]
    Files {
        /// The gravest of the errors, the first where several are equally grave.
        gravest: ReadError,
        /// How many there were beside it.
        more: usize,
    },
}

impl From<ReadError> for ProbeError {
    fn from(error: ReadError) -> Self {
        Self::Files { gravest: error, more: 0 }
    }
}

impl ProbeError {
    /// The status that the record shows.
    pub fn status(&self) -> CollectorStatus {
        match self {
            Self::Absent { .. } => CollectorStatus::Absent,
            Self::Unsupported { .. } => CollectorStatus::Unsupported,
            Self::Files { gravest: ReadError::Denied { .. }, .. } => CollectorStatus::Denied,
            Self::Files { .. } => CollectorStatus::Error,
        }
    }
}

fn and_more(more: usize) -> String {
    if more == 0 { String::new() } else { format!(" (and {more} more)") }
}

/// Errors that a probe met while it went on.
#[derive(Debug, Default)]
pub(crate) struct Troubles {
    errors: Vec<ReadError>,
    uncounted: usize,
}

impl Troubles {
    /// How many errors are kept; the rest is counted.
    const KEPT_MAX: usize = 64;

    /// The value, or `None` and the error noted.
    pub(crate) fn note<T>(&mut self, read: Result<T, ReadError>) -> Option<T> {
        match read {
            Ok(value) => Some(value),
            Err(error) => {
                self.add(error);
                None
            }
        }
    }

    pub(crate) fn add(&mut self, error: ReadError) {
        // Being denied is the mildest; it must not push out what is graver.
        if self.errors.len() < Self::KEPT_MAX {
            self.errors.push(error);
        } else {
            let mildest = self.errors.iter_mut().find(|kept| is_mild(kept) && !is_mild(&error));
            if let Some(mildest) = mildest {
                *mildest = error;
            }
            self.uncounted += 1;
        }
    }

    /// Well, or the gravest error.
    pub(crate) fn into_result(mut self) -> Result<(), ProbeError> {
        if self.errors.is_empty() {
            return Ok(());
        }
        let more = self.errors.len() - 1 + self.uncounted;
        let gravest = self.errors.iter().position(|error| !is_mild(error)).unwrap_or(0);
        Err(ProbeError::Files { gravest: self.errors.swap_remove(gravest), more })
    }
}

fn is_mild(error: &ReadError) -> bool {
    matches!(error, ReadError::Denied { .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_malformed_outweighs_what_is_denied_and_all_are_counted() {
        let mut troubles = Troubles::default();
        for n in 0..100 {
            troubles.add(ReadError::Denied { path: format!("sys/{n}") });
        }
        troubles.add(ReadError::malformed("sys/x", "?", "a number"));
        let error = troubles.into_result().unwrap_err();
        assert_eq!(error.status(), CollectorStatus::Error);
        assert_eq!(error.to_string(), "`sys/x` holds `?`: expected a number (and 100 more)");
    }
}
