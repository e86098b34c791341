//! An installation of a test's own, with accounts at a provider that the test plays.

use std::time::Duration;

use ah5_contracts::connection::Auth;
use ah5_contracts::id::{ConnectionId, WorkspaceId};
use ah5_harness::stack::Stack;
use ah5_harness::stack::home::DATABASE;
use ah5_providers::catalogue;
use ah5_security::ring::KeyRing;
use ah5_security::secret::SecretText;
use ah5_security::vault::{Destinations, SealContext};
use ah5_store::connections::{self, NewConnection, NewOAuth};
use ah5_store::database::{Client, Database};
use ah5_store::tenant::Tenant;
use ah5_store::workspaces;
use ah5_testkit::client::{Agent, Answer, Call, Http, Owner};
use ah5_testkit::simulator::{Options, Received, Simulator, TokenEndpoint, Tokens};
use http::{Method, Response};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

pub const GMAIL: &str = "gmail.googleapis.com";
pub const STRIPE: &str = "api.stripe.com";
pub const TOKEN_URL: &str = "https://oauth2.googleapis.com/token";
pub const PROFILE: &str = "/gmail/v1/users/me/profile";

pub struct Fixture {
    pub owner: Owner,
    pub agent: Agent,
    pub planes: Vec<Http>,
    pub endpoint: TokenEndpoint,
    pub provider: Simulator,
    workspace: WorkspaceId,
    // The last: it must outlive whatever talks to it.
    pub stack: Stack,
}

/// A connection by OAuth, and what the provider gave for it.
pub struct Account {
    pub id: String,
    pub first: Tokens,
}

/// What the database says of a connection.
#[derive(Debug, PartialEq, Eq)]
pub struct State {
    pub status: String,
    pub reason: Option<String>,
    pub version: i64,
}

// === impl Fixture ===

impl Fixture {
    pub async fn open(data_planes: usize) -> Self {
        let options = Options {
            names: [GMAIL, STRIPE, "oauth2.googleapis.com"]
                .map(str::to_owned)
                .to_vec(),
            ..Options::default()
        };
        let provider = Simulator::start_with(options).await.unwrap();
        let endpoint = TokenEndpoint::play(&provider, "/token", "/revoke");
        let accepts = endpoint.clone();
        // Answers whom it knows, and says by which token it did.
        provider.on("/gmail/*", move |received| {
            let answer = profile(&accepts, &received);
            async move { answer }
        });
        let hosts = [GMAIL, STRIPE, "oauth2.googleapis.com"];
        let resolve = hosts.map(|host| format!("{host}:443={}", provider.address()));
        let limits = ["BOOTSTRAP", "TOKEN", "SIGN_IN"];
        let stack = limits
            .iter()
            .fold(Stack::builder(), |builder, name| {
                builder.env(&format!("RATE_LIMIT_{name}_PER_MINUTE"), "10000")
            })
            .front_door(false)
            .simulator(false)
            .data_planes(data_planes)
            .env("DRAIN_DEADLINE_MS", "1000")
            .env("GOOGLE_CLIENT_ID", "installation")
            .env("GOOGLE_CLIENT_SECRET", "planted-client-secret")
            .env("UPSTREAM_CA_FILE", provider.ca_file().to_str().unwrap())
            .env("UPSTREAM_RESOLVE", &resolve.join(","))
            .start()
            .unwrap();
        let control = Http::new(format!("http://{}", stack.control_plane().listen));
        let planes = stack
            .data_planes()
            .map(|plane| Http::new(format!("http://{}", plane.listen)))
            .collect();
        let owner = Owner::sign_up(&control, stack.origin()).await.unwrap();
        let made = owner.create_agent("bot").await.unwrap();
        let agent = Agent::ready(&control, stack.origin(), made).await.unwrap();
        let sql = "select workspace_id::text from ah5.t_agents where id::text = $1";
        let row = database(&stack).await.query_one(sql, &[&agent.id]).await;
        let workspace = row.unwrap().get::<_, String>(0).parse().unwrap();
        Self {
            owner,
            agent,
            planes,
            endpoint,
            provider,
            workspace,
            stack,
        }
    }

