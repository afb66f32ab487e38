//! Two reports beside each other: which figures differ, and whether that is real.
//!
//! Method, for each figure that both reports have and may be believed, from its windows (rates) or samples (latencies):
//! - *How much*: the ratio of the means without the lowest and the highest tenth (a device that holds back for a part of its
//!   time has two levels, between which a median jumps; a window that the host disturbed must not count), with the interval that holds it with 99 % confidence, from a bootstrap of
//!   blocks (Künsch, 1989): windows that follow each other are alike, so blocks of about the cube root of their number
//!   are drawn, not single windows. [`RESAMPLES`] draws from a fixed seed: the same reports give the same bytes.
//! - *How clearly*: the probability that a window of the second is better than one of the first (Vargha and Delaney's A,
//!   2000; 0.5 is no difference), and the test of Mann and Whitney on it, corrected for ties, and for the number of figures
//!   by Holm's method.
//! - A difference is *real* if the interval leaves out 1, the corrected probability of chance is below 1 %, and it is at
//!   least as large as is asked (1 % unless told otherwise).
//!
//! What this cannot know: windows of one run share a boot, a temperature and a moment. That two runs differ is not yet
//! that the hardware changed; for that, repeat both sides.

use serde::Serialize;

use crate::bench::{Bench, Figure, Row};
use crate::{DeviceId, DeviceInfo, NodeFacts, Outcome, Report, Sample};

/// Draws of the bootstrap.
pub const RESAMPLES: usize = 1000;
/// Windows that a side needs.
pub const WINDOWS_MIN: usize = 8;
/// Windows that are used of a side, spread over all.
const WINDOWS_MAX: usize = 400;

/// Two reports beside each other.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Comparison {
    /// What is not the same of the nodes: hardware, firmware, drivers, tool, plan.
    pub differences: Vec<Difference>,
    /// The figures, by device.
    pub figures: Vec<Compared>,
    /// Checks that passed before and do not now, or the other way round.
    pub outcomes: Vec<Changed>,
}

/// Something of the nodes that is not the same.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// What.
    pub what: String,
    /// In the first report; absent where it is not there.
    pub before: Option<String>,
    /// In the second.
    pub after: Option<String>,
}

/// A check that ended in another way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Changed {
    /// The device, by its name in the second report.
    pub device: DeviceId,
    /// The check.
    pub check: String,
    /// In the first report.
    pub before: Outcome,
    /// In the second.
    pub after: Outcome,
}

/// One figure in both reports.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Compared {
    /// The device, by its name in the second report.
    pub device: DeviceId,
    /// The figure.
    pub metric: String,
    /// Its middle in the first report, with its unit.
    pub before: String,
    /// In the second.
    pub after: String,
    /// What it comes to.
    pub change: Change,
    /// The figures behind it; absent where there was nothing to compute.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub statistics: Option<Statistics>,
}

/// What a difference comes to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Change {
    /// Really better.
    Better,
    /// Really worse.
    Worse,
    /// No difference that is real, or none so large as asked.
    Same,
    /// Fewer windows than [`WINDOWS_MIN`], or windows without a rate: nothing can be said.
    TooFew,
    /// One of the two may not be believed.
    NotBelieved,
}

impl Change {
    /// The word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Better => "better",
            Self::Worse => "WORSE",
            Self::Same => "same",
            Self::TooFew => "too few windows",
            Self::NotBelieved => "not to be believed",
        }
    }
}

/// The figures behind a comparison. Ratios are of goodness: more than 1 is a higher rate or a shorter time.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Statistics {
    /// Second over first.
    pub ratio: f64,
    /// Lower end of the 99 % interval.
    pub low: f64,
    /// Upper end of it.
    pub high: f64,
    /// Probability that a window of the second is better than one of the first.
    pub superiority: f64,
    /// Probability of such a difference by chance, corrected for the number of figures.
    pub chance: f64,
    /// Windows of the first.
    pub windows_before: usize,
    /// Windows of the second.
    pub windows_after: usize,
}

