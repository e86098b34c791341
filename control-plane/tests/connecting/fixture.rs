//! An installation, a person with a workspace, and a real provider that the workspace has described
//! itself.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};

use ah5_harness::stack::Stack;
use ah5_testkit::client::{Answer, Call, Http};
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::support::servers::{CLIENT_SECRET, OpenId};
use crate::support::{World, at_database, control_plane};

pub const ORIGIN: &str = "http://localhost:8080";
const SIGN_IN: &str = "http://localhost:8080/api/auth/callback/none";

pub struct Fixture {
    pub world: World,
    pub pair: Arc<Pair>,
    /// The workspace's own client there.
    pub app: String,
}

/// One for all tests that run at the same time.
pub struct Pair {
    pub provider: OpenId,
    stack: Arc<Stack>,
}

// === impl Pair ===

impl Pair {
    pub fn open() -> Arc<Self> {
        static SHARED: Mutex<Weak<Pair>> = Mutex::new(Weak::new());
        let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(pair) = shared.upgrade() {
            return pair;
        }
        let pair = Arc::new(Self::start(&json!({}), |builder| builder));
        *shared = Arc::downgrade(&pair);
        pair
    }

    pub fn start(
        more: &Value,
        settings: impl FnOnce(ah5_harness::stack::Builder) -> ah5_harness::stack::Builder,
    ) -> Self {
        let person = |name: &str| json!({"email": format!("{name}@corp.example"), "email_verified": true, "name": name});
        let people = json!({"ann": person("ann"), "bob": person("bob")});
        let mut theirs = more.clone();
        theirs["connectionUris"] = json!([
            format!("{ORIGIN}/api/connections/callback"),
            format!("{ORIGIN}/v1/oauth/custom/callback"),
        ]);
        let provider = OpenId::with(&people, &[SIGN_IN.to_owned()], theirs);
        let builder = control_plane()
            .env("PUBLIC_ORIGIN", ORIGIN)
            .env("SSRF_ALLOWLIST_HOSTS", provider.host());
        let stack = Arc::new(settings(builder).start().unwrap());
        Self { provider, stack }
    }
}

// === impl Fixture ===

impl Fixture {
    pub async fn open() -> Self {
        Self::of(Pair::open()).await
    }

    pub async fn of(pair: Arc<Pair>) -> Self {
        let world = World::at(Arc::clone(&pair.stack)).await;
        let app = describe(&world, &endpoints(&pair.provider.issuer)).await;
        Self { world, pair, app }
    }

    /// A body that starts connecting the API behind the provider.
    pub fn body(&self, scopes: &[&str]) -> Value {
        json!({
            "service": "custom-oauth", "oauthAppId": self.app, "label": "Theirs",
            "baseUrl": self.pair.provider.issuer, "scopes": scopes,
        })
    }

    pub async fn start(&self, scopes: &[&str]) -> Value {
        let started = self
            .world
            .post("/v1/connections/start", &self.body(scopes))
            .await;
        started.expect(200).unwrap()
    }

    /// Consents as this person; gives where the provider sends the browser.
    pub async fn consent(&self, url: &str, person: &str) -> String {
        self.consent_to(url, person, None).await
    }

    pub async fn consent_to(&self, url: &str, person: &str, granted: Option<&str>) -> String {
        walk(&self.pair.provider.issuer, url, person, granted).await
    }

    /// Starts and consents; gives the path that the browser comes back to.
    pub async fn way_back(&self, scopes: &[&str], person: &str) -> String {
        let started = self.start(scopes).await;
        let url = started["authorizationUrl"].as_str().unwrap();
        self.consent(url, person).await
    }

    /// The browser comes back with these cookies, and goes where it is sent on our own side.
    pub async fn arrive(&self, path: &str, cookies: &str) -> Answer {
        let mut path = path.to_owned();
        for _ in 0..3 {
            let call = Call::get(&*path).header("cookie", cookies);
            let answer = self.world.send(call).await;
            let next = answer.header("location").unwrap_or_default().to_owned();
            if !next.starts_with("/v1/connections/callback") {
                return answer;
            }
            path = next;
        }
        panic!("forwarded for ever");
    }

    /// As the owner's own browser; where it ends.
    pub async fn ends(&self, path: &str) -> String {
        let answer = self.arrive(path, &self.world.owner.cookie).await;
        assert_eq!(answer.status, 302, "{}", answer.text());
        answer.header("location").unwrap().to_owned()
    }

    /// A whole connection; its id.
    pub async fn connect(&self, scopes: &[&str], person: &str) -> String {
        let path = self.way_back(scopes, person).await;
        connection_of(&self.ends(&path).await)
    }

