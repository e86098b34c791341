//! `kill -9` at every step of a refresh.

use std::path::PathBuf;

use ah5_store::database::Client;
use ah5_testkit::simulator::Gate;

use crate::fixture::{Account, Fixture, State, database, until};

/// Two data planes and an account whose token has expired. The control plane is gone, so that it is
/// always a data plane that refreshes.
async fn expired(gate: Gate) -> (Fixture, Account) {
    let mut fixture = Fixture::open(2).await;
    let account = fixture.account(3600).await;
    fixture.stack.kill_control_plane();
    fixture.endpoint.gate(gate);
    let sql = "update ah5.t_connection_credentials set expires_at = now() - interval '1 second'";
    fixture.sql(sql).await;
    (fixture, account)
}

/// Returns when the first data plane has shown the refresh token.
async fn refreshing(fixture: &Fixture, account: &Account) {
    let shown = until(|| async { fixture.endpoint.counts().under_way == 1 });
    let calls = async {
        // Until it knows that the token has expired, it is answered.
        while fixture.read(account).await.status == 200 {}
        std::future::pending::<()>().await;
    };
    tokio::select! {
        () = shown => {}
        () = calls => {}
    }
}

async fn kill(fixture: &mut Fixture) {
    fixture.stack.kill_data_plane(0);
    let counts = || fixture.endpoint.counts();
    until(|| async { counts().under_way == 0 }).await;
    fixture.endpoint.gate(Gate::Open);
}

fn healthy(version: i64) -> State {
    State {
        status: "healthy".into(),
        reason: None,
        version,
    }
}

#[tokio::test]
async fn killed_before_the_provider_acted_the_token_is_used_by_another() {
    let (mut fixture, account) = expired(Gate::Before).await;
    refreshing(&fixture, &account).await;
    kill(&mut fixture).await;
    // Nobody else may use it while the dead one's lease lasts.
    let waits = fixture.read_at(1, &account).await;
    assert_eq!(waits.status, 503, "{}", waits.text());
    assert!(waits.headers.contains_key("retry-after"));
    assert_eq!(fixture.endpoint.counts().requests, 1);
    fixture.end_lease(&account).await;
    assert_eq!(fixture.read_at(1, &account).await.status, 200);
    assert_eq!(fixture.state(&account.id).await, healthy(2));
    let counts = fixture.endpoint.counts();
    assert_eq!((counts.refreshed, counts.replayed), (1, 0));
}

#[tokio::test]
async fn killed_with_the_answer_on_its_way_the_token_is_tried_once_and_a_person_called() {
    let (mut fixture, account) = expired(Gate::After).await;
    refreshing(&fixture, &account).await;
    until(|| async { fixture.endpoint.counts().refreshed == 1 }).await;
    kill(&mut fixture).await;
    fixture.end_lease(&account).await;
    for _ in 0..3 {
        let refused = fixture.read_at(1, &account).await;
        assert_eq!(refused.status, 409, "{}", refused.text());
        assert!(refused.contains("Connection requires reauthentication"));
    }
    let counts = fixture.endpoint.counts();
    assert_eq!((counts.requests, counts.replayed), (2, 1), "{counts:?}");
    let state = fixture.state(&account.id).await;
    assert_eq!(state.status, "needs_reauth");
    assert_eq!(state.reason.as_deref(), Some("refresh_interrupted"));
    // Marked by a data plane, told by the control plane, once.
    fixture.stack.add_control_plane().unwrap();
    let told = "select count(*) from ah5.t_notifications where kind = 'connection_needs_reauth'";
    until(|| async { fixture.number(told).await == 1 }).await;
    let left = "select count(*) from ah5.t_reauth_notices";
    assert_eq!(fixture.number(left).await, 0);
    let rows = "select count(*) from ah5.l_audit_events where action = 'connection_needs_reauth'";
    assert_eq!(fixture.number(rows).await, 1);
}

