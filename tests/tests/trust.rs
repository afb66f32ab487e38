//! From a TPM to a trust level, over the real interface: a server, clients as `node-init` has them, TPMs in software.

#![allow(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;
use std::time::Duration;

use data_encoding::HEXLOWER;
use ed25519_dalek::{Signer as _, SigningKey};
use inventory::attest::read_roots;
use inventory::clock::{Clock, ManualClock};
use inventory::files::DataDir;
use inventory::serve::{ServeOptions, Server};
use inventory::store::read::View;
use inventory::store::{self, StoreOptions, TrustRecord};
use inventory::trust::TrustPolicy;
use jiff::{SignedDuration, Timestamp};
use node_init::clock::Monotonic;
use node_init::register::answer::Failure;
use node_init::register::backoff::Attempt;
use node_init::register::client::{HttpsInventory, Inventory as _};
use node_init::tpm::{Attester, Channel, Tpm};
use report::wire::{
    AttestationEvidence, AttestationRequest, CredentialChallenge, EnrolRequest, EnrolResponse, Identity, Pcr,
    QuoteContext, TrustLevel, TrustStanding, attestation_context, enrolment_context, quote_digest,
};
use stories::process::run;
use stories::program;
use stories::swtpm::{Maker, Swtpm};

/// A running inventory whose time is in the test's hand; ends with this value.
struct Site {
    folder: tempfile::TempDir,
    clock: Arc<ManualClock>,
    address: String,
    stop: Option<tokio::sync::oneshot::Sender<()>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl Site {
    fn start(policy: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = Arc::new(ManualClock::at(Timestamp::now()));
        let mut store = StoreOptions::default();
        store.policy.trust = Arc::new(toml::from_str::<TrustPolicy>(policy).unwrap());
        let options = ServeOptions {
            data: folder.path().join("inventory"),
            database: None,
            replace_ca: false,
            listen: "127.0.0.1:0".parse().unwrap(),
            names: Vec::new(),
            requests: Default::default(),
            connections: Default::default(),
            store,
            upkeep: Default::default(),
        };
        let (stop, stopped) = tokio::sync::oneshot::channel();
        let (started, address) = std::sync::mpsc::channel();
        let of_server = Arc::clone(&clock) as Arc<dyn Clock>;
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let server = Server::start(options, of_server).await.unwrap();
                started.send(server.address().to_string()).unwrap();
                server.run(async { drop(stopped.await) }).await.unwrap();
            });
        });
        Self { folder, clock, address: address.recv().unwrap(), stop: Some(stop), thread: Some(thread) }
    }

    fn data(&self) -> DataDir {
        DataDir::at(self.folder.path().join("inventory"))
    }

    fn database(&self) -> PathBuf {
        self.data().database()
    }

    fn url(&self) -> String {
        format!("https://{}", self.address)
    }

    fn token(&self) -> String {
        let ttl = SignedDuration::from_mins(15);
        let made = store::issue(self.database(), self.clock.as_ref(), "quick-software", ttl, 1).unwrap();
        made[0].token.clone()
    }

    fn trust(&self, node_id: &str) -> TrustRecord {
        View::open(self.database()).unwrap().node(node_id).unwrap().unwrap().trust
    }

    fn trust_roots_of(&self, tpm: &Swtpm) {
        let roots = read_roots(&std::fs::read(tpm.roots()).unwrap()).unwrap();
        assert_eq!(store::add_tpm_roots(self.database(), self.clock.as_ref(), &roots, "test").unwrap(), 2);
    }

    /// A node that is enrolled.
    fn node(&self) -> Node {
        let mut secret = [0; 32];
        getrandom::fill(&mut secret).unwrap();
        let (key, boot_id) = (SigningKey::from_bytes(&secret), "1b4e28ba-2fa1-41d2-883f-0016d3cca427".to_owned());
        let client = HttpsInventory::new(self.url().parse().unwrap(), &self.data().ca_certificate()).unwrap();
        let (token, identity) = (self.token(), Identity::default());
        let sign = |context: &[u8]| HEXLOWER.encode(&key.sign(context).to_bytes());
        let enrolled = client.enrol(&EnrolRequest {
            public_key: HEXLOWER.encode(key.verifying_key().as_bytes()),
            boot_id: boot_id.clone(),
            proof: sign(&enrolment_context(&token, &boot_id, &identity)),
            token,
            identity,
        });
        Node { session: settled(enrolled).unwrap(), client, key, boot_id }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        drop(self.stop.take());
        let ended = self.thread.take().map(std::thread::JoinHandle::join);
        assert!(std::thread::panicking() || matches!(ended, Some(Ok(()))));
    }
}

