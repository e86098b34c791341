//! The store against a real PostgreSQL: migrations, rights, tenants, versions, the spool. One
//! cluster for all; a database each.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::collections::BTreeSet;
use std::sync::{LazyLock, Mutex};

use ah5_contracts::audit::{ActorKind, AuditEvent, Verdict};
use ah5_contracts::id::{AgentId, AuditId, SpoolId, UserId, WorkspaceId};
use ah5_harness::postgres::Cluster;
use ah5_security::audit::{AuditKey, Chain};
use ah5_security::ring::{KeyRing, Wrapped};
use ah5_security::secret::SecretText;
use ah5_store::audit::scan::{self, Filter, Position};
use ah5_store::audit_spool::{SpoolRecord, copy_batch, quarantine};
use ah5_store::database::Database;
use ah5_store::listen::{Channel, Listener};
use ah5_store::migrate::{self, MigrateError, Passwords};
use ah5_store::snapshot::{GLOBAL, load_globals, load_workspace};
use ah5_store::tenant::Tenant;
use ah5_store::users::{self, NewUser};
use ah5_store::versions::Poller;
use ah5_store::{StoreError, agents, assertions, audit, workspaces};

/// Roles belong to a cluster, so a cluster of its own keeps a test's databases private.
struct Fixture {
    cluster: Cluster,
}

impl Fixture {
    async fn migrated() -> Self {
        let fixture = Self {
            cluster: Cluster::start_temporary().unwrap(),
        };
        migrate::run(&fixture.owner(), &Passwords::default())
            .await
            .unwrap();
        fixture
    }

    fn owner(&self) -> Database {
        self.database("postgres")
    }

    fn database(&self, user: &str) -> Database {
        Database::parse(&SecretText::new(self.cluster.url_as(user, "postgres"))).unwrap()
    }

    async fn workspace(&self) -> WorkspaceId {
        let (id, owner) = (WorkspaceId::random(), UserId::random());
        let pool = self.database("ah5_control_login").pool(1);
        let mut db = pool.get().await.unwrap();
        let tenant = Tenant::begin(&mut db, id).await.unwrap();
        let email = format!("{owner}@example.com");
        let new = NewUser {
            id: owner,
            email: &email,
            name: "n",
            email_verification: "assumed",
            password_hash: Some("h"),
        };
        users::insert(&*tenant, &new).await.unwrap();
        let key = Wrapped {
            ring_key_id: "k".into(),
            bytes: vec![2],
        };
        workspaces::insert(&tenant, owner, "w", &key).await.unwrap();
        tenant.commit().await.unwrap();
        id
    }
}

#[tokio::test]
async fn migrating_is_repeatable_and_racing_does_no_harm() {
    let cluster = Cluster::start_temporary().unwrap();
    let fixture = Fixture { cluster };
    let (client, _driver) = fixture.owner().connect().await.unwrap();
    assert!(matches!(
        migrate::check(&client).await,
        Err(MigrateError::OlderSchema { found: 0 })
    ));
    let (database, passwords) = (fixture.owner(), Passwords::default());
    let race = futures_util::future::join_all((0..3).map(|_| migrate::run(&database, &passwords)));
    for outcome in race.await {
        assert_eq!(outcome.unwrap(), migrate::schema());
    }
    migrate::check(&client).await.unwrap();
    let newer = "insert into ah5.schema_history (version, name, applied_on, checksum) values (99, 'x', '', '')";
    client.batch_execute(newer).await.unwrap();
    assert!(matches!(
        migrate::check(&client).await,
        Err(MigrateError::NewerSchema { found: 99 })
    ));
    let again = migrate::run(&database, &passwords).await;
    assert!(matches!(
        again,
        Err(MigrateError::NewerSchema { found: 99 })
    ));
}

