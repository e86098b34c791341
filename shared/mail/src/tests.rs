//! Against servers that mean no good: what they say, and what they were told.

use std::sync::{Arc, LazyLock, Mutex};

use ah5_contracts::connection::MailSecurity;
use ah5_net::guard::Exemptions;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;

use super::*;

const PASSWORD: &str = "planted mail password";

/// A server that says these things, one after each line that it hears; the first at once.
async fn server(says: &'static [&'static str]) -> (Upstreams, MailServer, Arc<Mutex<String>>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let heard = Arc::new(Mutex::new(String::new()));
    let all = Arc::clone(&heard);
    tokio::spawn(async move {
        let (mut tcp, _) = listener.accept().await.unwrap();
        for said in says {
            tcp.write_all(said.as_bytes()).await.unwrap();
            let mut line = [0; 1024];
            let read = tcp.read(&mut line).await.unwrap_or_default();
            all.lock()
                .unwrap()
                .push_str(&String::from_utf8_lossy(&line[..read]));
        }
    });
    let exempt = [format!("127.0.0.1:{port}")];
    let net = Upstreams::new(ah5_net::Config {
        exemptions: Exemptions::parse(&exempt, false).unwrap(),
        ..ah5_net::Config::default()
    });
    let server = MailServer {
        host: "127.0.0.1".to_owned(),
        port,
        security: MailSecurity::StartTls,
        username: "ann".to_owned(),
    };
    (net.unwrap(), server, heard)
}

fn way(net: &Upstreams) -> Way<'_> {
    let workspace = WorkspaceId::random();
    Way { net, workspace }
}

async fn imap(says: &'static [&'static str], security: MailSecurity) -> (Fault, String) {
    let (net, mut server, heard) = server(says).await;
    server.security = security;
    let tried = try_imap(way(&net), &server, &SecretText::new(PASSWORD.to_owned())).await;
    let heard = heard.lock().unwrap().clone();
    (tried.unwrap_err(), heard)
}

fn refused(why: &str) -> Fault {
    Fault::Refused(why.to_owned())
}

#[tokio::test]
async fn what_comes_ahead_of_tls_is_not_taken_for_what_comes_under_it() {
    let says = &[
        "* OK hello\r\n",
        "a OK go on\r\n* CAPABILITY AUTH=PLAIN\r\n",
    ];
    let (fault, heard) = imap(says, MailSecurity::StartTls).await;
    assert_eq!(
        fault,
        Fault::Failed("the server sent something ahead of TLS")
    );
    assert_eq!(heard, "a STARTTLS\r\n");
}

#[tokio::test]
async fn a_session_that_is_logged_in_already_gets_no_password() {
    let (fault, heard) = imap(&["* PREAUTH come in\r\n"], MailSecurity::StartTls).await;
    assert_eq!(fault, refused("* PREAUTH come in"));
    assert!(!heard.contains("LOGIN") && !heard.contains("AUTH"));
}

#[tokio::test]
async fn without_starttls_a_password_is_not_said() {
    let (net, server, heard) = server(&["220 hello\r\n", "250-me\r\n250 AUTH PLAIN\r\n"]).await;
    let tried = try_smtp(way(&net), &server, &SecretText::new(PASSWORD.to_owned())).await;
    assert_eq!(
        tried,
        Err(Fault::Failed("the server does not offer STARTTLS"))
    );
    assert_eq!(*heard.lock().unwrap(), "EHLO [127.0.0.1]\r\n");
}

#[tokio::test]
async fn a_password_that_is_said_again_is_not_passed_on() {
    let says = &[
        "* OK hello\r\n",
        "* CAPABILITY IMAP4rev1\r\na OK\r\n",
        "+ go on\r\n",
        "+ go on\r\n",
        "a BAD I know not planted mail password\r\n",
    ];
    let (fault, heard) = imap(says, MailSecurity::None).await;
    assert_eq!(fault, refused("BAD I know not …"));
    // Counted, so that what is in it is no command.
    assert!(heard.contains("a LOGIN {3}\r\nann {21}\r\nplanted mail password\r\n"));
}

#[tokio::test]
async fn a_line_that_does_not_end_is_given_up() {
    static LONG: LazyLock<String> = LazyLock::new(|| "x".repeat(40_000));
    static SAYS: LazyLock<[&str; 1]> = LazyLock::new(|| [LONG.as_str()]);
    let (fault, _) = imap(&*SAYS, MailSecurity::None).await;
    assert_eq!(fault, Fault::Failed("the server's line is too long"));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_falls_silent_is_given_up() {
    for says in [&[""][..], &["* OK hello\r\n", "* CAPABILITY IMAP4rev1\r\n"]] {
        let (fault, _) = imap(says, MailSecurity::None).await;
        assert_eq!(fault, Fault::Late, "{says:?}");
    }
}

#[tokio::test]
async fn an_answer_of_many_lines_is_given_up() {
    static LINES: LazyLock<[String; 2]> =
        LazyLock::new(|| ["\n".repeat(65_536), "* x\r\n".repeat(40_000)]);
    static SAYS: LazyLock<[[&str; 2]; 2]> =
        LazyLock::new(|| [0, 1].map(|i| ["* OK hello\r\n", &*LINES[i]]));
    for says in &*SAYS {
        let (fault, _) = imap(says, MailSecurity::None).await;
        assert_eq!(fault, Fault::Overload);
    }
}

#[tokio::test]
async fn unprotected_servers_are_the_operators_to_exempt() {
    let net = Upstreams::new(ah5_net::Config::default()).unwrap();
    let typed = |port, security| settings::Typed {
        host: "mail.acme.example",
        port,
        security,
        username: "ann",
    };
    let imap = |typed| settings::check(settings::Protocol::Imap, typed, way(&net));
    assert!(imap(typed(993, MailSecurity::Tls)).is_ok());
    for refused in [
        typed(993, MailSecurity::None),
        typed(25, MailSecurity::Tls),
        typed(587, MailSecurity::StartTls),
    ] {
        assert!(imap(refused).is_err(), "{refused:?}");
    }
    // A row that says so all the same.
    let server = MailServer {
        host: "mail.acme.example".to_owned(),
        port: 143,
        security: MailSecurity::None,
        username: "ann".to_owned(),
    };
    let tried = try_imap(way(&net), &server, &SecretText::new(PASSWORD.to_owned())).await;
    assert_eq!(tried, Err(Fault::Failed("the server must speak TLS")));
}
