//! Kill -9 under load, again and again: nothing that was acknowledged is lost, nothing is stored twice.
//!
//! Clients enrol nodes and hand in reports against the real program. Each cycle kills it right after an acknowledgement
//! and starts it again on the same data; what was not acknowledged is sent again, to the byte. `ASSAY_KILL_CYCLES` sets
//! how many cycles (200). A kill leaves what the kernel has; it says nothing about a power failure.

#![allow(clippy::unwrap_used, reason = "a test ends where it breaks")]
#![allow(clippy::disallowed_methods, reason = "waits for another process, and times itself")]

mod support;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::time::{Duration, Instant};

use inventory::clock::SystemClock;
use inventory::files::DataDir;
use inventory::store::read::View;
use jiff::SignedDuration;
use report::wire::{EnrolResponse, ReportAck};
use rusqlite::Connection;
use support::{Client, Node};

const CLIENTS: usize = 4;
const REPORTS_PER_NODE: u64 = 3;

/// What all clients share.
#[derive(Default)]
struct Shared {
    tokens: Mutex<Vec<String>>,
    oracle: Mutex<Oracle>,
    stop: AtomicBool,
}

/// What clients were told, in the order in which each was told.
#[derive(Default)]
struct Oracle {
    enrolled: Vec<(EnrolResponse, Node)>,
    reported: Vec<(EnrolResponse, u64, ReportAck)>,
    resent: usize,
    found_stored: usize,
}

/// One client's node, and the one request that is not acknowledged yet.
struct Machine {
    node: Node,
    token: Option<String>,
    session: Option<EnrolResponse>,
    sequence: u64,
    pending: Option<Vec<u8>>,
    revision: u64,
    tries: usize,
}

impl Machine {
    fn new() -> Self {
        Self {
            node: Node::new(),
            token: None,
            session: None,
            sequence: 0,
            pending: None,
            revision: 0,
            tries: 0,
        }
    }

    fn is_done(&self) -> bool {
        self.sequence == REPORTS_PER_NODE && self.pending.is_none()
    }

    /// Sends the request that is due; `false` if there was no acknowledgement.
    fn step(&mut self, client: &Client, shared: &Shared) -> bool {
        self.tries += 1;
        let again = self.tries > 1;
        let Some(session) = self.session.clone() else {
            let token = self.token.get_or_insert_with(|| shared.tokens.lock().unwrap().pop().unwrap());
            let Ok(answer) = client.try_enrol(&self.node, token) else { return false };
            let Some(session) = acknowledged(answer) else { return false };
            let mut oracle = shared.oracle.lock().unwrap();
            oracle.resent += usize::from(again);
            oracle.enrolled.push((session.clone(), self.node.clone()));
            self.session = Some(session);
            self.tries = 0;
            return true;
        };
        if self.pending.is_none() {
            self.sequence += 1;
            self.pending = Some(self.node.bytes());
        }
        let bytes = self.pending.as_ref().unwrap();
        let signature = self.node.sign(&session, self.sequence, bytes);
        let answer = client.put(&session.node_id, &self.node.boot_id, self.sequence, (&signature, bytes));
        let Ok(answer) = answer else { return false };
        let Some(ack) = acknowledged(answer) else { return false };
        assert!(again || !ack.duplicate, "a report that was sent once is called a duplicate");
        assert!(ack.revision > self.revision, "revisions of one node rise");
        self.revision = ack.revision;
        let mut oracle = shared.oracle.lock().unwrap();
        oracle.resent += usize::from(again);
        oracle.found_stored += usize::from(ack.duplicate);
        oracle.reported.push((session, self.sequence, ack));
        self.pending = None;
        self.tries = 0;
        true
    }
}

/// A dying server may say that it is stopping; anything else it must not say.
fn acknowledged<T>(answer: Result<T, report::wire::Problem>) -> Option<T> {
    answer.map_err(|problem| assert!(problem.retryable, "{problem:?}")).ok()
}

struct Process {
    child: Child,
    data: PathBuf,
}

impl Process {
    fn start(data: &Path) -> Self {
        let _ = std::fs::remove_file(DataDir::at(data).endpoint());
        let log =
            std::fs::File::options().create(true).append(true).open(data.with_extension("log")).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_inventory"))
            .args(["serve", "--listen", "127.0.0.1:0", "--requests-per-s", "100000", "--data"])
            .arg(data)
            .stderr(Stdio::from(log))
            .spawn()
            .unwrap();
        Self { child, data: data.to_owned() }
    }

    fn client(&mut self) -> Client {
        for _ in 0..2000 {
            if let Ok(address) = std::fs::read_to_string(DataDir::at(&self.data).endpoint()) {
                return Client::new(&self.data, address.trim());
            }
            let ended = self.child.try_wait().unwrap();
            assert!(ended.is_none(), "{}", std::fs::read_to_string(self.data.with_extension("log")).unwrap());
            std::thread::sleep(Duration::from_millis(5));
        }
        panic!("the server does not listen");
    }

