//! The figures of a bench for people on a terminal: a table for each device, then whatever is not to be believed.

use super::covered;
use super::line::{NO_BREAK, clip, number, wrap_to};
use super::table::{Align, Column, table};
use crate::bench::{Bench, Change, Comparison, Figure, Rate, Row, Tendency};
use crate::latency::show;
use crate::telemetry::Range;
use crate::{DeviceInfo, DeviceKind, Latency, Origin, Outcome, Telemetry};

/// How it is shown.
#[derive(Clone, Copy, Debug)]
pub struct Style {
    /// Columns of the terminal.
    pub columns: usize,
    /// Method, inputs of the limits and evidence below each row.
    pub verbose: bool,
}

/// From so many columns on telemetry stands in the row.
const WIDE: usize = 110;

/// The bench as lines of at most so many columns (not fewer than 60), ending in a newline.
pub fn render(bench: &Bench, comparison: Option<&Comparison>, style: Style) -> String {
    let style = Style { columns: style.columns.max(60), ..style };
    let mut out = String::new();
    head(&mut out, bench, style);
    for device in &bench.devices {
        of_device(&mut out, bench, device, comparison, style);
    }
    if let Some(comparison) = comparison {
        compared(&mut out, comparison, style);
    }
    out
}

fn head(out: &mut String, bench: &Bench, style: Style) {
    let software = !bench.devices.is_empty() && bench.devices.iter().all(|d| d.kind == DeviceKind::Cpu);
    let devices = match (bench.devices.len(), software) {
        (0, _) => "no device".to_owned(),
        (n, true) => format!("{n} SOFTWARE DEVICE{}, NO GPU", if n == 1 { "" } else { "S" }),
        (n, false) => format!("{n} device{}", if n == 1 { "" } else { "s" }),
    };
    let figures = bench.rows.iter().filter(|row| row.is_believed() && row.figure.is_some()).count();
    let doubtful = bench.rows.iter().filter(|row| !row.is_believed() && row.outcome != Outcome::Skip).count();
    let s = |n| if n == 1 { "" } else { "s" };
    let compared = bench.rows.iter().filter(|row| row.is_believed()).all(|row| row.verified.wrong == Some(0));
    let trust = match doubtful {
        0 if compared => "every answer compared and right".to_owned(),
        0 => "not every answer compared".to_owned(),
        n => format!("{n} row{} NOT TO BE BELIEVED", s(n)),
    };
    let ended = if bench.completed_at.is_some() { "" } else { ", INTERRUPTED" };
    wrap_to(
        style.columns,
        out,
        "",
        0,
        &format!("BENCH: {devices}, {figures} figure{}, {trust}{ended}", s(figures)),
    );
    if let Origin::Planted(kind) = &bench.origin {
        let text = format!("fault `{}` was planted on purpose", clip(kind, 40));
        wrap_to(style.columns, out, "  drill  ", 9, &text);
    }
    for note in &bench.notes {
        wrap_to(style.columns, out, "  note   ", 9, &clip(note, 300));
    }
}

fn of_device(
    out: &mut String,
    bench: &Bench,
    device: &DeviceInfo,
    comparison: Option<&Comparison>,
    style: Style,
) {
    let id = clip(&device.id.0, 16);
    let text = format!(
        "{}, {}, {}, {} through {}",
        clip(&device.name, 60),
        clip(device.kind.as_str(), 16),
        device.memory_bytes,
        clip(&device.driver, 60),
        device.backend
    );
    out.push('\n');
    wrap_to(style.columns, out, &format!("{id}  "), 2 + id.chars().count(), &text);
    figures(out, bench, device, comparison, style);
    let rows = bench.rows.iter().filter(|row| row.device == device.id);
    let doubtful: Vec<_> = rows.filter(|row| !row.is_believed()).collect();
    if !doubtful.is_empty() {
        out.push('\n');
    }
    for row in doubtful {
        doubt(out, row, style);
    }
}

/// Tables of a device's rates and latencies, each after an empty line; nothing where there is none.
pub(super) fn figures(
    out: &mut String,
    bench: &Bench,
    device: &DeviceInfo,
    comparison: Option<&Comparison>,
    style: Style,
) {
    let changes = comparison.map(|c| c.changes.as_slice()).unwrap_or_default();
    let change = |place: usize| changes.get(place).copied().flatten();
    let rows: Vec<_> = bench.rows.iter().enumerate().filter(|(_, row)| row.device == device.id).collect();
    let rates: Vec<_> = rows.iter().filter(|(_, row)| matches!(row.figure, Some(Figure::Rate(_)))).collect();
    let times: Vec<_> =
        rows.iter().filter(|(_, row)| matches!(row.figure, Some(Figure::Latency(_)))).collect();
    let table_of = |rows: &[&(usize, &Row)], columns: &[Column], cells: &dyn Fn(&Row) -> Vec<String>| {
        let lines = rows.iter().map(|(place, row)| {
            let mut cells = cells(row);
            if comparison.is_some() {
                cells.push(change(*place).map_or_else(|| "-".to_owned(), |c| changed(&c)));
            }
            (cells, below(row, style))
        });
        let mut columns = columns.to_vec();
        if comparison.is_some() {
            columns.push(Column { title: "BEFORE", align: Align::Left });
        }
        table(style.columns, &columns, lines.collect())
    };
    let limited = |row: &Row| matches!(&row.figure, Some(Figure::Rate(r)) if r.physical.is_some());
    let shape = Shape {
        limits: rates.iter().any(|(_, row)| limited(row)),
        telemetry: style.columns >= WIDE && rates.iter().any(|(_, row)| row.telemetry.is_some()),
    };
    if !rates.is_empty() {
        out.push('\n');
        *out += &table_of(&rates, &rate_columns(shape), &|row| rate_cells(row, shape));
    }
    if !times.is_empty() {
        out.push('\n');
        *out += &table_of(&times, &TIME_COLUMNS, &time_cells);
    }
}

