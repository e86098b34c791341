//! The same for client assertions, which agents sign with keys of their own: whatever is wrong with
//! one, the token endpoint gives nothing.

use ah5_testkit::client::{Answer, Call};
use futures_util::{StreamExt as _, stream};
use jsonwebtoken::{Algorithm, EncodingKey};
use serde_json::{Value, json};

use crate::attacks::with_unused_bits;
use crate::forge::{Key, changed, message};
use crate::support::World;

/// An agent with a P-256 key of ours, so that we can sign what it never would.
struct Enrolled {
    world: World,
    id: String,
    key: Key,
}

impl Enrolled {
    async fn open() -> Self {
        let world = World::open().await;
        let made = world.owner.create_agent("bot").await.unwrap();
        let key = Key::new("user");
        let body = json!({
            "bootstrapSecret": made.bootstrap_secret, "publicKey": key.public_jwk(),
        });
        let call = Call::post("/v1/agents/bootstrap").json(&body);
        world.send(call).await.expect(200).unwrap();
        Self {
            world,
            id: made.id,
            key,
        }
    }

    fn header(&self) -> Value {
        json!({"alg": "ES256", "typ": "JWT"})
    }

    fn claims(&self) -> Value {
        let now = jiff::Timestamp::now().as_second();
        json!({
            "iss": self.id, "sub": self.id, "aud": self.world.stack.origin(), "iat": now,
            "exp": now + 30, "jti": uuid::Uuid::new_v4(),
        })
    }

    /// Right but for these changes.
    fn with(&self, header: &Value, claims: &Value) -> String {
        let (header, claims) = (
            changed(&self.header(), header),
            changed(&self.claims(), claims),
        );
        self.key.token(&header, &claims)
    }

    async fn show(&self, assertion: &str) -> Answer {
        let body = json!({
            "grant_type": "client_assertion", "client_assertion": assertion,
            "client_assertion_type": "urn:ietf:params:oauth:client-assertion-type:jwt-bearer",
        });
        self.world
            .send(Call::post("/v1/agents/token").json(&body))
            .await
    }
}

