//! Ends of lines in what an envelope says: none of them gets into the provider's request.

use http::Method;
use serde_json::{Value, json};

use crate::fate;

#[tokio::test(flavor = "multi_thread")]
async fn no_word_of_an_envelope_ends_a_line() {
    let world = fate::world().await;
    let url = world.url(&format!("/v2/echo/{}/envelope", world.agent.id));
    let mut sent = 0;
    for end in [
        "\r\n",
        "\n",
        "\r",
        "\0",
        "\u{85}",
        "\u{2028}",
        "\u{10a}\u{10d}",
    ] {
        let behind = format!("{end}x-b: c{end}{end}GET /v2/other HTTP/1.1{end}");
        let mut odd_query = serde_json::Map::new();
        odd_query.insert(format!("a{behind}"), json!(format!("b{behind}")));
        for changes in [
            json!({"headers": {"x-request-id": format!("a{behind}")}}),
            json!({"headers": {"x-request-id": end}}),
            json!({"url": format!("{url}{behind}")}),
            json!({"url": format!("{url}?a=b{behind}")}),
            json!({"url": format!("{end}{url}")}),
            json!({"url": url.replacen("://", &format!("://h{end}@"), 1)}),
            json!({"method": format!("POST{behind}")}),
            json!({"query": odd_query}),
        ] {
            let agent = &world.agent;
            let call = agent.execute(&world.connection, &Method::POST, &url);
            let mut envelope: Value = serde_json::from_slice(&call.body).unwrap();
            for (name, value) in changes.as_object().unwrap() {
                envelope[name] = value.clone();
            }
            let call = agent.call(Method::POST, "/v1/vault/execute");
            let answer = world.send(call.json(&envelope)).await;
            let status = answer.status.as_u16();
            assert!(
                [200, 400, 403].contains(&status),
                "{changes}: {}",
                answer.text()
            );
            sent += usize::from(status == 200);
        }
    }
    let journal = world.provider.journal(0).await.unwrap();
    let ours = journal
        .iter()
        .filter(|entry| entry.path().contains(&world.agent.id));
    let ours: Vec<_> = ours.collect();
    assert_eq!(ours.len(), sent);
    for entry in ours {
        let plain = |text: &str| text.bytes().all(|b| (b' '..=b'~').contains(&b));
        let plain = plain(&entry.target) && entry.headers.iter().all(|(_, value)| plain(value));
        assert!(plain && entry.header("x-b").is_none(), "{entry:#?}");
    }
    assert!(!journal.iter().any(|entry| entry.path() == "/v2/other"));
}
