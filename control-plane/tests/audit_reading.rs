//! The trail as its readers get it: pages and filters, files, names and figures; at size, in bounded
//! memory.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::collections::HashSet;

use ah5_testkit::client::Call;
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

use support::World;

/// Rows a second apart, from a minute ago back; every second one is a call of the agent's.
async fn fill(world: &World, agent: &str, rows: u32) {
    let id = workspace(world).await;
    let sql = format!(
        "insert into ah5.l_audit_events (audit_id, ts, workspace_id, actor_kind, actor_id, agent_id,
             action, decision, method, host, upstream_status, timings, details, spool_id, seq,
             prev_hash, hash, mac)
         select (encode(substr(int8send((extract(epoch from ts) * 1000)::bigint), 3), 'hex')
                 || '7000' || right(gen_random_uuid()::text, 17))::uuid,
                ts, '{id}', 'agent', '=1+1', '{agent}',
                case when n % 2 = 0 then 'execution_completed' else 'tested' end, 'allowed',
                'GET', 'api.example.com', 200, '{{1000,2000}}',
                jsonb_build_object('n', n, 'text', repeat('x', 100)), '{id}', n, '', '', ''
         from (select n, now() - interval '1 minute' - n * interval '1 second' as ts
               from generate_series(1, {rows}) n) rows"
    );
    world.sql(&sql).await;
}

async fn workspace(world: &World) -> String {
    let current = world.get("/v1/workspaces/current").await.json();
    current["id"]
        .as_str()
        .or(current["workspace"]["id"].as_str())
        .unwrap()
        .to_owned()
}

async fn page(world: &World, query: &str) -> (Vec<Value>, Option<String>) {
    let answer = world.get(&format!("/v1/audit?{query}")).await;
    let body = answer.expect(200).unwrap();
    let cursor = body["nextCursor"].as_str().map(str::to_owned);
    (body["events"].as_array().unwrap().clone(), cursor)
}

async fn every_page(world: &World, query: &str, limit: usize) -> Vec<Value> {
    let mut next = Some(String::new());
    let mut events = Vec::new();
    while let Some(cursor) = next.take() {
        let cursor = Some(cursor).filter(|it| !it.is_empty());
        let cursor = cursor.map_or_else(String::new, |it| format!("&cursor={it}"));
        let (part, more) = page(world, &format!("{query}&limit={limit}{cursor}")).await;
        assert!(part.len() == limit || more.is_none());
        events.extend(part);
        next = more;
    }
    events
}

#[tokio::test]
async fn a_call_is_two_events_wherever_a_page_ends() {
    let world = World::open().await;
    let agent = world.agent().await;
    fill(&world, &agent.id, 10).await;
    let whole = page(&world, "limit=200").await.0;
    let count = |action: &str| whole.iter().filter(|e| e["action"] == action).count();
    assert_eq!(
        (count("execution_requested"), count("execution_completed")),
        (5, 5)
    );
    let times: Vec<_> = whole
        .iter()
        .map(|e| e["timestamp"].as_str().unwrap())
        .collect();
    assert!(times.is_sorted_by(|a, b| a >= b));
    let ids: HashSet<_> = whole.iter().map(|e| e["auditId"].to_string()).collect();
    assert_eq!(ids.len(), whole.len());
    for limit in [1, 2, 3, 7] {
        assert_eq!(every_page(&world, "x=1", limit).await, whole, "{limit}");
    }
    let end = whole
        .iter()
        .position(|e| e["action"] == "execution_completed")
        .unwrap();
    let (end, intent) = (&whole[end], &whole[end + 1]);
    assert_eq!(end["metadata"]["responseStatus"], 200);
    assert_eq!(end["metadata"]["durationMs"], 3);
    assert_eq!(intent["action"], "execution_requested");
    assert_eq!(intent["metadata"]["host"], "api.example.com");
    assert!(intent["metadata"].get("responseStatus").is_none());
}