impl Comparison {
    /// Is anything worse: a figure, or a check that passed?
    pub fn is_worse(&self) -> bool {
        let passed = |outcome| matches!(outcome, Outcome::Pass | Outcome::Warn);
        self.figures.iter().any(|figure| figure.change == Change::Worse)
            || self.outcomes.iter().any(|changed| passed(changed.before) && !passed(changed.after))
    }

    /// Could anything be compared?
    pub fn says_anything(&self) -> bool {
        self.figures.iter().any(|figure| figure.statistics.is_some())
    }
}

/// Compares; `at_least` is the smallest share of a figure whose change matters.
pub fn compare(before: &Report, after: &Report, at_least: f64) -> Comparison {
    let pairs = pairs(&before.devices, &after.devices);
    let (old, new) = (Bench::of(before), Bench::of(after));
    let mut figures = Vec::new();
    let mut outcomes: Vec<Changed> = Vec::new();
    for (was, is) in &pairs {
        for row in new.rows.iter().filter(|row| row.device == is.id) {
            let same = |r: &&Row| r.device == was.id && r.check == row.check && r.metric() == row.metric();
            let Some(then) = old.rows.iter().find(same) else { continue };
            figures.extend(figure(then, row));
            let seen = outcomes.iter().any(|c| c.device == is.id && c.check == row.check.as_str());
            if then.outcome != row.outcome && !seen {
                let (check, device) = (row.check.to_string(), is.id.clone());
                outcomes.push(Changed { device, check, before: then.outcome, after: row.outcome });
            }
        }
    }
    correct(&mut figures);
    for compared in &mut figures {
        if let (Some(s), Change::Same) = (&compared.statistics, compared.change) {
            compared.change = decide(s, at_least);
        }
    }
    Comparison { differences: differences(before, after, &pairs), figures, outcomes }
}

fn decide(s: &Statistics, at_least: f64) -> Change {
    let certain = s.chance < 0.01 && (s.ratio - 1.0).abs() >= at_least;
    match (s.low > 1.0, s.high < 1.0) {
        (true, _) if certain => Change::Better,
        (_, true) if certain => Change::Worse,
        _ => Change::Same,
    }
}

/// Which device is which: by UUID, by its id, and else by its place among those of one name that are left.
fn pairs<'a>(before: &'a [DeviceInfo], after: &'a [DeviceInfo]) -> Vec<(&'a DeviceInfo, &'a DeviceInfo)> {
    let mut left: Vec<_> = before.iter().collect();
    let mut pairs: Vec<(usize, &DeviceInfo, &DeviceInfo)> = Vec::new();
    let rules: [fn(&DeviceInfo, &DeviceInfo) -> bool; 3] = [
        |a, b| a.uuid.is_some() && a.uuid == b.uuid && a.id == b.id,
        |a, b| a.id == b.id,
        |a, b| a.name == b.name,
    ];
    for rule in rules {
        for (place, device) in after.iter().enumerate() {
            if pairs.iter().any(|(taken, ..)| *taken == place) {
                continue;
            }
            if let Some(found) = left.iter().position(|one| rule(one, device)) {
                pairs.push((place, left.remove(found), device));
            }
        }
    }
    pairs.sort_by_key(|(place, ..)| *place);
    pairs.into_iter().map(|(_, was, is)| (was, is)).collect()
}

fn figure(before: &Row, after: &Row) -> Option<Compared> {
    let (then, now) = (before.figure.as_ref()?, after.figure.as_ref()?);
    let (device, metric) = (after.device.clone(), after.metric().to_owned());
    let mut compared = Compared {
        device,
        metric,
        before: shown(then),
        after: shown(now),
        change: Change::NotBelieved,
        statistics: None,
    };
    if before.is_believed() && after.is_believed() {
        let samples = windows(then).zip(windows(now));
        let enough = |(a, b): &(Vec<f64>, Vec<f64>)| a.len().min(b.len()) >= WINDOWS_MIN;
        compared.statistics = samples.filter(enough).and_then(|(a, b)| statistics(&a, &b));
        compared.change = if compared.statistics.is_some() { Change::Same } else { Change::TooFew };
    }
    Some(compared)
}