/// The answer, or the code of the refusal.
fn settled<T: std::fmt::Debug>(attempt: Attempt<T, Failure>) -> Result<T, String> {
    match attempt {
        Attempt::Done(value) => Ok(value),
        Attempt::Refused(Failure::Problem(problem)) => Err(problem.code),
        other => panic!("{other:?}"),
    }
}

fn attester(tpm: &Swtpm) -> Attester {
    Attester::new(Tpm::new(Channel::open(&tpm.socket(), Box::new(Monotonic::start())).unwrap())).unwrap()
}

struct Node {
    client: HttpsInventory,
    key: SigningKey,
    boot_id: String,
    session: EnrolResponse,
}

impl Node {
    fn id(&self) -> &str {
        &self.session.node_id
    }

    /// The request to attest with the keys of these TPMs, which should be one.
    fn request(&self, ek: &Attester, ak: &Attester) -> AttestationRequest {
        let mut request = AttestationRequest {
            boot_id: self.boot_id.clone(),
            ek_public: HEXLOWER.encode(&ek.ek_public),
            ek_certificate: ek.ek_certificate.as_deref().map(|der| HEXLOWER.encode(der)),
            ak_public: HEXLOWER.encode(&ak.ak_public),
            proof: String::new(),
        };
        self.prove(&mut request);
        request
    }

    fn prove(&self, request: &mut AttestationRequest) {
        let context = attestation_context(self.id(), &self.session.nonce, request);
        request.proof = HEXLOWER.encode(&self.key.sign(&context).to_bytes());
    }

    fn challenge(&self, tpm: &Attester) -> CredentialChallenge {
        settled(self.client.attest(self.id(), &self.request(tpm, tpm))).unwrap()
    }

    /// What the quote must be about.
    fn context<'a>(&'a self, public_key: &'a str, challenge: &'a str) -> QuoteContext<'a> {
        QuoteContext {
            node_id: self.id(),
            boot_id: &self.boot_id,
            nonce: &self.session.nonce,
            public_key,
            challenge,
            event_log_sha256: None,
        }
    }

    fn public_key(&self) -> String {
        HEXLOWER.encode(self.key.verifying_key().as_bytes())
    }

    /// The answer that is right.
    fn answer(&self, tpm: &mut Attester, challenge: &CredentialChallenge) -> AttestationEvidence {
        let public_key = self.public_key();
        let asked = quote_digest(&self.context(&public_key, &challenge.challenge));
        let bytes = |text: &str| HEXLOWER.decode(text.as_bytes()).unwrap();
        let secret = tpm.activate(&bytes(&challenge.credential), &bytes(&challenge.encrypted_seed)).unwrap();
        quoted(tpm, &secret, &asked)
    }

    fn send(&self, challenge: &CredentialChallenge, answer: &AttestationEvidence) -> Result<TrustStanding, String> {
        settled(self.client.answer(self.id(), &challenge.challenge, answer))
    }

    /// All of it, as it should be.
    fn attest(&self, tpm: &mut Attester) -> TrustStanding {
        let challenge = self.challenge(tpm);
        let answer = self.answer(tpm, &challenge);
        self.send(&challenge, &answer).unwrap()
    }
}

fn quoted(tpm: &mut Attester, secret: &[u8], asked: &[u8; 32]) -> AttestationEvidence {
    let quote = tpm.quote(asked).unwrap();
    AttestationEvidence {
        secret: HEXLOWER.encode(secret),
        quote: HEXLOWER.encode(&quote.quote),
        signature: HEXLOWER.encode(&quote.signature),
        pcrs: quote
            .pcrs
            .iter()
            .map(|(index, value)| Pcr { index: *index, sha256: HEXLOWER.encode(value) })
            .collect(),
        event_log_sha256: None,
    }
}

