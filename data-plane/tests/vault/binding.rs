//! Whatever a writer to the database changes of a credential or of what it is bound to, the credential
//! goes nowhere. Both data planes are asked after every change, and after it was undone.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use ah5_contracts::id::OAuthAppId;
use http::Method;

use crate::fixture::{Bound, Vault};
use crate::support::{self, World};

/// What is done to a row, and what undoes it.
struct Change {
    name: &'static str,
    sql: String,
    undo: String,
}

#[tokio::test(flavor = "multi_thread")]
async fn a_credential_whose_row_was_changed_is_shown_to_nobody() {
    let stack = Arc::new(support::two_planes().start().unwrap());
    let vault = Vault::of(World::closed(stack.clone()).await).await;
    let stranger = Vault::of(World::closed(stack).await).await;
    let (bound, other) = (vault.connect().await, vault.connect().await);
    let foreign = stranger.connect().await;
    let app = OAuthAppId::random();
    vault.make_app(app).await;
    let world = &vault.world;
    let lists = world.allowlists(&["GET"], "/**");
    for connection in [&bound, &other] {
        let id = connection.id.to_string();
        world
            .owner
            .allow(&world.agent.id, &id, &lists)
            .await
            .unwrap();
    }
    answers(&vault, &bound, 200).await;
    answers(&vault, &other, 200).await;

    let mut refused = 0;
    for change in changes(&vault, &bound, &other, &stranger, &foreign, app) {
        let before = world.seen("/v2/known").await.len();
        world.sql(&change.sql).await;
        let (good, cut) = answers(&vault, &bound, 500).await;
        let after = world.seen("/v2/known").await.len();
        // A call that was cut may have been sent before the change.
        let known = good..=good + cut;
        assert!(
            known.contains(&(after - before)),
            "{}: something got through",
            change.name
        );
        // Known everywhere now: whatever is asked reaches nobody.
        for _ in 0..5 {
            for plane in 0..2 {
                let answer = call(&vault, plane, &bound).await;
                let (status, text) = answer;
                assert_eq!(status, 500, "{}: {text}", change.name);
                assert!(
                    text.contains("Failed to decrypt connection tokens"),
                    "{text}"
                );
                refused += 1;
            }
        }
        assert_eq!(
            world.seen("/v2/known").await.len(),
            after,
            "{}",
            change.name
        );
        assert!(world.seen("/v3/known").await.is_empty(), "{}", change.name);
        world.sql(&change.undo).await;
        answers(&vault, &bound, 200).await;
    }
    println!("{refused} calls with a changed row, none of which reached the provider");
}

