//! What `node-init register` is told.

use std::path::PathBuf;
use std::time::Duration;

use super::client::InventoryUrl;
use super::token::{Token, TokenError};

/// Arguments of `node-init register`.
#[derive(Clone, Debug, clap::Args)]
pub struct Options {
    /// Address of the inventory
    #[arg(long, value_name = "https://HOST:PORT")]
    pub inventory: InventoryUrl,
    /// The site's CA (PEM); no other is trusted
    #[arg(long, value_name = "FILE")]
    pub ca: PathBuf,
    /// The token that lets this node in
    #[command(flatten)]
    pub token: TokenOptions,
    /// The plan that you expect; where the inventory asks for another, the inventory's is run
    #[arg(long, value_name = "NAME")]
    pub plan: Option<String>,
    /// The burnin program
    #[arg(long, value_name = "PATH")]
    pub burnin: PathBuf,
    /// Where key, journal and reports are kept
    #[arg(long, value_name = "DIR")]
    pub state: PathBuf,
    /// The TPM: a device, or a socket of swtpm; without it /dev/tpmrm0, where there is one
    #[arg(long, value_name = "PATH")]
    pub tpm: Option<PathBuf>,
    /// Give up when a request has not succeeded for so long; without it, never
    #[arg(long, value_name = "SECONDS")]
    pub give_up_after: Option<u32>,
    /// Print the result as one JSON document
    #[arg(long)]
    pub json: bool,
}

/// Where the token comes from.
#[derive(Clone, Debug, Default, clap::Args)]
#[group(required = true, multiple = false)]
pub struct TokenOptions {
    /// File that holds the enrolment token
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,
    /// The enrolment token itself; every user of this node can see it in the list of processes
    #[arg(long, value_name = "TOKEN", value_parser = clap::value_parser!(Token))]
    token: Option<Token>,
}

impl TokenOptions {
    /// A token at hand.
    pub(crate) fn text(token: Token) -> Self {
        Self { token: Some(token), token_file: None }
    }

    /// A token in a file.
    pub(crate) fn file(file: PathBuf) -> Self {
        Self { token: None, token_file: Some(file) }
    }

    /// The token.
    pub fn read(&self) -> Result<Token, TokenError> {
        match (&self.token, &self.token_file) {
            (Some(token), _) => token.clone().checked(),
            (None, Some(file)) => Token::from_file(file),
            // The argument parser asks for one of the two.
            (None, None) => Err(TokenError::Form),
        }
    }
}

impl Options {
    /// How long to go on with one request.
    pub fn patience(&self) -> Option<Duration> {
        self.give_up_after.map(|seconds| Duration::from_secs(seconds.into()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser as _;

    #[derive(Debug, clap::Parser)]
    struct Cli {
        #[command(flatten)]
        options: Options,
    }

    const REST: [&str; 7] = ["register", "--ca", "ca.pem", "--burnin", "burnin", "--state", "state"];

    fn parse(more: &[&str]) -> Result<Options, clap::Error> {
        Cli::try_parse_from(REST.iter().chain(more)).map(|cli| cli.options)
    }

    #[test]
    fn a_whole_command_line_is_read() {
        let more =
            ["--inventory", "https://inv:8443/", "--token", "assay-k7-hunter2", "--give-up-after", "60"];
        let options = parse(&more).unwrap();
        assert_eq!(options.inventory.to_string(), "https://inv:8443");
        assert_eq!(options.patience(), Some(Duration::from_secs(60)));
        assert!(options.token.read().is_ok());
        assert!(!format!("{options:?}").contains("hunter2"));
    }

    #[test]
    fn wrong_usage_is_exit_code_2_and_never_shows_the_token() {
        let token = ["--token", "assay-k7-hunter2"];
        for wrong in [
            &["--inventory", "https://inv"][..],
            &["--inventory", "http://inv", token[0], token[1]],
            &["--inventory", "https://inv", token[0], token[1], "--token-file", "token"],
            &["--inventory", "https://inv", token[0], token[1], "--give-up-after", "-1"],
            &["--inventory", "https://inv", token[0], token[1], token[0], token[1]],
            &[token[0], token[1]],
        ] {
            let error = parse(wrong).unwrap_err();
            assert_eq!(error.exit_code(), 2, "{wrong:?}");
            assert!(!error.to_string().contains("hunter2"), "{error}");
        }
    }
}
