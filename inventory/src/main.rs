//! The `inventory` program: serves the fleet's record, makes tokens, and shows what is known.

mod hardware;
mod show;

use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use hardware::Hardware;
use inventory::clock::SystemClock;
use inventory::files::DataDir;
use inventory::lifecycle::State;
use inventory::limits::Rate;
use inventory::serve::{ServeOptions, Server};
use inventory::store::{self, read::View};
use jiff::SignedDuration;
use serde::Serialize;
use serde_json::json;
use tokio::signal::unix::{SignalKind, signal};

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

#[derive(Debug, Subcommand)]
enum Verb {
    /// Serve nodes over TLS 1.3 until a signal comes
    Serve {
        /// Address and port to listen on; port 0 for any free one
        #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8443")]
        listen: SocketAddr,
        /// DNS name or IP address by which nodes reach this server; may be repeated
        #[arg(long = "name", value_name = "NAME")]
        names: Vec<String>,
        /// Requests per second that one source may send, after a burst of ten times as many
        #[arg(long, value_name = "N", default_value_t = 20)]
        requests_per_s: u32,
        /// Connections that one source may have open
        #[arg(long, value_name = "N", default_value_t = 128)]
        connections_per_source: usize,
    },
    /// Make a single-use token that lets one node in
    Token {
        /// How long it can be used, for example 90s, 15m or 24h
        #[arg(long, default_value = "15m")]
        ttl: SignedDuration,
        /// The burn-in that the node must stand
        #[arg(long, default_value = "quick")]
        plan: String,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// List nodes
    Nodes {
        /// Only those in this state
        #[arg(long, value_parser = state)]
        state: Option<State>,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Show all about one node
    Node {
        /// Its id, as `inventory nodes` lists it
        id: String,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
    /// Show who did what, and what was refused
    Audit {
        /// So many lines, the latest
        #[arg(long, value_name = "N", default_value_t = 100)]
        last: u32,
        /// Print one JSON document
        #[arg(long)]
        json: bool,
    },
}

fn state(word: &str) -> Result<State, String> {
    let known = || State::ALL.iter().map(|state| state.as_str()).collect::<Vec<_>>().join(", ");
    State::parse(word).ok_or_else(|| format!("the states are {}", known()))
}

/// Exit codes beside 0 and 1 (failed): wrong usage, or a name that is not there.
const WRONG_USAGE: u8 = 2;

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
        Err(error) if is_broken_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            let _ = writeln!(io::stderr(), "inventory: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: Arguments) -> Result<ExitCode> {
    let data = arguments.data;
    let view = |data: &DataDir| View::open(&data.database());
    match arguments.verb {
        Verb::Serve { listen, names, requests_per_s, connections_per_source } => {
            let mut options = ServeOptions {
                data,
                listen,
                names,
                requests: Default::default(),
                connections: Default::default(),
                store: Default::default(),
            };
            let per_s = f64::from(requests_per_s);
            options.requests.per_source = Rate { per_s, burst: 10.0 * per_s };
            options.connections.per_source = connections_per_source;
            serve(options)?;
        }
        Verb::Token { ttl, plan, json } => token(&data, ttl, &plan, json)?,
        Verb::Nodes { state, json } => {
            let nodes = view(&DataDir::at(data))?.nodes(state)?;
            let text = || show::nodes(&nodes, state);
            print(json, &json!({ "nodes": nodes }), text)?;
        }
        Verb::Node { id, json } => {
            let view = view(&DataDir::at(data))?;
            let Some(node) = view.node(&id)? else {
                writeln!(
                    io::stderr(),
                    "inventory: there is no node `{}`: `inventory nodes` lists those there are",
                    report::text::clean(&id)
                )?;
                return Ok(ExitCode::from(WRONG_USAGE));
            };
            let hardware = Hardware::of(&view, &node)?;
            let mut document = serde_json::to_value(&node)?;
            document["hardware"] = serde_json::to_value(&hardware)?;
            print(json, &document, || show::node(&node, hardware.as_ref()))?;
        }
        Verb::Audit { last, json } => {
            let lines = view(&DataDir::at(data))?.audit(last)?;
            print(json, &json!({ "audit": lines }), || show::audit(&lines))?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn serve(options: ServeOptions) -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    runtime.block_on(async {
        let (mut terminate, mut interrupt) =
            (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        let data = options.data.display().to_string();
        let server = Server::start(options, Arc::new(SystemClock)).await?;
        let mut err = io::stderr();
        writeln!(err, "inventory: listening on https://{}", server.address())?;
        writeln!(err, "inventory: nodes must trust {}", server.ca_certificate().display())?;
        writeln!(err, "inventory: let a node in with `inventory token --data {data}`")?;
        let stop = async move {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = interrupt.recv() => {}
            }
            let _ = writeln!(io::stderr(), "inventory: stopping");
        };
        server.run(stop).await.context("serving")
    })
}

fn token(data: &PathBuf, ttl: SignedDuration, plan: &str, json: bool) -> Result<()> {
    let data = DataDir::create(data)?;
    let issued = store::issue(&data.database(), &SystemClock, plan, ttl, 1)?;
    let Some(token) = issued.first() else { bail!("no token was made") };
    if json {
        return print(true, token, String::new);
    }
    // The token alone on standard output, so that a script can take it.
    print(false, token, || format!("{}\n", token.token))?;
    writeln!(
        io::stderr(),
        "for one node, once, until {:.0}; its burn-in is plan `{}`; shown only now",
        token.expires_at,
        token.plan
    )?;
    Ok(())
}

/// One JSON document, or text.
fn print(as_json: bool, value: &impl Serialize, text: impl FnOnce() -> String) -> Result<()> {
    let text = if as_json { serde_json::to_string_pretty(value)? + "\n" } else { text() };
    let mut out = io::stdout().lock();
    out.write_all(text.as_bytes())?;
    out.flush()?;
    Ok(())
}

/// Whoever read our output has enough (`inventory audit | head`).
fn is_broken_pipe(error: &anyhow::Error) -> bool {
    error.downcast_ref::<io::Error>().is_some_and(|error| error.kind() == io::ErrorKind::BrokenPipe)
}
