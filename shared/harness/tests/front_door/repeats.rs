//! What is sent again, what never, and how replicas come and go.

use ah5_harness::nginx::Routing;
use ah5_harness::port::Reservation;
use http::StatusCode;

use crate::Fixture;
use crate::support::{Upstream, call, door};

#[tokio::test(flavor = "multi_thread")]
async fn only_a_read_is_sent_a_second_time() {
    let mut it = Fixture::start(Routing::Sticky).await;
    let writes = ["POST", "PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND"];
    let writes = writes.map(|method| (method, 1));
    for (method, hits) in [("GET", 2), ("HEAD", 2)].into_iter().chain(writes) {
        for body in ["", "body"] {
            it.one.clear();
            it.two.clear();
            let (status, said) = call(&it.door, method, "/v1/proxy/c/die", body).await;
            assert_eq!(status, 502, "{method} {body:?}");
            assert!(
                method == "HEAD" || said.starts_with(r#"{"error":"#),
                "{said}"
            );
            assert_eq!(it.hits(), hits, "{method} {body:?}");
            // A fresh nginx: this one now takes both replicas for dead.
            it.door = door(Routing::Sticky, &[it.one.address, it.two.address], &[]);
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_connection_goes_elsewhere_whatever_the_method() {
    // Held, so that nobody listens there while the test runs.
    let nobody = Reservation::any().unwrap();
    let dead = nobody.addresses()[0];
    let (alive, _events) = Upstream::start("alive").await;
    let (control, _) = Upstream::start("control").await;
    let large = "x".repeat(200_000);
    for dead_ones in 1..=3 {
        let mut data = vec![dead; dead_ones];
        data.push(alive.address);
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE"] {
            // A fresh nginx each time: it remembers who is dead.
            let door = door(Routing::Random, &data, &[control.address]);
            for body in ["", &large] {
                let (status, who) = call(&door, method, "/v1/proxy/c/x", body).await;
                assert_eq!(
                    (status, who.as_str()),
                    (StatusCode::OK, "alive"),
                    "{method}"
                );
            }
        }
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reload_changes_the_replicas() {
    let mut it = Fixture::start_single().await;
    assert_eq!(call(&it.door, "GET", "/v1/proxy/c", "").await.1, "one");
    it.door.nginx.reload(vec![it.two.address]).unwrap();
    // New workers take over a moment later; every call on the way is answered.
    loop {
        let (status, who) = call(&it.door, "GET", "/v1/proxy/c", "").await;
        assert_eq!(status, 200);
        if who == "two" {
            break;
        }
    }
}
