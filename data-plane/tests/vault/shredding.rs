//! A workspace whose secrets an operator destroys.

use std::sync::Arc;

use http::Method;
use serde_json::json;

use crate::fixture::Vault;
use crate::support::{self, World};

#[tokio::test(flavor = "multi_thread")]
async fn nothing_of_a_shredded_workspace_opens_but_from_a_backup_with_its_ring() {
    let stack = Arc::new(support::two_planes().start().unwrap());
    let vault = Vault::of(World::closed(stack.clone()).await).await;
    let bystander = World::closed(stack.clone()).await;
    bystander.allow(&["GET"], "/v2/**").await;
    let (world, bound) = (&vault.world, vault.connect().await);
    vault.make_channel().await;
    world.allow(&["GET"], "/v2/**").await;
    assert_eq!(world.get("/known").await.status, 200);
    let key = vault.key().await.unwrap();
    assert!(vault.open(&key, &bound).await.is_some());
    let before = stack.dump().unwrap();

    let id = vault.workspace.to_string();
    let plan = vault.operate(&["workspace", "shred", &id]);
    assert!(
        plan.contains("2 connection(s)") && plan.contains("--yes"),
        "{plan}"
    );
    let (code, said) = vault.try_operate(&["workspace", "shred", &id, "--yes", "another"]);
    assert!(code == 1 && said.contains("nothing was done"), "{said}");
    assert_eq!(world.get("/known").await.status, 200);
    let current = world
        .owner
        .get("/v1/workspaces/current")
        .await
        .unwrap()
        .json();
    let name = current["name"].as_str().unwrap();
    let said = vault.operate(&["workspace", "shred", &id, "--yes", name]);
    assert!(said.contains("its data key is deleted"), "{said}");
    assert!(said.contains("Backups of the database"), "{said}");

    for plane in 0..2 {
        world
            .until(|| async { world.get_at(plane, "/known").await.status != 200 })
            .await;
    }
    assert!(vault.key().await.is_none());
    let left = "select (select count(*) from ah5.t_connection_credentials where workspace_id = '$')
                     + (select count(*) from ah5.t_workspace_keys where workspace_id = '$')
                     + (select count(*) from ah5.t_workspace_oauth_apps where workspace_id = '$')
                     + (select count(*) from ah5.t_policies where workspace_id = '$' and status = 'active')
                     + (select count(*) from ah5.t_connections where workspace_id = '$' and status <> 'revoked')
                     + (select count(*) from ah5.t_agents where workspace_id = '$' and status <> 'disabled')";
    assert_eq!(world.number(&left.replace('$', &id)).await, 0);
    let told = world
        .owner
        .audit("action=workspace_shredded")
        .await
        .unwrap();
    assert_eq!(told[0]["actor"], json!("system"), "{}", told[0]);
    // Nothing can be stored in it any more; the others go on.
    let auth = json!({"kind": "bearer"});
    let refused = world
        .owner
        .connect(&world.url("/v2"), &auth, support::SECRET)
        .await;
    assert!(refused.unwrap_err().to_string().contains("409"));
    assert_eq!(bystander.get("/known").await.status, 200);
    let again = vault.operate(&["workspace", "shred", &id, "--yes", name]);
    assert!(again.contains("no data key any more"), "{again}");

    // A backup of before has the key still: shredding is as good as what becomes of the backups.
    stack.restore(&before).unwrap();
    let key = vault.key().await.unwrap();
    let opened = vault.open(&key, &bound).await.unwrap();
    assert_eq!(opened.0, support::SECRET);
    let call = bystander
        .agent
        .proxy(&bystander.connection, Method::GET, "/known");
    bystander
        .until(|| async { bystander.send(call.clone()).await.status == 200 })
        .await;
}
