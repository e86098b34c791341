//! The snapshot, kept from a real PostgreSQL.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::sync::{Arc, LazyLock};
use std::time::Duration;

use ah5_contracts::connection::Auth;
use ah5_contracts::id::{AgentId, ConnectionId, PolicyId, UserId, WorkspaceId};
use ah5_contracts::policy::Method;
use ah5_data_plane::snapshot::keeper::Keeper;
use ah5_data_plane::snapshot::{LAST_GOOD, Published, Workspace};
use ah5_harness::postgres::Cluster;
use ah5_policy::{CanonicalUrl, Facts};
use ah5_security::ring::KeyRing;
use ah5_security::secret::SecretText;
use ah5_security::vault::{DataKey, Destinations, SealContext};
use ah5_store::connections::NewConnection;
use ah5_store::database::Database;
use ah5_store::migrate::{self, Passwords};
use ah5_store::policies::Settings;
use ah5_store::tenant::Tenant;
use ah5_store::users::NewUser;
use ah5_store::{agents, connections, policies, users, workspaces};
use serde_json::json;
use tokio::time::Instant;

struct Installation {
    cluster: Cluster,
    ring: tempfile::TempDir,
    workspace: WorkspaceId,
    agent: AgentId,
    connection: ConnectionId,
    policy: PolicyId,
}

impl Installation {
    async fn new() -> Self {
        let cluster = Cluster::start_temporary().unwrap();
        let ring = tempfile::tempdir().unwrap();
        KeyRing::create(&ring.path().join("ring")).unwrap();
        let this = Self {
            cluster,
            ring,
            workspace: WorkspaceId::random(),
            agent: AgentId::random(),
            connection: ConnectionId::random(),
            policy: PolicyId::random(),
        };
        migrate::run(&this.database("postgres"), &Passwords::default())
            .await
            .unwrap();
        this.fill().await;
        this
    }

    fn database(&self, user: &str) -> Database {
        Database::parse(&SecretText::new(self.cluster.url_as(user, "postgres"))).unwrap()
    }

    fn ring(&self) -> KeyRing {
        KeyRing::load(&self.ring.path().join("ring")).unwrap()
    }

    fn keeper(&self) -> Keeper {
        let data = self.database("ah5_data_login");
        Keeper::start(
            data.clone(),
            data,
            self.ring().into(),
            Box::new(|_, _, _| false),
        )
    }

    async fn fill(&self) {
        let pool = self.database("ah5_control_login").pool(1);
        let mut db = pool.get().await.unwrap();
        let tenant = Tenant::begin(&mut db, self.workspace).await.unwrap();
        let owner = UserId::random();
        let new = NewUser {
            id: owner,
            email: "a@b.c",
            name: "n",
            email_verification: "assumed",
            password_hash: Some("h"),
        };
        users::insert(&*tenant, &new).await.unwrap();
        let key = DataKey::generate();
        let wrapped = self.ring().wrap(self.workspace, &key);
        workspaces::insert(&tenant, owner, "w", &wrapped)
            .await
            .unwrap();
        agents::insert(&tenant, self.agent, "bot", "", None)
            .await
            .unwrap();
        agents::enrol(&tenant, self.agent, &json!({}))
            .await
            .unwrap();
        let sealed = key.seal(&self.context(), &SecretText::new("the-secret".into()));
        let connection = NewConnection {
            id: self.connection,
            provider: "custom",
            service: "custom-http",
            label: "l",
            base_url: BASE,
            auth: &json!({"kind": "bearer"}),
            granted_scopes: &[],
            oauth: None,
            mail: None,
            sealed: &sealed,
        };
        connections::insert(&tenant, &connection).await.unwrap();
        let allowlists = json!([{"baseUrl": BASE, "methods": ["GET"], "pathPatterns": ["/v2/**"]}]);
        let settings = Settings {
            allowed_models: &["B".to_owned()],
            default_mode: "read_write",
            step_up_approval: "never",
            security_preset: None,
            allowlists: &allowlists,
            ..Settings::default()
        };
        policies::insert(&tenant, self.policy, self.agent, self.connection, &settings)
            .await
            .unwrap();
        tenant.commit().await.unwrap();
    }

