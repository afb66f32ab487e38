//! 100,000 nodes in the store: how long a filtered page and the page of one node take, over real HTTPS. Not part of
//! `make test`; `make inventory-scale` runs it in release and prints the figures.

#![allow(clippy::unwrap_used, reason = "a test ends where it breaks")]
#![allow(clippy::print_stdout, reason = "prints its figures")]

mod support;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use inventory::access::Role;
use inventory::clock::SystemClock;
use inventory::credential::Token;
use inventory::files::DataDir;
use inventory::lifecycle::State;
use inventory::selector::Selector;
use inventory::store::{Enrolment, Facets, Filter, Order, Store, StoreOptions, Submission, issue};
use jiff::SignedDuration;
use report::{Plan, Verdict, VerdictRecord};
use support::people::{Headers, bearer};
use support::{Client, TestServer};

/// Nodes in the store.
const NODES: usize = 100_000;
/// Requests of each kind.
const REQUESTS: usize = 2_000;
/// What a page may take at p99.
const PAGE_MAX: Duration = Duration::from_millis(20);
/// What the page of one node may take at p99.
const NODE_MAX: Duration = Duration::from_millis(5);

#[test]
#[ignore = "minutes: make inventory-scale runs it"]
fn a_page_of_a_large_fleet_is_quick() {
    let server = TestServer::start(Arc::new(SystemClock), |options| fill(&options.data));
    let (client, reader) = (server.client(), bearer(&server.key(Role::Reader)));
    let some = server.view().page(&Filter::default(), "", 500).unwrap().nodes;
    for (states, selector, count) in [
        (vec![], "", NODES),
        (vec![State::Failed], "", NODES / 100),
        (vec![], "rack=r7", 40),
        (vec![], "half=yes,rack notin (r7)", NODES / 2 - 20),
        (vec![State::Available], "rack in (r7,r8),!half", 0),
    ] {
        let selector = Selector::parse(selector).unwrap();
        let filter = Filter { states, selector, ..Filter::default() };
        assert_eq!(server.view().pages(&filter).unwrap().len(), count, "{filter:?}");
    }
    let queries = [
        ("state", "state=available"),
        ("rare state", "state=failed"),
        ("label", "selector=rack%3Dr7"),
        ("label of half the fleet", "selector=half%3Dyes"),
        ("label and state", "selector=rack%3Dr7&state=failed"),
        ("two labels that never meet", "selector=half%3Dyes,!half"),
        ("set of labels", "selector=rack%20in%20(r7,r8),half!%3Dyes"),
        ("model", "model=NVIDIA%20H200"),
        ("reason", "reason=faulty"),
        ("everything", "limit=100"),
    ];
    let mut late = Vec::new();
    for (name, query) in queries {
        let after = |n: usize| &some[n % some.len()].id;
        let path =
            |n: usize| format!("/v1/nodes?{query}&after={}", if n.is_multiple_of(2) { "" } else { after(n) });
        let p99 = measure(&client, &reader, name, path);
        if p99 > PAGE_MAX {
            late.push(name);
        }
    }
    let p99 =
        measure(&client, &reader, "page of one node", |n| format!("/v1/nodes/{}", some[n % some.len()].id));
    assert!(p99 <= NODE_MAX, "the page of one node took {p99:?}");
    assert!(late.is_empty(), "too slow: {late:?}");
}

/// Nodes through the store's own writes: enrolled, reported, labelled.
fn fill(data: &Path) {
    let begun = now();
    let path = DataDir::create(data).unwrap().database();
    let ttl = SignedDuration::from_hours(24);
    let tokens = issue(&path, &SystemClock, "quick-software", ttl, NODES).unwrap();
    let options = StoreOptions { queue: 4096, batch: 1024, ..StoreOptions::default() };
    let store = Store::open(&path, options, Arc::new(SystemClock)).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    for (chunk, tokens) in tokens.chunks(1000).enumerate() {
        let tasks: Vec<_> = (tokens.iter().enumerate())
            .map(|(n, token)| {
                let (store, token) = (store.clone(), Token::parse(&token.token).unwrap());
                runtime.spawn(async move { add(&store, chunk * 1000 + n, token).await })
            })
            .collect();
        runtime.block_on(async {
            for task in tasks {
                task.await.unwrap();
            }
        });
    }
    println!("filled: {NODES} nodes in {:.0} s", begun.elapsed().as_secs_f64());
}

async fn add(store: &Store, n: usize, token: Token) {
    let boot_id = support::random_uuid();
    let enrolment = Enrolment {
        token,
        public_key: support::random(),
        boot_id: boot_id.clone(),
        evidence: Vec::new(),
        hostname: Some(format!("gpu-{n}")),
        request_sha256: support::random(),
        source: "10.0.0.1".to_owned(),
    };
    let session = store.enrol(enrolment).await.unwrap();
    let verdict = if n.is_multiple_of(100) { Verdict::Faulty } else { Verdict::Healthy };
    let model = if n.is_multiple_of(5) { "NVIDIA H200" } else { "NVIDIA H100 80GB HBM3" };
    let labels = [("gpu-model", model.replace(' ', "-")), ("gpu-count", "8".to_owned())];
    let submission = Submission {
        node_id: session.node_id.clone(),
        boot_id,
        sequence: 1,
        nonce: session.nonce,
        signature: vec![0; 64],
        bytes: b"{}".to_vec(),
        sha256: String::new(),
        run_id: support::random_uuid(),
        plan_digest: Plan::built_in("quick-software").unwrap().digest(),
        verdict: VerdictRecord { verdict, findings: Vec::new() },
        facets: Facets {
            model: Some(model.to_owned()),
            devices: Some(8),
            labels: labels.into_iter().map(|(key, value)| (format!("assay.dev/{key}"), value)).collect(),
        },
        source: "10.0.0.1".to_owned(),
    };
    store.accept(submission).await.unwrap();
    let order = Order {
        node_id: session.node_id,
        actor: "operator".to_owned(),
        cause: "filling".to_owned(),
        source: None,
    };
    let half = if n.is_multiple_of(2) { "yes" } else { "no" };
    let labels = [("rack", format!("r{}", n / 40)), ("half", half.to_owned())];
    let labels: BTreeMap<_, _> = labels.map(|(key, value)| (key.to_owned(), Some(value))).into();
    store.change_labels(order, labels).await.unwrap();
}

/// Asks again and again on one connection; prints and gives the 99th percentile.
fn measure(client: &Client, reader: &Headers, name: &str, path: impl Fn(usize) -> String) -> Duration {
    let mut taken: Vec<_> = (0..REQUESTS)
        .map(|n| {
            let begun = now();
            let answer = client.send("GET", &path(n), reader, b"");
            assert_eq!(answer.status, 200, "{answer:?}");
            begun.elapsed()
        })
        .collect();
    taken.sort();
    let at = |percent: usize| taken[(REQUESTS * percent / 100).min(REQUESTS - 1)];
    let ms = |time: Duration| time.as_secs_f64() * 1000.0;
    println!(
        "{name}: p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms",
        ms(at(50)),
        ms(at(99)),
        ms(taken[REQUESTS - 1])
    );
    at(99)
}

#[expect(clippy::disallowed_methods, reason = "a benchmark measures real time")]
fn now() -> Instant {
    Instant::now()
}
