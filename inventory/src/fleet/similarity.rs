//! How far one distribution of rates lies below another, as a share of the work that is lost by it.
//!
//! SuperBench (Xiong et al., USENIX ATC 2024, arXiv 2402.06194) compares distributions of what a benchmark measured instead
//! of single figures, by a distance of their cumulative functions, of which only the side that means "slower" counts. Ours
//! is the area between the two on that side, divided by the reference's median (the one-sided Wasserstein distance of order
//! 1): a device that is throughout 5 % slower has 0.05, one that is 30 % slower in every sixth window too.

use super::robust::median;

/// How far `rates` lie below `reference`; both sorted, 0 if either is empty. The similarity is one less this.
pub fn shortfall(rates: &[f64], reference: &[f64]) -> f64 {
    let middle = median(reference);
    if rates.is_empty() || !middle.is_finite() || middle <= 0.0 {
        return 0.0;
    }
    // In terms of quantile functions: both are steps, so that the integral is a sum between all their edges.
    let (own, theirs) = (rates.len() as u64, reference.len() as u64);
    let (mut at, mut i, mut j, mut lost) = (0u64, 0usize, 0usize, 0.0);
    while i < rates.len() && j < reference.len() {
        // Edges as multiples of 1 / (own * theirs), so that none is missed by rounding.
        let (next_own, next_theirs) = ((i as u64 + 1) * theirs, (j as u64 + 1) * own);
        let next = next_own.min(next_theirs);
        lost += (next - at) as f64 * (reference[j] - rates[i]).max(0.0);
        at = next;
        i += usize::from(next == next_own);
        j += usize::from(next == next_theirs);
    }
    lost / (own * theirs) as f64 / middle
}

/// How much work windows lose against their own median: 0 for a steady device.
pub fn dip(rates: &[f64]) -> f64 {
    let mut sorted = rates.to_vec();
    sorted.sort_by(f64::total_cmp);
    shortfall(&sorted, &[median(&sorted)])
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_slow_device_and_an_unsteady_one_lose_what_they_lose() {
        let reference = vec![100.0; 12];
        assert!((shortfall(&[95.0; 7], &reference) - 0.05).abs() < 1e-12);
        let mut unsteady = vec![100.0; 12];
        unsteady[..2].fill(70.0);
        assert!((shortfall(&unsteady, &reference) - 0.05).abs() < 1e-12);
        assert!((dip(&unsteady) - 0.05).abs() < 1e-12);
        assert_eq!(shortfall(&[101.0, 120.0], &reference), 0.0);
    }

    #[test]
    fn nothing_to_compare_is_no_distance() {
        assert_eq!(
            [shortfall(&[], &[1.0]), shortfall(&[1.0], &[]), shortfall(&[1.0], &[0.0]), dip(&[])],
            [0.0; 4]
        );
    }

    fn sorted() -> impl Strategy<Value = Vec<f64>> {
        prop::collection::vec(50.0..150.0_f64, 1..40).prop_map(|mut rates| {
            rates.sort_by(f64::total_cmp);
            rates
        })
    }

    proptest! {
        #[test]
        fn the_two_sides_differ_by_the_difference_of_the_means(a in sorted(), b in sorted()) {
            let mean = |rates: &[f64]| rates.iter().sum::<f64>() / rates.len() as f64;
            let (down, up) = (shortfall(&a, &b) * median(&b), shortfall(&b, &a) * median(&a));
            prop_assert!((down - up - (mean(&b) - mean(&a))).abs() < 1e-9);
        }

        #[test]
        fn slower_windows_never_look_nearer(a in sorted(), b in sorted(), by in 0.0..40.0_f64) {
            let slower: Vec<f64> = a.iter().map(|rate| rate - by).collect();
            prop_assert!(shortfall(&slower, &b) >= shortfall(&a, &b) - 1e-12);
            prop_assert_eq!(shortfall(&a, &a), 0.0);
        }

        #[test]
        fn each_window_twice_is_the_same_distribution(a in sorted(), b in sorted()) {
            let twice: Vec<f64> = a.iter().flat_map(|rate| [*rate, *rate]).collect();
            prop_assert!((shortfall(&twice, &b) - shortfall(&a, &b)).abs() < 1e-12);
        }
    }
}
