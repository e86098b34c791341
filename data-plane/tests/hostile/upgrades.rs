//! A provider that changes to another protocol, as its caller wished: nobody is led there.

use crate::fate;
use crate::support::World;
use crate::wire::exchange;

#[tokio::test(flavor = "multi_thread")]
async fn a_provider_that_changes_over_is_not_followed() {
    let world = World::closed(fate::stack()).await;
    world.allow(&["POST"], "/v2/**").await;
    let changed = "HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\n\
        upgrade: websocket\r\n\r\ntunnel";
    let ways = [world.stack.data_plane(0).listen, world.stack.front()];
    for (number, address) in ways.into_iter().enumerate() {
        let path = format!("/raw/{}/{number}", world.agent.id);
        let text = format!(
            "POST /v1/proxy/{}{path} HTTP/1.1\r\nhost: h\r\nauthorization: Bearer {}\r\n\
             content-type: text/plain\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
             sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
             content-length: {}\r\n\r\n{changed}",
            world.connection,
            world.agent.token,
            changed.len()
        );
        let (answers, rest) = exchange(address, text.as_bytes(), false).await;
        let statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
        assert_eq!((&*statuses, rest.len()), (&[502][..], 0));
        let seen = world.seen(&format!("/v2{path}")).await;
        assert_eq!(seen.len(), 1);
        assert!(seen[0].header("upgrade").is_none());
    }
}
