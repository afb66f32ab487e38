//! The story with an inventory that is a script and a `burnin` that is a shell script.

use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::fs;
use std::path::PathBuf;

use data_encoding::HEXLOWER;
use report::node::Linux;
use report::wire::{
    AttestationEvidence, AttestationRequest, CertificateRequest, CertificateResponse, CredentialChallenge, Problem,
    TrustStanding, certificate_context,
};
use report::{Verdict, VerdictRecord};

use super::answer::Failure;
use super::client::NoCertificate;
use super::burn_in::tests::write_program;
use super::interrupt::Interrupt;
use super::*;
use crate::clock::Manual;

/// The least that is a report.
pub(crate) const REPORT: &str = r#"{"schema":"assay.report/1","run_id":"00","tool":{"version":"0","kernels_digest":"00"},"origin":"measured","started_at":"2026-01-01T00:00:00Z","verdict":{"verdict":"unknown","findings":[]},"plan":{"name":"quick","summary":"s","devices":{"kinds":["discrete"],"count_min":1},"checks":[]},"plan_digest":"00","devices":[],"planned":[],"results":[],"node":{"collectors":[]}}"#;

const BOOT: &str = "1b4e28ba-2fa1-41d2-883f-0016d3cca427";
const TOKEN: &str = "assay-k7-hunter2";

/// Answers as it is told, and remembers what it was sent.
struct Script {
    enrolment: RefCell<EnrolResponse>,
    acks: RefCell<VecDeque<Attempt<ReportAck, Failure>>>,
    enrolled: RefCell<Vec<EnrolRequest>>,
    reports: RefCell<Vec<(u64, Vec<u8>, String)>>,
    /// Gives out certificates, if it does; each is good for so many seconds, and renewed after half of them.
    certificates: Cell<Option<u64>>,
    certified: RefCell<Vec<CertificateRequest>>,
    presented: RefCell<Vec<String>>,
}

impl Inventory for Script {
    fn enrol(&self, request: &EnrolRequest) -> Attempt<EnrolResponse, Failure> {
        self.enrolled.borrow_mut().push(request.clone());
        Attempt::Done(self.enrolment.borrow().clone())
    }

    fn put_report(&self, report: SignedReport<'_>) -> Attempt<ReportAck, Failure> {
        let sent = (report.sequence, report.bytes.to_vec(), report.signature.to_owned());
        self.reports.borrow_mut().push(sent);
        self.acks.borrow_mut().pop_front().unwrap_or_else(|| Attempt::Done(ack()))
    }

    fn certificate(&self, _: &str, request: &CertificateRequest) -> Attempt<CertificateResponse, Failure> {
        self.certified.borrow_mut().push(request.clone());
        match self.certificates.get() {
            Some(valid_s) => Attempt::Done(CertificateResponse {
                certificate: format!("certificate {}", self.certified.borrow().len()),
                valid_s,
                renew_after_s: valid_s / 2,
            }),
            None => Attempt::Refused(Failure::Unexplained { status: 404 }),
        }
    }

    fn present(&self, certificate: &str, _: &NodeKey) -> Result<(), NoCertificate> {
        self.presented.borrow_mut().push(certificate.to_owned());
        Ok(())
    }

    fn attest(&self, _: &str, _: &AttestationRequest) -> Attempt<CredentialChallenge, Failure> {
        panic!("this machine has no TPM")
    }

    fn answer(&self, _: &str, _: &str, _: &AttestationEvidence) -> Attempt<TrustStanding, Failure> {
        panic!("this machine has no TPM")
    }
}

fn ack() -> ReportAck {
    let verdict = VerdictRecord { verdict: Verdict::Healthy, findings: Vec::new() };
    ReportAck { revision: 7, verdict, state: "available".into(), pool: Some("gpu".into()), duplicate: false }
}

fn busy() -> Attempt<ReportAck, Failure> {
    Attempt::Again { cause: Failure::Unexplained { status: 503 }, after: None }
}

fn inventory() -> Script {
    let plan = Plan::built_in("quick").unwrap();
    Script {
        enrolment: RefCell::new(EnrolResponse {
            node_id: "n1".into(),
            nonce: "ab".repeat(32),
            plan: plan.name.clone(),
            plan_digest: plan.digest(),
            state: "registering".into(),
        }),
        acks: RefCell::default(),
        enrolled: RefCell::default(),
        reports: RefCell::default(),
        certificates: Cell::new(Some(86_400)),
        certified: RefCell::default(),
        presented: RefCell::default(),
    }
}

/// A machine whose `burnin` counts its runs and writes a report that differs from run to run.
struct Machine {
    dir: tempfile::TempDir,
    options: Options,
}

