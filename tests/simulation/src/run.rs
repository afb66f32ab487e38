//! What happens next: the nodes act in turn, requests travel, servers and nodes go down and come back, until every node
//! has registered every boot that it was to make.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result};
use sha2::{Digest, Sha256};

use crate::node::End;
use crate::oracle::{self, Acknowledged};
use crate::server::Server;
use crate::stage::{Ask, Player, Request, Response};
use crate::weather::Weather;
use crate::world::Machine;

/// A node gives up on a request after this.
const REQUEST_MAX: Duration = Duration::from_secs(60);
/// A repeated request comes so much later at most.
const REPEAT_MAX: Duration = Duration::from_secs(120);
/// A node that died is back within this time.
const BACK_MAX: Duration = Duration::from_secs(30);
/// All nodes are powered on within this time.
const WINDOW: Duration = Duration::from_secs(10);
/// The weather clears after this, so that everybody comes to an end.
const STORM: Duration = Duration::from_secs(2 * 3600);
/// More events than any run needs: something never ends.
const EVENTS_MAX: u64 = 200_000;

/// What is planted, to see that the oracle sees it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Plant {
    /// Nothing.
    #[default]
    Nothing,
    /// A server that comes back with the record of its start before: it acknowledged what it did not keep.
    ForgetfulServer,
    /// A node that comes back without its disk: it signs with another key, and is another node.
    ForgetfulNode,
}

/// One run.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Where all chance comes from.
    pub seed: u64,
    /// So many nodes.
    pub nodes: usize,
    /// What goes wrong; drawn from the seed if absent.
    pub weather: Option<Weather>,
    /// What is planted.
    pub plant: Plant,
}

/// What happened.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Counts {
    /// Requests that nodes sent.
    pub requests: u64,
    /// Requests that never arrived.
    pub requests_lost: u64,
    /// Answers that never arrived.
    pub answers_lost: u64,
    /// Requests that arrived a second time.
    pub repeated: u64,
    /// Requests that arrived before one that was sent earlier.
    pub overtaken: u64,
    /// Stops of the server.
    pub server_stops: u64,
    /// Deaths of a node's program.
    pub node_deaths: u64,
    /// Resets of a node.
    pub node_resets: u64,
    /// Reports that were acknowledged.
    pub acknowledged: u64,
}

impl Counts {
    /// Adds those of another run.
    pub fn add(&mut self, other: &Self) {
        let pairs = [
            (&mut self.requests, other.requests),
            (&mut self.requests_lost, other.requests_lost),
            (&mut self.answers_lost, other.answers_lost),
            (&mut self.repeated, other.repeated),
            (&mut self.overtaken, other.overtaken),
            (&mut self.server_stops, other.server_stops),
            (&mut self.node_deaths, other.node_deaths),
            (&mut self.node_resets, other.node_resets),
            (&mut self.acknowledged, other.acknowledged),
        ];
        for (own, other) in pairs {
            *own += other;
        }
    }

    /// As a line for people.
    pub fn in_words(&self) -> String {
        format!(
            "{} requests, {} lost, {} answers lost, {} repeated, {} overtaken, {} stops of the server, \
             {} deaths and {} resets of nodes, {} reports acknowledged",
            self.requests,
            self.requests_lost,
            self.answers_lost,
            self.repeated,
            self.overtaken,
            self.server_stops,
            self.node_deaths,
            self.node_resets,
            self.acknowledged
        )
    }
}

/// How a run ended.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// What happened.
    pub counts: Counts,
    /// What must not have happened; empty if all is well.
    pub violations: Vec<String>,
    /// Digest of all that happened, in order: the same for the same seed.
    pub transcript: [u8; 32],
    /// How long it took in simulated time.
    pub took: Duration,
}

enum Event {
    Start { node: usize },
    Arrive { node: usize, ask: u64, request: Request, first: bool },
    Answer { node: usize, ask: u64, response: Option<Response> },
    Wake { node: usize, ask: u64 },
    Kill { node: usize, ask: u64, reset: bool },
    ServerUp,
}

/// An event in its place: by time, then in the order in which it was thought of.
struct Placed(Duration, u64, Event);

impl PartialEq for Placed {
    fn eq(&self, other: &Self) -> bool {
        (self.0, self.1) == (other.0, other.1)
    }
}

impl Eq for Placed {}

impl PartialOrd for Placed {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Placed {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.0, self.1).cmp(&(other.0, other.1))
    }
}

/// One node as the director sees it.
struct Cast {
    machine: Machine,
    player: Option<Player<End>>,
    /// The number of what it waits for.
    waiting: Option<u64>,
}

