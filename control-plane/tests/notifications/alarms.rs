//! Alarms about agents, from audit rows as data planes deliver them.

use std::process::Command;
use std::sync::Arc;

use ah5_contracts::audit::{Action, ActorKind, AuditEvent, Verdict};
use ah5_contracts::id::{AgentId, AuditId, SpoolId, WorkspaceId};
use ah5_security::audit::{AuditKey, Chain};
use ah5_security::ring::KeyRing;
use ah5_store::audit_spool::{SpoolRecord, copy_batch};
use ah5_store::database::Client;
use ah5_testkit::client::{Http, Owner};
use jiff::Timestamp;
use serde_json::Value;

use crate::support::{World, at_database, control_plane};
use crate::{listed, until, workspace};

/// A data plane's spool.
struct Spool {
    client: Client,
    id: SpoolId,
    key: AuditKey,
    chain: Chain,
    seq: i64,
    workspace: WorkspaceId,
}

#[derive(Clone, Copy)]
enum What {
    Completed { bytes: i64 },
    Denied,
}

// === impl Spool ===

impl Spool {
    async fn open(world: &World) -> Self {
        let ring = KeyRing::load(&world.stack.folder().join("secrets/key-ring.json")).unwrap();
        let id = SpoolId::random();
        Self {
            client: at_database(&world.stack).await,
            id,
            key: ring.audit_key(),
            chain: Chain::start(id),
            seq: 0,
            workspace: workspace(&world.owner).await,
        }
    }

    async fn deliver(&mut self, agent: &str, count: usize, what: What) {
        let records: Vec<SpoolRecord> = (0..count)
            .map(|_| {
                self.seq += 1;
                let event = event(self.workspace, agent.parse().unwrap(), what);
                SpoolRecord {
                    spool_seq: self.seq,
                    row: self.chain.append(&self.key, event),
                }
            })
            .collect();
        // As a spool comes: in pieces.
        for part in records.chunks(37) {
            copy_batch(&mut self.client, self.id, part).await.unwrap();
        }
    }
}

fn event(workspace: WorkspaceId, agent: AgentId, what: What) -> AuditEvent {
    let (action, decision, bytes) = match what {
        What::Completed { bytes } => (Action::ExecutionCompleted, Verdict::Allowed, Some(bytes)),
        What::Denied => (Action::ExecutionDenied, Verdict::Denied, None),
    };
    AuditEvent {
        audit_id: AuditId::now(),
        ts: Timestamp::now().as_microsecond(),
        workspace,
        actor_kind: ActorKind::Agent,
        actor_id: agent.to_string(),
        agent: Some(agent),
        connection: None,
        policy: None,
        policy_version: None,
        rule: None,
        action: action.as_str().to_owned(),
        decision,
        method: None,
        host: None,
        path_digest: None,
        upstream_status: None,
        bytes_in: None,
        bytes_out: bytes,
        timings: Vec::new(),
        details: "{}".into(),
    }
}

/// The rules that have sounded for this agent, in order.
async fn sounded(person: &Owner, agent: &str) -> Vec<String> {
    let mut all = listed(person).await;
    all.reverse();
    let of_agent =
        |it: &&Value| it["metadata"]["agentId"] == agent && it["metadata"]["ruleId"].is_string();
    let rule = |it: &Value| it["metadata"]["ruleId"].as_str().unwrap().to_owned();
    all.iter().filter(of_agent).map(rule).collect()
}

/// Returns when everything that was delivered before has been judged.
async fn judged(world: &World, spool: &mut Spool) {
    let marker = world.owner.create_agent("marker").await.unwrap().id;
    spool.deliver(&marker, 11, What::Denied).await;
    until("it is judged", async || {
        sounded(&world.owner, &marker).await == ["denial_rate"]
    })
    .await;
}

const SMALL: What = What::Completed { bytes: 1000 };
const LARGE: What = What::Completed { bytes: 26_214_400 };