fn machine() -> Machine {
    let dir = tempfile::tempdir().unwrap();
    let burnin = dir.path().join("burnin");
    let runs = dir.path().join("runs.log");
    let script = format!(
        "#!/bin/sh\necho \"$3\" >>{}\nmkdir -p \"$5\" && cd \"$5\" || exit 9\nN=$(wc -l <{})\n\
         sed \"s/\\\"run_id\\\":\\\"00\\\"/\\\"run_id\\\":\\\"0$N\\\"/\" >report.json <<'E'\n{REPORT}\nE\nexit 4\n",
        runs.display(),
        runs.display()
    );
    write_program(&burnin, &script);
    let options = Options {
        inventory: "https://inventory.example".parse().unwrap(),
        ca: PathBuf::new(),
        token: options::TokenOptions::default(),
        plan: None,
        burnin,
        state: dir.path().join("state"),
        tpm: None,
        give_up_after: Some(10),
        json: false,
    };
    Machine { dir, options }
}

impl Machine {
    fn register(&self, inventory: &Script) -> Result<Registration, RegisterError> {
        let facts = NodeFacts {
            linux: Some(Linux {
                release: "6.12".into(),
                architecture: "x86_64".into(),
                boot_id: BOOT.into(),
                hostname: None,
            }),
            ..NodeFacts::default()
        };
        let state = State::open(&self.options.state)?;
        let key = NodeKey::load_or_make(state.dir())?;
        let (token, stop) = (Token::from(TOKEN.to_owned()), Interrupt::default());
        let node = Node {
            options: &self.options,
            token: &token,
            state: &state,
            key: &key,
            trust: &Trust::default(),
            facts: &facts,
            boot_id: BOOT,
            stop: &stop,
            progress: &(),
            cell: None,
        };
        let (clock, mut random) = (Manual::default(), Half);
        node.register(
            inventory,
            Retry { clock: &clock, random: &mut random, patience: self.options.patience() },
        )
    }

    /// The plans of the burn-ins that ran.
    fn runs(&self) -> Vec<String> {
        let log = fs::read_to_string(self.dir.path().join("runs.log")).unwrap_or_default();
        log.lines().map(str::to_owned).collect()
    }
}

struct Half;

impl backoff::Random for Half {
    fn up_to(&mut self, ceiling: std::time::Duration) -> std::time::Duration {
        ceiling / 2
    }
}

fn verify(public_key: &str, message: &[u8], signature: &str) -> bool {
    let bytes = |text: &str| HEXLOWER.decode(text.as_bytes()).unwrap();
    let key = ed25519_dalek::VerifyingKey::from_bytes(&bytes(public_key).try_into().unwrap()).unwrap();
    let signature = ed25519_dalek::Signature::from_slice(&bytes(signature)).unwrap();
    key.verify_strict(message, &signature).is_ok()
}

#[test]
fn a_node_enrols_burns_in_and_hands_in_the_very_bytes_signed() {
    let (machine, inventory) = (machine(), inventory());
    let registration = machine.register(&inventory).unwrap();
    assert_eq!((registration.sequence, registration.node_id.as_str()), (1, "n1"));
    assert_eq!(registration.exit(), crate::exit::Exit::Available);
    let enrolled = inventory.enrolled.borrow();
    let request = &enrolled[0];
    let proof = enrolment_context(TOKEN, BOOT, &request.identity);
    assert!(verify(&request.public_key, &proof, &request.proof));
    let reports = inventory.reports.borrow();
    let (sequence, bytes, signature) = &reports[0];
    let on_disk = machine.options.state.join(format!("runs/{BOOT}-1/report.json"));
    assert_eq!(*bytes, fs::read(on_disk).unwrap());
    let context = signing_context("n1", BOOT, *sequence, &"ab".repeat(32), bytes);
    assert!(verify(&request.public_key, &context, signature));
}

#[test]
fn the_next_burn_in_of_the_boot_has_the_next_number() {
    let (machine, inventory) = (machine(), inventory());
    machine.register(&inventory).unwrap();
    machine.register(&inventory).unwrap();
    let reports = inventory.reports.borrow();
    assert_eq!(reports.iter().map(|(sequence, ..)| *sequence).collect::<Vec<_>>(), [1, 2]);
    assert_ne!(reports[0].1, reports[1].1);
    assert_eq!(inventory.enrolled.borrow()[0], inventory.enrolled.borrow()[1], "the same request again");
}

#[test]
fn a_report_that_was_not_acknowledged_is_sent_again_and_nothing_is_burned_in() {
    let (machine, inventory) = (machine(), inventory());
    inventory.acks.borrow_mut().extend(std::iter::repeat_with(busy).take(20));
    let error = machine.register(&inventory).unwrap_err();
    assert!(matches!(error, RegisterError::GaveUp { .. }), "{error}");
    inventory.acks.borrow_mut().clear();
    assert_eq!(machine.register(&inventory).unwrap().sequence, 1);
    let reports = inventory.reports.borrow();
    assert!(reports.len() > 2 && reports.iter().all(|report| *report == reports[0]));
    assert_eq!(machine.runs().len(), 1);
}

#[test]
fn a_pending_report_whose_bytes_are_altered_gives_way_to_the_next_number() {
    let (machine, inventory) = (machine(), inventory());
    inventory.acks.borrow_mut().extend(std::iter::repeat_with(busy).take(20));
    machine.register(&inventory).unwrap_err();
    inventory.acks.borrow_mut().clear();
    fs::write(machine.options.state.join(format!("runs/{BOOT}-1/report.json")), REPORT).unwrap();
    assert_eq!(machine.register(&inventory).unwrap().sequence, 2);
    assert_eq!(machine.runs().len(), 2);
}

