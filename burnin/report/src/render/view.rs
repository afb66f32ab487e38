//! What every rendering shows: the report, the reader's verdict, and figures held against peak and peers.

use std::collections::HashMap;

use super::{Silence, Untested, silence, untested};
use crate::bench::{Bench, Figure, Rate, Row};
use crate::latency::show;
use crate::stats::median;
use crate::text::line::{clean, clip, number};
use crate::{
    CheckResult, DeviceId, DeviceInfo, DeviceKind, Latency, Outcome, Report, Subject, Verdict, VerdictRecord,
    text,
};

/// So many devices are shown in full; of more, the sickest.
pub(super) const DETAILED_MAX: usize = 16;
/// So many rows a table has; of more, the first.
pub(super) const ROWS_MAX: usize = 200;
/// So many devices of a model there must be for one to be held against the others.
const PEERS_MIN: usize = 3;

/// The report as it is shown.
#[derive(Debug)]
pub(super) struct View<'a> {
    pub(super) report: &'a Report,
    pub(super) judged: &'a VerdictRecord,
    /// The devices, in the order of the report.
    pub(super) devices: Vec<Device<'a>>,
    /// Results about the node as a whole.
    pub(super) of_node: Vec<&'a CheckResult>,
    pub(super) untested: Vec<Untested>,
    pub(super) silence: Silence,
}

/// A device as it is shown.
#[derive(Debug)]
pub(super) struct Device<'a> {
    pub(super) info: &'a DeviceInfo,
    pub(super) results: Vec<&'a CheckResult>,
    pub(super) figures: Vec<Shown>,
    /// The gravest outcome of its checks.
    pub(super) worst: Outcome,
}

/// A figure with all that it is held against.
#[derive(Debug)]
pub(super) struct Shown {
    pub(super) row: Row,
    /// As a share of the middle of its peers; for a latency the inverse, so that more is better.
    pub(super) of_peers: Option<f64>,
}

impl<'a> View<'a> {
    pub(super) fn of(report: &'a Report, judged: &'a VerdictRecord) -> Self {
        let mut by_device: HashMap<&DeviceId, Vec<&CheckResult>> = HashMap::new();
        let mut of_node = Vec::new();
        for result in &report.results {
            match &result.subject {
                Subject::Node => of_node.push(result),
                Subject::Device(id) => by_device.entry(id).or_default().push(result),
            }
        }
        let mut outcomes: HashMap<&DeviceId, Outcome> = HashMap::new();
        for finding in &judged.findings {
            let Subject::Device(id) = &finding.subject else { continue };
            let outcome = outcomes.entry(id).or_insert(Outcome::Pass);
            *outcome = graver(*outcome, finding.outcome);
        }
        let mut figures = figures(report);
        let devices = report.devices.iter().map(|info| Device {
            info,
            results: by_device.remove(&info.id).unwrap_or_default(),
            figures: figures.remove(&info.id).unwrap_or_default(),
            worst: outcomes.get(&info.id).copied().unwrap_or(Outcome::Pass),
        });
        let devices = devices.collect();
        Self {
            report,
            judged,
            devices,
            of_node,
            untested: untested(report),
            silence: silence(report, judged),
        }
    }

