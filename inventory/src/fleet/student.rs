//! Student's t distribution: how likely a distance is that is measured in spreads which are themselves estimated.

/// The probability of a distance of `t` or more with so many degrees of freedom, one side only.
pub fn tail(t: f64, freedom: f64) -> f64 {
    if t.is_nan() || freedom.is_nan() || freedom <= 0.0 {
        return 1.0;
    }
    let half = 0.5 * incomplete_beta(freedom / (freedom + t * t), 0.5 * freedom, 0.5);
    if t >= 0.0 { half } else { 1.0 - half }
}

/// The distance that is exceeded with this probability, one side only; the reverse of [`tail`].
pub fn distance(probability: f64, freedom: f64) -> f64 {
    let (mut low, mut high) = (-1e9, 1e9);
    // Each step halves the interval: 100 of them reach the last bit.
    for _ in 0..100 {
        let middle = 0.5 * (low + high);
        if tail(middle, freedom) > probability { low = middle } else { high = middle }
    }
    0.5 * (low + high)
}

/// The regularized incomplete beta function by its continued fraction (Abramowitz and Stegun, 26.5.8), evaluated from the
/// left by Lentz's method.
fn incomplete_beta(x: f64, a: f64, b: f64) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if x >= 1.0 {
        return 1.0;
    }
    let front = (ln_gamma(a + b) - ln_gamma(a) - ln_gamma(b) + a * x.ln() + b * (-x).ln_1p()).exp();
    // The fraction converges fast below the mean of the distribution; beyond it the other tail does.
    if x < (a + 1.0) / (a + b + 2.0) {
        front * fraction(x, a, b) / a
    } else {
        1.0 - front * fraction(1.0 - x, b, a) / b
    }
}

fn fraction(x: f64, a: f64, b: f64) -> f64 {
    const TINY: f64 = 1e-300;
    let away = |value: f64| if value.abs() < TINY { TINY } else { value };
    let (mut c, mut d) = (1.0, 1.0 / away(1.0 - (a + b) * x / (a + 1.0)));
    let mut whole = d;
    for step in 1..500 {
        let m = f64::from(step);
        let even = m * (b - m) * x / ((a + 2.0 * m - 1.0) * (a + 2.0 * m));
        d = 1.0 / away(1.0 + even * d);
        c = away(1.0 + even / c);
        whole *= d * c;
        let odd = -(a + m) * (a + b + m) * x / ((a + 2.0 * m) * (a + 2.0 * m + 1.0));
        d = 1.0 / away(1.0 + odd * d);
        c = away(1.0 + odd / c);
        whole *= d * c;
        if (d * c - 1.0).abs() < 1e-15 {
            break;
        }
    }
    whole
}

/// Logarithm of the gamma function for positive arguments (Lanczos' approximation with g = 7 and nine terms).
fn ln_gamma(x: f64) -> f64 {
    const TERMS: [f64; 8] = [
        676.520_368_121_885_1,
        -1_259.139_216_722_402_8,
        771.323_428_777_653_1,
        -176.615_029_162_140_6,
        12.507_343_278_686_905,
        -0.138_571_095_265_720_12,
        9.984_369_578_019_572e-6,
        1.505_632_735_149_311_6e-7,
    ];
    if x < 0.5 {
        let pi = std::f64::consts::PI;
        return (pi / (pi * x).sin()).ln() - ln_gamma(1.0 - x);
    }
    let x = x - 1.0;
    let mut sum = 0.999_999_999_999_809_9;
    for (place, term) in (1..).zip(TERMS) {
        sum += term / (x + f64::from(place));
    }
    let t = x + 7.5;
    0.5 * (2.0 * std::f64::consts::PI).ln() + (x + 0.5) * t.ln() - t + sum.ln()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_tail_is_that_of_published_tables() {
        // Upper 1 %, 0.1 % and 2.5 % points of the usual tables.
        for (freedom, probability, t) in [
            (1.0, 0.01, 31.820_516),
            (5.0, 0.001, 5.893_430),
            (10.0, 0.025, 2.228_139),
            (60.0, 0.01, 2.390_119),
        ] {
            assert!((tail(t, freedom) / probability - 1.0).abs() < 1e-5, "{freedom}: {}", tail(t, freedom));
            assert!((distance(probability, freedom) / t - 1.0).abs() < 1e-5);
        }
        // Without end, it is the normal distribution: 2.326 for 1 %.
        assert!((distance(0.01, 1e7) - 2.326_348).abs() < 1e-5);
    }

    #[test]
    fn what_is_no_number_is_never_unlikely() {
        assert_eq!([tail(f64::NAN, 5.0), tail(3.0, 0.0), tail(3.0, -1.0), tail(3.0, f64::NAN)], [1.0; 4]);
        assert_eq!(tail(0.0, 5.0), 0.5);
    }

    proptest! {
        #[test]
        fn farther_is_never_likelier(t in -50.0..50.0_f64, more in 0.0..10.0_f64, freedom in 0.5..500.0_f64) {
            let (near, far) = (tail(t, freedom), tail(t + more, freedom));
            prop_assert!(far <= near + 1e-12 && (0.0..=1.0).contains(&near));
            prop_assert!((tail(t, freedom) + tail(-t, freedom) - 1.0).abs() < 1e-9);
        }
    }
}
