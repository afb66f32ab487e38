//! Lines for a terminal out of text that nobody vouches for: names of devices and drivers, notes, figures.

/// Columns of a line.
pub(super) const COLUMNS: usize = 100;

/// A space at which no line is broken; written as a plain one.
pub(super) const NO_BREAK: char = '\u{a0}';

/// Text from outside (a driver, the firmware) without characters that could move the cursor, turn the direction of
/// writing or hide: control characters, and those of Unicode's categories Zl, Zp and Cf.
pub fn clean(text: &str) -> String {
    let hidden = |c: char| {
        matches!(c, '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
    };
    text.chars().map(|c| if c.is_control() || hidden(c) { '?' } else { c }).collect()
}

/// Clean, and of so many characters at most; what was cut leaves a mark.
pub(crate) fn clip(text: &str, width: usize) -> String {
    let text = clean(text);
    if text.chars().count() <= width {
        return text;
    }
    let kept: String = text.chars().take(width.saturating_sub(1)).collect();
    format!("{kept}…")
}

/// A figure with so many decimals; in powers of ten where it would be too long to read.
pub(crate) fn number(value: f64, decimals: usize) -> String {
    if value.is_infinite() {
        return "beyond 1e308".to_owned();
    }
    if value < 1e12 { format!("{value:.decimals$}") } else { format!("{value:.1e}") }
}

/// As [`wrap_to`], for a report.
pub(super) fn wrap(out: &mut String, label: &str, indent: usize, text: &str) {
    wrap_to(COLUMNS, out, label, indent, text);
}

/// Writes a label and a text, cleaned, broken between words into lines that begin at this column after the first.
pub(super) fn wrap_to(columns: usize, out: &mut String, label: &str, indent: usize, text: &str) {
    let text = clean(text);
    let mut line = label.to_owned();
    let mut empty = true;
    for word in text.split(' ').filter(|word| !word.is_empty()) {
        let mut word: Vec<char> = word.chars().collect();
        loop {
            let room = columns.saturating_sub(line.chars().count() + usize::from(!empty));
            if word.len() <= room {
                break;
            }
            if empty {
                // A word longer than a line is broken where the line ends.
                line.extend(word.drain(..room.max(1)));
            }
            new_line(out, &mut line, indent);
            empty = true;
        }
        if !empty {
            line.push(' ');
        }
        line.extend(word);
        empty = false;
    }
    end_line(out, &line);
}

fn end_line(out: &mut String, line: &str) {
    out.push_str(&line.trim_end().replace(NO_BREAK, " "));
    out.push('\n');
}

fn new_line(out: &mut String, line: &mut String, indent: usize) {
    end_line(out, line);
    *line = " ".repeat(indent);
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn escapes_and_hidden_characters_are_made_harmless() {
        assert_eq!(clean("a\u{1b}[2Jb\nc\u{202e}d\u{200b}e\u{9b}f"), "a?[2Jb?c?d?e?f");
    }

    #[test]
    fn lines_break_between_words_and_hang_below_their_label() {
        let mut out = String::new();
        wrap(&mut out, "  do  ", 6, &"word ".repeat(30));
        let lines: Vec<_> = out.lines().collect();
        assert_eq!(lines.len(), 2);
        assert!(lines[0].starts_with("  do  word") && lines[1].starts_with("      word"), "{out}");
    }

    proptest! {
        #[test]
        fn no_text_makes_a_line_too_long_or_loses_a_character(text in ".{0,300}", indent in 0usize..60) {
            let mut out = String::new();
            wrap(&mut out, "label ", indent, &text);
            prop_assert!(out.lines().all(|line| line.chars().count() <= COLUMNS), "{}", out);
            let solid = |text: &str| text.chars().filter(|c| !c.is_whitespace()).collect::<String>();
            prop_assert_eq!(solid(&out), format!("label{}", solid(&clean(&text))));
        }
    }
}
