//! `inventory serve`: the service itself, until a signal comes.

use std::io::{self, Write};
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result};
use clap::Args;
use inventory::clock::SystemClock;
use inventory::limits::Rate;
use inventory::serve::{ServeOptions, Server};
use tokio::signal::unix::{SignalKind, signal};

use super::Site;

/// Serve nodes over TLS 1.3 until a signal comes
#[derive(Debug, Args)]
pub(crate) struct Serve {
    /// Address and port to listen on; port 0 for any free one
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8443")]
    listen: SocketAddr,
    /// DNS name or IP address by which nodes reach this server; may be repeated
    #[arg(long = "name", value_name = "NAME")]
    names: Vec<String>,
    /// Requests per second that one source may send, and connections that it may open, after a burst of ten times as many
    #[arg(long, value_name = "N", default_value_t = 20)]
    requests_per_s: u32,
    /// Connections that one source may have open
    #[arg(long, value_name = "N", default_value_t = 128)]
    connections_per_source: usize,
    /// How long a node may stay in a state, for example validating=2h or proof=30d; may be repeated
    #[arg(long = "time", value_name = "STATE=TIME")]
    times: Vec<String>,
    /// With --database: the CA in --data replaces the one that the servers on the database had so far
    #[arg(long)]
    replace_ca: bool,
}

impl Serve {
    pub(crate) fn run(self, site: Site) -> Result<ExitCode> {
        let mut options = ServeOptions {
            data: site.data,
            database: site.database,
            replace_ca: self.replace_ca,
            listen: self.listen,
            names: self.names,
            requests: Default::default(),
            connections: Default::default(),
            store: Default::default(),
            upkeep: Default::default(),
        };
        let per_s = f64::from(self.requests_per_s);
        options.requests.per_source = Rate { per_s, burst: 10.0 * per_s };
        options.connections.rate = options.requests.per_source;
        options.connections.per_source = self.connections_per_source;
        for time in &self.times {
            options.store.policy.set(time)?;
        }
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
        runtime.block_on(serve(options))?;
        Ok(ExitCode::SUCCESS)
    }
}

async fn serve(options: ServeOptions) -> Result<()> {
    let (mut terminate, mut interrupt) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
    let data = options.data.display().to_string();
    let database = options.database.as_ref().map(ToString::to_string);
    let server = Server::start(options, Arc::new(SystemClock)).await?;
    let mut err = io::stderr();
    writeln!(err, "inventory: listening on https://{}", server.address())?;
    writeln!(err, "inventory: nodes must trust {}", server.ca_certificate().display())?;
    match database {
        None => writeln!(err, "inventory: let a node in with `inventory token --data {data}`")?,
        Some(database) => {
            writeln!(err, "inventory: the record is in {database}")?;
            writeln!(err, "inventory: let a node in with `inventory token` and the same --database")?;
        }
    }
    let stop = async move {
        tokio::select! {
            _ = terminate.recv() => {}
            _ = interrupt.recv() => {}
        }
        let _ = writeln!(io::stderr(), "inventory: stopping");
    };
    server.run(stop).await.context("serving")
}
