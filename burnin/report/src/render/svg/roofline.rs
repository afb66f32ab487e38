//! The roofline (Williams, Waterman and Patterson, 2009): what a kernel can reach at each number of operations per byte,
//! by physics and as it was measured.

use maud::{Markup, html};

use super::{Caption, Frame, Prefix, Scale, image, path, place, text_at};
use crate::text::line::number;

/// What bounds operations per second: a flat roof, with its name.
#[derive(Clone, Debug)]
pub(crate) struct Ceiling {
    /// For example `fp32`.
    pub(crate) name: String,
    /// Operations per second as measured, the middle of all devices.
    pub(crate) measured: f64,
    /// The physical peak, where it is known.
    pub(crate) peak: Option<f64>,
}

/// Where memory and arithmetic of one device are in balance.
#[derive(Clone, Debug)]
pub(crate) struct Ridge {
    /// The device.
    pub(crate) name: String,
    /// Bytes per second that it reads.
    pub(crate) bytes_per_s: f64,
    /// Operations per second, of the ceiling that it belongs to.
    pub(crate) ops_per_s: f64,
}

/// The plot.
#[derive(Clone, Debug)]
pub(crate) struct Roofline {
    /// What it is about.
    pub(crate) caption: Caption,
    /// Bytes per second from memory as measured, the middle of all devices.
    pub(crate) bytes_per_s: f64,
    /// The physical peak of it, where it is known.
    pub(crate) bytes_peak: Option<f64>,
    /// The roofs.
    pub(crate) ceilings: Vec<Ceiling>,
    /// One mark for each device and roof.
    pub(crate) ridges: Vec<Ridge>,
}

impl Roofline {
    /// The plot.
    pub(crate) fn draw(&self) -> Markup {
        let frame = Frame { left: 60.0, top: 22.0, right: 590.0, bottom: 262.0 };
        let balance = |ops: f64| ops / self.bytes_per_s.max(1.0);
        let tops = || self.ceilings.iter().flat_map(|c| [c.measured, c.peak.unwrap_or(c.measured)]);
        let intensities = tops().map(balance).flat_map(|ridge| [ridge / 8.0, ridge * 12.0]);
        let x = Scale::log(intensities, (frame.left, frame.right));
        let (start, end) = x.ends();
        let floor = start * self.bytes_per_s;
        let y = Scale::log(tops().map(|top| top * 1.5).chain([floor]), (frame.bottom, frame.top));
        let at = |intensity: f64, ops: f64| (x.at(intensity), y.at(ops));
        let memory = |bytes: f64, most: f64| path([at(start, start * bytes), at(most / bytes, most)]);
        let most = |all: &mut dyn Iterator<Item = f64>| all.fold(0.0, f64::max);
        let drawing = html! {
            (frame.axes((&x, "operations per byte from memory"), (&y, "operations per second")))
            @if let Some(bytes) = self.bytes_peak.filter(|_| self.ceilings.iter().any(|c| c.peak.is_some())) {
                path class="roof peak" d=(memory(bytes, most(&mut self.ceilings.iter().filter_map(|c| c.peak)))) {}
            }
            @for (number, ceiling) in self.ceilings.iter().enumerate() {
                @if let (Some(bytes), Some(ops)) = (self.bytes_peak, ceiling.peak) {
                    path class="roof peak" d=(path([at(ops / bytes, ops), at(end, ops)])) {}
                }
                path class={ "roof l" (number % 6) } d=(path([at(balance(ceiling.measured), ceiling.measured), at(end, ceiling.measured)])) {}
            }
            path class="roof memory" d=(memory(self.bytes_per_s, most(&mut self.ceilings.iter().map(|c| c.measured)))) {}
            @for (label_y, words) in self.labels(&y) {
                (text_at(frame.right + 5.0, label_y, "word", &words))
            }
            @for ridge in &self.ridges {
                @let (px, py) = at(ridge.ops_per_s / ridge.bytes_per_s.max(1.0), ridge.ops_per_s);
                path class="ridge" d={ "M" (place(px)) " " (place(py - 4.0)) "l4 4l-4 4l-4 -4z" } { title { (ridge.name) } }
            }
        };
        image(&self.caption, (720.0, 292.0), "wide", &drawing)
    }

    /// The names of the roofs, from the highest down, each below the one before where they would lie on each other.
    fn labels(&self, y: &Scale) -> Vec<(f64, String)> {
        let mut all: Vec<_> = self.ceilings.iter().collect();
        all.sort_by(|a, b| b.measured.total_cmp(&a.measured));
        let mut free = f64::MIN;
        let labels = all.into_iter().map(|ceiling| {
            let at = (y.at(ceiling.measured) + 3.5).max(free);
            free = at + 11.0;
            let prefix = Prefix::of(ceiling.measured);
            let rate = ceiling.measured / prefix.size;
            (at, format!("{} {}{}", ceiling.name, number(rate, if rate < 10.0 { 2 } else { 1 }), prefix.name))
        });
        labels.collect()
    }
}
