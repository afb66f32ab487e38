//! The `inventory` program: serves the fleet's record, makes tokens, and shows what is known.

mod verbs;

use std::io::{self, Write};
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

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
    Audit(verbs::audit::Audit),
    Fleet(verbs::fleet::Fleet),
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

fn run(Arguments { data, verb }: Arguments) -> Result<ExitCode> {
    match verb {
        Verb::Serve(serve) => serve.run(data),
        Verb::Token(token) => token.run(&data),
        Verb::Nodes(nodes) => nodes.run(data),
        Verb::Node(node) => node.run(data),
        Verb::Audit(audit) => audit.run(data),
        Verb::Fleet(fleet) => fleet.run(data),
    }
}
