//! What goes wrong, and how often.

use std::time::Duration;

/// Chances of what can happen to one request or one node.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Weather {
    /// A request never arrives.
    pub lose_request: f64,
    /// A request is done, and its answer never arrives.
    pub lose_answer: f64,
    /// A request arrives a second time, later: after others, or after its sender has gone on.
    pub repeat: f64,
    /// Longest way, one way; each takes a part of it, so that requests overtake each other.
    pub way_max: Duration,
    /// The server is stopped after a request, before its answer is sent, and started again.
    pub stop_server: f64,
    /// Longest time that it is away.
    pub away_max: Duration,
    /// The node's program dies while it waits for an answer, and is started again in the same boot.
    pub kill_node: f64,
    /// The machine is reset while it waits, and enrols another boot with another token.
    pub reset_node: f64,
}

impl Weather {
    /// Nothing goes wrong.
    pub const FAIR: Self = Self {
        lose_request: 0.0,
        lose_answer: 0.0,
        repeat: 0.0,
        way_max: Duration::from_millis(5),
        stop_server: 0.0,
        away_max: Duration::ZERO,
        kill_node: 0.0,
        reset_node: 0.0,
    };

    /// Bad in a way that differs from seed to seed: now this, now that is frequent.
    pub fn drawn(random: &mut fastrand::Rng) -> Self {
        let mut up_to = |most: f64| if random.bool() { random.f64() * most } else { 0.0 };
        Self {
            lose_request: up_to(0.4),
            lose_answer: up_to(0.4),
            repeat: up_to(0.4),
            way_max: Duration::from_secs_f64(0.005 + up_to(8.0)),
            stop_server: up_to(0.15),
            away_max: Duration::from_secs_f64(up_to(600.0)),
            kill_node: up_to(0.15),
            reset_node: up_to(0.1),
        }
    }
}
