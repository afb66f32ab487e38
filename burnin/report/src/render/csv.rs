//! Comma-separated values (RFC 4180): one line for each figure, numbers in base units.

use super::view::{Shown, View};
use crate::Unit;
use crate::text::line::clean;

const TITLES: [&str; 18] = [
    "run_id",
    "node",
    "device",
    "model",
    "check",
    "outcome",
    "metric",
    "unit",
    "median",
    "worst",
    "spread_share",
    "windows",
    "of_peak_share",
    "of_reach_share",
    "of_peers_share",
    "wrong_words",
    "power_w",
    "temperature_c",
];

pub(super) fn table(view: &View<'_>) -> String {
    let mut out = line(&TITLES.map(str::to_owned));
    for device in &view.devices {
        for figure in &device.figures {
            let [of_node, of_figure, of_said] = [node(view, device.info), cells(figure), said(figure)];
            out += &line(&[of_node, of_figure, of_said].concat());
        }
    }
    out
}

fn node(view: &View<'_>, device: &crate::DeviceInfo) -> Vec<String> {
    vec![view.report.run_id.clone(), view.node(), device.id.0.clone(), device.name.clone()]
}

fn cells(figure: &Shown) -> Vec<String> {
    let (rate, latency) = (figure.rate(), figure.latency());
    let measurement = rate.map(|rate| &rate.measurement);
    let either = |rate: Option<f64>, latency: Option<u64>| {
        rate.map(exact).or(latency.map(|ns| ns.to_string())).unwrap_or_default()
    };
    let share = |share: Option<f64>| share.map(exact).unwrap_or_default();
    let unit = measurement.map_or("ns", |m| match m.unit {
        Unit::FlopPerS => "flop_per_s",
        Unit::OpsPerS => "ops_per_s",
        Unit::BytesPerS => "bytes_per_s",
    });
    let windows = measurement.map(|m| m.samples.len()).or(latency.map(|l| l.samples_ns.len()));
    vec![
        figure.row.check.to_string(),
        figure.row.outcome.to_string(),
        figure.row.metric().to_owned(),
        unit.to_owned(),
        either(measurement.map(|m| m.median.get()), latency.map(|l| l.median_ns)),
        either(measurement.map(|m| m.worst.get()), latency.map(|l| l.max_ns)),
        share(rate.map(|rate| rate.spread.get())),
        windows.unwrap_or_default().to_string(),
        share(rate.and_then(|rate| rate.of_peak())),
        share(rate.and_then(|rate| rate.of_reach())),
        share(figure.of_peers),
        figure.row.verified.wrong.map(|wrong| wrong.to_string()).unwrap_or_default(),
    ]
}

fn said(figure: &Shown) -> Vec<String> {
    let telemetry = figure.row.telemetry.as_ref();
    let middle = |range: Option<crate::Range>| range.map(|r| exact(r.median.get())).unwrap_or_default();
    vec![middle(telemetry.and_then(|t| t.power_w)), middle(telemetry.and_then(|t| t.temperature_c))]
}

/// A number that reads back as itself.
fn exact(value: f64) -> String {
    format!("{value:?}")
}

fn line(cells: &[String]) -> String {
    cells.iter().map(|cell| quoted(cell)).collect::<Vec<_>>().join(",") + "\r\n"
}

/// In quotes where it must be. A text that a spreadsheet would take for a formula begins with an apostrophe.
fn quoted(cell: &str) -> String {
    let text = clean(cell);
    let formula = text.starts_with(['=', '+', '-', '@']) && text.parse::<f64>().is_err();
    let text = if formula { format!("'{text}") } else { text };
    if text.contains([',', '"', '\'', ' ']) { format!("\"{}\"", text.replace('"', "\"\"")) } else { text }
}