#[tokio::test]
async fn each_rule_sounds_once_above_its_number_and_not_at_it() {
    let world = World::open().await;
    let mut spool = Spool::open(&world).await;
    let mut agents = Vec::new();
    for name in ["burst", "denied", "volume"] {
        agents.push(world.owner.create_agent(name).await.unwrap().id);
    }
    let [burst, denied, volume] = &agents[..] else {
        panic!("three")
    };
    spool.deliver(burst, 300, SMALL).await;
    spool.deliver(denied, 10, What::Denied).await;
    spool.deliver(volume, 2, LARGE).await;
    judged(&world, &mut spool).await;
    for agent in &agents {
        assert_eq!(sounded(&world.owner, agent).await, [""; 0]);
    }
    for (agent, what, rule) in [
        (burst, SMALL, "burst"),
        (denied, What::Denied, "denial_rate"),
        (volume, What::Completed { bytes: 1 }, "data_volume"),
    ] {
        spool.deliver(agent, 1, what).await;
        until(rule, async || sounded(&world.owner, agent).await == [rule]).await;
    }
    spool.deliver(burst, 500, SMALL).await;
    spool.deliver(volume, 5, LARGE).await;
    judged(&world, &mut spool).await;
    assert_eq!(sounded(&world.owner, burst).await, ["burst"], "once");
    assert_eq!(sounded(&world.owner, volume).await, ["data_volume"], "once");
    let told = listed(&world.owner).await;
    let told = told
        .iter()
        .find(|it| it["metadata"]["ruleId"] == "data_volume")
        .unwrap();
    assert_eq!(told["title"], "⚠️ Unusually much data: volume");
    assert_eq!(
        (&told["type"], &told["linkUrl"]),
        (&"security_alert".into(), &"/dashboard/activity".into())
    );
}

#[tokio::test]
async fn an_agent_at_an_hour_that_is_not_its_own_is_looked_at_more_closely() {
    let world = World::open().await;
    let mut spool = Spool::open(&world).await;
    let mut agents = Vec::new();
    for name in ["sleeper", "regular", "young"] {
        agents.push(world.owner.create_agent(name).await.unwrap().id);
    }
    // Habits: never at this hour; now and then at this hour; too few to tell.
    for (agent, at_this_hour, at_another) in [
        (&agents[0], 4, 96),
        (&agents[1], 5, 95),
        (&agents[2], 0, 49),
    ] {
        world
            .sql(&format!(
                "insert into ah5.t_agent_hours (agent_id, hour, workspace_id, calls)
                 select '{agent}', date_trunc('hour', now(), 'UTC') - ago, '{}', calls
                 from (values (interval '24 hours', {at_this_hour}), (interval '12 hours', {at_another}))
                     h (ago, calls)",
                spool.workspace
            ))
            .await;
    }
    for agent in &agents {
        spool.deliver(agent, 150, SMALL).await;
        spool.deliver(agent, 5, What::Denied).await;
    }
    judged(&world, &mut spool).await;
    assert_eq!(sounded(&world.owner, &agents[0]).await, [""; 0]);
    for agent in &agents {
        spool.deliver(agent, 1, SMALL).await;
        spool.deliver(agent, 1, What::Denied).await;
    }
    judged(&world, &mut spool).await;
    let mut rules = sounded(&world.owner, &agents[0]).await;
    rules.sort();
    assert_eq!(rules, ["burst", "denial_rate"]);
    assert_eq!(sounded(&world.owner, &agents[1]).await, [""; 0]);
    assert_eq!(sounded(&world.owner, &agents[2]).await, [""; 0]);
}

#[tokio::test]
async fn what_has_sounded_is_quiet_over_a_restart_until_its_time_is_over() {
    let mut stack = control_plane().start().unwrap();
    let first = stack.control_plane().pid;
    let second = stack.add_control_plane().unwrap();
    let stack = Arc::new(stack);
    let mut world = World::at(stack).await;
    let mut spool = Spool::open(&world).await;
    let agent = world.owner.create_agent("busy").await.unwrap().id;
    spool.deliver(&agent, 301, SMALL).await;
    until("it sounds", async || {
        sounded(&world.owner, &agent).await == ["burst"]
    })
    .await;

    let killed = Command::new("kill")
        .args(["-9", &first.to_string()])
        .status();
    assert!(killed.unwrap().success());
    world.http = Http::new(format!("http://{}", second.listen));
    let Owner {
        email, password, ..
    } = &world.owner;
    let again = Owner::sign_in(&world.http, world.stack.origin(), email, password).await;
    world.owner = again.unwrap();
    spool.deliver(&agent, 301, SMALL).await;
    judged(&world, &mut spool).await;
    assert_eq!(sounded(&world.owner, &agent).await, ["burst"]);

    let over = "update ah5.t_alarms set quiet_until = now() where agent_id";
    world.sql(&format!("{over} = '{agent}'")).await;
    until("it sounds again", async || {
        sounded(&world.owner, &agent).await.len() == 2
    })
    .await;
}
