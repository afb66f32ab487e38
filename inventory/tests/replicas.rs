//! Two servers on one PostgreSQL under load, and one of them is killed: nothing that either acknowledged is lost, and the
//! clients go on with the other.
//!
//! `ASSAY_REPLICA_NODES` sets how many nodes register (60); the figures are printed. `make replicas` runs the large form.

#![allow(clippy::unwrap_used, reason = "a test ends where it breaks")]
#![allow(clippy::disallowed_methods, reason = "waits for other processes, and times itself")]

mod support;

use std::collections::HashSet;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use inventory::clock::SystemClock;
use inventory::files::DataDir;
use inventory::store::read::View;
use inventory::store::{Location, issue};
use jiff::SignedDuration;
use report::wire::{EnrolResponse, Problem, ReportAck};
use support::postgres::Postgres;
use support::{Client, Node, share_ca};

const CLIENTS: usize = 6;

/// A server of its own process. It ends with this value.
struct Replica {
    child: Child,
    data: PathBuf,
}

impl Replica {
    fn command(data: &Path, address: &str, listen: &str) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_inventory"));
        command.args(["serve", "--listen", listen, "--requests-per-s", "100000", "--data"]).arg(data);
        // Not among the arguments, which every user of a machine can see.
        command.env("ASSAY_INVENTORY_DATABASE", address);
        command
    }

    fn start(data: PathBuf, address: &str) -> Self {
        let log = File::create(data.with_extension("log")).unwrap();
        let child = Self::command(&data, address, "127.0.0.1:0").stderr(Stdio::from(log)).spawn().unwrap();
        Self { child, data }
    }

    fn client(&mut self) -> Client {
        for _ in 0..2000 {
            if let Ok(address) = std::fs::read_to_string(DataDir::at(&self.data).endpoint()) {
                return Client::new(&self.data, address.trim());
            }
            let log = || std::fs::read_to_string(self.data.with_extension("log")).unwrap();
            assert!(self.child.try_wait().unwrap().is_none(), "{}", log());
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("the server does not listen");
    }

    /// SIGKILL.
    fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Replica {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One acknowledged registration.
struct Acknowledged {
    session: EnrolResponse,
    ack: ReportAck,
    at: Instant,
}

/// Somebody who knows all addresses and goes on with the next when one does not help.
struct Visitor<'a> {
    clients: &'a [Client],
    turn: usize,
    moved: &'a AtomicUsize,
}

impl Visitor<'_> {
    /// The same request again and again, until it is acknowledged.
    fn until_done<T>(&mut self, ask: impl Fn(&Client) -> Result<Result<T, Problem>, ureq::Error>) -> T {
        for _ in 0..400 {
            match ask(&self.clients[self.turn % self.clients.len()]) {
                Ok(Ok(answer)) => return answer,
                Ok(Err(problem)) => assert!(problem.retryable, "{problem:?}"),
                Err(_) => {}
            }
            self.turn += 1;
            self.moved.fetch_add(1, Ordering::Relaxed);
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("no address answers");
    }

    fn register(&mut self, token: &str) -> Acknowledged {
        let node = Node::new();
        let session = self.until_done(|client| client.try_enrol(&node, token));
        let bytes = node.bytes();
        let signature = node.sign(&session, 1, &bytes);
        let put = |client: &Client| client.put(&session.node_id, &node.boot_id, 1, (&signature, &bytes));
        let ack = self.until_done(put);
        Acknowledged { session, ack, at: Instant::now() }
    }
}

#[test]
fn one_of_two_replicas_is_killed_and_nothing_acknowledged_is_lost() {
    let nodes: usize = std::env::var("ASSAY_REPLICA_NODES").map_or(60, |text| text.parse().unwrap());
    let postgres = Postgres::start();
    let address = postgres.database();
    let location = Location::server(&address).unwrap();
    let temporary = tempfile::tempdir().unwrap();
    let mut one = Replica::start(temporary.path().join("one"), &address);
    let first = one.client();
    share_ca(&one.data, &temporary.path().join("other"));
    let mut other = Replica::start(temporary.path().join("other"), &address);
    let clients = [first, other.client()];
    let tokens =
        issue(&location, &SystemClock, "quick-software", SignedDuration::from_hours(1), nodes).unwrap();
    let tokens = Mutex::new(tokens);
    let (stored, moved) = (Mutex::new(Vec::new()), AtomicUsize::new(0));
    let begun = Instant::now();
    let mut killed = begun;
    std::thread::scope(|scope| {
        for turn in 0..CLIENTS {
            let mut visitor = Visitor { clients: &clients, turn, moved: &moved };
            let (tokens, stored) = (&tokens, &stored);
            scope.spawn(move || {
                while let Some(token) = { tokens.lock().unwrap().pop() } {
                    let acknowledged = visitor.register(&token.token);
                    stored.lock().unwrap().push(acknowledged);
                }
            });
        }
        while stored.lock().unwrap().len() < nodes / 2 {
            std::thread::sleep(Duration::from_millis(2));
        }
        killed = Instant::now();
        one.kill();
    });
    let took = begun.elapsed();
    let mut stored = stored.into_inner().unwrap();
    stored.sort_by_key(|registration| registration.at);
    verify(&View::open(&location).unwrap(), nodes, &stored);
    let moved = moved.into_inner();
    assert!(moved > 0, "no client noticed the kill");
    let after = stored.iter().find(|registration| registration.at > killed).unwrap();
    println!(
        "{nodes} registrations by {CLIENTS} clients through two replicas, one killed, in {:.1} s ({:.0} a second): 0 lost, 0 twice; {moved} requests went to the other address, the next acknowledgement came {:.0} ms after the kill",
        took.as_secs_f64(),
        nodes as f64 / took.as_secs_f64(),
        after.at.duration_since(killed).as_secs_f64() * 1e3,
    );
}

/// The record against what the clients were told: each registration once, under the number that was told, and none else.
fn verify(view: &View, nodes: usize, stored: &[Acknowledged]) {
    assert_eq!(stored.len(), nodes);
    let mut revisions = HashSet::new();
    for Acknowledged { session, ack, .. } in stored {
        let record = view.node(&session.node_id).unwrap();
        let record = record.unwrap_or_else(|| panic!("{} is lost", session.node_id));
        let reports: Vec<_> = record.reports.iter().map(|report| report.revision).collect();
        assert_eq!(reports, [ack.revision], "{}", session.node_id);
        assert_eq!((record.boots.len(), record.summary.state.as_str()), (1, "available"));
        revisions.extend([record.boots[0].revision, ack.revision]);
    }
    assert_eq!(view.nodes(None).unwrap().len(), nodes);
    let all = u64::try_from(2 * nodes).unwrap();
    assert_eq!(revisions, (1..=all).collect(), "a number for each change, and none missing");
}

#[test]
fn a_replica_with_another_ca_is_refused_until_it_gets_that_of_the_others() {
    let postgres = Postgres::start();
    let address = postgres.database();
    let temporary = tempfile::tempdir().unwrap();
    let (ours, stranger) = (temporary.path().join("ours"), temporary.path().join("stranger"));
    let mut first = Replica::start(ours.clone(), &address);
    first.client();
    let serve = |more: &[&str]| -> Output {
        // A port that is taken ends it if nothing else does.
        let taken = std::fs::read_to_string(DataDir::at(&ours).endpoint()).unwrap();
        Replica::command(&stranger, &address, taken.trim()).args(more).output().unwrap()
    };
    let said = |output: &Output| String::from_utf8_lossy(&output.stderr).into_owned();
    let refused = said(&serve(&[]));
    assert!(refused.contains("copy `ca.pem` and `ca.key`"), "{refused}");
    assert!(!DataDir::at(&stranger).ca_certificate().exists(), "it made a CA that nobody asked for");
    share_ca(&ours, &stranger);
    let listens = said(&serve(&[]));
    assert!(listens.contains("listening on"), "{listens}");
    std::fs::remove_file(DataDir::at(&stranger).ca_certificate()).unwrap();
    std::fs::remove_file(DataDir::at(&stranger).tls().join("ca.key")).unwrap();
    let replaces = said(&serve(&["--replace-ca"]));
    assert!(replaces.contains("listening on"), "{replaces}");
    // From then on the first one is the stranger.
    first.kill();
    let output = Replica::command(&ours, &address, "127.0.0.1:0").output().unwrap();
    assert!(said(&output).contains("--replace-ca"), "{}", said(&output));
}