#[tokio::test]
async fn killed_before_the_commit_what_was_handed_out_is_taken_up_at_the_next_start() {
    let (mut fixture, account) = expired(Gate::Open).await;
    let lock = lock(&fixture, &account).await;
    let file = || handed(&fixture);
    let calls = async { while fixture.read(&account).await.status == 200 {} };
    tokio::select! {
        () = until(|| async { file().is_some() }) => {}
        () = calls => {}
    }
    until(|| async { handed(&fixture).is_some() }).await;
    // What is on disk opens to nobody without the key ring.
    let text = std::fs::read_to_string(handed(&fixture).unwrap()).unwrap();
    assert!(!text.contains("planted"), "{text}");
    die_waiting(&mut fixture).await;
    lock.batch_execute("rollback").await.unwrap();
    assert_eq!(fixture.state(&account.id).await, healthy(1));
    assert_eq!(fixture.endpoint.counts().refreshed, 1);

    fixture.stack.restart_data_plane(0).unwrap();
    until(|| async { fixture.state(&account.id).await.version == 2 }).await;
    until(|| async { handed(&fixture).is_none() }).await;
    until(|| async { fixture.read_at(1, &account).await.status == 200 }).await;
    assert_eq!(fixture.state(&account.id).await, healthy(2));
    let counts = fixture.endpoint.counts();
    assert_eq!((counts.requests, counts.replayed), (1, 0));
}

#[tokio::test]
async fn what_was_handed_out_heals_an_account_that_was_given_up_meanwhile() {
    let (mut fixture, account) = expired(Gate::Open).await;
    let lock = lock(&fixture, &account).await;
    let calls = async { while fixture.read(&account).await.status == 200 {} };
    tokio::select! {
        () = until(|| async { handed(&fixture).is_some() }) => {}
        () = calls => {}
    }
    until(|| async { handed(&fixture).is_some() }).await;
    die_waiting(&mut fixture).await;
    lock.batch_execute("rollback").await.unwrap();
    // Another replica comes first: the token was used already.
    fixture.end_lease(&account).await;
    assert_eq!(fixture.read_at(1, &account).await.status, 409);
    let state = fixture.state(&account.id).await;
    assert_eq!(state.reason.as_deref(), Some("refresh_interrupted"));
    fixture.stack.restart_data_plane(0).unwrap();
    until(|| async { fixture.state(&account.id).await == healthy(2) }).await;
}

#[tokio::test]
async fn killed_after_the_commit_nothing_is_lost() {
    let (mut fixture, account) = expired(Gate::Open).await;
    until(|| async {
        fixture.read(&account).await;
        fixture.state(&account.id).await.version == 2
    })
    .await;
    fixture.stack.kill_data_plane(0);
    until(|| async { fixture.read_at(1, &account).await.status == 200 }).await;
    let counts = fixture.endpoint.counts();
    assert_eq!((counts.requests, counts.refreshed), (1, 1));
    assert_eq!(fixture.state(&account.id).await, healthy(2));
}

/// Keeps whoever would commit waiting.
async fn lock(fixture: &Fixture, account: &Account) -> Client {
    let lock = database(&fixture.stack).await;
    let id = &account.id;
    let sql = format!("begin; select from ah5.t_connections where id = '{id}' for no key update");
    lock.batch_execute(&sql).await.unwrap();
    lock
}

/// Kills the first data plane while its commit waits. A statement that has reached the database would go
/// on without its client, so it is ended, too.
async fn die_waiting(fixture: &mut Fixture) {
    let waiting = "from pg_stat_activity
                   where wait_event_type = 'Lock' and query like '%commit_refresh%'";
    let waits = format!("select count(*) {waiting}");
    until(|| async { fixture.number(&waits).await > 0 }).await;
    fixture.stack.kill_data_plane(0);
    let ended = format!("select count(pg_terminate_backend(pid)) {waiting}");
    until(|| async { fixture.number(&ended).await > 0 }).await;
}

/// What the first data plane has on disk and not in the database.
fn handed(fixture: &Fixture) -> Option<PathBuf> {
    let folder = fixture.stack.folder().join("spool/0/refreshes");
    let files = std::fs::read_dir(folder).unwrap();
    let mut paths = files.map(|file| file.unwrap().path());
    paths.find(|path| path.extension().is_some_and(|it| it == "handed"))
}
