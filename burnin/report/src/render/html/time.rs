//! The burn-in over time: checks, what the device said of itself meanwhile, and the rate of every window.

use maud::{Markup, html};

use super::super::svg::{Caption, Lines, Phase, Prefix, Timeline, Track};
use super::super::view::{Device, Shown, View};
use super::wide;
use crate::text::line::{clip, number};
use crate::{CheckResult, Moment, Outcome, Quantity, Sample};

/// Plots of rates for a device at most.
const RATES_MAX: usize = 32;

pub(super) fn timelines(view: &View<'_>) -> Option<Markup> {
    let devices: Vec<_> = view.detailed().into_iter().filter(|device| !device.results.is_empty()).collect();
    (!devices.is_empty()).then(|| html! {
        @for device in &devices {
            h3 { span class="id" { (clip(&device.info.id.0, 24)) } " " (clip(&device.info.name, 48)) }
            (timeline(view, device))
            (rates(device, view.devices.len() == 1))
        }
        @if view.left_out() > 0 { p class="note" { (view.left_out()) " more devices are in report.json." } }
    })
}

fn timeline(view: &View<'_>, device: &Device<'_>) -> Markup {
    let begun: Vec<(f64, &CheckResult)> =
        device.results.iter().filter_map(|result| Some((result.began_s?.get(), *result))).collect();
    let phases: Vec<_> = begun.iter().map(|(began, result)| phase(view, *began, result)).collect();
    let track = |label: &str, of: fn(&Moment) -> Option<Quantity>| {
        let stretches = begun.iter().filter_map(|(began, result)| {
            let moments = &result.telemetry.as_ref()?.moments;
            let points = moments.iter().filter_map(|m| Some((began + m.at_s.get(), of(m)?.get())));
            Some(points.collect::<Vec<_>>()).filter(|points| !points.is_empty())
        });
        let stretches: Vec<_> = stretches.collect();
        (!stretches.is_empty()).then(|| Track { label: label.to_owned(), stretches })
    };
    let tracks = [
        track("temperature, °C (hottest)", |m| m.temperature_c),
        track("power, W (highest)", |m| m.power_w),
        track("clock, MHz (lowest)", |m| m.clock_mhz),
    ];
    let tracks: Vec<_> = tracks.into_iter().flatten().collect();
    let silent = tracks.is_empty();
    let says = format!(
        "{} checks; {}",
        phases.len(),
        if silent {
            "the device told nothing of itself".to_owned()
        } else {
            "temperature, power and clock below them".to_owned()
        }
    );
    let caption =
        Caption { title: format!("Checks and telemetry of {} over time", clip(&device.info.id.0, 24)), says };
    let throttle = begun.iter().flat_map(|(began, result)| throttled(*began, result)).collect();
    html! {
        @if phases.is_empty() {
            p class="note" { "This report does not say when each check began; an older burnin wrote it." }
        } @else {
            (wide(&format!("timeline of {}", clip(&device.info.id.0, 24)), &Timeline { caption, phases, tracks, throttle }.draw()))
            @if silent { p class="note" { "No telemetry: nothing that runs here tells temperature, power or clock of this device." } }
        }
    }
}

fn phase(view: &View<'_>, began: f64, result: &CheckResult) -> Phase {
    let outcome = view.outcome(result);
    Phase {
        name: clip(result.check.as_str(), 40),
        word: outcome.as_str(),
        event: !matches!(outcome, Outcome::Pass | Outcome::Skip),
        span: (began, began + result.took_s.get()),
    }
}

/// Stretches in which the device held back: from the first moment with a reason to the next without.
fn throttled(began: f64, result: &CheckResult) -> Vec<((f64, f64), String)> {
    let moments = result.telemetry.as_ref().map(|t| t.moments.as_slice()).unwrap_or_default();
    let mut stretches: Vec<((f64, f64), String)> = Vec::new();
    for (number, moment) in moments.iter().enumerate().filter(|(_, moment)| !moment.throttle.is_empty()) {
        let from = began + moment.at_s.get();
        let to = moments.get(number + 1).map_or(began + result.took_s.get(), |next| began + next.at_s.get());
        let reasons = clip(&moment.throttle.join(", "), 80);
        match stretches.last_mut() {
            Some((span, before)) if *before == reasons && from <= span.1 + 1e-9 => span.1 = to,
            _ => stretches.push(((from, to.max(from)), reasons)),
        }
    }
    stretches
}

/// The rate of every window.
fn rates(device: &Device<'_>, open: bool) -> Markup {
    let plots: Vec<_> = device.figures.iter().filter_map(windows).take(RATES_MAX).collect();
    html! {
        @if !plots.is_empty() {
            details open[open] {
                summary { "Rate of every window, " (plots.len()) " figures" }
                div class="plots" { @for plot in &plots { (plot) } }
                p class="note" { "Dashed: the median, and the worst sustained rate over three windows. Windows without the warm-up." }
            }
        }
    }
}

fn windows(figure: &Shown) -> Option<Markup> {
    let measurement = &figure.rate()?.measurement;
    let prefix = Prefix::of(measurement.median.get());
    let mut at = 0.0;
    let points = measurement.samples.iter().filter_map(|sample| {
        at += sample.host_s.get();
        Some((at, Sample::rate(sample)? / prefix.size))
    });
    let points: Vec<_> = points.collect();
    let unit = measurement.unit.show(measurement.median.get());
    let unit = unit.split_once(' ').map_or("", |(_, unit)| unit).to_owned();
    let worst = measurement.worst.get() / prefix.size;
    let median = measurement.median.get() / prefix.size;
    let mut marks = vec![(median, "median".to_owned())];
    // Two words on one place are none.
    if worst < 0.99 * median {
        marks.push((worst, "worst".to_owned()));
    }
    let caption = Caption {
        title: format!("{}, {} windows", figure.metric(), points.len()),
        says: format!("Median {}, worst sustained {} of it.", figure.value(), figure.worst()),
    };
    let y_label =
        format!("{}, {unit} · spread {} %", figure.metric(), number(100.0 * figure.rate()?.spread.get(), 1));
    (!points.is_empty()).then(|| {
        Lines {
            caption,
            x_label: "seconds".to_owned(),
            y_label,
            series: vec![points],
            room: (0.9 * median, 1.05 * median),
            marks,
        }
        .draw()
    })
}