    /// A Gmail account whose token ends in so many seconds, which the agent may read. Every replica
    /// knows of it.
    pub async fn account(&self, seconds: i64) -> Account {
        let first = self.endpoint.grant();
        let ends = Timestamp::now() + SignedDuration::from_secs(seconds);
        let new = |key: &dyn Fn(&str, &str) -> Vec<u8>| {
            (key("secret", &first.access), key("refresh", &first.refresh))
        };
        let id = self.insert("google-gmail", GMAIL, Some(ends), new).await;
        self.allow(&id, GMAIL).await;
        Account { id, first }
    }

    /// A connection by an API key.
    pub async fn keyed(&self) -> String {
        let new = |key: &dyn Fn(&str, &str) -> Vec<u8>| {
            (key("secret", "planted-stripe-key-0123456789"), Vec::new())
        };
        let id = self.insert("stripe", STRIPE, None, new).await;
        self.allow(&id, STRIPE).await;
        id
    }

    /// The row as the consent's callback writes it.
    async fn insert(
        &self,
        service: &str,
        host: &str,
        ends: Option<Timestamp>,
        seal: impl Fn(&dyn Fn(&str, &str) -> Vec<u8>) -> (Vec<u8>, Vec<u8>),
    ) -> String {
        let secrets = self.stack.folder().join("secrets");
        let read = |name: &str| std::fs::read_to_string(secrets.join(name)).unwrap();
        let control = SecretText::new(read("ah5_control_login-database-url"));
        let pool = Database::parse(&control).unwrap().pool(1);
        let mut db = pool.get().await.unwrap();
        let tenant = Tenant::begin(&mut db, self.workspace).await.unwrap();
        let wrapped = workspaces::data_key(&tenant).await.unwrap().unwrap();
        let ring = KeyRing::load(&secrets.join("key-ring.json")).unwrap();
        let key = ring.unwrap(self.workspace, &wrapped.ring_key_id, &wrapped.bytes);
        let key = key.unwrap();
        let service = catalogue::find(service).unwrap();
        let auth = service.auth().unwrap_or(Auth::Bearer);
        let (id, base) = (ConnectionId::random(), format!("https://{host}/"));
        let destinations = Destinations::new(&base).token_url(ends.map(|_| TOKEN_URL));
        let (sealed, refresh) = seal(&|field, secret| {
            let context = SealContext {
                workspace: self.workspace,
                connection: id,
                field,
                version: 1,
                service: &service.id,
                auth: &auth,
                destinations: &destinations,
            };
            key.seal(&context, &SecretText::new(secret.to_owned()))
        });
        let oauth = ends.map(|_| NewOAuth {
            app: None,
            token_url: TOKEN_URL,
            account: None,
            asked_scopes: &[],
            sealed_refresh: Some(&refresh),
            expires_at: ends,
        });
        let connection = NewConnection {
            id,
            provider: &service.provider,
            service: &service.id,
            label: "Mail of Ann",
            base_url: &base,
            auth: &serde_json::to_value(&auth).unwrap(),
            granted_scopes: &[],
            oauth,
            mail: None,
            sealed: &sealed,
        };
        connections::insert(&tenant, &connection).await.unwrap();
        tenant.commit().await.unwrap();
        id.to_string()
    }

    async fn allow(&self, connection: &str, host: &str) {
        let lists = json!([{"baseUrl": format!("https://{host}"), "pathPatterns": ["/**"],
            "methods": ["GET", "POST", "PUT", "DELETE"]}]);
        let made = self.owner.allow(&self.agent.id, connection, &lists).await;
        made.unwrap();
        self.settled().await;
    }

    /// Waits until every replica knows everything that is so now: who comes with the token of an
    /// agent that is new has the workspace read anew.
    pub async fn settled(&self) {
        let made = self.owner.create_agent("news").await.unwrap();
        let control = Http::new(self.control());
        let news = Agent::ready(&control, self.stack.origin(), made).await;
        let news = news.unwrap();
        for plane in &self.planes {
            until(|| async {
                let nowhere = ConnectionId::random().to_string();
                let call = news.proxy(&nowhere, Method::GET, "/");
                plane.send(call).await.unwrap().status == 404
            })
            .await;
        }
    }

    fn control(&self) -> String {
        format!("http://{}", self.stack.control_plane().listen)
    }

