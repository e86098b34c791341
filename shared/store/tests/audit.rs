//! The audit log at size: how it is read, and how it ages.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use ah5_contracts::id::{AgentId, AuditId, WorkspaceId};
use ah5_harness::postgres::Cluster;
use ah5_security::secret::SecretText;
use ah5_store::audit::scan::{self, Filter, Position};
use ah5_store::audit::{drop_expired, ensure_partitions};
use ah5_store::database::{Client, Database};
use ah5_store::migrate::{self, Passwords};
use ah5_store::tenant::Tenant;
use jiff::{SignedDuration, Timestamp};

struct Log {
    cluster: Cluster,
    owner: Client,
}

impl Log {
    async fn migrated() -> Self {
        let cluster = Cluster::start_temporary().unwrap();
        let database = database(&cluster, "postgres");
        migrate::run(&database, &Passwords::default())
            .await
            .unwrap();
        let (owner, _) = database.connect().await.unwrap();
        Self { cluster, owner }
    }

    fn control(&self) -> deadpool_postgres::Pool {
        database(&self.cluster, "ah5_control_login").pool(1)
    }

    /// Rows a second apart, the newest of them at `newest`; every tenth tells of `agent`.
    async fn fill(&self, workspace: WorkspaceId, agent: AgentId, rows: i32, newest: &str) {
        let sql = format!(
            "insert into ah5.l_audit_events (audit_id, ts, workspace_id, actor_kind, actor_id, agent_id,
                 action, decision, timings, details, spool_id, seq, prev_hash, hash, mac)
             select encode(substr(int8send((extract(epoch from ts) * 1000)::bigint), 3)
                           || '\\x7000'::bytea || uuid_send(gen_random_uuid()) , 'hex')::char(32)::uuid,
                    ts, '{workspace}', 'agent', '{agent}', case when n % 10 = 0 then '{agent}'::uuid end,
                    case when n % 2 = 0 then 'execution_completed' else 'agent_token_issued' end,
                    'allowed', '{{}}', '{{\"k\": \"v\"}}', '{workspace}', {rows} - n, '', int8send({rows} - n), ''
             from (select n, {newest} - n * interval '1 second' as ts
                   from generate_series(0, {rows} - 1) n) rows"
        );
        self.owner.batch_execute(&sql).await.unwrap();
    }

    async fn number(&self, sql: &str) -> i64 {
        self.owner.query_one(sql, &[]).await.unwrap().get(0)
    }

    async fn run(&self, sql: &str) {
        self.owner.batch_execute(sql).await.unwrap();
    }
}

fn database(cluster: &Cluster, user: &str) -> Database {
    Database::parse(&SecretText::new(cluster.url_as(user, "postgres"))).unwrap()
}

/// Reads to the end and returns what was found.
async fn all(tenant: &Tenant<'_>, filter: &Filter) -> Vec<AuditId> {
    let (mut found, mut start) = (Vec::new(), Position::top());
    loop {
        let step = scan::step(tenant, filter, start, 200, 5000).await.unwrap();
        found.extend(step.rows.iter().map(|row| row.audit_id));
        let Some(next) = step.next else {
            return found;
        };
        start = next;
    }
}

// A clock of its own, so that a month's end can't fall into the rows.
const THIS_MONTH: &str = "(date_trunc('month', now() at time zone 'UTC') at time zone 'UTC'
                           + interval '20 days')";

#[tokio::test]
async fn no_way_of_reading_the_log_scans_a_partition() {
    let log = Log::migrated().await;
    let (workspace, agent) = (WorkspaceId::random(), AgentId::random());
    // The worst case for an index that begins with the workspace: the partition is all one workspace's.
    log.fill(workspace, agent, 50_000, THIS_MONTH).await;
    log.run("analyze ah5.l_audit_events").await;
    let pool = log.control();
    let mut db = pool.get().await.unwrap();
    // Its indexes were built by scanning it.
    let built = sequential_scans(&log, &db).await;
    let tenant = Tenant::begin(&mut db, workspace).await.unwrap();
    let everything = all(&tenant, &Filter::default()).await;
    assert_eq!(everything.len(), 50_000);
    let filter = |agent, actions: Option<&str>| Filter {
        agent,
        actions: actions.map(|action| vec![action.to_owned()]),
        ..Filter::default()
    };
    let counts = [
        (filter(Some(agent), None), 5000),
        (filter(None, Some("execution_completed")), 25_000),
        (filter(Some(agent), Some("agent_token_issued")), 0),
        (filter(Some(AgentId::random()), None), 0),
    ];
    for (filter, count) in counts {
        assert_eq!(all(&tenant, &filter).await.len(), count);
    }
    let middle = scan::find(&tenant, everything[25_000])
        .await
        .unwrap()
        .unwrap();
    let recent = Filter {
        from: Some(Timestamp::now() - SignedDuration::from_hours(24 * 40)),
        ..Filter::default()
    };
    let below = scan::step(&tenant, &recent, middle, 10, 10).await.unwrap();
    assert_eq!(below.rows[0].audit_id, everything[25_001]);
    let counted = scan::count(&tenant, Timestamp::UNIX_EPOCH, 40_000)
        .await
        .unwrap();
    assert_eq!((counted.rows, counted.calls), (40_000, 20_000));
    tenant.commit().await.unwrap();
    let read = sequential_scans(&log, &db).await;
    assert_eq!(read, built, "a partition with rows was scanned");
    // The counter would have shown one.
    log.run("select count(*) from ah5.l_audit_events where host = 'x'")
        .await;
    assert!(sequential_scans(&log, &db).await > built);
}

