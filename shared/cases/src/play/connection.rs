//! A case's connection: made over the API where that can make it, sealed into the database where it
//! can't yet. A service that is not in the catalogue is played by a custom connection.

use ah5_contracts::connection::Auth;
use ah5_contracts::id::{ConnectionId, WorkspaceId};
use ah5_harness::stack::home::DATABASE;
use ah5_providers::catalogue;
use ah5_security::ring::KeyRing;
use ah5_security::secret::SecretText;
use ah5_security::vault::{DataKey, Destinations, SealContext};
use ah5_store::connections::{self, NewConnection};
use ah5_store::database::Database;
use ah5_store::tenant::Tenant;
use ah5_store::workspaces;
use anyhow::Context as _;
use serde_json::{Value, json};
use url::Url;

use super::running::{ELSEWHERE, RING, Running, SECRET};
use crate::Case;

struct Wanted<'a> {
    provider: &'a str,
    service: &'a str,
    /// Only a provider's own sign-in makes one.
    oauth: bool,
    metadata: Option<&'a Value>,
    /// Of the case's URL; of what the policy allows, where that is none.
    origin: String,
}

// === impl Running ===

impl Running {
    /// The id of a connection as the case has it; equal ones are made once.
    pub async fn connect(&mut self, case: &Case) -> anyhow::Result<String> {
        let wanted = Wanted::of(case)?;
        let name = format!("{} {:?}", wanted.origin, case.connection);
        if let Some(known) = self.connections.get(&name) {
            return Ok(known.clone());
        }
        let id = match catalogue::find(wanted.service) {
            None => {
                let auth = json!({"kind": "bearer"});
                self.owner.connect(&wanted.origin, &auth, SECRET).await?
            }
            Some(_) => match self.connect_by_key(&wanted).await? {
                Some(id) => id,
                None => self.seal(&wanted).await.context("sealing a connection")?,
            },
        };
        self.connections.insert(name, id.clone());
        Ok(id)
    }

    /// `None` where the API has no way.
    async fn connect_by_key(&self, wanted: &Wanted<'_>) -> anyhow::Result<Option<String>> {
        if wanted.oauth || wanted.metadata.is_some() {
            return Ok(None);
        }
        let body = json!({
            "provider": wanted.provider, "service": wanted.service, "apiKey": SECRET,
        });
        let made = self.owner.post("/v1/connections/api-key", &body).await?;
        if made.status == 400 {
            return Ok(None);
        }
        let made = made.expect(200)?;
        let id = made["connection"]["id"].as_str();
        Ok(Some(id.context("the connection has no id")?.to_owned()))
    }

    /// As the control plane would store it.
    async fn seal(&self, wanted: &Wanted<'_>) -> anyhow::Result<String> {
        let workspace = self
            .owner
            .get("/v1/workspaces/current")
            .await?
            .expect(200)?;
        let workspace: WorkspaceId = workspace["id"].as_str().context("no workspace")?.parse()?;
        let cluster = self.stack.cluster().context("no cluster")?;
        let database = Database::parse(&SecretText::new(cluster.url(DATABASE)))?;
        let mut client = database.pool(1).get().await?;
        let tenant = Tenant::begin(&mut client, workspace).await?;
        let wrapped = workspaces::data_key(&tenant)
            .await?
            .context("no data key")?;
        let ring = KeyRing::load(&self.folder.path().join(RING))?;
        let key = ring.unwrap(workspace, &wrapped.ring_key_id, &wrapped.bytes)?;
        let id = ConnectionId::random();
        insert(&tenant, &key, id, wanted).await?;
        tenant.commit().await?;
        Ok(id.to_string())
    }
}

async fn insert(
    tenant: &Tenant<'_>,
    key: &DataKey,
    id: ConnectionId,
    wanted: &Wanted<'_>,
) -> anyhow::Result<()> {
    let auth = wanted.auth();
    let context = SealContext {
        workspace: tenant.workspace(),
        connection: id,
        field: "secret",
        version: 1,
        service: wanted.service,
        auth: &auth,
        destinations: &Destinations::new(&wanted.origin),
    };
    let sealed = key.seal(&context, &SecretText::new(SECRET.to_owned()));
    let new = NewConnection {
        id,
        provider: wanted.provider,
        service: wanted.service,
        label: "Case",
        base_url: &wanted.origin,
        auth: &serde_json::to_value(&auth)?,
        granted_scopes: &[],
        oauth: None,
        mail: None,
        sealed: &sealed,
    };
    connections::insert(tenant, &new).await?;
    if let Some(metadata) = wanted.metadata {
        // What a provider says of an account when it is connected there.
        let sql = "update ah5.t_connections set metadata = $2 where id = $1";
        tenant.execute(sql, &[&id.uuid(), metadata]).await?;
    }
    Ok(())
}

// === impl Wanted ===

impl<'a> Wanted<'a> {
    fn of(case: &'a Case) -> anyhow::Result<Self> {
        let nothing = &Value::Null;
        let connection = case.connection.as_ref().unwrap_or(nothing);
        let text = |name: &str| connection[name].as_str().unwrap_or_default();
        let request = case.request();
        let allowed = &case.policy["allowlists"][0]["baseUrl"];
        let urls = [&request["url"], allowed];
        let origin = urls.into_iter().find_map(origin);
        Ok(Self {
            provider: text("provider"),
            service: text("service"),
            oauth: connection["oauth"] == true,
            metadata: connection.get("metadata"),
            origin: origin.unwrap_or_else(|| ELSEWHERE.to_owned()),
        })
    }

    /// The service's own slot.
    fn auth(&self) -> Auth {
        let service = catalogue::find(self.service);
        let auth = service.and_then(|service| service.auth());
        auth.unwrap_or(Auth::Bearer)
    }
}

fn origin(url: &Value) -> Option<String> {
    let origin = Url::parse(url.as_str()?).ok()?.origin();
    origin.is_tuple().then(|| origin.ascii_serialization())
}
