//! A migrated database behind a link, a folder for the spool, and checks of what was stored.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ah5_contracts::audit::{ActorKind, AuditEvent, AuditRow, ChainLink, Verdict};
use ah5_contracts::id::{AgentId, AuditId, ConnectionId, PolicyId, SpoolId, WorkspaceId};
use ah5_data_plane::spool::{Config, Health, Spool, SpoolError};
use ah5_harness::postgres::Cluster;
use ah5_security::ring::KeyRing;
use ah5_security::secret::SecretText;
use ah5_store::database::{Client, Database};
use ah5_store::migrate::{self, Passwords};
use tokio::time::{Instant, sleep};
use uuid::Uuid;

use super::link::Link;

pub struct Fixture {
    pub link: Link,
    cluster: Cluster,
    files: tempfile::TempDir,
}

// === impl Fixture ===

impl Fixture {
    pub async fn new() -> Self {
        let cluster = Cluster::start_temporary().unwrap();
        let url = cluster.url("postgres");
        let server = url
            .strip_prefix("host=")
            .unwrap()
            .split(' ')
            .next()
            .unwrap();
        let files = tempfile::tempdir().unwrap();
        KeyRing::create(&files.path().join("ring")).unwrap();
        let this = Self {
            link: Link::to(Path::new(server)),
            cluster,
            files,
        };
        migrate::run(&this.owner(), &Passwords::default())
            .await
            .unwrap();
        this
    }

    pub fn ring_file(&self) -> PathBuf {
        self.files.path().join("ring")
    }

    pub fn folder(&self) -> PathBuf {
        self.files.path().join("spool")
    }

    /// The data plane's database, by the link.
    pub fn url(&self) -> String {
        format!(
            "host={} user=ah5_data_login dbname=postgres",
            self.link.folder().display()
        )
    }

    pub fn start(&self) -> Spool {
        self.start_with(1 << 30).unwrap()
    }

    pub fn start_with(&self, max_bytes: u64) -> Result<Spool, SpoolError> {
        start(&self.folder(), &self.ring_file(), &self.url(), max_bytes)
    }

    pub async fn sql(&self, sql: &str) {
        let (owner, _driver) = self.owner().connect().await.unwrap();
        owner.batch_execute(sql).await.unwrap();
    }

    /// The ids of the stored rows, sorted, after a check of every chain.
    pub async fn stored(&self) -> Vec<AuditId> {
        let (owner, _driver) = self.owner().connect().await.unwrap();
        let key = KeyRing::load(&self.ring_file()).unwrap().audit_key();
        let mut heads = BTreeMap::new();
        let mut ids = Vec::new();
        for row in rows(&owner).await {
            let chain = (row.event.workspace, row.link.spool);
            let (seq, hash) = heads.entry(chain).or_insert((0, [0; 32]));
            assert_eq!(
                (row.link.seq, row.link.prev_hash),
                (*seq + 1, *hash),
                "a dense chain"
            );
            assert!(key.verify(&row), "{row:?}");
            (*seq, *hash) = (row.link.seq, row.link.hash);
            ids.push(row.event.audit_id);
        }
        ids.sort();
        ids
    }

    /// Numbers within the spool, and why.
    pub async fn quarantined(&self) -> Vec<(i64, String)> {
        let (owner, _driver) = self.owner().connect().await.unwrap();
        let sql = "select spool_seq, why from ah5.t_audit_quarantine order by 1";
        let rows = owner.query(sql, &[]).await.unwrap();
        rows.iter().map(|row| (row.get(0), row.get(1))).collect()
    }

    /// What is in the spool folder but the lock.
    pub fn left(&self) -> Vec<String> {
        let names = std::fs::read_dir(self.folder()).unwrap();
        let names = names.map(|entry| entry.unwrap().file_name().into_string().unwrap());
        names.filter(|name| name != "lock").collect()
    }

    fn owner(&self) -> Database {
        Database::parse(&SecretText::new(self.cluster.url("postgres"))).unwrap()
    }
}