#[tokio::test]
async fn filters_narrow_and_nonsense_is_refused() {
    let world = World::open().await;
    let agent = world.agent().await;
    fill(&world, &agent.id, 10).await;
    for (action, count) in [
        ("execution_requested", 5),
        ("execution_completed", 5),
        ("tested", 5),
        ("user_signed_up", 1),
        ("never_happened", 0),
        ("%00", 0),
    ] {
        let found = every_page(&world, &format!("action={action}"), 2).await;
        assert!(
            found.len() == count && found.iter().all(|e| e["action"] == action),
            "{action}"
        );
    }
    let id = &agent.id;
    let own = page(&world, &format!("agentId={id}&limit=200")).await.0;
    assert!(own.len() > 15 && own.iter().all(|e| e["agentId"] == id.as_str()));
    let stranger = world.stranger().await;
    let foreign = stranger
        .get(&format!("/v1/audit?agentId={id}"))
        .await
        .unwrap()
        .json();
    assert_eq!(foreign, json!({"events": [], "nextCursor": null}));

    let whole = page(&world, "limit=200").await.0;
    let (first, last) = (&whole[0], &whole[whole.len() - 1]);
    let at = |event: &Value| event["timestamp"].as_str().unwrap().to_owned();
    assert_eq!(
        page(&world, &format!("limit=200&dateFrom={}", at(last)))
            .await
            .0,
        whole
    );
    assert!(page(&world, &format!("dateTo={}", at(last))).await.0.len() <= 2);
    assert!(
        page(&world, "dateFrom=9999-01-01T00:00:00Z")
            .await
            .0
            .is_empty()
    );
    assert!(
        page(&world, "dateTo=0000-01-01T00:00:00Z")
            .await
            .0
            .is_empty()
    );
    for unknown in [
        "4c5f2b52-0000-4000-8000-000000000000",
        "0191d2c0-0000-7000-8000-000000000001",
    ] {
        let found = page(&world, &format!("limit=200&cursor={unknown}")).await.0;
        assert_eq!(found[0], *first);
    }
    for bad in [
        "cursor=x",
        "cursor=",
        "agentId=",
        "agentId=x",
        "connectionId=urn:uuid:1",
        "dateFrom=2026-01-01T00:00:00",
        "dateTo=x",
        "agentId=x&agentId=y",
    ] {
        for path in ["/v1/audit", "/v1/audit/export", "/v1/activity"] {
            assert_eq!(
                world.get(&format!("{path}?{bad}")).await.status,
                400,
                "{path} {bad}"
            );
        }
    }
}

#[tokio::test]
async fn the_trail_outlives_the_agent_and_names_who_is_there() {
    let world = World::open().await;
    let (agent, connection) = (world.agent().await, world.connect().await);
    let other = world.agent().await;
    let path = format!("/v1/agents/{}", agent.id);
    world
        .owner
        .delete(&path)
        .await
        .unwrap()
        .expect(200)
        .unwrap();
    let query = format!("agentId={}", agent.id);
    let rows = page(&world, &query).await.0;
    assert_eq!(rows[0]["action"], "agent_deleted");
    assert!(rows.len() >= 4, "the history is still there");

    let activity = world.get("/v1/activity").await.json();
    let event = |action: &str| {
        let events = activity["events"].as_array().unwrap();
        events
            .iter()
            .find(|e| e["action"] == action)
            .unwrap()
            .clone()
    };
    assert_eq!(event("agent_deleted")["agentName"], Value::Null);
    assert_eq!(event("agent_token_issued")["agentName"], "bot");
    let made = event("connection_created");
    assert!(made["connectionLabel"].is_string() && made["connectionProvider"].is_string());
    let choices = &activity["filters"];
    assert_eq!(choices["agents"], json!([{"id": other.id, "name": "bot"}]));
    assert_eq!(choices["connections"][0]["id"], connection.as_str());
    let revoke = format!("/v1/connections/{connection}/revoke");
    world.post(&revoke, &json!({})).await.expect(200).unwrap();
    let later = world.get("/v1/activity?limit=1").await.json();
    assert_eq!(later["filters"]["connections"], json!([]));
    assert!(later["events"][0]["connectionLabel"].is_string());
    let (summary, shown) = (
        world.get("/v1/dashboard/summary").await.json(),
        page(&world, "limit=200").await.0,
    );
    assert_eq!(
        summary,
        json!({"agents": 1, "connections": 1, "eventsToday": shown.len()})
    );
}

#[tokio::test]
async fn the_trail_is_for_members_only() {
    let world = World::open().await;
    let agent = world.agent().await;
    for path in [
        "/v1/audit",
        "/v1/audit/export",
        "/v1/activity",
        "/v1/dashboard/summary",
    ] {
        let call = Call::get(path).bearer(&agent.token);
        assert_eq!(world.send(call).await.status, 403, "{path}");
        assert_eq!(world.send(Call::get(path)).await.status, 401, "{path}");
    }
}

#[tokio::test]
async fn failed_enrolments_are_shown_to_the_owners() {
    let world = World::open().await;
    let agent = world.agent().await;
    let bootstrap = async |secret: &str, key: &Value| {
        let body = json!({"bootstrapSecret": secret, "publicKey": key});
        let answer = world
            .send(Call::post("/v1/agents/bootstrap").json(&body))
            .await;
        answer.status.as_u16()
    };
    let secret = world
        .post(
            &format!("/v1/agents/{}/bootstrap-secret", agent.id),
            &json!({}),
        )
        .await;
    let secret = secret.json()["bootstrapSecret"]
        .as_str()
        .unwrap()
        .to_owned();
    let key = agent.public_jwk();
    let weak = json!({"kty": "EC", "crv": "P-384", "x": "AA", "y": "AA"});
    assert_eq!(bootstrap(&secret, &weak).await, 400);
    world.owner.disable(&agent.id).await.unwrap();
    assert_eq!(bootstrap(&secret, &key).await, 409);
    world
        .sql(&format!(
            "update ah5.t_agent_bootstrap_secrets set expires_at = now() where agent_id = '{}'",
            agent.id
        ))
        .await;
    assert_eq!(bootstrap(&secret, &key).await, 401);
    assert_eq!(bootstrap("ah5b_unknown", &key).await, 401);
    let failed = world.audit("action=agent_bootstrap_failed").await;
    let reasons: Vec<_> = failed
        .iter()
        .map(|e| e["metadata"]["reason"].as_str().unwrap())
        .collect();
    assert_eq!(
        reasons,
        ["expired or already used", "agent disabled", "invalid key"]
    );
    for event in failed {
        assert_eq!(
            (&event["actor"], &event["decision"]),
            (&json!("system"), &json!("denied"))
        );
        assert_eq!(event["agentId"], agent.id.as_str());
    }
}

