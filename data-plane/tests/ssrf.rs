//! Addresses that no call may go to: however a connection or an agent writes them, by whatever form of
//! call, and from one workspace while another is exempted. What listens on this machine hears nothing.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(
    clippy::disallowed_methods,
    reason = "plays what listens on this machine"
)]

mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ah5_harness::stack::Stack;
use ah5_testkit::client::{Agent, Answer, Http, Owner};
use http::Method;
use serde_json::json;
use support::World;
use support::sealed::{Sealed, insert};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

/// Of every kind that is not plainly public, in its one spelling.
const ADDRESSES: [&str; 47] = [
    "0.0.0.0",
    "0.1.2.3",
    "10.0.0.1",
    "100.64.0.1",
    "100.100.100.200",
    "127.0.0.1",
    "127.255.255.254",
    "168.63.129.16",
    "169.254.169.254",
    "172.16.0.1",
    "172.31.255.255",
    "192.0.0.1",
    "192.0.0.192",
    "192.0.2.1",
    "192.88.99.1",
    "192.168.0.1",
    "198.18.0.1",
    "198.19.255.255",
    "198.51.100.1",
    "203.0.113.1",
    "224.0.0.1",
    "239.255.255.250",
    "240.0.0.1",
    "255.255.255.255",
    "[::]",
    "[::1]",
    "[::7f00:1]",
    "[::ffff:7f00:1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:8.8.8.8]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b:1::7f00:1]",
    "[100::1]",
    "[2001::7f00:1]",
    "[2001:20::1]",
    "[2001:db8::1]",
    "[2002:7f00:1::]",
    "[3fff::1]",
    "[5f00::1]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[fe80::1]",
    "[fec0::1]",
    "[ff02::1]",
    "localhost",
    "sub.localhost",
    "127.0.0.1.nip.test",
];

/// Of 127.0.0.1 and its like, as an agent may write them.
const SPELLINGS: [&str; 34] = [
    "127.0.0.1",
    "127.0.0.1.",
    "127.1",
    "127.0.1",
    "127.255.255.254",
    "0",
    "0.0.0.0",
    "2130706433",
    "017700000001",
    "0177.0.0.1",
    "0x7f000001",
    "0x7f.0.0.1",
    "0X7F.1",
    "１２７.0.0.1",
    "127。0。0。1",
    "127．0．0．1",
    "127｡0｡0｡1",
    "①②⑦.0.0.1",
    "%31%32%37.0.0.1",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "ⓛocalhost",
    "[::1]",
    "[0:0:0:0:0:0:0:1]",
    "[::127.0.0.1]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[2002:7f00:1::]",
    "user@127.0.0.1",
    "user:word@127.0.0.1",
    "api.example.com@127.0.0.1",
];

#[tokio::test(flavor = "multi_thread")]
async fn no_connection_leads_inside() {
    let (port, heard) = listening().await;
    let world = World::closed(support::shared()).await;
    let mut connections = Vec::new();
    for host in ADDRESSES {
        let base = format!("https://{host}:{port}");
        // What a route refuses is written past it: the way out judges for itself.
        let new = Sealed {
            service: "custom-http",
            base_url: &base,
            secret: support::SECRET,
            ..Sealed::default()
        };
        let id = insert(&world, new).await;
        let lists = json!([{"baseUrl": base, "methods": ["GET"], "pathPatterns": ["/**"]}]);
        let allowed = world.owner.allow(&world.agent.id, &id, &lists).await;
        allowed.unwrap_or_else(|error| panic!("{base}: {error:#}"));
        connections.push((base, id));
    }
    // The last is known: all are.
    let (_, last) = connections.last().unwrap();
    let known = world.agent.proxy(last, Method::GET, "/");
    world
        .until(|| async { !world.send(known.clone()).await.contains("No policy") })
        .await;
    for (base, id) in &connections {
        let by_path = world.agent.proxy(id, Method::GET, "/");
        let by_envelope = world.agent.execute(id, &Method::GET, &format!("{base}/"));
        for call in [by_path, by_envelope] {
            is_blocked(base, &world.send(call).await);
        }
    }
    assert_eq!(heard.load(Ordering::SeqCst), 0);
}

