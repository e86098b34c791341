//! Many write at once, commit when they like, and a reader comes and goes at two control planes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use ah5_contracts::id::WorkspaceId;
use ah5_store::tenant::Tenant;
use ah5_testkit::client::{Call, Http};
use deadpool_postgres::Pool;
use rand::random_range;
use tokio::time::timeout;

use crate::reader::{Reader, STREAM};
use crate::support::{World, control_plane};
use crate::{insert, pool, workspace};

const WRITERS: usize = 6;
/// Of each writer.
const WRITTEN: usize = 40;
const MOST_SILENCE: Duration = Duration::from_millis(500);

/// Returns the ids that were committed.
async fn write(pool: Pool, workspace: WorkspaceId, name: usize) -> Vec<String> {
    let mut written = Vec::new();
    while written.len() < WRITTEN {
        let mut db = pool.get().await.unwrap();
        let tenant = Tenant::begin(&mut db, workspace).await.unwrap();
        let mut ids = Vec::new();
        for _ in 0..random_range(1..3) {
            ids.push(
                insert(&tenant, &format!("by {name}"), None)
                    .await
                    .to_string(),
            );
        }
        tokio::time::sleep(Duration::from_millis(random_range(0..20))).await;
        if random_range(0..8) == 0 {
            drop(tenant);
            continue;
        }
        tenant.commit().await.unwrap();
        drop(db);
        written.append(&mut ids);
        tokio::time::sleep(Duration::from_millis(random_range(0..20))).await;
    }
    written
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_who_drops_and_resumes_misses_nothing_and_gets_nothing_twice() {
    let mut stack = control_plane().start().unwrap();
    let second = stack.add_control_plane().unwrap();
    let world = World::at(Arc::new(stack)).await;
    let planes = [
        world.http.clone(),
        Http::new(format!("http://{}", second.listen)),
    ];
    let here = workspace(&world.owner).await;
    let pool = pool(&world.stack, WRITERS);
    let writers = (0..WRITERS).map(|name| tokio::spawn(write(pool.clone(), here, name)));
    let writers: Vec<_> = writers.collect();
    let mut writing = tokio::spawn(async move {
        let mut all = Vec::new();
        for writer in writers {
            all.extend(writer.await.unwrap());
        }
        all
    });
    // Something is there already when the reader looks at the list.
    crate::until("there is one", async || {
        !crate::listed(&world.owner).await.is_empty()
    })
    .await;
    let list = world.get("/v1/notifications?limit=100").await;
    let list = list.expect(200).unwrap();
    let mut last = list["lastEventId"].as_str().unwrap().to_owned();
    let in_list = list["notifications"].as_array().unwrap();
    let in_list = in_list
        .iter()
        .map(|it| it["id"].as_str().unwrap().to_owned());
    let mut seen: Vec<String> = in_list.rev().collect();
    let listed_at_first = seen.len();

    let mut written: Option<Vec<String>> = None;
    let (mut drops, mut plane_used) = (0, [0, 0]);
    loop {
        if written.is_none() && writing.is_finished() {
            written = Some((&mut writing).await.unwrap());
        }
        let all_seen = written.as_ref().is_some_and(|all| seen.len() >= all.len());
        if all_seen && drops > 20 {
            break;
        }
        let plane = random_range(0..2);
        plane_used[plane] += 1;
        let call = match drops {
            // As a page does that has just read the list.
            0 => Call::get(format!("{STREAM}?lastEventId={last}")),
            _ => Call::get(STREAM).header("last-event-id", &last),
        };
        let mut reader = Reader::open(&planes[plane], call.bearer(&world.owner.token)).await;
        let connected = reader.next().await.unwrap();
        assert_eq!((&*connected.name, &connected.id), ("connected", &last));
        for _ in 0..random_range(0..12) {
            // It may be that nothing is left to come.
            let Ok(event) = timeout(MOST_SILENCE, reader.next()).await else {
                break;
            };
            let event = event.unwrap();
            seen.push(event.data["id"].as_str().unwrap().to_owned());
            last = event.id;
        }
        drops += 1;
        assert!(
            drops < 2000,
            "{} of {:?}",
            seen.len(),
            written.map(|it| it.len())
        );
    }
    let written = written.unwrap();
    let mut times = HashMap::<&String, usize>::new();
    for id in &seen {
        *times.entry(id).or_default() += 1;
    }
    let lost = written.iter().filter(|id| !times.contains_key(id)).count();
    let twice = times.values().filter(|times| **times > 1).count();
    println!(
        "{} written by {WRITERS}, {listed_at_first} of them listed at first, {drops} readers: \
         {lost} lost, {twice} twice; connections at each plane: {plane_used:?}",
        written.len()
    );
    assert_eq!((lost, twice, seen.len()), (0, 0, written.len()));
    assert!(plane_used.iter().all(|used| *used > 0) && drops > 20);
    // In the order of their numbers.
    let tail = last.split('-').next().unwrap().parse::<usize>().unwrap();
    assert_eq!(tail, written.len());
}