    fn kill(mut self) {
        // SIGKILL on Unix.
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

/// Runs all clients until they are told to stop; each acknowledgement is announced.
fn load(
    machines: &mut [Machine],
    client: &Client,
    shared: &Shared,
    announce: Sender<()>,
    meanwhile: impl FnOnce(),
) {
    std::thread::scope(|scope| {
        for machine in machines {
            let announce = announce.clone();
            scope.spawn(move || {
                while !shared.stop.load(Ordering::Relaxed) && machine.step(client, shared) {
                    let _ = announce.send(());
                    if machine.is_done() {
                        *machine = Machine::new();
                    }
                }
            });
        }
        drop(announce);
        meanwhile();
    });
}

/// More tokens when few are left, made while the server runs.
fn refill(tokens: &Mutex<Vec<String>>, database: &Path) {
    let mut tokens = tokens.lock().unwrap();
    if tokens.len() < 100 {
        let ttl = SignedDuration::from_hours(1);
        let issued = inventory::store::issue(database, &SystemClock, "quick-software", ttl, 400).unwrap();
        tokens.extend(issued.into_iter().map(|token| token.token));
    }
}

#[test]
fn nothing_acknowledged_is_lost_and_nothing_is_stored_twice_over_kills() {
    let cycles: usize = std::env::var("ASSAY_KILL_CYCLES").map_or(200, |text| text.parse().unwrap());
    let temporary = tempfile::tempdir().unwrap();
    let data = temporary.path().join("inventory");
    let database = DataDir::create(&data).unwrap().database();
    let shared = Shared::default();
    let mut machines: Vec<_> = (0..CLIENTS).map(|_| Machine::new()).collect();
    let begun = Instant::now();
    for cycle in 0..cycles {
        let mut server = Process::start(&data);
        refill(&shared.tokens, &database);
        let client = server.client();
        shared.stop.store(false, Ordering::Relaxed);
        let (announce, announced) = channel();
        // From 1 to 16 acknowledgements, then the kill, while other requests are in every stage.
        let kill_after = 1 + (cycle * 7) % 16;
        load(&mut machines, &client, &shared, announce, || {
            let count = announced.iter().take(kill_after).count();
            shared.stop.store(true, Ordering::Relaxed);
            server.kill();
            assert_eq!(count, kill_after, "the clients gave up before the kill");
        });
    }
    let took = begun.elapsed();
    let mut server = Process::start(&data);
    let client = server.client();
    for machine in &mut machines {
        while machine.pending.is_some() || (machine.token.is_some() && machine.session.is_none()) {
            assert!(machine.step(&client, &shared));
        }
    }
    server.kill();
    let oracle = shared.oracle.into_inner().unwrap();
    verify(&database, &oracle);
    println!(
        "{cycles} kills in {:.1} s: {} enrolments and {} reports acknowledged, {} requests sent again, of which {} reports were stored already; 0 lost, 0 twice",
        took.as_secs_f64(),
        oracle.enrolled.len(),
        oracle.reported.len(),
        oracle.resent,
        oracle.found_stored
    );
}

/// The database against what the clients were told: one row for each acknowledgement, and no other row.
fn verify(database: &Path, oracle: &Oracle) {
    let connection = Connection::open(database).unwrap();
    let count = |sql: &str| connection.query_row(sql, [], |row| row.get::<_, usize>(0)).unwrap();
    let intact: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(intact, "ok");
    let broken = connection.prepare("PRAGMA foreign_key_check").unwrap().exists([]).unwrap();
    assert!(!broken, "a row refers to one that is not there");

    let mut sql = connection.prepare("SELECT nonce FROM boots WHERE node_id = ?1 AND boot_id = ?2").unwrap();
    for (session, node) in &oracle.enrolled {
        let nonce: String = sql.query_row((&session.node_id, &node.boot_id), |row| row.get(0)).unwrap();
        assert_eq!(nonce, session.nonce);
    }
    let mut sql =
        connection.prepare("SELECT revision FROM reports WHERE node_id = ?1 AND sequence = ?2").unwrap();
    let mut revisions = HashSet::new();
    let mut last: HashMap<&str, u64> = HashMap::new();
    for (session, sequence, ack) in &oracle.reported {
        let stored: i64 = sql
            .query_row((&session.node_id, i64::try_from(*sequence).unwrap()), |row| row.get(0))
            .unwrap_or_else(|error| panic!("report {sequence} of {} is lost: {error}", session.node_id));
        assert_eq!(u64::try_from(stored).unwrap(), ack.revision);
        assert!(revisions.insert(ack.revision), "revision {} was given twice", ack.revision);
        let before = last.insert(&session.node_id, ack.revision).unwrap_or(0);
        assert!(before < ack.revision);
    }
    assert_eq!(count("SELECT count(*) FROM nodes"), oracle.enrolled.len());
    assert_eq!(count("SELECT count(*) FROM boots"), oracle.enrolled.len());
    assert_eq!(count("SELECT count(*) FROM tokens WHERE node_id IS NOT NULL"), oracle.enrolled.len());
    assert_eq!(count("SELECT count(*) FROM reports"), oracle.reported.len());
    // One number for each change, from 1 on, without a gap.
    let changes = oracle.enrolled.len() + oracle.reported.len();
    assert_eq!(count("SELECT count(*) FROM changes"), changes);
    assert_eq!(count("SELECT max(revision) FROM changes"), changes);
    // Each change has its audit line, in the same transaction.
    assert_eq!(count("SELECT count(*) FROM audit WHERE action = 'enrolled'"), oracle.enrolled.len());
    assert_eq!(count("SELECT count(*) FROM audit WHERE action = 'report_accepted'"), oracle.reported.len());
    let transitions = count("SELECT count(*) FROM transitions");
    assert_eq!(count("SELECT count(*) FROM audit WHERE action = 'transition'"), transitions);
    let view = View::open(database).unwrap();
    for node in view.nodes(None).unwrap() {
        let record = view.node(&node.id).unwrap().unwrap();
        assert_eq!(record.transitions.first().unwrap().to, record.summary.state);
    }
}
