//! Nodes beside their peers, and every verdict again under another policy: through a real server, as a site would.

#![allow(clippy::unwrap_used, reason = "a test ends where it breaks")]

mod support;

use std::path::Path;
use std::process::{Command, Output};
use std::sync::Arc;

use inventory::clock::SystemClock;
use inventory::fleet::random::Random;
use inventory::fleet::{Contribution, Figures, Snapshot};
use inventory::policy::Policy;
use inventory::rejudge::{Baselines, Change, rejudge};
use inventory::store::{self, Applier};
use jiff::SignedDuration;
use report::judge::{review, summarize};
use report::limits::Metric;
use report::wire::{EnrolResponse, ReportAck};
use report::{
    Canary, CheckResult, Coverage, DeviceId, DeviceInfo, DeviceKind, Measurement, Mismatches, Outcome, Plan,
    Planned, Quantity, Report, Sample, Verdict,
};
use support::{Client, Node, TestServer};

/// What the GPUs of these tests reach, by check and metric, per second.
const USUAL: [(&str, &str, f64); 7] = [
    ("fp32", "fp32", 1e13),
    ("fp16", "fp16", 2e13),
    ("fp64", "fp64", 5e12),
    ("int32", "int32", 5e12),
    ("stream", "read", 2e12),
    ("stream", "write", 2e12),
    ("stream", "copy", 2e12),
];

/// A report on four GPUs that keep every limit of plan `quick`, at this share of what is usual, give or take `luck`.
fn gpu_report(node: &Node, share: f64, luck: f64, seed: u64) -> Report {
    let mut random = Random::new(seed);
    let mut report = support::healthy_report(&node.boot_id);
    let gpu = |place: u32| DeviceInfo {
        id: DeviceId(format!("0000:{:02x}:00.0", 0x17 + place)),
        kind: DeviceKind::Discrete,
        name: "Test GPU".to_owned(),
        driver: "test 1.0".to_owned(),
        ..report.devices[0].clone()
    };
    let devices: Vec<_> = (0..4).map(gpu).collect();
    let plan = Plan::built_in("quick").unwrap();
    let lucks = USUAL.map(|_| 1.0 + luck * random.between(-1.0, 1.0));
    let results: Vec<CheckResult> = plan
        .expand(&devices)
        .map(|(check, subject)| {
            let mut result = CheckResult::without_evidence(check.id.clone(), subject, Outcome::Pass, None);
            result.coverage = (check.floors.iter())
                .map(|floor| Coverage { quantity: floor.quantity.clone(), achieved: floor.min })
                .collect();
            result.canary = check.canary.then_some(Canary { planted: 3, found: 3, strays: 0 });
            result.mismatches = check.exact.then(Mismatches::default);
            result.measurements = (USUAL.iter().zip(lucks))
                .filter(|((id, ..), _)| *id == check.id.as_str())
                .map(|((_, metric, usual), luck)| measurement(metric, usual * share * luck))
                .collect();
            result
        })
        .collect();
    report.planned =
        results.iter().map(|r| Planned { check: r.check.clone(), subject: r.subject.clone() }).collect();
    (report.plan_digest, report.plan, report.devices, report.results) =
        (plan.digest(), plan, devices, results);
    report
}

fn measurement(metric: &str, per_s: f64) -> Measurement {
    let quantity = |value| Quantity::new(value).unwrap();
    let sample =
        Sample { work: quantity(per_s * 0.1), device_s: Some(quantity(0.1)), host_s: quantity(0.101) };
    let samples = vec![sample; 8];
    let (median, worst) = summarize(&samples).unwrap();
    Measurement {
        metric: metric.to_owned(),
        unit: Metric::try_from(metric).unwrap().unit(),
        median,
        worst,
        method: "by hand".to_owned(),
        warm_up: None,
        samples,
    }
}

/// A server and nodes with GPUs.
struct Site {
    server: TestServer,
    client: Client,
}

impl Site {
    fn start() -> Self {
        let server = TestServer::start(Arc::new(SystemClock), |_| {});
        let client = server.client();
        Self { server, client }
    }

    fn enrol(&self, node: &Node) -> EnrolResponse {
        let ttl = SignedDuration::from_mins(15);
        let issued = store::issue(self.server.location.clone(), &SystemClock, "quick", ttl, 1).unwrap();
        self.client.enrol(node, &issued[0].token).unwrap()
    }

