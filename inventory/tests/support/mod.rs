//! A node and a server for tests: real TLS on a free port of the loopback, reports made by hand.

#![allow(dead_code, unreachable_pub, reason = "each test program uses a part of it, as its own module")]

pub mod people;
pub mod postgres;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use data_encoding::HEXLOWER;
use ed25519_dalek::{Signer, SigningKey};
use inventory::clock::Clock;
use inventory::files::DataDir;
use inventory::limits::Rate;
use inventory::serve::{ServeError, ServeOptions, Server};
use inventory::store::read::{AuditRow, NodeDetail, View};
use inventory::store::{self, Location};
use jiff::{SignedDuration, Timestamp};
use report::judge::summarize;
use report::wire::{
    EnrolRequest, EnrolResponse, Identity, Problem, ReportAck, SIGNATURE_HEADER, enrolment_context,
    signing_context,
};
use report::{
    Backend, Bytes, Canary, CheckResult, Coverage, DeviceId, DeviceInfo, DeviceKind, Measurement, Mismatches,
    NodeFacts, Origin, Outcome, Plan, Planned, Quantity, Report, SCHEMA, Sample, Tool, Unit, Verdict,
    VerdictRecord,
};
use tokio::sync::oneshot;

/// An answer: what was asked for, or why not.
pub type Answer<T> = Result<T, Problem>;

/// Random bytes.
pub fn random<const N: usize>() -> [u8; N] {
    let mut bytes = [0; N];
    getrandom::fill(&mut bytes).unwrap();
    bytes
}

