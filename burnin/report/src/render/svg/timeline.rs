//! What a device said of itself over a burn-in: its checks as a band, events on it, and one track below for each figure.

use maud::{Markup, html};

use super::{Caption, Frame, Scale, image, path, place, text_at, thinned};
use crate::text::line::clip;

/// One check.
#[derive(Clone, Debug)]
pub(crate) struct Phase {
    /// Its name.
    pub(crate) name: String,
    /// The word for how it ended.
    pub(crate) word: &'static str,
    /// Is it an event to be seen: anything but a pass or a skip?
    pub(crate) event: bool,
    /// When it began and ended, in seconds.
    pub(crate) span: (f64, f64),
}

/// One figure over time.
#[derive(Clone, Debug)]
pub(crate) struct Track {
    /// What it is, with its unit.
    pub(crate) label: String,
    /// The points, a row for each check: between checks nothing was read.
    pub(crate) stretches: Vec<Vec<(f64, f64)>>,
}

/// The plot.
#[derive(Clone, Debug)]
pub(crate) struct Timeline {
    /// What it is about.
    pub(crate) caption: Caption,
    /// The checks, in order.
    pub(crate) phases: Vec<Phase>,
    /// The tracks.
    pub(crate) tracks: Vec<Track>,
    /// When the device held back, with the reasons.
    pub(crate) throttle: Vec<((f64, f64), String)>,
}

const LEFT: f64 = 52.0;
const RIGHT: f64 = 950.0;
const TRACK: f64 = 66.0;
/// Where events are written, and below them the band of checks.
const EVENTS: f64 = 12.0;
const BAND: f64 = 30.0;
const BAND_END: f64 = 50.0;

impl Timeline {
    /// The plot.
    pub(crate) fn draw(&self) -> Markup {
        let end = self.phases.iter().map(|phase| phase.span.1).fold(0.0, f64::max);
        let x = Scale::exact((0.0, end), (LEFT, RIGHT));
        let throttle = if self.throttle.is_empty() { 0.0 } else { 16.0 };
        let first = BAND_END + throttle + 24.0;
        let bottom = first + (TRACK + 24.0) * self.tracks.len() as f64 - 20.0;
        let drawing = html! {
            @for (tick, label) in x.ticks(8) {
                path class="grid" d=(path([(x.at(tick), BAND), (x.at(tick), bottom)])) {}
                (text_at(x.at(tick), bottom + 12.0, "tick mid", &label))
            }
            (text_at(f64::midpoint(LEFT, RIGHT), bottom + 25.0, "axis mid", "seconds since the burn-in began"))
            (self.band(&x, bottom))
            @if !self.throttle.is_empty() {
                (text_at(2.0, BAND_END + 13.0, "axis", "throttle"))
                @for ((from, to), reasons) in &self.throttle {
                    rect class="throttle" x=(place(x.at(*from))) y=(place(BAND_END + 5.0)) width=(place((x.at(*to) - x.at(*from)).max(1.0))) height="9" { title { (reasons) } }
                }
            }
            @for (number, track) in self.tracks.iter().enumerate() {
                (track.draw(number, &x, first + (TRACK + 24.0) * number as f64))
            }
        };
        image(&self.caption, (960.0, bottom + 30.0), "time", &drawing)
    }

    fn band(&self, x: &Scale, bottom: f64) -> Markup {
        html! {
            @for (at, words) in self.events(x) {
                (text_at(at, EVENTS, "eventword", &words))
            }
            (text_at(2.0, BAND + 13.5, "axis", "check"))
            @for (number, phase) in self.phases.iter().enumerate() {
                @let (from, to) = (x.at(phase.span.0), x.at(phase.span.1));
                @let width = (to - from).max(0.8);
                rect class={ "phase p" (number % 2) } x=(place(from)) y=(place(BAND)) width=(place(width)) height="20" {
                    title { (phase.name) ": " (phase.word) }
                }
                @if phase.name.chars().count() as f64 * 5.6 + 4.0 <= width {
                    (text_at(from + 3.0, BAND + 13.5, "phasename", &phase.name))
                }
                @if phase.event {
                    path class="event" d=(path([(to, EVENTS + 4.0), (to, bottom)])) {}
                }
            }
        }
    }
}

impl Timeline {
    /// Words of the events and where they stand. One that would lie on another is left out: the findings have it.
    fn events(&self, x: &Scale) -> Vec<(f64, String)> {
        let mut placed: Vec<(f64, String)> = Vec::new();
        let mut free = LEFT;
        for phase in self.phases.iter().filter(|phase| phase.event) {
            let words = format!("{} {}", phase.word.to_uppercase(), clip(&phase.name, 28));
            let width = 7.0 * words.chars().count() as f64;
            let at = x.at(phase.span.1).min(RIGHT - width);
            if at >= free {
                free = at + width + 8.0;
                placed.push((at, words));
            }
        }
        placed
    }
}

impl Track {
    fn draw(&self, number: usize, x: &Scale, top: f64) -> Markup {
        let frame = Frame { left: LEFT, top, right: RIGHT, bottom: top + TRACK };
        let y = Scale::linear(self.stretches.iter().flatten().map(|(_, y)| *y), (frame.bottom, frame.top));
        html! {
            (frame.y_axis(&y, &self.label))
            @for points in &self.stretches {
                path class={ "line l" (number % 6) } d=(path(thinned(points).iter().map(|(px, py)| (x.at(*px), y.at(*py))))) {}
            }
        }
    }
}
