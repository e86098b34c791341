//! One key of the ring after another and new data keys, with calls under way at two data planes and
//! changes at two control planes.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use ah5_security::ring::KeyRing;
use ah5_testkit::client::{Call, Http};
use http::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;
use tokio::time::sleep;

use crate::fixture::{CLIENT, REFRESH, SIGNING, Vault};
use crate::support::{self, World};

/// Who calls meanwhile, and how often that failed.
struct Load {
    stop: Arc<AtomicBool>,
    calls: Arc<AtomicUsize>,
    tasks: JoinSet<Vec<String>>,
}

#[tokio::test(flavor = "multi_thread")]
async fn keys_follow_one_another_under_load_and_no_call_fails() {
    let builder = support::two_planes().env("RATE_LIMIT_PER_15_MINUTES", "1000000");
    let mut stack = builder.start().unwrap();
    let second = stack.add_control_plane().unwrap();
    let second = Http::new(format!("http://{}", second.listen));
    let vault = Vault::of(World::closed(Arc::new(stack)).await).await;
    let world = &vault.world;
    let bound = vault.connect().await;
    vault.make_channel().await;
    let policy = world.allow(&["GET", "POST"], "/v2/**").await;
    let rule =
        json!([{"label": "Ask", "match": {"methods": ["POST"]}, "action": "require_approval"}]);
    let rules = json!({"rules": {"request": rule, "response": []}});
    let path = format!("/v1/policies/{policy}/rules");
    world
        .owner
        .put(&path, &rules)
        .await
        .unwrap()
        .expect(200)
        .unwrap();
    let ask = |number: usize| {
        let call = world.agent.proxy(&world.connection, Method::POST, "/echo");
        call.header("content-type", "application/json")
            .body(format!("{{\"n\":{number}}}"))
    };
    world
        .until(|| async { world.send(ask(0)).await.status == 202 })
        .await;
    let lists = world.allowlists(&["GET"], "/v2/**");
    let id = bound.id.to_string();
    world
        .owner
        .allow(&world.agent.id, &id, &lists)
        .await
        .unwrap();
    for plane in 0..2 {
        world
            .until(|| async { call(world, plane, &id).await.0 == 200 })
            .await;
    }
    let asked = world.send(ask(1)).await.expect(202).unwrap();
    let approval = asked["approvalRequestId"].as_str().unwrap().to_owned();

    let load = Load::start(world, &second, &id);
    let old = vault.ring().current().to_owned();

    // Not before every process holds it.
    let said = vault.operate(&["vault", "add-ring-key"]);
    let new = vault
        .ring()
        .ids()
        .find(|id| **id != old)
        .unwrap()
        .to_owned();
    assert!(said.contains(&new), "{said}");
    let (code, said) = vault.try_operate(&["vault", "use-ring-key", "k-nobody"]);
    assert!(code == 1 && said.contains("there is no key"), "{said}");
    vault
        .world
        .until(|| async { status(&vault).matches(&format!("\t{old}\t")).count() == 4 })
        .await;
    let found = late(&vault, &old, &[&old]).await;
    let (code, said) = vault.try_operate(&["vault", "use-ring-key", &new]);
    assert!(code == 1 && said.contains("has not reported key"), "{said}");
    world.sql(&found).await;
    until_done(&vault, &["vault", "use-ring-key", &new]).await;
    // The old one is needed still.
    let (code, said) = vault.try_operate(&["vault", "retire-ring-key", &old]);
    assert_eq!(code, 1, "{said}");
    let (code, said) = vault.try_operate(&["vault", "retire-ring-key", &new]);
    assert!(code == 1 && said.contains("the one that seals"), "{said}");
    vault
        .world
        .until(|| async { status(&vault).matches(&format!("\t{new}\t")).count() == 4 })
        .await;
    let said = vault.operate(&["vault", "rewrap"]);
    assert!(said.contains("2 signing key(s)"), "{said}");
    assert!(said.contains("nothing is under key"), "{said}");
    let again = vault.operate(&["vault", "rewrap"]);
    assert!(again.contains("0 signing key(s), 0 data key(s)"), "{again}");

    // A new data key for every workspace.
    let before = vault.key().await.unwrap();
    assert!(vault.open(&before, &bound).await.is_some());
    let said = vault.operate(&["vault", "rotate-data-keys", "--grace", "5"]);
    assert!(
        said.contains("1 workspace(s) have a new data key"),
        "{said}"
    );
    assert!(!said.contains("open with no key"), "{said}");
    let key = vault.key().await.unwrap();
    let opened = vault.open(&key, &bound).await.unwrap();
    assert_eq!(opened, (support::SECRET.to_owned(), REFRESH.to_owned()));
    let others = vault.open_others(&key).await.unwrap();
    assert_eq!(others, (CLIENT.to_owned(), SIGNING.to_owned()));
    assert!(
        vault
            .open_request(&key, &approval)
            .await
            .unwrap()
            .contains("echo")
    );
    assert!(
        vault.open(&before, &bound).await.is_none(),
        "it is the old key still"
    );
    assert!(vault.open_others(&before).await.is_none());
    // Not one of those that were stored meanwhile was lost.
    let said = vault.operate(&["vault", "rotate-data-keys", "--grace", "5"]);
    assert!(!said.contains("open with no key"), "{said}");
    let found = late(&vault, &old, &[&old, &new]).await;
    let (code, said) = vault.try_operate(&["vault", "retire-ring-key", &old]);
    assert!(code == 1 && said.contains("still seals by key"), "{said}");
    world.sql(&found).await;
    until_done(&vault, &["vault", "retire-ring-key", &old]).await;
    assert!(!vault.ring().ids().any(|id| id == old));
    vault
        .world
        .until(|| async { holders(&status(&vault)) == (4, 0) })
        .await;
    sleep(Duration::from_secs(2)).await;
    let (calls, failed) = load.stop().await;
    println!(
        "{calls} calls at 2 data planes and 2 control planes, {} failed",
        failed.len()
    );
    assert!(failed.is_empty(), "{failed:?}");
    assert!(calls > 200, "{calls}");

    // What was asked before all this is decided and sent after it.
    let path = format!("/v1/approvals/{approval}/approve");
    world
        .owner
        .post(&path, &json!({}))
        .await
        .unwrap()
        .expect(200)
        .unwrap();
    let call = ask(1).header("x-ah5-approval-id", &approval);
    let sent = world.send(call).await;
    assert_eq!(sent.status, 200, "{}", sent.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_ring_file_that_will_not_do_changes_nothing() {
    let stack = support::two_planes().start().unwrap();
    let vault = Vault::of(World::closed(Arc::new(stack)).await).await;
    let world = &vault.world;
    world.allow(&["GET"], "/v2/**").await;
    let good = std::fs::read_to_string(vault.ring_file()).unwrap();
    let refused = || async {
        let mut all = true;
        for plane in world.stack.data_planes() {
            let http = Http::new(format!("http://{}", plane.admin.unwrap()));
            let metrics = http.send(Call::get("/metrics")).await.unwrap().text();
            all &= metrics.contains("ah5_key_ring_refused 1");
        }
        all
    };
    // Nobody's: half of a file.
    let connect = || async {
        let (url, auth) = (world.url("/v2"), json!({"kind": "bearer"}));
        let connected = world.owner.connect(&url, &auth, support::SECRET);
        connected.await.unwrap();
    };
    std::fs::write(vault.ring_file(), "{\"current\":").unwrap();
    world.until(refused).await;
    assert_eq!(world.get("/known").await.status, 200);
    connect().await;
    std::fs::write(vault.ring_file(), &good).unwrap();
    world.until(|| async { !refused().await }).await;

    // Somebody else's, which opens.
    let other = vault.ring_file().with_extension("other");
    KeyRing::create(&other).unwrap();
    std::fs::rename(&other, vault.ring_file()).unwrap();
    world.until(refused).await;
    assert_eq!(world.get("/known").await.status, 200);
    connect().await;
    let foreign = std::fs::read_to_string(vault.ring_file()).unwrap();
    let (code, said) = vault.try_operate(&["vault", "add-ring-key"]);
    assert!(code == 1 && said.contains("not the ring of this"), "{said}");
    let unchanged = std::fs::read_to_string(vault.ring_file()).unwrap();
    assert_eq!(unchanged, foreign);
    std::fs::write(vault.ring_file(), good).unwrap();
    world.until(|| async { !refused().await }).await;
}

// === impl Load ===

impl Load {
    fn start(world: &World, second: &Http, bound: &str) -> Self {
        let (stop, calls) = (Arc::new(AtomicBool::new(false)), Arc::default());
        let mut load = Self {
            stop,
            calls,
            tasks: JoinSet::new(),
        };
        for plane in &world.planes {
            for connection in [&world.connection, bound] {
                let call = world.agent.proxy(connection, Method::GET, "/known");
                load.repeat(plane.clone(), move |_| call.clone(), 200);
            }
            let agent = world.agent.proxy(&world.connection, Method::POST, "/echo");
            let ask = move |number: usize| {
                let call = agent.clone().header("content-type", "application/json");
                // A few requests, asked for again and again.
                call.body(format!("{{\"asked\":{}}}", number % 3))
            };
            load.repeat(plane.clone(), ask, 202);
        }
        let body = json!({
            "provider": "custom", "service": "custom-http", "label": "l",
            "baseUrl": world.url("/v2"), "auth": {"kind": "bearer"}, "apiKey": support::SECRET,
        });
        for control in [&world.control, second] {
            let token = world.owner.token.clone();
            let list = move |_| Call::get("/v1/connections").bearer(&token);
            load.repeat(control.clone(), list, 200);
            let (token, body): (_, Value) = (world.owner.token.clone(), body.clone());
            let path = "/v1/connections/api-key";
            let connect = move |_| Call::post(path).bearer(&token).json(&body);
            load.repeat(control.clone(), connect, 200);
        }
        load
    }

    fn repeat(&mut self, http: Http, call: impl Fn(usize) -> Call + Send + 'static, status: u16) {
        let (stop, calls) = (self.stop.clone(), self.calls.clone());
        self.tasks.spawn(async move {
            let mut failed = Vec::new();
            let mut number = 0;
            while !stop.load(Ordering::Relaxed) {
                match http.send(call(number)).await {
                    Ok(answer) if answer.status == status => {}
                    Ok(answer) => failed.push(format!("{}: {}", answer.status, answer.text())),
                    Err(error) => failed.push(format!("{error:#}")),
                }
                number += 1;
                calls.fetch_add(1, Ordering::Relaxed);
                sleep(PAUSE).await;
            }
            failed
        });
    }

    async fn stop(self) -> (usize, Vec<String>) {
        self.stop.store(true, Ordering::Relaxed);
        let failed = self.tasks.join_all().await.into_iter().flatten().collect();
        (self.calls.load(Ordering::Relaxed), failed)
    }
}

async fn call(world: &World, plane: usize, connection: &str) -> (u16, String) {
    let call = world.agent.proxy(connection, Method::GET, "/known");
    let answer = world.planes[plane].send(call).await.unwrap();
    (answer.status.as_u16(), answer.text())
}

fn status(vault: &Vault) -> String {
    vault.operate(&["vault", "status"])
}

/// One more process, which has not heard of the last change. Gives what ends it.
async fn late(vault: &Vault, current: &str, keys: &[&str]) -> String {
    let (id, keys) = (uuid::Uuid::new_v4(), keys.join(","));
    let report = format!("select ah5.report_ring('{id}', 'data', '{current}', '{{{keys}}}')");
    vault.world.sql(&report).await;
    format!("delete from ah5.t_ring_holders where process = '{id}'")
}

/// How many processes report, and how many of them hold more than one key.
fn holders(status: &str) -> (usize, usize) {
    let lines = status
        .lines()
        .skip_while(|line| !line.starts_with("PROCESS"))
        .skip(1);
    let keys: Vec<usize> = lines
        .map(|line| line.split('\t').nth(3).unwrap().split(' ').count())
        .collect();
    (keys.len(), keys.iter().filter(|count| **count > 1).count())
}

/// Until no process is late any more.
async fn until_done(vault: &Vault, arguments: &[&str]) {
    vault
        .world
        .until(|| async { vault.try_operate(arguments).0 == 0 })
        .await;
}

const PAUSE: Duration = Duration::from_millis(20);
