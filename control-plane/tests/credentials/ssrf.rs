//! Every field that names a host, and every way of naming one that must not be reached. Nothing is
//! exempted, and what listens on this machine hears nothing.

use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ah5_testkit::client::{Call, Http, Owner};
use http::Method;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::fixture::{GOOD, PERSON, shown};
use crate::mailboxes::{HOST, PASSWORD, Post, USER};
use crate::support::{World, control_plane, error};

/// A field of a form that names a host: where it is sent, and with what else. Whoever adds one to
/// the product adds it here.
struct Field {
    name: &'static str,
    method: Method,
    path: String,
    /// `TRIED` stands for what is tried.
    body: Value,
    /// Whether it is looked at when it is entered. Otherwise nothing goes there before an agent's
    /// call, which a data plane judges.
    refused: bool,
}

/// The ids of a connected mailbox, and of a connection that says it is Jira's.
fn fields(mailbox: &str, jira: &str) -> Vec<Field> {
    let field = |name, method, path: &str, body, refused| Field {
        name,
        method,
        path: path.to_owned(),
        body,
        refused,
    };
    let mail = |imap: &str, smtp: &str| json!({"email": USER, "password": PASSWORD, "imapHost": imap, "smtpHost": smtp});
    let site =
        |site: &str| json!({"service": "jira", "apiKey": GOOD, "email": USER, "siteUrl": site});
    let (email, keys) = ("/v1/connections/email", "/v1/connections/api-key");
    let mailbox_again = format!("/v1/connections/{mailbox}/credentials");
    let reauth = format!("/v1/connections/{mailbox}/reauth");
    let jira_again = format!("/v1/connections/{jira}/credentials");
    let new = |name: &str| json!({"password": PASSWORD, name: "TRIED"});
    let custom = json!({"service": "custom-http", "apiKey": GOOD, "baseUrl": "https://TRIED/",
                        "auth": {"kind": "bearer"}});
    let put = Method::PUT;
    let post = || Method::POST;
    vec![
        field("imapHost", post(), email, mail("TRIED", HOST), true),
        // Reading works there, so that it comes to this.
        field("smtpHost", post(), email, mail(HOST, "TRIED"), true),
        field(
            "imapHost",
            put.clone(),
            &mailbox_again,
            new("imapHost"),
            true,
        ),
        field(
            "smtpHost",
            put.clone(),
            &mailbox_again,
            new("smtpHost"),
            true,
        ),
        field("imapHost", post(), &reauth, new("imapHost"), true),
        field("siteUrl", post(), keys, site("TRIED"), true),
        field(
            "siteUrl's start",
            post(),
            keys,
            site("TRIED/.atlassian.net"),
            true,
        ),
        field(
            "siteUrl's user",
            post(),
            keys,
            site("acme.atlassian.net@TRIED"),
            true,
        ),
        field("siteUrl", put, &jira_again, site("TRIED"), true),
        field("baseUrl", post(), keys, custom, false),
    ]
}

/// Spellings of this machine, of private networks and of metadata services.
fn hosts(port: u16) -> Vec<String> {
    let mut hosts: Vec<String> = HOSTS.map(str::to_owned).to_vec();
    hosts.push(format!("127.0.0.1:{port}"));
    hosts.push(format!("localhost:{port}"));
    hosts.push(format!("user@127.0.0.1:{port}"));
    hosts
}

const HOSTS: [&str; 58] = [
    "127.0.0.1",
    "127.0.0.1.",
    "127.1",
    "127.0.1",
    "127.255.255.254",
    "0.0.0.0",
    "0",
    "2130706433",
    "0x7f000001",
    "0x7f.0.0.1",
    "0x7f.1",
    "017700000001",
    "0177.0.0.1",
    "0177.1",
    "１２７.0.0.1",
    "127。0。0。1",
    "127．0．0．1",
    "127｡0｡0｡1",
    "①②⑦.0.0.1",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[::127.0.0.1]",
    "[0:0:0:0:0:ffff:127.0.0.1]",
    "[64:ff9b::127.0.0.1]",
    "[64:ff9b::7f00:1]",
    "[64:ff9b:1::7f00:1]",
    "[2002:7f00:1::]",
    "[2001:0:7f00:1::]",
    "[fe80::1]",
    "[fe80::1%25eth0]",
    "[fc00::1]",
    "[fd00:ec2::254]",
    "[ff02::1]",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "100.100.100.200",
    "169.254.169.254",
    "0xa9fea9fe",
    "2852039166",
    "168.63.129.16",
    "192.0.0.192",
    "198.18.0.1",
    "224.0.0.1",
    "255.255.255.255",
    "localhost",
    "LOCALHOST",
    "localhost.",
    "ⓛocalhost",
    "mail.acme.example@127.0.0.1",
    "mail.acme.example#@127.0.0.1",
    "mail.acme.example\\@127.0.0.1",
    "127.0.0.1\r\nx",
    "127.0.0.1\u{0009}",
    "127.0.0.1%00.acme.example",
];

