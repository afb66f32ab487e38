//! What a serial console says, without what it says to a terminal.

/// The text of a line: escape sequences (ECMA-48, 5.4) and control characters left out.
pub(crate) fn plain(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let mut out = String::with_capacity(text.len());
    let mut characters = text.chars();
    while let Some(character) = characters.next() {
        match character {
            '\u{1b}' => {
                if characters.next() == Some('[') {
                    // Parameters, then one final byte.
                    characters.by_ref().find(|c| ('@'..='~').contains(c));
                }
            }
            '\t' => out.push(' '),
            c if c.is_control() => {}
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::plain;

    #[test]
    fn what_is_for_a_terminal_is_left_out() {
        assert_eq!(plain(b"\x1b[2J\x1b[01;31massay: phase\x1b[0m mount\r"), "assay: phase mount");
        assert_eq!(plain(b"\x1bc\ta\xff"), " a\u{fffd}");
        assert_eq!(plain(b"\x1b["), "");
    }
}