#[tokio::test]
async fn no_forged_assertion_gets_a_token() {
    let agent = Enrolled::open().await;
    let genuine = agent.with(&json!({}), &json!({}));
    agent.show(&genuine).await.expect(200).unwrap();
    let now = jiff::Timestamp::now().as_second();
    let origin = agent.world.stack.origin().to_owned();
    let stranger = agent.world.agent().await;
    let mut table: Vec<(String, String)> = Vec::new();
    for header in [
        json!({"alg": "none"}),
        json!({"alg": "EdDSA"}),
        json!({"alg": "RS256"}),
        json!({"alg": "HS256"}),
        json!({"alg": null}),
        json!({"alg": 1}),
        json!({"crit": ["exp"]}),
        json!({"crit": ["b64"], "b64": false}),
    ] {
        table.push((format!("header {header}"), agent.with(&header, &json!({}))));
    }
    for claims in [
        json!({"iss": null}),
        json!({"sub": null}),
        json!({"iss": stranger.id}),
        json!({"sub": stranger.id}),
        json!({"iss": stranger.id, "sub": stranger.id}),
        json!({"iss": "", "sub": ""}),
        json!({"sub": "x"}),
        json!({"sub": 1}),
        json!({"sub": "' or true --", "iss": "' or true --"}),
        json!({"iss": uuid::Uuid::new_v4(), "sub": uuid::Uuid::new_v4()}),
        json!({"aud": null}),
        json!({"aud": "data-plane"}),
        json!({"aud": "api"}),
        json!({"aud": format!("{origin}/")}),
        json!({"aud": format!("{origin}/v1/agents/token")}),
        json!({"aud": "https://evil.example"}),
        json!({"aud": ["https://evil.example"]}),
        json!({"aud": []}),
        json!({"aud": ""}),
        json!({"aud": 1}),
        json!({"exp": null}),
        json!({"exp": now - 60}),
        json!({"exp": 0}),
        json!({"exp": -1}),
        json!({"exp": 1e300}),
        json!({"exp": i64::MAX}),
        json!({"exp": u64::MAX}),
        json!({"exp": (now + 30).to_string()}),
        json!({"exp": true}),
        json!({"exp": now + 61}),
        json!({"exp": now + 3600}),
        json!({"iat": null}),
        json!({"iat": (now).to_string()}),
        json!({"iat": i64::MIN}),
        json!({"iat": now + 3600, "exp": now + 3630}),
        json!({"nbf": now + 3600}),
        json!({"jti": null}),
        json!({"jti": ""}),
        json!({"jti": 1}),
        json!({"jti": ["x"]}),
        json!({"jti": "j".repeat(300)}),
    ] {
        let name: String = claims.to_string().chars().take(60).collect();
        table.push((format!("claims {name}"), agent.with(&json!({}), &claims)));
    }
    let (header, claims) = (agent.header(), agent.claims());
    let other = Key::new("user");
    table.push(("a stranger's key".into(), other.token(&header, &claims)));
    let jwk = json!({"jwk": other.public_jwk()});
    table.push((
        "and in the header".into(),
        other.token(&changed(&header, &jwk), &claims),
    ));
    let x = agent.key.public_jwk().to_string();
    let mac = message(
        &changed(&header, &json!({"alg": "HS256"})).to_string(),
        &claims.to_string(),
    );
    let secret = EncodingKey::from_secret(x.as_bytes());
    let tag = jsonwebtoken::crypto::sign(mac.as_bytes(), &secret, Algorithm::HS256).unwrap();
    table.push(("the public key as a secret".into(), format!("{mac}.{tag}")));
    let text = claims.to_string();
    for claim in ["exp", "sub", "iss", "jti"] {
        let twice = text.replacen('{', &format!("{{\"{claim}\":{},", claims[claim]), 1);
        table.push((
            format!("{claim} twice"),
            agent.key.raw(&header.to_string(), &twice),
        ));
    }
    let fresh = agent.with(&json!({}), &json!({}));
    let (signed, signature) = fresh.rsplit_once('.').unwrap();
    for (name, text) in [
        ("nothing but dots", "..".to_owned()),
        ("no signature", format!("{signed}.")),
        ("another part behind", format!("{fresh}.x")),
        ("another part in front", format!("x.{fresh}")),
        ("padded", format!("{fresh}==")),
        ("four letters behind", format!("{fresh}AAAA")),
        ("a space behind", format!("{fresh} ")),
        ("a line break behind", format!("{fresh}\n")),
        ("an agent's token", stranger.token.clone()),
        ("a bare agent's token", stranger.token[5..].to_owned()),
        ("a user's token", agent.world.owner.token.clone()),
        ("no ASCII", "é.é.é".to_owned()),
    ] {
        table.push((name.to_owned(), text));
    }
    table.extend(
        with_unused_bits(signature)
            .map(|spelt| ("unused bits".to_owned(), format!("{signed}.{spelt}"))),
    );
    let by = &agent;
    let shown = stream::iter(&table).map(|(name, assertion)| async move {
        let answer = by.show(assertion).await;
        let through = answer.status != 401;
        through.then(|| format!("{name}: {} {}", answer.status, answer.text()))
    });
    // Within the half a minute that they are good for.
    let faults: Vec<Option<String>> = shown.buffered(8).collect().await;
    let faults: Vec<String> = faults.into_iter().flatten().collect();
    assert!(
        faults.is_empty(),
        "{} of {}:\n{}",
        faults.len(),
        table.len(),
        faults.join("\n")
    );
    println!("{} assertions were refused", table.len());
    // What was only shown wrongly was not spent.
    let fresh = agent.with(&json!({}), &json!({}));
    assert_eq!(agent.show(&format!("{fresh}==")).await.status, 401);
    agent.show(&fresh).await.expect(200).unwrap();
}

#[tokio::test]
async fn an_assertion_is_good_once_however_many_show_it() {
    let agent = Enrolled::open().await;
    let assertion = agent.with(&json!({}), &json!({}));
    let shown = futures_util::future::join_all((0..8).map(|_| agent.show(&assertion))).await;
    let good = shown.iter().filter(|answer| answer.status == 200).count();
    let spent = shown
        .iter()
        .filter(|answer| answer.contains("Replay detected"))
        .count();
    assert_eq!((good, spent), (1, 7));
    // The name is the agent's own: another may use the same, and this one may not use it again.
    let jti = crate::forge::claims_of(&assertion)["jti"].clone();
    let same = agent.with(
        &json!({}),
        &json!({"jti": jti, "exp": jiff::Timestamp::now().as_second() + 50}),
    );
    assert_eq!(agent.show(&same).await.status, 401);
}