fn shown(figure: &Figure) -> String {
    match figure {
        Figure::Rate(rate) => rate.measurement.unit.show_finely(rate.measurement.median.get()),
        Figure::Latency(latency) => crate::latency::show(latency.median_ns),
    }
}

/// Windows as figures of which more is better; `None` if one has no rate.
fn windows(figure: &Figure) -> Option<Vec<f64>> {
    let all: Vec<f64> = match figure {
        Figure::Rate(rate) => rate.measurement.samples.iter().map(Sample::rate).collect::<Option<_>>()?,
        Figure::Latency(latency) => latency.samples_ns.iter().map(|ns| 1.0 / (*ns).max(1) as f64).collect(),
    };
    Some(all.iter().step_by(all.len().div_ceil(WINDOWS_MAX).max(1)).copied().collect())
}

fn statistics(before: &[f64], after: &[f64]) -> Option<Statistics> {
    let ratio = trimmed_mean(after)? / trimmed_mean(before).filter(|was| *was > 0.0)?;
    let mut seed = Seed(0x0A55_A7C0_FFEE_5EED);
    let mut ratios: Vec<f64> = (0..RESAMPLES)
        .filter_map(|_| {
            let (now, then) = (seed.blocks(after), seed.blocks(before));
            Some(trimmed_mean(&now)? / trimmed_mean(&then).filter(|was| *was > 0.0)?)
        })
        .collect();
    ratios.sort_by(f64::total_cmp);
    let (superiority, chance) = mann_whitney(before, after);
    let end = RESAMPLES / 200;
    let (low, high) = (*ratios.get(end)?, *ratios.get(ratios.len().checked_sub(end + 1)?)?);
    let (windows_before, windows_after) = (before.len(), after.len());
    ratio.is_finite().then_some(Statistics {
        ratio,
        low,
        high,
        superiority,
        chance,
        windows_before,
        windows_after,
    })
}

/// The mean of what is left without the lowest and the highest tenth; `None` if there is nothing.
fn trimmed_mean(values: &[f64]) -> Option<f64> {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let cut = sorted.len() / 10;
    let kept = sorted.get(cut..sorted.len().checked_sub(cut)?).filter(|kept| !kept.is_empty())?;
    Some(kept.iter().sum::<f64>() / kept.len() as f64)
}

/// A sequence of numbers from a fixed seed (xorshift64*, Vigna, 2016).
struct Seed(u64);

impl Seed {
    fn below(&mut self, count: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let high = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(high).unwrap_or_default() % count.max(1)
    }

    /// As many values again, in blocks that follow each other, from anywhere, round the end.
    fn blocks(&mut self, values: &[f64]) -> Vec<f64> {
        let length = (1..).find(|n: &usize| n.pow(3) >= values.len()).unwrap_or(1);
        let mut drawn = Vec::with_capacity(values.len() + length);
        while drawn.len() < values.len() {
            let start = self.below(values.len());
            drawn.extend((0..length).map(|n| values[(start + n) % values.len()]));
        }
        drawn.truncate(values.len());
        drawn
    }
}