#[tokio::test(flavor = "multi_thread")]
async fn no_form_makes_us_connect_to_ourselves_or_to_a_private_network() {
    let mut post = Post::open().await;
    let (heard, port) = listen().await;
    nothing_is_reached(&post.world, (&heard, port), &[false, true]).await;

    // And from one workspace, while another may go there.
    let current = post.world.get("/v1/workspaces/current").await.json();
    let first = current["id"].as_str().unwrap().to_owned();
    let exempt = EXEMPT.map(|host| format!("{first}@{host}"));
    let stack = Arc::get_mut(&mut post.world.stack).unwrap();
    stack.set_env("SSRF_ALLOWLIST_HOSTS", &exempt.join(","));
    let at = stack.add_control_plane().unwrap();
    let http = Http::new(format!("http://{}", at.listen));
    let second = World {
        owner: Owner::sign_up(&http, post.world.stack.origin())
            .await
            .unwrap(),
        http,
        stack: Arc::clone(&post.world.stack),
    };
    nothing_is_reached(&second, (&heard, port), &[false]).await;

    let body = json!({"email": USER, "password": PASSWORD, "imapHost": "127.0.0.1",
                      "imapPort": port, "smtpHost": HOST});
    let call = Call::post("/v1/connections/email").json(&body);
    let call = call.bearer(&post.world.owner.token);
    let answer = second.send(call).await;
    assert!(!error(&answer).contains("Blocked"), "{}", answer.text());
    assert_eq!(heard.load(Ordering::SeqCst), 1, "the first may");
}

/// Every field with every name, as the world's owner.
async fn nothing_is_reached(
    world: &World,
    (heard, port): (&Arc<AtomicUsize>, u16),
    ports: &[bool],
) {
    let mail = json!({"email": USER, "password": PASSWORD, "imapHost": HOST, "smtpHost": HOST});
    let mailbox = crate::fixture::id(&world.post("/v1/connections/email", &mail).await);
    let jira = world.connect_to("jira", "jira", &[]).await;
    let before = shown(world, &mailbox).await;
    let (mut cells, mut refused) = (0, 0);
    for host in hosts(port) {
        for field in fields(&mailbox, &jira) {
            for &odd in ports {
                let body = filled(&field, &host, odd);
                let call = Call::new(field.method.clone(), &*field.path).json(&body);
                let answer = world.send(call.bearer(&world.owner.token)).await;
                cells += 1;
                let (name, said) = (field.name, error(&answer));
                assert!(!said.contains(GOOD) && !said.contains(PASSWORD));
                if !field.refused {
                    assert!(answer.status == 400 || answer.status == 200);
                    continue;
                }
                assert_eq!(answer.status, 400, "{name} {host:?}: {}", answer.text());
                let known = REFUSALS.iter().any(|known| said.contains(known));
                assert!(known, "{name} {host:?}: {said}");
                refused += 1;
            }
        }
    }
    println!(
        "{cells} cells, {refused} refused, {} heard",
        heard.load(Ordering::SeqCst)
    );
    assert_eq!(heard.load(Ordering::SeqCst), 0);
    assert_eq!(shown(world, &mailbox).await, before);
}

/// What an operator could want to exempt; the other names are spellings of these, or never to be had.
const EXEMPT: [&str; 8] = [
    "127.0.0.1",
    "localhost",
    "[::1]",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "100.64.0.1",
    "[fc00::1]",
];

/// With the ports that are not the usual ones, if `odd`.
fn filled(field: &Field, host: &str, odd: bool) -> Value {
    let quoted = serde_json::to_string(host).unwrap();
    let text = field.body.to_string();
    let text = text.replace("TRIED", quoted.trim_matches('"'));
    let mut body: Value = serde_json::from_str(&text).unwrap();
    if odd {
        // Of the field that is tried alone: what is at the other server is to be there.
        let of = if field.name == "smtpHost" {
            "smtpPort"
        } else {
            "imapPort"
        };
        body[of] = if field.name == "smtpHost" { 465 } else { 143 }.into();
    }
    body
}

/// That something was refused for what it names, and not because nobody answered there.
const REFUSALS: [&str; 4] = [
    "Blocked: ",
    "is not a host name",
    "Jira site URL must end with .atlassian.net",
    "Failed to resolve hostname",
];

/// An exemption of one host and port opens no other spelling, field or port.
#[tokio::test(flavor = "multi_thread")]
async fn an_exemption_is_for_what_it_names_alone() {
    let (heard, port) = listen().await;
    let exempt = format!("mail.acme.example:{port}");
    let builder = control_plane().env("SSRF_ALLOWLIST_HOSTS", &exempt);
    let first = World::at(Arc::new(builder.start().unwrap())).await;
    let second = first.stranger().await;
    let mut cells = 0;
    for host in ["127.0.0.1", "localhost", "[::1]", "127.1"] {
        for port in [json!(port), json!(993), json!(143)] {
            let body = json!({"email": PERSON, "password": "planted-good-password",
                              "imapHost": host, "imapPort": port, "smtpHost": host});
            for owner in [&first.owner, &second] {
                let answer = owner.post("/v1/connections/email", &body).await.unwrap();
                assert_eq!(answer.status, 400, "{host} {port}: {}", answer.text());
                cells += 1;
            }
        }
    }
    println!("{cells} cells with an exemption for another name");
    assert_eq!(heard.load(Ordering::SeqCst), 0);
}

/// Counts whoever connects: to a port of its own, and to the ports that the forms would use where
/// this test may have them.
async fn listen() -> (Arc<AtomicUsize>, u16) {
    let heard = Arc::new(AtomicUsize::new(0));
    let own = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let port = own.local_addr().unwrap().port();
    count(own, &heard);
    for port in [143, 443, 465, 587, 993] {
        let v4 = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, port));
        for address in [v4, v6] {
            if let Ok(listener) = TcpListener::bind(address).await {
                count(listener, &heard);
            }
        }
    }
    (heard, port)
}

fn count(listener: TcpListener, heard: &Arc<AtomicUsize>) {
    let heard = Arc::clone(heard);
    tokio::spawn(async move {
        while listener.accept().await.is_ok() {
            heard.fetch_add(1, Ordering::SeqCst);
        }
    });
}