    pub fn call(&self, account: &str, method: Method, target: &str) -> Call {
        self.agent.proxy(account, method, target)
    }

    /// Reads the account's profile by one of the planes.
    pub async fn read_at(&self, plane: usize, account: &Account) -> Answer {
        let call = self.call(&account.id, Method::GET, PROFILE);
        self.planes[plane].send(call).await.unwrap()
    }

    pub async fn read(&self, account: &Account) -> Answer {
        self.read_at(0, account).await
    }

    pub async fn state(&self, id: &str) -> State {
        let sql = "select c.status, c.reauth_reason, coalesce(s.version, 0)
                   from ah5.t_connections c
                   left join ah5.t_connection_credentials s on s.connection_id = c.id
                   where c.id::text = $1";
        let db = database(&self.stack).await;
        let row = db.query_one(sql, &[&id]).await.unwrap();
        State {
            status: row.get(0),
            reason: row.get(1),
            version: row.get(2),
        }
    }

    /// One number in the database.
    pub async fn number(&self, sql: &str) -> i64 {
        let db = database(&self.stack).await;
        db.query_one(sql, &[]).await.unwrap().get(0)
    }

    pub async fn sql(&self, sql: &str) {
        let db = database(&self.stack).await;
        db.batch_execute(sql).await.unwrap();
    }

    /// Makes the time pass for which nobody else may use the account's refresh token.
    pub async fn end_lease(&self, account: &Account) {
        let sql = "update ah5.t_refreshes set leased_until = now() where connection_id";
        self.sql(&format!("{sql} = '{}'", account.id)).await;
    }

    /// Makes a pause after a failure pass.
    pub async fn end_pause(&self, id: &str) {
        let sql = "update ah5.t_refreshes set next_attempt_at = now() where connection_id";
        self.sql(&format!("{sql} = '{id}'")).await;
    }

    /// From now on the token counts as expired, as every replica knows.
    pub async fn expire(&self, account: &Account) {
        let sql = "update ah5.t_connection_credentials
                   set expires_at = now() - interval '1 second' where connection_id";
        self.sql(&format!("{sql} = '{}'", account.id)).await;
        self.settled().await;
    }

    /// What the owner was told of connections.
    pub async fn notices(&self) -> Vec<Value> {
        let answer = self.owner.get("/v1/notifications").await.unwrap();
        let answer = answer.expect(200).unwrap();
        let all = answer["notifications"].as_array().unwrap();
        let of = |notice: &&Value| notice["type"] == "connection_needs_reauth";
        all.iter().filter(of).cloned().collect()
    }

    /// Waits for a row of the trail.
    pub async fn audited(&self, action: &str) -> Value {
        let path = format!("/v1/audit?limit=100&action={action}");
        for _ in 0..PATIENCE {
            let answer = self.owner.get(&path).await.unwrap().expect(200).unwrap();
            if let Some(event) = answer["events"].as_array().unwrap().first() {
                return event.clone();
            }
            tokio::time::sleep(STEP).await;
        }
        panic!("there is no row of {action}");
    }
}

pub async fn database(stack: &Stack) -> Client {
    let url = SecretText::new(stack.cluster().unwrap().url(DATABASE));
    Database::parse(&url).unwrap().connect().await.unwrap().0
}

/// Asks again until it is so.
pub async fn until<F: Future<Output = bool>>(is_so: impl Fn() -> F) {
    for _ in 0..PATIENCE {
        if is_so().await {
            return;
        }
        tokio::time::sleep(STEP).await;
    }
    panic!("it did not come to that");
}

fn profile(
    endpoint: &TokenEndpoint,
    received: &Received,
) -> Response<ah5_testkit::simulator::Body> {
    let shown = received.headers.get("authorization");
    let shown = shown.and_then(|value| value.to_str().ok());
    let token = shown.and_then(|value| value.strip_prefix("Bearer "));
    let good = token.is_some_and(|token| endpoint.accepts(token));
    let mut answer = Response::new(json!({"good": good}).to_string().into());
    *answer.status_mut() = if good { 200 } else { 401 }.try_into().unwrap();
    answer
}

const STEP: Duration = Duration::from_millis(20);
const PATIENCE: usize = 3000;
