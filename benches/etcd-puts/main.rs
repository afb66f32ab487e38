//! `etcd-puts`: how many puts a second an etcd makes durable, by its native protocol (gRPC over HTTP/2, without TLS).
//!
//! Closed: so many requests are under way on so many connections that stay open, each followed by the next when it is
//! answered. etcd answers a put when it is in the log of its quorum, synced. Keys are new each time, as reports are.

use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use bytes::{BufMut, Bytes, BytesMut};
use clap::Parser;
use h2::client::SendRequest;
use http::{Method, Request, Version};
use serde_json::json;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::Instant;

/// Puts values into an etcd and counts what is acknowledged.
#[derive(Debug, Parser)]
struct Arguments {
    /// Address of the etcd, without TLS
    #[arg(long, default_value = "127.0.0.1:2379")]
    endpoint: String,
    /// Connections
    #[arg(long, default_value_t = 32)]
    connections: u64,
    /// Requests under way, over all connections
    #[arg(long, default_value_t = 256)]
    requests: u64,
    /// Size of a value in bytes
    #[arg(long, default_value_t = 26_000)]
    bytes: usize,
    /// For so many seconds
    #[arg(long, default_value_t = 20)]
    seconds: u64,
}

fn main() -> Result<ExitCode> {
    let arguments = Arguments::parse();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    runtime.block_on(run(arguments))?;
    Ok(ExitCode::SUCCESS)
}

async fn run(arguments: Arguments) -> Result<()> {
    let value: Arc<Vec<u8>> = Arc::new(noise(arguments.bytes));
    let (next, begun) = (Arc::new(AtomicU64::new(0)), Instant::now());
    let end = begun + Duration::from_secs(arguments.seconds);
    let mut putting = JoinSet::new();
    for number in 0..arguments.connections {
        let stream = TcpStream::connect(&arguments.endpoint).await.context("connecting to the etcd")?;
        stream.set_nodelay(true)?;
        let (client, connection) = h2::client::handshake(stream).await?;
        tokio::spawn(connection);
        let share = arguments.requests / arguments.connections;
        let more = u64::from(number < arguments.requests % arguments.connections);
        for _ in 0..share + more {
            putting.spawn(put_until(client.clone(), Arc::clone(&value), Arc::clone(&next), end));
        }
    }
    let mut waits = Vec::new();
    while let Some(done) = putting.join_next().await {
        waits.extend(done??);
    }
    let seconds = begun.elapsed().as_secs_f64();
    waits.sort_unstable();
    #[expect(clippy::cast_precision_loss, reason = "a count of puts")]
    let per_s = waits.len() as f64 / seconds;
    let p99 = waits.get((waits.len() * 99).div_ceil(100).max(1) - 1).copied().unwrap_or_default();
    let figures = json!({ "puts": waits.len(), "per_s": per_s, "p99_ms": p99.as_secs_f64() * 1e3 });
    #[expect(clippy::print_stdout, reason = "this is what it is for")]
    {
        println!("{figures}");
    }
    Ok(())
}

async fn put_until(
    client: SendRequest<Bytes>,
    value: Arc<Vec<u8>>,
    next: Arc<AtomicU64>,
    end: Instant,
) -> Result<Vec<Duration>> {
    let mut waits = Vec::new();
    while Instant::now() < end {
        let key = format!("reports/{:012}", next.fetch_add(1, Ordering::Relaxed));
        let begun = Instant::now();
        put(&client, frame(key.as_bytes(), &value)).await?;
        waits.push(begun.elapsed());
    }
    Ok(waits)
}

/// One put, up to its `grpc-status`.
async fn put(client: &SendRequest<Bytes>, message: Bytes) -> Result<()> {
    let request = Request::builder()
        .method(Method::POST)
        .version(Version::HTTP_2)
        .uri("http://etcd/etcdserverpb.KV/Put")
        .header("content-type", "application/grpc")
        .header("te", "trailers")
        .body(())?;
    let (answer, mut sending) = client.clone().ready().await?.send_request(request, false)?;
    sending.send_data(message, true)?;
    let mut body = answer.await?.into_body();
    while let Some(data) = body.data().await {
        let data = data?;
        body.flow_control().release_capacity(data.len())?;
    }
    let trailers = body.trailers().await?.context("an answer without its status")?;
    match trailers.get("grpc-status").map(http::HeaderValue::as_bytes) {
        Some(b"0") => Ok(()),
        status => bail!("etcd refused a put: {status:?} {:?}", trailers.get("grpc-message")),
    }
}

/// `PutRequest { key = 1, value = 2 }` (etcd's rpc.proto) behind gRPC's five bytes: not compressed, length.
fn frame(key: &[u8], value: &[u8]) -> Bytes {
    let mut message = BytesMut::with_capacity(key.len() + value.len() + 16);
    for (tag, bytes) in [(0x0a, key), (0x12, value)] {
        message.put_u8(tag);
        put_varint(&mut message, bytes.len());
        message.put_slice(bytes);
    }
    let mut frame = BytesMut::with_capacity(message.len() + 5);
    frame.put_u8(0);
    frame.put_u32(u32::try_from(message.len()).unwrap_or(u32::MAX));
    frame.put_slice(&message);
    frame.freeze()
}

fn put_varint(out: &mut BytesMut, mut number: usize) {
    while number >= 0x80 {
        out.put_u8((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.put_u8((number & 0x7f) as u8);
}

/// Text like that of a report, which does not compress to nothing.
fn noise(count: usize) -> Vec<u8> {
    let mut state = 1_u64;
    (0..count)
        .map(|_| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            b"0123456789abcdef"[(state >> 60) as usize]
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_put_is_framed_as_grpc_and_protobuf_ask() {
        let frame = frame(b"k", &[7; 300]);
        // Not compressed; 306 bytes: key (tag, length, 1), value (tag, two bytes of length, 300).
        assert_eq!(frame[..5], [0, 0, 0, 1, 50]);
        assert_eq!(frame[5..8], [0x0a, 1, b'k']);
        assert_eq!(frame[8..11], [0x12, 0xac, 0x02]);
        assert_eq!(frame.len(), 5 + 306);
    }
}
