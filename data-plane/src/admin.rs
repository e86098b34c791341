//! The admin listener: readiness, state and metrics, for operators and balancers. Loopback by
//! default, and never behind the front door.

use std::convert::Infallible;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use ah5_telemetry::metrics::Renderer;
use bytes::Bytes;
use http::header::CONTENT_TYPE;
use http::{HeaderValue, Method, Request, Response, StatusCode};
use http_body_util::Full;
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::json;
use tokio::net::TcpListener;
use tokio::sync::Semaphore;

use crate::metrics::observe;
use crate::plane::Plane;
use crate::spool::Observer;

pub struct Admin {
    pub draining: Arc<AtomicBool>,
    pub metrics: Renderer,
    pub plane: Arc<Plane>,
    pub spool: Observer,
}

/// Answers for as long as the process lives.
pub async fn serve(listener: TcpListener, admin: Admin) {
    let (admin, places) = (Arc::new(admin), Arc::new(Semaphore::new(MAX_CONNECTIONS)));
    loop {
        let Ok(place) = places.clone().acquire_owned().await else {
            return;
        };
        let Ok((stream, _)) = listener.accept().await else {
            tokio::task::yield_now().await;
            continue;
        };
        let admin = admin.clone();
        tokio::spawn(async move {
            let service = service_fn(|request: Request<Incoming>| {
                let answer = admin.answer(request.method(), request.uri().path());
                async move { Ok::<_, Infallible>(answer) }
            });
            let mut builder = http1::Builder::new();
            builder.timer(TokioTimer::new());
            // How a connection ends is the client's affair.
            drop(
                builder
                    .serve_connection(TokioIo::new(stream), service)
                    .await,
            );
            drop(place);
        });
    }
}

// === impl Admin ===

impl Admin {
    fn answer(&self, method: &Method, path: &str) -> Response<Full<Bytes>> {
        if method != Method::GET && method != Method::HEAD {
            return reply(StatusCode::METHOD_NOT_ALLOWED, TEXT, String::new());
        }
        match path {
            "/health" => reply(StatusCode::OK, JSON, json!({"status": "ok"}).to_string()),
            "/readyz" => self.readyz(),
            "/status" => reply(StatusCode::OK, JSON, self.status().to_string()),
            "/metrics" => {
                observe(&self.plane);
                reply(StatusCode::OK, TEXT, self.metrics.render())
            }
            _ => reply(StatusCode::NOT_FOUND, TEXT, String::new()),
        }
    }

    fn readyz(&self) -> Response<Full<Bytes>> {
        let draining = self.draining.load(Ordering::Relaxed);
        let ready = self.plane.is_fresh() && !draining;
        let status = match ready {
            true => StatusCode::OK,
            false => StatusCode::SERVICE_UNAVAILABLE,
        };
        let age = self.plane.published.age().map(|age| age.as_millis());
        let body = json!({"ready": ready, "draining": draining, "snapshotAgeMs": age});
        reply(status, JSON, body.to_string())
    }

    fn status(&self) -> serde_json::Value {
        let spool = self.spool.health();
        let (calls, bytes) = self.plane.admission.in_use();
        json!({
            "ready": self.plane.is_fresh() && !self.draining.load(Ordering::Relaxed),
            "snapshotAgeMs": self.plane.published.age().map(|age| age.as_millis()),
            "workspaces": self.plane.published.workspaces(),
            "callsInFlight": calls,
            "bufferedBytes": bytes,
            "streamsWatched": self.plane.streams.count(),
            "audit": {
                "waitingRows": spool.waiting_rows, "waitingBytes": spool.waiting_bytes,
                "dropped": spool.dropped, "quarantined": spool.quarantined,
                "diskOk": spool.disk_ok,
                "lastAckAgeMs": spool.last_ack_age.map(|age| age.as_millis()),
            },
        })
    }
}

fn reply(status: StatusCode, kind: &'static str, text: String) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(Bytes::from(text)));
    *response.status_mut() = status;
    let kind = HeaderValue::from_static(kind);
    response.headers_mut().insert(CONTENT_TYPE, kind);
    response
}

const MAX_CONNECTIONS: usize = 64;
const JSON: &str = "application/json";
const TEXT: &str = "text/plain; version=0.0.4";
