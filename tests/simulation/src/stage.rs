//! Nodes as threads of which one runs at a time: each asks for something and waits until it is told how that went.

use std::panic::{AssertUnwindSafe, catch_unwind, resume_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::{self, JoinHandle};
use std::time::Duration;

/// What a node waits for.
#[derive(Debug)]
pub enum Ask<T> {
    /// The answer to a request.
    Answer(Request),
    /// That time goes by.
    Sleep(Duration),
    /// Nothing more: it came to its end.
    Done(T),
    /// Nothing more: it was killed.
    Killed,
}

/// A request as it goes over the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Request {
    /// The method of HTTP.
    pub method: &'static str,
    /// The path.
    pub path: String,
    /// The signature in the header, if there is one.
    pub signature: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

/// An answer as it comes over the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// Status of HTTP.
    pub status: u16,
    /// The header `Retry-After`.
    pub retry_after: Option<String>,
    /// The body.
    pub body: Vec<u8>,
}

/// How it went.
#[derive(Debug)]
enum Told {
    /// There is an answer, or none came.
    Answer(Option<Response>),
    /// The time went by.
    Awake,
    /// Die here.
    Die,
}

/// What unwinds a node that is killed.
struct Death;

/// The node's side: what its program uses as network and clock.
#[derive(Debug)]
pub struct Actor<T> {
    asks: Sender<Ask<T>>,
    told: Receiver<Told>,
    /// Simulated time in microseconds.
    now: Arc<AtomicU64>,
}

impl<T> Actor<T> {
    fn ask(&self, ask: Ask<T>) -> Told {
        // Whoever directs is gone: the run is over, and so is this node.
        let told = self.asks.send(ask).ok().and_then(|()| self.told.recv().ok()).unwrap_or(Told::Die);
        if matches!(told, Told::Die) {
            resume_unwind(Box::new(Death));
        }
        told
    }

    /// Sends a request; none if no answer comes.
    pub fn request(&self, request: Request) -> Option<Response> {
        match self.ask(Ask::Answer(request)) {
            Told::Answer(answer) => answer,
            Told::Awake | Told::Die => None,
        }
    }

    /// Lets time go by.
    pub fn sleep(&self, time: Duration) {
        self.ask(Ask::Sleep(time));
    }

    /// What time it is, counted from the start of the run.
    pub fn now(&self) -> Duration {
        Duration::from_micros(self.now.load(Ordering::SeqCst))
    }
}

/// The director's side of one node.
#[derive(Debug)]
pub struct Player<T> {
    asks: Receiver<Ask<T>>,
    tell: Sender<Told>,
    thread: Option<JoinHandle<()>>,
}

impl<T: Send + 'static> Player<T> {
    /// Starts the program of a node; it runs until it asks for the first time.
    pub fn start(now: &Arc<AtomicU64>, program: impl FnOnce(&Actor<T>) -> T + Send + 'static) -> Self {
        let (asking, asks) = channel();
        let (tell, told) = channel();
        let actor = Actor { asks: asking, told, now: Arc::clone(now) };
        let thread = thread::spawn(move || {
            let end = match catch_unwind(AssertUnwindSafe(|| program(&actor))) {
                Ok(result) => Ask::Done(result),
                Err(cause) if cause.is::<Death>() => Ask::Killed,
                Err(cause) => resume_unwind(cause),
            };
            let _ = actor.asks.send(end);
        });
        Self { asks, tell, thread: Some(thread) }
    }

    /// Waits until it asks. A program that panicked is a fault of the code under test, and ends the run.
    pub fn asks(&mut self) -> Ask<T> {
        match self.asks.recv() {
            Ok(ask) => ask,
            Err(_) => match self.thread.take().map(JoinHandle::join) {
                Some(Err(cause)) => resume_unwind(cause),
                _ => Ask::Killed,
            },
        }
    }

    /// Tells it the answer to its request.
    pub fn answer(&self, answer: Option<Response>) {
        self.tell(Told::Answer(answer));
    }

    /// Tells it that its sleep is over.
    pub fn wake(&self) {
        self.tell(Told::Awake);
    }

    /// Kills it where it waits.
    pub fn kill(&self) {
        self.tell(Told::Die);
    }

    fn tell(&self, told: Told) {
        // One that ended by itself hears nothing more.
        let _ = self.tell.send(told);
    }
}

impl<T> Drop for Player<T> {
    fn drop(&mut self) {
        let _ = self.tell.send(Told::Die);
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_node_runs_only_between_what_it_is_told() {
        let now = Arc::new(AtomicU64::new(0));
        let mut player = Player::start(&now, |actor: &Actor<Duration>| {
            actor.sleep(Duration::from_secs(1));
            let request = Request { method: "GET", path: "/".into(), signature: None, body: Vec::new() };
            assert_eq!(actor.request(request), None);
            actor.now()
        });
        assert!(matches!(player.asks(), Ask::Sleep(time) if time == Duration::from_secs(1)));
        now.store(1_000_000, Ordering::SeqCst);
        player.wake();
        assert!(matches!(player.asks(), Ask::Answer(_)));
        player.answer(None);
        assert!(matches!(player.asks(), Ask::Done(time) if time == Duration::from_secs(1)));
    }

    #[test]
    fn a_node_that_is_killed_dies_where_it_waits() {
        let now = Arc::new(AtomicU64::new(0));
        let mut player = Player::start(&now, |actor: &Actor<()>| {
            actor.sleep(Duration::from_secs(1));
            unreachable!("it goes on after its death");
        });
        assert!(matches!(player.asks(), Ask::Sleep(_)));
        player.kill();
        assert!(matches!(player.asks(), Ask::Killed));
    }
}
