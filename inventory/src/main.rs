//! The `inventory` program: serves the fleet's record, makes tokens, and shows what is known.

mod verbs;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};
use verbs::Site;

/// Keeps the record of all nodes and decides which of them may take work.
#[derive(Debug, Parser)]
#[command(version, max_term_width = 100)]
struct Arguments {
    /// Where everything is kept: database, keys, certificates
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "ASSAY_INVENTORY_DATA",
        default_value = "./.assay/inventory"
    )]
    data: PathBuf,
    /// A PostgreSQL database that keeps the record instead of a file in --data: postgres://USER@HOST/DATABASE
    #[arg(
        long,
        global = true,
        value_name = "ADDRESS",
        env = "ASSAY_INVENTORY_DATABASE",
        hide_env_values = true
    )]
    database: Option<String>,
    #[command(subcommand)]
    verb: Verb,
}

/// A file in `verbs/` for each.
#[derive(Debug, Subcommand)]
enum Verb {
    Serve(verbs::serve::Serve),
    Token(verbs::token::Token),
    Nodes(verbs::nodes::Nodes),
    Node(verbs::node::Node),
    Readiness(verbs::readiness::Readiness),
    Wish(verbs::wish::Wish),
    Label(verbs::label::Label),
    AccessKey(verbs::access_key::AccessKey),
    Audit(verbs::audit::Audit),
    Verify(verbs::verify::Verify),
    Backup(verbs::backup::Backup),
    Restore(verbs::restore::Restore),
    Migrate(verbs::migrate::Migrate),
    Simulate(verbs::simulate::Simulate),
    Tournament(verbs::tournament::Tournament),
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    tracing_subscriber::fmt()
        .with_writer(io::stderr)
        .with_env_filter(
            tracing_subscriber::EnvFilter::try_from_default_env().unwrap_or_else(|_| "info".into()),
        )
        .init();
    match run(arguments) {
        Ok(code) => code,
        Err(error) if verbs::is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "inventory: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(Arguments { data, database, verb }: Arguments) -> Result<ExitCode> {
    let site = Site::new(data, database.as_deref())?;
    match verb {
        Verb::Serve(serve) => serve.run(site),
        Verb::Token(token) => token.run(&site),
        Verb::Nodes(nodes) => nodes.run(&site),
        Verb::Node(node) => node.run(&site),
        Verb::Readiness(readiness) => readiness.run(&site),
        Verb::Wish(wish) => wish.run(&site),
        Verb::Label(label) => label.run(&site),
        Verb::AccessKey(key) => key.run(&site),
        Verb::Audit(audit) => audit.run(&site),
        Verb::Verify(verify) => verify.run(&site),
        Verb::Backup(backup) => backup.run(&site),
        Verb::Restore(restore) => restore.run(&site),
        Verb::Migrate(migrate) => migrate.run(),
        Verb::Simulate(simulate) => simulate.run(),
        Verb::Tournament(tournament) => tournament.run(),
    }
}
