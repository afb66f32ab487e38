//! A calibration for people: as text, and as Markdown for the documentation.

use super::class::Class;
use super::document::{Calibration, Cell, Death, Fate, Mutant};

/// A share in percent; 100 only where all were seen.
fn share(found: u32, injected: u32) -> String {
    if found == injected {
        return "100".to_owned();
    }
    let percent = f64::from(found) / f64::from(injected) * 100.0;
    // Rounded down, so that a miss never reads as none.
    format!("{:.1}", (percent * 10.0).floor() / 10.0)
}

/// `100` is a claim that holds, `!99.9` one that does not, `(93.1)` no claim, `-` a fault that cannot be put there.
fn mark(cell: Option<&Cell>) -> String {
    match cell {
        None => "-".to_owned(),
        Some(cell) if cell.injected == 0 => if cell.claimed { "!-" } else { "-" }.to_owned(),
        Some(cell) if cell.broken() => format!("!{}", share(cell.found, cell.injected)),
        Some(cell) if cell.claimed => share(cell.found, cell.injected),
        Some(cell) => format!("({})", share(cell.found, cell.injected)),
    }
}

/// One table: head, rows of the same length.
struct Table {
    head: Vec<String>,
    rows: Vec<Vec<String>>,
}

impl Table {
    fn text(&self) -> String {
        let all = || std::iter::once(&self.head).chain(&self.rows);
        let width = |at: usize| all().map(|row| row[at].chars().count()).max().unwrap_or(0);
        let widths: Vec<usize> = (0..self.head.len()).map(width).collect();
        let line = |row: &Vec<String>| {
            let cells = row.iter().zip(&widths).enumerate();
            let cells = cells.map(|(n, (cell, width))| match n {
                0 => format!("{cell:<width$}"),
                _ => format!("{cell:>width$}"),
            });
            cells.collect::<Vec<_>>().join("  ").trim_end().to_owned() + "\n"
        };
        all().map(line).collect()
    }

    fn markdown(&self) -> String {
        let line = |row: &[String]| format!("| {} |\n", row.join(" | "));
        let rule = format!("|---|{}\n", "---:|".repeat(self.head.len() - 1));
        line(&self.head) + &rule + &self.rows.iter().map(|row| line(row)).collect::<String>()
    }
}

fn matrix(calibration: &Calibration, short: bool) -> Table {
    let names = calibration.names();
    let heads = names.iter().enumerate().map(|(n, name)| match short {
        true => format!("[{}]", n + 1),
        false => (*name).to_owned(),
    });
    let find = |class, name: &str| {
        calibration.cells.iter().find(move |cell| cell.class == class && cell.checker == name)
    };
    let tried = Class::ALL.into_iter().filter(|class| calibration.cells.iter().any(|c| c.class == *class));
    let rows = tried.map(|class| {
        let marks = names.iter().map(|name| mark(find(class, name)));
        std::iter::once(class.to_string()).chain(marks).collect()
    });
    Table { head: std::iter::once("fault class".to_owned()).chain(heads).collect(), rows: rows.collect() }
}

fn contrast(calibration: &Calibration) -> Table {
    let mut ways: Vec<&str> = Vec::new();
    for row in &calibration.contrast {
        if !ways.contains(&row.way.as_str()) {
            ways.push(&row.way);
        }
    }
    let classes =
        Class::ALL.into_iter().filter(|class| calibration.contrast.iter().any(|c| c.class == *class));
    let rows = classes.map(|class| {
        let cells = ways.iter().map(|way| {
            let row = calibration.contrast.iter().find(|row| row.way == *way && row.class == class);
            row.map_or_else(|| "-".to_owned(), |row| share(row.found, row.injected))
        });
        std::iter::once(class.to_string()).chain(cells).collect()
    });
    let heads = ways.iter().map(|way| (*way).to_owned());
    Table { head: std::iter::once("damage".to_owned()).chain(heads).collect(), rows: rows.collect() }
}

/// Seconds for people.
fn span(seconds: f64) -> String {
    match seconds {
        s if s < 1.0 => format!("{:.2} ms", s * 1e3),
        s if s < 120.0 => format!("{s:.1} s"),
        s if s < 7200.0 => format!("{:.1} min", s / 60.0),
        s if s < 172_800.0 => format!("{:.1} h", s / 3600.0),
        s => format!("{:.1} d", s / 86_400.0),
    }
}