#[tokio::test]
async fn an_export_has_what_the_pages_have_in_three_forms() {
    let world = World::open().await;
    let agent = world.agent().await;
    fill(&world, &agent.id, 1100).await;
    let query = format!("agentId={}", agent.id);
    let mut pages = every_page(&world, &query, 200).await;
    for event in &mut pages {
        event.as_object_mut().unwrap().remove("id");
    }
    let export = async |format: &str| {
        world
            .get(&format!("/v1/audit/export?{query}{format}"))
            .await
    };
    let whole = export("").await;
    assert_eq!(whole.json().as_array().unwrap(), &pages);
    assert_eq!(
        whole.header("content-type"),
        Some("application/json; charset=utf-8")
    );
    assert_eq!(
        whole.header("content-disposition"),
        Some("attachment; filename=audit-export.json")
    );
    let lines = export("&format=jsonl").await;
    let lines: Vec<Value> = lines
        .text()
        .lines()
        .map(|l| serde_json::from_str(l).unwrap())
        .collect();
    assert_eq!(lines, pages);
    let csv = export("&format=csv").await;
    assert_eq!(csv.header("content-type"), Some("text/csv; charset=utf-8"));
    let text = csv.text();
    let (head, rows) = text.split_once('\n').unwrap();
    assert_eq!(
        head,
        "audit_id,timestamp,actor,agent_id,connection_id,action,decision,metadata"
    );
    assert_eq!(rows.lines().count(), pages.len());
    for (row, event) in rows.lines().zip(&pages) {
        let start = format!("{},", event["auditId"].as_str().unwrap());
        assert!(row.starts_with(&start), "{row}");
    }
    assert_eq!(export("&format=xml").await.status, 400);

    let nothing = format!("/v1/audit/export?action=never&agentId={}", agent.id);
    assert_eq!(world.get(&nothing).await.text(), "[]");
    assert_eq!(
        world.get(&format!("{nothing}&format=csv")).await.text(),
        format!("{head}\n")
    );
    assert_eq!(
        world.get(&format!("{nothing}&format=jsonl")).await.text(),
        ""
    );
}

#[tokio::test]
async fn a_large_export_takes_little_memory() {
    // A process of its own: others would make its memory grow.
    let world = World::at(std::sync::Arc::new(
        support::control_plane().start().unwrap(),
    ))
    .await;
    let workspace = workspace(&world).await;
    fill(&world, &workspace, rows()).await;
    let pid = world.stack.control_plane().pid;
    // Once before, so that the pool and the allocator have what they need.
    world
        .get("/v1/audit/export?format=csv&action=tested&dateFrom=9999-01-01T00:00:00Z")
        .await;
    let before = peak_memory(pid);
    let call = Call::get("/v1/audit/export?format=csv").bearer(&world.owner.token);
    let (mut bytes, mut lines) = (0, 0);
    let mut body = world.http.open(call).await.unwrap().into_body();
    while let Some(frame) = body.frame().await {
        let frame = frame.unwrap();
        let part = frame.data_ref().unwrap();
        bytes += part.len();
        lines += part.iter().filter(|byte| **byte == b'\n').count();
    }
    assert!(lines > usize::try_from(rows()).unwrap() * 3 / 2, "{lines}");
    let grown = peak_memory(pid) - before;
    println!("{bytes} bytes; the peak rose by {grown} KiB from {before} KiB");
    assert!(bytes > 40_000_000, "{bytes}");
    assert!(grown < 16 * 1024, "{grown} KiB for {bytes} bytes");
}

/// A hundred thousand, unless `AUDIT_EXPORT_ROWS` says otherwise.
#[allow(clippy::disallowed_methods, reason = "the test's own setting")]
fn rows() -> u32 {
    let given = std::env::var("AUDIT_EXPORT_ROWS").ok();
    given.map_or(100_000, |rows| rows.parse().unwrap())
}

/// The most memory that the process has had, in KiB.
fn peak_memory(pid: u32) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let peak = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .unwrap();
    peak.trim().trim_end_matches(" kB").parse().unwrap()
}