#[tokio::test]
async fn the_roles_hold_exactly_the_rights_of_the_grants_file() {
    let fixture = Fixture::migrated().await;
    let (client, _driver) = fixture.owner().connect().await.unwrap();
    let sql = "
        select grantee::text, table_name::text, '*', privilege_type::text
        from information_schema.role_table_grants
        where table_schema = 'ah5' and grantee in ('ah5_control', 'ah5_data', 'PUBLIC')
        union all
        select grantee::text, table_name::text, column_name::text, privilege_type::text
        from information_schema.role_column_grants c
        where table_schema = 'ah5' and grantee in ('ah5_control', 'ah5_data', 'PUBLIC')
          and not exists (select 1 from information_schema.role_table_grants t
              where t.table_schema = 'ah5' and t.table_name = c.table_name
                and t.grantee = c.grantee and t.privilege_type = c.privilege_type)
        union all
        select grantee::text, routine_name::text, '*', privilege_type::text
        from information_schema.role_routine_grants
        where routine_schema = 'ah5' and grantee in ('ah5_control', 'ah5_data', 'PUBLIC')";
    let rows = client.query(sql, &[]).await.unwrap();
    let held: BTreeSet<[String; 4]> = rows
        .iter()
        .map(|r| [r.get(0), r.get(1), r.get(2), r.get(3)])
        .collect();
    let mut granted = BTreeSet::new();
    for grant in migrate::grants() {
        let object = grant.object.split('(').next().unwrap();
        for column in grant.columns.split(',') {
            for verb in grant.verbs.split(',') {
                granted.insert([grant.role, object, column, verb].map(str::to_owned));
            }
        }
    }
    assert_eq!(held, granted);
    let hot = granted
        .iter()
        .filter(|g| g[0] == "ah5_data" && ["UPDATE", "DELETE"].contains(&g[3].as_str()));
    assert_eq!(
        hot.count(),
        0,
        "the data plane changes nothing but by functions"
    );
}

#[tokio::test]
async fn the_data_plane_reads_no_password_session_or_private_key() {
    let fixture = Fixture::migrated().await;
    let (client, _driver) = fixture.database("ah5_data_login").connect().await.unwrap();
    for table in [
        "t_accounts",
        "t_users",
        "t_sessions",
        "t_signing_keys",
        "t_agent_bootstrap_secrets",
        "l_audit_events",
    ] {
        let refused = client
            .query(&format!("select * from ah5.{table}"), &[])
            .await;
        assert!(
            matches!(StoreError::from(refused.unwrap_err()), StoreError::Bug(_)),
            "{table}"
        );
    }
    assert!(
        client
            .query("select public_key_jwk from ah5.t_agents", &[])
            .await
            .is_err()
    );
    assert!(
        client
            .batch_execute("update ah5.t_agents set status = 'active'")
            .await
            .is_err()
    );
}

#[tokio::test]
async fn a_tenant_sees_and_touches_nothing_of_another() {
    let fixture = Fixture::migrated().await;
    let (mine, theirs) = (fixture.workspace().await, fixture.workspace().await);
    let pool = fixture.database("ah5_control_login").pool(1);
    let mut db = pool.get().await.unwrap();
    let agent = AgentId::random();
    let tenant = Tenant::begin(&mut db, theirs).await.unwrap();
    agents::insert(&tenant, agent, "theirs", "", None)
        .await
        .unwrap();
    tenant.commit().await.unwrap();

    let tenant = Tenant::begin(&mut db, mine).await.unwrap();
    assert!(agents::get(&tenant, agent).await.unwrap().is_none());
    assert!(!agents::delete(&tenant, agent).await.unwrap());
    let foreign =
        "insert into ah5.t_agents (id, workspace_id, name) values (gen_random_uuid(), $1, 'x')";
    assert!(tenant.execute(foreign, &[&theirs.uuid()]).await.is_err());
    drop(tenant);
    // Outside of a tenant transaction there is nothing at all, also on a connection used before.
    let all = db.query("select id from ah5.t_agents", &[]).await.unwrap();
    assert!(all.is_empty());
    assert_eq!(
        agents::workspace_of(&db, agent).await.unwrap(),
        Some(theirs)
    );
}