fn changes(
    vault: &Vault,
    bound: &Bound,
    other: &Bound,
    stranger: &Vault,
    foreign: &Bound,
    app: OAuthAppId,
) -> Vec<Change> {
    let (id, workspace) = (bound.id, vault.workspace);
    let row = |name, column: &str, value: &str| {
        Change {
        name,
        sql: format!(
            "create table if not exists public.kept as select * from ah5.t_connections where id = '{id}';
             update ah5.t_connections set {column} = {value} where id = '{id}'"
        ),
        undo: format!(
            "update ah5.t_connections c set {column} = k.{column} from public.kept k
             where c.id = k.id and c.id = '{id}'; drop table public.kept"
        ),
    }
    };
    let credential = |name, change: &str| Change {
        name,
        sql: format!(
            "create table public.kept as
                 select * from ah5.t_connection_credentials where connection_id = '{id}';
             update ah5.t_connection_credentials set {change} where connection_id = '{id}'"
        ),
        undo: "update ah5.t_connection_credentials c
             set version = k.version, sealed = k.sealed, sealed_refresh = k.sealed_refresh
             from public.kept k where c.connection_id = k.connection_id; drop table public.kept"
            .to_owned(),
    };
    let key = |name, change: &str| Change {
        name,
        sql: format!(
            "create table public.kept as
                 select * from ah5.t_workspace_keys where workspace_id = '{workspace}';
             update ah5.t_workspace_keys set {change} where workspace_id = '{workspace}'"
        ),
        undo: "update ah5.t_workspace_keys w
               set ring_key_id = k.ring_key_id, wrapped = k.wrapped,
                   previous_ring_key_id = null, previous_wrapped = null
               from public.kept k where w.workspace_id = k.workspace_id; drop table public.kept"
            .to_owned(),
    };
    let sealed_of = |id: &dyn std::fmt::Display| {
        format!("(select sealed from ah5.t_connection_credentials where connection_id = '{id}')")
    };
    let base = vault.world.url("/v3");
    let theirs = stranger.workspace;
    vec![
        row("base_url", "base_url", &format!("'{base}'")),
        row("auth: another name", "auth", r#"'{"kind":"header","name":"x-other"}'"#),
        row("auth: another kind", "auth", r#"'{"kind":"bearer"}'"#),
        row("oauth_app_id: another", "oauth_app_id", &format!("'{app}'")),
        row("oauth_app_id: none", "oauth_app_id", "null"),
        row("token_url: another", "token_url", "'https://evil.example.com/token'"),
        row("token_url: none", "token_url", "null"),
        row("mail: another host", "mail", "jsonb_set(mail, '{smtp,host}', '\"evil.example.com\"')"),
        row("mail: another port", "mail", "jsonb_set(mail, '{imap,port}', '994')"),
        row("mail: another user", "mail", "jsonb_set(mail, '{imap,username}', '\"b\"')"),
        row("mail: without TLS", "mail", "jsonb_set(mail, '{smtp,security}', '\"none\"')"),
        row("mail: none", "mail", "null"),
        row("mail: malformed", "mail", "'{}'"),
        credential("version", "version = version + 1"),
        credential("field", "sealed = sealed_refresh"),
        credential("another connection's", &format!("sealed = {}", sealed_of(&other.id))),
        credential("another workspace's", &format!("sealed = {}", sealed_of(&foreign.id))),
        credential("a bit of the text", "sealed = set_bit(sealed, 8 * 20, 1 - get_bit(sealed, 8 * 20))"),
        credential("a bit of the nonce", "sealed = set_bit(sealed, 8 * 2, 1 - get_bit(sealed, 8 * 2))"),
        credential(
            "a bit of the tag",
            "sealed = set_bit(sealed, 8 * length(sealed) - 1, 1 - get_bit(sealed, 8 * length(sealed) - 1))",
        ),
        credential("cut short", "sealed = substr(sealed, 1, length(sealed) - 1)"),
        credential("all but the version byte", "sealed = '\\x02'"),
        key(
            "another workspace's data key",
            &format!("wrapped = (select wrapped from ah5.t_workspace_keys where workspace_id = '{theirs}')"),
        ),
        key("another key of the ring", "ring_key_id = 'other'"),
        key(
            "another workspace's data key before",
            &format!(
                "previous_ring_key_id = ring_key_id,
                 previous_wrapped = (select wrapped from ah5.t_workspace_keys where workspace_id = '{theirs}')"
            ),
        ),
    ]
}

/// Asks both data planes until they answer so. How many were answered well until then, and how many
/// were cut as the row changed.
async fn answers(vault: &Vault, bound: &Bound, status: u16) -> (usize, usize) {
    let (good, cut) = (AtomicUsize::new(0), AtomicUsize::new(0));
    for plane in 0..2 {
        vault
            .world
            .until(|| async {
                let (found, text) = call(vault, plane, bound).await;
                let was_cut = text.contains("stopped being allowed");
                good.fetch_add(usize::from(found == 200), Ordering::Relaxed);
                cut.fetch_add(usize::from(was_cut), Ordering::Relaxed);
                found == status
            })
            .await;
    }
    (good.into_inner(), cut.into_inner())
}

async fn call(vault: &Vault, plane: usize, bound: &Bound) -> (u16, String) {
    let world = &vault.world;
    let call = world
        .agent
        .proxy(&bound.id.to_string(), Method::GET, "/known");
    let answer = world.planes[plane].send(call).await.unwrap();
    (answer.status.as_u16(), answer.text())
}