/// The probability that one of the second is greater than one of the first, and the two-sided probability of a share so far
/// from a half by chance (normal approximation, corrected for ties and for continuity).
fn mann_whitney(first: &[f64], second: &[f64]) -> (f64, f64) {
    let mut all: Vec<(f64, bool)> =
        first.iter().map(|v| (*v, false)).chain(second.iter().map(|v| (*v, true))).collect();
    all.sort_by(|a, b| a.0.total_cmp(&b.0));
    let (n, m) = (first.len() as f64, second.len() as f64);
    let (mut ranks, mut ties, mut below) = (0.0, 0.0, 0.0);
    for group in all.chunk_by(|a, b| a.0 == b.0) {
        let size = group.len() as f64;
        let of_second = group.iter().filter(|(_, second)| *second).count() as f64;
        ranks += of_second * (below + (size + 1.0) / 2.0);
        ties += size.powi(3) - size;
        below += size;
    }
    let u = ranks - m * (m + 1.0) / 2.0;
    let whole = n + m;
    let variance = n * m / 12.0 * (whole + 1.0 - ties / (whole * (whole - 1.0)));
    let apart = ((u - n * m / 2.0).abs() - 0.5).max(0.0);
    let chance = if variance > 0.0 { 2.0 * upper_tail(apart / variance.sqrt()) } else { 1.0 };
    (u / (n * m), chance.min(1.0))
}

/// The probability that a standard normal variable is above this, from 0 up (Abramowitz and Stegun, 26.2.17).
fn upper_tail(z: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.231_641_9 * z);
    let series = [0.319_381_530, -0.356_563_782, 1.781_477_937, -1.821_255_978, 1.330_274_429];
    let sum = series.iter().rev().fold(0.0, |sum, factor| (sum + factor) * t);
    (-0.5 * z * z).exp() / std::f64::consts::TAU.sqrt() * sum
}

/// Holm's correction: the nth smallest of k is multiplied by k - n + 1, and none is smaller than the one before.
fn correct(figures: &mut [Compared]) {
    let mut all: Vec<_> = figures.iter_mut().filter_map(|figure| figure.statistics.as_mut()).collect();
    all.sort_by(|a, b| a.chance.total_cmp(&b.chance));
    let count = all.len();
    let mut least = 0.0f64;
    for (place, statistics) in all.into_iter().enumerate() {
        least = least.max(statistics.chance * (count - place) as f64).min(1.0);
        statistics.chance = least;
    }
}

fn differences(before: &Report, after: &Report, pairs: &[(&DeviceInfo, &DeviceInfo)]) -> Vec<Difference> {
    let mut all = Vec::new();
    let mut differs = |what: String, before: Option<String>, after: Option<String>| {
        if before != after {
            all.push(Difference { what, before, after });
        }
    };
    differs("burnin".into(), Some(before.tool.version.clone()), Some(after.tool.version.clone()));
    differs(
        "kernels".into(),
        Some(before.tool.kernels_digest.clone()),
        Some(after.tool.kernels_digest.clone()),
    );
    differs("plan".into(), Some(before.plan_digest.clone()), Some(after.plan_digest.clone()));
    differs("origin".into(), Some(before.origin.to_string()), Some(after.origin.to_string()));
    for ((what, was), (_, is)) in of_node(&before.node).into_iter().zip(of_node(&after.node)) {
        differs(what.into(), was, is);
    }
    differs("devices".into(), Some(before.devices.len().to_string()), Some(after.devices.len().to_string()));
    for (was, is) in pairs {
        for ((what, was), (_, is_now)) in
            of_device(was, &before.node).into_iter().zip(of_device(is, &after.node))
        {
            differs(format!("{what} of {}", is.id), was, is_now);
        }
    }
    all
}

fn of_node(node: &NodeFacts) -> Vec<(&'static str, Option<String>)> {
    let dmi = node.dmi.clone().unwrap_or_default();
    let linux = node.linux.as_ref();
    let cpu = node.cpus.first();
    vec![
        ("host name", linux.and_then(|linux| linux.hostname.clone())),
        ("Linux", linux.map(|linux| linux.release.clone())),
        ("system", dmi.product_name),
        ("serial number", dmi.product_serial),
        ("firmware", dmi.bios_version),
        ("processor", cpu.and_then(|cpu| cpu.model.clone())),
        ("microcode", cpu.and_then(|cpu| cpu.microcode.clone())),
        ("sockets", Some(node.cpus.len().to_string())),
        ("memory", node.memory.as_ref().map(|memory| memory.total_bytes.to_string())),
    ]
}

