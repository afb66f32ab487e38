//! What devices are like inside: the roofline, bandwidth by region of the memory, work by compute unit.

use maud::{Markup, html};

use super::super::svg::{Bars, Caption, Ceiling, Prefix, Ridge, Roofline, Stack};
use super::super::view::{Device, View};
use super::wide;
use crate::bench::Rate;
use crate::stats::median;
use crate::text::line::{clip, number};
use crate::{RegionRates, Unit, UnitHistogram};

/// Roofs that are drawn, those that there are.
const ROOFS: [&str; 6] = ["fp32", "fp16", "fp64", "matrix-fp16", "matrix-bf16", "matrix-int8"];
/// Plots of regions or units for a device at most.
const PLOTS_MAX: usize = 6;

pub(super) fn roofline(view: &View<'_>) -> Option<Markup> {
    let rates = |name: &str| -> Vec<(&Device<'_>, &Rate)> {
        let of = |device| believed(device, name).map(|rate| (device, rate));
        view.devices.iter().filter_map(of).collect()
    };
    let middle = |rates: &[(&Device<'_>, &Rate)]| {
        median(&rates.iter().map(|(_, rate)| rate.measurement.median.get()).collect::<Vec<_>>())
    };
    let peak = |rates: &[(&Device<'_>, &Rate)]| {
        rates
            .iter()
            .filter_map(|(_, rate)| rate.physical.as_ref())
            .map(|peak| peak.per_s.get())
            .reduce(f64::max)
    };
    let reads = rates("read");
    let bytes_per_s = middle(&reads).filter(|bytes| *bytes > 0.0)?;
    let mut ceilings = Vec::new();
    let mut ridges = Vec::new();
    for name in ROOFS {
        let found = rates(name);
        let Some(measured) = middle(&found).filter(|measured| *measured > 0.0) else { continue };
        ceilings.push(Ceiling { name: name.to_owned(), measured, peak: peak(&found) });
        for (device, rate) in found.iter().take(64) {
            let Some(read) = believed(device, "read") else { continue };
            let at = rate.measurement.median.get() / read.measurement.median.get().max(1.0);
            let name = format!(
                "{}, {name}: balance at {} operations per byte",
                clip(&device.info.id.0, 24),
                number(at, 1)
            );
            let (bytes, ops) = (read.measurement.median.get(), rate.measurement.median.get());
            ridges.push(Ridge { name, bytes_per_s: bytes, ops_per_s: ops });
        }
    }
    let says = ceilings.iter().map(|c| {
        let balance = number(c.measured / bytes_per_s, 1);
        format!(
            "{} {}: more than {balance} operations per byte are bound by arithmetic.",
            c.name,
            Unit::FlopPerS.show(c.measured)
        )
    });
    let caption = Caption { title: "Roofline".to_owned(), says: says.collect::<Vec<_>>().join(" ") };
    let plot = Roofline { caption, bytes_per_s, bytes_peak: peak(&reads), ceilings, ridges };
    (!plot.ceilings.is_empty()).then(|| html! {
        (wide("roofline", &plot.draw()))
        p class="note" { "Solid: as measured, the middle of all devices; memory by “read”. Dotted: what physics allows, where the model is listed. A diamond is one device; one that lies apart from the others of its roof is unlike them." }
    })
}

fn believed<'a>(device: &'a Device<'_>, name: &str) -> Option<&'a Rate> {
    let of_it = |figure: &&super::super::view::Shown| figure.row.metric() == name && figure.row.is_believed();
    device.figures.iter().find(of_it)?.rate()
}

pub(super) fn regions(view: &View<'_>) -> Option<Markup> {
    let shown: Vec<_> = view.detailed().into_iter().map(|device| (device, plots(device))).collect();
    let any = shown.iter().any(|(_, plots)| !plots.is_empty());
    any.then(|| html! {
        @for (device, plots) in shown.iter().filter(|(_, plots)| !plots.is_empty()) {
            h3 { span class="id" { (clip(&device.info.id.0, 24)) } " " (clip(&device.info.name, 48)) }
            div class="plots" { @for plot in plots { (plot) } }
        }
        p class="note" { "A region is a 64th of the memory under test, by address. A compute unit that ran nothing has no bar; where the driver does not tell units apart there is no plot of them." }
    })
}

fn plots(device: &Device<'_>) -> Vec<Markup> {
    let regions = device.results.iter().flat_map(|result| &result.regions).map(by_region);
    let units = device.results.iter().filter_map(|result| {
        let units = result.units.as_ref().filter(|units| !units.units.is_empty())?;
        Some(by_unit(result.check.as_str(), units))
    });
    regions.take(PLOTS_MAX).chain(units.take(PLOTS_MAX)).collect()
}

fn by_region(rates: &RegionRates) -> Markup {
    let figures: Vec<_> =
        rates.bytes_per_s.iter().map(|rate| rate.get()).take(RegionRates::REGIONS_MAX).collect();
    let middle = median(&figures).unwrap_or_default();
    let prefix = Prefix::of(middle);
    let even = rates.evenness().map_or_else(|| "unknown".to_owned(), |even| number(100.0 * even, 1));
    let metric = clip(&rates.metric, 24);
    let caption = Caption {
        title: format!("{metric} by region of the memory"),
        says: format!(
            "{} regions of {}; the slowest has {even} % of the fastest.",
            figures.len(),
            rates.region_bytes
        ),
    };
    let figures = figures.iter().map(|figure| figure / prefix.size).collect();
    Bars {
        caption,
        x_label: format!("region of {}", rates.region_bytes),
        y_label: format!("{metric}, {}B/s · within {even} %", prefix.name),
        stacks: vec![Stack { name: "", figures }],
        mark: Some((middle / prefix.size, "median".to_owned())),
    }
    .draw()
}

fn by_unit(check: &str, units: &UnitHistogram) -> Markup {
    let last = units.units.iter().map(|unit| unit.unit).max().unwrap_or_default().min(4095);
    let mut figures = vec![0.0; last as usize + 1];
    for unit in &units.units {
        if let Some(figure) = figures.get_mut(unit.unit as usize) {
            *figure += unit.workgroups as f64;
        }
    }
    let wrong = units.units.iter().filter(|unit| unit.mismatches > 0).count();
    let seen = figures.iter().filter(|figure| **figure > 0.0).count();
    let caption = Caption {
        title: format!("work by compute unit in {}", clip(check, 40)),
        says: format!("{seen} units ran workgroups, {wrong} of them had wrong answers."),
    };
    Bars {
        caption,
        x_label: "compute unit".to_owned(),
        y_label: format!("{}, workgroups · {seen} units, {wrong} wrong", clip(check, 24)),
        stacks: vec![Stack { name: "", figures }],
        mark: None,
    }
    .draw()
}