    fn context(&self) -> SealContext<'static> {
        SealContext {
            workspace: self.workspace,
            connection: self.connection,
            field: "secret",
            version: 1,
            service: "custom-http",
            auth: &Auth::Bearer,
            destinations: &DESTINATIONS,
        }
    }

    async fn sql(&self, sql: &str) {
        let (client, _driver) = self.database("postgres").connect().await.unwrap();
        client.batch_execute(sql).await.unwrap();
    }

    fn allows(&self, workspace: &Workspace, now: Instant) -> bool {
        let url = CanonicalUrl::parse("https://api.example.com/v2/items").unwrap();
        let facts = Facts::new(Method::Get, &url, 0);
        let policy = &workspace.policies[&(self.agent, self.connection)][0];
        policy
            .in_force(now)
            .is_some_and(|policy| policy.decide(&facts).is_allowed())
    }
}

const BASE: &str = "https://api.example.com/v2";
static DESTINATIONS: LazyLock<Destinations> = LazyLock::new(|| Destinations::new(BASE));

/// The workspace, once it looks as expected.
async fn eventually(
    published: &Published,
    id: WorkspaceId,
    expected: impl Fn(&Workspace) -> bool,
) -> Arc<Workspace> {
    for _ in 0..500 {
        if let Some(workspace) = published
            .workspace(id)
            .filter(|workspace| expected(workspace))
        {
            return workspace;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the snapshot never came to look as expected");
}

#[tokio::test]
async fn loads_compiles_and_opens_what_the_control_plane_wrote() {
    let installation = Installation::new().await;
    let keeper = installation.keeper();
    let published = keeper.published();
    let workspace = eventually(&published, installation.workspace, |_| true).await;
    assert!(installation.allows(&workspace, Instant::now()));
    assert!(workspace.agents[&installation.agent].active);
    let connection = &workspace.connections[&installation.connection];
    let sealed = &connection.credential.as_ref().unwrap().sealed;
    let opened = workspace
        .key
        .as_ref()
        .unwrap()
        .open(&installation.context(), sealed)
        .unwrap();
    assert_eq!(opened.expose(), "the-secret");
    assert_eq!(connection.base.to_string(), BASE);
    assert_eq!(connection.tenant, None);
}

#[tokio::test]
async fn a_connection_carries_the_organisation_it_belongs_to() {
    let installation = Installation::new().await;
    let metadata = r#"update ah5.t_connections set metadata = '{"tenantId": "T1"}'"#;
    installation.sql(metadata).await;
    let keeper = installation.keeper();
    let published = keeper.published();
    let workspace = eventually(&published, installation.workspace, |_| true).await;
    let connection = &workspace.connections[&installation.connection];
    assert_eq!(connection.tenant.as_deref(), Some("T1"));
}

#[tokio::test]
async fn a_change_arrives_though_every_hint_is_lost() {
    let installation = Installation::new().await;
    let keeper = installation.keeper();
    let published = keeper.published();
    let before = eventually(&published, installation.workspace, |_| true).await;
    let epoch = before.agents[&installation.agent].epoch;
    // Triggers that raise the version but notify nobody.
    installation
        .sql(
            "create or replace function pg_temp.nothing() returns void language sql as '';
        create or replace function ah5.raise_version(workspaces uuid[]) returns void language sql
        security definer set search_path = pg_catalog as $$
            update ah5.t_workspace_versions set version = version + 1,
                changed_xid = pg_current_xact_id() where workspace_id = any (workspaces) $$;",
        )
        .await;
    installation
        .sql("update ah5.t_agents set status = 'disabled', epoch = epoch + 1")
        .await;
    let after = eventually(&published, installation.workspace, |w| {
        !w.agents[&installation.agent].active
    })
    .await;
    assert_eq!(after.agents[&installation.agent].epoch, epoch + 1);
}

#[tokio::test]
async fn a_deleted_workspace_is_forgotten_and_killed_connections_come_back() {
    let installation = Installation::new().await;
    let keeper = installation.keeper();
    let published = keeper.published();
    eventually(&published, installation.workspace, |_| true).await;
    installation.sql("select pg_terminate_backend(pid) from pg_stat_activity where usename = 'ah5_data_login'").await;
    installation
        .sql("update ah5.t_agents set status = 'disabled'")
        .await;
    eventually(&published, installation.workspace, |w| {
        !w.agents[&installation.agent].active
    })
    .await;
    installation.sql("delete from ah5.t_workspaces").await;
    for _ in 0..500 {
        if published.workspace(installation.workspace).is_none() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the workspace is still there");
}

#[tokio::test]
async fn a_policy_that_stops_compiling_is_served_by_its_last_good_version_for_a_while() {
    let installation = Installation::new().await;
    let keeper = installation.keeper();
    let published = keeper.published();
    eventually(&published, installation.workspace, |_| true).await;
    installation
        .sql("update ah5.t_policies set version = version + 1, time_windows = '[{}]'")
        .await;
    let changed = |w: &Workspace| w.policies.values().flatten().all(|p| p.version == 2);
    let workspace = eventually(&published, installation.workspace, changed).await;
    let now = Instant::now();
    assert!(installation.allows(&workspace, now));
    assert!(
        !installation.allows(&workspace, now + LAST_GOOD),
        "not for longer"
    );
    // A replica that never saw a good version denies.
    let fresh = installation.keeper();
    let workspace = eventually(&fresh.published(), installation.workspace, |_| true).await;
    assert!(!installation.allows(&workspace, Instant::now()));
}

#[tokio::test]
async fn the_age_is_small_while_postgres_answers_and_grows_when_it_does_not() {
    let installation = Installation::new().await;
    let keeper = installation.keeper();
    let published = keeper.published();
    assert_eq!(published.age(), None, "nothing is known yet");
    eventually(&published, installation.workspace, |_| true).await;
    for _ in 0..500 {
        if published.age().is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(published.age().unwrap() < Duration::from_secs(5));
    let workspace = installation.workspace;
    drop(installation);
    for _ in 0..500 {
        if published.age().unwrap() > Duration::from_secs(2) {
            assert!(
                published.workspace(workspace).is_some(),
                "old knowledge is kept, and its age told"
            );
            return;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    panic!("the age does not grow");
}

#[tokio::test]
async fn a_workspace_that_loads_slowly_holds_up_itself_alone() {
    let installation = Installation::new().await;
    let (slow, other) = (installation.workspace, WorkspaceId::random());
    installation
        .sql(&format!(
            "insert into ah5.t_users
                select (jsonb_populate_record(u, '{{\"id\": \"{other}\", \"email\": \"o@b.c\"}}')).*
                from ah5.t_users u;
            insert into ah5.t_workspaces
                select (jsonb_populate_record(w, '{{\"id\": \"{other}\", \"owner_id\": \"{other}\"}}')).*
                from ah5.t_workspaces w;
            select ah5.raise_version(array['{other}'::uuid])"
        ))
        .await;
    let keeper = installation.keeper();
    let published = keeper.published();
    eventually(&published, slow, |_| true).await;
    let before = eventually(&published, other, |_| true).await.version();
    installation
        .sql(&format!(
            "create function ah5.sleepy(id uuid) returns boolean language plpgsql cost 100000 as $$
            begin if id = '{slow}' then perform pg_sleep(2); end if; return true; end $$;
            grant execute on function ah5.sleepy to public;
            create policy sleepy on ah5.t_workspaces as restrictive for select using (ah5.sleepy(id));
            update ah5.t_agents set status = 'disabled', epoch = epoch + 1"
        ))
        .await;
    for _ in 0..500 {
        if published.behind() == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert!(
        published.is_behind(slow, Duration::ZERO) && !published.is_behind(other, Duration::ZERO)
    );
    installation
        .sql(&format!("select ah5.raise_version(array['{other}'::uuid])"))
        .await;
    eventually(&published, other, |w| w.version() != before).await;
    assert_eq!(published.behind(), 1, "the other did not wait");
    let still = published.workspace(slow).unwrap();
    assert!(
        still.agents[&installation.agent].active,
        "it is old, and said to be"
    );
    eventually(&published, slow, |w| !w.agents[&installation.agent].active).await;
    for _ in 0..1000 {
        if published.behind() == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    assert_eq!(published.behind(), 0);
    assert!(published.age().unwrap() < Duration::from_secs(2));
}
