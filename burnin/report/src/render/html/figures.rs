//! The devices at a glance, their figures beside those of their peers, and every figure with all that it is held against.

use maud::{Markup, html};

use super::super::svg::{Caption, Heat};
use super::super::view::{Device, ROWS_MAX, Shown, View, percent};
use super::{badge, left_out, table, wide};
use crate::text::line::{clip, number};

/// Figures that stand in the overview, in this order, those that there are.
const FIRST: [&str; 6] = ["fp32", "matrix-fp16", "read", "h2d", "d2h", "launch"];
/// Of its peers' middle, below this share a figure is pointed at. It is a help for the eye; the verdict goes by the plan.
const LOW: f64 = 0.95;

pub(super) fn overview(view: &View<'_>) -> Option<Markup> {
    let has = |name: &&&str| view.devices.iter().any(|d| d.figures.iter().any(|f| f.row.metric() == **name));
    let first: Vec<&str> = FIRST.iter().filter(has).copied().collect();
    let mut titles = vec!["Device", "Worst outcome"];
    titles.extend(&first);
    titles.extend(["hottest", "most power", "throttle", "wrong words"]);
    let rows = html! {
        @for device in view.devices.iter().take(ROWS_MAX) {
            tr {
                th scope="row" { span class="id" { (clip(&device.info.id.0, 24)) } br; small { (clip(&device.info.name, 32)) } }
                td { (badge(device.worst)) }
                @for name in &first { td class="number" { (cell(device, name)) } }
                (said(device))
            }
        }
    };
    (!view.devices.is_empty()).then(|| html! {
        (table("devices", &titles, &rows))
        (left_out(view.devices.len(), "devices"))
        p class="note" { "Below each figure: its share of the middle of its peers (devices of the same name here, three at least), “low” under 95 %. A figure that is struck out is not to be believed." }
        (peers(view))
    })
}

fn cell(device: &Device<'_>, name: &str) -> Markup {
    let figure = device.figures.iter().find(|figure| figure.row.metric() == name);
    html! {
        @if let Some(figure) = figure {
            (value(figure))
            @if let Some(share) = figure.of_peers {
                br; small { (percent(Some(share))) @if share < LOW { " " strong class="low" { "low" } } }
            }
        } @else { "–" }
    }
}

fn value(figure: &Shown) -> Markup {
    html! { @if figure.row.is_believed() { (figure.value()) } @else { s { (figure.value()) } } }
}

/// What the device said of itself over all its checks.
fn said(device: &Device<'_>) -> Markup {
    let telemetry = || device.results.iter().filter_map(|result| result.telemetry.as_ref());
    let heat = telemetry().filter_map(|t| t.temperature_c).map(|range| range.max.get()).reduce(f64::max);
    let power = telemetry().filter_map(|t| t.power_w).map(|range| range.max.get()).reduce(f64::max);
    let mut told = telemetry().filter_map(|t| t.throttle.as_ref()).peekable();
    let reasons = told.peek().is_some().then(|| {
        let mut reasons: Vec<_> = told.flatten().map(|reason| clip(reason, 32)).collect();
        reasons.sort();
        reasons.dedup();
        if reasons.is_empty() { "none".to_owned() } else { clip(&reasons.join(", "), 90) }
    });
    let wrong: u64 = device.results.iter().filter_map(|r| r.mismatches.as_ref()).map(|m| m.count).sum();
    let figure = |figure: Option<f64>, unit: &str| {
        figure.map_or("–".to_owned(), |f| format!("{} {unit}", number(f, 0)))
    };
    html! {
        td class="number" { (figure(heat, "°C")) }
        td class="number" { (figure(power, "W")) }
        td { (reasons.unwrap_or_else(|| "not told".to_owned())) }
        td class="number" { @if wrong > 0 { strong class="low" { (wrong) } } @else { "0" } }
    }
}

/// Every figure of every device as a share of its peers' middle, where there are peers.
fn peers(view: &View<'_>) -> Markup {
    let devices: Vec<_> = view.detailed();
    let mut columns: Vec<String> = Vec::new();
    for figure in devices.iter().flat_map(|device| &device.figures).filter(|figure| figure.of_peers.is_some())
    {
        if !columns.contains(&figure.metric()) && columns.len() < 32 {
            columns.push(figure.metric());
        }
    }
    let rows = devices.iter().map(|device| {
        let of = |name: &String| device.figures.iter().find(|f| f.metric() == *name).and_then(|f| f.of_peers);
        (clip(&device.info.id.0, 16), columns.iter().map(of).collect())
    });
    let heat = Heat {
        caption: Caption {
            title: "Figures as a share of the peers’ middle, in percent".to_owned(),
            says: "One row for each device, one column for each figure; 100 is the middle of all devices of that name.".to_owned(),
        },
        rows: rows.collect(),
        columns,
        write: |share| number((100.0 * share).min(999.0), 1),
        shade: |share| match share {
            ..0.8 => 4,
            ..0.95 => 3,
            ..0.98 => 2,
            ..1.02 => 0,
            _ => 1,
        },
    };
    html! {
        @if !heat.columns.is_empty() {
            h3 { "Against peers" }
            (wide("figures against peers", &heat.draw()))
            p class="note" { "Percent of the middle of the peers; of a latency the inverse, so that more is better. Dark and bold: below 95 %." }
        }
    }
}

pub(super) fn every(view: &View<'_>) -> Option<Markup> {
    let devices: Vec<_> = view.detailed().into_iter().filter(|device| !device.figures.is_empty()).collect();
    (!devices.is_empty()).then(|| html! {
        @for device in &devices {
            details open[view.devices.len() == 1] {
                summary { strong class="id" { (clip(&device.info.id.0, 24)) } " " (clip(&device.info.name, 48)) " · " (device.figures.len()) " figures" }
                (figures_of(device))
            }
        }
        @if view.left_out() > 0 { p class="note" { "The figures of " (view.left_out()) " more devices are in report.json." } }
        p class="note" { "Spread: distance of the quartiles as a share of the median. Worst: lowest mean of three windows in a row, as a share of the median. Of peak: of what physics allows. Of reach: of the most that Vulkan is known to get." }
    })
}

fn figures_of(device: &Device<'_>) -> Markup {
    let titles = [
        "Figure", "Value", "Spread", "Worst", "Of peak", "Of reach", "Of peers", "Windows", "Answers",
        "Method",
    ];
    let rows = html! {
        @for figure in device.figures.iter().take(ROWS_MAX) {
            @let rate = figure.rate();
            @let method = rate.map(|r| &r.measurement.method).or(figure.latency().map(|l| &l.method));
            @let windows = rate.map(|r| r.measurement.samples.len()).or(figure.latency().map(|l| l.samples_ns.len()));
            tr {
                th scope="row" { (figure.metric()) }
                td class="number" { (value(figure)) }
                td class="number" { (figure.spread()) }
                td class="number" { (figure.worst()) }
                td class="number" { (percent(rate.and_then(|r| r.of_peak()))) }
                td class="number" { (percent(rate.and_then(|r| r.of_reach()))) }
                td class="number" { (percent(figure.of_peers)) @if figure.of_peers.is_some_and(|s| s < LOW) { " " strong class="low" { "low" } } }
                td class="number" { (windows.unwrap_or_default()) }
                td { (figure.answers()) }
                td class="method" { (clip(method.map_or("", |m| m.as_str()), 120)) }
            }
        }
    };
    table(&format!("figures of {}", clip(&device.info.id.0, 24)), &titles, &rows)
}
