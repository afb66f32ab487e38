//! From windows to figures: median and worst sustained rate.

use crate::{Quantity, Sample};

/// How many windows in a row count as sustained: one window may be lost to the scheduler, three are the device.
pub const SUSTAINED_WINDOWS: usize = 3;

/// Median and worst sustained rate of the windows; `None` if there is none, or if one of them has no rate.
///
/// The worst sustained rate is the lowest mean over [`SUSTAINED_WINDOWS`] windows in a row (work over time, not the mean
/// of rates), or over all of them where there are fewer.
pub fn summarize(samples: &[Sample]) -> Option<(Quantity, Quantity)> {
    let mut rates = samples.iter().map(Sample::rate).collect::<Option<Vec<_>>>()?;
    rates.sort_by(f64::total_cmp);
    let middle = rates.len() / 2;
    let median = match rates.len() {
        0 => return None,
        odd if odd % 2 == 1 => rates[middle],
        _ => f64::midpoint(rates[middle - 1], rates[middle]),
    };
    // A stretch without a rate spoils the figure: left out, it would make the worst look better.
    let stretches = samples.windows(SUSTAINED_WINDOWS.min(samples.len()));
    let worst = stretches.map(mean_rate).collect::<Option<Vec<_>>>()?.into_iter().min_by(f64::total_cmp)?;
    Some((Quantity::new(median).ok()?, Quantity::new(worst).ok()?))
}

fn mean_rate(windows: &[Sample]) -> Option<f64> {
    let work: f64 = windows.iter().map(|s| s.work.get()).sum();
    let seconds: f64 = windows.iter().map(|s| s.device_s.unwrap_or(s.host_s).get()).sum();
    let rate = work / seconds;
    rate.is_finite().then_some(rate)
}

/// How the rates of windows scatter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Spread {
    /// Lowest rate of a window.
    pub min: f64,
    /// Highest rate of a window.
    pub max: f64,
    /// Distance of the quartiles as a share of the median: half of all windows lie within it.
    pub quartiles: f64,
}

/// How the rates of windows scatter; `None` if there is none, or if one of them has no rate.
pub fn spread(samples: &[Sample]) -> Option<Spread> {
    let mut rates = samples.iter().map(Sample::rate).collect::<Option<Vec<_>>>()?;
    rates.sort_by(f64::total_cmp);
    let (min, max) = (*rates.first()?, *rates.last()?);
    let middle = at(&rates, 0.5);
    (middle > 0.0).then(|| Spread { min, max, quartiles: (at(&rates, 0.75) - at(&rates, 0.25)) / middle })
}

/// The value at this share of sorted ones, between neighbours by distance (type 7 of Hyndman and Fan, 1996).
fn at(sorted: &[f64], share: f64) -> f64 {
    #[expect(clippy::cast_precision_loss, reason = "a number of windows")]
    let place = (sorted.len() - 1) as f64 * share;
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "0 to the number of windows")]
    let below = place.floor() as usize;
    let above = (below + 1).min(sorted.len() - 1);
    sorted[below] + (sorted[above] - sorted[below]) * (place - place.floor())
}

/// How far host and device clock are apart, as a share of the host's time: the median over all windows that have both.
pub(super) fn clock_disagreement(samples: &[Sample]) -> Option<f64> {
    let mut apart: Vec<f64> = samples
        .iter()
        .filter_map(|s| s.device_s.map(|device| (s.host_s.get() - device.get()).abs() / s.host_s.get()))
        .collect();
    apart.sort_by(f64::total_cmp);
    apart.get(apart.len() / 2).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(work: f64, seconds: f64) -> Sample {
        Sample { work: Quantity::new(work).unwrap(), device_s: None, host_s: Quantity::new(seconds).unwrap() }
    }

    #[test]
    fn one_lost_window_does_not_condemn_and_three_do() {
        let mut samples = vec![sample(100.0, 1.0); 9];
        samples[4] = sample(100.0, 2.0);
        let (median, worst) = summarize(&samples).unwrap();
        assert_eq!((median.get(), worst.get()), (100.0, 75.0));
        samples[5] = sample(100.0, 10.0);
        samples[6] = sample(100.0, 10.0);
        assert!(summarize(&samples).unwrap().1.get() < 15.0);
    }

    #[test]
    fn the_spread_is_that_of_the_middle_half_and_the_ends_are_kept() {
        let samples: Vec<_> = [90.0, 100.0, 100.0, 104.0, 150.0].map(|work| sample(work, 1.0)).to_vec();
        assert_eq!(spread(&samples), Some(Spread { min: 90.0, max: 150.0, quartiles: 0.04 }));
        assert_eq!(spread(&[]), None);
        assert_eq!(spread(&[sample(1.0, 1.0), sample(1.0, 0.0)]), None);
        assert_eq!(spread(&[sample(3.0, 1.0)]), Some(Spread { min: 3.0, max: 3.0, quartiles: 0.0 }));
    }

    #[test]
    fn no_window_or_no_time_gives_no_rate() {
        assert_eq!(summarize(&[]), None);
        assert_eq!(summarize(&[sample(1.0, 0.0)]), None);
    }

    #[test]
    fn a_stretch_whose_sum_overflows_gives_no_rate_rather_than_a_better_one() {
        let mut samples = vec![sample(100.0, 1.0); 9];
        samples[0] = sample(f64::MAX, 1e300);
        samples[1] = sample(f64::MAX, 1e300);
        assert_eq!(summarize(&samples), None);
    }
}
