//! Members, their roles, and how one becomes one.
#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod support;

use http::Method;
use serde_json::json;
use support::{World, error, of};

use ah5_testkit::client::{Answer, Call, Owner};

const MEMBERS: &str = "/v1/workspaces/current/members";
const INVITATIONS: &str = "/v1/workspaces/current/invitations";

async fn id_of(world: &World, person: &Owner) -> String {
    let listed = world.get(MEMBERS).await.expect(200).unwrap();
    let members = listed["members"].as_array().unwrap().iter();
    let mut members = members.filter(|member| member["email"] == person.email.as_str());
    members.next().unwrap()["userId"]
        .as_str()
        .unwrap()
        .to_owned()
}

async fn set_role(by: &Owner, member: &str, role: &str) -> Answer {
    let path = format!("{MEMBERS}/{member}");
    by.put(&path, &json!({"role": role})).await.unwrap()
}

#[tokio::test]
async fn an_invitation_takes_a_proven_address_and_is_good_once() {
    let world = World::open().await;
    let guest = world.stranger().await;
    let body = json!({"email": guest.email.to_uppercase(), "role": "approver"});
    let invited = world.post(INVITATIONS, &body).await.expect(201).unwrap();
    let id = invited["invitation"]["id"].as_str().unwrap();
    let accept = format!("/v1/invitations/{id}/accept");

    // An address that merely counts as verified proves nothing.
    let none = guest
        .get("/v1/invitations")
        .await
        .unwrap()
        .expect(200)
        .unwrap();
    assert_eq!(none["invitations"], json!([]));
    let refused = guest.post(&accept, &json!({})).await.unwrap();
    assert_eq!(
        (refused.status.as_u16(), error(&refused)),
        (403, "Your address is not verified".into())
    );

    // Nor does somebody else's.
    let other = world.stranger().await;
    world.prove(&other).await;
    assert_eq!(other.post(&accept, &json!({})).await.unwrap().status, 404);

    world.prove(&guest).await;
    let open = guest
        .get("/v1/invitations")
        .await
        .unwrap()
        .expect(200)
        .unwrap();
    assert_eq!(open["invitations"][0]["role"], "approver");
    assert_eq!(guest.post(&accept, &json!({})).await.unwrap().status, 200);
    assert_eq!(guest.post(&accept, &json!({})).await.unwrap().status, 404);
    let joined = world.audit("action=member_joined").await;
    assert_eq!(joined[0]["metadata"]["role"], "approver");
}

#[tokio::test]
async fn a_withdrawn_or_overdue_invitation_lets_nobody_in() {
    let world = World::open().await;
    for overdue in [false, true] {
        let guest = world.stranger().await;
        world.prove(&guest).await;
        let body = json!({"email": guest.email, "role": "viewer"});
        let invited = world.post(INVITATIONS, &body).await.expect(201).unwrap();
        let id = invited["invitation"]["id"].as_str().unwrap();
        if overdue {
            let past = "update ah5.t_invitations set expires_at = now() where id";
            world.sql(&format!("{past} = '{id}'")).await;
        } else {
            let gone = world
                .owner
                .delete(&format!("{INVITATIONS}/{id}"))
                .await
                .unwrap();
            assert_eq!(gone.status, 200);
        }
        let path = format!("/v1/invitations/{id}/accept");
        assert_eq!(guest.post(&path, &json!({})).await.unwrap().status, 404);
    }
}

#[tokio::test]
async fn a_role_bounds_what_its_member_may_do_and_holds_at_once() {
    let world = World::open().await;
    let member = world.member("viewer").await;
    let id = id_of(&world, &member).await;
    let make = || async {
        member
            .post("/v1/agents", &json!({"name": "x"}))
            .await
            .unwrap()
    };
    assert_eq!(member.get("/v1/agents").await.unwrap().status, 200);
    assert_eq!(
        of(&make().await),
        (403, json!({"error": "This needs the role admin"}))
    );

    // The same token, before and after: the role is not in it.
    assert_eq!(set_role(&world.owner, &id, "admin").await.status, 200);
    assert_eq!(make().await.status, 200);
    assert_eq!(set_role(&world.owner, &id, "viewer").await.status, 200);
    assert_eq!(make().await.status, 403);

    let removed = world
        .owner
        .delete(&format!("{MEMBERS}/{id}"))
        .await
        .unwrap();
    assert_eq!(removed.status, 200);
    assert_eq!(member.get("/v1/agents").await.unwrap().status, 401);
}

