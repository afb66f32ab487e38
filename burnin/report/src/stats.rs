//! Robust statistics of a few values: middle, scatter, and the quantile of the normal distribution.

/// The middle of these values, between the two middle ones of an even number; `None` if there are none.
pub fn median(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let (low, high) = (sorted.get(sorted.len().checked_sub(1)? / 2)?, sorted.get(sorted.len() / 2)?);
    Some(f64::midpoint(*low, *high))
}

/// Scatter as a standard deviation, from the median distance to the median: 1.4826 MAD (Rousseeuw and Croux, 1993, for a
/// normal distribution). One value in two may be far off without moving it.
pub fn deviation(values: &[f64]) -> Option<f64> {
    let middle = median(values)?;
    let apart: Vec<f64> = values.iter().map(|value| (value - middle).abs()).collect();
    median(&apart).map(|apart| 1.4826 * apart)
}

/// The value that a standard normal variable stays below with this probability: algorithm AS 241, PPND7 (Wichura, 1988),
/// right to seven digits. Probabilities of 0 and 1 give infinities.
pub fn normal_quantile(probability: f64) -> f64 {
    let q = probability - 0.5;
    let by = |r: f64, a: [f64; 4], b: [f64; 3]| {
        (((a[3] * r + a[2]) * r + a[1]) * r + a[0]) / (((b[2] * r + b[1]) * r + b[0]) * r + 1.0)
    };
    if q.abs() <= 0.425 {
        let a = [3.387_132_717_9, 50.434_271_938, 159.291_132_02, 59.109_374_720];
        return q * by(0.180_625 - q * q, a, [17.895_169_469, 78.757_757_664, 67.187_563_600]);
    }
    let tail = if q < 0.0 { probability } else { 1.0 - probability };
    if tail <= 0.0 {
        return q.signum() * f64::INFINITY;
    }
    let r = (-tail.ln()).sqrt();
    let value = if r <= 5.0 {
        let a = [1.423_437_277_7, 2.756_819_390_0, 1.306_728_481_6, 0.170_238_213_03];
        by(r - 1.6, a, [0.737_001_642_50, 0.120_211_329_75, 0.0])
    } else {
        let a = [6.657_905_115_0, 3.081_226_386_0, 0.428_682_943_37, 0.017_337_203_997];
        by(r - 5.0, a, [0.241_978_942_25, 0.012_258_202_635, 0.0])
    };
    q.signum() * value
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn half_of_the_values_may_be_far_off() {
        assert_eq!(median(&[3.0, 1.0, 2.0]), Some(2.0));
        assert_eq!(median(&[4.0, 1.0, 2.0, 3.0]), Some(2.5));
        assert_eq!((median(&[]), deviation(&[])), (None, None));
        assert_eq!(deviation(&[10.0, 11.0, 9.0, 10.0, 1e9]), Some(1.4826));
    }

    #[test]
    fn quantiles_are_those_of_the_tables() {
        for (probability, value) in
            [(0.5, 0.0), (0.95, 1.644_853_6), (0.975, 1.959_964_0), (0.999, 3.090_232_3), (1e-12, -7.034_484)]
        {
            assert!((normal_quantile(probability) - value).abs() < 2e-6, "{probability}");
        }
        assert_eq!(normal_quantile(1.0), f64::INFINITY);
    }
}