#[test]
fn a_tpm_raises_the_level_if_its_maker_an_operator_or_an_approval_vouches_for_it() {
    let site = Site::start("minimum = 'tpm'");
    let (with_certificate, without) = (Swtpm::start(Maker::Certificates), Swtpm::start(Maker::None));
    let mut certified = attester(&with_certificate);
    let mut bare = attester(&without);
    let node = site.node();
    // Nobody knows the maker yet.
    let standing = node.attest(&mut certified);
    assert_eq!(standing.level, TrustLevel::Token);
    assert!(standing.missing.unwrap().starts_with("trust level token, tpm is needed"));
    site.trust_roots_of(&with_certificate);
    let standing = node.attest(&mut certified);
    assert_eq!((standing.level, standing.missing), (TrustLevel::Tpm, None));
    assert!(standing.valid_s.is_some_and(|seconds| (24 * 3600 - 1..=24 * 3600).contains(&seconds)));
    let record = site.trust(node.id());
    assert_eq!(record.now.level, TrustLevel::Tpm);
    assert_eq!(record.evidence[0].subject, certified.ek_sha256().unwrap());
    assert!(record.evidence[0].detail.as_deref().unwrap().contains("\"vouched_by\":\"maker\""));
    // An operator knows the key.
    let other = site.node();
    assert_eq!(other.attest(&mut bare).level, TrustLevel::Token);
    store::add_tpm_key(site.database(), site.clock.as_ref(), &bare.ek_sha256().unwrap()).unwrap();
    assert_eq!(other.attest(&mut bare).level, TrustLevel::Tpm);
}

#[test]
fn a_tpm_is_pinned_by_an_approval_and_two_nodes_with_one_tpm_are_a_conflict() {
    let site = Site::start("");
    let tpm = Swtpm::start(Maker::None);
    let mut tpm = attester(&tpm);
    let (ours, theirs) = (site.node(), site.node());
    assert_eq!(ours.attest(&mut tpm).level, TrustLevel::Token);
    let approve = |node: &Node| store::approve(site.database(), site.clock.as_ref(), node.id(), true);
    assert_eq!(approve(&ours).unwrap().level, TrustLevel::Tpm);
    assert_eq!(ours.attest(&mut tpm).level, TrustLevel::Tpm);
    let challenge = theirs.challenge(&tpm);
    let answer = theirs.answer(&mut tpm, &challenge);
    assert_eq!(theirs.send(&challenge, &answer).unwrap_err(), "node_in_doubt");
    let record = View::open(site.database()).unwrap().node(theirs.id()).unwrap().unwrap();
    assert_eq!((record.summary.state.as_str(), record.trust.now.level), ("quarantined", TrustLevel::Token));
    assert_eq!((record.conflicts.len(), record.conflicts[0].incumbent_id.as_str()), (1, ours.id()));
    assert!(approve(&theirs).unwrap_err().to_string().starts_with("node_in_doubt"));
    assert_eq!(ours.attest(&mut tpm).level, TrustLevel::Tpm, "the owner is left alone");
}

#[test]
fn a_tpm_that_was_reset_or_changed_puts_its_node_in_doubt() {
    let site = Site::start("");
    let tpm = Swtpm::start(Maker::None);
    let node = site.node();
    let mut before = attester(&tpm);
    let ek = before.ek_sha256().unwrap();
    node.attest(&mut before);
    drop(before);
    tpm.change_endorsement_seed();
    let mut after = attester(&tpm);
    assert_ne!(after.ek_sha256().unwrap(), ek, "the fault has arrived");
    let challenge = node.challenge(&after);
    let answer = node.answer(&mut after, &challenge);
    assert_eq!(node.send(&challenge, &answer).unwrap_err(), "node_in_doubt");
    let record = View::open(site.database()).unwrap().node(node.id()).unwrap().unwrap();
    assert_eq!((record.summary.state.as_str(), record.summary.reason.as_deref()), ("quarantined", Some("identity_conflict")));
    assert_eq!(settled(node.client.attest(node.id(), &node.request(&after, &after))).unwrap_err(), "node_in_doubt");
}

#[test]
fn a_challenge_is_answered_once_in_time_and_by_its_node() {
    let site = Site::start("");
    let tpm = Swtpm::start(Maker::None);
    let mut tpm = attester(&tpm);
    let (node, other) = (site.node(), site.node());
    let first = node.challenge(&tpm);
    let answer = node.answer(&mut tpm, &first);
    // By another node.
    assert_eq!(settled(other.client.answer(other.id(), &first.challenge, &answer)).unwrap_err(), "challenge_unknown");
    let standing = node.send(&first, &answer).unwrap();
    assert_eq!(node.send(&first, &answer).unwrap(), standing, "the very same answer again");
    let changed = AttestationEvidence { secret: "00".repeat(32), ..answer.clone() };
    assert_eq!(node.send(&first, &changed).unwrap_err(), "challenge_used");
    // Yesterday's answer to today's challenge.
    let second = node.challenge(&tpm);
    assert_eq!(node.send(&second, &answer).unwrap_err(), "attestation_refused");
    let right = node.answer(&mut tpm, &second);
    assert_eq!(node.send(&second, &right).unwrap_err(), "challenge_used", "a wrong answer uses it up");
    // A later challenge takes the place of one that waits.
    let third = node.challenge(&tpm);
    let fourth = node.challenge(&tpm);
    let late = node.answer(&mut tpm, &third);
    assert_eq!(node.send(&third, &late).unwrap_err(), "challenge_unknown");
    let answer = node.answer(&mut tpm, &fourth);
    site.clock.advance(SignedDuration::from_mins(6));
    assert_eq!(node.send(&fourth, &answer).unwrap_err(), "challenge_expired");
}

