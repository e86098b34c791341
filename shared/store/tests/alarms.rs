//! What is counted of agents' calls as audit rows are delivered, and what that costs.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::Duration;

use ah5_contracts::audit::{Action, ActorKind, AuditEvent, Verdict};
use ah5_contracts::id::{AgentId, AuditId, SpoolId, WorkspaceId};
use ah5_harness::postgres::Cluster;
use ah5_security::audit::{AuditKey, Chain};
use ah5_security::ring::KeyRing;
use ah5_security::secret::SecretText;
use ah5_store::alarms;
use ah5_store::audit_spool::{SpoolRecord, copy_batch};
use ah5_store::database::{Client, Database};
use ah5_store::migrate::{self, Passwords};
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

struct Counting {
    owner: Client,
    data: Client,
    control: deadpool_postgres::Pool,
    key: AuditKey,
    _cluster: Cluster,
}

// === impl Counting ===

impl Counting {
    async fn open() -> Self {
        let cluster = Cluster::start_temporary().unwrap();
        let database =
            |user| Database::parse(&SecretText::new(cluster.url_as(user, "postgres"))).unwrap();
        migrate::run(&database("postgres"), &Passwords::default())
            .await
            .unwrap();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("ring");
        KeyRing::create(&path).unwrap();
        Self {
            owner: database("postgres").connect().await.unwrap().0,
            data: database("ah5_data_login").connect().await.unwrap().0,
            control: database("ah5_control_login").pool(1),
            key: KeyRing::load(&path).unwrap().audit_key(),
            _cluster: cluster,
        }
    }

    /// One spool's batch, delivered in one go; how long that took.
    async fn deliver(&mut self, events: Vec<AuditEvent>) -> Duration {
        let spool = SpoolId::random();
        let mut chain = Chain::start(spool);
        let numbered = (1..).zip(events);
        let records: Vec<SpoolRecord> = numbered
            .map(|(spool_seq, event)| SpoolRecord {
                spool_seq,
                row: chain.append(&self.key, event),
            })
            .collect();
        let begun = Instant::now();
        copy_batch(&mut self.data, spool, &records).await.unwrap();
        // Again: it is stored, and counted, once.
        let took = begun.elapsed();
        copy_batch(&mut self.data, spool, &records).await.unwrap();
        took
    }

    async fn number(&self, sql: &str) -> i64 {
        self.owner.query_one(sql, &[]).await.unwrap().get(0)
    }
}

fn event(agent: Option<AgentId>, ts: Timestamp) -> AuditEvent {
    AuditEvent {
        audit_id: AuditId::now(),
        ts: ts.as_microsecond(),
        workspace: WorkspaceId::from_uuid(uuid::Uuid::nil()),
        actor_kind: ActorKind::Agent,
        actor_id: String::new(),
        agent,
        connection: None,
        policy: None,
        policy_version: None,
        rule: None,
        action: Action::ExecutionCompleted.as_str().to_owned(),
        decision: Verdict::Allowed,
        method: Some("GET".into()),
        host: Some("api.example.com".into()),
        path_digest: Some(vec![7; 32]),
        upstream_status: Some(200),
        bytes_in: Some(10),
        bytes_out: Some(100),
        timings: vec![1; 8],
        details: "{}".into(),
    }
}

#[tokio::test]
async fn calls_are_counted_once_by_their_own_minute_and_become_hours() {
    let mut it = Counting::open().await;
    let (agent, now) = (Some(AgentId::random()), Timestamp::now());
    let ago = |minutes| now - SignedDuration::from_mins(minutes);
    let many = |count, ts| (0..count).map(|_| event(agent, ts)).collect::<Vec<_>>();
    it.deliver(many(5, now)).await;
    it.deliver(many(2, now)).await;
    // From before an outage; from a clock that runs ahead; from another age; out of all bounds.
    it.deliver(many(11, ago(40))).await;
    it.deliver(vec![event(agent, ago(-600)), event(agent, ago(-700))])
        .await;
    it.deliver(vec![event(agent, ago(60 * 24 * 30))]).await;
    let absurd = |event| AuditEvent {
        bytes_out: Some(i64::MAX),
        ..event
    };
    it.deliver(many(3, now).into_iter().map(absurd).collect())
        .await;
    let sum = "select sum(calls)::bigint from ah5.t_agent_minutes";
    let recent = format!("{sum} where minute > now() - interval '5 minutes'");
    let future = format!("{sum} where minute > now()");
    assert_eq!(it.number(&recent).await, 12);
    assert_eq!(it.number(sum).await, 23);
    assert_eq!(
        it.number(&format!("select coalesce(({future}), 0)")).await,
        0
    );

    let control = it.control.get().await.unwrap();
    alarms::roll_up(&control).await.unwrap();
    alarms::roll_up(&control).await.unwrap();
    assert_eq!(it.number(sum).await, 12);
    let hours = "select sum(calls)::bigint from ah5.t_agent_hours";
    assert_eq!(it.number(hours).await, 11);
    let old =
        "insert into ah5.t_agent_hours select agent_id, hour - interval '9 days', workspace_id,
                   calls from ah5.t_agent_hours";
    it.owner.batch_execute(old).await.unwrap();
    alarms::roll_up(&control).await.unwrap();
    assert_eq!(it.number(hours).await, 11);
}

/// Rows of a hundred agents beside rows of nobody, which are not counted.
#[tokio::test]
async fn counting_costs_little_of_what_storing_does() {
    const BATCHES: usize = 40;
    const ROWS: usize = 500;
    let mut it = Counting::open().await;
    let agents: Vec<_> = (0..100).map(|_| Some(AgentId::random())).collect();
    let mut took = [Duration::ZERO; 2];
    for _ in 0..BATCHES {
        let now = Timestamp::now();
        let counted = (0..ROWS).map(|row| event(agents[row % agents.len()], now));
        let uncounted = (0..ROWS).map(|_| event(None, now));
        took[0] += it.deliver(uncounted.collect()).await;
        took[1] += it.deliver(counted.collect()).await;
    }
    let rows = f64::from(u32::try_from(BATCHES * ROWS).unwrap());
    let [without, with] = took.map(|took| took.as_secs_f64() * 1e6 / rows);
    println!(
        "{ROWS} rows a batch, {} agents: {without:.1} µs a row, {with:.1} µs counted",
        agents.len()
    );
    let counted = it
        .number("select sum(calls)::bigint from ah5.t_agent_minutes")
        .await;
    assert_eq!(counted, i64::try_from(BATCHES * ROWS).unwrap());
}
