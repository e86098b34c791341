//! Workspaces that come over from the database of another product, down to a call with an imported
//! key.

use std::sync::Arc;

use ah5_harness::stack::Stack;
use ah5_security::secret::SecretText;
use ah5_store::database::{Client, Database};
use ah5_testkit::client::{Agent, Call, Http, NewAgent, Owner};
use ah5_testkit::simulator::Remote;
use aws_lc_rs::aead::{AES_256_GCM, Aad, LessSafeKey, Nonce, UnboundKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::Method;
use serde_json::json;
use uuid::Uuid;

use crate::support;

#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_comes_over_with_its_credentials_and_they_are_called_with() {
    let stack = Arc::new(support::two_planes().plays(&[OPENAI]).start().unwrap());
    let old = Old::make(&stack).await;
    let (good, broken, mailbox) = (Uuid::new_v4(), Uuid::new_v4(), Uuid::new_v4());
    let (grant, revoked) = (Uuid::new_v4(), Uuid::new_v4());
    let app = Uuid::new_v4();
    old.app(app, &seal("planted-client-secret-42")).await;
    old.connection(
        good,
        "openai",
        None,
        &seal(&json!({"apiKey": KEY}).to_string()),
    )
    .await;
    old.connection(broken, "openai", None, "{\"v\":1,\"alg\":\"A256GCM\",\"iv\":\"AAECAwQFBgcICQoL\",\"ciphertext\":\"\",\"tag\":\"AAAAAAAAAAAAAAAAAAAAAA\"}")
        .await;
    let server = |host: &str, port: u16| {
        json!({"host": host, "port": port, "tls": true, "username": "a@acme.example",
               "password": "planted-mail-password"})
    };
    let servers = json!({"email": "a@acme.example", "imap": server("imap.acme.example", 993),
                         "smtp": server("smtp.acme.example", 587)});
    old.connection(mailbox, "email-imap", None, &seal(&servers.to_string()))
        .await;
    // Rows that can't be: an id that another workspace has here, and a column without what it must hold.
    let control = Http::new(format!("http://{}", stack.control_plane().listen));
    let here = Owner::sign_up(&control, stack.origin()).await.unwrap();
    let bearer = json!({"kind": "bearer"});
    let taken = here.connect("https://h.example", &bearer, "planted-secret-01");
    let taken: Uuid = taken.await.unwrap().parse().unwrap();
    let key = seal(&json!({"apiKey": KEY}).to_string());
    old.connection(taken, "openai", None, &key).await;
    old.sql(&format!(
        "insert into t_workspace_oauth_apps values
             (gen_random_uuid(), '{}', 'github', 'client', '{{}}', null, null)",
        old.workspace
    ))
    .await;
    // And a workspace that never was that product's.
    let theirs = here.get("/v1/workspaces/current").await.unwrap().json();
    let theirs = theirs["id"].as_str().unwrap();
    let stranger = Uuid::new_v4();
    old.sql(&format!(
        "insert into t_users values ('{stranger}', 'evil@example.com', true, 'Old', null);
         insert into t_workspaces values ('{theirs}', 'Mine now', '{stranger}');
         insert into t_agents values
             (gen_random_uuid(), 'mole', '', null, 'active', '{theirs}')"
    ))
    .await;
    let tokens = json!({"accessToken": "ya29.planted-access", "refreshToken": "1//planted-refresh",
                        "tokenType": "Bearer", "expiresAt": 1_790_000_000});
    old.connection(grant, "google-gmail", Some(app), &seal(&tokens.to_string()))
        .await;
    old.connection(
        revoked,
        "slack",
        None,
        &seal("{\"botToken\":\"xoxb-0123456789\"}"),
    )
    .await;
    old.sql(&format!(
        "update t_connections set status = 'revoked' where id = '{revoked}'"
    ))
    .await;
    let lists = json!([{"baseUrl": "https://api.openai.com", "methods": ["GET"],
                        "pathPatterns": ["/v1/models"]}]);
    old.policy(good, &lists, "read_write").await;
    old.policy(
        grant,
        &json!([{"baseUrl": "not a url", "methods": ["GET"], "pathPatterns": []}]),
        "read_only",
    )
    .await;

    let before = stack.dump().unwrap();
    let said = import(&stack, &old, &["--dry-run"]);
    let counts = "1 workspace(s), 1 agent(s), 1 OAuth app(s), 3 connection(s), 1 policies";
    assert!(
        said.contains(&format!("{counts} would come over")),
        "{said}"
    );
    assert_eq!(said.matches("left out: ").count(), 6, "{said}");
    for why in [
        "does not open",
        &format!("connection (openai) {taken}"),
        "left out: OAuth app",
        "did not come from this source",
        "it is revoked",
        "policy",
    ] {
        assert!(said.contains(why), "{why}: {said}");
    }
    assert_eq!(
        rows(&before),
        rows(&stack.dump().unwrap()),
        "a dry run leaves nothing"
    );

    let said = import(&stack, &old, &[]);
    assert!(said.contains(&format!("{counts} came over")), "{said}");
    let again = import(&stack, &old, &[]);
    assert!(
        again.contains("0 connection(s), 0 policies came over"),
        "{again}"
    );
    let other = import_by(&stack, &old, &"fedcba9876543210".repeat(4), &[]);
    assert_eq!(
        other.matches("did not come from this source").count(),
        2,
        "{other}"
    );
    let agents = here.get("/v1/agents").await.unwrap().json();
    assert_eq!(agents["agents"], json!([]), "nobody slips into a workspace");
    let dump = stack.dump().unwrap();
    for planted in [
        KEY,
        "planted-access",
        "planted-refresh",
        "planted-client-secret-42",
        "planted-mail-password",
    ] {
        assert!(!dump.contains(planted), "{planted} lies open");
    }

    // Its owner signs in, lets the agent enrol, and the agent calls.
    let given = ["user", "set-password", OWNER, "--password-stdin"];
    let output = stack.operate(&given, "correct horse 1\n").unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    let owner = Owner::sign_in(&control, stack.origin(), OWNER, "correct horse 1");
    let owner = owner.await.unwrap();
    let path = format!("/v1/agents/{}/bootstrap-secret", old.agent);
    let secret = owner
        .post(&path, &json!({}))
        .await
        .unwrap()
        .expect(200)
        .unwrap();
    let made = NewAgent {
        id: old.agent.to_string(),
        bootstrap_secret: secret["bootstrapSecret"].as_str().unwrap().to_owned(),
    };
    let agent = Agent::ready(&control, stack.origin(), made).await.unwrap();
    let simulator = stack.simulator().unwrap();
    let provider = Remote::new(&format!("https://{}", simulator.host), &simulator.ca_file).unwrap();
    let since = provider.last().await.unwrap();
    for plane in stack.data_planes() {
        let http = Http::new(format!("http://{}", plane.listen));
        let call: Call = agent.proxy(&good.to_string(), Method::GET, "/v1/models");
        let answer = http.send(call).await.unwrap();
        assert_eq!(answer.status, 200, "{}", answer.text());
    }
    let seen = provider.journal(since).await.unwrap();
    assert_eq!(seen.len(), 2);
    let bearer = format!("Bearer {KEY}");
    assert!(
        seen.iter()
            .all(|entry| entry.header("authorization") == Some(&bearer))
    );
    let trail = owner.audit("action=workspace_imported").await.unwrap();
    assert_eq!(trail[0]["actor"], json!("system"), "{}", trail[0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_import_without_its_settings_says_which() {
    let builder = support::two_planes().data_planes(0).simulator(false);
    let stack = builder.start().unwrap();
    let output = stack.operate(&["import"], "").unwrap();
    let said = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(64), "{said}");
    for name in ["IMPORT_DATABASE_URL", "ENCRYPTION_KEY"] {
        assert!(said.contains(name), "{said}");
    }
}

/// The other product's database.
struct Old {
    client: Client,
    url: String,
    workspace: Uuid,
    agent: Uuid,
}

// === impl Old ===

impl Old {
    async fn make(stack: &Stack) -> Self {
        let cluster = stack.cluster().unwrap();
        connect(&cluster.url("postgres"))
            .await
            .batch_execute("create database old")
            .await
            .unwrap();
        let url = cluster.url("old");
        let old = Self {
            client: connect(&url).await,
            url,
            workspace: Uuid::new_v4(),
            agent: Uuid::new_v4(),
        };
        old.sql(TABLES).await;
        let (workspace, agent, owner) = (old.workspace, old.agent, Uuid::new_v4());
        old.sql(&format!(
            "insert into t_users values ('{owner}', 'Old.Owner@Example.com', true, 'Old', null);
             insert into t_workspaces values ('{workspace}', 'Old place', '{owner}');
             insert into t_agents values ('{agent}', 'bot', 'does things', null, 'active', '{workspace}')"
        ))
        .await;
        old
    }

    async fn sql(&self, sql: &str) {
        self.client.batch_execute(sql).await.unwrap();
    }

    async fn connection(&self, id: Uuid, service: &str, app: Option<Uuid>, sealed: &str) {
        let sql = "insert into t_connections (id, provider, service, label, workspace_id,
                       oauth_app_id, encrypted_tokens, granted_scopes)
                   values ($1, 'p', $2::text::service, 'l', $3, $4, $5, '{read}')";
        self.client
            .execute(sql, &[&id, &service, &self.workspace, &app, &sealed])
            .await
            .unwrap();
    }

    async fn app(&self, id: Uuid, sealed: &str) {
        let sql =
            "insert into t_workspace_oauth_apps values ($1, $2, 'google', 'client', $3, null, 'l')";
        self.client
            .execute(sql, &[&id, &self.workspace, &sealed])
            .await
            .unwrap();
    }

    async fn policy(&self, connection: Uuid, lists: &serde_json::Value, mode: &str) {
        let sql = "insert into t_policies (agent_id, connection_id, allowed_models, allowlists,
                       default_mode, step_up_approval)
                   values ($1, $2, '{B}', $3, $4, 'never')";
        self.client
            .execute(sql, &[&self.agent, &connection, lists, &mode])
            .await
            .unwrap();
    }
}

