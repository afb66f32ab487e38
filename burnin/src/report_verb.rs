//! `burnin report`: a saved report as a page, a document or a table.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context as _, Result};
use clap::ValueEnum;
use report::Report;
use report::render::{Format, render};

use crate::{print, read_report};

/// The page that lies beside a report.
const PAGE_FILE: &str = "report.html";

/// What is to be made of a report.
#[derive(Debug, clap::Args)]
pub(crate) struct ReportArguments {
    /// A report.json, or the folder it lies in
    report: PathBuf,
    /// As what [default: by the ending of --out, else text]
    #[arg(long, value_enum)]
    format: Option<As>,
    /// Write it to this file instead of standard output
    #[arg(long, value_name = "FILE")]
    out: Option<PathBuf>,
}

/// The formats, as clap reads them.
#[derive(Clone, Copy, Debug, ValueEnum)]
enum As {
    /// One page with plots, for a browser and for paper
    Html,
    /// Tables for an issue or a wiki
    Markdown,
    /// One line for each figure
    Csv,
    /// One case for each check
    Junit,
    /// Lines for a terminal
    Text,
    /// The report, with this reader's verdict
    Json,
}

impl From<As> for Format {
    fn from(format: As) -> Self {
        match format {
            As::Html => Self::Html,
            As::Markdown => Self::Markdown,
            As::Csv => Self::Csv,
            As::Junit => Self::Junit,
            As::Text => Self::Text,
            As::Json => Self::Json,
        }
    }
}

pub(crate) fn act(arguments: &ReportArguments) -> Result<ExitCode> {
    let ending = arguments.out.as_ref().and_then(|path| path.extension()?.to_str());
    let format =
        arguments.format.map(Format::from).or_else(|| Format::of_ending(ending?)).unwrap_or(Format::Text);
    let shown = render(&read_report(&arguments.report)?, format);
    match &arguments.out {
        Some(path) => std::fs::write(path, shown).with_context(|| format!("writing `{}`", path.display()))?,
        None => print(&shown)?,
    }
    Ok(ExitCode::SUCCESS)
}

/// Writes the page beside a report that was just made. The report is what counts: without a page the run goes on.
pub(crate) fn write_page(report: &Report, folder: &Path) {
    let path = folder.join(PAGE_FILE);
    match std::fs::write(&path, render(report, Format::Html)) {
        Ok(()) => tracing::debug!(path = %path.display(), "page written"),
        Err(error) => tracing::warn!(path = %path.display(), %error, "no page was written"),
    }
}
