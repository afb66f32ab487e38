//! A heat map: rows by columns, each cell with its number, so that its shade is a help and not the message.

use maud::{Markup, html};

use super::{Caption, image, place, text_at};
use crate::text::line::clip;

/// Rows and columns at most.
const CELLS_MAX: usize = 32;

/// A heat map.
#[derive(Clone, Debug)]
pub(crate) struct Heat {
    /// What it is about.
    pub(crate) caption: Caption,
    /// Names of the columns.
    pub(crate) columns: Vec<String>,
    /// Names of the rows and their figures; an absent one is an empty cell.
    pub(crate) rows: Vec<(String, Vec<Option<f64>>)>,
    /// What is written into a cell.
    pub(crate) write: fn(f64) -> String,
    /// How dark a cell is, 0 to 4; 4 is the one that must be seen.
    pub(crate) shade: fn(f64) -> u8,
}

impl Heat {
    /// The plot.
    pub(crate) fn draw(&self) -> Markup {
        let columns: Vec<_> = self.columns.iter().take(CELLS_MAX).collect();
        let rows: Vec<_> = self.rows.iter().take(CELLS_MAX).collect();
        let (left, top, width, height) = (104.0, 76.0, 46.0, 20.0);
        let size = (left + width * columns.len() as f64 + 40.0, top + height * rows.len() as f64 + 6.0);
        let drawing = html! {
            @for (number, name) in columns.iter().enumerate() {
                @let x = left + width * (number as f64 + 0.5);
                text class="tick" x=(place(x)) y=(place(top - 6.0))
                    transform={ "rotate(-40 " (place(x)) " " (place(top - 6.0)) ")" } { (clip(name, 18)) }
            }
            @for (row, (name, figures)) in rows.iter().enumerate() {
                @let y = top + height * row as f64;
                (text_at(left - 6.0, y + 13.5, "tick end", &clip(name, 16)))
                @for (column, figure) in figures.iter().take(columns.len()).enumerate() {
                    @let x = left + width * column as f64;
                    @if let Some(figure) = figure {
                        rect class={ "cell h" ((self.shade)(*figure)) } x=(place(x)) y=(place(y)) width=(place(width - 1.0)) height=(place(height - 1.0)) {}
                        (text_at(x + 0.5 * width, y + 13.5, if (self.shade)(*figure) >= 3 { "cellword strong mid" } else { "cellword mid" }, &(self.write)(*figure)))
                    } @else {
                        rect class="cell none" x=(place(x)) y=(place(y)) width=(place(width - 1.0)) height=(place(height - 1.0)) {}
                        (text_at(x + 0.5 * width, y + 13.5, "tick mid", "–"))
                    }
                }
            }
        };
        image(&self.caption, size, "wide", &drawing)
    }
}
