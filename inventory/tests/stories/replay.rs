//! Tells a story to a store, and looks after each step whether anybody was harmed.

use std::collections::BTreeMap;

use data_encoding::HEXLOWER;
use inventory::identity::{Evidence, Kind, NewKey, Weights, decide};
use inventory::refusal::Refusal;
use inventory::store::{Enrolment, Inputs, Resolution, Store};
use inventory::token::Token;
use report::wire::{EnrolResponse, Identity};
use rusqlite::Connection;
use sha2::{Digest, Sha256};

use crate::story::{Enrol, Step, Story, Things, Verb};
use crate::support::direct::{Direct, enrolment, submission};
use crate::support::healthy_report;

/// One store for all stories.
pub(crate) struct World {
    direct: Direct,
    /// A second look at the file, past all code under test.
    database: Connection,
    tokens: Vec<Token>,
    decisions_seen: u64,
}

/// What of a record must not change behind its owner's back.
#[derive(Clone, Debug, PartialEq)]
struct Standing {
    key: Vec<u8>,
    state: String,
    reason: Option<String>,
    pool: Option<String>,
    boot: Option<String>,
    evidence: Vec<(String, String, Option<String>)>,
}

/// One story as it goes on.
struct Telling<'a> {
    world: &'a mut World,
    story: &'a Story,
    store: Store,
    /// By the name of the key that made them.
    records: BTreeMap<String, String>,
    last: Option<Enrolment>,
}

fn hash(parts: &[&str]) -> [u8; 32] {
    let mut digest = Sha256::new();
    for part in parts {
        digest.update(part.as_bytes());
        digest.update([0]);
    }
    digest.finalize().into()
}

impl World {
    pub(crate) fn new() -> Self {
        let direct = Direct::new();
        let database = Connection::open(direct.path()).unwrap();
        Self { direct, database, tokens: Vec::new(), decisions_seen: 0 }
    }

    /// Tells it to the end; gives the number of steps.
    pub(crate) fn tell(&mut self, story: &Story) -> usize {
        let new_key = story.new_key.unwrap_or(NewKey::BoundToken);
        let mut weights = Weights { new_key, ..Weights::default() };
        if let Some(junk) = &story.junk {
            let value = value(story, junk.kind, &junk.value);
            weights.junk.entry(junk.kind).or_default().insert(value);
        }
        let store = self.direct.store.clone().with_weights(weights);
        let mut telling = Telling { world: self, story, store, records: BTreeMap::new(), last: None };
        let mut steps = 0;
        for (number, step) in story.steps.iter().enumerate() {
            match step {
                Step::Enrol(enrol) => steps += telling.enrol(number, enrol),
                Step::Verb(verb) => {
                    telling.verb(number, verb);
                    steps += 1;
                }
            }
        }
        steps
    }

    fn token(&mut self) -> Token {
        if self.tokens.is_empty() {
            self.tokens = self.direct.tokens(64);
        }
        self.tokens.pop().unwrap()
    }