#[tokio::test]
async fn the_poll_misses_no_commit_whatever_the_order() {
    let fixture = Fixture::migrated().await;
    let (first, second) = (fixture.workspace().await, fixture.workspace().await);
    let (client, _d1) = fixture.database("ah5_data_login").connect().await.unwrap();
    let mut poller = Poller::new(client);
    let known: Vec<_> = poller
        .poll()
        .await
        .unwrap()
        .changed
        .into_iter()
        .map(|(id, _)| id)
        .collect();
    assert!(known.contains(&first) && known.contains(&second));

    let (mut early, _d2) = fixture.owner().connect().await.unwrap();
    let (late, _d3) = fixture.owner().connect().await.unwrap();
    let insert =
        "insert into ah5.t_agents (id, workspace_id, name) values (gen_random_uuid(), $1, 'x')";
    let slow = early.transaction().await.unwrap();
    slow.execute(insert, &[&first.uuid()]).await.unwrap();
    late.execute(insert, &[&second.uuid()]).await.unwrap();
    let seen: Vec<_> = poller
        .poll()
        .await
        .unwrap()
        .changed
        .into_iter()
        .map(|(id, _)| id)
        .collect();
    assert!(seen.contains(&second) && !seen.contains(&first));
    // Began before the last poll, commits after it: a plain "newer than" would never see it.
    slow.commit().await.unwrap();
    let seen: Vec<_> = poller
        .poll()
        .await
        .unwrap()
        .changed
        .into_iter()
        .map(|(id, _)| id)
        .collect();
    assert!(seen.contains(&first));
}

#[tokio::test]
async fn a_change_is_notified_and_loads_with_its_version() {
    let fixture = Fixture::migrated().await;
    let workspace = fixture.workspace().await;
    let data = fixture.database("ah5_data_login");
    let mut listener = Listener::connect(&data, &[Channel::Changed]).await.unwrap();
    let (mut client, _driver) = data.connect().await.unwrap();
    let before = load_workspace(&mut client, workspace)
        .await
        .unwrap()
        .unwrap();
    assert_eq!((before.agents.len(), before.members.len()), (0, 1));

    let pool = fixture.database("ah5_control_login").pool(1);
    let mut db = pool.get().await.unwrap();
    let tenant = Tenant::begin(&mut db, workspace).await.unwrap();
    let agent = agents::insert(&tenant, AgentId::random(), "bot", "", None)
        .await
        .unwrap();
    agents::disable(&tenant, agent.id).await.unwrap();
    tenant.commit().await.unwrap();
    assert_eq!(listener.next().await.unwrap().workspace, workspace);
    let after = load_workspace(&mut client, workspace)
        .await
        .unwrap()
        .unwrap();
    assert!(after.version > before.version);
    assert_eq!(
        (after.agents[0].status.as_str(), after.agents[0].epoch),
        ("disabled", 2)
    );
    assert!(
        load_workspace(&mut client, WorkspaceId::random())
            .await
            .unwrap()
            .is_none()
    );
    assert!(load_globals(&mut client).await.unwrap().keys.is_empty());
    assert_ne!(workspace, GLOBAL);
}

#[tokio::test]
async fn a_spool_is_stored_exactly_once() {
    let fixture = Fixture::migrated().await;
    let (mut client, _driver) = fixture.database("ah5_data_login").connect().await.unwrap();
    let (spool, key) = (SpoolId::random(), audit_key());
    let mut chain = Chain::start(spool);
    let workspace = WorkspaceId::random();
    let records: Vec<SpoolRecord> = (1..=3)
        .map(|spool_seq| SpoolRecord {
            spool_seq,
            row: chain.append(&key, event(workspace)),
        })
        .collect();
    assert_eq!(
        copy_batch(&mut client, spool, &records[..2]).await.unwrap(),
        2
    );
    // The acknowledgement was lost: the same records come again with one more.
    assert_eq!(copy_batch(&mut client, spool, &records).await.unwrap(), 3);
    assert_eq!(copy_batch(&mut client, spool, &records).await.unwrap(), 3);
    quarantine(&mut client, spool, 4, b"bad", "why")
        .await
        .unwrap();
    quarantine(&mut client, spool, 4, b"bad", "why")
        .await
        .unwrap();
    let (owner, _driver) = fixture.owner().connect().await.unwrap();
    let sql = "select count(*), count(distinct audit_id), max(seq) from ah5.l_audit_events";
    let row = owner.query_one(sql, &[]).await.unwrap();
    assert_eq!(
        (
            row.get::<_, i64>(0),
            row.get::<_, i64>(1),
            row.get::<_, i64>(2)
        ),
        (3, 3, 3)
    );
    let kept = owner
        .query_one("select count(*) from ah5.t_audit_quarantine", &[])
        .await
        .unwrap();
    assert_eq!(kept.get::<_, i64>(0), 1);
}