    /// A new node that reports.
    fn admit(&self, share: f64, luck: f64, seed: u64) -> (Node, Report, ReportAck) {
        let node = Node::new();
        let session = self.enrol(&node);
        let report = gpu_report(&node, share, luck, seed);
        let ack = self.client.report(&node, &session, 1, &serde_json::to_vec(&report).unwrap()).unwrap();
        (node, report, ack)
    }

    /// Waits until the baselines rest on so many nodes: they are made in the background.
    #[expect(clippy::disallowed_methods, reason = "waits for another thread")]
    fn await_baselines(&self, nodes: usize) {
        for _ in 0..400 {
            if self.server.view().latest_snapshot().unwrap().value.1 >= nodes {
                return;
            }
            std::thread::sleep(std::time::Duration::from_millis(25));
        }
        panic!("no baselines of {nodes} nodes were made");
    }

    fn state(&self, node_id: &str) -> String {
        self.server.node(node_id).summary.state
    }

    fn inventory(&self, arguments: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_inventory"));
        command.arg("--data").arg(&self.server.data).args(arguments).output().unwrap()
    }

    /// Exit code and the document that was printed.
    fn json(&self, arguments: &[&str]) -> (Option<i32>, serde_json::Value) {
        let output = self.inventory(arguments);
        let text = String::from_utf8_lossy(&output.stderr).into_owned();
        (
            output.status.code(),
            serde_json::from_slice(&output.stdout).unwrap_or_else(|error| panic!("{error}: {text}")),
        )
    }
}

fn node_id(node: &Node) -> String {
    inventory::identity::node_id(node.key.verifying_key().as_bytes())
}

fn write(folder: &Path, name: &str, text: &str) -> String {
    let path = folder.join(name);
    std::fs::write(&path, text).unwrap();
    path.to_str().unwrap().to_owned()
}

#[test]
fn a_node_at_94_percent_of_its_peers_is_degraded_although_it_keeps_every_limit() {
    let site = Site::start();
    for seed in 0..16 {
        let (_, _, ack) = site.admit(1.0, 0.01, seed);
        assert_eq!((ack.verdict.verdict, ack.state.as_str()), (Verdict::Healthy, "available"));
        if seed < 8 {
            // No baseline yet: not compared, which is said, and is no pass.
            let finding = &ack.verdict.findings[0];
            assert_eq!((finding.outcome, finding.reason.code.as_str()), (Outcome::Skip, "FLEET-PEERS-FEW"));
        }
    }
    site.await_baselines(16);
    let (slow, report, ack) = site.admit(0.94, 0.01, 16);
    assert_eq!(review(&report).verdict, Verdict::Healthy);
    assert_eq!(ack.verdict.verdict, Verdict::Degraded, "{:?}", ack.verdict);
    assert_eq!((ack.state.as_str(), ack.pool), ("validating", None));
    let finding = &ack.verdict.findings[0];
    assert_eq!((finding.outcome, finding.reason.code.as_str()), (Outcome::Warn, "FLEET-SLOW"));
    assert!(finding.reason.detail.contains("slower than its 16 peers"), "{}", finding.reason.detail);
    // A healthy one beside it.
    assert_eq!(site.admit(1.0, 0.01, 17).2.verdict.verdict, Verdict::Healthy);

    // From what the record names, the same verdict comes out again, to the last bit.
    let view = site.server.view();
    let case = view.cases().unwrap().into_iter().find(|case| case.node_id == node_id(&slow)).unwrap();
    let snapshot = view.snapshot_of(case.basis.snapshot.as_ref().unwrap()).unwrap().unwrap();
    let policy = view.policy_of(&case.basis.policy).unwrap().unwrap();
    assert_eq!(snapshot.id(), *case.basis.snapshot.as_ref().unwrap());
    assert_eq!(policy.judge(&report, &Figures::of(&report), &snapshot), case.verdict);
    assert_eq!(case.verdict, ack.verdict);

    let (code, document) = site.json(&["fleet", "outliers", "--json"]);
    assert_eq!(code, Some(3));
    let nodes: Vec<_> = document["outliers"].as_array().unwrap().iter().map(|one| &one["node_id"]).collect();
    assert!(!nodes.is_empty() && nodes.iter().all(|id| **id == node_id(&slow)), "{document:#}");
    assert_eq!(site.inventory(&["fleet", "outliers", "--model", "Other"]).status.code(), Some(0));
    let (code, document) = site.json(&["fleet", "baselines", "--json"]);
    assert_eq!((code, document["populations"][0]["nodes"].as_u64()), (Some(0), Some(18)));

    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("learned.toml");
    let path = path.to_str().unwrap();
    assert_eq!(site.inventory(&["fleet", "limits", "--out", path]).status.code(), Some(0));
    assert_eq!(site.inventory(&["fleet", "limits", "--check", path]).status.code(), Some(0));
    let few = site.inventory(&["fleet", "limits", "--check", path, "--nodes-min", "19"]);
    assert_eq!(few.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&few.stderr).contains("rests on 18 nodes, 19 are asked for"));
}

