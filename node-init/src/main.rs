//! The `node-init` program. Standard output carries the result, everything else goes to standard error.

use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::Context as _;
use clap::{Parser, Subcommand};
use discover::Root;
use node_init::exit::Exit;
use node_init::{init, log, register};

/// Brings a node up: discovers it, burns it in, registers it
#[derive(Debug, Parser)]
#[command(name = "node-init", version)]
struct Cli {
    #[command(subcommand)]
    command: Verb,
}

#[derive(Debug, Subcommand)]
enum Verb {
    /// Print the facts about this node as JSON
    Discover {
        /// Read below this directory (a captured tree with `sys` and `proc`) instead of `/`
        #[arg(long, value_name = "DIR", default_value = "/")]
        root: PathBuf,
    },
    /// Burn this node in and register it with the inventory
    ///
    /// Exit codes: 0 available, 1 faulty, 2 wrong usage, 3 degraded, 4 anything else (not registered, quarantined, not
    /// enough known).
    Register(register::Options),
}

fn main() -> ExitCode {
    log::start();
    // Linux itself calls the program by these names. In a container `register` may be the first process too.
    let name = std::env::args_os().next().unwrap_or_default();
    if std::process::id() == 1 && Path::new(&name).ends_with("init") {
        init::run();
    }
    if Path::new(&name).ends_with("modprobe") {
        return init::modprobe(std::env::args().skip(1));
    }
    let cli = Cli::parse();
    let ended = match cli.command {
        Verb::Discover { root } => print_facts(&Root::at(root)),
        Verb::Register(options) => print_registration(&options),
    };
    match ended {
        Ok(exit) => exit.into(),
        Err(error) => {
            // The chain of causes, once, at the top.
            tracing::error!("{}", report::text::clean(&format!("{error:#}")));
            Exit::Unknown.into()
        }
    }
}

fn print_facts(root: &Root) -> anyhow::Result<Exit> {
    let facts = discover::collect(root);
    print(&(serde_json::to_string_pretty(&facts)? + "\n"))?;
    Ok(Exit::Available)
}

fn print_registration(options: &register::Options) -> anyhow::Result<Exit> {
    let registration = register::run(options)?;
    print(&if options.json { registration.to_json()? } else { registration.to_text() })?;
    Ok(registration.exit())
}

fn print(text: &str) -> anyhow::Result<()> {
    std::io::stdout().write_all(text.as_bytes()).context("writing the result to standard output")
}
