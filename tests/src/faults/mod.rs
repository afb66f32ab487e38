//! The table of faults: what is put in, and what `burnin` must make of it. A row holds only if its fault arrived.

mod run;
mod table;

pub use run::{Seen, run};
pub use table::{Expected, Inject, Row, Table, TableError};