#[test]
fn a_policy_that_raises_one_limit_changes_exactly_the_nodes_below_it() {
    let site = Site::start();
    // Steps of 0.2 %: too near each other for the fleet to name one.
    let nodes: Vec<Node> = (0..10).map(|step| site.admit(1.0 + 0.002 * f64::from(step), 0.0, 0).0).collect();
    let ids: Vec<String> = nodes.iter().map(node_id).collect();
    let folder = tempfile::tempdir().unwrap();
    let strict = write(
        folder.path(),
        "strict.toml",
        "name = \"strict\"\n[[pools.gpu.limits]]\ncheck = \"fp32\"\nmetric = \"fp32\"\n\
         fail_below_per_s = 1.007e13\nwarn_below_per_s = 1.007e13\nsource = \"site: contract\"\n",
    );
    // The first has booted again: its report is of another boot, and does not move it.
    let mut again = nodes[0].clone();
    again.boot_id = support::random_uuid();
    site.enrol(&again);

    let same = site.json(&["rejudge", "--json"]);
    assert_eq!(
        (same.0, same.1["judged"].as_u64(), &same.1["changes"]),
        (Some(0), Some(10), &serde_json::json!([]))
    );
    let before =
        (ids.iter().map(|id| site.state(id)).collect::<Vec<_>>(), site.server.view().audit(9999).unwrap());
    let (code, document) = site.json(&["rejudge", "--policy", &strict, "--json"]);
    assert_eq!(
        (code, document["verdicts_changed"].as_u64(), document["reasons_changed"].as_u64()),
        (Some(3), Some(4), Some(0))
    );
    let mut changed: Vec<_> =
        document["changes"].as_array().unwrap().iter().map(|one| one["node_id"].as_str().unwrap()).collect();
    let mut expected: Vec<&str> = ids[..4].iter().map(String::as_str).collect();
    changed.sort_unstable();
    expected.sort_unstable();
    assert_eq!(changed, expected);
    // Nothing was written.
    assert_eq!(
        (ids.iter().map(|id| site.state(id)).collect(), site.server.view().audit(9999).unwrap()),
        before
    );

    // Interrupted after one of them; what is decided is not decided twice.
    let policy = Policy::from_toml(&std::fs::read_to_string(&strict).unwrap()).unwrap();
    let again = || rejudge(&site.server.location, &policy, Baselines::Recorded, |_, _| {}).unwrap().decisions;
    let decisions = again();
    let first = Applier::open(&site.server.location, "interrupted").unwrap();
    assert_eq!(first.apply(&SystemClock, &decisions[..1]).unwrap(), 1);
    assert_eq!(first.apply(&SystemClock, &decisions[..1]).unwrap(), 0);
    assert_eq!(again().len(), 3);
    assert_eq!(site.inventory(&["rejudge", "--policy", &strict, "--apply"]).status.code(), Some(2));
    let apply = ["rejudge", "--policy", &strict, "--apply", "--cause", "contract of 2026", "--json"];
    let (code, document) = site.json(&apply);
    assert_eq!((code, document["written"].as_u64()), (Some(0), Some(3)));
    assert_eq!(site.json(&apply).1["changes"], serde_json::json!([]));

    assert_eq!(site.state(&ids[0]), "registering");
    assert!(ids[1..4].iter().all(|id| site.state(id) == "failed"));
    assert!(ids[4..].iter().all(|id| site.state(id) == "available"));
    let detail = site.server.node(&ids[2]);
    assert_eq!(detail.reports[0].verdict.verdict, Verdict::Faulty);
    assert!(detail.reports[0].verdict.findings[0].reason.detail.contains("site: contract"));
    let way: Vec<_> =
        detail.transitions.iter().take(2).map(|step| (step.to.as_str(), step.actor.as_str())).collect();
    assert_eq!(way, [("failed", "operator"), ("validating", "operator")]);
    let count = |action: &str| {
        site.server.view().audit(9999).unwrap().iter().filter(|line| line.action == action).count()
    };
    assert_eq!((count("verdict_changed"), count("policy_in_force")), (4, 1));

    // The server judges by the new policy without being started anew.
    let (_, _, ack) = site.admit(1.0, 0.0, 0);
    assert_eq!((ack.verdict.verdict, ack.state.as_str()), (Verdict::Faulty, "failed"));

    // Back to the policy before: the verdicts come back, and no node leaves repair for it.
    let lax = write(folder.path(), "lax.toml", "name = \"as built in\"\n");
    let (code, document) =
        site.json(&["rejudge", "--policy", &lax, "--apply", "--cause", "withdrawn", "--json"]);
    assert_eq!((code, document["written"].as_u64()), (Some(0), Some(5)));
    assert!(ids[1..4].iter().all(|id| site.state(id) == "failed"));
    assert_eq!(site.server.node(&ids[1]).summary.verdict.as_deref(), Some("healthy"));
}