async fn connect(url: &str) -> Client {
    let database = Database::parse(&SecretText::new(url.to_owned())).unwrap();
    database.connect().await.unwrap().0
}

fn import(stack: &Stack, old: &Old, more: &[&str]) -> String {
    import_by(stack, old, &"0123456789abcdef".repeat(4), more)
}

fn import_by(stack: &Stack, old: &Old, key: &str, more: &[&str]) -> String {
    let arguments: Vec<&str> = ["import"].iter().chain(more).copied().collect();
    let settings = [
        ("IMPORT_DATABASE_URL", old.url.as_str()),
        ("ENCRYPTION_KEY", key),
    ];
    let output = stack.operate_with(&arguments, "", &settings).unwrap();
    let error = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{error}");
    String::from_utf8(output.stdout).unwrap()
}

/// As that product seals.
fn seal(text: &str) -> String {
    let key: Vec<u8> = (0..32)
        .map(|at| [0x01, 0x23, 0x45, 0x67, 0x89, 0xab, 0xcd, 0xef][at % 8])
        .collect();
    let key = LessSafeKey::new(UnboundKey::new(&AES_256_GCM, &key).unwrap());
    let iv: [u8; 12] = ah5_security::random::bytes();
    let mut bytes = text.as_bytes().to_vec();
    let nonce = Nonce::assume_unique_for_key(iv);
    let tag = key
        .seal_in_place_separate_tag(nonce, Aad::empty(), &mut bytes)
        .unwrap();
    let [iv, text, tag] = [&iv[..], &bytes, tag.as_ref()].map(|it| URL_SAFE_NO_PAD.encode(it));
    json!({"v": 1, "alg": "A256GCM", "iv": iv, "ciphertext": text, "tag": tag}).to_string()
}

