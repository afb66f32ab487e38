//! This bench beside an earlier one, row by row.
//!
//! Method: the interval that holds the median with 99 % confidence, from the order of the windows alone (binomial, no
//! assumption about their distribution); with fewer than 8 of them, from the lowest to the highest. Two figures differ if
//! their intervals do not overlap. Windows of one run are not independent, so that a difference of a percent or two between
//! runs can still be the weather: repeat before you believe it.

use super::{Bench, Figure, Row};
use crate::Sample;

/// This bench beside an earlier one.
#[derive(Clone, Debug, PartialEq)]
pub struct Comparison {
    /// What is not the same: devices, drivers, kernels, version. Empty if nothing.
    pub differences: Vec<String>,
    /// One for each row of this bench, in order; absent where there is nothing to compare with.
    pub changes: Vec<Option<Change>>,
}

/// How a figure changed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Change {
    /// The figure now as a multiple of the one before.
    pub ratio: f64,
    /// Is it more than noise?
    pub tendency: Tendency,
}

/// Where a figure went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tendency {
    /// A higher rate or a shorter time.
    Better,
    /// A lower rate or a longer time.
    Worse,
    /// The intervals overlap.
    Noise,
}

/// Compares with an earlier bench. Devices are matched by id, and by place where no id fits.
pub fn compare(before: &Bench, now: &Bench) -> Comparison {
    let mut differences = Vec::new();
    let mut differs = |what: &str, before: &str, now: &str| {
        if before != now {
            differences.push(format!("{what}: was {before}, is {now}"));
        }
    };
    differs("version", &before.tool.version, &now.tool.version);
    let short = |digest: &str| digest.chars().take(12).collect::<String>();
    differs("kernels", &short(&before.tool.kernels_digest), &short(&now.tool.kernels_digest));
    let partner = |place: usize| {
        let id = &now.devices[place].id;
        before.devices.iter().find(|device| device.id == *id).or_else(|| before.devices.get(place))
    };
    for (place, device) in now.devices.iter().enumerate() {
        let Some(then) = partner(place) else {
            differs(&format!("device {}", device.id), "absent", "there");
            continue;
        };
        differs(&format!("device {}", device.id), &then.name, &device.name);
        differs(&format!("driver of {}", device.id), &then.driver, &device.driver);
        differs(&format!("id of {}", device.name), &then.id.0, &device.id.0);
        differs(&format!("backend of {}", device.id), &then.backend.to_string(), &device.backend.to_string());
    }
    let changes = now.rows.iter().map(|row| {
        let place = now.devices.iter().position(|device| device.id == row.device)?;
        let then = partner(place)?;
        let same = |r: &&Row| r.device == then.id && r.check == row.check && r.metric() == row.metric();
        change(before.rows.iter().find(same)?, row)
    });
    Comparison { changes: changes.collect(), differences }
}

/// `None` where one of the two is not to be believed or they are figures of different kinds.
fn change(before: &Row, now: &Row) -> Option<Change> {
    if !before.is_believed() || !now.is_believed() {
        return None;
    }
    let (before, now, more_is_better) = match (before.figure.as_ref()?, now.figure.as_ref()?) {
        (Figure::Rate(b), Figure::Rate(n)) if b.measurement.unit == n.measurement.unit => {
            (rates(&b.measurement.samples)?, rates(&n.measurement.samples)?, true)
        }
        (Figure::Latency(b), Figure::Latency(n)) => (times(&b.samples_ns), times(&n.samples_ns), false),
        _ => return None,
    };
    let ((was, was_low, was_high), (is, is_low, is_high)) = (interval(before)?, interval(now)?);
    let tendency = match (is_low > was_high, is_high < was_low) {
        (true, _) if more_is_better => Tendency::Better,
        (_, true) if !more_is_better => Tendency::Better,
        (false, false) => Tendency::Noise,
        _ => Tendency::Worse,
    };
    let ratio = is / was;
    ratio.is_finite().then_some(Change { ratio, tendency })
}

fn rates(samples: &[Sample]) -> Option<Vec<f64>> {
    samples.iter().map(Sample::rate).collect()
}

fn times(samples: &[u64]) -> Vec<f64> {
    #[expect(clippy::cast_precision_loss, reason = "nanoseconds of a submission")]
    samples.iter().map(|ns| *ns as f64).collect()
}

/// Median, and the ends of the interval that holds it with 99 % confidence.
fn interval(mut values: Vec<f64>) -> Option<(f64, f64, f64)> {
    values.sort_by(f64::total_cmp);
    let count = values.len();
    let (low, high) = (*values.first()?, *values.last()?);
    let median = f64::midpoint(values[(count - 1) / 2], values[count / 2]);
    let skip = skipped(count);
    match skip {
        0 => Some((median, low, high)),
        skip => Some((median, values[skip - 1], values[count - skip])),
    }
}

/// The most values that can be left out at each end, the last of them being the end of the interval: the largest k for
/// which fewer than k of `count` fair coins show heads with a probability of at most 0.5 %.
fn skipped(count: usize) -> usize {
    #[expect(clippy::cast_precision_loss, reason = "a number of windows")]
    let n = count as f64;
    let (mut below, mut skip) = (0.0, 0);
    // Logarithms: 0.5^2000 is no number.
    let mut log_term = n * 0.5f64.ln();
    let mut k = 0.0;
    while k < n {
        below += log_term.exp();
        if below > 0.005 {
            break;
        }
        skip += 1;
        log_term += ((n - k) / (k + 1.0)).ln();
        k += 1.0;
    }
    skip
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_interval_is_that_of_the_tables() {
        // Order statistics for a 99 % interval of the median (Conover, Practical Nonparametric Statistics, table A3).
        assert_eq!([7, 8, 10, 20, 30, 50].map(skipped), [0, 1, 1, 4, 8, 16]);
        assert_eq!(interval((0..10).map(f64::from).collect()), Some((4.5, 0.0, 9.0)));
        assert_eq!(interval((0..20).map(f64::from).collect()), Some((9.5, 3.0, 16.0)));
        assert_eq!(interval(vec![]), None);
        assert!((800..1000).contains(&skipped(2000)));
    }
}
