//! A report as something that people look at and programs read: one page of HTML, Markdown, CSV, JUnit, text, JSON. Each is
//! a pure function of the report and nothing else, and all of them take their figures from one [`view`].
//!
//! Terms: the *view* is the report with the reader's own verdict, figures held against peers, what was not tested and
//! what the silence proves. A report may come from anywhere: every text in it is escaped for where it goes, clipped, and
//! freed of characters that move a cursor; tables end after a number of rows that is told.

mod view;
mod silence;
mod untested;
mod svg;
mod html;
mod markdown;
mod csv;
mod junit;

use std::fmt;

use crate::judge::review;
use crate::{Report, text};

pub use silence::{ErrorBound, Silence, Slowdown, silence};
pub use untested::{Untested, untested};
use view::View;

/// As what a report is rendered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// One page, with plots, for a browser and for paper.
    Html,
    /// Tables for an issue or a wiki.
    Markdown,
    /// One line for each figure.
    Csv,
    /// One case for each check, for what reads the results of tests.
    Junit,
    /// Lines for a terminal.
    Text,
    /// The report, with the reader's verdict.
    Json,
}

impl Format {
    /// Every format.
    pub const ALL: [Self; 6] = [Self::Html, Self::Markdown, Self::Csv, Self::Junit, Self::Text, Self::Json];

    /// Its name.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Html => "html",
            Self::Markdown => "markdown",
            Self::Csv => "csv",
            Self::Junit => "junit",
            Self::Text => "text",
            Self::Json => "json",
        }
    }

    /// The format that files with this ending have.
    pub fn of_ending(ending: &str) -> Option<Self> {
        Some(match ending {
            "html" | "htm" => Self::Html,
            "md" => Self::Markdown,
            "csv" => Self::Csv,
            "xml" => Self::Junit,
            "txt" => Self::Text,
            "json" => Self::Json,
            _ => return None,
        })
    }
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// The report in this format, with the verdict that a reader comes to ([`review`]).
pub fn render(report: &Report, format: Format) -> String {
    let judged = review(report);
    match format {
        Format::Text => text::render(report, &judged),
        Format::Json => {
            let report = Report { verdict: judged, ..report.clone() };
            serde_json::to_string_pretty(&report).unwrap_or_default() + "\n"
        }
        Format::Html => html::page(&View::of(report, &judged)),
        Format::Markdown => markdown::document(&View::of(report, &judged)),
        Format::Csv => csv::table(&View::of(report, &judged)),
        Format::Junit => junit::suites(&View::of(report, &judged)),
    }
}
