//! When it can't start: a sentence, a code, and nothing touched.

use std::fs;
use std::net::TcpListener;

use rustix::process::Signal;

use crate::{Run, command, folder, said};

#[tokio::test]
async fn a_schema_of_a_newer_build_is_left_alone() {
    let folder = folder();
    let run = Run::start(folder.path());
    let url = fs::read_to_string(run.folder.join("secrets/migrate-database-url")).unwrap();
    let (client, connection) = tokio_postgres::connect(&url, tokio_postgres::NoTls)
        .await
        .unwrap();
    let driver = tokio::spawn(async move { drop(connection.await) });
    let newer = "insert into ah5.schema_history (version, name) values (9999, 'of tomorrow')";
    client.batch_execute(newer).await.unwrap();
    drop(client);
    driver.await.unwrap();
    run.signal(Signal::TERM);
    run.end();
    let (code, text) = said(&command(folder.path()).output().unwrap());
    assert_eq!(code, Some(1), "{text}");
    assert!(
        text.contains("(version 9999) is newer than this build"),
        "{text}"
    );
}

#[test]
fn every_fault_is_told_in_one_start() {
    let folder = folder();
    let mut command = command(folder.path());
    command.envs([
        ("PORT", "http"),
        ("SIMULATOR", "maybe"),
        ("DB_POOL_SIZE", "0"),
    ]);
    let (code, text) = said(&command.output().unwrap());
    assert_eq!(code, Some(64), "{text}");
    for name in ["PORT", "SIMULATOR", "DB_POOL_SIZE"] {
        assert!(text.contains(&format!("  - {name}: ")), "{text}");
    }
}

#[test]
fn a_taken_port_is_told_before_anything_is_started() {
    let folder = folder();
    let held = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = held.local_addr().unwrap().port().to_string();
    let mut command = command(folder.path());
    let (code, text) = said(&command.env("PORT", &port).output().unwrap());
    assert_eq!(code, Some(1), "{text}");
    assert!(
        text.contains(&format!("port {port} can't be used")),
        "{text}"
    );
    assert!(!folder.path().join("postgres/data").exists());
}

#[test]
fn a_data_folder_that_it_cannot_use_is_told_and_left_alone() {
    let folder = folder();
    let data = folder.path().join("postgres/data");
    fs::create_dir_all(data.join("global")).unwrap();
    let (code, text) = said(&command(folder.path()).output().unwrap());
    assert_eq!(code, Some(1), "{text}");
    assert!(
        text.contains("is not a complete PostgreSQL data folder"),
        "{text}"
    );

    fs::write(data.join("PG_VERSION"), "9\n").unwrap();
    fs::write(data.join("global/pg_control"), "").unwrap();
    let (code, text) = said(&command(folder.path()).output().unwrap());
    assert_eq!(code, Some(1), "{text}");
    assert!(text.contains("was made by PostgreSQL 9"), "{text}");
    assert!(
        text.contains("PostgreSQL 9 is not installed here"),
        "{text}"
    );
    assert!(data.join("PG_VERSION").exists());
}
