//! From start to stop, and what may happen in between.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;

use crate::{PATIENCE, Run, command, folder, lives, mode, said, send};

#[test]
fn it_starts_keeps_its_data_stops_and_leaves_nothing_running() {
    let folder = folder();
    // What an interrupted first start leaves behind.
    fs::create_dir_all(folder.path().join("postgres/data.partial/base")).unwrap();
    let first = Run::start(folder.path());
    assert!(
        first.health().ends_with(r#"{"status":"ok"}"#),
        "{}",
        first.health()
    );
    assert_eq!(
        first.about["origin"],
        format!("http://localhost:{}", first.port())
    );
    assert_eq!(first.about["simulator"], Value::Null);
    let secrets = fs::read_dir(folder.path().join("secrets")).unwrap();
    let modes = secrets.map(|it| mode(&it.unwrap().path()));
    assert!(modes.into_iter().all(|mode| mode == 0o600));

    let (code, text) = said(&command(folder.path()).output().unwrap());
    assert_eq!(code, Some(1), "{text}");
    assert!(
        text.contains(&format!("already running (process {})", first.process.id())),
        "{text}"
    );

    let pids = first.pids();
    first.signal(Signal::INT);
    let (code, text) = first.end();
    assert_eq!(code, Some(0), "{text}");
    assert!(
        text.contains("an earlier first start was interrupted"),
        "{text}"
    );
    assert!(!folder.path().join("run.json").exists());
    assert!(pids.iter().all(|&pid| !lives(pid)));

    let second = Run::start(folder.path());
    second.signal(Signal::TERM);
    let (code, text) = second.end();
    assert_eq!(code, Some(0), "{text}");
    assert!(!text.contains("making a database folder"), "{text}");
}

#[test]
fn whatever_ends_it_the_next_start_works() {
    let folder = folder();
    let killed = Run::start(folder.path());
    let pids = killed.pids();
    killed.signal(Signal::KILL);
    killed.end();
    let next = Run::start(folder.path());
    // On Linux the kernel stops what a killed one left behind, in its own time.
    let start = Instant::now();
    while pids.iter().any(|&pid| lives(pid)) {
        assert!(start.elapsed() < PATIENCE, "something is left");
        std::thread::sleep(Duration::from_millis(10));
    }

    let (control, pids) = (next.pids()[0], next.pids());
    send(control, Signal::KILL);
    let (code, text) = next.end();
    assert_eq!(code, Some(1), "{text}");
    assert!(
        text.contains("the control plane ended with signal: 9"),
        "{text}"
    );
    assert!(pids.iter().all(|&pid| !lives(pid)));
}

#[test]
fn a_fallen_data_plane_is_started_again() {
    let folder = folder();
    let run = Run::start_with(folder.path(), "1");
    let plane = |about: &Value| about["dataPlanes"][0].clone();
    let before = plane(&run.about);
    send(before["pid"].as_u64().unwrap(), Signal::KILL);
    let file = folder.path().join("run.json");
    let start = Instant::now();
    let after = loop {
        let about = serde_json::from_str(&fs::read_to_string(&file).unwrap()).unwrap();
        if plane(&about)["pid"] != before["pid"] {
            break plane(&about);
        }
        assert!(start.elapsed() < PATIENCE, "it stayed down");
        std::thread::sleep(Duration::from_millis(10));
    };
    assert_eq!(after["listen"], before["listen"]);
    run.signal(Signal::TERM);
    let (code, text) = run.end();
    assert_eq!(code, Some(0), "{text}");
    assert!(text.contains("data plane 0 ended with signal: 9"), "{text}");
    assert!(text.contains("data plane 0 is back"), "{text}");
    assert!(!lives(after["pid"].as_u64().unwrap()));
}

#[test]
fn a_folder_closed_to_postgres_gets_its_cluster_elsewhere() {
    let folder = folder();
    // Only root runs PostgreSQL as somebody else, who then can't get in here.
    let parent = folder.path().parent().unwrap();
    fs::set_permissions(parent, std::os::unix::fs::PermissionsExt::from_mode(0o700)).unwrap();
    let run = Run::start(folder.path());
    let links = ["postgres", "sockets"].map(|name| fs::read_link(folder.path().join(name)));
    run.signal(Signal::TERM);
    let (code, text) = run.end();
    if rustix::process::geteuid().is_root() {
        let [cluster, sockets] = links.map(Result::unwrap);
        assert!(cluster.starts_with("/var/lib/ah5-local"), "{cluster:?}");
        assert!(cluster.join("data/PG_VERSION").exists());
        fs::remove_dir_all(cluster).unwrap();
        fs::remove_dir_all(sockets).unwrap();
    } else {
        assert!(folder.path().join("postgres/data/PG_VERSION").exists());
    }
    assert_eq!(code, Some(0), "{text}");
}

#[test]
fn an_existing_server_is_used_and_not_touched_otherwise() {
    let cluster = ah5_harness::postgres::Cluster::start_temporary().unwrap();
    cluster.create_database("theirs").unwrap();
    let folder = folder();
    let mut command = command(folder.path());
    // With the default of REPLICAS, so that data planes show that they can live with it too.
    command
        .env("DATABASE_URL", cluster.url("theirs"))
        .env_remove("REPLICAS");
    command.env_remove("SIMULATOR");
    let run = Run::wait(command.spawn().unwrap(), folder.path());
    assert_eq!(run.about["postgres"], Value::Null);
    assert_eq!(run.about["simulator"], Value::Null);
    assert_eq!(run.about["dataPlanes"].as_array().unwrap().len(), 2);
    run.signal(Signal::TERM);
    let (code, text) = run.end();
    assert_eq!(code, Some(0), "{text}");
    assert!(!folder.path().join("postgres/data").exists());
    assert!(cluster.dump("theirs").unwrap().contains("ah5.t_agents"));
}