    fn standings(&self) -> BTreeMap<String, Standing> {
        let mut all = BTreeMap::new();
        let sql = "SELECT n.id, n.public_key, n.state, n.reason, n.pool, b.boot_id
                   FROM nodes n LEFT JOIN boots b ON b.node_id = n.id AND b.is_current = 1";
        let mut select = self.database.prepare_cached(sql).unwrap();
        let mut rows = select.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let standing = Standing {
                key: row.get(1).unwrap(),
                state: row.get(2).unwrap(),
                reason: row.get(3).unwrap(),
                pool: row.get(4).unwrap(),
                boot: row.get(5).unwrap(),
                evidence: Vec::new(),
            };
            all.insert(row.get(0).unwrap(), standing);
        }
        let sql = "SELECT node_id, kind, value, vendor FROM evidence WHERE standing = 'current' ORDER BY kind, value";
        let mut select = self.database.prepare_cached(sql).unwrap();
        let mut rows = select.query([]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            let standing: &mut Standing = all.get_mut(&row.get::<_, String>(0).unwrap()).unwrap();
            standing.evidence.push((row.get(1).unwrap(), row.get(2).unwrap(), row.get(3).unwrap()));
        }
        all
    }

    /// Each new decision follows from its own inputs and weights.
    fn check_decisions(&mut self, tale: &str) {
        let sql = "SELECT d.id, d.inputs, w.body FROM decisions d JOIN weights w ON w.sha256 = d.weights WHERE d.id > ?1";
        let mut select = self.database.prepare_cached(sql).unwrap();
        let mut rows = select.query([self.decisions_seen]).unwrap();
        while let Some(row) = rows.next().unwrap() {
            self.decisions_seen = row.get(0).unwrap();
            let inputs: Inputs = serde_json::from_str(&row.get::<_, String>(1).unwrap()).unwrap();
            let weights: Weights = serde_json::from_str(&row.get::<_, String>(2).unwrap()).unwrap();
            assert_eq!(decide(&inputs.claim, &inputs.candidates, &weights), inputs.decision, "{tale}");
        }
    }
}

/// Nodes in good standing that hold one TPM.
fn check_owners(standings: &BTreeMap<String, Standing>, tale: &str) {
    let mut owners: BTreeMap<&str, &str> = BTreeMap::new();
    for (id, standing) in
        standings.iter().filter(|(_, s)| !matches!(s.state.as_str(), "quarantined" | "retired"))
    {
        for (kind, value, _) in &standing.evidence {
            if matches!(kind.as_str(), "tpm_ek") {
                let other = owners.insert(value, id);
                assert!(other.is_none(), "{tale}: {id} and {other:?} both own {kind} {value}");
            }
        }
    }
}

/// What a thing is called, in the form of evidence.
fn value(story: &Story, kind: Kind, name: &str) -> String {
    if let Some(literal) = name.strip_prefix('=') {
        return literal.to_owned();
    }
    let hash = hash(&[&story.name, kind.as_str(), name]);
    let hex = HEXLOWER.encode(&hash);
    match kind {
        Kind::TpmEk => hex,
        Kind::ProductUuid | Kind::GpuUuid => {
            [&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..32]].join("-")
        }
        Kind::Mac => format!("b8:{}:{}:{}:{}:{}", &hex[..2], &hex[2..4], &hex[4..6], &hex[6..8], &hex[8..10]),
        Kind::Lldp => format!("switch/{}", &hex[..8]),
        _ => format!("s{}", &hex[..11]),
    }
}

/// The word of a story for a kind.
fn kind(word: &str) -> Kind {
    match word {
        "tpm" => Kind::TpmEk,
        "board" => Kind::BoardSerial,
        "serial" => Kind::ProductSerial,
        "uuid" => Kind::ProductUuid,
        "chassis" => Kind::ChassisSerial,
        "macs" => Kind::Mac,
        "nvme" => Kind::NvmeSerial,
        "gpus" => Kind::GpuUuid,
        "lldp" => Kind::Lldp,
        _ => panic!("`{word}` is no kind of thing"),
    }
}

