//! What people see of agents, and who answers for one.

use serde_json::{Value, json};

use crate::support::{World, error, of};

async fn owner_of(world: &World, agent: &str) -> Value {
    let shown = world.get(&format!("/v1/agents/{agent}")).await;
    shown.json()["agent"]["owner"].clone()
}

async fn user_id(person: &ah5_testkit::client::Owner, world: &World) -> String {
    let members = world.get("/v1/workspaces/current/members").await.json();
    let members = members["members"].as_array().unwrap().clone();
    let me = members.iter().find(|m| m["email"] == *person.email);
    me.unwrap()["userId"].as_str().unwrap().to_owned()
}

#[tokio::test]
async fn an_agent_belongs_to_whoever_made_it_until_an_admin_says_otherwise() {
    let world = World::open().await;
    let (admin, viewer) = (world.member("admin").await, world.member("viewer").await);
    let agent = admin.create_agent("bot").await.unwrap().id;
    let (admin_id, viewer_id) = (
        user_id(&admin, &world).await,
        user_id(&viewer, &world).await,
    );
    let owner = |id: &str| json!({"id": id, "name": "Ann", "status": "active"});
    assert_eq!(owner_of(&world, &agent).await, owner(&admin_id));

    let path = format!("/v1/agents/{agent}/owner");
    let to = |id: &str| json!({"userId": id});
    let refused = viewer.put(&path, &to(&viewer_id)).await.unwrap();
    assert_eq!(refused.status, 403);
    let handed = admin.put(&path, &to(&viewer_id)).await.unwrap();
    let handed = handed.expect(200).unwrap();
    assert_eq!(handed["agent"]["owner"], owner(&viewer_id));
    let trail = world.audit("action=agent_owner_changed").await;
    assert_eq!(
        trail[0]["metadata"],
        json!({"from": admin_id, "to": viewer_id, "spoolId": trail[0]["metadata"]["spoolId"]})
    );

    let stranger = world.stranger().await;
    let refused = stranger.put(&path, &to(&viewer_id)).await.unwrap();
    assert_eq!(of(&refused), (404, json!({"error": "Agent not found"})));
    let nobody = to("00000000-0000-4000-8000-000000000000");
    let refused = world.put(&path, &nobody).await;
    assert_eq!(of(&refused), (404, json!({"error": "Member not found"})));
}

#[tokio::test]
async fn an_agent_outlives_its_owner_and_says_so() {
    let world = World::open().await;
    let admin = world.member("admin").await;
    let agent = admin.create_agent("bot").await.unwrap().id;
    let id = user_id(&admin, &world).await;
    let disabled = async |at: &str| {
        let sql = "update ah5.t_users set disabled_at";
        world.sql(&format!("{sql} = {at} where id = '{id}'")).await;
    };
    disabled("now()").await;
    assert_eq!(owner_of(&world, &agent).await["status"], "disabled");
    let path = format!("/v1/agents/{agent}/owner");
    let refused = world.put(&path, &json!({"userId": id})).await;
    assert_eq!(refused.status, 409, "nobody who is gone is put in charge");
    disabled("null").await;
    let leave = format!("/v1/workspaces/current/members/{id}");
    let left = world.owner.delete(&leave).await.unwrap();
    left.expect(200).unwrap();
    let owner = json!({"id": id, "name": "Ann", "status": "left"});
    assert_eq!(owner_of(&world, &agent).await, owner);
    let listed = world.get("/v1/agents").await.json();
    assert_eq!(listed["agents"][0]["owner"], owner);
    assert_eq!(listed["agents"][0]["status"], "created", "and works on");
}

#[tokio::test]
async fn icons_are_images_and_can_be_taken_away() {
    let world = World::open().await;
    let make = async |icon: Value| {
        let body = json!({"name": "bot", "iconUrl": icon});
        world.post("/v1/agents", &body).await
    };
    for bad in [
        json!("javascript:alert(1)"),
        json!("data:text/html,x"),
        json!(null),
    ] {
        assert_eq!(make(bad.clone()).await.status, 400, "{bad}");
    }
    let long = format!("data:image/png;base64,{}", "A".repeat(64 * 1024));
    assert_eq!(make(long.into()).await.status, 400);
    let made = make(json!("https://example.com/a.png")).await.json();
    let path = format!("/v1/agents/{}", made["agent"]["id"].as_str().unwrap());
    let bad = world.put(&path, &json!({"iconUrl": "blob:x"})).await;
    let text = "body/iconUrl must be an http, https or data:image URL";
    assert_eq!((bad.status.as_u16(), &*error(&bad)), (400, text));
    let changed = world.put(&path, &json!({"iconUrl": null})).await;
    let changed = changed.expect(200).unwrap();
    assert_eq!(changed["agent"]["iconUrl"], json!(null));
    let nothing = world.put(&path, &json!({})).await;
    let text = "At least one field (name, description, iconUrl, requireDpop) must be provided";
    assert_eq!((nothing.status.as_u16(), &*error(&nothing)), (400, text));
}
