//! A client of HTTP/2 that sends the frames it is told to, whether they are legal or not.

use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _};
use tokio::time::timeout;

/// The bytes of a connection, from its first on.
#[derive(Clone)]
pub struct Frames(Vec<u8>);

/// A list of fields, in this order. A character is a byte.
#[derive(Clone, Debug)]
pub struct Fields(Vec<(String, String)>);

/// How the first stream ended.
#[derive(Debug)]
pub enum End {
    /// With an answer that has this body.
    Answered(String),
    /// The connection ended first.
    Gone,
    Reset,
}

// === impl Fields ===

impl Fields {
    pub fn of(pairs: &[(&str, &str)]) -> Self {
        let owned = |(name, value): &(&str, &str)| (name.to_string(), value.to_string());
        Self(pairs.iter().map(owned).collect())
    }

    pub fn with(mut self, name: &str, value: &str) -> Self {
        self.0.push((name.to_owned(), value.to_owned()));
        self
    }

    pub fn first(mut self, name: &str, value: &str) -> Self {
        self.0.insert(0, (name.to_owned(), value.to_owned()));
        self
    }

    pub fn without(mut self, name: &str) -> Self {
        self.0.retain(|(other, _)| other != name);
        self
    }

    /// Another value in the same place.
    pub fn instead(mut self, name: &str, value: &str) -> Self {
        let found = self.0.iter_mut().find(|(other, _)| other == name);
        value.clone_into(&mut found.unwrap().1);
        self
    }

    pub fn value(&self, name: &str) -> &str {
        let found = self.0.iter().find(|(other, _)| other == name);
        &found.unwrap().1
    }

    /// RFC 7541 §6.2.2: every field in full, without Huffman's code.
    pub fn block(&self) -> Vec<u8> {
        let mut block = Vec::new();
        for (name, value) in &self.0 {
            block.push(0);
            for text in [name, value] {
                let bytes: Vec<u8> = text.chars().map(|c| u8::try_from(c).unwrap()).collect();
                number(&mut block, 0, bytes.len());
                block.extend(bytes);
            }
        }
        block
    }
}

/// RFC 7541 §5.1, behind a prefix of seven bits.
pub fn number(block: &mut Vec<u8>, mark: u8, mut value: usize) {
    if value < 127 {
        block.push(mark | value as u8);
        return;
    }
    block.push(mark | 127);
    value -= 127;
    while value >= 128 {
        block.push(value as u8 | 128);
        value >>= 7;
    }
    block.push(value as u8);
}

// === impl Frames ===

impl Frames {
    pub fn open() -> Self {
        Self(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec()).raw(SETTINGS, 0, 0, b"")
    }

    pub fn raw(mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Self {
        let length = u32::try_from(payload.len()).unwrap().to_be_bytes();
        self.0.extend_from_slice(&length[1..]);
        self.0.extend([kind, flags]);
        self.0.extend(stream.to_be_bytes());
        self.0.extend_from_slice(payload);
        self
    }

    /// A list of any length in one block, of as many frames as it takes.
    pub fn block(mut self, stream: u32, block: &[u8], ends: bool) -> Self {
        let mut pieces = block.chunks(MAX_FRAME).peekable();
        let mut kind = HEADERS;
        while let Some(piece) = pieces.next() {
            let last = if pieces.peek().is_none() {
                END_HEADERS
            } else {
                0
            };
            let end = if ends && kind == HEADERS {
                END_STREAM
            } else {
                0
            };
            self = self.raw(kind, last | end, stream, piece);
            kind = CONTINUATION;
        }
        self
    }

    pub fn head(self, fields: &Fields, ends: bool) -> Self {
        self.block(1, &fields.block(), ends)
    }

    pub fn data(self, text: &str, ends: bool) -> Self {
        let flags = if ends { END_STREAM } else { 0 };
        self.raw(DATA, flags, 1, text.as_bytes())
    }

    /// A whole request on the first stream.
    pub fn request(fields: &Fields, body: &str) -> Self {
        Self::open().head(fields, false).data(body, true)
    }

    /// Sends everything, and reads until the first stream or the connection is over.
    pub async fn play<S: AsyncRead + AsyncWrite + Unpin>(self, mut stream: S) -> End {
        // A server that has read enough may close while we write.
        let _ = timeout(PATIENCE, stream.write_all(&self.0)).await;
        let _ = stream.flush().await;
        timeout(PATIENCE, end(stream)).await.unwrap()
    }
}

async fn end<S: AsyncRead + AsyncWrite + Unpin>(mut stream: S) -> End {
    let mut body = Vec::new();
    loop {
        let mut head = [0; 9];
        if stream.read_exact(&mut head).await.is_err() {
            return End::Gone;
        }
        let length = u32::from_be_bytes([0, head[0], head[1], head[2]]);
        let mut payload = vec![0; length as usize];
        if stream.read_exact(&mut payload).await.is_err() {
            return End::Gone;
        }
        let (kind, flags, number) = (head[3], head[4], &head[5..]);
        match kind {
            SETTINGS if flags & ACK == 0 => {
                let ours = Frames(Vec::new()).raw(SETTINGS, ACK, 0, b"");
                let _ = stream.write_all(&ours.0).await;
                let _ = stream.flush().await;
            }
            GOAWAY => return End::Gone,
            RST_STREAM if *number == FIRST => return End::Reset,
            HEADERS if *number == FIRST => {}
            DATA if *number == FIRST => body.extend(payload),
            _ => continue,
        }
        if matches!(kind, HEADERS | DATA) && flags & END_STREAM != 0 {
            return End::Answered(String::from_utf8_lossy(&body).into_owned());
        }
    }
}

pub const DATA: u8 = 0;
pub const HEADERS: u8 = 1;
const RST_STREAM: u8 = 3;
const SETTINGS: u8 = 4;
const GOAWAY: u8 = 7;
pub const CONTINUATION: u8 = 9;

pub const END_STREAM: u8 = 1;
pub const END_HEADERS: u8 = 4;
const ACK: u8 = 1;

const FIRST: [u8; 4] = [0, 0, 0, 1];
const MAX_FRAME: usize = 16_384;
const PATIENCE: Duration = Duration::from_secs(20);
