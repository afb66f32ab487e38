//! Tables of cells, as narrow as their contents.

use super::line::{clip, wrap_to};

/// One column.
#[derive(Clone, Copy, Debug)]
pub(super) struct Column {
    pub(super) title: &'static str,
    pub(super) align: Align,
}

/// Where a cell's text begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Align {
    Left,
    Right,
}

/// Cells of a row, and lines that stand below it.
type Line = (Vec<String>, Vec<String>);

/// Titles and rows, indented by two; a cell that is missing is empty. What does not fit is broken at a space.
pub(super) fn table(columns: usize, titles: &[Column], rows: Vec<Line>) -> String {
    let width = |place: usize| {
        let cells = rows.iter().filter_map(|(cells, _)| cells.get(place)).map(|cell| cell.chars().count());
        cells.chain([titles[place].title.chars().count()]).max().unwrap_or_default()
    };
    let widths: Vec<_> = (0..titles.len()).map(width).collect();
    let shown = |cells: &[&str]| {
        let parts = titles.iter().zip(&widths).zip(cells).map(|((column, width), cell)| match column.align {
            Align::Left => format!("{cell:<width$}"),
            Align::Right => format!("{cell:>width$}"),
        });
        format!("  {}", parts.collect::<Vec<_>>().join("  "))
    };
    let mut out = String::new();
    let line = |text: &str, out: &mut String| {
        let text = text.trim_end();
        if text.chars().count() <= columns {
            out.push_str(&super::line::clean(text));
            out.push('\n');
        } else {
            wrap_to(columns, out, "  ", 6, text);
        }
    };
    line(&shown(&titles.iter().map(|column| column.title).collect::<Vec<_>>()), &mut out);
    for (cells, below) in &rows {
        line(&shown(&cells.iter().map(String::as_str).collect::<Vec<_>>()), &mut out);
        for text in below {
            wrap_to(columns, &mut out, "      ", 8, &clip(text, 600));
        }
    }
    out
}
