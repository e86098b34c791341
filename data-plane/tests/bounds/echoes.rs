//! Providers that send the credential back: wherever in an answer, in whatever pieces.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Method;
use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::support::{SECRET, World};

fn hex(text: &str) -> String {
    text.bytes().map(|byte| format!("{byte:02x}")).collect()
}

/// The answer as it comes over the wire, to a provider's answer that is written down byte for byte.
#[allow(
    clippy::disallowed_methods,
    reason = "an agent's own connection, byte by byte"
)]
async fn on_the_wire(world: &World, raw: &str) -> String {
    let address = world.stack.data_plane(0).listen;
    let mut stream = TcpStream::connect(address).await.unwrap();
    let head = format!(
        "POST /v1/proxy/{}/raw HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {}\r\nte: trailers\r\n\
         connection: close\r\ncontent-type: text/plain\r\ncontent-length: {}\r\n\r\n{raw}",
        world.connection,
        world.agent.token,
        raw.len()
    );
    stream.write_all(head.as_bytes()).await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    String::from_utf8_lossy(&answer).into_owned()
}

#[tokio::test]
async fn no_place_in_an_answer_takes_the_credential_back() {
    let world = World::open().await;
    let (head, tail) = SECRET.split_at(11);
    let based = STANDARD.encode(format!("ab{SECRET}"));
    for spelled in [SECRET.to_owned(), hex(SECRET), based.clone()] {
        // Status line, header, its name, a piece of the body, extensions of pieces, trailers.
        let chunked = "transfer-encoding: chunked\r\nconnection: close\r\n\r\n";
        // Names have no case, so base64 in one is no base64 any more.
        let name = match spelled == based {
            true => "limit",
            false => &*spelled,
        };
        for raw in [
            format!("HTTP/1.1 200 {spelled}\r\ncontent-length: 2\r\nconnection: close\r\n\r\nok"),
            format!("HTTP/1.1 200 OK\r\nx-request-id: {spelled}\r\ncontent-length: 2\r\n\r\nok"),
            format!("HTTP/1.1 200 OK\r\netag: \"a{spelled}b\"\r\ncontent-length: 2\r\n\r\nok"),
            format!("HTTP/1.1 200 OK\r\nratelimit-{name}: 1\r\ncontent-length: 2\r\n\r\nok"),
            format!("HTTP/1.1 200 OK\r\n{chunked}2;x={spelled}\r\nok\r\n0\r\n\r\n"),
            format!(
                "HTTP/1.1 200 OK\r\ntrailer: x-a\r\n{chunked}2\r\nok\r\n0\r\nx-a: {spelled}\r\n\r\n"
            ),
            format!(
                "HTTP/1.1 200 OK\r\n{chunked}{:x}\r\n{spelled}\r\n0\r\n\r\n",
                spelled.len()
            ),
            pieces(chunked, &spelled),
        ] {
            let answer = on_the_wire(&world, &raw).await;
            assert!(answer.starts_with("HTTP/1.1 200"), "{raw}: {answer}");
            for leak in [SECRET, &*hex(SECRET), &*spelled] {
                let lower = answer.to_lowercase();
                assert!(!lower.contains(&leak.to_lowercase()), "{raw}: {answer}");
            }
        }
    }
    // In halves that never stand together it is two words of the provider's.
    let length = SECRET.len() + 1;
    let apart = format!("HTTP/1.1 200 OK\r\ncontent-length: {length}\r\n\r\n{head} {tail}");
    assert!(on_the_wire(&world, &apart).await.contains(head));
}

/// One byte in each piece.
fn pieces(head: &str, text: &str) -> String {
    let mut raw = format!("HTTP/1.1 200 OK\r\n{head}");
    for byte in text.chars() {
        raw.push_str(&format!("1\r\n{byte}\r\n"));
    }
    raw.push_str("0\r\n\r\n");
    raw
}

#[tokio::test]
async fn an_answer_with_a_credential_too_short_to_take_out_is_refused() {
    const SHORT: &str = "k3y-Short1";
    let world = World::open().await;
    let (base, auth) = (world.url("/v2"), json!({"kind": "bearer"}));
    let connection = world.owner.connect(&base, &auth, SHORT).await.unwrap();
    let lists = world.allowlists(&["GET", "POST"], "/v2/**");
    let allowed = world
        .owner
        .allow(&world.agent.id, &connection, &lists)
        .await;
    allowed.unwrap();
    let get = |path: &str| world.agent.proxy(&connection, Method::GET, path);
    world
        .until(|| async { world.send(get("/known")).await.status == 200 })
        .await;
    let error = "The provider's answer holds the credential";
    let tagged = format!("HTTP/1.1 200 OK\r\netag: \"{SHORT}\"\r\ncontent-length: 0\r\n\r\n");
    let call = world.agent.proxy(&connection, Method::POST, "/raw");
    let call = call.header("content-type", "text/plain").body(tagged);
    let refused = world.send(call).await.expect(502).unwrap();
    assert_eq!(refused["error"], error);
    for spelling in ["body", "base64url", "hex", "json", "percent", "split"] {
        let path = format!("/leak/{spelling}");
        let url = world.url(&format!("/v2{path}"));
        let envelope = world.agent.execute(&connection, &Method::GET, &url);
        let refused = world.send(envelope).await;
        assert_eq!(refused.expect(502).unwrap()["error"], error, "{spelling}");
        // As a stream it breaks off before it.
        if let Ok(answer) = world.planes[0].send(get(&path)).await {
            panic!("{spelling}: {}", answer.text());
        }
    }
}
