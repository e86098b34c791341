//! Everybody who might call: who may, who may in part, and who no longer may.

use ah5_contracts::role::Role;
use ah5_contracts::scope::Scope;
use ah5_testkit::client::{Call, Owner};
use serde_json::json;

use crate::support::World;
use crate::table::{Right, Route};

pub struct Caller {
    pub name: String,
    /// Header and value; none for a caller without a credential.
    credential: Option<(&'static str, String)>,
    kind: Kind,
}

enum Kind {
    Agent,
    /// A browser that is signed in and shows no token. It is itself to the routes of signing in,
    /// which are open and prove it themselves, and to those that say so; nobody to every other.
    Cookie,
    /// Nobody, or somebody whose credential is void.
    Nobody,
    Personal(Scope),
    Session(Role),
}

/// What the table says about a caller at a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// The route asks for no credential, so none makes a difference.
    Alike,
    Forbidden,
    /// The route itself decides.
    Own,
    Passes,
    Unknown,
}

/// As many as can be told apart.
pub async fn all(world: &World) -> Vec<Caller> {
    let bearer = |token: &str| Some(("authorization", format!("Bearer {token}")));
    let caller = |name: &str, credential, kind| Caller {
        name: name.to_owned(),
        credential,
        kind,
    };
    let mut callers = vec![
        caller("agent", bearer(&world.agent().await.token), Kind::Agent),
        caller(
            "owner",
            bearer(&world.owner.token),
            Kind::Session(Role::Owner),
        ),
    ];
    for role in [Role::Viewer, Role::Approver, Role::Admin] {
        let member = world.member(role.as_str()).await;
        callers.push(caller(
            role.as_str(),
            bearer(&member.token),
            Kind::Session(role),
        ));
    }
    let stranger = world.stranger().await;
    let stranger = bearer(&stranger.token);
    callers.push(caller(
        "other workspace's owner",
        stranger,
        Kind::Session(Role::Owner),
    ));
    for &scope in Scope::EVERY {
        let (_, token) = personal(&world.owner, scope.as_str()).await;
        let name = format!("personal token for {scope}");
        callers.push(caller(
            &name,
            Some(("x-api-key", token)),
            Kind::Personal(scope),
        ));
    }
    let cookie = Some(("cookie", world.owner.cookie.clone()));
    callers.push(caller("cookie alone", cookie, Kind::Cookie));
    for (name, credential) in void(world).await {
        callers.push(caller(&name, credential, Kind::Nobody));
    }
    callers
}

/// A personal token of this person: its id and itself.
pub async fn personal(person: &Owner, scope: &str) -> (String, String) {
    let body = json!({"name": scope, "scopes": [scope]});
    let made = person.post("/v1/tokens", &body).await.unwrap();
    let made = made.expect(200).unwrap();
    let text = |pointer| made.pointer(pointer).unwrap().as_str().unwrap().to_owned();
    (text("/token/id"), text("/plainToken"))
}

/// Credentials that are none, or no longer. Each was good once, but for the made-up ones.
async fn void(world: &World) -> Vec<(String, Option<(&'static str, String)>)> {
    let bearer = |token: &str| Some(("authorization", format!("Bearer {token}")));
    let mut void = vec![
        ("no credential".into(), None),
        ("made-up token".into(), bearer("ah5p_made-up")),
        ("made-up agent token".into(), bearer("ah5t_a.b.c")),
        (
            "user token as a key".into(),
            Some(("x-api-key", world.owner.token.clone())),
        ),
    ];
    let stopped = world.agent().await;
    world.owner.disable(&stopped.id).await.unwrap();
    void.push(("disabled agent".into(), bearer(&stopped.token)));

    let (id, token) = personal(&world.owner, "*").await;
    let gone = world
        .owner
        .delete(&format!("/v1/tokens/{id}"))
        .await
        .unwrap();
    gone.expect(200).unwrap();
    void.push(("revoked personal token".into(), bearer(&token)));

    let (id, token) = personal(&world.owner, "*").await;
    let past = "update ah5.t_personal_tokens set expires_at = now() where id";
    world.sql(&format!("{past} = '{id}'")).await;
    void.push(("expired personal token".into(), bearer(&token)));

    let of = |person: &Owner, what: &str| {
        format!(
            "update ah5.{what} (select id from ah5.t_users where email = '{}')",
            person.email
        )
    };
    let disabled = world.stranger().await;
    let (_, token) = personal(&disabled, "*").await;
    world
        .sql(&of(&disabled, "t_users set disabled_at = now() where id ="))
        .await;
    void.push(("disabled person".into(), bearer(&disabled.token)));
    void.push(("disabled person's token".into(), bearer(&token)));

    let late = world.stranger().await;
    world
        .sql(&of(
            &late,
            "t_sessions set expires_at = now() where user_id =",
        ))
        .await;
    void.push(("expired session".into(), bearer(&late.token)));

    let left = world.stranger().await;
    left.with_cookie("/api/auth/sign-out")
        .await
        .unwrap()
        .expect(200)
        .unwrap();
    void.push(("ended session".into(), bearer(&left.token)));

    let removed = world.member("admin").await;
    let (_, token) = personal(&removed, "*").await;
    let members = "delete from ah5.t_workspace_members where user_id =";
    let user = format!(
        "(select id from ah5.t_users where email = '{}')",
        removed.email
    );
    world.sql(&format!("{members} {user}")).await;
    void.push(("removed member".into(), bearer(&removed.token)));
    void.push(("removed member's token".into(), bearer(&token)));
    void
}

// === impl Caller ===

impl Caller {
    pub fn sign(&self, call: Call) -> Call {
        match &self.credential {
            Some((name, value)) => call.header(*name, value),
            None => call,
        }
    }

    /// By the table alone.
    pub fn verdict(&self, route: &Route) -> Verdict {
        let may = match (&self.kind, &route.right) {
            (Kind::Cookie, Right::Open) => return Verdict::Own,
            (_, Right::Open) => return Verdict::Alike,
            // It is an owner's.
            (Kind::Cookie, _) if route.cookie => true,
            (Kind::Cookie | Kind::Nobody, _) => return Verdict::Unknown,
            (Kind::Agent, right) => matches!(right, Right::Agent(..) | Right::AgentOnly),
            (Kind::Personal(_) | Kind::Session(_), Right::AgentOnly) => false,
            (Kind::Personal(_), Right::Session(_)) => false,
            // Of an owner's: the role is never what is missing.
            (Kind::Personal(scope), Right::Agent(_, needed) | Right::User(_, needed)) => {
                scope.as_str() == needed
            }
            (
                Kind::Session(role),
                Right::Agent(needed, _) | Right::Session(needed) | Right::User(needed, _),
            ) => role >= needed,
        };
        if may {
            Verdict::Passes
        } else {
            Verdict::Forbidden
        }
    }
}