#[test]
fn a_straggler_that_came_before_its_peers_is_found_with_the_latest_baselines() {
    let site = Site::start();
    let (slow, _, ack) = site.admit(0.94, 0.01, 99);
    assert_eq!(ack.state, "available");
    for seed in 0..15 {
        site.admit(1.0, 0.01, seed);
    }
    site.await_baselines(16);
    assert_eq!(site.json(&["rejudge", "--json"]).1["verdicts_changed"], 0);
    let outcome = rejudge(&site.server.location, &Policy::built_in(), Baselines::Latest, |_, _| {}).unwrap();
    let changes: Vec<Change> =
        outcome.decisions.iter().map(Change::of).filter(Change::is_of_verdict).collect();
    let [change] = &changes[..] else { panic!("{changes:?}") };
    assert_eq!(
        (&change.node_id, change.from, change.to),
        (&node_id(&slow), Verdict::Healthy, Verdict::Degraded)
    );
    assert!(change.why.contains("FLEET-SLOW"), "{}", change.why);
    let (code, _) =
        site.json(&["rejudge", "--latest-baselines", "--apply", "--cause", "baselines", "--json"]);
    assert_eq!((code, site.state(&change.node_id).as_str()), (Some(0), "validating"));
}

/// How grave.
fn gravity(verdict: Verdict) -> usize {
    [Verdict::Healthy, Verdict::Degraded, Verdict::Unknown, Verdict::Faulty]
        .iter()
        .position(|one| *one == verdict)
        .unwrap()
}

