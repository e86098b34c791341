//! Replicas that go, behind the real front door.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use ah5_harness::stack::Stack;
use ah5_testkit::client::Http;
use http::Method;
use support::{SECRET, World};
use tokio::task::JoinSet;
use tokio::time::sleep;

/// Callers that go on calling through the front door, each under a cookie of its own.
struct Callers {
    tasks: JoinSet<()>,
    stop: Arc<AtomicBool>,
    good: Arc<AtomicUsize>,
    failed: Arc<AtomicUsize>,
}

impl Callers {
    fn start(world: &World, number: usize, method: &Method) -> Self {
        let mut tasks = JoinSet::new();
        let (stop, good, failed) =
            <(Arc<AtomicBool>, Arc<AtomicUsize>, Arc<AtomicUsize>)>::default();
        let call = world
            .agent
            .proxy(&world.connection, method.clone(), "/count/loop");
        for caller in 0..number {
            let front = Http::new(world.stack.origin());
            let call = call.clone().sticky(&format!("caller-{caller}"));
            let (stop, good, failed) = (stop.clone(), good.clone(), failed.clone());
            tasks.spawn(async move {
                while !stop.load(Ordering::Relaxed) {
                    let answer = front.send(call.clone()).await;
                    let count = match answer {
                        Ok(answer) if answer.status == 200 => &good,
                        _ => &failed,
                    };
                    count.fetch_add(1, Ordering::Relaxed);
                    sleep(Duration::from_millis(2)).await;
                }
            });
        }
        Self {
            tasks,
            stop,
            good,
            failed,
        }
    }

    async fn until_good(&self, more: usize) {
        let goal = self.good.load(Ordering::Relaxed) + more;
        let reached = async {
            while self.good.load(Ordering::Relaxed) < goal {
                sleep(Duration::from_millis(5)).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(30), reached)
            .await
            .unwrap();
    }

    async fn end(mut self) -> (usize, usize) {
        self.stop.store(true, Ordering::Relaxed);
        while self.tasks.join_next().await.is_some() {}
        let count = |of: &AtomicUsize| of.load(Ordering::Relaxed);
        (count(&self.good), count(&self.failed))
    }
}

async fn behind_the_front_door() -> World {
    let builder = support::settings(Stack::builder()).env("DRAIN_DELAY_MS", "500");
    let world = World::closed(Arc::new(builder.start().unwrap())).await;
    world.allow(&["GET", "POST"], "/v2/**").await;
    world
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_replica_fails_at_most_the_calls_in_its_hands() {
    const CALLERS: usize = 8;
    let mut world = behind_the_front_door().await;
    let callers = Callers::start(&world, CALLERS, &Method::POST);
    callers.until_good(100).await;
    Arc::get_mut(&mut world.stack).unwrap().kill_data_plane(0);
    callers.until_good(200).await;
    Arc::get_mut(&mut world.stack)
        .unwrap()
        .restart_data_plane(0)
        .unwrap();
    callers.until_good(100).await;
    let (good, failed) = callers.end().await;
    assert!(failed <= CALLERS, "{failed} of {} failed", good + failed);
    // What the killed one had written down is not lost: every call has its row.
    let completed = world.seen("/v2/count/loop").await.len();
    assert!(completed >= good && completed <= good + failed);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_replica_that_is_told_to_stop_fails_nobody() {
    let mut world = behind_the_front_door().await;
    let callers = Callers::start(&world, 8, &Method::POST);
    callers.until_good(100).await;
    Arc::get_mut(&mut world.stack)
        .unwrap()
        .stop_data_plane(1)
        .unwrap();
    callers.until_good(100).await;
    let (good, failed) = callers.end().await;
    assert_eq!(failed, 0, "of {good}");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_credential_is_nowhere_but_in_its_slot() {
    let world = behind_the_front_door().await;
    for path in ["/leak/body", "/leak/header", "/echo/x?omit=", "/close"] {
        let call = world.agent.proxy(&world.connection, Method::GET, path);
        let answer = Http::new(world.stack.origin()).send(call).await.unwrap();
        assert!(!answer.contains(SECRET));
        assert!(
            answer
                .headers
                .values()
                .all(|v| !contains(v.as_bytes(), SECRET))
        );
    }
    world.audit("execution_completed", 4).await;
    assert!(!world.stack.dump().unwrap().contains(SECRET));
    let logs = std::fs::read_dir(world.stack.logs()).unwrap();
    for log in logs {
        let path = log.unwrap().path();
        assert!(
            !contains(&std::fs::read(&path).unwrap(), SECRET),
            "{}",
            path.display()
        );
    }
    let pids = world.stack.data_planes().map(|plane| plane.pid);
    for pid in pids.chain([world.stack.control_plane().pid]) {
        for file in ["cmdline", "environ"] {
            let text = std::fs::read(format!("/proc/{pid}/{file}")).unwrap();
            assert!(
                !text.is_empty() && !contains(&text, SECRET),
                "{file} of {pid}"
            );
        }
    }
}

fn contains(text: &[u8], needle: &str) -> bool {
    text.windows(needle.len())
        .any(|window| window == needle.as_bytes())
}
