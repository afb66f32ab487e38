//! A disk that remembers: what the program asks of the files below one folder is written down, call by call, and from that
//! log come all the states that a power failure could have left. It also fails calls on purpose, one at a time.
//!
//! It stands below SQLite and below the standard library alike. A program that links this crate has our `open`, `write`,
//! `pwrite`, `ftruncate`, `fsync`, `fdatasync`, `rename`, `unlink` and `close` ([`calls`]) in place of libc's; each does the
//! real call and, for files of a recorded folder, tells the [`Recording`]. A VFS for SQLite would see neither the entries of
//! directories nor files that are written past SQLite. What goes by memory map is not seen: SQLite's `-shm`, which it makes
//! anew after a crash, is left out.
//!
//! ```text
//! record(folder) -> the program runs, the test marks what was acknowledged -> events() -> images::visit -> open and check
//! ```
//!
//! Terms: an *event* is one call that succeeded, or a *mark* of the test; an *image* is what may be found after a power
//! failure; what no fsync has covered yet is *open*, and may be there or not, whole or torn at sectors of 512 bytes.

mod calls;
pub mod images;
mod recording;

pub use recording::{Call, Event, Fault, FileId, Recording, record};