#[test]
fn no_policy_and_no_baseline_nor_its_absence_makes_a_verdict_better() {
    let node = Node::new();
    let fleet: Vec<Contribution> = (0..32)
        .map(|seed| {
            let figures = Figures::of(&gpu_report(&node, 1.0, 0.01, seed));
            Contribution { node_id: format!("node-{seed}"), revision: seed + 1, figures }
        })
        .collect();
    let healthy = gpu_report(&node, 1.0, 0.01, 40);
    let slow = gpu_report(&node, 0.9, 0.01, 41);
    let mut unknown = gpu_report(&node, 1.2, 0.01, 42);
    unknown.results[3].outcome = Outcome::NotRun;
    let mut faulty = gpu_report(&node, 1.2, 0.01, 43);
    faulty.results[1].mismatches = Some(Mismatches { count: 1, ..Mismatches::default() });
    let mut altered = gpu_report(&node, 1.0, 0.01, 44);
    altered.plan.checks[2].limits.clear();
    let policies = [
        "name = \"built in\"\n",
        "name = \"note\"\n[pools.gpu.fleet]\neffect = \"note\"\n",
        "name = \"hard\"\n[pools.gpu]\nrequire = [\"fp64\", \"matrix\"]\n[pools.gpu.fleet]\neffect = \"faulty\"\nrequired = true\n",
        "name = \"other plans\"\n[pools.gpu]\nplans = [\"0\"]\n",
        "name = \"more\"\n[pools.gpu]\nrequire = [\"soak\"]\n",
        "name = \"low\"\n[[pools.gpu.limits]]\ncheck = \"fp32\"\nmetric = \"fp32\"\nfail_below_per_s = 1.0\nsource = \"x\"\n",
    ]
    .map(|text| Policy::from_toml(text).unwrap());
    let snapshots = [Snapshot::default(), Snapshot::of(&fleet[..7]), Snapshot::of(&fleet)];
    let judge = |report: &Report, policy: usize, snapshot: usize| {
        policies[policy].judge(report, &Figures::of(report), &snapshots[snapshot]).verdict
    };
    for report in [&healthy, &slow, &unknown, &faulty, &altered] {
        let alone = review(report).verdict;
        for policy in 0..policies.len() {
            for snapshot in 0..snapshots.len() {
                assert!(gravity(judge(report, policy, snapshot)) >= gravity(alone), "{policy} {snapshot}");
            }
            // Without a baseline nothing is found that a baseline would have to excuse.
            assert_eq!(judge(report, 0, 0), alone);
        }
    }
    assert_eq!([0, 1, 2].map(|snapshot| judge(&healthy, 0, snapshot)), [Verdict::Healthy; 3]);
    assert_eq!(
        [0, 1, 2].map(|snapshot| judge(&slow, 0, snapshot)),
        [Verdict::Healthy, Verdict::Healthy, Verdict::Degraded]
    );
    assert_eq!(judge(&slow, 1, 2), Verdict::Healthy);
    // `matrix` has no limit, so that its evidence is enough; without peers a site that requires them knows nothing.
    assert_eq!(
        [0, 1, 2].map(|snapshot| judge(&healthy, 2, snapshot)),
        [Verdict::Unknown, Verdict::Unknown, Verdict::Healthy]
    );
    assert_eq!(judge(&slow, 2, 2), Verdict::Faulty);
    assert_eq!([3, 4].map(|policy| judge(&healthy, policy, 2)), [Verdict::Unknown; 2]);
}

#[test]
fn a_driver_that_slows_every_node_moves_the_baseline_and_names_nobody() {
    let node = Node::new();
    let contribution = |seed: u64, driver: &str, share: f64| {
        let mut report = gpu_report(&node, share, 0.01, seed);
        report.devices.iter_mut().for_each(|device| driver.clone_into(&mut device.driver));
        Contribution { node_id: format!("node-{seed}"), revision: seed + 1, figures: Figures::of(&report) }
    };
    let mut fleet: Vec<_> = (0..64).map(|seed| contribution(seed, "test 1.0", 1.0)).collect();
    fleet.extend((64..128).map(|seed| contribution(seed, "test 2.0", 0.93)));
    let snapshot = Snapshot::of(&fleet);
    let rule = inventory::fleet::Rule::default();
    assert!(fleet.iter().all(|node| rule.compare(&node.figures, &snapshot).slow.is_empty()));
    let shifts = inventory::fleet::baseline::shifts(&snapshot, 0.01);
    assert_eq!(shifts.len(), USUAL.len(), "{shifts:?}");
    for shift in &shifts {
        assert_eq!((shift.from.driver.as_str(), shift.to.driver.as_str()), ("test 1.0", "test 2.0"));
        assert!((shift.ratio + 0.07).abs() < 0.01, "{shift:?}");
    }
    // The order in which nodes came changes nothing; neither do figures that nobody believes.
    fleet.reverse();
    assert_eq!(Snapshot::of(&fleet).id(), snapshot.id());
    let mut harmed = gpu_report(&node, 1.0, 0.01, 1);
    harmed.results.iter_mut().for_each(|result| result.outcome = Outcome::Error);
    assert_eq!(Figures::of(&harmed), []);
    let mut planted = gpu_report(&node, 1.0, 0.01, 1);
    planted.origin = report::Origin::Planted("slow".to_owned());
    assert_eq!(Figures::of(&planted), []);
}
