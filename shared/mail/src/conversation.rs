//! Lines to and from a server. Nothing is without bounds: a line, all that is said, a wait.

use std::time::Duration;

use ah5_contracts::connection::{MailSecurity, MailServer};
use ah5_net::Dialed;
use ah5_net::guard::Target;
use ah5_security::secret::SecretText;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::task::coop::consume_budget;
use tokio::time::timeout;
use zeroize::Zeroizing;

use crate::{Fault, Way};

pub(crate) struct Conversation {
    stream: Dialed,
    /// Read and not yet looked at.
    ahead: Vec<u8>,
    bounds: Bounds,
}

/// What a server may say.
#[derive(Clone, Copy)]
pub(crate) struct Bounds {
    /// Bytes of one line.
    pub line: usize,
    /// Bytes that may still come.
    pub left: usize,
}

// === impl Conversation ===

impl Conversation {
    /// Under TLS if the server speaks nothing else.
    pub(crate) async fn open(way: Way<'_>, server: &MailServer) -> Result<Self, Fault> {
        let target = Target {
            workspace: way.workspace,
            host: &server.host,
            port: server.port,
            plain: server.security == MailSecurity::None,
        };
        if target.plain && !way.is_exempt(&server.host, server.port) {
            return Err(Fault::Failed("the server must speak TLS"));
        }
        let dialed = way.net.dial(target).await;
        let mut stream = dialed.map_err(Fault::Unreachable)?;
        if server.security == MailSecurity::Tls {
            stream = stream.start_tls().await.map_err(Fault::Unreachable)?;
        }
        Ok(Self {
            stream,
            ahead: Vec::new(),
            bounds: FEW_WORDS,
        })
    }

    /// After the server has said that it is ready. What it sent behind that came unprotected, from
    /// anybody: there may be nothing.
    pub(crate) async fn start_tls(self) -> Result<Self, Fault> {
        if !self.ahead.is_empty() {
            return Err(Fault::Failed("the server sent something ahead of TLS"));
        }
        let stream = self.stream.start_tls().await.map_err(Fault::Unreachable)?;
        Ok(Self { stream, ..self })
    }

    /// Other bounds from here on: whoever has logged in gets longer answers.
    pub(crate) const fn bound(&mut self, bounds: Bounds) {
        self.bounds = bounds;
    }

    pub(crate) async fn send(&mut self, text: &str) -> Result<(), Fault> {
        let line = Zeroizing::new(format!("{text}\r\n"));
        self.send_bytes(line.as_bytes()).await
    }

    pub(crate) async fn send_bytes(&mut self, bytes: &[u8]) -> Result<(), Fault> {
        let sending = async {
            self.stream.write_all(bytes).await?;
            self.stream.flush().await
        };
        let sent = timeout(PATIENCE, sending).await;
        sent.map_err(|_| Fault::Late)?.map_err(|_| Fault::Broken)
    }

    /// Without what ends it; bytes that are no UTF-8 are replaced.
    pub(crate) async fn line(&mut self) -> Result<String, Fault> {
        let line = self.raw_line().await?;
        Ok(String::from_utf8_lossy(&line).into_owned())
    }

    /// Without what ends it.
    pub(crate) async fn raw_line(&mut self) -> Result<Vec<u8>, Fault> {
        // Lines that have come already are had without waiting; others want their turn, too.
        consume_budget().await;
        let mut looked_at = 0;
        loop {
            let fresh = &self.ahead[looked_at..];
            if let Some(end) = fresh.iter().position(|byte| *byte == b'\n') {
                return Ok(cut(&mut self.ahead, looked_at + end + 1));
            }
            looked_at = self.ahead.len();
            if looked_at > self.bounds.line {
                return Err(Fault::Failed("the server's line is too long"));
            }
            self.read().await?;
        }
    }

    /// So many bytes, as they are.
    pub(crate) async fn take(&mut self, bytes: usize) -> Result<Vec<u8>, Fault> {
        let mut taken = Vec::new();
        while taken.len() < bytes {
            if self.ahead.is_empty() {
                self.read().await?;
            }
            let here = (bytes - taken.len()).min(self.ahead.len());
            taken.extend(self.ahead.drain(..here));
        }
        Ok(taken)
    }

    async fn read(&mut self) -> Result<(), Fault> {
        let mut chunk = [0; 16 * 1024];
        let read = timeout(PATIENCE, self.stream.read(&mut chunk)).await;
        let read = read.map_err(|_| Fault::Late)?.map_err(|_| Fault::Broken)?;
        if read == 0 {
            return Err(Fault::Broken);
        }
        let left = self.bounds.left.checked_sub(read);
        self.bounds.left = left.ok_or(Fault::Failed("the server says too much"))?;
        self.ahead.extend_from_slice(&chunk[..read]);
        Ok(())
    }
}

/// The line of so many bytes that has come, without what ends it. It takes no more room than it is long:
/// many of them are kept.
fn cut(ahead: &mut Vec<u8>, end: usize) -> Vec<u8> {
    let is_end = |byte: &u8| matches!(byte, b'\r' | b'\n');
    let last = ahead[..end].iter().rposition(|byte| !is_end(byte));
    let line = ahead[..last.map_or(0, |last| last + 1)].to_vec();
    ahead.drain(..end);
    line
}

/// What SASL PLAIN shows (RFC 4616).
pub(crate) fn plain(username: &str, password: &SecretText) -> Zeroizing<String> {
    let message = Zeroizing::new(format!("\0{username}\0{}", password.expose()));
    Zeroizing::new(STANDARD.encode(message.as_bytes()))
}

/// For logging in, and for whoever wants no more.
const FEW_WORDS: Bounds = Bounds {
    line: 16 * 1024,
    left: 1024 * 1024,
};
/// For one write or read.
const PATIENCE: Duration = Duration::from_secs(60);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_line_takes_no_more_room_than_it_is_long() {
        let mut ahead = b"* OK\r\n\na".to_vec();
        ahead.reserve(16 * 1024);
        let line = cut(&mut ahead, 6);
        assert_eq!((&*line, line.capacity()), (&b"* OK"[..], 4));
        assert_eq!(cut(&mut ahead, 1).capacity(), 0);
        assert_eq!(ahead, b"a");
    }
}
