//! What an owner and her agents do before the first call.

use ah5_harness::stack::Stack;
use ah5_testkit::client::{Agent, Http, Owner};
use bytes::Bytes;
use serde_json::json;

use crate::load::request::Shape;
use crate::peers::Via;
use crate::upstream::{SECRET, Upstream};

/// An agent that may call both connections.
pub struct Caller {
    pub token: String,
    connections: Connections,
}

#[derive(Clone)]
struct Connections {
    plain: String,
    tls: String,
}

/// # Errors
/// A step was refused.
pub async fn callers(
    stack: &Stack,
    upstream: &Upstream,
    number: usize,
) -> anyhow::Result<Vec<Caller>> {
    let http = Http::new(format!("http://{}", stack.control_plane().listen));
    let owner = Owner::sign_up(&http, stack.origin()).await?;
    let bases = [
        format!("http://localhost:{}", upstream.plain.port()),
        format!("https://localhost:{}", upstream.tls.port()),
    ];
    let auth = json!({"kind": "bearer"});
    let connections = Connections {
        plain: owner.connect(&bases[0], &auth, SECRET).await?,
        tls: owner.connect(&bases[1], &auth, SECRET).await?,
    };
    let mut callers = Vec::with_capacity(number);
    for _ in 0..number.max(1) {
        let made = owner.create_agent("bench").await?;
        for (connection, base) in [&connections.plain, &connections.tls]
            .into_iter()
            .zip(&bases)
        {
            let allowlists = json!([{
                "baseUrl": base, "methods": ["GET", "POST"], "pathPatterns": ["/items/**"],
            }]);
            owner.allow(&made.id, connection, &allowlists).await?;
        }
        let agent = Agent::ready(&http, stack.origin(), made).await?;
        callers.push(Caller {
            token: agent.token,
            connections: connections.clone(),
        });
    }
    Ok(callers)
}

// === impl Caller ===

impl Caller {
    pub fn request(&self, via: Via, shape: Shape) -> Bytes {
        shape.request(&self.path(via), &self.token)
    }

    pub fn path(&self, via: Via) -> String {
        let connection = match via {
            Via::Plain => &self.connections.plain,
            Via::Tls => &self.connections.tls,
        };
        format!("/v1/proxy/{connection}/items/1")
    }
}