#[test]
fn keys_of_two_tpms_and_quotes_about_something_else_prove_nothing() {
    let site = Site::start("");
    let (ours, theirs) = (Swtpm::start(Maker::None), Swtpm::start(Maker::None));
    let (mut ours, mut theirs) = (attester(&ours), attester(&theirs));
    let node = site.node();
    let public_key = node.public_key();
    let asked_of = |challenge: &CredentialChallenge| quote_digest(&node.context(&public_key, &challenge.challenge));
    // Their endorsement key with our attestation key: our TPM signs, and cannot open.
    let challenge = settled(node.client.attest(node.id(), &node.request(&theirs, &ours))).unwrap();
    let guess = quoted(&mut ours, &[0; 32], &asked_of(&challenge));
    assert_eq!(node.send(&challenge, &guess).unwrap_err(), "attestation_refused");
    // The other way round, the credential is for a name that our TPM does not hold.
    let challenge = settled(node.client.attest(node.id(), &node.request(&ours, &theirs))).unwrap();
    let bytes = |text: &str| HEXLOWER.decode(text.as_bytes()).unwrap();
    assert!(ours.activate(&bytes(&challenge.credential), &bytes(&challenge.encrypted_seed)).is_err());
    let guess = quoted(&mut theirs, &[0; 32], &asked_of(&challenge));
    assert_eq!(node.send(&challenge, &guess).unwrap_err(), "attestation_refused");
    let stranger = "77".repeat(32);
    // The right TPM, asked about another key, boot, nonce or challenge; and with another's signature.
    type Change = for<'a> fn(QuoteContext<'a>, &'a str) -> QuoteContext<'a>;
    let changes: [(&str, Change); 4] = [
        ("key", |context, other| QuoteContext { public_key: other, ..context }),
        ("boot", |context, other| QuoteContext { boot_id: other, ..context }),
        ("nonce", |context, other| QuoteContext { nonce: other, ..context }),
        ("challenge", |context, other| QuoteContext { challenge: other, ..context }),
    ];
    for (what, change) in changes {
        let challenge = node.challenge(&ours);
        let right = node.answer(&mut ours, &challenge);
        let asked = quote_digest(&change(node.context(&public_key, &challenge.challenge), &stranger));
        let secret = HEXLOWER.decode(right.secret.as_bytes()).unwrap();
        let answer = quoted(&mut ours, &secret, &asked);
        assert_eq!(node.send(&challenge, &answer).unwrap_err(), "attestation_refused", "{what}");
    }
    let challenge = node.challenge(&ours);
    let right = node.answer(&mut ours, &challenge);
    let secret = HEXLOWER.decode(right.secret.as_bytes()).unwrap();
    let by_theirs = quoted(&mut theirs, &secret, &asked_of(&challenge));
    assert_eq!(node.send(&challenge, &by_theirs).unwrap_err(), "attestation_refused");
    assert_eq!(site.trust(node.id()).now.level, TrustLevel::Token);
}

#[test]
fn a_request_by_another_key_of_another_boot_or_with_bent_structures_is_refused() {
    let site = Site::start("");
    let tpm = Swtpm::start(Maker::None);
    let tpm = attester(&tpm);
    let (node, other) = (site.node(), site.node());
    let good = node.request(&tpm, &tpm);
    let code = |request: &AttestationRequest| settled(node.client.attest(node.id(), request)).unwrap_err();
    assert_eq!(code(&other.request(&tpm, &tpm)), "bad_proof", "signed by another node");
    assert_eq!(code(&AttestationRequest { ek_certificate: Some("30".into()), ..good.clone() }), "bad_proof");
    let elsewhere = AttestationRequest { boot_id: "2b4e28ba-2fa1-41d2-883f-0016d3cca427".into(), ..good.clone() };
    assert_eq!(code(&elsewhere), "bad_proof", "a boot that is not enrolled");
    // Proved by the right key, and no keys of a TPM.
    let (ek, ak) = (&good.ek_public, &good.ak_public);
    for (ek_public, ak_public, expected) in [
        (ak.clone(), ek.clone(), "attestation_refused"),
        (ek.clone(), ek.clone(), "attestation_refused"),
        (ek[..ek.len() - 2].to_owned(), ak.clone(), "attestation_refused"),
        (format!("{ek}00"), ak.clone(), "attestation_refused"),
        (String::new(), ak.clone(), "attestation_refused"),
        (ek.to_ascii_uppercase(), ak.clone(), "body_malformed"),
        ("zz".into(), ak.clone(), "body_malformed"),
    ] {
        let mut request = AttestationRequest { ek_public, ak_public, ..good.clone() };
        node.prove(&mut request);
        assert_eq!(code(&request), expected, "{request:?}");
    }
}