// Of partitions that hold rows: an empty one is read in no time.
async fn sequential_scans(log: &Log, db: &deadpool_postgres::Object) -> i64 {
    let flush = "select pg_stat_force_next_flush()";
    db.query_one(flush, &[]).await.unwrap();
    log.run(flush).await;
    log.number(
        "select sum(s.seq_scan)::bigint from pg_stat_user_tables s join pg_class c on c.oid = s.relid
         where s.relname like 'l_audit_events\\_%' and c.reltuples > 0",
    )
    .await
}

#[tokio::test]
async fn the_live_partition_has_two_secondary_indexes_one_of_them_brin() {
    let log = Log::migrated().await;
    let kinds = "
        select count(*) from pg_index i join pg_class c on c.oid = i.indexrelid
        join pg_am a on a.oid = c.relam
        where i.indrelid = ('ah5.l_audit_events_' || to_char(now() at time zone 'UTC', 'YYYYMM'))::regclass
          and not i.indisprimary and a.amname = ";
    assert_eq!(log.number(&format!("{kinds} 'btree'")).await, 1);
    assert_eq!(log.number(&format!("{kinds} 'brin'")).await, 1);
}

#[tokio::test]
async fn old_months_are_dropped_and_leave_the_roots_of_their_chains() {
    let log = Log::migrated().await;
    let (workspace, agent) = (WorkspaceId::random(), AgentId::random());
    let month = "date_trunc('month', now() at time zone 'UTC') at time zone 'UTC'";
    for back in [2, 3] {
        log.run(&format!(
            "do $$ declare first timestamptz := (date_trunc('month', now() at time zone 'UTC')
                         - interval '{back} months') at time zone 'UTC';
             begin execute format('create table ah5.l_audit_events_%s partition of ah5.l_audit_events
                 for values from (%L) to (%L)', to_char(first at time zone 'UTC', 'YYYYMM'), first,
                 (first at time zone 'UTC' + interval '1 month') at time zone 'UTC'); end $$"
        ))
        .await;
    }
    // Three months: the oldest in its partition, the next too, last month's in the default one.
    let newest = format!("({month} - interval '50 days' + interval '1 minute')");
    log.fill(
        workspace,
        agent,
        40,
        &format!("({month} - interval '1 day')"),
    )
    .await;
    log.fill(workspace, agent, 20, &newest.replace("50 days", "2 months"))
        .await;
    log.fill(workspace, agent, 10, &newest.replace("50 days", "3 months"))
        .await;
    let pool = log.control();
    let mut db = pool.get().await.unwrap();
    let (other, _driver) = database(&log.cluster, "postgres").connect().await.unwrap();
    other
        .batch_execute("begin; select pg_advisory_xact_lock(hashtext('ah5.drop_audit_partition'))")
        .await
        .unwrap();
    assert!(
        drop_expired(&mut db, 1).await.unwrap().is_empty(),
        "another one is at it"
    );
    other.batch_execute("rollback").await.unwrap();

    assert!(drop_expired(&mut db, 3).await.unwrap().is_empty());
    assert_eq!(drop_expired(&mut db, 2).await.unwrap().len(), 1);
    let rows = "select count(*) from ah5.l_audit_events";
    assert_eq!(log.number(rows).await, 60);
    assert_eq!(log.number("select seq from ah5.t_audit_roots").await, 10);
    assert_eq!(drop_expired(&mut db, 1).await.unwrap().len(), 1);
    assert_eq!(log.number(rows).await, 40);
    let root = "select seq from ah5.t_audit_roots where hash = int8send(20)";
    assert_eq!(log.number(root).await, 20);
    assert!(drop_expired(&mut db, 1).await.unwrap().is_empty());
    assert!(
        drop_expired(&mut db, 0).await.is_err(),
        "the running month stays"
    );

    // What came too late for its partition lies in the default one, and goes as well.
    log.fill(workspace, agent, 5, &newest.replace("50 days", "5 months"))
        .await;
    assert_eq!(
        drop_expired(&mut db, 1).await.unwrap(),
        ["l_audit_events_default"]
    );
    assert_eq!(log.number(rows).await, 40);
    assert_eq!(log.number(root).await, 20, "a root never goes back");
    let tenant = Tenant::begin(&mut db, WorkspaceId::random()).await.unwrap();
    let foreign = tenant.query("select * from ah5.t_audit_roots", &[]).await;
    assert!(foreign.unwrap().is_empty());
}

#[tokio::test]
async fn a_month_takes_over_the_rows_that_came_before_its_partition() {
    let log = Log::migrated().await;
    let (workspace, agent) = (WorkspaceId::random(), AgentId::random());
    log.run(
        "do $$ begin execute 'drop table ah5.l_audit_events_'
             || to_char(now() at time zone 'UTC' , 'YYYYMM'); end $$",
    )
    .await;
    log.fill(workspace, agent, 30, THIS_MONTH).await;
    let default = "select count(*) from ah5.l_audit_events_default";
    assert_eq!(log.number(default).await, 30);
    let pool = log.control();
    let mut db = pool.get().await.unwrap();
    ensure_partitions(&db).await.unwrap();
    ensure_partitions(&db).await.unwrap();
    assert_eq!(log.number(default).await, 0);
    let tenant = Tenant::begin(&mut db, workspace).await.unwrap();
    assert_eq!(all(&tenant, &Filter::default()).await.len(), 30);
}