/// Why a row is not to be believed, once for each check.
fn doubt(out: &mut String, row: &Row, style: Style) {
    let word =
        if row.outcome == Outcome::Skip { "skip".to_owned() } else { row.outcome.as_str().to_uppercase() };
    let label = format!("  {word:<9}  ");
    let reason = row.reason.as_ref().map(|r| format!("{} ({})", clip(&r.detail, 400), clip(&r.code, 24)));
    let text = format!("{}: {}", row.check, reason.unwrap_or_else(|| "no reason was recorded".to_owned()));
    let mut line = String::new();
    wrap_to(style.columns, &mut line, &label, 13, &text);
    // The rows of one check share its outcome.
    if !out.contains(&line) {
        out.push_str(&line);
    }
}

const fn left(title: &'static str) -> Column {
    Column { title, align: Align::Left }
}

const fn right(title: &'static str) -> Column {
    Column { title, align: Align::Right }
}

/// Which columns a table of rates has beyond those of every such table.
#[derive(Clone, Copy, Debug)]
struct Shape {
    /// A device of which nothing is known would have columns of nothing.
    limits: bool,
    telemetry: bool,
}

fn rate_columns(shape: Shape) -> Vec<Column> {
    let mut columns = vec![left("METRIC"), right("MEDIAN"), right("SPREAD"), right("WORST")];
    if shape.limits {
        columns.extend([right("OF PEAK"), right("OF REACH")]);
    }
    columns.push(left("ANSWERS"));
    if shape.telemetry {
        columns.extend([right("POWER"), right("CLOCK"), right("MEMORY"), right("HEAT"), left("THROTTLE")]);
    }
    columns
}

const TIME_COLUMNS: [Column; 6] =
    [left("LATENCY"), right("MEDIAN"), right("P95"), right("P99"), right("MAX"), left("ANSWERS")];

fn rate_cells(row: &Row, shape: Shape) -> Vec<String> {
    let Some(Figure::Rate(rate)) = &row.figure else { return Vec::new() };
    let m = &rate.measurement;
    let mut cells = vec![clip(&m.metric, 24), m.unit.show_finely(m.median.get()), spread(rate), worst(rate)];
    if shape.limits {
        let shares = [rate.of_peak(), rate.of_reach()];
        cells.extend(shares.map(|share| share.map_or_else(dash, percent)));
    }
    cells.push(answers(row));
    if shape.telemetry {
        let telemetry = row.telemetry.as_ref();
        let of = |range: Option<Range>, decimals, unit| {
            range.map_or_else(dash, |r| format!("{} {unit}", number(r.median.get(), decimals)))
        };
        cells.push(of(telemetry.and_then(|t| t.power_w), 0, "W"));
        cells.push(of(telemetry.and_then(|t| t.clock_mhz), 0, "MHz"));
        cells.push(of(telemetry.and_then(|t| t.memory_clock_mhz), 0, "MHz"));
        cells.push(of(telemetry.and_then(|t| t.temperature_c), 0, "C"));
        cells.push(telemetry.and_then(throttle).unwrap_or_else(dash));
    }
    cells
}

fn time_cells(row: &Row) -> Vec<String> {
    let Some(Figure::Latency(latency)) = &row.figure else { return Vec::new() };
    let Latency { median_ns, p95_ns, p99_ns, max_ns, .. } = latency;
    let mut cells = vec![clip(&latency.metric, 24)];
    cells.extend([median_ns, p95_ns, p99_ns, max_ns].map(|ns| show(*ns)));
    cells.push(answers(row));
    cells
}

/// Distance of the quartiles as a share of the median.
fn spread(rate: &Rate) -> String {
    format!("{} %", number((100.0 * rate.spread.get()).min(999.0), 1))
}

/// Worst sustained rate as a share of the median.
fn worst(rate: &Rate) -> String {
    let m = &rate.measurement;
    let share = if m.median.get() > 0.0 { m.worst.get() / m.median.get() } else { 0.0 };
    format!("{} %", number((100.0 * share).min(999.0), 0))
}