impl Telling<'_> {
    fn enrol(&mut self, number: usize, step: &Enrol) -> usize {
        let times = step.times.unwrap_or(1);
        for time in 0..times {
            let machine = match step.times {
                Some(_) => format!("{}.{time}", step.enrol),
                None => step.enrol.clone(),
            };
            self.enrol_one(&format!("{}, step {number}, {machine}", self.story.name), step, &machine);
        }
        times
    }

    fn enrol_one(&mut self, tale: &str, step: &Enrol, machine: &str) {
        let key = step.key.clone().unwrap_or_else(|| machine.to_owned());
        let request = match &self.last {
            Some(last) if step.again => last.clone(),
            _ => self.request(step, machine, &key),
        };
        let before = self.world.standings();
        let answer = self.world.direct.runtime.block_on(self.store.enrol(request.clone()));
        let after = self.world.standings();
        self.last = Some(request.clone());
        let subject = answer.as_ref().ok().map(|response| response.node_id.clone());
        self.check_bystanders(tale, (&before, &after), subject.as_ref().into_iter());
        self.check_answer(tale, step, &answer);
        if !step.again {
            self.check_decision(tale, step, &answer);
        }
        if let Ok(response) = answer {
            self.records.entry(key).or_insert_with(|| response.node_id.clone());
            if response.state == "registering" {
                self.report(tale, &request, &response);
            }
        }
    }

    fn check_answer(&self, tale: &str, step: &Enrol, answer: &Result<EnrolResponse, Refusal>) {
        match (answer, &step.refused) {
            (Ok(response), None) => {
                let state = step.state.as_ref();
                assert!(
                    state.is_none_or(|state| *state == response.state),
                    "{tale}: it is {}",
                    response.state
                );
                let reason = format!("identity_conflict: {}", step.reason.as_deref().unwrap_or_default());
                let found = self.world.standings()[&response.node_id].reason.clone().unwrap_or_default();
                assert!(step.reason.is_none() || found.starts_with(&reason), "{tale}: the reason is {found}");
            }
            (Err(refusal), Some(code)) => assert_eq!(refusal.code.as_str(), code, "{tale}: {refusal}"),
            (answer, _) => panic!("{tale}: {answer:?}"),
        }
    }

    /// The decision that was stored for this claim is the one that the story expects.
    fn check_decision(&mut self, tale: &str, step: &Enrol, answer: &Result<EnrolResponse, Refusal>) {
        self.world.check_decisions(tale);
        let is_decided = answer.is_ok() || step.effect.as_deref() == Some("refuse");
        if !is_decided {
            return;
        }
        let sql = "SELECT outcome, other_id, why, effect FROM decisions ORDER BY id DESC LIMIT 1";
        type Row = (String, Option<String>, Option<String>, String);
        let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
        let (outcome, other, why, effect): Row = self.world.database.query_row(sql, [], row).unwrap();
        let same = |expected: &Option<String>, found: Option<&str>, what: &str| {
            assert!(
                expected.is_none() || expected.as_deref() == found,
                "{tale}: {what} is {found:?} ({outcome} {other:?} {why:?} {effect})"
            );
        };
        same(&step.outcome, Some(&outcome), "the outcome");
        same(&step.on.as_ref().map(|on| self.records[on].clone()), other.as_deref(), "the other record");
        same(&step.why, why.as_deref(), "the why");
        same(&step.effect, Some(&effect), "the effect");
    }

    fn check_bystanders<'b>(
        &self,
        tale: &str,
        (before, after): (&BTreeMap<String, Standing>, &BTreeMap<String, Standing>),
        subjects: impl Iterator<Item = &'b String>,
    ) {
        let subjects: Vec<_> = subjects.collect();
        for (id, was) in before.iter().filter(|(id, _)| !subjects.contains(id)) {
            assert_eq!(after.get(id), Some(was), "{tale}: {id} was not asked");
        }
        check_owners(after, tale);
    }

    /// A machine of the story as it shows itself in this step.
    fn identity(&self, step: &Enrol, machine: &str) -> Identity {
        let only = step.only.as_ref().or(self.story.only.as_ref());
        let without = step.without.as_ref().or(self.story.without.as_ref());
        let things = |word: &str, usual: &[String]| -> Vec<String> {
            let shown = only.is_none_or(|only| only.iter().any(|w| w == word))
                && without.is_none_or(|without| without.iter().all(|w| w != word));
            let names = match step.with.get(word) {
                _ if !shown => Vec::new(),
                None => usual.to_vec(),
                Some(Things::One(name)) => vec![name.clone()],
                Some(Things::Several(names)) => names.clone(),
            };
            names.iter().map(|name| value(self.story, kind(word), name)).collect()
        };
        let (one, two) = ([machine.to_owned()], [format!("{machine}0"), format!("{machine}1")]);
        let single = |word: &str| things(word, &one).pop();
        let makers = without.is_none_or(|without| without.iter().all(|w| w != "makers"));
        let maker = match step.with.get("maker") {
            Some(Things::One(maker)) => Some(maker.clone()),
            _ => makers.then(|| "Example Corp.".to_owned()),
        };
        Identity {
            product_uuid: single("uuid"),
            product_serial: single("serial"),
            board_serial: single("board"),
            macs: things("macs", &two).iter().map(|mac| mac.parse().unwrap()).collect(),
            hostname: Some("gpu-17".to_owned()),
            system_vendor: maker.clone(),
            board_vendor: maker,
            chassis_serial: single("chassis"),
            tpm_ek_sha256: single("tpm"),
            nvme_serials: things("nvme", &two),
            gpu_serials: Vec::new(),
            gpu_uuids: things("gpus", &two),
            lldp: things("lldp", &one),
        }
    }

    fn request(&mut self, step: &Enrol, machine: &str, key: &str) -> Enrolment {
        let identity = self.identity(step, machine);
        let token = match &step.token_for {
            None => self.world.token(),
            Some(name) => self.world.direct.token_for(&self.records[name]),
        };
        enrolment(token, hash(&[&self.story.name, "key", key]), &identity)
    }

    /// It hands in a good report and becomes available.
    fn report(&mut self, tale: &str, request: &Enrolment, session: &EnrolResponse) {
        let report = healthy_report(&request.boot_id);
        let submission = submission(&request.boot_id, session, 1, report);
        let ack = self.world.direct.runtime.block_on(self.store.accept(submission)).unwrap();
        assert_eq!(ack.state, "available", "{tale}");
    }

    fn verb(&mut self, number: usize, step: &Verb) {
        let tale = format!("{}, step {number}, {}", self.story.name, step.verb);
        let id = |name: &Option<String>| {
            let name = name.as_ref().unwrap();
            self.records.get(name).unwrap_or(name).clone()
        };
        let resolution = match step.verb.as_str() {
            "merge" => Resolution::Merge { keep: id(&step.keep), gone: id(&step.gone) },
            "replace" => Resolution::Replace { old: id(&step.old), new: id(&step.new) },
            "release" => Resolution::Release { node: id(&step.node) },
            "split" => Resolution::Split { node: id(&step.node), evidence: self.split_off(step) },
            other => panic!("{tale}: there is no verb {other}"),
        };
        let named: Vec<String> = [&step.keep, &step.gone, &step.old, &step.new, &step.node]
            .into_iter()
            .filter(|name| name.is_some() && step.refused.is_none())
            .map(id)
            .collect();
        let before = self.world.standings();
        let by = ("operator".to_owned(), format!("story: {}", self.story.name));
        let answer = self.world.direct.runtime.block_on(self.store.resolve(resolution, by));
        let after = self.world.standings();
        self.check_bystanders(&tale, (&before, &after), named.iter());
        match (answer, &step.refused) {
            (Err(refusal), Some(code)) => {
                assert_eq!(refusal.code.as_str(), code, "{tale}: {refusal}");
                assert_eq!(before, after, "{tale}: what is refused changes nothing");
            }
            (Ok(resolved), None) => {
                assert_eq!(resolved.revision.is_none(), step.again, "{tale}: was it decided before?");
                assert!(
                    step.state.as_ref().is_none_or(|state| *state == resolved.state),
                    "{tale}: {resolved:?}"
                );
                assert!(!step.again || before == after, "{tale}: the same again changes nothing");
            }
            (answer, _) => panic!("{tale}: {answer:?}"),
        }
    }

    fn split_off(&self, step: &Verb) -> Vec<Evidence> {
        let one = |(word, name): (&String, &String)| {
            let kind = kind(word);
            Evidence { kind, value: value(self.story, kind, name), vendor: None }
        };
        step.evidence.iter().map(one).collect()
    }
}