struct Director {
    options: Options,
    weather: Weather,
    random: fastrand::Rng,
    now: Duration,
    clock: Arc<AtomicU64>,
    queue: BinaryHeap<Reverse<Placed>>,
    numbers: u64,
    latest_arrival: u64,
    cast: Vec<Cast>,
    server: Server,
    transcript: Sha256,
    counts: Counts,
    acknowledged: Vec<Acknowledged>,
    violations: Vec<String>,
}

/// Runs one seed.
pub fn run(options: Options) -> Result<Outcome> {
    let mut director = Director::new(options)?;
    let mut events = 0;
    while let Some(Reverse(Placed(at, _, event))) = director.queue.pop() {
        events += 1;
        if events > EVENTS_MAX {
            director.violations.push(format!("{EVENTS_MAX} events, and some node has still not registered"));
            break;
        }
        director.go_to(at);
        director.happen(event).with_context(|| format!("seed {}", options.seed))?;
    }
    director.finish()
}

impl Director {
    fn new(options: Options) -> Result<Self> {
        let mut random = fastrand::Rng::with_seed(options.seed);
        let weather = options.weather.unwrap_or_else(|| Weather::drawn(&mut random));
        let server = Server::new(options.plant == Plant::ForgetfulServer)?;
        let machines = Machine::fleet(&server, options.nodes, options.seed)?;
        let cast = machines.into_iter().map(|machine| Cast { machine, player: None, waiting: None });
        let mut director = Self {
            options,
            weather,
            random,
            now: Duration::ZERO,
            clock: Arc::default(),
            queue: BinaryHeap::new(),
            numbers: 0,
            latest_arrival: 0,
            cast: cast.collect(),
            server,
            transcript: Sha256::new(),
            counts: Counts::default(),
            acknowledged: Vec::new(),
            violations: Vec::new(),
        };
        for node in 0..options.nodes {
            let after = director.up_to(WINDOW);
            director.plan(after, Event::Start { node });
        }
        Ok(director)
    }

    fn plan(&mut self, after: Duration, event: Event) {
        self.numbers += 1;
        self.queue.push(Reverse(Placed(self.now + after, self.numbers, event)));
    }

    fn go_to(&mut self, at: Duration) {
        self.now = at;
        self.clock.store(u64::try_from(at.as_micros()).unwrap_or(u64::MAX), Ordering::SeqCst);
        self.server.go_to(at);
        if at > STORM {
            self.weather = Weather::FAIR;
        }
    }

    fn chance(&mut self, of: f64) -> bool {
        self.random.f64() < of
    }

    fn up_to(&mut self, most: Duration) -> Duration {
        most.mul_f64(self.random.f64())
    }

    fn note(&mut self, what: &str, node: usize) {
        self.transcript.update(format!("{} {what} {node}\n", self.now.as_micros()));
    }

