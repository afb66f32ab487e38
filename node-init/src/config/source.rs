//! From texts to settings: the kernel's command line, a file of the image, options of DHCP.

use std::fmt;

use report::MacAddr;

/// Where a setting came from. The later wins: [`Origin::Image`], then [`Origin::Dhcp`], then [`Origin::CommandLine`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Origin {
    /// `site.conf` of the image, and the line.
    Image {
        /// Counted from 1.
        line: usize,
    },
    /// An option of a DHCP server.
    Dhcp,
    /// The kernel's command line.
    CommandLine,
}

impl fmt::Display for Origin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Image { line } => write!(f, "{} line {line}", super::SITE_FILE),
            Self::Dhcp => f.write_str("DHCP"),
            Self::CommandLine => f.write_str("the kernel command line"),
        }
    }
}

/// One `key=value`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Setting {
    /// Without the prefix.
    pub key: String,
    /// As written, without quotes.
    pub value: String,
    /// Where it stood.
    pub origin: Origin,
}

/// The words of a kernel command line: separated by white space, except inside double quotes (`next_arg` in
/// `lib/cmdline.c`).
pub fn words(text: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for c in text.chars() {
        match c {
            '"' => quoted = !quoted,
            c if c.is_whitespace() && !quoted => words.push(std::mem::take(&mut word)),
            c => word.push(c),
        }
    }
    words.push(word);
    words.retain(|word| !word.is_empty());
    words
}

/// Our settings of a kernel command line: `assay.KEY=VALUE`, up to a `--`.
pub fn from_command_line(text: &str) -> Vec<Setting> {
    let words = words(text);
    let ours = words.iter().take_while(|word| *word != "--").filter_map(|word| word.strip_prefix("assay."));
    ours.map(|word| setting(word, Origin::CommandLine)).collect()
}

/// The address behind `BOOTIF=`: plain, or with its hardware type (01, Ethernet) before it and hyphens.
pub fn boot_mac(text: &str) -> Option<MacAddr> {
    let words = words(text);
    let value = words.iter().find_map(|word| word.strip_prefix("BOOTIF="))?.replace('-', ":");
    let plain = if value.len() == 20 { value.strip_prefix("01:")? } else { &value[..] };
    plain.parse().ok()
}

/// The settings of a file: `KEY=VALUE` a line, `#` begins a comment line.
pub fn from_file(text: &str) -> Vec<Setting> {
    let lines = text.lines().map(str::trim).enumerate();
    let lines = lines.filter(|(_, line)| !line.is_empty() && !line.starts_with('#'));
    lines.map(|(n, line)| setting(line, Origin::Image { line: n + 1 })).collect()
}

/// What a DHCP server sets.
pub fn from_dhcp(options: impl IntoIterator<Item = (String, String)>) -> Vec<Setting> {
    let setting = |(key, value)| Setting { key, value, origin: Origin::Dhcp };
    options.into_iter().map(setting).collect()
}

/// A word without `=` has an empty value, which no key takes.
fn setting(text: &str, origin: Origin) -> Setting {
    let (key, value) = text.split_once('=').unwrap_or((text, ""));
    Setting { key: key.trim().to_owned(), value: value.trim().to_owned(), origin }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_command_line_is_read_with_its_quotes_and_up_to_the_dashes() {
        let text =
            "quiet assay.hostname=\"gpu one\" \"assay.log=debug\" BOOTIF=x assay.ntp -- assay.token=no\n";
        let settings = from_command_line(text);
        let pairs: Vec<_> = settings.iter().map(|s| (&s.key[..], &s.value[..])).collect();
        assert_eq!(pairs, [("hostname", "gpu one"), ("log", "debug"), ("ntp", "")]);
    }

    #[test]
    fn a_file_has_comments_and_lines() {
        let settings = from_file("# site\n\n inventory = https://inv:1 \nca=/ca#1\n");
        assert_eq!(settings[0].origin, Origin::Image { line: 3 });
        assert_eq!((&settings[0].value[..], &settings[1].value[..]), ("https://inv:1", "/ca#1"));
    }

    #[test]
    fn the_link_that_was_booted_from_is_read_in_both_forms() {
        let mac: MacAddr = "52:54:00:12:34:56".parse().unwrap();
        assert_eq!(boot_mac("ro BOOTIF=01-52-54-00-12-34-56"), Some(mac));
        assert_eq!(boot_mac("BOOTIF=52:54:00:12:34:56 ro"), Some(mac));
        assert_eq!(boot_mac("BOOTIF=01-52-54 ro"), None);
    }

    proptest! {
        #[test]
        fn no_text_is_too_odd(text in ".*") {
            for setting in from_command_line(&text).into_iter().chain(from_file(&text)) {
                prop_assert!(!setting.key.contains('='));
            }
        }
    }
}
