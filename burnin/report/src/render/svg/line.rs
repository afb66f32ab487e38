//! Lines over one axis: rates of windows, with what they are held against.

use maud::{Markup, html};

use super::{Caption, Frame, Scale, image, path, place, text_at, thinned};

/// Lines over one axis.
#[derive(Clone, Debug)]
pub(crate) struct Lines {
    /// What it is about.
    pub(crate) caption: Caption,
    /// Of what the horizontal axis is.
    pub(crate) x_label: String,
    /// Of what the vertical axis is.
    pub(crate) y_label: String,
    /// The points of each line.
    pub(crate) series: Vec<Vec<(f64, f64)>>,
    /// Figures that the vertical axis holds at least: noise must not fill the plot.
    pub(crate) room: (f64, f64),
    /// Figures that the lines are held against, each with its word.
    pub(crate) marks: Vec<(f64, String)>,
}

impl Lines {
    /// The plot.
    pub(crate) fn draw(&self) -> Markup {
        let frame = Frame { left: 44.0, top: 22.0, right: 352.0, bottom: 116.0 };
        let points = || self.series.iter().flatten();
        let figures = points().map(|(_, y)| *y).chain(self.marks.iter().map(|(y, _)| *y));
        let figures = figures.chain([self.room.0, self.room.1]);
        let y = Scale::linear(figures, (frame.bottom, frame.top));
        let end = points().map(|(x, _)| *x).fold(0.0, f64::max);
        let x = Scale::exact((0.0, end), (frame.left, frame.right));
        let drawing = html! {
            (frame.axes((&x, &self.x_label), (&y, &self.y_label)))
            @for (figure, word) in &self.marks {
                path class="mark" d=(path([(frame.left, y.at(*figure)), (frame.right, y.at(*figure))])) {}
                (text_at(frame.right - 3.0, y.at(*figure) - 3.0, "word end", word))
            }
            @for (number, points) in self.series.iter().enumerate() {
                @let points = thinned(points);
                path class={ "line l" (number % 6) } d=(path(points.iter().map(|(px, py)| (x.at(*px), y.at(*py))))) {}
                @if points.len() <= 60 {
                    path class={ "dots l" (number % 6) } d=(dots(points.iter().map(|(px, py)| (x.at(*px), y.at(*py))))) {}
                }
            }
        };
        image(&self.caption, (360.0, 146.0), "small", &drawing)
    }
}

/// One path of all dots, as strokes without length: a fifth of the bytes that as many circles need.
fn dots(points: impl Iterator<Item = (f64, f64)>) -> String {
    points.map(|(x, y)| format!("M{} {}h0", place(x), place(y))).collect()
}
