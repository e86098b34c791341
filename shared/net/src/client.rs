//! The pooled HTTP/1.1 client of both planes.
//!
//! A connection belongs to one workspace, connection and authority and is never used for another.
//! It is driven by the task that waits for the answer, not by a task of its own: dropping the
//! answer closes the socket, and an exchange costs no hop between tasks. A request is repeated only
//! if it was handed back unserialised.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use ah5_contracts::id::{ConnectionId, WorkspaceId};
use bytes::Bytes;
use http::header::{HOST, HeaderValue};
use http::uri::{Authority, PathAndQuery, Scheme};
use http::{Request, Response, Uri, Version};
use http_body_util::{BodyExt as _, Limited};

use crate::body::Body;
use crate::connect::Connector;
use crate::guard::{Exemptions, Guard, Target};
use crate::resolve::{Lookup, ResolveOverrides, Resolver};
use crate::tls::Tls;

mod error;
mod live;
mod pool;
mod response;
#[cfg(test)]
mod tests;

pub use error::{ConfigError, Failure, SendError};
use live::Live;
pub use pool::PoolLimits;
use pool::{Key, Pool};
pub use response::{BodyError, ResponseBody};

/// Cheap to clone.
#[derive(Clone)]
pub struct Upstreams {
    pub(crate) inner: Arc<Inner>,
}

#[derive(Default)]
pub struct Config {
    pub exemptions: Exemptions,
    /// PEM file of authorities trusted besides the platform's.
    pub extra_ca: Option<PathBuf>,
    /// Our own listeners and the database: never connected to, exempt or not.
    pub own_addrs: Vec<SocketAddr>,
    /// Our own public origins: `https://ah5.example`.
    pub own_origins: Vec<String>,
    pub pool: PoolLimits,
    pub resolve_overrides: ResolveOverrides,
    pub timeouts: Timeouts,
}

#[derive(Clone, Copy, Debug)]
pub struct Timeouts {
    /// Without a byte of the answer's body.
    pub body_idle: Duration,
    /// For TCP and TLS together.
    pub connect: Duration,
    /// From the request's first byte to the answer's head.
    pub headers: Duration,
    pub resolve: Duration,
}

/// Whose connections may be shared.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct PoolKey {
    pub workspace: WorkspaceId,
    pub connection: ConnectionId,
}

pub(crate) struct Inner {
    pub(crate) connector: Connector,
    pool: Arc<Pool>,
    timeouts: Timeouts,
}

// === impl Upstreams ===

impl Upstreams {
    /// Must be called within a runtime: it starts the task that closes idle connections.
    ///
    /// # Errors
    /// A configuration that cannot work.
    pub fn new(config: Config) -> Result<Self, ConfigError> {
        Self::with_lookup(config, Lookup::System)
    }

    pub(crate) fn with_lookup(config: Config, lookup: Lookup) -> Result<Self, ConfigError> {
        let own_origins = config
            .own_origins
            .iter()
            .map(|origin| parse_origin(origin).ok_or_else(|| ConfigError::Origin(origin.clone())))
            .collect::<Result<_, _>>()?;
        let connector = Connector {
            guard: Guard {
                exemptions: config.exemptions,
                own_addrs: config.own_addrs,
                own_origins,
            },
            overrides: config.resolve_overrides,
            resolver: Resolver::new(config.timeouts.resolve, lookup),
            timeout: config.timeouts.connect,
            tls: Tls::new(config.extra_ca.as_deref())?,
        };
        let pool = Pool::start(config.pool);
        Ok(Self {
            inner: Arc::new(Inner {
                connector,
                pool,
                timeouts: config.timeouts,
            }),
        })
    }

    /// Sends a request with an absolute URI. Redirects come back as they are. Dropping the future
    /// or the answer's body closes the connection, so that the provider sees the caller go.
    ///
    /// The host in the URI must be canonical: lower-case, checked by the caller's own rules.
    ///
    /// # Errors
    /// Why there is no answer, and whether the provider may have seen the request.
    pub async fn send<B: Into<Body>>(
        &self,
        key: PoolKey,
        request: Request<B>,
    ) -> Result<Response<ResponseBody>, SendError> {
        let (key, mut request) = prepare(key, request.map(Into::into)).ok_or(SendError {
            failure: Failure::Invalid,
            sent: false,
        })?;
        if let Some(mut live) = self.inner.pool.take(&key) {
            match live.exchange(request, self.inner.timeouts.headers).await {
                Ok(response) => return Ok(self.wrap(response, live, key)),
                Err(failed) => match failed.request {
                    // Handed back unserialised: the provider had hung up while it was idle.
                    Some(unsent) if !failed.error.sent => request = unsent,
                    _ => return Err(failed.error),
                },
            }
        }
        let mut live = self.open(&key).await?;
        match live.exchange(request, self.inner.timeouts.headers).await {
            Ok(response) => Ok(self.wrap(response, live, key)),
            Err(failed) => Err(failed.error),
        }
    }

