//! Plots as SVG inside a page: no script, no font and no colour of their own (the page's style gives those), the same
//! bytes for the same figures. Every plot is an image with a title and a sentence that says what it shows; what is told
//! by colour is told by a word, a number or a pattern as well.
//!
//! Terms: a *scale* turns a figure into a place; a *series* is one line of a plot.

mod scale;
mod line;
mod bars;
mod heat;
mod roofline;
mod timeline;

use maud::{Markup, html};

pub(crate) use bars::{Bars, Stack};
pub(crate) use heat::Heat;
pub(crate) use line::Lines;
pub(crate) use roofline::{Ceiling, Ridge, Roofline};
pub(crate) use scale::{Prefix, Scale};
pub(crate) use timeline::{Phase, Timeline, Track};

/// Points of a series at most: more than a screen shows.
const POINTS_MAX: usize = 240;

/// What a plot is about, for those who see it and those who do not.
#[derive(Clone, Debug)]
pub(crate) struct Caption {
    /// A few words.
    pub(crate) title: String,
    /// What it shows, with its figures.
    pub(crate) says: String,
}

/// The drawing with its caption.
fn image(caption: &Caption, (width, height): (f64, f64), class: &str, drawing: &Markup) -> Markup {
    html! {
        svg class={ "plot " (class) } viewBox={ "0 0 " (place(width)) " " (place(height)) } role="img" aria-label=(caption.title) {
            title { (caption.title) }
            desc { (caption.says) }
            (drawing)
        }
    }
}

/// A place in the drawing: one decimal, without what is not needed.
fn place(value: f64) -> String {
    let text = format!("{:.1}", value.clamp(-1e5, 1e5));
    let text = text.strip_suffix(".0").unwrap_or(&text);
    if text == "-0" { "0".to_owned() } else { text.to_owned() }
}

fn text_at(x: f64, y: f64, class: &str, text: &str) -> Markup {
    html! { text x=(place(x)) y=(place(y)) class=(class) { (text) } }
}

/// A path through these places.
fn path(points: impl IntoIterator<Item = (f64, f64)>) -> String {
    let mut d = String::new();
    for (x, y) in points {
        d += if d.is_empty() { "M" } else { "L" };
        d += &format!("{} {}", place(x), place(y));
    }
    d
}

/// The room of a plot inside its axes.
#[derive(Clone, Copy, Debug)]
struct Frame {
    left: f64,
    top: f64,
    right: f64,
    bottom: f64,
}

impl Frame {
    /// Axes with ticks and grid; labels name what they are of.
    fn axes(&self, (x, x_label): (&Scale, &str), (y, y_label): (&Scale, &str)) -> Markup {
        html! {
            (self.y_axis(y, y_label))
            @for (tick, label) in x.ticks(5) {
                path class="grid" d=(path([(x.at(tick), self.top), (x.at(tick), self.bottom)])) {}
                (text_at(x.at(tick), self.bottom + 12.0, "tick mid", &label))
            }
            (text_at(f64::midpoint(self.left, self.right), self.bottom + 25.0, "axis mid", x_label))
        }
    }

    fn y_axis(&self, y: &Scale, label: &str) -> Markup {
        html! {
            @for (tick, tick_label) in y.ticks(4) {
                path class="grid" d=(path([(self.left, y.at(tick)), (self.right, y.at(tick))])) {}
                (text_at(self.left - 4.0, y.at(tick) + 3.5, "tick end", &tick_label))
            }
            path class="edge" d=(path([(self.left, self.top), (self.left, self.bottom), (self.right, self.bottom)])) {}
            (text_at(2.0, self.top - 8.5, "axis", label))
        }
    }
}

/// At most [`POINTS_MAX`] of these points: of each stretch the lowest and the highest, so that no peak and no fall is
/// lost.
fn thinned(points: &[(f64, f64)]) -> Vec<(f64, f64)> {
    if points.len() <= POINTS_MAX {
        return points.to_vec();
    }
    let by_y = |a: &(usize, &(f64, f64)), b: &(usize, &(f64, f64))| a.1.1.total_cmp(&b.1.1);
    let stretches = points.chunks(points.len().div_ceil(POINTS_MAX / 2));
    let ends = stretches.flat_map(|stretch| {
        let least = stretch.iter().enumerate().min_by(by_y);
        let most = stretch.iter().enumerate().max_by(by_y);
        let mut ends: Vec<_> = least.into_iter().chain(most).collect();
        ends.sort_by_key(|(place, _)| *place);
        ends.dedup_by_key(|(place, _)| *place);
        ends.into_iter().map(|(_, point)| *point)
    });
    ends.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_series_keeps_its_falls() {
        let mut points: Vec<_> = (0..100_000u32).map(|n| (f64::from(n), 1.0)).collect();
        points[70_001].1 = 0.25;
        let kept = thinned(&points);
        assert!(kept.len() <= POINTS_MAX);
        assert!(kept.contains(&(70_001.0, 0.25)));
        assert!(kept.windows(2).all(|pair| pair[0].0 < pair[1].0));
        assert_eq!(thinned(&points[..9]), points[..9]);
    }

    #[test]
    fn places_are_short_and_inside_the_world() {
        assert_eq!([1.0, 1.25, -0.01, 1e300, f64::NAN].map(place), ["1", "1.2", "0", "100000", "NaN"]);
        assert_eq!(path([(1.0, 2.0), (3.0, 4.5)]), "M1 2L3 4.5");
    }
}
