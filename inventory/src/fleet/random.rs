//! Random figures from a seed, the same everywhere: for simulated fleets, never for secrets.

/// A stream of figures (SplitMix64: Steele, Lea and Flood, "Fast splittable pseudorandom number generators", 2014).
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// The stream of that seed.
    pub fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub fn bits(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.0 ^ (self.0 >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    /// Evenly from 0 up to 1, neither of them.
    pub fn uniform(&mut self) -> f64 {
        ((self.bits() >> 11) as f64 + 0.5) / (1u64 << 53) as f64
    }

    /// Evenly between these.
    pub fn between(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * self.uniform()
    }

    /// One of `0..count`.
    pub fn below(&mut self, count: usize) -> usize {
        (self.bits() % count.max(1) as u64) as usize
    }

    /// Normal with mean 0 and variance 1 (Box and Muller, 1958).
    pub fn normal(&mut self) -> f64 {
        let radius = (-2.0 * self.uniform().ln()).sqrt();
        radius * (2.0 * std::f64::consts::PI * self.uniform()).cos()
    }

    /// Student's t with so many degrees of freedom (three or more), scaled to variance 1.
    pub fn student(&mut self, freedom: u32) -> f64 {
        let square: f64 = (0..freedom).map(|_| self.normal().powi(2)).sum();
        let freedom = f64::from(freedom);
        self.normal() / (square / freedom).sqrt() * ((freedom - 2.0) / freedom).sqrt()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_seed_gives_the_same_figures_and_they_have_the_moments_they_should() {
        let mut random = Random::new(7);
        assert_eq!(random.bits(), Random::new(7).bits());
        for draw in [Random::normal, |random: &mut Random| random.student(8)] {
            let figures: Vec<f64> = (0..40_000).map(|_| draw(&mut random)).collect();
            let mean = figures.iter().sum::<f64>() / 40_000.0;
            let variance = figures.iter().map(|figure| figure * figure).sum::<f64>() / 40_000.0;
            assert!(mean.abs() < 0.02 && (variance - 1.0).abs() < 0.06, "{mean} {variance}");
        }
        let share = (0..10_000).filter(|_| random.uniform() < 0.25).count();
        assert!((2_300..2_700).contains(&share), "{share}");
    }
}