    /// The devices that are shown in full: all of them, or the sickest; in the order of the report.
    pub(super) fn detailed(&self) -> Vec<&Device<'a>> {
        let mut places: Vec<_> = (0..self.devices.len()).collect();
        places.sort_by_key(|place| text_gravity(self.devices[*place].worst));
        places.truncate(DETAILED_MAX);
        places.sort_unstable();
        places.into_iter().map(|place| &self.devices[place]).collect()
    }

    /// How many devices are not shown in full.
    pub(super) fn left_out(&self) -> usize {
        self.devices.len().saturating_sub(DETAILED_MAX)
    }

    /// Does it prove software devices alone?
    pub(super) fn is_software(&self) -> bool {
        !self.devices.is_empty() && self.devices.iter().all(|device| device.info.kind == DeviceKind::Cpu)
    }

    /// What was burned in, in a few words.
    pub(super) fn subject(&self) -> String {
        match (self.devices.len(), self.is_software()) {
            (0, _) => "no device was burned in".to_owned(),
            (n, true) => format!("{n} software device{}, no GPU", if n == 1 { "" } else { "s" }),
            (n, false) => {
                let name = clip(&self.devices[0].info.name, 48);
                let same = self.devices.iter().all(|device| device.info.name == self.devices[0].info.name);
                if same { format!("{n} × {name}") } else { format!("{n} devices") }
            }
        }
    }

    /// The name of the node: what an operator calls it, else how it is made known.
    pub(super) fn node(&self) -> String {
        let dmi = self.report.node.dmi.as_ref();
        let names = [
            self.report.node.linux.as_ref().and_then(|linux| linux.hostname.clone()),
            dmi.and_then(|dmi| dmi.product_serial.clone()),
            dmi.and_then(|dmi| dmi.product_uuid.clone()),
        ];
        clip(&names.into_iter().flatten().next().unwrap_or_else(|| "node without a name".to_owned()), 64)
    }

    /// Why the verdict is what it is, in one sentence.
    pub(super) fn why(&self) -> String {
        match self.judged.findings.first() {
            Some(finding) => {
                let place = finding.check.as_ref().map(|check| format!("{check} on {}: ", subject(&finding.subject)));
                format!("{}{}", place.unwrap_or_default(), clip(&finding.reason.detail, 400))
            }
            None if self.is_software() => {
                "every required check passed with evidence; this proves the tool and the path to admission, not a GPU"
                    .to_owned()
            }
            None => "every required check passed with evidence, and no limit was near".to_owned(),
        }
    }

    /// What to do now.
    pub(super) fn action(&self) -> String {
        match (self.judged.findings.first(), self.judged.verdict) {
            (Some(finding), _) => {
                format!("{} ({})", clip(&finding.reason.action, 300), clip(&finding.reason.code, 24))
            }
            (None, Verdict::Healthy) => "nothing: the node may take work".to_owned(),
            (None, _) => "repeat the burn-in".to_owned(),
        }
    }

    /// How much of the burn-in was device work, where it was counted.
    pub(super) fn accounting(&self) -> Option<String> {
        text::accounting(self.report)
    }

    /// How a check ended by the reader's own reading.
    pub(super) fn outcome(&self, result: &CheckResult) -> Outcome {
        text::believed(result, self.judged)
    }

    /// Seconds from beginning to end.
    pub(super) fn took_s(&self) -> Option<f64> {
        let whole = self.report.completed_at?.as_nanosecond() - self.report.started_at.as_nanosecond();
        (whole > 0).then_some(whole as f64 * 1e-9)
    }
}

/// A subject as it is shown.
pub(super) fn subject(subject: &Subject) -> String {
    clip(&subject.to_string(), 24)
}

/// Text from outside, as it is shown.
pub(super) fn shown(text: &str) -> String {
    clip(text, 240)
}

/// What a check did, as one line.
pub(super) fn evidence(result: &CheckResult) -> String {
    clean(&text::evidence(result).join(", ")).replace('\u{a0}', " ")
}

fn text_gravity(outcome: Outcome) -> u8 {
    match outcome {
        Outcome::Fail => 0,
        Outcome::Untrusted => 1,
        Outcome::Error => 2,
        Outcome::NotRun => 3,
        Outcome::Warn => 4,
        // What a device does not offer is no sickness.
        Outcome::Skip | Outcome::Pass => 5,
    }
}

fn graver(one: Outcome, other: Outcome) -> Outcome {
    if text_gravity(other) < text_gravity(one) { other } else { one }
}

