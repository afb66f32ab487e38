//! Runs the table of faults (`tests/faults.toml`), and says of each whether it arrived and what came of it.
#![allow(clippy::print_stdout, reason = "the table is what the program is for")]

use std::fmt::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use clap::Parser;
use stories::faults::{Inject, Row, Seen, Table, run};

/// Puts faults in, one after the other, and compares what `burnin` makes of them with the table.
///
/// Exit codes: 0 every row holds, 1 one does not, 2 wrong usage.
#[derive(Parser)]
struct Arguments {
    /// Only rows whose name has this in it.
    #[arg(long, value_name = "TEXT")]
    only: Option<String>,
    /// Leave out rows that take minutes.
    #[arg(long)]
    short: bool,
    /// Write the table with what was seen to this file, as Markdown.
    #[arg(long, value_name = "FILE")]
    page: Option<PathBuf>,
}

fn main() -> anyhow::Result<ExitCode> {
    let arguments = Arguments::parse();
    let table = Table::of_the_tree()?;
    let chosen = |row: &&Row| {
        arguments.only.as_ref().is_none_or(|text| row.id.contains(text)) && !(arguments.short && row.long)
    };
    let rows: Vec<_> = table.rows.iter().filter(chosen).collect();
    if rows.is_empty() {
        bail!("no row has `{}` in its name", arguments.only.unwrap_or_default());
    }
    let _turn = stories::turn();
    let mut page = PAGE.to_owned();
    let mut held = 0;
    for row in &rows {
        let seen = run(row);
        println!("{}", line(row, &seen));
        seen.amiss.iter().for_each(|why| println!("    {why}"));
        held += usize::from(seen.holds());
        writeln!(page, "{}", page_line(row, &seen))?;
    }
    println!("{held} of {} rows hold", rows.len());
    if let Some(path) = &arguments.page {
        std::fs::write(path, page).with_context(|| format!("writing `{}`", path.display()))?;
    }
    Ok(ExitCode::from(u8::from(held < rows.len())))
}

fn line(row: &Row, seen: &Seen) -> String {
    let word = if seen.holds() { "holds" } else { "FAILS" };
    let expected = &row.expect;
    format!(
        "{word}  {:<30} {:>6} arrived  {:<18} {:<9} {:<18} {:>6.1} s",
        row.id,
        seen.arrivals,
        expected.check,
        expected.outcome.as_str(),
        expected.code,
        seen.took.as_secs_f64()
    )
}

const PAGE: &str = "# The table of faults

Written by `make faults` from `tests/faults.toml`: each fault is put in, seen to arrive, and must end as the row says. Times
are of the machine that wrote this page.

| Fault | What is wrong | Put in by | Arrived | Check | Outcome | Reason | Exit | Seconds | Holds |
|---|---|---|--:|---|---|---|--:|--:|---|
";

fn page_line(row: &Row, seen: &Seen) -> String {
    let how = match &row.inject {
        Inject::Layer(plan) => format!("layer `{plan}`"),
        Inject::Plant(fault) => format!("`--plant {fault}`"),
        Inject::Driver(name) => format!("a driver that does `{name}`"),
        Inject::Manifest(_) => "driver manifest".to_owned(),
        Inject::Machine => "the machine".to_owned(),
    };
    let expected = &row.expect;
    format!(
        "| `{}` | {} | {how} | {} | `{}` | {} | {} | {} | {:.1} | {} |",
        row.id,
        row.what,
        seen.arrivals,
        expected.check,
        expected.outcome.as_str(),
        expected.code,
        expected.exit,
        seen.took.as_secs_f64(),
        if seen.holds() { "yes" } else { "**no**" }
    )
}
