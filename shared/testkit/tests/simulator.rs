//! The simulator over real TLS: does it write down what was sent, and misbehave as asked?
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::time::Duration;

use ah5_testkit::certificates::Authority;
use ah5_testkit::client::{Answer, Call, Http};
use ah5_testkit::simulator::{Body, Options, Outcome, Remote, Simulator};
use http_body_util::BodyExt as _;
use serde_json::{Value, json};

const SECRET: &str = "planted-provider-secret";
const PATIENCE: Duration = Duration::from_secs(10);

async fn start() -> (Simulator, Http) {
    let simulator = Simulator::start().await.unwrap();
    let http = client(&simulator);
    (simulator, http)
}

fn client(simulator: &Simulator) -> Http {
    Http::trusting(simulator.base_url("localhost"), simulator.ca_pem()).unwrap()
}

async fn get(http: &Http, target: &str) -> Answer {
    http.send(Call::get(target).bearer(SECRET)).await.unwrap()
}

#[tokio::test]
async fn every_request_is_written_down_as_it_was_sent() {
    let (simulator, http) = start().await;
    let call = Call::post("/v2/echo/a%2Fb//c?x=%20y&x=2")
        .bearer(SECRET)
        .header("x-first", "1")
        .header("x-twice", "a")
        .header("x-twice", "b")
        .body("hello");
    http.send(call).await.unwrap().expect(200).unwrap();
    let sent = |entries: &[_]| !entries.is_empty();
    let entries = simulator.wait_for(PATIENCE, sent).await.unwrap();
    let entry = &entries[0];
    assert_eq!((entries.len(), entry.seq, entry.connection), (1, 1, 1));
    assert_eq!(entry.method, "POST");
    assert_eq!(entry.target, "/v2/echo/a%2Fb//c?x=%20y&x=2");
    assert_eq!(entry.path(), "/v2/echo/a%2Fb//c");
    assert_eq!(
        entry.header("Authorization").unwrap(),
        format!("Bearer {SECRET}")
    );
    let named = entry
        .headers
        .iter()
        .filter(|(name, _)| name.starts_with("x-"));
    let values: Vec<&str> = named.map(|(_, value)| value.as_str()).collect();
    assert_eq!(values, ["1", "a", "b"]);
    assert_eq!(
        (&entry.body[..], entry.body_length, entry.body_complete),
        (&b"hello"[..], 5, true)
    );
    assert!(entry.tls && entry.contains(SECRET) && !entry.contains("absent"));
    assert_eq!(entry.server_name.as_deref(), Some("localhost"));
}

#[tokio::test]
async fn the_journal_is_read_and_cleared_over_the_wire_and_never_lists_its_readers() {
    let (simulator, http) = start().await;
    let base = simulator.base_url("localhost");
    let remote = Remote::new(&base, &simulator.ca_file()).unwrap();
    for n in 1..=3 {
        get(&http, &format!("/n/{n}")).await;
    }
    let wanted = |entries: &[_]| entries.len() == 3;
    simulator.wait_for(PATIENCE, wanted).await.unwrap();
    let entries = remote.journal(1).await.unwrap();
    let targets: Vec<&str> = entries.iter().map(|e| e.target.as_str()).collect();
    assert_eq!(targets, ["/n/2", "/n/3"]);
    assert_eq!(remote.last().await.unwrap(), 3);
    remote.clear().await.unwrap();
    assert!(simulator.journal().is_empty());
    assert_eq!(
        remote.last().await.unwrap(),
        3,
        "numbers are never used again"
    );
    get(&http, "/n/4").await;
    assert_eq!(remote.journal(0).await.unwrap()[0].seq, 4);
}

#[tokio::test]
async fn one_authority_vouches_for_every_name_and_nobody_else_does() {
    let options = Options {
        names: vec!["api.telegram.org".into()],
        ..Options::default()
    };
    let simulator = Simulator::start_with(options).await.unwrap();
    for host in ["localhost", "127.0.0.1"] {
        let http = Http::trusting(simulator.base_url(host), simulator.ca_pem()).unwrap();
        assert_eq!(get(&http, "/").await.status, 200, "{host}");
    }
    let stranger = Authority::generate().unwrap();
    let http = Http::trusting(simulator.base_url("localhost"), stranger.pem()).unwrap();
    assert!(http.send(Call::get("/")).await.is_err());
    assert_eq!(simulator.journal().len(), 2);
    assert_eq!(
        simulator.journal()[1].server_name,
        None,
        "an address is no SNI"
    );
}