#[tokio::test]
async fn admins_deal_with_those_below_them_only() {
    let world = World::open().await;
    let (admin, peer) = (world.member("admin").await, world.member("admin").await);
    let approver = world.member("approver").await;
    let owner_id = id_of(&world, &world.owner).await;
    let (peer_id, approver_id) = (id_of(&world, &peer).await, id_of(&world, &approver).await);

    assert_eq!(set_role(&admin, &approver_id, "viewer").await.status, 200);
    assert_eq!(set_role(&admin, &approver_id, "admin").await.status, 403);
    assert_eq!(set_role(&admin, &approver_id, "owner").await.status, 400);
    assert_eq!(set_role(&admin, &peer_id, "viewer").await.status, 403);
    assert_eq!(set_role(&admin, &owner_id, "viewer").await.status, 403);
    let out = |by: &Owner, id: &str| {
        let path = format!("{MEMBERS}/{id}");
        let by = Call::new(Method::DELETE, path).bearer(&by.token);
        async { world.send(by).await.status.as_u16() }
    };
    assert_eq!(out(&admin, &peer_id).await, 403);
    assert_eq!(out(&admin, &owner_id).await, 409);
    assert_eq!(out(&approver, &peer_id).await, 403);
    let invite = json!({"email": "new@example.com", "role": "admin"});
    assert_eq!(admin.post(INVITATIONS, &invite).await.unwrap().status, 403);
    // Anybody may leave, but the owner.
    assert_eq!(out(&approver, &approver_id).await, 200);
    assert_eq!(out(&world.owner, &owner_id).await, 409);
}

#[tokio::test]
async fn the_owner_hands_over_and_stays_an_admin() {
    let world = World::open().await;
    let heir = world.member("viewer").await;
    let id = id_of(&world, &heir).await;
    let path = "/v1/workspaces/current/transfer";
    assert_eq!(
        heir.post(path, &json!({"userId": id}))
            .await
            .unwrap()
            .status,
        403
    );
    let stranger = ah5_contracts::id::UserId::random();
    assert_eq!(
        world.post(path, &json!({"userId": stranger})).await.status,
        404
    );

    let handed = world
        .post(path, &json!({"userId": id}))
        .await
        .expect(200)
        .unwrap();
    assert_eq!(handed["ownerId"], id.as_str());
    assert_eq!(world.post(path, &json!({"userId": id})).await.status, 403);
    let renamed = json!({"name": "Ours"});
    assert_eq!(
        world.put("/v1/workspaces/current", &renamed).await.status,
        403
    );
    let renamed = heir.put("/v1/workspaces/current", &renamed).await.unwrap();
    assert_eq!(renamed.expect(200).unwrap()["name"], "Ours");
}

#[tokio::test]
async fn whoever_is_out_of_every_workspace_gets_one_of_their_own() {
    let world = World::open().await;
    let mut person = world.stranger().await;
    let own = person
        .get("/v1/workspaces/current")
        .await
        .unwrap()
        .expect(200)
        .unwrap();
    let id = own["id"].as_str().unwrap();
    world
        .sql(&format!("delete from ah5.t_workspaces where id = '{id}'"))
        .await;
    person.renew().await.unwrap();
    let fresh = person
        .get("/v1/workspaces/current")
        .await
        .unwrap()
        .expect(200)
        .unwrap();
    assert_ne!(fresh["id"], own["id"]);
}

#[tokio::test]
async fn one_person_owns_several_workspaces_and_switches_between_them() {
    let world = World::open().await;
    let made = world
        .post("/v1/workspaces", &json!({"name": "Second"}))
        .await;
    let made = made.expect(201).unwrap();
    world.owner.create_agent("of the first").await.unwrap();
    let listed = world.get("/v1/workspaces").await.expect(200).unwrap();
    assert_eq!(listed["workspaces"].as_array().unwrap().len(), 2);

    let http = &world.http;
    let (email, password) = (&world.owner.email, &world.owner.password);
    let mut again = Owner::sign_in(http, world.stack.origin(), email, password)
        .await
        .unwrap();
    again.switch(made["id"].as_str().unwrap()).await.unwrap();
    let agents = again.get("/v1/agents").await.unwrap().expect(200).unwrap();
    assert_eq!(agents, json!({"agents": []}));
    let foreign = world.stranger().await;
    let theirs = foreign
        .get("/v1/workspaces/current")
        .await
        .unwrap()
        .expect(200)
        .unwrap();
    assert!(again.switch(theirs["id"].as_str().unwrap()).await.is_err());
}
