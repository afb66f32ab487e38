//! The HTTP side of a network boot: an iPXE script, the files of an image, and for every machine a *site layer* of its own
//! with the site's settings and a fresh token. Nothing is kept between requests.
//!
//! Whoever can reach this port can have a token: it belongs on the network that the nodes boot from. The token is in a
//! layer because Linux prints its command line on the console and shows it to every process.

mod script;
mod site;
mod token;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, ensure};
use axum::Router;
use axum::body::Body;
use axum::extract::{ConnectInfo, Path, Query, Request, State};
use axum::http::header::{ALLOW, CACHE_CONTROL, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use tokio::net::TcpListener;
use tokio::signal::unix::{SignalKind, signal};
use tower_http::services::ServeFile;

use crate::image::Manifest;
use script::Machine;
use site::Site;

/// What to serve, and where.
#[derive(clap::Args, Debug)]
pub(crate) struct Options {
    /// Folder of an image that `build` made.
    #[arg(long, value_name = "DIR")]
    dir: PathBuf,
    /// Address and port; port 0 takes any.
    #[arg(long, value_name = "ADDR:PORT")]
    listen: SocketAddr,
    #[command(flatten)]
    site: site::Settings,
}

/// What the requests share.
struct Shared {
    dir: PathBuf,
    /// What may be asked for: the files of the manifest.
    names: BTreeSet<String>,
    site: Site,
}

/// Serves until SIGTERM or SIGINT.
pub(crate) fn run(options: Options) -> anyhow::Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(async {
        let shared = Arc::new(Shared::new(&options)?);
        let listener = TcpListener::bind(options.listen)
            .await
            .with_context(|| format!("listening on `{}`", options.listen))?;
        say(&format!("listening on http://{}", listener.local_addr()?));
        let app = router(shared).into_make_service_with_connect_info::<SocketAddr>();
        let (mut term, mut int) = (signal(SignalKind::terminate())?, signal(SignalKind::interrupt())?);
        tokio::select! {
            served = axum::serve(listener, app).into_future() => served.context("serving"),
            _ = term.recv() => Ok(()),
            _ = int.recv() => Ok(()),
        }
    })
}

/// A line for whoever watches; nothing depends on its being read.
fn say(text: &str) {
    let _ = writeln!(std::io::stderr(), "images: {text}");
}

impl Shared {
    fn new(options: &Options) -> anyhow::Result<Self> {
        let manifest = Manifest::read(&options.dir)?;
        let shared = Self {
            dir: options.dir.clone(),
            names: manifest.files.into_iter().map(|file| file.name).collect(),
            site: Site::new(&options.site)?,
        };
        for name in &shared.names {
            ensure!(shared.dir.join(name).is_file(), "the manifest names `{name}`, which is not beside it");
        }
        shared.script("any")?;
        Ok(shared)
    }

    /// The image's script, with the site layer of a machine.
    fn script(&self, instance: &str) -> anyhow::Result<String> {
        let path = self.dir.join("boot.ipxe");
        let image =
            std::fs::read_to_string(&path).with_context(|| format!("reading `{}`", path.display()))?;
        script::with_site(&image, instance).with_context(|| format!("extending `{}`", path.display()))
    }
}

fn router(shared: Arc<Shared>) -> Router {
    Router::new()
        .route("/boot.ipxe", get(boot_script))
        // Every answer costs a token: there is nothing to say to HEAD.
        .route("/site/{file}", get(site_layer).head(only_get))
        .route("/{name}", get(file))
        .with_state(shared)
}

async fn boot_script(State(shared): State<Arc<Shared>>, Query(machine): Query<Machine>) -> Response {
    let Some(instance) = machine.instance() else {
        return (StatusCode::BAD_REQUEST, "`mac` and `uuid` have digits, letters, `-` and `:`\n")
            .into_response();
    };
    match shared.script(&instance) {
        Ok(text) => fresh("text/plain; charset=utf-8", text.into()),
        Err(error) => {
            say(&format!("no script: {error:#}"));
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

async fn site_layer(
    State(shared): State<Arc<Shared>>,
    ConnectInfo(peer): ConnectInfo<SocketAddr>,
    Path(file): Path<String>,
) -> Response {
    let Some(instance) = file.strip_suffix(script::SITE_END).filter(|name| script::is_instance(name)) else {
        return StatusCode::NOT_FOUND.into_response();
    };
    match shared.site.layer().await {
        Ok(layer) => {
            say(&format!("a token for `{instance}` to {peer}"));
            fresh("application/octet-stream", layer.into())
        }
        Err(error) => {
            say(&format!("no token for `{instance}` to {peer}: {error:#}"));
            (StatusCode::SERVICE_UNAVAILABLE, "no token can be had now\n").into_response()
        }
    }
}

async fn only_get() -> Response {
    (StatusCode::METHOD_NOT_ALLOWED, [(ALLOW, "GET")]).into_response()
}

async fn file(State(shared): State<Arc<Shared>>, Path(name): Path<String>, request: Request) -> Response {
    if !shared.names.contains(&name) {
        return StatusCode::NOT_FOUND.into_response();
    }
    match ServeFile::new(shared.dir.join(&name)).try_call(request).await {
        Ok(response) => response.map(Body::new),
        Err(error) => {
            say(&format!("reading `{name}`: {error}"));
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

/// An answer that is made anew each time.
fn fresh(kind: &'static str, body: Body) -> Response {
    let headers = [
        (CONTENT_TYPE, HeaderValue::from_static(kind)),
        (CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (headers, body).into_response()
}
