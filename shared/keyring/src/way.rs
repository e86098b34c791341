//! The way to a key management service: through the guarded way out, at exactly one host and port.

use std::path::PathBuf;

use ah5_contracts::id::{ConnectionId, WorkspaceId};
use ah5_net::guard::Exemptions;
use ah5_net::{Config, PoolKey, Upstreams};
use ah5_settings::Settings;
use bytes::Bytes;
use http::{Request, Response};
use tokio::sync::OnceCell;
use url::{Host, Url};

use crate::kms::KmsError;

pub struct Way {
    address: Url,
    ca_file: Option<PathBuf>,
    /// Made at the first call: it takes a runtime.
    net: OnceCell<Upstreams>,
}

// === impl Way ===

impl Way {
    /// `None` exactly when a fault was noted under this setting's name.
    pub fn new(settings: &mut Settings, name: &str, address: &str) -> Option<Self> {
        let address = Url::parse(address).ok().filter(may_be_spoken_to);
        if address.is_none() {
            let fault = "must be https://HOST[:PORT], or http:// at a loopback address";
            settings.fault(name, fault);
        }
        Some(Self {
            address: address?,
            ca_file: None,
            net: OnceCell::new(),
        })
    }

    /// Trusts these authorities, too.
    #[must_use]
    pub fn trusting(self, ca_file: Option<PathBuf>) -> Self {
        Self { ca_file, ..self }
    }

    pub const fn address(&self) -> &Url {
        &self.address
    }

    pub async fn send(&self, request: Request<Bytes>) -> Result<Response<Bytes>, KmsError> {
        let net = self
            .net
            .get_or_try_init(|| async { self.way_out() })
            .await?;
        let answer = net.fetch(own_pool(), request, MAX_ANSWER).await;
        answer.map_err(|error| KmsError::Unavailable(format!("{error}")))
    }

    fn way_out(&self) -> Result<Upstreams, KmsError> {
        let host = self.address.host_str().unwrap_or_default();
        let port = self.address.port_or_known_default().unwrap_or(443);
        let failed = |why: String| KmsError::Refused(why);
        // It often has a private address. Nothing else is exempt on this way out.
        let exempt = [format!("{host}:{port}")];
        let exemptions = Exemptions::parse(&exempt, false);
        let config = Config {
            exemptions: exemptions.map_err(|faults| failed(faults.join("; ")))?,
            extra_ca: self.ca_file.clone(),
            ..Config::default()
        };
        Upstreams::new(config).map_err(|error| failed(error.to_string()))
    }
}

/// What a service says is wrong, for a log: bounded, on one line.
pub fn one_line(text: &str) -> String {
    text.chars().filter(|c| !c.is_control()).take(300).collect()
}

fn may_be_spoken_to(url: &Url) -> bool {
    let loopback = match url.host() {
        Some(Host::Ipv4(ip)) => ip.is_loopback(),
        Some(Host::Ipv6(ip)) => ip.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => return false,
    };
    let plain = url.path() == "/" && url.query().is_none() && url.username().is_empty();
    plain && (url.scheme() == "https" || (url.scheme() == "http" && loopback))
}

fn own_pool() -> PoolKey {
    PoolKey {
        workspace: WorkspaceId::from_uuid(uuid::Uuid::nil()),
        connection: ConnectionId::from_uuid(uuid::Uuid::nil()),
    }
}

const MAX_ANSWER: usize = 64 * 1024;