pub fn start(folder: &Path, ring: &Path, url: &str, max_bytes: u64) -> Result<Spool, SpoolError> {
    let config = Config {
        folder: folder.to_owned(),
        sync_every: Duration::from_millis(20),
        queue: 4096,
        max_bytes,
    };
    let database = Database::parse(&SecretText::new(url.to_owned())).unwrap();
    Spool::start(config, database, KeyRing::load(ring).unwrap().into())
}

/// Waits until the spool is as described.
pub async fn until(spool: &Spool, is: impl Fn(&Health) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while !is(&spool.health()) {
        assert!(Instant::now() < deadline, "{:?}", spool.health());
        sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until Postgres has as many rows as this, then checks them.
pub async fn drained(spool: &Spool, rows: i64, fixture: &Fixture) {
    let (owner, _driver) = fixture.owner().connect().await.unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    let stored = async || {
        let sql = "select count(*) from ah5.l_audit_events";
        owner.query_one(sql, &[]).await.unwrap().get::<_, i64>(0)
    };
    while stored().await != rows {
        let health = spool.health();
        assert!(Instant::now() < deadline, "not {rows} rows: {health:?}");
        sleep(Duration::from_millis(10)).await;
    }
    until(spool, |health| health.waiting_rows == 0).await;
    assert_eq!(i64::try_from(fixture.stored().await.len()).unwrap(), rows);
}

pub fn event(workspace: WorkspaceId) -> AuditEvent {
    AuditEvent {
        audit_id: AuditId::now(),
        ts: 1_790_000_000_000_123,
        workspace,
        actor_kind: ActorKind::Agent,
        actor_id: "agent".into(),
        agent: Some(AgentId::random()),
        connection: Some(ConnectionId::random()),
        policy: Some(PolicyId::random()),
        policy_version: Some(3),
        rule: Some("rule".into()),
        action: "execution_completed".into(),
        decision: Verdict::Allowed,
        method: Some("GET".into()),
        host: Some("api.example.com".into()),
        path_digest: Some(vec![7; 32]),
        upstream_status: Some(200),
        bytes_in: Some(0),
        bytes_out: Some(9),
        timings: vec![1, 2],
        details: r#"{"b":1,"a":[true,null]}"#.into(),
    }
}

async fn rows(owner: &Client) -> Vec<AuditRow> {
    let sql = "select audit_id, (extract(epoch from ts) * 1000000)::bigint, workspace_id,
        actor_kind, actor_id, agent_id, connection_id, policy_id, policy_version, rule, action,
        decision, method, host, path_digest, upstream_status, bytes_in, bytes_out, timings,
        details::text, spool_id, seq, prev_hash, hash, mac
        from ah5.l_audit_events order by workspace_id, spool_id, seq";
    let rows = owner.query(sql, &[]).await.unwrap();
    let hash = |bytes: Vec<u8>| <[u8; 32]>::try_from(bytes).unwrap();
    let row = rows.iter().map(|r| AuditRow {
        event: AuditEvent {
            audit_id: AuditId::from_uuid(r.get(0)),
            ts: r.get(1),
            workspace: WorkspaceId::from_uuid(r.get(2)),
            actor_kind: match r.get(3) {
                "agent" => ActorKind::Agent,
                "user" => ActorKind::User,
                _ => ActorKind::System,
            },
            actor_id: r.get(4),
            agent: r.get::<_, Option<Uuid>>(5).map(AgentId::from_uuid),
            connection: r.get::<_, Option<Uuid>>(6).map(ConnectionId::from_uuid),
            policy: r.get::<_, Option<Uuid>>(7).map(PolicyId::from_uuid),
            policy_version: r.get(8),
            rule: r.get(9),
            action: r.get(10),
            decision: match r.get(11) {
                "allowed" => Verdict::Allowed,
                "denied" => Verdict::Denied,
                _ => Verdict::Error,
            },
            method: r.get(12),
            host: r.get(13),
            path_digest: r.get(14),
            upstream_status: r.get(15),
            bytes_in: r.get(16),
            bytes_out: r.get(17),
            timings: r.get(18),
            details: r.get(19),
        },
        link: ChainLink {
            spool: SpoolId::from_uuid(r.get(20)),
            seq: r.get(21),
            prev_hash: hash(r.get(22)),
            hash: hash(r.get(23)),
            mac: hash(r.get(24)),
        },
    });
    row.collect()
}
