//! From figures to places, with ticks at round numbers.

/// A figure this large is drawn at the edge: no device has it, and differences of such figures overflow.
const BEYOND: f64 = 1e30;

/// From figures to places.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Scale {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
    log: bool,
}

impl Scale {
    /// Linear, wide enough for these figures and ended at round ones; one figure alone has room on both sides.
    pub(crate) fn linear(figures: impl IntoIterator<Item = f64>, (from, to): (f64, f64)) -> Self {
        let (mut low, mut high) = ends(figures).unwrap_or((0.0, 1.0));
        if high - low <= 1e-9 * high.abs() {
            let room = if high == 0.0 { 1.0 } else { 0.05 * high.abs() };
            (low, high) = (low - room, high + room);
        }
        let step = step(high - low, 4);
        Self { low: (low / step).floor() * step, high: (high / step).ceil() * step, from, to, log: false }
    }

    /// Logarithmic, wide enough for these figures and ended at powers of ten; figures of zero and less have no place.
    pub(crate) fn log(figures: impl IntoIterator<Item = f64>, (from, to): (f64, f64)) -> Self {
        let logs = figures.into_iter().filter(|figure| *figure > 0.0).map(f64::log10);
        let (low, high) = ends(logs).unwrap_or((0.0, 1.0));
        Self { low: low.floor(), high: high.ceil().max(low.floor() + 1.0), from, to, log: true }
    }

    /// Exactly from one figure to another.
    pub(crate) fn exact((low, high): (f64, f64), (from, to): (f64, f64)) -> Self {
        let high = if high.is_finite() && high > low { high.min(BEYOND) } else { low + 1.0 };
        Self { low, high, from, to, log: false }
    }

    /// The place of a figure, never outside.
    pub(crate) fn at(&self, figure: f64) -> f64 {
        let figure = if self.log { figure.max(f64::MIN_POSITIVE).log10() } else { figure };
        let share = (figure.clamp(-BEYOND, BEYOND) - self.low) / (self.high - self.low);
        self.from + (self.to - self.from) * share.clamp(0.0, 1.0)
    }

    /// The figures at its ends.
    pub(crate) fn ends(&self) -> (f64, f64) {
        if self.log { (10f64.powf(self.low), 10f64.powf(self.high)) } else { (self.low, self.high) }
    }

    /// Round figures, about so many, as they are written: with as many decimals as tell neighbours apart.
    pub(crate) fn ticks(&self, count: u32) -> Vec<(f64, String)> {
        let step =
            if self.log { ((self.high - self.low) / 6.0).ceil() } else { step(self.high - self.low, count) };
        let first = (self.low / step - 1e-9).ceil() * step;
        let ticks = (0..20u32).map(|n| first + step * f64::from(n));
        let ticks = ticks.take_while(|tick| *tick <= self.high + 1e-9 * step);
        if self.log {
            return ticks.map(|tick| 10f64.powf(tick)).map(|tick| (tick, power(tick))).collect();
        }
        let decimals = (0..6).find(|digits| is_whole(step * 10f64.powi(*digits))).unwrap_or(6);
        ticks.map(|tick| (tick, plain(if tick.abs() < 1e-9 * step { 0.0 } else { tick }, decimals))).collect()
    }
}

fn power(tick: f64) -> String {
    if !(1e-3..1e21).contains(&tick) {
        return format!("{tick:.0e}");
    }
    let prefix = Prefix::of(tick);
    format!("{}{}", short(tick / prefix.size, 3), prefix.name)
}

fn plain(tick: f64, decimals: i32) -> String {
    if tick.abs() >= 1e6 { format!("{tick:.1e}") } else { short(tick, decimals) }
}

fn short(value: f64, decimals: i32) -> String {
    let decimals = usize::try_from(decimals).unwrap_or_default();
    let text = format!("{value:.decimals$}");
    if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.').to_owned() } else { text }
}