/// Every figure by device, held against its peers: devices of one name, where there are enough of them.
fn figures(report: &Report) -> HashMap<DeviceId, Vec<Shown>> {
    let names: HashMap<_, _> =
        report.devices.iter().map(|device| (&device.id, device.name.as_str())).collect();
    let rows: Vec<_> = Bench::of(report).rows.into_iter().filter(|row| row.figure.is_some()).collect();
    let key = |row: &Row| {
        (names.get(&row.device).copied().unwrap_or_default(), row.check.clone(), row.metric().to_owned())
    };
    let mut peers: HashMap<_, Vec<f64>> = HashMap::new();
    for row in rows.iter().filter(|row| row.is_believed()) {
        peers.entry(key(row)).or_default().extend(goodness(row));
    }
    let middles: HashMap<_, _> = peers
        .into_iter()
        .filter(|(_, figures)| figures.len() >= PEERS_MIN)
        .filter_map(|(key, figures)| Some((key, median(&figures)?)))
        .collect();
    let mut all: HashMap<_, Vec<_>> = HashMap::new();
    for row in rows {
        let middle = middles.get(&key(&row)).filter(|middle| **middle > 0.0);
        let of_peers = middle.zip(goodness(&row)).map(|(middle, figure)| figure / middle);
        all.entry(row.device.clone()).or_default().push(Shown { row, of_peers });
    }
    all
}

/// A figure of which more is better.
fn goodness(row: &Row) -> Option<f64> {
    match row.figure.as_ref()? {
        Figure::Rate(rate) => Some(rate.measurement.median.get()),
        Figure::Latency(latency) => (latency.median_ns > 0).then(|| 1.0 / latency.median_ns as f64),
    }
}

impl Shown {
    pub(super) fn rate(&self) -> Option<&Rate> {
        match &self.row.figure {
            Some(Figure::Rate(rate)) => Some(rate),
            _ => None,
        }
    }

    pub(super) fn latency(&self) -> Option<&Latency> {
        match &self.row.figure {
            Some(Figure::Latency(latency)) => Some(latency),
            _ => None,
        }
    }

    pub(super) fn metric(&self) -> String {
        clip(self.row.metric(), 32)
    }

    /// The middle, with its unit.
    pub(super) fn value(&self) -> String {
        match (self.rate(), self.latency()) {
            (Some(rate), _) => rate.measurement.unit.show_finely(rate.measurement.median.get()),
            (_, Some(latency)) => show(latency.median_ns),
            _ => "–".to_owned(),
        }
    }

    /// How the windows scatter: the distance of the quartiles; of a latency the way from the middle to 99 %.
    pub(super) fn spread(&self) -> String {
        match (self.rate(), self.latency()) {
            (Some(rate), _) => format!("{} %", number((100.0 * rate.spread.get()).min(999.0), 1)),
            (_, Some(latency)) => format!("p99 {}", show(latency.p99_ns)),
            _ => "–".to_owned(),
        }
    }

    /// The worst sustained rate, as a share of the middle; of a latency the longest.
    pub(super) fn worst(&self) -> String {
        match (self.rate(), self.latency()) {
            (Some(rate), _) => {
                let m = &rate.measurement;
                let share = if m.median.get() > 0.0 { m.worst.get() / m.median.get() } else { 0.0 };
                format!("{} %", number((100.0 * share).min(999.0), 1))
            }
            (_, Some(latency)) => format!("max {}", show(latency.max_ns)),
            _ => "–".to_owned(),
        }
    }

    pub(super) fn answers(&self) -> String {
        match (self.row.outcome, self.row.verified.wrong) {
            (Outcome::Pass | Outcome::Warn, Some(0)) => "right".to_owned(),
            (Outcome::Pass | Outcome::Warn, _) => "not compared".to_owned(),
            (_, Some(wrong @ 1..)) => format!("{wrong} wrong"),
            (other, _) => other.as_str().to_owned(),
        }
    }
}

/// A share in percent, or a dash where there is none.
pub(super) fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "–".to_owned(), |share| format!("{} %", number((100.0 * share).min(999.0), 1)))
}
