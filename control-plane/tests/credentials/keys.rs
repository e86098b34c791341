//! Keys of the catalogue's services: taken only from whom the provider knows.

use ah5_providers::catalogue;
use ah5_providers::service::Credential;
use futures_util::future::join_all;
use serde_json::{Value, json};

use crate::fixture::{BUSY, DOWN, Fixture, GOOD, PERSON, SITE, WRONG, body, nothing_leaked, shown};
use crate::support::{World, error, of};

/// Service, provider, the refusal of a wrong key, and what is then known of the account.
fn services() -> Vec<(&'static str, &'static str, &'static str, Value)> {
    let none = || json!({});
    vec![
        (
            "anthropic-messages",
            "anthropic",
            "Anthropic credential is invalid. Check your key at console.anthropic.com.",
            none(),
        ),
        (
            "openai",
            "openai",
            "OpenAI API key is invalid. Check your key at platform.openai.com.",
            none(),
        ),
        (
            "gemini",
            "gemini",
            "Gemini API key is invalid. Check your key at aistudio.google.com/apikey.",
            none(),
        ),
        (
            "openrouter",
            "openrouter",
            "OpenRouter API key is invalid. Check your key at openrouter.ai/settings/keys.",
            none(),
        ),
        (
            "notion",
            "notion",
            "Notion integration token is invalid. Check your token at \
             notion.so/profile/integrations.",
            json!({"botName": "Filer", "botOwnerId": "u-1"}),
        ),
        (
            "trello",
            "trello",
            "Trello credentials are invalid. Check your Power-Up API key and user token.",
            json!({"fullName": "Ann B", "username": "annb"}),
        ),
        (
            "jira",
            "jira",
            "Jira credentials are invalid (HTTP 401). Check your site URL, email, and API token.",
            json!({"displayName": "Ann of Acme", "siteUrl": SITE, "email": PERSON}),
        ),
        (
            "stripe",
            "stripe",
            "Stripe API key is invalid. Check your key at dashboard.stripe.com.",
            none(),
        ),
        (
            "airtable",
            "airtable",
            "Airtable token is invalid. Check it at airtable.com/create/tokens.",
            none(),
        ),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_is_stored_once_its_provider_takes_it() {
    let fixture = Fixture::open().await;
    let services = services();
    let with_keys = catalogue::services().iter();
    let with_keys = with_keys.filter(|it| it.credential == Credential::ApiKey);
    assert_eq!(with_keys.count(), services.len(), "try every one of them");
    for (service, provider, refusal, metadata) in services {
        let refused = fixture.key(service, WRONG).await;
        assert_eq!(
            (refused.status.as_u16(), error(&refused)),
            (400, refusal.into())
        );
        // Nothing that a provider in trouble says is held against the key.
        for key in [BUSY, DOWN] {
            let unknown = fixture.key(service, key).await;
            let text =
                format!("Could not reach {provider} API to validate the key. Please try again.");
            assert_eq!((unknown.status.as_u16(), error(&unknown)), (400, text));
        }
        let made = fixture.key(service, &format!(" {GOOD} ")).await;
        let made = made.expect(200).unwrap();
        let text = format!("{provider} connection created successfully");
        assert_eq!(made["message"], text);
        assert_eq!(
            made["connection"]["label"],
            format!("{provider} connection")
        );
        let shown = fixture
            .shown(made["connection"]["id"].as_str().unwrap())
            .await;
        assert_eq!(shown["metadata"], metadata, "{service}");
        assert_eq!(shown["status"], "healthy");
        let known = catalogue::find(service).unwrap();
        assert_eq!(shown["singleton"], known.singleton);
        assert_eq!(shown["grantedScopes"], json!(known.granted_scopes));
        assert_eq!(shown["credentialPreview"]["primaryMasked"], "plan...6789");
        let tested = fixture.test(shown["id"].as_str().unwrap()).await;
        assert_eq!(tested.expect(200).unwrap()["provider"], provider);
    }
    let shown = fixture.world.get("/v1/connections").await.json();
    assert_eq!(shown["connections"].as_array().unwrap().len(), 9);
    let trello = &shown["connections"][5]["credentialPreview"];
    assert_eq!(trello["primaryLabel"], "User token");
    assert_eq!(trello["secondaryLabel"], "App key");
    let jira = &shown["connections"][6]["credentialPreview"];
    assert_eq!(
        (&jira["primaryLabel"], &jira["tertiaryValue"]),
        (&json!("API token"), &json!(SITE))
    );
    let app_key = "planted-app-key-0123456789";
    nothing_leaked(&fixture.world, &[GOOD, WRONG, BUSY, DOWN, app_key]);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_workspace_has_no_more_connections_than_it_may() {
    let fixture = Fixture::open().await;
    let current = fixture.world.get("/v1/workspaces/current").await.json();
    let workspace = current["id"].as_str().unwrap();
    let almost = format!(
        "insert into ah5.t_connections
             (id, workspace_id, provider, service, label, base_url, auth, granted_scopes)
         select gen_random_uuid(), '{workspace}', 'custom', 'custom-http', 'l',
                'https://h.example/', '{{\"kind\": \"bearer\"}}', '{{}}'
         from generate_series(1, 499)"
    );
    fixture.world.sql(&almost).await;
    // However many come at once for the last place.
    let answers = join_all((0..6).map(|_| fixture.key("stripe", GOOD))).await;
    let made = answers.iter().filter(|answer| answer.status == 200).count();
    assert_eq!(made, 1);
    let asked = fixture.provider.journal().len();
    let refused = fixture.key("stripe", GOOD).await;
    let why = "This workspace has 500 connections, and may have no more";
    assert_eq!((refused.status.as_u16(), &*error(&refused)), (409, why));
    assert_eq!(fixture.provider.journal().len(), asked, "nobody is asked");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_form_gets_wrong_is_named_and_nobody_is_asked() {
    let fixture = Fixture::open().await;
    let allowed = "must be equal to one of the allowed values";
    let with = |service: &str, field: &str, value: Value| {
        let mut body = body(service, GOOD);
        body[field] = value;
        body
    };
    let without = |service: &str, field: &str| {
        let mut body = body(service, GOOD);
        body.as_object_mut().unwrap().remove(field);
        body
    };
    for (body, text) in [
        (
            json!({"apiKey": GOOD}),
            "body must have required property 'service'".into(),
        ),
        (
            json!({"service": "fax", "apiKey": GOOD}),
            format!("body/service {allowed}"),
        ),
        (
            json!({"service": "slack", "apiKey": GOOD}),
            format!("body/service {allowed}"),
        ),
        (
            with("openai", "provider", "anthropic".into()),
            format!("body/provider {allowed}"),
        ),
        (
            json!({"service": "openai"}),
            "body must have required property 'apiKey'".into(),
        ),
        (
            json!({"service": "openai", "apiKey": " "}),
            "apiKey is required".into(),
        ),
        (
            json!({"service": "openai", "apiKey": "short"}),
            "body/apiKey must be 8 to 8192 bytes long".into(),
        ),
        (
            json!({"service": "openai", "apiKey": "planted-good\r\nx-evil: 1"}),
            "body/apiKey holds characters that cannot be sent".into(),
        ),
        (
            without("jira", "email"),
            "email is required for Jira connections".into(),
        ),
        (
            without("jira", "siteUrl"),
            "siteUrl is required for Jira connections".into(),
        ),
        (
            without("trello", "appKey"),
            "appKey (Trello Power-Up API key) is required for Trello connections".into(),
        ),
        (
            with("trello", "appKey", "planted-good\nplanted-good".into()),
            "body/appKey holds characters that cannot be sent".into(),
        ),
        (
            with("jira", "email", "ann:b@acme.example".into()),
            "body/email cannot be sent".into(),
        ),
    ] {
        let refused = fixture.connect("api-key", &body).await;
        assert_eq!((refused.status.as_u16(), error(&refused)), (400, text));
    }
    let mine = json!({"service": "anthropic-messages", "apiKey": "sk-ant-oat01-planted-good-1"});
    let refused = fixture.connect("api-key", &mine).await;
    assert!(error(&refused).contains("subscription tokens are not supported"));
    let imported = json!({"accessToken": GOOD, "refreshToken": GOOD});
    let refused = fixture.connect("anthropic-oauth", &imported).await;
    assert_eq!(refused.status, 400);
    assert!(error(&refused).contains("subscription tokens are not supported"));
    assert_eq!(fixture.provider.connections(), 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn of_what_agents_name_by_its_service_there_is_one() {
    let fixture = Fixture::open().await;
    let racing = (0..8).map(|_| fixture.key("openai", GOOD));
    let racing = join_all(racing).await;
    let made: Vec<_> = racing.iter().filter(|it| it.status == 200).collect();
    assert_eq!(made.len(), 1, "of eight at once");
    for lost in racing.iter().filter(|it| it.status != 200) {
        let text = "There is already a connection to OpenAI".to_owned();
        assert_eq!((lost.status.as_u16(), error(lost)), (409, text));
    }
    // Another workspace's is another's, and what was revoked is none.
    let other = fixture.world.stranger().await;
    let form = body("openai", GOOD);
    let theirs = other.post("/v1/connections/api-key", &form).await.unwrap();
    assert_eq!(theirs.status, 200);
    let id = made[0].json()["connection"]["id"].clone();
    let path = format!("/v1/connections/{}", id.as_str().unwrap());
    let gone = fixture.world.owner.delete(&path).await.unwrap();
    assert_eq!(gone.expect(200).unwrap()["revoked"], true);
    assert_eq!(fixture.key("openai", GOOD).await.status, 200);
    // Of others there may be many.
    for _ in 0..2 {
        assert_eq!(fixture.key("notion", GOOD).await.status, 200);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_agent_sees_no_preview_and_types_no_credential() {
    let fixture = Fixture::open().await;
    let world: &World = &fixture.world;
    let id = fixture.made("notion", GOOD).await;
    let agent = world.agent().await;
    let all = json!([{"baseUrl": "https://api.notion.com", "methods": ["GET"],
                      "pathPatterns": ["/v1/**"]}]);
    let limits = json!({"maxRequestsPerHour": 7});
    let policy = world.owner.allow(&agent.id, &id, &all).await.unwrap();
    let path = format!("/v1/policies/{policy}/rate-limits");
    let put = world.put(&path, &json!({"rateLimits": limits})).await;
    put.expect(200).unwrap();
    let seen = shown(world, &id).await;
    assert_eq!(seen["credentialPreview"]["primaryLabel"], "API key");
    assert_eq!(seen["policies"][0]["rateLimits"], limits);
    let call = ah5_testkit::client::Call::get("/v1/connections").bearer(&agent.token);
    let listed = world.send(call).await.json();
    assert_eq!(listed["connections"][0]["id"], id);
    assert_eq!(listed["connections"][0]["credentialPreview"], Value::Null);
    for (path, body) in [
        ("api-key".to_owned(), body("notion", GOOD)),
        (format!("{id}/test"), json!({})),
        (format!("{id}/reauth"), json!({"apiKey": GOOD})),
    ] {
        let path = format!("/v1/connections/{path}");
        let call = ah5_testkit::client::Call::post(path).json(&body);
        let answer = world.send(call.bearer(&agent.token)).await;
        assert_eq!(of(&answer).0, 403, "{}", answer.text());
    }
}