fn durations(calibration: &Calibration) -> Table {
    let mut names: Vec<&str> = Vec::new();
    for row in &calibration.durations {
        if !names.contains(&row.checker.as_str()) {
            names.push(&row.checker);
        }
    }
    let first =
        calibration.durations.iter().filter(|row| Some(row.checker.as_str()) == names.first().copied());
    let rates: Vec<f64> = first.map(|row| row.error_rate).collect();
    let rows = names.iter().map(|name| {
        let mine: Vec<_> = calibration.durations.iter().filter(|row| row.checker == *name).collect();
        let speed = calibration.checkers.iter().find(|speed| speed.checker == *name);
        let rate = speed.and_then(|speed| speed.operations_per_s).unwrap_or(0.0);
        let seen = mine.first().map_or(0.0, |row| row.seen_share * 100.0);
        let mut row = vec![(*name).to_owned(), format!("{:.2}", rate / 1e9), format!("{seen:.1}")];
        row.extend(mine.iter().map(|row| span(row.seconds)));
        row
    });
    let heads = ["unit", "G operations/s", "seen %"].map(str::to_owned).into_iter();
    let head = heads.chain(rates.iter().map(|rate| format!("{rate:.0e}"))).collect();
    Table { head, rows: rows.collect() }
}

/// A heading, and which fates stand under it.
type Column = (&'static str, fn(&Fate) -> bool);

/// Mutants by kernel and fate.
fn mutants(all: &[Mutant]) -> Table {
    const FATES: [Column; 7] = [
        ("by a round", |fate| matches!(fate, Fate::Caught { by_canary: false, .. })),
        ("by its canary", |fate| matches!(fate, Fate::Caught { by_canary: true, .. })),
        ("refused", |fate| matches!(fate, Fate::Refused(_))),
        ("crashed", |fate| matches!(fate, Fate::Crashed(_))),
        ("hung", |fate| *fate == Fate::Hung),
        ("equivalent", |fate| matches!(fate, Fate::Equivalent(_))),
        ("SURVIVED", |fate| *fate == Fate::Survived),
    ];
    let mut names: Vec<&str> = all.iter().map(|mutant| mutant.kernel.as_str()).collect();
    names.dedup();
    let rows = names.iter().map(|name| {
        let mine = || all.iter().filter(|mutant| mutant.kernel == *name);
        let counts = FATES.iter().map(|(_, is)| mine().filter(|mutant| is(&mutant.fate)).count().to_string());
        let mut row = vec![(*name).to_owned(), mine().count().to_string()];
        row.extend(counts);
        row
    });
    let heads = ["kernel", "mutants"].into_iter().chain(FATES.map(|(name, _)| name));
    Table { head: heads.map(str::to_owned).collect(), rows: rows.collect() }
}

const KEY: &str =
    "100: all seen, as claimed. (93.1): share seen, not claimed. -: cannot be put there. !: a broken claim.";

/// Lines that say what is wrong; none when all is well.
fn troubles(calibration: &Calibration) -> Vec<String> {
    let mut lines = Vec::new();
    for cell in calibration.cells.iter().filter(|cell| cell.broken()) {
        let (checker, class) = (&cell.checker, cell.class);
        lines.push(format!("MISSED {checker}, {class}: {} of {}", cell.missed(), cell.injected));
        if cell.absent > 0 || cell.injected == 0 {
            lines.push(format!(
                "  claimed, but in {} cases the fault could not be put there",
                cell.absent.max(1)
            ));
        }
        lines.extend(cell.misses.iter().map(|miss| format!("  seed {}: {}", miss.seed, miss.what)));
    }
    for alarm in &calibration.clean.first {
        lines.push(format!("FALSE ALARM {} seed {}: {}", alarm.checker, alarm.seed, alarm.what));
    }
    let mutants = calibration.mutants.iter().flat_map(|mutants| &mutants.tried);
    for mutant in mutants.filter(|mutant| mutant.fate == Fate::Survived) {
        lines.push(format!("HOLE {} mutant {}: {}", mutant.kernel, mutant.number, mutant.change));
    }
    lines
}

/// One line on rounds without a fault; the bound is the rule of three.
fn clean(calibration: &Calibration) -> String {
    #[expect(clippy::cast_precision_loss, reason = "a bound to two digits")]
    let bound = 3.0 / calibration.clean.rounds.max(1) as f64;
    let Calibration { clean, .. } = calibration;
    format!(
        "{} rounds without a fault, {} false alarms (95 % bound {bound:.1e} a round)",
        clean.rounds, clean.alarms
    )
}

fn head(calibration: &Calibration) -> String {
    let Calibration { device, injections, .. } = calibration;
    let rates = calibration.checkers.iter().map(|s| format!("{} {:.0}", s.checker, s.rounds_per_s));
    format!(
        "{} ({}), {injections} injections a cell, {:.0} s\nrounds/s: {}\n",
        report::text::clean(&device.name),
        report::text::clean(&device.driver),
        calibration.took_s,
        rates.collect::<Vec<_>>().join(", ")
    )
}

fn base_rate(calibration: &Calibration) -> String {
    let worth = calibration.base_rate.iter();
    let worth = worth.map(|b| format!("{:.0e}: {:.0} %", b.false_alarm_rate, b.right * 100.0));
    let first = calibration.base_rate.first();
    let (prevalence, sensitivity) = first.map_or((0.0, 0.0), |b| (b.prevalence, b.sensitivity));
    format!(
        "With {prevalence:.0e} of devices bad and {:.0} % of them found, an alarm is right, by rate of false alarms: {}",
        sensitivity * 100.0,
        worth.collect::<Vec<_>>().join(", ")
    )
}

/// As text.
pub fn text(calibration: &Calibration) -> String {
    let mut out = head(calibration) + "\n" + &matrix(calibration, true).text() + KEY + "\n";
    for (number, name) in calibration.names().iter().enumerate() {
        out += &format!("[{}] {name}\n", number + 1);
    }
    for skipped in &calibration.skipped {
        out += &format!("not tried: {}: {}\n", skipped.checker, skipped.reason);
    }
    for Death { part, how } in &calibration.deaths {
        out += &format!("the driver took a worker with it, and the cell was done again: {part}: {how}\n");
    }
    out +=
        &format!("\n{}\n\nOther ways of comparing, same damage, on the host (% seen):\n", clean(calibration));
    out += &contrast(calibration).text();
    out += "\nTime to see an error of a rate with 95 %:\n";
    out += &durations(calibration).text();
    out += &format!("{}\n", base_rate(calibration));
    if let Some(all) = &calibration.mutants {
        out += &format!("\nChanged kernels, and who noticed:\n{}", mutants(&all.tried).text());
    }
    for line in troubles(calibration) {
        out += &format!("{}\n", report::text::clean(&line));
    }
    out + if calibration.holds() { "every claim holds\n" } else { "A CLAIM IS BROKEN\n" }
}

/// As Markdown, for the documentation.
pub fn markdown(calibration: &Calibration) -> String {
    let when = calibration.started_at.to_string();
    let date = when.split('T').next().unwrap_or(&when);
    let mut out = format!("{date}, {}\n", head(calibration).replace("\nrounds/s", ". Rounds a second"));
    out += &format!("\n{}\n{KEY}\n\n{}.\n\n", matrix(calibration, false).markdown(), clean(calibration));
    for skipped in &calibration.skipped {
        out += &format!("Not tried: {}: {}.\n\n", skipped.checker, skipped.reason);
    }
    for Death { part, how } in &calibration.deaths {
        out += &format!("The driver took a worker with it, and the cell was done again: {part}: {how}.\n\n");
    }
    out += &format!(
        "## Other ways of comparing, % seen of the same damage\n\n{}\n",
        contrast(calibration).markdown()
    );
    out += &format!("## Time to see an error of a rate with 95 %\n\n{}\n", durations(calibration).markdown());
    out += &format!("{}.\n", base_rate(calibration));
    if let Some(all) = &calibration.mutants {
        out += &format!("\n## Changed kernels, and who noticed\n\n{}", mutants(&all.tried).markdown());
        out += &equivalents(&all.tried);
    }
    for line in troubles(calibration) {
        out += &format!("\n* {}\n", report::text::clean(&line));
    }
    out
}

/// Why those that make no difference make none.
fn equivalents(all: &[Mutant]) -> String {
    let mut reasons: Vec<(&str, usize)> = Vec::new();
    for mutant in all {
        let Fate::Equivalent(reason) = &mutant.fate else { continue };
        match reasons.iter_mut().find(|(known, _)| known == reason) {
            Some((_, count)) => *count += 1,
            None => reasons.push((reason, 1)),
        }
    }
    let lines = reasons.iter().map(|(reason, count)| format!("* equivalent, {count}: {reason}\n"));
    format!("\n{}", lines.collect::<String>())
}
