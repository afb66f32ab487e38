//! Refuses what physics forbids, as typed findings that name file, figure and both numbers.
//!
//! [`of_models`] reads our own table, [`of_plan`] a plan for a device that the table has, [`of_gates`] a table that others
//! publish. No finding means that nothing is impossible, not that the figures are right.

mod gates;
mod model;
mod plan;
mod stated;

use std::fmt;

pub use gates::of_gates;
pub use model::{of_model, of_models};
pub use plan::of_plan;

/// Something that cannot be, or that cannot be meant.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// The file, plan or table.
    pub file: String,
    /// The figure, as a path within it.
    pub figure: String,
    /// What is wrong with it.
    pub problem: Problem,
    /// The number that stands there.
    pub found: f64,
    /// The number that it was compared with.
    pub bound: f64,
}

/// What is wrong with a figure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Problem {
    /// Zero, infinite or not a number where there must be a figure.
    NotAFigure,
    /// Nobody is named as its source.
    NoSource,
    /// Beyond what the formula allows.
    AbovePhysical,
    /// Physically possible, but more than the interface gets: nothing could pass.
    AboveReachable,
    /// More than 3 % below the formula of the maker's own figures.
    OffFormula,
    /// Twice the formula: the rate with sparsity in place of the dense one.
    SparseAsDense,
    /// GiB for GB or the other way round.
    BinaryForDecimal,
    /// A factor of 1000, or several.
    UnitSlip,
    /// A share of something that is more than all of it.
    FractionAboveOne,
    /// A range whose low end is above its high end.
    RangeReversed,
    /// A PCIe generation without a formula here.
    UnknownPcie,
    /// A key or a metric that is there twice.
    Duplicate,
    /// Another value than the table's own origin gives.
    DiffersFromOrigin,
    /// So far below the peak that it proves nothing.
    BelowBand,
    /// Far from every sibling with the same chip.
    OutlierAmongSiblings,
    /// Fewer lanes than any board of that kind has.
    WidthWithoutMeaning,
    /// The board with less power is held to more than the full one.
    OrderReversed,
}

/// How bad a finding is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// Somebody should look: it may be meant.
    Warn,
    /// It cannot be right.
    Reject,
}

impl Problem {
    /// How bad it is.
    pub fn severity(self) -> Severity {
        match self {
            Self::DiffersFromOrigin | Self::WidthWithoutMeaning | Self::OrderReversed => Severity::Warn,
            _ => Severity::Reject,
        }
    }
}

impl fmt::Display for Finding {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { file, figure, problem, found, bound } = self;
        write!(f, "{file}: {figure}: ")?;
        match problem {
            Problem::NotAFigure => write!(f, "{found} is no figure where {bound} bounds it"),
            Problem::NoSource => write!(f, "has no source"),
            Problem::AbovePhysical => write!(f, "{found} is above the physical peak of {bound}"),
            Problem::AboveReachable => write!(f, "{found} is above what can be reached: {bound}"),
            Problem::OffFormula => write!(f, "{found} is more than 3 % below the formula's {bound}"),
            Problem::SparseAsDense => {
                write!(f, "{found} is the rate with sparsity, the dense one is {bound}")
            }
            Problem::BinaryForDecimal => write!(f, "{found} mixes GB and GiB, the formula gives {bound}"),
            Problem::UnitSlip => write!(f, "{found} is off by a factor of 1000 or more beside {bound}"),
            Problem::FractionAboveOne => write!(f, "{found} is a share above {bound}"),
            Problem::RangeReversed => write!(f, "{found} is the low end of a range that ends at {bound}"),
            Problem::UnknownPcie => {
                write!(f, "PCIe generation {found} has no formula here, the newest is {bound}")
            }
            Problem::Duplicate => write!(f, "is there {found} times instead of {bound}"),
            Problem::DiffersFromOrigin => write!(f, "{found} is not what its own origin gives: {bound}"),
            Problem::BelowBand => write!(f, "{found} proves nothing beside a peak of {bound}"),
            Problem::OutlierAmongSiblings => write!(f, "{found} is far from its siblings' middle of {bound}"),
            Problem::WidthWithoutMeaning => {
                write!(f, "x{found} lets every link pass, the board has x{bound}")
            }
            Problem::OrderReversed => write!(f, "{found} is more than the full board's {bound}"),
        }
    }
}

/// Findings of one file.
struct Findings<'a> {
    file: &'a str,
    all: Vec<Finding>,
}

impl<'a> Findings<'a> {
    fn new(file: &'a str) -> Self {
        Self { file, all: Vec::new() }
    }

    fn add(&mut self, figure: impl Into<String>, problem: Problem, found: f64, bound: f64) {
        self.all.push(Finding { file: self.file.to_owned(), figure: figure.into(), problem, found, bound });
    }

    /// Adds a finding if the condition holds.
    fn add_if(&mut self, condition: bool, figure: &str, problem: Problem, (found, bound): (f64, f64)) {
        if condition {
            self.add(figure, problem, found, bound);
        }
    }

    fn source(&mut self, figure: &str, source: &str) {
        self.add_if(source.trim().is_empty(), figure, Problem::NoSource, (0.0, 1.0));
    }
}
