//! A client of HTTP/1 that sends what it is told, and reads what comes back.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

/// A final answer, read to its end.
#[derive(Debug)]
pub struct Heard {
    pub status: u16,
    /// Lower case.
    pub head: String,
    pub body: Vec<u8>,
}

/// All answers on one connection, and what is left that is none. Once the first is there, asks for one
/// more thing, so that whoever waits for bytes has some.
pub async fn exchange(address: SocketAddr, bytes: &[u8], hangs_up: bool) -> (Vec<Heard>, Vec<u8>) {
    let stream = TcpStream::connect(address).await.unwrap();
    let (mut from, mut to) = stream.into_split();
    // A server that has read enough may close while we write.
    let _ = to.write_all(bytes).await;
    if hangs_up {
        let _ = to.shutdown().await;
    }
    let mut all = Vec::new();
    let mut asked = false;
    let mut piece = [0; 4096];
    loop {
        let (answers, _) = split(&all);
        if answers.iter().any(|answer| answer.status == LAST_STATUS) {
            break;
        }
        if !answers.is_empty() && !asked {
            asked = true;
            let _ = to.write_all(LAST).await;
        }
        // nginx keeps a connection that it is done with for some seconds, and says nothing.
        let patience = if asked { QUIET } else { PATIENCE };
        match timeout(patience, from.read(&mut piece)).await {
            Ok(Ok(length @ 1..)) => all.extend_from_slice(&piece[..length]),
            Ok(_) => break,
            Err(_) => {
                assert!(asked, "no answer: {}", String::from_utf8_lossy(bytes));
                break;
            }
        }
    }
    let (mut answers, rest) = split(&all);
    answers.retain(|answer| answer.status != LAST_STATUS);
    (answers, rest)
}

/// Whole answers, without interim ones, and what is behind them.
fn split(mut bytes: &[u8]) -> (Vec<Heard>, Vec<u8>) {
    let mut answers = Vec::new();
    while let Some((answer, rest)) = first(bytes) {
        bytes = rest;
        if answer.status >= 200 {
            answers.push(answer);
        }
    }
    (answers, bytes.to_vec())
}

fn first(bytes: &[u8]) -> Option<(Heard, &[u8])> {
    if !bytes.starts_with(b"HTTP/1.") {
        return None;
    }
    let end = bytes.windows(4).position(|four| four == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&bytes[..end]).to_lowercase();
    let status = head.split(' ').nth(1)?.parse().ok()?;
    let rest = &bytes[end..];
    let field = |name: &str| {
        let mut lines = head.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    };
    let (body, rest) = if field("transfer-encoding") == Some("chunked") {
        chunked(rest)?
    } else {
        let length = field("content-length").map_or(0, |length| length.parse().unwrap());
        let body = rest.get(..length)?;
        (body.to_vec(), &rest[length..])
    };
    let heard = Heard { status, head, body };
    Some((heard, rest))
}

fn chunked(mut bytes: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut body = Vec::new();
    loop {
        let end = bytes.windows(2).position(|two| two == b"\r\n")?;
        let size = std::str::from_utf8(&bytes[..end]).ok()?;
        let size = usize::from_str_radix(size, 16).ok()?;
        let piece = bytes.get(end + 2..end + 2 + size)?;
        bytes = bytes.get(end + 2 + size + 2..)?;
        if size == 0 {
            return Some((body, bytes));
        }
        body.extend_from_slice(piece);
    }
}

// === impl Heard ===

impl Heard {
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// Ours are JSON, or say nothing.
    pub fn is_plain(&self) -> bool {
        self.body.is_empty() || self.json().is_object()
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }
}

/// Answered by data planes alone, and in a way that nothing else is here.
const LAST: &[u8] =
    b"GET /v1/llm/proxy/openai/last HTTP/1.1\r\nhost: h\r\nconnection: close\r\n\r\n";
const LAST_STATUS: u16 = 308;
const PATIENCE: Duration = Duration::from_secs(20);
const QUIET: Duration = Duration::from_millis(700);
