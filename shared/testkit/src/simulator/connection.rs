//! Accepts connections, reads requests, writes them down and sends what `routes` answers.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, Response};
use http_body_util::BodyExt as _;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use hyper_util::server::graceful::{GracefulShutdown, Watcher};
use jiff::Timestamp;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::JoinSet;
use tokio_rustls::TlsAcceptor;

use super::body::{Cut, Watched};
use super::journal::{Entry, Outcome};
use super::wire::{Link, Prompter, Script, Wire};
use super::{Shared, routes};

/// A request as it came.
#[derive(Clone, Debug)]
pub struct Received {
    /// Its number in the journal.
    pub seq: u64,
    pub connection: u64,
    pub method: Method,
    /// Undecoded.
    pub target: String,
    pub headers: HeaderMap,
    /// At most the first 32 MiB.
    pub body: Bytes,
}

/// What is known of a connection before its first request.
#[derive(Clone)]
struct Peer {
    shared: Arc<Shared>,
    number: u64,
    tls: bool,
    server_name: Option<String>,
    prompter: Prompter,
}

/// Until told to stop; what is under way is then finished. Dropping the future cuts all of it.
pub(super) async fn listen(
    listener: TcpListener,
    acceptor: Option<TlsAcceptor>,
    shared: Arc<Shared>,
    mut stopped: watch::Receiver<bool>,
) {
    let graceful = GracefulShutdown::new();
    let mut connections = JoinSet::new();
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            Some(_) = connections.join_next() => continue,
            _ = stopped.wait_for(|stopped| *stopped) => break,
        };
        match accepted {
            Ok((tcp, _)) => {
                let (shared, acceptor) = (Arc::clone(&shared), acceptor.clone());
                connections.spawn(connect(shared, tcp, acceptor, graceful.watcher()));
            }
            // Out of file descriptors: some come free soon.
            Err(_) => tokio::time::sleep(ACCEPT_PAUSE).await,
        }
    }
    drop(listener);
    graceful.shutdown().await;
}

async fn connect(
    shared: Arc<Shared>,
    tcp: TcpStream,
    acceptor: Option<TlsAcceptor>,
    watcher: Watcher,
) {
    let number = shared.connections.fetch_add(1, Ordering::Relaxed) + 1;
    // Only a hint to the kernel.
    drop(tcp.set_nodelay(true));
    let link = match acceptor {
        None => Link::Plain(tcp),
        Some(acceptor) => match tokio::time::timeout(HANDSHAKE, acceptor.accept(tcp)).await {
            Ok(Ok(tls)) => Link::Tls(Box::new(tls)),
            // A client that does not trust us is not our fault.
            _ => return,
        },
    };
    let peer = Peer {
        shared,
        number,
        tls: matches!(link, Link::Tls(_)),
        server_name: link.server_name(),
        prompter: Prompter::default(),
    };
    let io = TokioIo::new(Wire::new(link, peer.prompter.clone()));
    let service = service_fn(move |request| {
        let peer = peer.clone();
        async move { peer.answer(request).await }
    });
    let connection = http1::Builder::new()
        .max_buf_size(MAX_HEAD)
        .serve_connection(io, service);
    // How a connection ends is the client's affair, or the script's.
    drop(watcher.watch(connection).await);
}

// === impl Peer ===

impl Peer {
    async fn answer(&self, request: Request<Incoming>) -> Result<Response<Watched>, Cut> {
        let (head, body) = request.into_parts();
        let shared = &self.shared;
        if head.uri.path() == routes::JOURNAL {
            let answer = routes::journal(shared, &head.method, head.uri.query());
            return Ok(answer.map(|body| Watched::new(body, Arc::clone(shared), 0, false)));
        }
        let mut received = Received {
            seq: 0,
            connection: self.number,
            target: head.uri.to_string(),
            headers: head.headers,
            method: head.method,
            body: Bytes::new(),
        };
        received.seq = shared.journal.begin(self.entry(&received));
        let unanswered = Unanswered(Some((shared, received.seq)));
        received.body = self.read(received.seq, body).await?;
        let (seq, bodiless) = (received.seq, received.method == Method::HEAD);
        let path = head.uri.path();
        let mut answer = match shared.handler(path) {
            Some(handler) => handler(received).await,
            None => routes::answer(shared, &received).await?,
        };
        if let Some(script) = answer.extensions_mut().remove::<Script>() {
            self.prompter.give(script);
        }
        // From here on its body knows how it ends.
        unanswered.answered();
        Ok(answer.map(|body| Watched::new(body, Arc::clone(shared), seq, bodiless)))
    }

    fn entry(&self, received: &Received) -> Entry {
        Entry {
            seq: 0,
            at: Timestamp::now(),
            connection: self.number,
            tls: self.tls,
            server_name: self.server_name.clone(),
            method: received.method.to_string(),
            target: received.target.clone(),
            headers: pairs(&received.headers),
            body: Bytes::new(),
            body_length: 0,
            body_complete: false,
            trailers: Vec::new(),
            outcome: None,
        }
    }

    /// All of the body, of which the beginning is kept.
    async fn read(&self, seq: u64, mut body: Incoming) -> Result<Bytes, Cut> {
        let (mut kept, mut length) = (BytesMut::new(), 0);
        while let Some(frame) = body.frame().await {
            let Ok(frame) = frame else {
                self.shared.journal.body(seq, &kept.freeze(), length, false);
                return Err(Cut);
            };
            match frame.into_data() {
                Ok(data) => {
                    length += data.len() as u64;
                    let room = MAX_BODY.saturating_sub(kept.len());
                    kept.extend_from_slice(&data[..data.len().min(room)]);
                }
                Err(frame) => {
                    let trailers = frame.trailers_ref().map(pairs);
                    let journal = &self.shared.journal;
                    journal.trailers(seq, trailers.unwrap_or_default());
                }
            }
        }
        let kept = kept.freeze();
        self.shared.journal.body(seq, &kept, length, true);
        Ok(kept)
    }
}

fn pairs(headers: &HeaderMap) -> Vec<(String, String)> {
    let pair = |(name, value): (&HeaderName, &HeaderValue)| {
        let value = String::from_utf8_lossy(value.as_bytes());
        (name.to_string(), value.into_owned())
    };
    headers.iter().map(pair).collect()
}

/// A request whose answer has not begun: a client that goes now has it dropped.
struct Unanswered<'a>(Option<(&'a Shared, u64)>);

// === impl Unanswered ===

impl Unanswered<'_> {
    fn answered(mut self) {
        self.0 = None;
    }
}

impl Drop for Unanswered<'_> {
    fn drop(&mut self) {
        if let Some((shared, seq)) = self.0 {
            shared.journal.end(seq, Outcome::Aborted);
        }
    }
}

// === impl Received ===

impl Received {
    #[must_use]
    pub fn path(&self) -> &str {
        self.target
            .split_once('?')
            .map_or(&self.target, |(path, _)| path)
    }

    #[must_use]
    pub fn query(&self) -> &str {
        self.target.split_once('?').map_or("", |(_, query)| query)
    }
}

const ACCEPT_PAUSE: Duration = Duration::from_millis(100);
const HANDSHAKE: Duration = Duration::from_secs(10);
const MAX_BODY: usize = 32 << 20;
const MAX_HEAD: usize = 256 << 10;
