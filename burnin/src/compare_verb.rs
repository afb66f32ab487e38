//! `burnin compare`: two reports, and which of their differences are real.

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use report::compare::{Change, Compared, Comparison, compare};
use report::text::clean;

use crate::{print, read_report};

/// Something is worse.
const WORSE: u8 = 1;
/// Nothing could be compared.
const NOTHING: u8 = 4;

/// What is to be compared.
#[derive(Debug, clap::Args)]
pub(crate) struct CompareArguments {
    /// The earlier report, or the folder it lies in
    before: PathBuf,
    /// The later one
    after: PathBuf,
    /// The smallest change of a figure that matters, in percent
    #[arg(long, default_value = "1", value_name = "PERCENT", value_parser = percent)]
    at_least: f64,
    /// Print one JSON document
    #[arg(long)]
    json: bool,
}

fn percent(text: &str) -> Result<f64, String> {
    let percent = text.trim_end_matches('%').parse::<f64>().map_err(|error| error.to_string())?;
    if (0.0..=100.0).contains(&percent) { Ok(percent / 100.0) } else { Err("0 to 100 percent".to_owned()) }
}

pub(crate) fn act(arguments: &CompareArguments) -> Result<ExitCode> {
    let (before, after) = (read_report(&arguments.before)?, read_report(&arguments.after)?);
    let comparison = compare(&before, &after, arguments.at_least);
    print(&if arguments.json {
        serde_json::to_string_pretty(&comparison)?
    } else {
        text(&comparison, arguments.at_least)
    })?;
    Ok(match (comparison.is_worse(), comparison.says_anything()) {
        (true, _) => ExitCode::from(WORSE),
        (false, true) => ExitCode::SUCCESS,
        (false, false) => ExitCode::from(NOTHING),
    })
}

fn text(comparison: &Comparison, at_least: f64) -> String {
    let mut text = headline(comparison) + "\n";
    for changed in &comparison.outcomes {
        let _ = writeln!(
            text,
            "  {} on {}: was {}, is {}",
            clean(&changed.check),
            clean(&changed.device.0),
            changed.before,
            changed.after
        );
    }
    let mut device = None;
    for figure in &comparison.figures {
        if device != Some(&figure.device) {
            let _ = writeln!(
                text,
                "\n{}\n  {:<22} {:>14} {:>14}  {:>8}  {:<18} {:>6}  {:>8}  CHANGE",
                clean(&figure.device.0),
                "FIGURE",
                "BEFORE",
                "AFTER",
                "RATIO",
                "99 % INTERVAL",
                "A",
                "CHANCE"
            );
            device = Some(&figure.device);
        }
        let _ = writeln!(text, "{}", row(figure));
    }
    if !comparison.differences.is_empty() {
        text += "\nNOT THE SAME\n";
    }
    for difference in &comparison.differences {
        let shown = |value: &Option<String>| value.as_deref().map_or_else(|| "not told".to_owned(), clean);
        let _ = writeln!(
            text,
            "  {}: {} -> {}",
            clean(&difference.what),
            shown(&difference.before),
            shown(&difference.after)
        );
    }
    let _ = write!(
        text,
        "\nRatios are of goodness: below 1 is slower. A is the probability that a window of the later report is better. A\n\
         change is real if the interval leaves out 1, chance (Mann-Whitney, corrected by Holm) is below 1 % and it is\n\
         {} % at least. Windows of one run share its temperature and its moment: repeat both before you blame the hardware.",
        100.0 * at_least
    );
    text
}

fn headline(comparison: &Comparison) -> String {
    let count = |change| comparison.figures.iter().filter(|figure| figure.change == change).count();
    let (worse, better, same) = (count(Change::Worse), count(Change::Better), count(Change::Same));
    let open = comparison.figures.len() - worse - better - same;
    let word = match (comparison.is_worse(), comparison.says_anything()) {
        (true, _) => "WORSE",
        (false, true) => "NOT WORSE",
        (false, false) => "NOTHING TO COMPARE",
    };
    format!(
        "{word}: {worse} figures really worse, {better} really better, {same} the same, {open} not comparable"
    )
}

fn row(figure: &Compared) -> String {
    let name = format!("  {:<22} {:>14} {:>14}", clean(&figure.metric), figure.before, figure.after);
    let Some(s) = &figure.statistics else { return format!("{name}  {}", figure.change.as_str()) };
    let interval = format!("{:.4} to {:.4}", s.low, s.high);
    let chance = if s.chance < 1e-4 { "< 0.0001".to_owned() } else { format!("{:.4}", s.chance) };
    format!(
        "{name}  {:>8.4}  {interval:<18} {:>6.3}  {chance:>8}  {}",
        s.ratio,
        s.superiority,
        figure.change.as_str()
    )
}