/// What could have come of an import.
fn rows(dump: &str) -> usize {
    dump.matches("Old").count() + dump.matches("google").count()
}

const OPENAI: &str = "api.openai.com";
const KEY: &str = "sk-planted-imported-0123456789";
const OWNER: &str = "old.owner@example.com";
const TABLES: &str = "
    create type service as enum ('openai', 'email-imap', 'google-gmail', 'slack');
    create type connection_status as enum ('healthy', 'needs_reauth', 'revoked');
    create type agent_status as enum ('created', 'active', 'disabled');
    create table t_users (id uuid primary key, email text not null unique,
        email_verified boolean not null, name text not null, disabled_at timestamptz);
    create table t_workspaces (id uuid primary key, name text not null, owner_id uuid not null unique);
    create table t_agents (id uuid primary key, name text not null, description text not null,
        icon_url text, status agent_status not null, workspace_id uuid not null);
    create table t_connections (id uuid primary key, provider text not null, service service not null,
        label text not null, status connection_status not null default 'healthy',
        workspace_id uuid not null, oauth_app_id uuid, encrypted_tokens text,
        granted_scopes text[] not null, metadata jsonb,
        created_at timestamptz not null default now());
    create table t_workspace_oauth_apps (id uuid primary key, workspace_id uuid not null,
        provider text not null, client_id text, encrypted_client_secret text not null,
        tenant_id text, label text);
    create table t_policies (id uuid primary key default gen_random_uuid(), agent_id uuid not null,
        connection_id uuid not null, status text not null default 'active',
        allowed_models text[] not null, default_mode text not null, step_up_approval text not null,
        allowlists jsonb not null default '[]', rate_limits jsonb,
        time_windows jsonb not null default '[]',
        rules jsonb not null default '{\"request\":[],\"response\":[]}', provider_constraints jsonb);
";