#[test]
fn bent_answers_are_refused_and_use_their_challenge_up() {
    let site = Site::start("");
    let tpm = Swtpm::start(Maker::None);
    let mut tpm = attester(&tpm);
    let node = site.node();
    type Bend = fn(&mut AttestationEvidence);
    let bends: [(&str, Bend); 9] = [
        ("body_malformed", |answer| answer.secret = "zz".into()),
        ("attestation_refused", |answer| answer.secret = "00".into()),
        ("attestation_refused", |answer| answer.quote.truncate(40)),
        ("attestation_refused", |answer| answer.quote.push_str("00")),
        ("attestation_refused", |answer| answer.signature = String::new()),
        ("attestation_refused", |answer| answer.pcrs[0].sha256 = "11".repeat(32)),
        ("attestation_refused", |answer| drop(answer.pcrs.pop())),
        ("body_malformed", |answer| answer.pcrs[1].index = answer.pcrs[0].index),
        ("attestation_refused", |answer| answer.event_log_sha256 = Some("22".repeat(32))),
    ];
    for (nth, (expected, bend)) in bends.into_iter().enumerate() {
        let challenge = node.challenge(&tpm);
        let right = node.answer(&mut tpm, &challenge);
        let mut bent = right.clone();
        bend(&mut bent);
        assert_eq!(node.send(&challenge, &bent).unwrap_err(), expected, "case {nth}");
        assert_eq!(node.send(&challenge, &right).unwrap_err(), "challenge_used", "case {nth}");
    }
}

#[test]
fn a_boot_that_the_policy_expects_is_measured_and_another_is_not() {
    // A TPM that nothing was measured into.
    let zeros = "0".repeat(64);
    let expected = format!("[[boots]]\nname = 'empty'\npcrs = {{ 4 = '{zeros}', 11 = '{zeros}' }}\n");
    let other = format!("[[boots]]\nname = 'other'\npcrs = {{ 4 = '{zeros}', 11 = '{}' }}\n", "1".repeat(64));
    for (policy, level) in [(expected, TrustLevel::Measured), (other, TrustLevel::Tpm)] {
        let site = Site::start(&policy);
        let tpm = Swtpm::start(Maker::None);
        let mut tpm = attester(&tpm);
        let node = site.node();
        assert_eq!(node.attest(&mut tpm).level, TrustLevel::Token, "nobody vouches for the TPM");
        store::add_tpm_key(site.database(), site.clock.as_ref(), &tpm.ek_sha256().unwrap()).unwrap();
        assert_eq!(node.attest(&mut tpm).level, level);
    }
}

#[test]
fn node_init_climbs_the_ladder_by_itself() {
    let site = Site::start("");
    let tpm = Swtpm::start(Maker::Certificates);
    site.trust_roots_of(&tpm);
    let folder = site.folder.path();
    std::fs::write(folder.join("token"), site.token()).unwrap();
    // What comes after the ladder is another story: this burn-in leaves no report.
    let ended = run(
        Command::new(program("node-init"))
            .args(["register", "--inventory", &site.url(), "--give-up-after", "20", "--burnin", "/bin/true"])
            .arg("--ca")
            .arg(site.data().ca_certificate())
            .arg("--token-file")
            .arg(folder.join("token"))
            .arg("--state")
            .arg(folder.join("state"))
            .arg("--tpm")
            .arg(tpm.socket()),
        Duration::from_secs(60),
    );
    assert_eq!(ended.code(), Some(4), "{}", ended.stderr);
    let nodes = View::open(site.database()).unwrap().nodes(None).unwrap();
    let [node] = &nodes[..] else { panic!("{nodes:?}: {}", ended.stderr) };
    let kinds: Vec<_> = site.trust(&node.id).evidence.iter().rev().map(|one| one.kind.clone()).collect();
    assert_eq!(kinds, ["token", "certificate", "tpm"], "{}", ended.stderr);
    assert_eq!(site.trust(&node.id).now.level, TrustLevel::Tpm);
}
