//! Connections of a control plane that is told to stop, and of clients that say nothing.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]
#![allow(
    clippy::disallowed_methods,
    reason = "watches single connections, which no client of HTTP shows"
)]

mod support;

use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};
use support::control_plane;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::{sleep, timeout};

const REQUEST: &[u8] = b"GET /health HTTP/1.1\r\nhost: x\r\n\r\n";
const LIMIT: Duration = Duration::from_secs(20);

/// The head of the answer to one more request.
async fn ask(stream: &mut TcpStream) -> String {
    stream.write_all(REQUEST).await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"}") {
        let read = timeout(LIMIT, stream.read_buf(&mut answer)).await.unwrap();
        assert_ne!(read.unwrap(), 0, "closed without an answer");
    }
    String::from_utf8(answer).unwrap().to_ascii_lowercase()
}

/// A front door may be sending on an idle connection at the very moment at which we leave.
#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_is_good_for_one_more_request_after_the_word_to_stop() {
    let builder = control_plane().env("DRAIN_DEADLINE_MS", "60000");
    let stack = builder.start().unwrap();
    let plane = stack.control_plane();
    let mut idle = TcpStream::connect(plane.listen).await.unwrap();
    assert!(!ask(&mut idle).await.contains("connection: close"));
    let pid = Pid::from_raw(i32::try_from(plane.pid).unwrap()).unwrap();
    kill_process(pid, Signal::TERM).unwrap();
    let shut = async {
        while TcpStream::connect(plane.listen).await.is_ok() {
            sleep(Duration::from_millis(10)).await;
        }
    };
    timeout(LIMIT, shut).await.unwrap();
    assert!(ask(&mut idle).await.contains("connection: close"));
    let ended = timeout(LIMIT, idle.read(&mut [0; 1])).await.unwrap();
    assert_eq!(ended.unwrap(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn whoever_says_nothing_is_shown_out() {
    let builder = control_plane().env("KEEP_ALIVE_MS", "300");
    let stack = builder.start().unwrap();
    for said in ["", "PRI * HT", "GET /health HTTP/1.1\r\nhost: x\r\n"] {
        let mut silent = TcpStream::connect(stack.control_plane().listen)
            .await
            .unwrap();
        silent.write_all(said.as_bytes()).await.unwrap();
        let mut rest = Vec::new();
        let ended = timeout(LIMIT, silent.read_to_end(&mut rest)).await;
        assert!(ended.is_ok(), "{said:?} holds a connection for ever");
        assert!(!rest.starts_with(b"HTTP/1.1 200"), "{said:?}");
    }
}
