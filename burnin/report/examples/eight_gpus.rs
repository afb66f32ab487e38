//! Prints the report of a node of eight GPUs, three of them sick (`healthy`: none), for pictures and for trying what reads
//! reports.

#![allow(clippy::unwrap_used, reason = "an example fails by panicking")]

#[path = "../tests/reports/mod.rs"]
mod reports;

fn main() {
    let sick = std::env::args().nth(1).as_deref() != Some("healthy");
    let report = reports::eight::eight_gpus(sick);
    let mut text = serde_json::to_vec_pretty(&report).unwrap();
    text.push(b'\n');
    std::io::Write::write_all(&mut std::io::stdout(), &text).unwrap();
}
