//! The whole stack from temporary folders.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use std::net::SocketAddr;

use bytes::Bytes;
use http::Request;
use http_body_util::{BodyExt as _, Full};

use ah5_harness::stack::{ConfigFaults, Stack};

// These run without data planes: what one does behind the front door is tested in its own crate.

#[tokio::test(flavor = "multi_thread")]
async fn everything_comes_up_answers_and_goes_away() {
    let stack = control_plane_only().start().unwrap();
    assert_eq!(get(stack.front(), "/health").await.0, 200);
    assert_eq!(get(stack.control_plane().listen, "/health").await.0, 200);
    let (status, said) = get(stack.front(), "/v1/proxy/c").await;
    assert_eq!(status, 502, "{said}");
    let ring = stack.folder().join("secrets/key-ring.json");
    let mode =
        std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&ring).unwrap().permissions());
    assert_eq!(mode & 0o077, 0);
    assert!(stack.dump().unwrap().contains("ah5.t_agents"));

    let pids = [
        Some(stack.control_plane().pid),
        stack.front_pid(),
        stack.cluster().unwrap().pid(),
    ];
    let folder = stack.folder().to_owned();
    stack.stop().unwrap();
    for pid in pids {
        let process = format!("/proc/{}", pid.unwrap());
        assert!(!std::path::Path::new(&process).exists(), "{process}");
    }
    assert!(!folder.exists());
}

#[tokio::test(flavor = "multi_thread")]
async fn postgres_can_be_taken_away_and_given_back() {
    let mut stack = control_plane_only().start().unwrap();
    let admin = stack.control_plane().admin.unwrap();
    assert_eq!(get(admin, "/readyz").await.0, 200);
    stack.stop_postgres().unwrap();
    assert_eq!(get(admin, "/readyz").await.0, 503);
    stack.start_postgres().unwrap();
    assert_eq!(get(admin, "/readyz").await.0, 200);
}

#[test]
fn every_fault_of_the_settings_is_told_at_once() {
    let started = control_plane_only()
        .env("DB_POOL_SIZE", "0")
        .env("LOG_FORMAT", "rhyme")
        .start();
    let faults = started.err().unwrap().downcast::<ConfigFaults>().unwrap();
    assert_eq!(faults.0.len(), 2, "{faults}");
    assert!(faults.0[0].starts_with("DB_POOL_SIZE") && faults.0[1].starts_with("LOG_FORMAT"));
}

#[test]
fn a_part_that_ends_by_itself_is_noticed() {
    let mut stack = control_plane_only().start().unwrap();
    assert!(stack.fallen().is_empty());
    let pid = stack.control_plane().pid.cast_signed();
    let pid = rustix::process::Pid::from_raw(pid).unwrap();
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).unwrap();
    let fallen = loop {
        let fallen = stack.fallen();
        if !fallen.is_empty() {
            break fallen;
        }
        std::thread::yield_now();
    };
    assert_eq!(fallen[0].0, ah5_harness::stack::Part::ControlPlane);
    assert!(
        fallen[0]
            .1
            .to_string()
            .contains("the control plane ended with signal: 9")
    );
}

fn control_plane_only() -> ah5_harness::stack::Builder {
    Stack::builder().data_planes(0).simulator(false)
}

async fn get(address: SocketAddr, path: &str) -> (u16, String) {
    let request = Request::get(path).header("host", "localhost");
    let request = request.body(Full::<Bytes>::default()).unwrap();
    let response = support::send_to(address, request).await;
    let status = response.status().as_u16();
    let bytes = response.into_body().collect().await.unwrap().to_bytes();
    (status, String::from_utf8(bytes.to_vec()).unwrap())
}
