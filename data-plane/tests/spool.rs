//! The audit spool before a real PostgreSQL: outages, kills, refusals, a full and a failing disk.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[path = "spool/fixture.rs"]
mod fixture;
#[path = "spool/link.rs"]
mod link;

use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use ah5_contracts::audit::AuditEvent;
use ah5_contracts::id::{AuditId, WorkspaceId};
use ah5_data_plane::spool::{NotDurable, Recorder, SpoolError};
use tokio::time::sleep;

use fixture::{Fixture, drained, event, start, until};
use link::Mode;

#[tokio::test(flavor = "multi_thread")]
async fn rows_arrive_once_and_their_chains_verify() {
    let fixture = Fixture::new().await;
    let spool = fixture.start();
    let workspaces = [WorkspaceId::random(), WorkspaceId::random()];
    let mut ids = Vec::new();
    let recorders: Vec<_> = (0..4)
        .map(|i| {
            let (recorder, workspace) = (spool.recorder(), workspaces[i % 2]);
            std::thread::spawn(move || record(&recorder, workspace, 300))
        })
        .collect();
    for recorder in recorders {
        ids.extend(recorder.join().unwrap());
    }
    for event in odd_events(workspaces[0]) {
        ids.push(event.audit_id);
        spool.recorder().record(event);
    }
    ids.sort();
    until(&spool, |health| {
        health.waiting_rows == 0 && health.last_ack_age.is_some()
    })
    .await;
    let recorder = spool.recorder();
    spool.stop(Duration::from_secs(30)).await;
    assert_eq!(fixture.stored().await, ids);
    assert_eq!(fixture.quarantined().await, []);
    assert_eq!(
        fixture.left(),
        [""; 0],
        "an orderly stop leaves nothing behind"
    );
    let late = recorder.record_durably(event(workspaces[0])).await;
    assert_eq!(late, Err(NotDurable::Stopped));
}