    pub async fn shown(&self, id: &str) -> Value {
        let listed = self.world.get("/v1/connections").await.expect(200).unwrap();
        let all = listed["connections"].as_array().unwrap().clone();
        let found = all.into_iter().find(|it| it["id"] == id);
        found.unwrap_or(Value::Null)
    }

    pub async fn connections(&self) -> usize {
        let listed = self.world.get("/v1/connections").await.expect(200).unwrap();
        listed["connections"].as_array().unwrap().len()
    }

    pub async fn count(&self, sql: &str) -> i64 {
        let client = at_database(&self.world.stack).await;
        client.query_one(sql, &[]).await.unwrap().get(0)
    }

    /// The version of a connection's credential.
    pub async fn version(&self, id: &str) -> i64 {
        let sql = "select version from ah5.t_connection_credentials where connection_id";
        self.count(&format!("{sql} = '{id}'")).await
    }
}

pub fn endpoints(issuer: &str) -> Value {
    json!({
        "issuer": issuer, "checks_issuer": true,
        "authorize_url": format!("{issuer}/auth"), "token_url": format!("{issuer}/token"),
        "revoke_url": format!("{issuer}/token/revocation"),
        "device_url": format!("{issuer}/device/auth"),
    })
}

/// Sets up a client at a provider of one's own; its id.
pub async fn describe(world: &World, endpoints: &Value) -> String {
    let body = json!({
        "provider": "custom", "clientId": "connections", "clientSecret": CLIENT_SECRET,
        "label": "Own", "endpoints": endpoints,
    });
    let made = world.post("/v1/workspace-oauth-apps", &body).await;
    made.expect(201).unwrap()["id"].as_str().unwrap().to_owned()
}

/// From the provider's first page to the way back: its path.
pub async fn walk(issuer: &str, url: &str, person: &str, granted: Option<&str>) -> String {
    let there = Http::new(issuer);
    let mut jar = BTreeMap::new();
    let mut next = url.to_owned();
    for _ in 0..12 {
        if let Some(path) = next.strip_prefix(ORIGIN) {
            return path.to_owned();
        }
        let path = next.strip_prefix(issuer).unwrap_or(&next);
        let answer = there
            .send(dressed(Call::get(path), &jar, person, granted))
            .await
            .unwrap();
        keep(&mut jar, &answer);
        next = answer.header("location").unwrap_or_default().to_owned();
        assert!(!next.is_empty(), "{}: {}", answer.status, answer.text());
    }
    panic!("the provider never sent us back");
}

pub fn dressed(
    call: Call,
    jar: &BTreeMap<String, String>,
    person: &str,
    granted: Option<&str>,
) -> Call {
    let pairs: Vec<String> = jar.iter().map(|(k, v)| format!("{k}={v}")).collect();
    let call = call
        .header("cookie", pairs.join("; "))
        .header("x-sign-in-as", person);
    match granted {
        Some(granted) => call.header("x-grant", granted),
        None => call,
    }
}

pub fn keep(jar: &mut BTreeMap<String, String>, answer: &Answer) {
    for cookie in answer.headers.get_all("set-cookie") {
        let pair = cookie.to_str().unwrap().split(';').next().unwrap();
        let (name, value) = pair.split_once('=').unwrap();
        if value.is_empty() {
            jar.remove(name);
        } else {
            jar.insert(name.to_owned(), value.to_owned());
        }
    }
}

pub fn connection_of(location: &str) -> String {
    let prefix = format!("{ORIGIN}/dashboard/connections?success=true&connectionId=");
    let rest = location.strip_prefix(&prefix);
    let rest = rest.unwrap_or_else(|| panic!("not connected: {location}"));
    rest.split('&').next().unwrap().to_owned()
}

/// Where a browser ends with this text.
pub fn error(text: &str) -> String {
    let text: String = form_urlencoded::byte_serialize(text.as_bytes()).collect();
    format!(
        "{ORIGIN}/dashboard/connections?error={}",
        text.replace('+', "%20")
    )
}

/// One parameter of a URL's query.
pub fn parameter(url: &str, name: &str) -> Option<String> {
    let (_, query) = url.split_once('?')?;
    let mut pairs = form_urlencoded::parse(query.as_bytes());
    Some(pairs.find(|(key, _)| key == name)?.1.into_owned())
}

/// The same URL with another value for one parameter; `None` leaves it out.
pub fn with_parameter(url: &str, name: &str, value: Option<&str>) -> String {
    let (path, query) = url.split_once('?').unwrap();
    let mut changed = form_urlencoded::Serializer::new(String::new());
    for (key, old) in form_urlencoded::parse(query.as_bytes()) {
        match (key == name, value) {
            (true, Some(value)) => drop(changed.append_pair(&key, value)),
            (true, None) => {}
            (false, _) => drop(changed.append_pair(&key, &old)),
        }
    }
    format!("{path}?{}", changed.finish())
}
