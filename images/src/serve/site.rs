//! The site layer: where the inventory is, whom to trust, a token, and what else the site sets.

use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Context as _, ensure};

use super::token;
use crate::cpio::File;
use crate::image::compress;

/// Settings that this program makes itself.
const RESERVED: [&str; 4] = ["inventory", "ca", "token", "token_file"];
const CA_PATH: &str = "etc/assay/ca.pem";
const COMPRESSION: i32 = 3;

/// What the nodes are told.
#[derive(clap::Args, Debug)]
pub(crate) struct Settings {
    /// The inventory's address, `https://HOST:PORT`.
    #[arg(long, value_name = "URL")]
    inventory: String,
    /// The inventory's CA certificate (PEM).
    #[arg(long, value_name = "FILE")]
    ca: PathBuf,
    /// A further setting for the nodes.
    #[arg(long = "set", value_name = "KEY=VALUE")]
    settings: Vec<String>,
    /// Program that prints a fresh token, with its arguments; stands last.
    #[arg(long, value_name = "PROGRAM ARG", required = true, num_args = 1.., allow_hyphen_values = true)]
    token_command: Vec<OsString>,
}

/// The site layer but for its token.
pub(super) struct Site {
    ca: Vec<u8>,
    /// Lines of `site.conf`.
    lines: String,
    command: token::Source,
}

impl Site {
    /// Reads the certificate and says what is wrong with the settings.
    pub(super) fn new(options: &Settings) -> anyhow::Result<Self> {
        let ca = std::fs::read(&options.ca).with_context(|| format!("reading `{}`", options.ca.display()))?;
        ensure!(
            String::from_utf8_lossy(&ca).contains("-----BEGIN CERTIFICATE-----"),
            "`{}` holds no PEM certificate",
            options.ca.display()
        );
        let url = &options.inventory;
        let host = url.strip_prefix("https://").unwrap_or_default();
        ensure!(
            !host.is_empty() && !host.contains(|c: char| c.is_whitespace() || c.is_control()),
            "`{url}` is no address of an inventory: use the form `https://HOST:PORT`"
        );
        let mut lines = format!("inventory={url}\nca=/{CA_PATH}\n");
        for setting in &options.settings {
            lines += checked(setting)?;
            lines.push('\n');
        }
        Ok(Self { ca, lines, command: token::Source::new(&options.token_command)? })
    }

    /// The layer, with a fresh token.
    pub(super) async fn layer(&self) -> anyhow::Result<Vec<u8>> {
        let token = self.command.ask(token::DEADLINE).await?;
        let conf = format!("{}token={}\n", self.lines, token.reveal());
        let files = [
            ("etc/assay/site.conf", File::regular(0o600, conf)),
            (CA_PATH, File::regular(0o644, self.ca.clone())),
        ];
        compress(&files.map(|(path, file)| (path.to_owned(), file)).into(), COMPRESSION)
    }
}

/// A setting that is one line and none of our own.
fn checked(setting: &str) -> anyhow::Result<&str> {
    let key = setting.split_once('=').map_or("", |(key, _)| key.trim());
    ensure!(
        !key.is_empty() && !key.starts_with('#') && !setting.contains(char::is_control),
        "`--set {}` has not the form KEY=VALUE",
        setting.escape_debug()
    );
    ensure!(!RESERVED.contains(&key), "`--set {key}=...` is made by this program: use its own options");
    Ok(setting)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(dir: &std::path::Path, settings: &[&str]) -> Settings {
        let ca = dir.join("ca.pem");
        std::fs::write(&ca, "-----BEGIN CERTIFICATE-----\n").unwrap();
        Settings {
            inventory: "https://inventory:8443".into(),
            ca,
            settings: settings.iter().map(ToString::to_string).collect(),
            token_command: ["echo", "assay-id-secret"].map(OsString::from).into(),
        }
    }

    #[tokio::test]
    async fn the_layer_holds_settings_that_only_root_reads_and_the_certificate() {
        let dir = tempfile::tempdir().unwrap();
        let site = Site::new(&options(dir.path(), &["on_done=poweroff"])).unwrap();
        let layer = site.layer().await.unwrap();
        let mut archive = Vec::new();
        // Behind the frame is the padding between layers.
        let mut frame = zstd::Decoder::new(layer.as_slice()).unwrap().single_frame();
        std::io::Read::read_to_end(&mut frame, &mut archive).unwrap();
        let files = crate::cpio::read(&archive).unwrap();
        let conf = &files["etc/assay/site.conf"];
        assert_eq!(conf.mode, 0o600);
        assert_eq!(
            String::from_utf8(conf.content.clone()).unwrap(),
            "inventory=https://inventory:8443\nca=/etc/assay/ca.pem\non_done=poweroff\ntoken=assay-id-secret\n"
        );
        assert_eq!(files[CA_PATH], File::regular(0o644, "-----BEGIN CERTIFICATE-----\n"));
        assert_eq!(files.len(), 2);
    }

    #[test]
    fn a_setting_that_is_no_line_or_ours_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        for bad in ["log", "=x", "# a=b", "log=info\ntoken=assay-a-b", "token=x", " ca =/x", "token_file=/x"]
        {
            assert!(Site::new(&options(dir.path(), &[bad])).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_address_without_tls_and_a_file_without_certificate_are_refused() {
        let dir = tempfile::tempdir().unwrap();
        for bad in ["http://inventory", "https://", "https://a\ntoken=x"] {
            let options = Settings { inventory: bad.into(), ..options(dir.path(), &[]) };
            assert!(Site::new(&options).is_err(), "{bad}");
        }
        let options = options(dir.path(), &[]);
        std::fs::write(&options.ca, "-----BEGIN PRIVATE KEY-----\n").unwrap();
        let error = Site::new(&options).err().unwrap();
        assert!(error.to_string().contains("holds no PEM certificate"), "{error:#}");
    }
}
