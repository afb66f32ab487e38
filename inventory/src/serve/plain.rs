//! A client that speaks plain HTTP to the TLS port gets an answer that it can read, instead of a broken connection.

use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

const TEXT: &str = "this port speaks TLS 1.3 only; use https:// and trust the site's CA\n";
/// At most so much of the request is read, so that closing does not throw the answer away.
const READ_BYTES_MAX: usize = 16 << 10;
const LINGER: Duration = Duration::from_millis(500);

/// Does the first byte begin an HTTP request? A TLS record begins with 22.
pub(super) fn is_http(first: u8) -> bool {
    first.is_ascii_uppercase()
}

/// Answers and closes.
pub(super) async fn answer(mut stream: TcpStream) {
    let head = format!(
        "HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: {}\r\nConnection: close\r\n\r\n",
        TEXT.len()
    );
    let exchange = async {
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(TEXT.as_bytes()).await?;
        stream.shutdown().await?;
        let (mut buffer, mut read) = ([0; 4096], 0);
        while read < READ_BYTES_MAX {
            match stream.read(&mut buffer).await? {
                0 => break,
                n => read += n,
            }
        }
        Ok::<_, std::io::Error>(())
    };
    // The client may be gone; then there is nobody to tell.
    let _ = tokio::time::timeout(LINGER, exchange).await;
}