#[tokio::test]
async fn control_plane_rows_form_a_dense_chain_and_list_newest_first() {
    let fixture = Fixture::migrated().await;
    let workspace = fixture.workspace().await;
    let pool = fixture.database("ah5_control_login").pool(1);
    let mut db = pool.get().await.unwrap();
    let (spool, key) = (SpoolId::random(), audit_key());
    for _ in 0..3 {
        let tenant = Tenant::begin(&mut db, workspace).await.unwrap();
        audit::append(&tenant, &key, spool, event(workspace))
            .await
            .unwrap();
        tenant.commit().await.unwrap();
    }
    let tenant = Tenant::begin(&mut db, workspace).await.unwrap();
    let read = async |tenant: &Tenant<'_>, start| {
        scan::step(tenant, &Filter::default(), start, 2, 2)
            .await
            .unwrap()
    };
    let page = read(&tenant, Position::top()).await;
    let rest = read(&tenant, page.next.unwrap()).await;
    assert_eq!((page.rows.len(), rest.rows.len()), (2, 1));
    assert!(page.rows.iter().all(|row| row.ts >= rest.rows[0].ts));
    assert!(rest.next.is_none());
    assert!(
        tenant
            .query("select * from ah5.l_audit_events", &[])
            .await
            .is_err()
    );
    drop(tenant);
    let tenant = Tenant::begin(&mut db, WorkspaceId::random()).await.unwrap();
    assert!(
        read(&tenant, Position::top()).await.rows.is_empty(),
        "another tenant's log"
    );
    drop(tenant);
    let (owner, _driver) = fixture.owner().connect().await.unwrap();
    let rows = owner.query(
        "select seq, prev_hash, hash from ah5.l_audit_events order by seq",
        &[],
    );
    let mut head = vec![0; 32];
    for (i, row) in rows.await.unwrap().iter().enumerate() {
        assert_eq!(row.get::<_, i64>(0), i64::try_from(i).unwrap() + 1);
        assert_eq!(row.get::<_, Vec<u8>>(1), head);
        head = row.get(2);
    }
}

#[tokio::test]
async fn an_assertion_is_spent_once_per_agent() {
    let fixture = Fixture::migrated().await;
    let pool = fixture.database("ah5_control_login").pool(1);
    let db = pool.get().await.unwrap();
    let (one, other) = (AgentId::random(), AgentId::random());
    let exp = jiff::Timestamp::now().as_second() + 60;
    assert!(assertions::spend(&db, one, &[7; 32], exp).await.unwrap());
    assert!(!assertions::spend(&db, one, &[7; 32], exp).await.unwrap());
    assert!(assertions::spend(&db, other, &[7; 32], exp).await.unwrap());
    // Just expired: within the tolerance it could still verify, so it stays spent.
    assert!(
        assertions::spend(&db, one, &[8; 32], exp - 61)
            .await
            .unwrap()
    );
    assert!(
        !assertions::spend(&db, one, &[8; 32], exp - 61)
            .await
            .unwrap()
    );
}

fn audit_key() -> AuditKey {
    static KEY: LazyLock<Mutex<KeyRing>> = LazyLock::new(|| {
        let path = std::env::temp_dir().join(format!("ah5-ring-{}", WorkspaceId::random()));
        KeyRing::create(&path).unwrap();
        let ring = KeyRing::load(&path).unwrap();
        std::fs::remove_file(path).unwrap();
        Mutex::new(ring)
    });
    KEY.lock().unwrap().audit_key()
}

fn event(workspace: WorkspaceId) -> AuditEvent {
    AuditEvent {
        audit_id: AuditId::now(),
        ts: jiff::Timestamp::now().as_microsecond(),
        workspace,
        actor_kind: ActorKind::System,
        actor_id: String::new(),
        agent: None,
        connection: None,
        policy: None,
        policy_version: None,
        rule: None,
        action: "tested".into(),
        decision: Verdict::Allowed,
        method: None,
        host: None,
        path_digest: None,
        upstream_status: None,
        bytes_in: None,
        bytes_out: None,
        timings: vec![],
        details: "{}".into(),
    }
}