    /// One bounded exchange with a small answer, for probes: at most `max_bytes` of body, within
    /// [`FETCH_DEADLINE`] altogether.
    ///
    /// # Errors
    /// As [`Self::send`], and [`Failure::TooLarge`].
    pub async fn fetch(
        &self,
        key: PoolKey,
        request: Request<Bytes>,
        max_bytes: usize,
    ) -> Result<Response<Bytes>, SendError> {
        let exchange = async {
            let (parts, body) = self.send(key, request).await?.into_parts();
            let body = Limited::new(body, max_bytes)
                .collect()
                .await
                .map_err(|error| SendError {
                    failure: if error.is::<http_body_util::LengthLimitError>() {
                        Failure::TooLarge
                    } else {
                        Failure::Reset
                    },
                    sent: true,
                })?;
            Ok(Response::from_parts(parts, body.to_bytes()))
        };
        tokio::time::timeout(FETCH_DEADLINE, exchange)
            .await
            .unwrap_or(Err(SendError {
                failure: Failure::Timeout,
                sent: true,
            }))
    }

    /// Whether the operator exempted this host and port for the workspace. Plain http is spoken to no
    /// other.
    #[must_use]
    pub fn is_exempt(&self, workspace: WorkspaceId, host: &str, port: u16) -> bool {
        let exemptions = &self.inner.connector.guard.exemptions;
        exemptions.covers(workspace, host, port)
    }

    /// How many connections wait for their next request.
    #[must_use]
    pub fn idle(&self) -> usize {
        self.inner.pool.idle()
    }

    async fn open(&self, key: &Key) -> Result<Live, SendError> {
        let unsent = |failure| SendError {
            failure,
            sent: false,
        };
        let host = key.authority.host();
        let host = host
            .strip_prefix('[')
            .and_then(|h| h.strip_suffix(']'))
            .unwrap_or(host);
        let port = key
            .authority
            .port_u16()
            .unwrap_or(if key.https { 443 } else { 80 });
        let target = Target {
            workspace: key.owner.workspace,
            host,
            port,
            plain: !key.https,
        };
        let stream = self.inner.connector.connect(target).await;
        let stream = stream.map_err(unsent)?;
        Live::open(stream).await.map_err(unsent)
    }

    fn wrap(
        &self,
        response: Response<hyper::body::Incoming>,
        live: Live,
        key: Key,
    ) -> Response<ResponseBody> {
        let idle = self.inner.timeouts.body_idle;
        response.map(|body| ResponseBody::new(body, live, key, Arc::clone(&self.inner.pool), idle))
    }
}

impl std::fmt::Debug for Upstreams {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Upstreams")
    }
}

impl Default for Timeouts {
    fn default() -> Self {
        Self {
            body_idle: Duration::from_secs(60),
            connect: Duration::from_secs(10),
            headers: Duration::from_secs(60),
            resolve: Duration::from_secs(5),
        }
    }
}

/// Origin form for the wire, `Host` from the URI and from nowhere else, HTTP/1.1.
fn prepare(key: PoolKey, request: Request<Body>) -> Option<(Key, Request<Body>)> {
    let (mut head, body) = request.into_parts();
    let uri = std::mem::take(&mut head.uri).into_parts();
    let authority: Authority = uri.authority?;
    let https = match uri.scheme? {
        scheme if scheme == Scheme::HTTPS => true,
        scheme if scheme == Scheme::HTTP => false,
        _ => return None,
    };
    if authority.as_str().contains('@') {
        return None;
    }
    let path = uri.path_and_query.unwrap_or(PathAndQuery::from_static("/"));
    head.uri = Uri::from(path);
    head.version = Version::HTTP_11;
    // Authority is a subset of what a header value may hold, so this never fails.
    let host = HeaderValue::from_str(authority.as_str()).ok()?;
    head.headers.insert(HOST, host);
    let key = Key {
        authority,
        https,
        owner: key,
    };
    Some((key, Request::from_parts(head, body)))
}

fn parse_origin(text: &str) -> Option<(String, u16)> {
    let url = url::Url::parse(text).ok()?;
    let host = match url.host()? {
        url::Host::Domain(name) => name.to_owned(),
        url::Host::Ipv4(ip) => ip.to_string(),
        url::Host::Ipv6(ip) => ip.to_string(),
    };
    Some((host, url.port_or_known_default()?))
}

const FETCH_DEADLINE: Duration = Duration::from_secs(15);
