//! The running product with one workspace in it: each case gets an agent and a policy of its own,
//! so no case sees another's.

use std::collections::HashMap;
use std::path::Path;
use std::time::Duration;

use ah5_contracts::id::ApprovalId;
use ah5_harness::cancel::Cancel;
use ah5_harness::stack::home::DATABASE;
use ah5_harness::stack::{Builder, Stack};
use ah5_security::secret::SecretText;
use ah5_store::database::Database;
use ah5_testkit::client::{Agent, Answer, Http, Owner};
use anyhow::{Context as _, bail};
use http::Method;
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use tokio::time::Instant;

use super::policy::{self, Written};
use super::provider::Provider;
use super::{call, redemption};
use crate::Case;

pub(super) struct Running {
    pub stack: Stack,
    pub owner: Owner,
    pub provider: Provider,
    /// Connection ids by what was asked for.
    pub connections: HashMap<String, String>,
    /// Holds the key ring.
    pub folder: TempDir,
    pub control: Http,
    plane: Http,
    /// When the owner's token was new.
    renewed: Instant,
}

/// A case that is set up: who calls, through what, under which policy.
pub(super) struct Scene {
    pub agent: Agent,
    pub connection: String,
    pub policy: String,
}

// === impl Running ===

impl Running {
    pub fn start(
        runtime: &Runtime,
        hosts: &[(String, u16)],
        cancel: &Cancel,
    ) -> anyhow::Result<Self> {
        let folder = tempfile::tempdir()?;
        let provider = runtime.block_on(Provider::start(hosts))?;
        let ring = folder.path().join(RING);
        let builder = settings(hosts, &provider, &ring).cancel(cancel);
        let stack = builder.start()?;
        let control = Http::new(format!("http://{}", stack.control_plane().listen));
        let plane = Http::new(format!("http://{}", stack.data_plane(0).listen));
        let owner = runtime.block_on(Owner::sign_up(&control, stack.origin()))?;
        Ok(Self {
            stack,
            owner,
            provider,
            connections: HashMap::new(),
            folder,
            control,
            plane,
            renewed: Instant::now(),
        })
    }

    pub fn stop(self) -> anyhow::Result<()> {
        self.stack.stop()
    }

    /// What the product made of this case.
    pub async fn play(&mut self, case: &Case) -> anyhow::Result<Map<String, Value>> {
        if self.renewed.elapsed() > TOKEN_LIFE / 2 {
            self.owner.renew().await?;
            self.renewed = Instant::now();
        }
        let connection = self.connect(case).await?;
        let made = self.owner.create_agent("case").await?;
        let written = policy::write(&self.owner, &made.id, &connection, &case.policy).await?;
        let policy = match written {
            Written::As(id) => id,
            Written::Refused(why) if case.right_answer()["invalidAtValidation"] != true => {
                bail!("the policy is refused: {why}")
            }
            Written::Refused(_) => {
                return Ok(Map::from_iter([(
                    "invalidAtValidation".into(),
                    true.into(),
                )]));
            }
        };
        let agent = Agent::ready(&self.control, self.stack.origin(), made).await?;
        let scene = Scene {
            agent,
            connection,
            policy,
        };
        self.settle(&scene).await?;
        self.provider.answer_as(case)?;
        match (&case.prior, case.level.as_str()) {
            (None, "decision") => self.judge(&scene, &case.request_text, None).await,
            (Some(prior), "redeem") => redemption::play(self, &scene, case, prior).await,
            _ => bail!("a redemption has a prior request, and nothing else has"),
        }
    }

    /// Sends the request of a case, and says what became of it here and at the provider.
    pub async fn judge(
        &self,
        scene: &Scene,
        request: &RawValue,
        approval: Option<&str>,
    ) -> anyhow::Result<Map<String, Value>> {
        let before = self.provider.count();
        let answer = self.send(scene, request, approval).await?;
        call::judge(request, &answer, &self.provider.since(before))
    }

    pub async fn send(
        &self,
        scene: &Scene,
        request: &RawValue,
        approval: Option<&str>,
    ) -> anyhow::Result<Answer> {
        let call = scene.agent.call(Method::POST, "/v1/vault/execute");
        let call = call::envelope(call, request, &scene.connection, approval)?;
        self.plane.send(call).await
    }

    /// Nobody has half an hour: its time is over.
    pub async fn expire(&self, approval: &str) -> anyhow::Result<()> {
        let cluster = self.stack.cluster().context("no cluster")?;
        let database = Database::parse(&SecretText::new(cluster.url(DATABASE)))?;
        let (client, _driver) = database.connect().await?;
        let id: ApprovalId = approval.parse()?;
        let over = "update ah5.t_approval_requests set expires_at = now() - interval '1 second'";
        Ok(client
            .batch_execute(&format!("{over} where id = '{id}'"))
            .await?)
    }

    /// Waits until the data plane has all that was written: whoever knows a connection that was
    /// made after it knows it too.
    pub async fn settle(&self, scene: &Scene) -> anyhow::Result<()> {
        let auth = json!({"kind": "bearer"});
        let later = self.owner.connect(ELSEWHERE, &auth, SECRET).await?;
        for _ in 0..PATIENCE {
            let call = scene.agent.proxy(&later, Method::GET, "/");
            let answer = self.plane.send(call).await?;
            match answer.status.as_u16() {
                // Known, and nothing allows it.
                403 => return Ok(()),
                // The agent or the connection is new, and too many new ones were looked up just now.
                401 | 404 | 503 => tokio::time::sleep(STEP).await,
                _ => bail!("the data plane does not answer: {}", answer.text()),
            }
        }
        bail!("the policy did not arrive at the data plane")
    }
}

/// One data plane, to which all of these hosts are our provider.
fn settings(hosts: &[(String, u16)], provider: &Provider, ring: &Path) -> Builder {
    let port = provider.simulator.port();
    let places = hosts.iter();
    let places = places.map(|(name, theirs)| format!("{name}:{theirs}=127.0.0.1:{port}"));
    let ca_file = provider.simulator.ca_file();
    let builder = Stack::builder()
        .data_planes(1)
        .front_door(false)
        .simulator(false)
        .env("KEY_RING_FILE", &ring.display().to_string())
        .env("UPSTREAM_CA_FILE", &ca_file.display().to_string())
        .env("UPSTREAM_RESOLVE", &places.collect::<Vec<_>>().join(","))
        .env("DRAIN_DEADLINE_MS", "1000");
    // Every case enrols an agent, and all of them are one caller.
    let limits = ["BOOTSTRAP", "TOKEN", "SIGN_IN"];
    limits.iter().fold(builder, |builder, name| {
        builder.env(&format!("RATE_LIMIT_{name}_PER_MINUTE"), "100000")
    })
}

pub(super) const RING: &str = "key-ring";
/// What the provider's key is.
pub(super) const SECRET: &str = "case-credential-0123456789";
/// Nothing is ever sent there.
pub(super) const ELSEWHERE: &str = "https://nowhere.example";
const TOKEN_LIFE: Duration = Duration::from_secs(300);
const STEP: Duration = Duration::from_millis(20);
const PATIENCE: usize = 500;