fn is_whole(value: f64) -> bool {
    (value - value.round()).abs() < 1e-6
}

fn ends(figures: impl IntoIterator<Item = f64>) -> Option<(f64, f64)> {
    let real =
        figures.into_iter().filter(|figure| !figure.is_nan()).map(|figure| figure.clamp(-BEYOND, BEYOND));
    real.fold(None, |ends, figure| {
        let (low, high) = ends.unwrap_or((figure, figure));
        Some((f64::min(low, figure), f64::max(high, figure)))
    })
}

/// The distance of ticks, 1, 2 or 5 times a power of ten, that gives about so many (Heckbert, Graphics Gems, 1990).
fn step(width: f64, count: u32) -> f64 {
    let rough = (width / f64::from(count.max(1))).max(1e-30);
    let power = 10f64.powf(rough.log10().floor());
    let share = rough / power;
    power
        * if share < 1.5 {
            1.0
        } else if share < 3.5 {
            2.0
        } else if share < 7.5 {
            5.0
        } else {
            10.0
        }
}

/// A decimal prefix.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Prefix {
    /// What it stands for.
    pub(crate) size: f64,
    /// Its letter.
    pub(crate) name: &'static str,
}

impl Prefix {
    /// The one that makes this figure readable.
    pub(crate) fn of(figure: f64) -> Self {
        const ALL: [(f64, &str); 6] =
            [(1e18, "E"), (1e15, "P"), (1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")];
        let fits = ALL.into_iter().find(|(size, _)| figure >= 0.999_999 * size);
        let (size, name) = fits.unwrap_or((1.0, ""));
        Self { size, name }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn ticks_are_round_and_scales_end_at_them() {
        let scale = Scale::linear([0.3, 97.0], (0.0, 100.0));
        let labels =
            |scale: &Scale, count| scale.ticks(count).into_iter().map(|(_, label)| label).collect::<Vec<_>>();
        assert_eq!(labels(&scale, 4), ["0", "20", "40", "60", "80", "100"]);
        assert_eq!((scale.at(50.0), scale.at(1e9)), (50.0, 100.0));
        let fine = Scale::linear([1.0, 1.1], (0.0, 1.0));
        assert_eq!(labels(&fine, 4)[1], "1.02");
        assert_eq!(labels(&Scale::exact((0.0, 4.2), (0.0, 1.0)), 8)[..3], ["0", "0.5", "1"]);
    }

    #[test]
    fn powers_of_ten_have_prefixes() {
        let scale = Scale::log([3e9, 4e12], (0.0, 100.0));
        let labels: Vec<_> = scale.ticks(4).into_iter().map(|(_, label)| label).collect();
        assert_eq!(labels, ["1G", "10G", "100G", "1T", "10T"]);
        assert!((scale.at(1e11) - 50.0).abs() < 1e-9);
    }

    #[test]
    fn nothing_and_one_figure_have_scales_too() {
        assert_eq!(Scale::linear([], (0.0, 1.0)).ticks(2).len(), 3);
        let alone = Scale::linear([70.0], (0.0, 1.0));
        assert!(alone.at(70.0) > 0.2 && alone.at(70.0) < 0.8);
    }

    proptest! {
        #[test]
        fn no_figure_gives_no_place(figures in prop::collection::vec(prop::num::f64::ANY, 0..6)) {
            for scale in [Scale::linear(figures.clone(), (10.0, 90.0)), Scale::log(figures.clone(), (10.0, 90.0))] {
                let ticks = scale.ticks(4);
                prop_assert!(ticks.len() <= 20);
                for figure in figures.iter().chain(ticks.iter().map(|(tick, _)| tick)).filter(|figure| !figure.is_nan()) {
                    prop_assert!((10.0..=90.0).contains(&scale.at(*figure)), "{scale:?} {figure}");
                }
                prop_assert!(ticks.iter().all(|(_, label)| label.len() < 20));
            }
        }
    }
}
