//! Small upstreams that stand for planes, and a client that speaks to nginx as it likes.
#![allow(
    dead_code,
    clippy::unwrap_used,
    clippy::disallowed_methods,
    reason = "each test uses its part, and they are clients and servers themselves"
)]

use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response, StatusCode};
use http_body_util::channel::{Channel, Sender};
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};

use ah5_harness::cancel::Cancel;
use ah5_harness::nginx::{Nginx, Plan, Routing};
use ah5_harness::port::Reservation;

/// What an upstream got.
#[derive(Clone, Debug)]
pub struct Seen {
    pub method: Method,
    /// As it stood in the request line.
    pub target: String,
    pub headers: HeaderMap,
}

pub type Reply = Response<BoxBody<Bytes, Infallible>>;

/// Paths choose what it does: see [`Upstream::answer`].
#[derive(Clone)]
pub struct Upstream {
    pub address: SocketAddr,
    name: &'static str,
    seen: Arc<Mutex<Vec<Seen>>>,
    streams: UnboundedSender<Sender<Bytes, Infallible>>,
    bodies: UnboundedSender<Bytes>,
}

/// Things that happen in an upstream.
pub struct Events {
    /// The sending ends of streamed answers.
    pub streams: UnboundedReceiver<Sender<Bytes, Infallible>>,
    /// Pieces of uploaded bodies.
    pub bodies: UnboundedReceiver<Bytes>,
}

// === impl Upstream ===

impl Upstream {
    pub async fn start(name: &'static str) -> (Self, Events) {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (streams, streams_out) = unbounded_channel();
        let (bodies, bodies_out) = unbounded_channel();
        let upstream = Self {
            address,
            name,
            seen: Arc::default(),
            streams,
            bodies,
        };
        tokio::spawn(upstream.clone().accept(listener));
        let events = Events {
            streams: streams_out,
            bodies: bodies_out,
        };
        (upstream, events)
    }

    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }

    pub fn hits(&self) -> usize {
        self.seen.lock().unwrap().len()
    }

    pub fn clear(&self) {
        self.seen.lock().unwrap().clear();
    }

    async fn accept(self, listener: TcpListener) {
        loop {
            let (stream, _) = listener.accept().await.unwrap();
            let upstream = self.clone();
            let service = service_fn(move |request| upstream.clone().answer(request));
            let connection = hyper::server::conn::http1::Builder::new()
                .serve_connection(TokioIo::new(stream), service);
            tokio::spawn(async move { drop(connection.await) });
        }
    }

    /// `…/die` closes without a word, `…/stream` hands the sending end to the test, `…/upload` tells
    /// the test each piece as it comes; all else answers with this upstream's name.
    async fn answer(self, request: Request<Incoming>) -> Result<Reply, &'static str> {
        let target = request.uri().to_string();
        self.seen.lock().unwrap().push(Seen {
            method: request.method().clone(),
            target: target.clone(),
            headers: request.headers().clone(),
        });
        let body = if target.ends_with("/die") {
            drop(request.into_body().collect().await);
            return Err("as wished");
        } else if target.ends_with("/stream") {
            let (sender, body) = Channel::new(1);
            self.streams.send(sender).unwrap();
            body.boxed()
        } else {
            self.read(request.into_body(), target.ends_with("/upload"))
                .await;
            Full::from(self.name).boxed()
        };
        let reply = Response::builder()
            .header("x-accel-redirect", "/steered")
            .header("x-seen-by", self.name);
        Ok(reply.body(body).unwrap())
    }

    async fn read(&self, mut body: Incoming, tell: bool) {
        while let Some(Ok(frame)) = body.frame().await {
            if let (true, Ok(data)) = (tell, frame.into_data()) {
                drop(self.bodies.send(data));
            }
        }
    }
}

/// nginx with its folder.
pub struct Door {
    pub nginx: Nginx,
    _port: Reservation,
    _folder: tempfile::TempDir,
}

pub fn door(routing: Routing, data: &[SocketAddr], control: &[SocketAddr]) -> Door {
    use std::os::unix::fs::PermissionsExt;
    let folder = tempfile::Builder::new()
        .prefix("ah5-door-")
        .tempdir_in("/tmp")
        .unwrap();
    std::fs::set_permissions(folder.path(), PermissionsExt::from_mode(0o711)).unwrap();
    let port = Reservation::any().unwrap();
    let plan = Plan {
        folder: folder.path().join("nginx"),
        log: folder.path().join("nginx.log"),
        listen: port.addresses().to_vec(),
        routing,
        data_planes: data.to_vec(),
        control_planes: control.to_vec(),
    };
    Door {
        nginx: Nginx::start(plan, &Cancel::default()).unwrap(),
        _port: port,
        _folder: folder,
    }
}

/// One request on a connection of its own.
pub async fn send<B>(door: &Door, request: Request<B>) -> Response<Incoming>
where
    B: hyper::body::Body<Data = Bytes, Error = Infallible> + Send + 'static,
{
    send_to(door.nginx.address(), request).await
}

pub async fn send_to<B>(door: SocketAddr, request: Request<B>) -> Response<Incoming>
where
    B: hyper::body::Body<Data = Bytes, Error = Infallible> + Send + 'static,
{
    let stream = TcpStream::connect(door).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream))
        .await
        .unwrap();
    tokio::spawn(async move { drop(connection.await) });
    sender.send_request(request).await.unwrap()
}

pub async fn call(door: &Door, method: &str, path: &str, body: &str) -> (StatusCode, String) {
    let response = send(door, request(method, path, body)).await;
    let status = response.status();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(bytes.to_vec()).unwrap())
}

pub fn request(method: &str, path: &str, body: &str) -> Request<Full<Bytes>> {
    Request::builder()
        .method(method)
        .uri(path)
        .header("host", "localhost")
        .body(Full::from(body.to_owned()))
        .unwrap()
}