/// A random UUID as Linux prints it.
pub fn random_uuid() -> String {
    let hex = HEXLOWER.encode(&random::<16>());
    [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-")
}

/// Waits until it is so: another thread does it.
#[expect(clippy::disallowed_methods, reason = "waits for another thread")]
pub fn await_that(what: &str, is_so: impl Fn() -> bool) {
    for _ in 0..400 {
        if is_so() {
            return;
        }
        std::thread::sleep(Duration::from_millis(25));
    }
    panic!("waited in vain: {what}");
}

/// A machine that wants in.
#[derive(Clone)]
pub struct Node {
    pub key: SigningKey,
    pub boot_id: String,
    pub identity: Identity,
}

impl Node {
    /// One like no other.
    pub fn new() -> Self {
        let mut mac = random::<6>();
        mac[0] = 0xb8;
        let serial = HEXLOWER.encode(&random::<6>());
        Self {
            key: SigningKey::from_bytes(&random()),
            boot_id: random_uuid(),
            identity: Identity {
                product_uuid: Some(random_uuid()),
                product_serial: Some(format!("SN{serial}")),
                board_serial: Some(format!("BN{serial}")),
                macs: vec![report::MacAddr(mac)],
                hostname: Some("gpu-17".to_owned()),
            },
        }
    }

    /// The body of its enrolment.
    pub fn enrol_request(&self, token: &str) -> EnrolRequest {
        let context = enrolment_context(token, &self.boot_id, &self.identity);
        EnrolRequest {
            token: token.to_owned(),
            public_key: HEXLOWER.encode(self.key.verifying_key().as_bytes()),
            boot_id: self.boot_id.clone(),
            proof: HEXLOWER.encode(&self.key.sign(&context).to_bytes()),
            identity: self.identity.clone(),
        }
    }

    /// The signature of a report.
    pub fn sign(&self, session: &EnrolResponse, sequence: u64, bytes: &[u8]) -> String {
        let context = signing_context(&session.node_id, &self.boot_id, sequence, &session.nonce, bytes);
        HEXLOWER.encode(&self.key.sign(&context).to_bytes())
    }

    /// A report of this boot that the judge finds healthy.
    pub fn report(&self) -> Report {
        healthy_report(&self.boot_id)
    }

    pub fn bytes(&self) -> Vec<u8> {
        serde_json::to_vec(&self.report()).unwrap()
    }
}

fn quantity(value: f64) -> Quantity {
    Quantity::new(value).unwrap()
}

/// A report on one software device, with all the evidence that plan `quick-software` asks for.
pub fn healthy_report(boot_id: &str) -> Report {
    let plan = Plan::built_in("quick-software").unwrap();
    let device = DeviceInfo {
        id: DeviceId("vulkan-0".to_owned()),
        backend: Backend::Vulkan,
        kind: DeviceKind::Cpu,
        name: "llvmpipe".to_owned(),
        pci_id: None,
        address: None,
        uuid: None,
        driver: "llvmpipe Mesa 22.3.6".to_owned(),
        api_version: None,
        memory_bytes: Bytes::mib(4096),
        memory_budget_bytes: None,
        binding_bytes_max: Bytes::mib(128),
        timestamps: true,
        features: Vec::new(),
        units: None,
        subgroup_size: None,
        matrix_shapes: Vec::new(),
    };
    let devices = vec![device];
    let results: Vec<CheckResult> = plan
        .expand(&devices)
        .map(|(check, subject)| {
            let mut result = CheckResult::without_evidence(check.id.clone(), subject, Outcome::Pass, None);
            result.coverage = (check.floors.iter())
                .map(|floor| Coverage { quantity: floor.quantity.clone(), achieved: floor.min })
                .collect();
            result.canary = check.canary.then_some(Canary { planted: 3, found: 3, strays: 0 });
            result.mismatches = check.exact.then(Mismatches::default);
            result.measurements = check.limits.iter().map(measurement).collect();
            result
        })
        .collect();
    let started_at: Timestamp = "2026-11-23T12:00:00Z".parse().unwrap();
    let linux = report::node::Linux {
        release: "6.12.107-amd64".to_owned(),
        architecture: "x86_64".to_owned(),
        boot_id: boot_id.to_owned(),
        hostname: None,
    };
    Report {
        schema: SCHEMA.to_owned(),
        run_id: HEXLOWER.encode(&random::<16>()),
        tool: Tool { version: "0.1.0".to_owned(), kernels_digest: "0".repeat(64) },
        origin: Origin::Measured,
        started_at,
        completed_at: Some(started_at),
        verdict: VerdictRecord { verdict: Verdict::Healthy, findings: Vec::new() },
        plan_digest: plan.digest(),
        planned: results
            .iter()
            .map(|r| Planned { check: r.check.clone(), subject: r.subject.clone() })
            .collect(),
        plan,
        devices,
        results,
        node: NodeFacts { linux: Some(linux), ..NodeFacts::default() },
    }
}

/// Windows with rates like 1/3, which only exact parsing of numbers brings back to the same bits.
fn measurement(limit: &report::plan::Limit) -> Measurement {
    let samples: Vec<Sample> = (0..limit.samples_min)
        .map(|window| {
            let seconds = 0.1 + f64::from(window) / 3000.0;
            Sample {
                work: quantity(limit.warn_below_per_s.get() * 2.0 * seconds / 0.99),
                device_s: Some(quantity(seconds)),
                host_s: quantity(seconds * 1.01),
            }
        })
        .collect();
    let (median, worst) = summarize(&samples).unwrap();
    Measurement {
        metric: limit.metric.clone(),
        unit: Unit::BytesPerS,
        median,
        worst,
        method: "by hand".to_owned(),
        warm_up: None,
        samples,
    }
}

/// A client that trusts the site's CA and nothing else.
#[derive(Clone)]
pub struct Client {
    agent: ureq::Agent,
    base: String,
}

impl Client {
    pub fn new(data: &Path, address: &str) -> Self {
        let ca = std::fs::read(DataDir::at(data).ca_certificate()).unwrap();
        let ca = ureq::tls::Certificate::from_pem(&ca).unwrap();
        let tls = ureq::tls::TlsConfig::builder()
            .root_certs(ureq::tls::RootCerts::Specific(Arc::new(vec![ca])))
            .unversioned_rustls_crypto_provider(Arc::new(rustls::crypto::ring::default_provider()))
            .build();
        let agent = ureq::Agent::config_builder()
            .tls_config(tls)
            .http_status_as_error(false)
            .timeout_global(Some(Duration::from_secs(20)))
            .build()
            .new_agent();
        Self { agent, base: format!("https://{address}") }
    }

    /// Status and body of a GET.
    pub fn get(&self, path: &str) -> (u16, String) {
        let mut response = self.agent.get(format!("{}{path}", self.base)).call().unwrap();
        (response.status().as_u16(), response.body_mut().read_to_string().unwrap())
    }

    pub fn post(&self, path: &str, body: &[u8]) -> Result<Answer<EnrolResponse>, ureq::Error> {
        let response = self.agent.post(format!("{}{path}", self.base)).send(body)?;
        read(response)
    }

    pub fn enrol(&self, node: &Node, token: &str) -> Answer<EnrolResponse> {
        self.try_enrol(node, token).unwrap()
    }

    pub fn try_enrol(&self, node: &Node, token: &str) -> Result<Answer<EnrolResponse>, ureq::Error> {
        let body = serde_json::to_vec(&node.enrol_request(token)).unwrap();
        self.post("/v1/enrolments", &body)
    }

    /// Hands in a report as it should be.
    pub fn report(
        &self,
        node: &Node,
        session: &EnrolResponse,
        sequence: u64,
        bytes: &[u8],
    ) -> Answer<ReportAck> {
        let signature = node.sign(session, sequence, bytes);
        self.put(&session.node_id, &node.boot_id, sequence, (&signature, bytes)).unwrap()
    }

    /// Hands in whatever bytes with whatever signature.
    pub fn put(
        &self,
        node_id: &str,
        boot_id: &str,
        sequence: u64,
        (signature, bytes): (&str, &[u8]),
    ) -> Result<Answer<ReportAck>, ureq::Error> {
        let url = format!("{}/v1/nodes/{node_id}/boots/{boot_id}/reports/{sequence}", self.base);
        read(self.agent.put(url).header(SIGNATURE_HEADER, signature).send(bytes)?)
    }
}

fn read<T: serde::de::DeserializeOwned>(
    mut response: ureq::http::Response<ureq::Body>,
) -> Result<Answer<T>, ureq::Error> {
    let status = response.status().as_u16();
    let kind = response.headers().get("content-type").and_then(|kind| kind.to_str().ok().map(String::from));
    let text = response.body_mut().read_to_string()?;
    if status == 200 {
        return Ok(Ok(serde_json::from_str(&text).unwrap()));
    }
    assert_eq!(kind.as_deref(), Some("application/problem+json"), "{text}");
    let problem: Problem = serde_json::from_str(&text).unwrap();
    assert_eq!(problem.status, status);
    Ok(Err(problem))
}

/// Gives a data directory the CA of another, as an operator does for a second server on one database.
pub fn share_ca(from: &Path, to: &Path) {
    let (from, to) = (DataDir::at(from).tls(), DataDir::create(to).unwrap().tls());
    for name in ["ca.pem", "ca.key"] {
        std::fs::copy(from.join(name), to.join(name)).unwrap();
    }
}

/// A server inside the test.
pub struct TestServer {
    pub data: PathBuf,
    pub address: String,
    pub location: Location,
    clock: Arc<dyn Clock>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<Result<(), ServeError>>>,
    _temporary: Option<tempfile::TempDir>,
}

impl TestServer {
    /// On fresh data, with bounds that do not get in the way.
    pub fn start(clock: Arc<dyn Clock>, change: impl FnOnce(&mut ServeOptions)) -> Self {
        let temporary = tempfile::tempdir().unwrap();
        let mut options = ServeOptions {
            data: temporary.path().join("inventory"),
            database: None,
            replace_ca: false,
            listen: "127.0.0.1:0".parse().unwrap(),
            names: Vec::new(),
            requests: Default::default(),
            connections: Default::default(),
            store: Default::default(),
            upkeep: Default::default(),
        };
        options.requests.per_source = Rate { per_s: 1e6, burst: 1e6 };
        options.connections.per_source = 512;
        options.connections.rate = options.requests.per_source;
        change(&mut options);
        let data = options.data.clone();
        let location = options.database.clone().unwrap_or_else(|| DataDir::at(&data).database().into());
        let (started, address) = std::sync::mpsc::channel();
        let (stop, stopped) = oneshot::channel();
        let of_server = Arc::clone(&clock);
        let thread = std::thread::spawn(move || {
            let runtime =
                tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
            runtime.block_on(async {
                let server = Server::start(options, of_server).await?;
                started.send(server.address().to_string()).unwrap();
                server.run(async { drop(stopped.await) }).await
            })
        });
        let address = address.recv().unwrap();
        Self {
            data,
            address,
            location,
            clock,
            stop: Some(stop),
            thread: Some(thread),
            _temporary: Some(temporary),
        }
    }

    pub fn client(&self) -> Client {
        Client::new(&self.data, &self.address)
    }

    /// A fresh token for the software plan.
    pub fn token(&self) -> String {
        let ttl = SignedDuration::from_mins(15);
        let issued = store::issue(&self.location, self.clock.as_ref(), "quick-software", ttl, 1).unwrap();
        issued[0].token.clone()
    }

    pub fn view(&self) -> View {
        View::open(&self.location).unwrap()
    }

    pub fn node(&self, id: &str) -> NodeDetail {
        self.view().node(id).unwrap().unwrap()
    }

    /// Audit lines with that code.
    pub fn refusals(&self, code: &str) -> Vec<AuditRow> {
        let lines = self.view().audit(100_000).unwrap();
        lines.into_iter().filter(|line| line.code.as_deref() == Some(code)).collect()
    }

    /// Waits until there is an audit line with that code: those of connections come after the connection's end.
    #[expect(clippy::disallowed_methods, reason = "waits for another thread")]
    pub fn await_refusal(&self, code: &str) -> AuditRow {
        for _ in 0..200 {
            if let Some(line) = self.refusals(code).pop() {
                return line;
            }
            std::thread::sleep(Duration::from_millis(25));
        }
        panic!("no audit line has code `{code}`");
    }

    /// Ends it as a signal would.
    pub fn stop(&mut self) -> Result<(), ServeError> {
        drop(self.stop.take());
        self.wait()
    }

    /// Waits until it ends by itself.
    pub fn wait(&mut self) -> Result<(), ServeError> {
        self.thread.take().unwrap().join().unwrap()
    }
}

impl Drop for TestServer {
    fn drop(&mut self) {
        drop(self.stop.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
