//! What this node is told: `key=value` from the image, from DHCP and from the kernel's command line, the later winning.
//!
//! DHCP may say which inventory to ask, never whom to trust or what to run: whoever answers first on a network is not the
//! site.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use report::MacAddr;

use crate::power::Power;
use crate::register::client::InventoryUrl;
use crate::register::options::{Options, TokenOptions};
use crate::register::token::Token;

pub mod mistake;
pub mod source;

pub use mistake::{Mistake, Mistakes};
pub use source::{Origin, Setting};

/// The file of the image.
pub const SITE_FILE: &str = "/etc/assay/site.conf";
/// Where the state of a registration is kept: in memory, for this boot.
const STATE: &str = "/run/assay/state";

/// The configuration of a boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// Whom to register with.
    pub inventory: Option<InventoryUrl>,
    /// The site's CA.
    pub ca: PathBuf,
    /// The token that lets this node in.
    pub token: Option<Token>,
    /// The file that holds it.
    pub token_file: Option<PathBuf>,
    /// The burn-in program.
    pub burnin: PathBuf,
    /// Address of the link that the node booted from, as PXE's loaders tell it (`BOOTIF=`).
    pub boot_mac: Option<MacAddr>,
    /// How long to wait for an address.
    pub net_timeout: Duration,
    /// Whom to ask for the time, before those that DHCP names.
    pub ntp: Vec<String>,
    /// This node's name.
    pub hostname: Option<String>,
    /// What to do when the node is registered.
    pub on_done: Power,
    /// What to do when it cannot be.
    pub on_failure: Power,
    /// How long to show a failure before it is done.
    pub after: Duration,
    /// How long to try the inventory; for ever if absent.
    pub give_up_after: Option<u32>,
    /// The level of the log, where one is set.
    pub log: Option<String>,
}

impl Default for Config {
    fn default() -> Self {
        Self {
            inventory: None,
            ca: "/etc/assay/ca.pem".into(),
            token: None,
            token_file: None,
            burnin: "/usr/bin/burnin".into(),
            boot_mac: None,
            net_timeout: Duration::from_secs(60),
            ntp: Vec::new(),
            hostname: None,
            on_done: Power::Hold,
            on_failure: Power::Hold,
            after: Duration::from_secs(10),
            give_up_after: None,
            log: None,
        }
    }
}

/// How a key is read.
struct Key {
    name: &'static str,
    /// May DHCP set it?
    from_network: bool,
    /// Is the value a secret?
    secret: bool,
    set: fn(&mut Config, &str) -> Result<(), String>,
}

const fn key(name: &'static str, set: fn(&mut Config, &str) -> Result<(), String>) -> Key {
    Key { name, from_network: false, secret: false, set }
}

const fn open(name: &'static str, set: fn(&mut Config, &str) -> Result<(), String>) -> Key {
    Key { from_network: true, ..key(name, set) }
}

#[rustfmt::skip]
const KEYS: &[Key] = &[
    open("inventory", |c, v| parsed(v).map(|v| c.inventory = Some(v))),
    key("ca", |c, v| path(v).map(|v| c.ca = v)),
    Key { secret: true, ..key("token", |c, v| token(v).map(|v| c.token = Some(v))) },
    key("token_file", |c, v| path(v).map(|v| c.token_file = Some(v))),
    key("burnin", |c, v| path(v).map(|v| c.burnin = v)),
    key("net.timeout", |c, v| seconds(v).map(|v| c.net_timeout = Duration::from_secs(v.into()))),
    open("ntp", |c, v| hosts(v).map(|v| c.ntp = v)),
    open("hostname", |c, v| hostname(v).map(|v| c.hostname = Some(v))),
    key("on_done", |c, v| parsed(v).map(|v| c.on_done = v)),
    key("on_failure", |c, v| parsed(v).map(|v| c.on_failure = v)),
    key("after", |c, v| seconds(v).map(|v| c.after = Duration::from_secs(v.into()))),
    key("give_up_after", |c, v| seconds(v).map(|v| c.give_up_after = Some(v))),
    key("log", |c, v| level(v).map(|v| c.log = Some(v))),
];

fn parsed<T: FromStr>(value: &str) -> Result<T, String>
where
    T::Err: std::fmt::Display,
{
    value.parse().map_err(|error: T::Err| error.to_string())
}

fn path(value: &str) -> Result<PathBuf, String> {
    if value.starts_with('/') { Ok(value.into()) } else { Err("expected an absolute path".to_owned()) }
}

fn token(value: &str) -> Result<Token, String> {
    Token::from(value.to_owned()).checked().map_err(|error| error.to_string())
}

fn seconds(value: &str) -> Result<u32, String> {
    value.parse().map_err(|_| "expected a number of seconds".to_owned())
}

fn hosts(value: &str) -> Result<Vec<String>, String> {
    let hosts: Vec<String> = value.split(',').map(str::to_owned).collect();
    let plain = |c: char| c.is_ascii_alphanumeric() || "-.:".contains(c);
    if hosts.iter().all(|host| !host.is_empty() && host.chars().all(plain)) {
        Ok(hosts)
    } else {
        Err("expected names or addresses with commas between".to_owned())
    }
}

/// A name that every DNS takes (RFC 1123): labels of letters, digits and hyphens.
fn hostname(value: &str) -> Result<String, String> {
    let plain = |c: u8| c.is_ascii_alphanumeric() || c == b'-';
    let label = |l: &str| {
        (1..=63).contains(&l.len()) && l.bytes().all(plain) && !l.starts_with('-') && !l.ends_with('-')
    };
    if value.len() <= 64 && value.split('.').all(label) {
        Ok(value.to_owned())
    } else {
        Err("expected letters, digits and hyphens, at most 64 of them".to_owned())
    }
}