fn of_device(device: &DeviceInfo, node: &NodeFacts) -> Vec<(&'static str, Option<String>)> {
    let function = node.pci.iter().find(|function| Some(function.address) == device.address);
    let link = function.and_then(|function| function.link);
    vec![
        ("id", Some(device.id.to_string())),
        ("name", Some(device.name.clone())),
        ("UUID", device.uuid.clone()),
        ("backend", Some(device.backend.to_string())),
        ("driver", Some(device.driver.clone())),
        ("Vulkan", device.api_version.clone()),
        ("memory", Some(device.memory_bytes.to_string())),
        ("compute units", device.units.map(|units| units.to_string())),
        ("link lanes", link.and_then(|link| link.current_lanes).map(|lanes| lanes.to_string())),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_test_of_ranks_is_that_of_the_books() {
        // Hollander, Wolfe and Chicken, 2013, example 4.1: 10 and 5 values, U = 15 of 50.
        let term = [0.80, 0.83, 1.89, 1.04, 1.45, 1.38, 1.91, 1.64, 0.73, 1.46];
        let early = [1.15, 0.88, 0.90, 0.74, 1.21];
        let (superiority, chance) = mann_whitney(&term, &early);
        assert!((superiority - 0.3).abs() < 1e-12);
        assert!((chance - 0.2446).abs() < 5e-4, "{chance}: 9.5 of 8.165 standard deviations, two-sided");
        assert_eq!(mann_whitney(&[1.0; 9], &[1.0; 9]), (0.5, 1.0));
        assert!((upper_tail(1.959_964) - 0.025).abs() < 1e-6);
    }

    #[test]
    fn two_halves_of_one_noise_are_the_same_and_a_shift_is_seen_with_its_size() {
        let mut seed = Seed(7);
        let mut noise = |middle: f64, count: usize| -> Vec<f64> {
            (0..count).map(|_| middle * (1.0 + 0.002 * (seed.below(1000) as f64 / 500.0 - 1.0))).collect()
        };
        let mut alarms = 0;
        for _ in 0..40 {
            let s = statistics(&noise(100.0, 40), &noise(100.0, 40)).unwrap();
            alarms += usize::from(decide(&s, 0.0) != Change::Same);
        }
        assert!(alarms <= 2, "{alarms} of 40 false alarms");
        let s = statistics(&noise(100.0, 40), &noise(97.0, 40)).unwrap();
        assert_eq!(decide(&s, 0.01), Change::Worse);
        assert!(s.low < 0.97 && 0.97 < s.high && s.superiority == 0.0, "{s:?}");
        assert_eq!(decide(&s, 0.05), Change::Same, "smaller than what is asked for");
    }

    #[test]
    fn a_device_that_holds_back_for_a_part_of_its_time_is_worse() {
        let well: Vec<f64> = (0..36u8).map(|n| 100.0 + 0.2 * f64::from(n % 3)).collect();
        let held: Vec<f64> =
            well.iter().enumerate().map(|(n, v)| if n < 11 { *v } else { 0.81 * v }).collect();
        let s = statistics(&well, &held).unwrap();
        assert_eq!(decide(&s, 0.01), Change::Worse, "{s:?}");
        assert!((0.82..0.9).contains(&s.ratio));
        let mut disturbed = well.clone();
        disturbed[5] = 1.0;
        assert_eq!(
            decide(&statistics(&well, &disturbed).unwrap(), 0.0),
            Change::Same,
            "one window is the host's"
        );
    }

    #[test]
    fn blocks_keep_neighbours_together() {
        let values: Vec<f64> = (0..64).map(f64::from).collect();
        let drawn = Seed(3).blocks(&values);
        assert_eq!(drawn.len(), 64);
        let steps = drawn.windows(2).filter(|pair| pair[1] == (pair[0] + 1.0) % 64.0).count();
        assert!(steps >= 48, "{steps}: blocks of four have three steps each");
    }
}
