//! What a database call can end with. The kind decides what the writer does; nobody reads the message of an error.

use std::error::Error;

type Cause = Box<dyn Error + Send + Sync>;

/// Why a database call failed.
#[derive(Debug, thiserror::Error)]
pub enum DatabaseError {
    /// Another holds what is needed. Nothing was changed.
    #[error("another process holds the database")]
    Busy(#[source] Cause),
    /// This statement asks for something impossible; the database is well.
    #[error("the database does not take this")]
    Rejected(#[source] Cause),
    /// A value is not of the type it should be.
    #[error("column {column} holds no {expected}")]
    Value {
        /// Which of the answer.
        column: usize,
        /// What should be there.
        expected: &'static str,
    },
    /// The connection is gone; whether what was last asked was done is not known.
    #[error("the connection to the database is lost")]
    Lost(#[source] Cause),
    /// What is in the file is not what was written.
    #[error("the database is damaged")]
    Damaged(#[source] Cause),
    /// The disk, the file or the server failed, or a statement is wrong.
    #[error("the database failed")]
    Fatal(#[source] Cause),
}

impl DatabaseError {
    /// Did one write ask for something impossible, while everything else is well?
    pub(in crate::store) fn is_about_this_job_only(&self) -> bool {
        matches!(self, Self::Rejected(_) | Self::Value { .. })
    }
}