fn percent(share: f64) -> String {
    format!("{} %", number((100.0 * share).min(999.0), 1))
}

fn dash() -> String {
    "-".to_owned()
}

fn answers(row: &Row) -> String {
    match (row.outcome, row.verified.wrong) {
        (Outcome::Pass | Outcome::Warn, Some(0)) => "right".to_owned(),
        (Outcome::Pass | Outcome::Warn, _) => "not compared".to_owned(),
        (_, Some(wrong @ 1..)) => format!("{} WRONG", number(wrong as f64, 0)),
        (other, _) => other.as_str().to_uppercase(),
    }
}

fn throttle(telemetry: &Telemetry) -> Option<String> {
    let reasons = telemetry.throttle.as_ref()?;
    Some(if reasons.is_empty() { "none".to_owned() } else { clip(&reasons.join(" "), 40) })
}

fn changed(change: &Change) -> String {
    let word = match change.tendency {
        Tendency::Better => "better",
        Tendency::Worse => "WORSE",
        Tendency::Noise => "noise",
    };
    format!("{}x {word}", number(change.ratio.min(9999.0), 3))
}

fn compared(out: &mut String, comparison: &Comparison, style: Style) {
    out.push('\n');
    for difference in &comparison.differences {
        wrap_to(style.columns, out, "  NOT THE SAME  ", 16, &clip(difference, 300));
    }
    let text = "figure now as a multiple of the one before; better or WORSE where the 99 % intervals of the medians \
                do not overlap, else noise";
    wrap_to(style.columns, out, "  before  ", 10, text);
}

/// What stands below a row: telemetry where there is no room for it, and everything with `verbose`.
fn below(row: &Row, style: Style) -> Vec<String> {
    let mut lines = Vec::new();
    let rate = matches!(row.figure, Some(Figure::Rate(_)));
    if let Some(telemetry) =
        row.telemetry.as_ref().filter(|_| style.verbose || (rate && style.columns < WIDE))
    {
        lines.push(sampled(telemetry));
    }
    if style.verbose {
        match &row.figure {
            Some(Figure::Rate(rate)) => lines.extend(inputs(rate)),
            Some(Figure::Latency(l)) => {
                lines.push(format!("{}; {} samples", clip(&l.method, 200), l.samples_ns.len()))
            }
            None => {}
        }
        let mut evidence: Vec<_> = row.verified.coverage.iter().map(covered).collect();
        evidence.extend(row.verified.wrong.map(|wrong| format!("{wrong} wrong")));
        evidence.extend(row.verified.canary.map(|c| format!("canary {}/{}", c.found, c.planted)));
        lines.push(format!("verified: {}", evidence.join(", ")));
    }
    lines
}

fn sampled(telemetry: &Telemetry) -> String {
    let part = |name: &str, range: Option<Range>, unit: &str| {
        range.map(|r| {
            let [min, median, max] = [r.min, r.median, r.max].map(|value| number(value.get(), 0));
            format!("{name} {median} {unit} ({min} to {max})").replace(' ', &NO_BREAK.to_string())
        })
    };
    let parts = [
        part("power", telemetry.power_w, "W"),
        part("clock", telemetry.clock_mhz, "MHz"),
        part("memory", telemetry.memory_clock_mhz, "MHz"),
        part("heat", telemetry.temperature_c, "C"),
        throttle(telemetry).map(|reasons| format!("throttle: {reasons}")),
    ];
    format!("{}: {}", clip(&telemetry.source, 16), parts.into_iter().flatten().collect::<Vec<_>>().join(", "))
}

/// How a rate and its limits came about.
fn inputs(rate: &Rate) -> Vec<String> {
    let m = &rate.measurement;
    let clock =
        if m.samples.iter().all(|s| s.device_s.is_some()) { "device timestamps" } else { "host clock" };
    let warm_up = m.warm_up.map_or_else(String::new, |w| {
        let steady = if w.steady { "steady" } else { "not steady" };
        let s = if w.windows == 1 { "" } else { "s" };
        format!(", warm-up {} window{s} in {} s, {steady}", w.windows, number(w.took_s.get(), 1))
    });
    let mut lines =
        vec![format!("{}; {} windows by {clock}{warm_up}", clip(&m.method, 200), m.samples.len())];
    if rate.physical.is_none() {
        lines.push("peak unknown: the table of limits does not have this metric of this device".to_owned());
    }
    if let Some(physical) = &rate.physical {
        let peak = m.unit.show_finely(physical.per_s.get());
        lines.push(format!("peak {peak} = {} ({})", clip(&physical.formula, 80), clip(&physical.basis, 80)));
    }
    if let Some(within) = &rate.reachable {
        let [low, high] = [within.low_per_s, within.high_per_s].map(|r| m.unit.show_finely(r.get()));
        lines.push(format!(
            "reach {low} to {high}: {} [{}]",
            clip(&within.reason, 200),
            clip(&within.source, 120)
        ));
    }
    lines
}
