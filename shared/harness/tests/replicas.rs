//! Real data planes behind the front door, and one of them killed.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};
use tokio::task::JoinSet;

use ah5_harness::stack::Stack;

const CALLERS: usize = 4;

/// What the callers have seen so far.
#[derive(Default)]
struct Tally {
    good: AtomicUsize,
    failed: AtomicUsize,
    enough: AtomicBool,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_killed_data_plane_costs_at_most_the_calls_in_flight() {
    let stack = Stack::builder().data_planes(2).simulator(false);
    let mut stack = stack.start().unwrap();
    let front = stack.front();
    let tally = Arc::new(Tally::default());
    let mut callers = JoinSet::new();
    for caller in 0..CALLERS {
        callers.spawn(call_again_and_again(front, caller, tally.clone()));
    }
    wait_for_more(&tally, 200).await;
    stack.kill_data_plane(0);
    wait_for_more(&tally, 400).await;
    assert!(tally.failed.load(Ordering::Relaxed) <= CALLERS);

    let before = stack.data_plane(0).listen;
    let failed = tally.failed.load(Ordering::Relaxed);
    stack.restart_data_plane(0).unwrap();
    assert_eq!(stack.data_plane(0).listen, before);
    wait_for_more(&tally, 200).await;
    assert_eq!(tally.failed.load(Ordering::Relaxed), failed);
    tally.enough.store(true, Ordering::Relaxed);
    callers.join_all().await;
    stack.stop().unwrap();
}

/// Without a credential: the data plane's own refusal is a good answer here.
async fn call_again_and_again(front: SocketAddr, caller: usize, tally: Arc<Tally>) {
    let methods = ["GET", "POST", "PUT", "DELETE"];
    for n in 0.. {
        if tally.enough.load(Ordering::Relaxed) {
            break;
        }
        let request = Request::builder()
            .method(methods[n % methods.len()])
            .uri("/v1/proxy/00000000-0000-0000-0000-000000000000/x")
            .header("host", "localhost")
            .header("cookie", format!("ah5sid={caller}-{n}"))
            .body(Full::<Bytes>::default())
            .unwrap();
        let response = support::send_to(front, request).await;
        let status = response.status();
        response.into_body().collect().await.unwrap();
        let counter = if status == 401 {
            &tally.good
        } else {
            &tally.failed
        };
        counter.fetch_add(1, Ordering::Relaxed);
    }
}

async fn wait_for_more(tally: &Tally, more: usize) {
    let count = || tally.good.load(Ordering::Relaxed);
    let goal = count() + more;
    while count() < goal {
        let failed = tally.failed.load(Ordering::Relaxed);
        assert!(failed <= CALLERS, "{failed} calls failed");
        tokio::task::yield_now().await;
    }
}