fn level(value: &str) -> Result<String, String> {
    if ["off", "error", "warn", "info", "debug", "trace"].contains(&value) {
        Ok(value.to_owned())
    } else {
        Err("expected `off`, `error`, `warn`, `info`, `debug` or `trace`".to_owned())
    }
}

impl Config {
    /// Reads settings, and says all that is wrong with them. What is well-formed holds even then, so that a slip
    /// elsewhere does not undo the policy for failures.
    pub fn from_settings(mut settings: Vec<Setting>) -> (Self, Vec<Mistake>) {
        let (mut config, mut mistakes) = (Self::default(), Vec::new());
        settings.sort_by_key(|setting| setting.origin);
        for setting in &settings {
            match KEYS.iter().find(|key| key.name == setting.key) {
                None => mistakes.push(mistake::unknown(setting, KEYS.iter().map(|key| key.name))),
                Some(key) => mistakes.extend(config.set(key, setting)),
            }
        }
        (config, mistakes)
    }

    fn set(&mut self, key: &Key, setting: &Setting) -> Option<Mistake> {
        if setting.origin == Origin::Dhcp && !key.from_network {
            return Some(Mistake::NotFrom { key: key.name, origin: setting.origin });
        }
        let expected = (key.set)(self, &setting.value).err()?;
        let value = (!key.secret).then(|| setting.value.clone());
        Some(Mistake::Value { key: key.name, value, origin: setting.origin, expected })
    }

    /// What `register` is told, or what is missing for it.
    pub fn register_options(&self) -> Result<Options, Mistakes> {
        let mut mistakes = Vec::new();
        if self.inventory.is_none() {
            mistakes.push(Mistake::Missing { form: "inventory=https://HOST:PORT" });
        }
        let token = match (&self.token, &self.token_file) {
            (Some(token), _) => TokenOptions::text(token.clone()),
            (None, Some(file)) => TokenOptions::file(file.clone()),
            (None, None) => {
                mistakes.push(Mistake::Missing { form: "token=TOKEN or token_file=PATH" });
                TokenOptions::default()
            }
        };
        let Some(inventory) = self.inventory.clone().filter(|_| mistakes.is_empty()) else {
            return Err(Mistakes(mistakes));
        };
        Ok(Options {
            inventory,
            ca: self.ca.clone(),
            token,
            plan: None,
            burnin: self.burnin.clone(),
            state: STATE.into(),
            tpm: None,
            give_up_after: self.give_up_after,
            json: false,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(image: &str, dhcp: &[(&str, &str)], line: &str) -> (Config, Vec<Mistake>) {
        let dhcp = dhcp.iter().map(|(key, value)| (key.to_string(), value.to_string()));
        let all = [source::from_command_line(line), source::from_dhcp(dhcp), source::from_file(image)];
        Config::from_settings(all.concat())
    }

    #[test]
    fn the_command_line_wins_over_dhcp_and_dhcp_over_the_image() {
        let image = "hostname=a\ninventory=https://a\nntp=a\ntoken=assay-k7-hunter2\n";
        let dhcp = [("hostname", "b"), ("inventory", "https://b")];
        let (config, mistakes) = read(image, &dhcp, "ro assay.hostname=c assay.on_done=poweroff");
        assert_eq!(mistakes, []);
        assert_eq!(config.hostname.as_deref(), Some("c"));
        assert_eq!(config.inventory.as_ref().unwrap().to_string(), "https://b");
        assert_eq!((config.ntp.clone(), config.on_done), (vec!["a".to_owned()], Power::Off));
        let options = config.register_options().unwrap();
        assert_eq!(options.state, PathBuf::from(STATE));
        assert!(options.token.read().is_ok());
    }

    #[test]
    fn all_mistakes_come_at_once_with_where_they_stand() {
        let line = "assay.inventroy=https://a assay.after=soon assay.token=hunter2 assay.on_failure=reboot assay.quux=1";
        let (config, mistakes) = read("hostname=-x\nca=ca.pem\n", &[("ca", "/tmp/ca"), ("token", "x")], line);
        let text: Vec<_> = mistakes.iter().map(ToString::to_string).collect();
        assert_eq!(
            text,
            [
                "/etc/assay/site.conf line 1: `hostname=-x`: expected letters, digits and hyphens, at most 64 of them",
                "/etc/assay/site.conf line 2: `ca=ca.pem`: expected an absolute path",
                "DHCP may not set `ca`: set it in the image or on the kernel command line",
                "DHCP may not set `token`: set it in the image or on the kernel command line",
                "the kernel command line: `inventroy` is no key: did you mean `inventory`?",
                "the kernel command line: `after=soon`: expected a number of seconds",
                "the kernel command line: `token`: the token does not have the form `assay-ID-SECRET`: copy it whole \
                 from the inventory",
                "the kernel command line: `quux` is no key",
            ]
        );
        assert_eq!(config.on_failure, Power::Reboot, "the policy holds all the same");
    }

    #[test]
    fn what_a_registration_needs_is_named_if_it_is_missing() {
        let missing = read("", &[], "quiet").0.register_options().unwrap_err().to_string();
        assert_eq!(
            missing,
            "missing: set `inventory=https://HOST:PORT`; missing: set `token=TOKEN or token_file=PATH`"
        );
    }

    #[test]
    fn debug_output_does_not_show_the_token() {
        let (config, _) = read("token=assay-k7-hunter2", &[], "");
        assert!(!format!("{config:?}").contains("hunter2"));
    }
}
