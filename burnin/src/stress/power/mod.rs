//! The highest draw: matrix units, vector units and memory at work at once, each part verified while all run.
//!
//! A *part* is one kernel with an oracle of its own: products of matrices where the device offers them (exact integers),
//! FP32 chains (bit for bit against the processor), reads of random values from memory (every word compared). A *round* is one
//! dispatch of each part, all at the same time; the parts are first sized so that each alone takes about as long, and
//! then their *shares* are swept: all at full size, and each in turn at a half and a quarter. The mix that counts is the one
//! with the highest draw by the device's power sensor; where there is none, the one whose parts reach the highest sum of
//! fractions of their rates alone. The report says which of the two it was.
//!
//! Every window compares the answers of every part: a part that a driver leaves out is wrong by its counts. Faults are
//! planted in one part after the other while the mix runs.
//!
//! What this does not do: set a power limit, or claim watts where nothing reads them; between windows the host compares,
//! which a sensor that is slower than that shows as a little less than the peak.

mod parts;
mod run;
mod sensor;
#[cfg(test)]
mod tests;

pub use run::run;
