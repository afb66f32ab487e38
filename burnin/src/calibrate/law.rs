//! What silence proves, and what an alarm is worth.

use super::document::{BaseRate, Calibration, Duration};
use crate::calibrate::class::Class;

/// Error rates, an operation, for which a time is given.
const ERROR_RATES: [f64; 7] = [1e-9, 1e-10, 1e-11, 1e-12, 1e-13, 1e-14, 1e-15];

/// Seconds until an error of rate `r` is seen with a probability of 95 %, at `operations_per_s` of which `seen_share` would
/// carry an error to a comparison: P = 1 - exp(-r R t s), so t = ln 20 / (r R s).
pub fn seconds_to_see(error_rate: f64, operations_per_s: f64, seen_share: f64) -> f64 {
    20f64.ln() / (error_rate * operations_per_s * seen_share)
}

/// Probability that an alarm is right (Bayes).
pub fn alarm_is_right(prevalence: f64, sensitivity: f64, false_alarm_rate: f64) -> f64 {
    let right = prevalence * sensitivity;
    right / (right + (1.0 - prevalence) * false_alarm_rate)
}

/// The times of every checker whose rate is known. The share that is seen is what the matrix measured for faults within the
/// kernel.
pub fn durations(calibration: &Calibration) -> Vec<Duration> {
    let within = |checker: &str| {
        let cell =
            calibration.cells.iter().find(|cell| cell.class == Class::InKernel && cell.checker == checker);
        cell.filter(|cell| cell.injected > 0)
            .map_or(1.0, |cell| f64::from(cell.found) / f64::from(cell.injected))
    };
    let mut all = Vec::new();
    for speed in &calibration.checkers {
        let (Some(rate), seen_share) = (speed.operations_per_s, within(&speed.checker)) else { continue };
        for error_rate in ERROR_RATES.into_iter().filter(|_| rate > 0.0 && seen_share > 0.0) {
            let seconds = seconds_to_see(error_rate, rate, seen_share);
            let checker = speed.checker.clone();
            all.push(Duration { checker, error_rate, seen_share, seconds });
        }
    }
    all
}

/// One bad device in a thousand, nine of ten bad ones found, for three rates of false alarms.
pub fn base_rates() -> Vec<BaseRate> {
    let (prevalence, sensitivity) = (1e-3, 0.9);
    [1e-3, 1e-4, 1e-5]
        .map(|false_alarm_rate| {
            let right = alarm_is_right(prevalence, sensitivity, false_alarm_rate);
            BaseRate { prevalence, sensitivity, false_alarm_rate, right }
        })
        .to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_alarm_is_worth_what_the_research_says() {
        let right: Vec<String> =
            base_rates().iter().map(|rate| format!("{:.0}", rate.right * 100.0)).collect();
        assert_eq!(right, ["47", "90", "99"]);
    }

    #[test]
    fn after_the_time_the_probability_is_95_percent() {
        let (rate, operations, share) = (1e-12, 5e9, 0.93);
        let t = seconds_to_see(rate, operations, share);
        let seen = 1.0 - (-rate * operations * t * share).exp();
        assert!((seen - 0.95).abs() < 1e-9, "{seen}");
    }
}