#[tokio::test]
async fn without_tls_it_listens_only_if_asked() {
    let (simulator, _) = start().await;
    assert_eq!(simulator.plain_port(), None);
    let plain = Http::new(format!("http://localhost:{}", simulator.port()));
    assert!(plain.send(Call::get("/")).await.is_err());
    let options = Options {
        plain: true,
        ..Options::default()
    };
    let simulator = Simulator::start_with(options).await.unwrap();
    let plain = Http::new(format!(
        "http://127.0.0.1:{}",
        simulator.plain_port().unwrap()
    ));
    assert_eq!(get(&plain, "/").await.status, 200);
    assert!(!simulator.journal()[0].tls);
}

#[tokio::test]
async fn an_echo_leaves_out_the_credential_unless_told_not_to() {
    let (_simulator, http) = start().await;
    assert!(!get(&http, "/v2/echo?a=1").await.contains(SECRET));
    assert!(get(&http, "/v2/echo?omit=").await.contains(SECRET));
    let target = format!("/echo?key={SECRET}&a=1&omit=key,authorization");
    let echo = get(&http, &target).await;
    assert!(!echo.contains(SECRET));
    assert_eq!(echo.json()["query"][0], json!(["a", "1"]));
}

#[tokio::test]
async fn statuses_redirects_and_counts_are_as_asked() {
    let (_simulator, http) = start().await;
    for status in [200, 204, 401, 404, 429, 500, 503] {
        assert_eq!(
            get(&http, &format!("/status/{status}")).await.status,
            status
        );
    }
    assert_eq!(get(&http, "/status/100").await.status, 400);
    let moved = get(&http, "/v2/redirect?to=https://evil.test/&status=307").await;
    assert_eq!(
        (moved.status.as_u16(), moved.header("location").unwrap()),
        (307, "https://evil.test/")
    );
    for n in 1..=3 {
        assert_eq!(get(&http, "/count/a").await.json()["count"], n);
    }
    assert_eq!(get(&http, "/count/b").await.json()["count"], 1);
    assert_eq!(
        get(&http, "/anything").await.json(),
        json!({"ok": true, "path": "/anything"})
    );
}

#[tokio::test]
async fn streams_arrive_piece_by_piece() {
    let (simulator, http) = start().await;
    let mut sse = http
        .open(Call::get("/sse?events=3&interval=20"))
        .await
        .unwrap();
    assert_eq!(sse.headers()["content-type"], "text/event-stream");
    let first = sse
        .body_mut()
        .frame()
        .await
        .unwrap()
        .unwrap()
        .into_data()
        .unwrap();
    assert_eq!(first, "id: 1\nevent: tick\ndata: {\"n\":1}\n\n");
    assert_eq!(simulator.journal()[0].outcome, None, "it is under way");
    let rest = sse.into_body().collect().await.unwrap().to_bytes();
    assert!(rest.starts_with(b"id: 2") && rest.ends_with(b"{\"n\":3}\n\n"));
    let lines = get(&http, "/ndjson?lines=2&interval=1").await;
    assert_eq!(lines.text(), "{\"n\":1}\n{\"n\":2}\n");
    assert_eq!(
        get(&http, "/slow?head=10&body=10").await.json(),
        json!({"ok": true})
    );
    let ended = |entries: &[ah5_testkit::simulator::Entry]| {
        entries
            .iter()
            .all(|entry| entry.outcome == Some(Outcome::Sent))
    };
    simulator.wait_for(PATIENCE, ended).await.unwrap();
}

#[tokio::test]
async fn a_client_that_goes_away_is_noticed() {
    let (simulator, http) = start().await;
    let endless = http
        .open(Call::get("/sse?events=1000000&interval=1"))
        .await
        .unwrap();
    drop(endless);
    let aborted = |entries: &[ah5_testkit::simulator::Entry]| {
        entries
            .iter()
            .any(|entry| entry.outcome == Some(Outcome::Aborted))
    };
    simulator.wait_for(PATIENCE, aborted).await.unwrap();
}

