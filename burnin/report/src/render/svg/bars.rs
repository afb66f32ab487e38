//! Bars: bandwidth by region, work by compute unit, wrong bits by direction.

use maud::{Markup, html};

use super::{Caption, Frame, Scale, image, path, place, text_at};

/// Bars at most; of more, neighbours are drawn as one, by the least of them.
const BARS_MAX: usize = 160;

/// One kind of bar; those of several kinds stand on each other.
#[derive(Clone, Debug)]
pub(crate) struct Stack {
    /// What it is.
    pub(crate) name: &'static str,
    /// One figure for each place.
    pub(crate) figures: Vec<f64>,
}

/// Bars over places that are counted.
#[derive(Clone, Debug)]
pub(crate) struct Bars {
    /// What it is about.
    pub(crate) caption: Caption,
    /// What the places are.
    pub(crate) x_label: String,
    /// What the figures are of.
    pub(crate) y_label: String,
    /// The kinds.
    pub(crate) stacks: Vec<Stack>,
    /// A figure that bars are held against, with its word.
    pub(crate) mark: Option<(f64, String)>,
}

impl Bars {
    /// The plot.
    pub(crate) fn draw(&self) -> Markup {
        let frame = Frame { left: 44.0, top: 22.0, right: 352.0, bottom: 116.0 };
        let stacks: Vec<_> = self.stacks.iter().map(|stack| fewer(&stack.figures)).collect();
        let places = stacks.iter().map(Vec::len).max().unwrap_or_default();
        let sum = |place: usize| stacks.iter().filter_map(|figures| figures.get(place)).sum::<f64>();
        let figures = (0..places).map(sum).chain([0.0]).chain(self.mark.iter().map(|(figure, _)| *figure));
        let y = Scale::linear(figures, (frame.bottom, frame.top));
        let count = self.stacks.iter().map(|stack| stack.figures.len()).max().unwrap_or_default();
        let x = Scale::exact((0.0, count as f64), (frame.left, frame.right));
        let width = (frame.right - frame.left) / (places.max(1) as f64);
        let drawing = html! {
            (frame.axes((&x, &self.x_label), (&y, &self.y_label)))
            @for (number, figures) in stacks.iter().enumerate() {
                @let below = |place: usize| stacks[..number].iter().filter_map(|f| f.get(place)).sum::<f64>();
                path class={ "bar b" (number % 6) } d=(bars(figures, below, (&y, frame.left, width))) {}
            }
            @if let Some((figure, word)) = &self.mark {
                path class="mark" d=(path([(frame.left, y.at(*figure)), (frame.right, y.at(*figure))])) {}
                (text_at(frame.right - 3.0, y.at(*figure) - 3.0, "word end", word))
            }
            @if self.stacks.len() > 1 {
                @for (number, stack) in self.stacks.iter().enumerate() {
                    @let left = 352.0 - 74.0 * (self.stacks.len() - number) as f64;
                    rect class={ "bar b" (number % 6) } x=(place(left)) y="6" width="8" height="8" {}
                    (text_at(left + 11.0, 13.5, "word", stack.name))
                }
            }
        };
        image(&self.caption, (360.0, 146.0), "small", &drawing)
    }
}

/// One path of all bars of a kind: a third of the bytes that as many rectangles need.
fn bars(figures: &[f64], below: impl Fn(usize) -> f64, (y, left, width): (&Scale, f64, f64)) -> String {
    let gap = (0.15 * width).min(1.0);
    let mut d = String::new();
    for (number, figure) in figures.iter().enumerate().filter(|(_, figure)| **figure > 0.0) {
        let (foot, top) = (y.at(below(number)), y.at(below(number) + figure));
        let x = left + width * number as f64;
        // A bar that is there is seen, however low.
        let height = (foot - top).max(0.6);
        d += &format!(
            "M{} {}h{}v-{}h-{}z",
            place(x),
            place(foot),
            place(width - gap),
            place(height),
            place(width - gap)
        );
    }
    d
}

fn fewer(figures: &[f64]) -> Vec<f64> {
    let together = figures.len().div_ceil(BARS_MAX).max(1);
    figures.chunks(together).map(|some| some.iter().copied().fold(f64::INFINITY, f64::min)).collect()
}
