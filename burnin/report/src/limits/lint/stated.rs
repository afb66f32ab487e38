//! A stated rate beside its formula: how far apart, and what the distance looks like.

use super::Problem;

/// Datasheets round, and state bandwidth a little below what the clock gives (H200: 4.8 for 4.917 TB/s).
const TOLERANCE: f64 = 0.03;

/// How near a ratio must be to a binary one: the ratios themselves are 2.4 % (KiB) and more from one.
const BINARY_TOLERANCE: f64 = 0.005;

/// GiB over GB and TiB over TB; nearer ones are within what datasheets round.
const BINARY: [f64; 2] = [1.073_741_824, 1.099_511_627_776];

/// What is wrong with a stated rate, if anything. Beyond 3 % of the formula there always is something.
pub(super) fn compare(stated: f64, formula: f64, may_be_sparse: bool) -> Option<Problem> {
    let ratio = stated / formula;
    if !ratio.is_finite() || ratio <= 0.0 {
        return Some(Problem::NotAFigure);
    }
    let near = |to: f64, tolerance: f64| (ratio / to - 1.0).abs() <= tolerance;
    if near(1.0, TOLERANCE) {
        None
    } else if may_be_sparse && near(2.0, TOLERANCE) {
        Some(Problem::SparseAsDense)
    } else if !may_be_sparse
        && BINARY.iter().any(|b| near(*b, BINARY_TOLERANCE) || near(1.0 / b, BINARY_TOLERANCE))
    {
        Some(Problem::BinaryForDecimal)
    } else if is_unit_slip(ratio) {
        Some(Problem::UnitSlip)
    } else if ratio > 1.0 {
        Some(Problem::AbovePhysical)
    } else {
        Some(Problem::OffFormula)
    }
}

/// Is this ratio about a power of 1000, other than one?
pub(super) fn is_unit_slip(ratio: f64) -> bool {
    [1e-12, 1e-9, 1e-6, 1e-3, 1e3, 1e6, 1e9, 1e12].iter().any(|slip| (ratio / slip - 1.0).abs() <= 0.1)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn each_kind_of_slip_is_named() {
        assert_eq!(compare(989e12, 989.4e12, true), None);
        assert_eq!(compare(1979e12, 989.4e12, true), Some(Problem::SparseAsDense));
        assert_eq!(compare(1979e12, 989.4e12, false), Some(Problem::AbovePhysical));
        assert_eq!(compare(4.579e12, 4.917e12, false), Some(Problem::BinaryForDecimal));
        assert_eq!(compare(4.8e9, 4.917e12, false), Some(Problem::UnitSlip));
        assert_eq!(compare(4.5e12, 4.917e12, false), Some(Problem::OffFormula));
        assert_eq!(compare(0.0, 4.917e12, false), Some(Problem::NotAFigure));
        assert_eq!(compare(1.0, f64::INFINITY, false), Some(Problem::NotAFigure));
    }

    proptest! {
        #[test]
        fn whatever_is_more_than_three_percent_off_is_found(
            formula in 1e3..1e18_f64, share in prop_oneof![1e-15..0.969, 1.031..1e15], sparse: bool
        ) {
            prop_assert!(compare(formula * share, formula, sparse).is_some());
        }

        #[test]
        fn whatever_is_within_three_percent_is_not(formula in 1e3..1e18_f64, share in 0.971..1.029, sparse: bool) {
            prop_assert_eq!(compare(formula * share, formula, sparse), None);
        }
    }
}
