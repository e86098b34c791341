//! Lines to and from a server. Nothing is without bounds: a line, all lines, a wait.

use ah5_contracts::connection::{MailSecurity, MailServer};
use ah5_net::Dialed;
use ah5_net::guard::Target;
use ah5_security::secret::SecretText;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use zeroize::Zeroizing;

use crate::{Fault, Way};

pub(crate) struct Conversation {
    stream: Dialed,
    /// Read and not yet looked at.
    ahead: Vec<u8>,
    /// Bytes that may still come.
    left: usize,
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
            return Err(Fault::Failed("the server must speak TLS".to_owned()));
        }
        let failed = |failure: ah5_net::client::Failure| Fault::Failed(failure.to_string());
        let mut stream = way.net.dial(target).await.map_err(failed)?;
        if server.security == MailSecurity::Tls {
            stream = stream.start_tls().await.map_err(failed)?;
        }
        Ok(Self {
            stream,
            ahead: Vec::new(),
            left: MAX_TOTAL,
        })
    }

    /// After the server has said that it is ready. What it sent behind that came unprotected, from
    /// anybody: there may be nothing.
    pub(crate) async fn start_tls(self) -> Result<Self, Fault> {
        if !self.ahead.is_empty() {
            let why = "the server sent something ahead of TLS";
            return Err(Fault::Failed(why.to_owned()));
        }
        let failed = |failure: ah5_net::client::Failure| Fault::Failed(failure.to_string());
        let stream = self.stream.start_tls().await.map_err(failed)?;
        Ok(Self { stream, ..self })
    }

    pub(crate) async fn send(&mut self, text: &str) -> Result<(), Fault> {
        let line = Zeroizing::new(format!("{text}\r\n"));
        let sent = self.stream.write_all(line.as_bytes()).await;
        sent.map_err(|_| broken())?;
        self.stream.flush().await.map_err(|_| broken())
    }

    /// Without what ends it.
    pub(crate) async fn line(&mut self) -> Result<String, Fault> {
        loop {
            if let Some(end) = self.ahead.iter().position(|byte| *byte == b'\n') {
                let rest = self.ahead.split_off(end + 1);
                let line = std::mem::replace(&mut self.ahead, rest);
                let line = String::from_utf8_lossy(&line);
                return Ok(line.trim_end_matches(['\r', '\n']).to_owned());
            }
            if self.ahead.len() > MAX_LINE {
                return Err(Fault::Failed("the server's line is too long".to_owned()));
            }
            self.read().await?;
        }
    }

    pub(crate) async fn skip(&mut self, mut bytes: usize) -> Result<(), Fault> {
        loop {
            let here = bytes.min(self.ahead.len());
            self.ahead.drain(..here);
            bytes -= here;
            if bytes == 0 {
                return Ok(());
            }
            self.read().await?;
        }
    }

    async fn read(&mut self) -> Result<(), Fault> {
        let mut chunk = [0; 4096];
        let read = self.stream.read(&mut chunk).await.map_err(|_| broken())?;
        if read == 0 {
            return Err(broken());
        }
        let left = self.left.checked_sub(read);
        self.left = left.ok_or_else(|| Fault::Failed("the server says too much".to_owned()))?;
        self.ahead.extend_from_slice(&chunk[..read]);
        Ok(())
    }
}

/// What SASL PLAIN shows (RFC 4616).
pub(crate) fn plain(username: &str, password: &SecretText) -> Zeroizing<String> {
    let message = Zeroizing::new(format!("\0{username}\0{}", password.expose()));
    Zeroizing::new(STANDARD.encode(message.as_bytes()))
}

fn broken() -> Fault {
    Fault::Failed("the server broke off the connection".to_owned())
}

const MAX_LINE: usize = 16 * 1024;
const MAX_TOTAL: usize = 1024 * 1024;