#[tokio::test(flavor = "multi_thread")]
async fn an_outage_loses_nothing_and_doubles_nothing() {
    let fixture = Fixture::new().await;
    let workspace = WorkspaceId::random();
    let (mut ids, spool) = (Vec::new(), fixture.start());
    for round in 0..30 {
        ids.extend(record(&spool.recorder(), workspace, 100));
        // Cut at any point: while copying, while committing, before the answer.
        sleep(Duration::from_millis(round)).await;
        fixture.link.set(Mode::Cut).await;
        ids.extend(record(&spool.recorder(), workspace, 20));
        fixture.link.set(Mode::Up).await;
        if round % 10 == 0 {
            let sql = "select pg_terminate_backend(pid) from pg_stat_activity
                       where usename = 'ah5_data_login'";
            fixture.sql(sql).await;
        }
    }
    fixture.link.set(Mode::Cut).await;
    ids.extend(record(&spool.recorder(), workspace, 500));
    until(&spool, |health| health.waiting_rows >= 500).await;
    spool.stop(Duration::from_millis(200)).await;
    assert_eq!(fixture.left().len(), 1, "kept for the next start");

    fixture.link.set(Mode::Up).await;
    let spool = fixture.start();
    until(&spool, |health| health.waiting_bytes == 0).await;
    spool.stop(Duration::from_secs(30)).await;
    ids.sort();
    assert_eq!(fixture.stored().await, ids);
    assert_eq!(fixture.left(), [""; 0]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_hung_database_holds_up_nobody() {
    let fixture = Fixture::new().await;
    let (workspace, spool) = (WorkspaceId::random(), fixture.start());
    let recorder = spool.recorder();
    recorder.record(event(workspace));
    until(&spool, |health| health.last_ack_age.is_some()).await;
    fixture.link.set(Mode::Hung).await;
    let mut rows = 1;
    // More than memory keeps beside the disk, so that the rest must be read back.
    for _ in 0..20 {
        for _ in 0..99 {
            recorder.record(large(workspace));
        }
        recorder.record_durably(event(workspace)).await.unwrap();
        rows += 100;
    }
    assert_eq!(
        recorder.record_stored(event(workspace)).await,
        Err(NotDurable::Slow)
    );
    let health = spool.health();
    assert_eq!((health.dropped, health.waiting_rows), (0, 2001));
    fixture.link.set(Mode::Up).await;
    drained(&spool, rows + 1, &fixture).await;
    recorder.record_stored(event(workspace)).await.unwrap();
    assert_eq!(fixture.stored().await.len(), 2003);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refused_record_is_quarantined_and_the_rest_stored() {
    let fixture = Fixture::new().await;
    let (workspace, spool) = (WorkspaceId::random(), fixture.start());
    let check = "alter table ah5.l_audit_events add check (action <> 'poison')";
    fixture.sql(check).await;
    fixture.link.set(Mode::Cut).await;
    let mut events: Vec<AuditEvent> = (0..100).map(|_| event(workspace)).collect();
    // Each in a workspace of its own: what is in quarantine is missing from its chain.
    events[40] = event(WorkspaceId::random());
    events[40].action = "poison".into();
    events[70] = event(WorkspaceId::random());
    events[70].audit_id = events[10].audit_id;
    for event in &events {
        spool.recorder().record(event.clone());
    }
    fixture.link.set(Mode::Up).await;
    drained(&spool, 98, &fixture).await;
    let kept = fixture.quarantined().await;
    let seqs: Vec<i64> = kept.iter().map(|(seq, _)| *seq).collect();
    assert_eq!(seqs, [41, 71], "{kept:?}");
    assert!(
        kept[0].1.contains("23514") && kept[1].1.contains("23505"),
        "{kept:?}"
    );
    assert_eq!(spool.health().quarantined, 2);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_database_that_refuses_everything_quarantines_nothing() {
    let fixture = Fixture::new().await;
    let (workspace, spool) = (WorkspaceId::random(), fixture.start());
    fixture
        .sql("revoke insert on ah5.l_audit_events from ah5_data")
        .await;
    record(&spool.recorder(), workspace, 50);
    let refused = spool.recorder().record_stored(event(workspace)).await;
    assert_eq!(refused, Err(NotDurable::Slow));
    assert_eq!(
        (spool.health().waiting_rows, spool.health().quarantined),
        (51, 0)
    );
    fixture
        .sql("grant insert on ah5.l_audit_events to ah5_data")
        .await;
    drained(&spool, 51, &fixture).await;
    assert_eq!(fixture.quarantined().await, []);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_full_spool_passes_rows_to_the_database_and_then_refuses() {
    let fixture = Fixture::new().await;
    let (workspace, spool) = (WorkspaceId::random(), fixture.start_with(20_000).unwrap());
    let recorder = spool.recorder();
    fixture.link.set(Mode::Cut).await;
    record(&recorder, workspace, 100);
    until(&spool, |health| {
        health.waiting_rows == 100 && !health.disk_ok
    })
    .await;
    assert_eq!(
        recorder.record_durably(event(workspace)).await,
        Err(NotDurable::Slow)
    );
    assert!(folder_size(&fixture.folder()) < 22_000);

    let promised = tokio::spawn({
        let recorder = recorder.clone();
        async move { recorder.record_durably(event(workspace)).await }
    });
    fixture.link.set(Mode::Up).await;
    assert_eq!(promised.await.unwrap(), Ok(()), "the database has it");
    drained(&spool, 102, &fixture).await;

    fixture.link.set(Mode::Cut).await;
    let mut given = 0;
    while spool.health().dropped == 0 {
        recorder.record(large(workspace));
        given += 1;
        assert!(given < 4000, "memory has a bound");
        sleep(Duration::from_micros(200)).await;
    }
    let refused = recorder.record_durably(large(workspace)).await;
    assert_eq!(refused, Err(NotDurable::Full));
    until(&spool, |health| {
        health.waiting_rows + health.dropped == given
    })
    .await;
    let lost = i64::try_from(spool.health().dropped).unwrap();
    fixture.link.set(Mode::Up).await;
    // Also a check that what was dropped left no gap in its chain.
    drained(&spool, 102 + i64::try_from(given).unwrap() - lost, &fixture).await;
    recorder.record_durably(event(workspace)).await.unwrap();
    assert!(spool.health().disk_ok, "the disk is used again");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_failing_disk_is_left_alone_and_taken_up_again() {
    let fixture = Fixture::new().await;
    let (workspace, spool) = (WorkspaceId::random(), fixture.start_with(40_000).unwrap());
    let life = fixture.folder().join(&fixture.left()[0]);
    std::fs::remove_dir_all(&life).unwrap();
    record(&spool.recorder(), workspace, 50);
    until(&spool, |health| !health.disk_ok).await;
    drained(&spool, 50, &fixture).await;
    spool
        .recorder()
        .record_durably(event(workspace))
        .await
        .unwrap();
    std::fs::create_dir(&life).unwrap();
    let mut rows = 51;
    while !spool.health().disk_ok {
        spool
            .recorder()
            .record_durably(event(workspace))
            .await
            .unwrap();
        rows += 1;
        assert!(rows < 100_000);
    }
    drained(&spool, rows, &fixture).await;
    assert_eq!(spool.health().dropped, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_promised_survives_kills() {
    let fixture = Fixture::new().await;
    let mut promised = Vec::new();
    for life in 0..4 {
        let mode = if life % 2 == 0 { Mode::Cut } else { Mode::Up };
        fixture.link.set(mode).await;
        let mut child = Life::begin(&fixture);
        promised.extend((0..20).map(|_| child.promised()));
        let second = fixture.start_with(1 << 30).err().unwrap();
        assert!(matches!(second, SpoolError::Locked(_)), "{second}");
        promised.extend(child.kill());
    }
    tear_a_tail(&fixture);
    fixture.link.set(Mode::Up).await;
    let spool = fixture.start();
    until(&spool, |health| health.waiting_bytes == 0).await;
    spool.stop(Duration::from_secs(30)).await;
    assert_eq!(fixture.left(), [""; 0]);
    let stored = fixture.stored().await;
    let lost: Vec<_> = (promised.iter())
        .filter(|id| stored.binary_search(id).is_err())
        .collect();
    assert!(lost.is_empty(), "{lost:?}");
    let mut once = stored.clone();
    once.dedup();
    assert_eq!(once, stored);
}

// Not a test: the process that `what_was_promised_survives_kills` starts and kills.
#[tokio::test(flavor = "multi_thread")]
#[ignore = "does nothing unless another test runs it"]
async fn a_life_that_is_killed() {
    let Some(place) = std::env::var_os(PLACE) else {
        return;
    };
    let place = place.into_string().unwrap();
    let [folder, ring, url] = place.split('|').collect::<Vec<_>>()[..] else {
        panic!("not a place: {place}");
    };
    let spool = start(Path::new(folder), Path::new(ring), url, 1 << 30).unwrap();
    let workspace = WorkspaceId::random();
    loop {
        record(&spool.recorder(), workspace, 10);
        let event = event(workspace);
        let id = event.audit_id;
        spool.recorder().record_durably(event).await.unwrap();
        println!("{PROMISED}{id}");
    }
}

/// A process that records until it is killed.
struct Life {
    child: Child,
    said: std::io::Lines<BufReader<std::process::ChildStdout>>,
}

// === impl Life ===

impl Life {
    fn begin(fixture: &Fixture) -> Self {
        let place = [
            fixture.folder().display().to_string(),
            fixture.ring_file().display().to_string(),
            fixture.url(),
        ];
        let mut child = Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "a_life_that_is_killed",
                "--ignored",
                "--nocapture",
            ])
            .env(PLACE, place.join("|"))
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let said = BufReader::new(child.stdout.take().unwrap()).lines();
        Self { child, said }
    }

    fn promised(&mut self) -> AuditId {
        let mut said = (&mut self.said).map_while(Result::ok);
        said.find_map(|line| promise_in(&line))
            .expect("the child lives")
    }

    /// What it had said before it died.
    fn kill(mut self) -> Vec<AuditId> {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        let said = (&mut self.said).map_while(Result::ok);
        said.filter_map(|line| promise_in(&line)).collect()
    }
}

impl Drop for Life {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn promise_in(line: &str) -> Option<AuditId> {
    let (_, id) = line.split_once(PROMISED)?;
    id.parse().ok()
}

fn record(recorder: &Recorder, workspace: WorkspaceId, count: usize) -> Vec<AuditId> {
    let record = |_| {
        let event = event(workspace);
        let id = event.audit_id;
        recorder.record(event);
        id
    };
    (0..count).map(record).collect()
}

fn large(workspace: WorkspaceId) -> AuditEvent {
    let text = "x".repeat(1000);
    let mut event = event(workspace);
    event.details = serde_json::json!({ "a": vec![text; 7] }).to_string();
    event
}

// What Postgres would refuse, or give back changed, if it came through as it is.
fn odd_events(workspace: WorkspaceId) -> Vec<AuditEvent> {
    let details = [
        r#"{"a":"\u0000","\u0000":1}"#,
        r#"{"a":[1.0,-0.0,1e16,1e300,0.30000000000000004,18446744073709551615]}"#,
        r#"{"a":1e999}"#,
        "not json",
        "",
        "[]",
        r#"{"a":1,"a":2,"":"\ud83d\ude00 é"}"#,
    ];
    let odd = |details: &str| {
        let mut event = event(workspace);
        event.details = details.to_owned();
        event.host = Some("a\0b".into());
        event.actor_id = "\u{0}".repeat(100_000);
        event.ts = if details.is_empty() {
            i64::MAX
        } else {
            i64::MIN
        };
        event
    };
    details.into_iter().map(odd).collect()
}

// As if the kill had come while the last record was written.
fn tear_a_tail(fixture: &Fixture) {
    let life = fixture.folder().join(&fixture.left()[0]);
    let segments = std::fs::read_dir(life).unwrap();
    let last = segments.map(|entry| entry.unwrap().path()).max().unwrap();
    let whole = std::fs::read(&last).unwrap();
    let mut file = std::fs::OpenOptions::new().append(true).open(last).unwrap();
    // The first record's beginning; the header is 24 bytes.
    file.write_all(&whole[24..124]).unwrap();
}

fn folder_size(folder: &Path) -> u64 {
    let entries = std::fs::read_dir(folder).unwrap().map(Result::unwrap);
    let size = |entry: std::fs::DirEntry| {
        let metadata = entry.metadata().unwrap();
        if metadata.is_dir() {
            folder_size(&entry.path())
        } else {
            metadata.len()
        }
    };
    entries.map(size).sum()
}

const PLACE: &str = "AH5_TEST_SPOOL_LIFE";
const PROMISED: &str = "promised ";