    fn happen(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Start { node } => self.start(node)?,
            Event::Arrive { node, ask, request, first } => self.arrive(node, ask, request, first)?,
            Event::Answer { node, ask, response } if self.waits(node, ask) => {
                let status = response.as_ref().map_or(0, |response| response.status);
                self.note(&format!("answer {status}"), node);
                self.tell(node, |player| player.answer(response))?;
            }
            Event::Wake { node, ask } if self.waits(node, ask) => self.tell(node, Player::wake)?,
            Event::Kill { node, ask, reset } if self.waits(node, ask) => self.kill(node, reset)?,
            Event::ServerUp => {
                self.note("server up", 0);
                self.server.start()?;
            }
            // An answer to one who has gone on.
            Event::Answer { .. } | Event::Wake { .. } | Event::Kill { .. } => {}
        }
        Ok(())
    }

    fn waits(&self, node: usize, ask: u64) -> bool {
        self.cast[node].waiting == Some(ask)
    }

    fn start(&mut self, node: usize) -> Result<()> {
        self.note("start", node);
        let seed = self.random.u64(..);
        let start = self.cast[node].machine.start(&self.server, seed)?;
        let program = move |actor: &crate::stage::Actor<End>| crate::node::program(&start, actor);
        self.cast[node].player = Some(Player::start(&self.clock, program));
        self.next_ask(node)
    }

    fn tell(&mut self, node: usize, told: impl FnOnce(&Player<End>)) -> Result<()> {
        let cast = &mut self.cast[node];
        cast.waiting = None;
        if let Some(player) = &cast.player {
            told(player);
            return self.next_ask(node);
        }
        Ok(())
    }

    /// Lets a node run until it asks for something, and plans what comes of that.
    fn next_ask(&mut self, node: usize) -> Result<()> {
        let Some(player) = &mut self.cast[node].player else { return Ok(()) };
        let asked = player.asks();
        let ask = self.numbers;
        match asked {
            Ask::Sleep(time) => {
                self.wait_for(node, ask, time);
                self.plan(time, Event::Wake { node, ask });
            }
            Ask::Answer(request) => {
                self.wait_for(node, ask, 2 * self.weather.way_max);
                self.plan(REQUEST_MAX, Event::Answer { node, ask, response: None });
                self.send(node, ask, request);
            }
            Ask::Done(end) => self.done(node, end)?,
            Ask::Killed => self.violations.push(format!("node {node} died by itself")),
        }
        Ok(())
    }

    /// Whoever waits may die meanwhile.
    fn wait_for(&mut self, node: usize, ask: u64, about: Duration) {
        self.cast[node].waiting = Some(ask);
        let (kill, reset) = (self.weather.kill_node, self.weather.reset_node);
        let dies = [self.chance(kill), self.chance(reset)];
        for (dies, reset) in dies.into_iter().zip([false, true]) {
            if dies {
                let after = self.up_to(about);
                self.plan(after, Event::Kill { node, ask, reset });
            }
        }
    }

    fn send(&mut self, node: usize, ask: u64, request: Request) {
        self.counts.requests += 1;
        let body = request.body.len();
        self.note(&format!("{} {body}", request.method), node);
        if self.chance(self.weather.repeat) {
            self.counts.repeated += 1;
            let after = self.up_to(REPEAT_MAX);
            self.plan(after, Event::Arrive { node, ask, request: request.clone(), first: false });
        }
        if self.chance(self.weather.lose_request) {
            self.counts.requests_lost += 1;
            return;
        }
        let way = self.up_to(self.weather.way_max);
        self.plan(way, Event::Arrive { node, ask, request, first: true });
    }

    fn arrive(&mut self, node: usize, ask: u64, request: Request, first: bool) -> Result<()> {
        self.counts.overtaken += u64::from(first && ask < self.latest_arrival);
        self.latest_arrival = self.latest_arrival.max(ask);
        let response = self.server.handle(node, &request)?;
        let status = response.as_ref().map_or(0, |response| response.status);
        self.note(&format!("server {status}"), node);
        let stops = response.is_some() && self.chance(self.weather.stop_server);
        if stops {
            self.counts.server_stops += 1;
            self.server.stop()?;
            let away = self.up_to(self.weather.away_max);
            self.plan(away, Event::ServerUp);
        }
        if first && !stops {
            if response.is_some() && self.chance(self.weather.lose_answer) {
                self.counts.answers_lost += 1;
                return Ok(());
            }
            let way = self.up_to(self.weather.way_max);
            self.plan(way, Event::Answer { node, ask, response });
        }
        Ok(())
    }

    fn kill(&mut self, node: usize, reset: bool) -> Result<()> {
        self.note(if reset { "reset" } else { "kill" }, node);
        let cast = &mut self.cast[node];
        cast.waiting = None;
        if let Some(mut player) = cast.player.take() {
            player.kill();
            let _ = player.asks();
        }
        if reset {
            self.counts.node_resets += 1;
            self.cast[node].machine.next_boot();
        } else {
            self.counts.node_deaths += 1;
        }
        if self.options.plant == Plant::ForgetfulNode {
            self.cast[node].machine.lose_disk()?;
        }
        let after = self.up_to(BACK_MAX);
        self.plan(after, Event::Start { node });
        Ok(())
    }

    fn done(&mut self, node: usize, end: End) -> Result<()> {
        self.note("done", node);
        self.cast[node].player = None;
        match end {
            Ok(registration) => {
                self.counts.acknowledged += 1;
                self.acknowledged.push(Acknowledged { node, registration });
                if self.cast[node].machine.has_another_boot() {
                    let after = self.up_to(BACK_MAX);
                    self.plan(after, Event::Start { node });
                }
            }
            Err(error) => self.violations.push(format!("node {node} ended with: {error}")),
        }
        Ok(())
    }

    fn finish(mut self) -> Result<Outcome> {
        let machines: Vec<_> = self.cast.iter().map(|cast| &cast.machine).collect();
        let found = oracle::look(&mut self.server, &machines, &self.acknowledged)?;
        self.violations.extend(found);
        Ok(Outcome {
            counts: self.counts,
            violations: self.violations,
            transcript: self.transcript.finalize().into(),
            took: self.now,
        })
    }
}
