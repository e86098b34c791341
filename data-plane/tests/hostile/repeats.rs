//! A provider that does what it is asked and then gives no good answer: it is asked once, whoever is
//! in between.

use ah5_testkit::client::Http;
use http::Method;

use crate::fate;
use crate::support::World;

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_breaks_off_is_asked_once() {
    let world = World::closed(fate::stack()).await;
    let methods = ["GET", "POST", "PUT", "DELETE", "PATCH"];
    world.allow(&methods, "/v2/**").await;
    let ways = [world.stack.data_plane(0).listen, world.stack.front()];
    let ways = ways.map(|address| Http::new(format!("http://{address}")));
    for method in methods.into_iter().chain(["HEAD"]) {
        for (number, way) in ways.iter().enumerate() {
            for (kind, query) in BREAKS_OFF {
                let path = format!("/{kind}/{}/{method}-{number}", world.agent.id);
                let name = Method::from_bytes(method.as_bytes()).unwrap();
                let call = world
                    .agent
                    .proxy(&world.connection, name, &format!("{path}{query}"))
                    .header("content-type", "text/plain");
                let call = match method {
                    "GET" | "HEAD" => call,
                    _ => call.body("HTTP/1.1 200 OK\r\ncontent-le"),
                };
                // What has begun may be cut before any of it was passed on.
                let answered = way.open(call).await;
                let status = answered.map_or(502, |answer| answer.status().as_u16());
                assert!(
                    status == 502 || kind == "reset",
                    "{method} {kind}: {status}"
                );
                // nginx may take a read that a plane broke off to another one, as it says.
                let again = kind == "reset" && number == 1 && ["GET", "HEAD"].contains(&method);
                let seen = world.seen(&format!("/v2{path}")).await.len();
                assert!(seen == 1 || (again && seen == 2), "{method} {kind}: {seen}");
            }
        }
    }
}

/// Before its answer, in the middle of a head, and in the middle of a body.
const BREAKS_OFF: [(&str, &str); 3] = [("close", ""), ("raw", "?reset=1"), ("reset", "?after=10")];
