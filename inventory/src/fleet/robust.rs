//! Centre and spread of figures, of which a minority may be anything: the median, and the distances of pairs.
//!
//! The spread of up to [`PAIRS_MAX`] figures is Qn (Rousseeuw and Croux, "Alternatives to the Median Absolute Deviation",
//! 1993): about the lower quartile of the distances of all pairs. Like the MAD it stands until half of the figures are wrong, and uses
//! 82 % of what they tell about a normal distribution where the MAD uses 37 %, which decides what 64 nodes can show. Of more
//! figures the MAD is good enough, and fast.

use super::student;

/// Figures that are so many spreads away are outliers: one normal figure in two thousand is.
const FAR: f64 = 3.5;

/// The most figures of which all pairs are taken.
const PAIRS_MAX: usize = 256;

/// Figures in short: how many, where, how far apart.
#[derive(Clone, Copy, Debug, PartialEq, serde::Serialize, serde::Deserialize)]
pub struct Summary {
    /// How many.
    pub count: usize,
    /// How many of them are no outliers; centre and spread are those of these.
    pub kept: usize,
    /// Their median.
    pub centre: f64,
    /// Their spread, as the standard deviation of a normal distribution with the same core.
    pub spread: f64,
}

impl Summary {
    /// Of these figures; `None` of fewer than three or if one is not a number.
    ///
    /// In two steps, so that outliers do not even widen the spread: what is more than [`FAR`] spreads away is left out of
    /// the second, as long as that is a minority of at most a quarter.
    pub fn of(figures: &[f64]) -> Option<Self> {
        if figures.len() < 3 || figures.iter().any(|figure| !figure.is_finite()) {
            return None;
        }
        let mut sorted = figures.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (centre, far) = (median(&sorted), FAR * spread(&sorted));
        let near: Vec<f64> = sorted.iter().copied().filter(|figure| (figure - centre).abs() <= far).collect();
        let kept = if near.len() * 4 < sorted.len() * 3 { &sorted } else { &near };
        Some(Self { count: sorted.len(), kept: kept.len(), centre: median(kept), spread: spread(kept) })
    }

    /// How likely a healthy peer is at least so far below the centre, if the spread is at least `floor`.
    ///
    /// The distance has Student's distribution: exact for a mean and a standard deviation, and near enough for ours with
    /// the degrees of freedom of [`Self::freedom`] (simulated for 7 to 255 figures: never too many alarms).
    pub fn chance_below(&self, figure: f64, floor: f64, tails: Tails) -> f64 {
        student::tail((self.centre - figure) / self.unit(floor), self.freedom(tails))
    }

    /// The figure below which a healthy peer is found with this probability.
    pub fn bar(&self, probability: f64, floor: f64, tails: Tails) -> f64 {
        self.centre - student::distance(probability, self.freedom(tails)) * self.unit(floor)
    }

    /// The spread of one more figure around the median of these, which is itself uncertain by pi / 2n.
    fn unit(&self, floor: f64) -> f64 {
        self.spread.max(floor) * (1.0 + std::f64::consts::FRAC_PI_2 / self.kept as f64).sqrt()
    }

    /// What the spread tells, as degrees of freedom: of Qn 0.75 n - 2.2 (fitted from below to simulations of 7 to 255
    /// figures, whose Qn varies more than its limit law says), of the MAD its efficiency of 37 %.
    fn freedom(&self, tails: Tails) -> f64 {
        let count = self.kept as f64;
        let known = if self.kept <= PAIRS_MAX { 0.75 * count - 2.2 } else { 0.37 * count };
        match tails {
            Tails::Normal => known.max(1.0),
            Tails::Heavy => known.clamp(1.0, HEAVY),
        }
    }
}

/// Degrees of freedom of tails that nobody has measured: farther out than a few in a thousand, devices are not normal.
const HEAVY: f64 = 8.0;

/// What is held of the figures far from the centre.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tails {
    /// Those of a normal distribution.
    Normal,
    /// Much heavier ones: for questions that are asked so often that only the far tail answers.
    Heavy,
}

/// The middle of sorted figures; not a number if there are none.
pub fn median(sorted: &[f64]) -> f64 {
    match sorted.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => sorted[odd / 2],
        even => f64::midpoint(sorted[even / 2 - 1], sorted[even / 2]),
    }
}

/// The median of figures in any order.
pub fn median_of(mut figures: Vec<f64>) -> f64 {
    figures.sort_by(f64::total_cmp);
    median(&figures)
}