#[tokio::test]
async fn big_bodies_have_the_length_asked_for() {
    let (_simulator, http) = start().await;
    let told = get(&http, "/bytes/300001").await;
    assert_eq!(
        (told.body.len(), told.header("content-length").unwrap()),
        (300_001, "300001")
    );
    let untold = get(&http, "/bytes/70000?chunked=1").await;
    assert_eq!(
        (untold.body.len(), untold.header("content-length")),
        (70_000, None)
    );
    assert_eq!(&untold.body[65_536..65_552], b"0123456789abcdef");
    let gzip = get(&http, "/gzip?bytes=100000").await;
    assert_eq!(gzip.header("content-encoding"), Some("gzip"));
    assert!(gzip.body.len() < 1000 && gzip.body.starts_with(&[0x1f, 0x8b]));
}

#[tokio::test]
async fn connections_break_where_asked() {
    let (_simulator, http) = start().await;
    let closed = http.send(Call::get("/close")).await;
    assert!(closed.is_err());
    let cut = http.open(Call::get("/reset?after=5")).await.unwrap();
    assert_eq!(cut.headers()["content-length"], "1005");
    assert!(cut.into_body().collect().await.is_err());
    let call = Call::post("/raw?reset=1").body("HTTP/1.1 200 OK\r\ncontent-le");
    assert!(http.send(call).await.is_err());
    assert_eq!(get(&http, "/after").await.status, 200);
}

#[tokio::test]
async fn strange_answers_are_strange() {
    let (_simulator, http) = start().await;
    let odd = get(&http, "/odd-headers").await;
    assert_eq!(odd.headers.get_all("set-cookie").iter().count(), 3);
    assert_eq!(odd.header("x-ah5-source"), Some("gateway"));
    let response = http.open(Call::get("/trailers")).await.unwrap();
    let whole = response.into_body().collect().await.unwrap();
    assert_eq!(whole.trailers().unwrap()["x-checksum"], "11");
    assert_eq!(whole.to_bytes(), "hello world");
    let real = get(&http, "/informational?status=103&count=2").await;
    assert_eq!(
        (real.status.as_u16(), real.json()["ok"].clone()),
        (200, Value::Bool(true))
    );
    let raw = "HTTP/1.1 299 Odd\r\nx-raw: 1\r\ncontent-length: 2\r\n\r\nhi";
    let raw = http.send(Call::post("/raw").body(raw)).await.unwrap();
    assert_eq!(
        (
            raw.status.as_u16(),
            raw.header("x-raw"),
            raw.text().as_str()
        ),
        (299, Some("1"), "hi")
    );
}

#[tokio::test]
async fn a_credential_leaks_in_every_spelling() {
    let (_simulator, http) = start().await;
    let expected = [
        ("body", SECRET),
        ("header", SECRET),
        ("cookie", SECRET),
        ("location", SECRET),
        ("split", SECRET),
        ("base64url", "cGxhbnRlZC1wcm92aWRlci1zZWNyZXQ"),
        ("hex", "706c616e7465642d"),
        ("hex-upper", "706C616E7465642D"),
        ("percent", "%70%6C%61%6E"),
        ("json", "\\u0070\\u006c"),
    ];
    for (spelling, text) in expected {
        assert!(
            get(&http, &format!("/v2/leak/{spelling}"))
                .await
                .contains(text),
            "{spelling}"
        );
    }
    let by_query = Call::get(format!("/leak/body?key={SECRET}&param=key"));
    assert!(http.send(by_query).await.unwrap().contains(SECRET));
    let basic = Call::get("/leak/body").header("authorization", "Basic dXNlcjpwYXNzd29yZA==");
    assert!(http.send(basic).await.unwrap().contains("<password>"));
}

#[tokio::test]
async fn a_test_may_answer_itself() {
    let (simulator, http) = start().await;
    simulator.on("/v2/own/*", |received| async move {
        http::Response::new(Body::from(format!(
            "{} {}",
            received.method, received.target
        )))
    });
    simulator.on("/v2/own/exact", |_| async {
        http::Response::new(Body::from("exact"))
    });
    assert_eq!(get(&http, "/v2/own/x?y").await.text(), "GET /v2/own/x?y");
    assert_eq!(get(&http, "/v2/own/exact").await.text(), "exact");
    assert_eq!(simulator.journal().len(), 2);
    assert_eq!(simulator.connections(), 1);
}

#[tokio::test]
async fn it_is_gone_when_dropped() {
    let (simulator, http) = start().await;
    get(&http, "/").await;
    let base = simulator.base_url("localhost");
    let pem = simulator.ca_pem().to_owned();
    simulator.stop(PATIENCE).await;
    let fresh = Http::trusting(base, &pem).unwrap();
    assert!(fresh.send(Call::get("/")).await.is_err());
}
