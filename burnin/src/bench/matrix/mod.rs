//! Measures the matrix units: every shape that the driver lists is tried, and each type's best is timed.
//!
//! First each shape multiplies small exact work, and every word of its answers is compared with the integers: a shape that
//! is wrong fails the check and is named. Then it is timed; drivers list shapes that they emulate at a thousandth of the
//! rate. Of each pair of types the best layout is chosen by a short sweep, faults are planted in it, and its windows alternate
//! exact and random operands. Matrices of a whole workgroup have metrics of their own (`matrix-whole-...`), since a vendor
//! may reach units through them that subgroups do not.

pub mod product;
mod run;
pub(crate) mod shapes;
pub(crate) mod tiles;

pub(crate) use run::fastest;
pub use run::run;
pub(crate) use tiles::Tiles;

#[cfg(test)]
mod tests;
