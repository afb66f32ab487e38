//! Check: is everything there, and do all sources agree, before any load?

pub mod doctor;