fn spread(sorted: &[f64]) -> f64 {
    if sorted.len() > PAIRS_MAX {
        let centre = median(sorted);
        // 1 / 0.6745: the quartile of the normal distribution.
        return 1.4826 * median_of(sorted.iter().map(|figure| (figure - centre).abs()).collect());
    }
    let n = sorted.len();
    let mut distances: Vec<f64> =
        (0..n).flat_map(|high| (0..high).map(move |low| sorted[high] - sorted[low])).collect();
    let half = n / 2 + 1;
    let place = half * (half - 1) / 2 - 1;
    let (_, quartile, _) = distances.select_nth_unstable_by(place, f64::total_cmp);
    2.2219 * small_sample(n) * *quartile
}

/// Makes Qn right on average for few normal figures (Croux and Rousseeuw, "Time-efficient algorithms for two highly robust
/// estimators of scale", 1992).
fn small_sample(n: usize) -> f64 {
    const FEW: [f64; 10] = [1.0, 1.0, 0.399, 0.994, 0.512, 0.844, 0.611, 0.857, 0.669, 0.872];
    let count = n as f64;
    match FEW.get(n) {
        Some(factor) => *factor,
        None if n % 2 == 1 => count / (count + 1.4),
        None => count / (count + 3.8),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::random::Random;
    use super::*;

    fn normal(random: &mut Random, count: usize) -> Vec<f64> {
        (0..count).map(|_| random.normal()).collect()
    }

    #[test]
    fn the_spread_of_normal_figures_is_their_standard_deviation_however_few_they_are() {
        let mut random = Random::new(1);
        for count in [5, 8, 16, 64, 300] {
            let spreads = (0..400).map(|_| Summary::of(&normal(&mut random, count)).unwrap().spread);
            let mean = spreads.sum::<f64>() / 400.0;
            assert!((mean - 1.0).abs() < 0.07, "{count}: {mean}");
        }
    }

    #[test]
    fn alarms_among_normal_figures_are_no_more_than_the_stated_share() {
        let mut random = Random::new(2);
        for (count, share) in [(7, 0.01), (16, 0.01), (63, 0.01), (63, 0.0025), (300, 0.01)] {
            let rounds = if count > 100 { 1_000 } else { 6_000 };
            let alarms = (0..rounds).filter(|_| {
                let peers = Summary::of(&normal(&mut random, count)).unwrap();
                peers.chance_below(random.normal(), 0.0, Tails::Normal) < share
            });
            let found = alarms.count() as f64 / f64::from(rounds);
            // Three standard deviations of the count itself.
            let noise = 3.0 * (share / f64::from(rounds)).sqrt();
            assert!(found < share + noise, "{count}: {found} for {share}");
            assert!(found > 0.4 * share - noise, "{count}: {found} for {share}");
        }
    }

    #[test]
    fn three_of_eight_wrong_ones_do_not_hide_themselves() {
        let figures = [100.0, 100.4, 99.7, 100.2, 99.9, 60.0, 61.0, 62.0];
        let peers = Summary::of(&figures).unwrap();
        assert!((peers.centre - 100.0).abs() < 0.5, "{peers:?}");
        assert!(peers.chance_below(60.0, 0.1, Tails::Normal) < 0.01, "{peers:?}");
        assert!(peers.chance_below(99.7, 0.1, Tails::Normal) > 0.05, "{peers:?}");
    }

    #[test]
    fn there_is_no_summary_of_too_few_or_of_what_is_no_number() {
        assert_eq!(Summary::of(&[1.0, 2.0]), None);
        assert_eq!(Summary::of(&[1.0, 2.0, f64::NAN]), None);
        assert_eq!(Summary::of(&[1.0, 2.0, f64::INFINITY]), None);
        let same = Summary::of(&[5.0; 8]).unwrap();
        assert_eq!((same.centre, same.spread), (5.0, 0.0));
        // The floor keeps identical figures from condemning their neighbour.
        assert!(same.chance_below(4.99, 0.05, Tails::Normal) > 0.1);
    }

    proptest! {
        #[test]
        fn the_bar_is_where_the_chance_is(
            figures in prop::collection::vec(90.0..110.0_f64, 5..80), probability in 1e-6..0.4_f64
        ) {
            let peers = Summary::of(&figures).unwrap();
            for tails in [Tails::Normal, Tails::Heavy] {
                let chance = peers.chance_below(peers.bar(probability, 0.1, tails), 0.1, tails);
                prop_assert!((chance / probability - 1.0).abs() < 1e-3, "{chance} for {probability}");
            }
        }

        #[test]
        fn order_and_unit_change_nothing(figures in prop::collection::vec(1.0..2.0_f64, 3..60), scale in 0.1..1e12_f64) {
            let one = Summary::of(&figures).unwrap();
            let other = Summary::of(&figures.iter().rev().map(|figure| figure * scale).collect::<Vec<_>>()).unwrap();
            prop_assert!((other.centre / (one.centre * scale) - 1.0).abs() < 1e-9);
            prop_assert!((other.spread - one.spread * scale).abs() <= 1e-9 * scale);
        }
    }
}