/// For one workspace this machine is open at one port; another has the same connection.
#[tokio::test(flavor = "multi_thread")]
async fn an_exemption_opens_no_other_spelling_port_or_workspace() {
    let (port, heard) = listening().await;
    let (closed, heard_elsewhere) = listening().await;
    let builder = support::settings(Stack::builder().front_door(false));
    let mut stack = builder.data_planes(1).simulator(false).start().unwrap();
    let control = Http::new(format!("http://{}", stack.control_plane().listen));
    let first = Owner::sign_up(&control, stack.origin()).await.unwrap();
    let workspace = first.get("/v1/workspaces/current").await.unwrap().json();
    let workspace = workspace["id"].as_str().unwrap();
    // A control plane that lets both connect: what is tried is the data plane's own judgement.
    stack.set_env("SSRF_ALLOWLIST_HOSTS", &format!("127.0.0.1:{port}"));
    let lenient = stack.add_control_plane().unwrap().listen;
    let lenient = Http::new(format!("http://{lenient}"));
    let entry = format!("{workspace}@127.0.0.1:{port}=127.0.0.1");
    stack.set_env("SSRF_ALLOWLIST_HOSTS", &entry);
    stack.restart_data_plane(0).unwrap();
    let plane = Http::new(format!("http://{}", stack.data_plane(0).listen));
    let first = Owner::sign_in(&lenient, stack.origin(), &first.email, &first.password);
    let first = first.await.unwrap();
    let second = Owner::sign_up(&lenient, stack.origin()).await.unwrap();

    let mut arrived = 0;
    for (owner, exempt) in [(&second, false), (&first, true)] {
        let base = format!("http{}://127.0.0.1:{port}", if exempt { "" } else { "s" });
        let auth = json!({"kind": "bearer"});
        let connection = owner.connect(&base, &auth, support::SECRET).await.unwrap();
        let agent = owner.create_agent("bot").await.unwrap();
        let agent = Agent::ready(&lenient, stack.origin(), agent).await.unwrap();
        let lists = json!([{"baseUrl": base, "methods": ["GET"], "pathPatterns": ["/**"]}]);
        owner.allow(&agent.id, &connection, &lists).await.unwrap();
        settled(&plane, &agent, &connection).await;
        for host in SPELLINGS {
            for at in [port, closed] {
                for scheme in ["http", "https"] {
                    let url = format!("{scheme}://{host}:{at}/");
                    let by_envelope = agent.execute(&connection, &Method::GET, &url);
                    let by_header = agent
                        .call(Method::GET, "/v1/proxy")
                        .header("x-ah5-connection", &*connection)
                        .header("x-ah5-target", url.as_str());
                    let mut calls = vec![by_envelope];
                    if url.is_ascii() {
                        calls.push(by_header);
                    }
                    for call in calls {
                        let answer = plane.send(call).await.unwrap();
                        let passed = answer.status == 200;
                        assert!(passed || [400, 403].contains(&answer.status.as_u16()));
                        arrived += usize::from(passed);
                        let is_it = IS_THE_SAME.contains(&host) && url.starts_with(&base[..6]);
                        let is_it = is_it && at == port;
                        assert_eq!(passed, is_it && exempt, "{url}: {}", answer.text());
                        let blocked = answer.contains("Blocked: request to private IP address");
                        assert_eq!(blocked, is_it && !exempt, "{url}: {}", answer.text());
                    }
                }
            }
        }
        assert_eq!(heard.load(Ordering::SeqCst), arrived);
        assert_eq!(arrived > 0, exempt);
    }
    assert_eq!(heard_elsewhere.load(Ordering::SeqCst), 0);
}

/// A place where nothing is judged before it is known what is so.
async fn settled(plane: &Http, agent: &Agent, connection: &str) {
    let call = agent.proxy(connection, Method::POST, "/");
    for _ in 0..1000 {
        if plane
            .send(call.clone())
            .await
            .unwrap()
            .contains("POST is not")
        {
            return;
        }
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }
    panic!("the policy never came");
}

/// These are ways to write the one host that is exempted.
const IS_THE_SAME: [&str; 15] = [
    "127.0.0.1",
    "127.0.0.1.",
    "127.1",
    "127.0.1",
    "2130706433",
    "017700000001",
    "0177.0.0.1",
    "0x7f000001",
    "0x7f.0.0.1",
    "0X7F.1",
    "１２７.0.0.1",
    "127。0。0。1",
    "127．0．0．1",
    "127｡0｡0｡1",
    "①②⑦.0.0.1",
];

fn is_blocked(what: &str, answer: &Answer) {
    let body = answer.json();
    let error = body["error"].as_str().unwrap_or_default();
    let known = ["Blocked: ", "Failed to resolve hostname"];
    let is_known = known.iter().any(|known| error.starts_with(known));
    assert!(
        answer.status == 403 && is_known,
        "{what}: {}",
        answer.text()
    );
}

/// Answers everybody at every address of this machine, and counts them.
async fn listening() -> (u16, Arc<AtomicUsize>) {
    let heard = Arc::new(AtomicUsize::new(0));
    // Of both families.
    let everywhere = SocketAddr::from(([0; 16], 0));
    let listener = match TcpListener::bind(everywhere).await {
        Ok(listener) => listener,
        Err(_) => TcpListener::bind("0.0.0.0:0").await.unwrap(),
    };
    let port = listener.local_addr().unwrap().port();
    let count = Arc::clone(&heard);
    tokio::spawn(async move {
        while let Ok((mut tcp, _)) = listener.accept().await {
            count.fetch_add(1, Ordering::SeqCst);
            let mut head = [0; 4096];
            let _ = tcp.read(&mut head).await;
            let answer = "HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nhi";
            let _ = tcp.write_all(answer.as_bytes()).await;
        }
    });
    (port, heard)
}