#[test]
fn a_report_that_is_refused_for_good_says_why_and_gives_way_to_the_next_number() {
    let (machine, inventory) = (machine(), inventory());
    let refusal = Problem {
        code: "sequence_conflict".into(),
        title: "other bytes under this number".into(),
        detail: None,
        action: "look at the audit log".into(),
        status: 409,
        retryable: false,
    };
    inventory.acks.borrow_mut().push_back(Attempt::Refused(Failure::Problem(refusal)));
    let error = machine.register(&inventory).unwrap_err();
    assert_eq!(
        chain(&error),
        "handing in the report was refused: other bytes under this number; look at the audit log \
         (sequence_conflict, status 409)"
    );
    assert_eq!(machine.register(&inventory).unwrap().sequence, 2);
}

#[test]
fn the_plan_of_the_inventory_is_run_and_only_under_its_own_digest() {
    let (mut machine, inventory) = (machine(), inventory());
    machine.options.plan = Some("quick".into());
    let plan = Plan::built_in("quick-software").unwrap();
    inventory.enrolment.borrow_mut().plan = plan.name.clone();
    let error = machine.register(&inventory).unwrap_err().to_string();
    assert!(error.starts_with("plan `quick-software` is not the inventory's plan of that name"), "{error}");
    assert!(machine.runs().is_empty());
    inventory.enrolment.borrow_mut().plan_digest = plan.digest();
    machine.register(&inventory).unwrap();
    assert_eq!(machine.runs(), ["quick-software"]);
    inventory.enrolment.borrow_mut().plan = "unheard-of".into();
    assert!(matches!(machine.register(&inventory).unwrap_err(), RegisterError::Plan(_)));
}

#[test]
fn a_burn_in_without_a_report_is_an_error_and_uses_up_no_number() {
    let (machine, inventory) = (machine(), inventory());
    let good = fs::read_to_string(&machine.options.burnin).unwrap();
    write_program(&machine.options.burnin, "#!/bin/sh\nexit 0\n");
    let error = machine.register(&inventory).unwrap_err();
    assert!(matches!(error, RegisterError::BurnIn(_)) && inventory.reports.borrow().is_empty());
    assert!(chain(&error).contains("run it by hand, then register again"), "{}", chain(&error));
    write_program(&machine.options.burnin, &good);
    assert_eq!(machine.register(&inventory).unwrap().sequence, 1);
}

#[test]
fn a_name_that_could_lead_elsewhere_is_refused() {
    let (machine, inventory) = (machine(), inventory());
    for name in ["", "../../v1/other", "n 1", "n/1", "n?1", &"n".repeat(65)] {
        inventory.enrolment.borrow_mut().node_id = name.to_owned();
        let error = machine.register(&inventory).unwrap_err();
        assert!(matches!(error, RegisterError::NodeId { .. }), "{name}");
        assert!(!chain(&error).contains("hunter2"));
    }
    assert!(machine.runs().is_empty());
}

#[test]
fn the_result_is_shown_as_text_and_as_json() {
    let registration = Registration { node_id: "n1".into(), boot_id: BOOT.into(), sequence: 1, ack: ack() };
    assert_eq!(
        registration.to_text(),
        "AVAILABLE  n1 in pool gpu\n  verdict healthy, report 1 of this boot, inventory revision 7\n"
    );
    let json: serde_json::Value = serde_json::from_str(&registration.to_json().unwrap()).unwrap();
    assert_eq!((&json["node_id"], &json["ack"]["state"]), (&"n1".into(), &"available".into()));
}

#[test]
fn a_certificate_is_asked_for_with_proof_of_the_key_and_shown() {
    let (machine, inventory) = (machine(), inventory());
    machine.register(&inventory).unwrap();
    let certified = inventory.certified.borrow();
    let [request] = &certified[..] else { panic!("{certified:?}") };
    let public_key = &inventory.enrolled.borrow()[0].public_key;
    assert_eq!(&request.public_key, public_key);
    let context = certificate_context("n1", BOOT, &"ab".repeat(32), public_key);
    assert!(verify(public_key, &context, &request.proof));
    assert_eq!(*inventory.presented.borrow(), ["certificate 1"]);
}

#[test]
fn without_a_certificate_a_node_registers_all_the_same() {
    let (machine, inventory) = (machine(), inventory());
    inventory.certificates.set(None);
    machine.register(&inventory).unwrap();
    assert!(inventory.presented.borrow().is_empty());
    assert_eq!(inventory.reports.borrow().len(), 1);
}

#[test]
fn a_certificate_in_its_second_half_is_renewed_before_the_report() {
    let (machine, inventory) = (machine(), inventory());
    inventory.certificates.set(Some(0));
    machine.register(&inventory).unwrap();
    assert_eq!(*inventory.presented.borrow(), ["certificate 1", "certificate 2"]);
}
