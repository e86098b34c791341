//! Each provider in its own way: how it is asked for consent, how it is shown a code and a refresh token,
//! and who it says the account is.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;

use ah5_contracts::id::{ConnectionId, WorkspaceId};
use ah5_net::guard::Exemptions;
use ah5_net::resolve::ResolveOverrides;
use ah5_net::{PoolKey, Upstreams};
use ah5_oauth::installation::Installation;
use ah5_oauth::token;
use ah5_security::secret::SecretText;
use ah5_settings::Settings;
use ah5_testkit::client::{Answer, Call};
use ah5_testkit::simulator::{Body, Entry, Options, Simulator};
use http::Response;
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::fixture::{connection_of, parameter};
use crate::support::{World, control_plane};

/// One provider's ways.
struct Way {
    provider: &'static str,
    service: &'static str,
    /// Where consent is asked for.
    authorize: &'static str,
    /// Host and path of the token endpoint.
    token: (&'static str, &'static str),
    is_basic: bool,
    pkce: bool,
    /// As it must stand in the URL, with the service's default scopes.
    scope: &'static str,
    /// More of the URL.
    extra: &'static [(&'static str, &'static str)],
    issuer: Option<&'static str>,
    /// The name that the account gets; none where the provider is not asked.
    account: Option<&'static str>,
    has_refresh: bool,
}

#[rustfmt::skip]
const WAYS: [Way; 10] = [
    Way { provider: "google", service: "google-gmail", authorize: "https://accounts.google.com/o/oauth2/v2/auth",
        token: ("oauth2.googleapis.com", "/token"), is_basic: false, pkce: true,
        scope: "https://www.googleapis.com/auth/gmail.modify https://www.googleapis.com/auth/gmail.compose",
        extra: &[("access_type", "offline"), ("prompt", "consent")],
        issuer: Some("https://accounts.google.com"), account: Some("ann@example.com"), has_refresh: true },
    Way { provider: "microsoft", service: "microsoft-onedrive",
        authorize: "https://login.microsoftonline.com/common/oauth2/v2.0/authorize",
        token: ("login.microsoftonline.com", "/common/oauth2/v2.0/token"), is_basic: false, pkce: true,
        scope: "Files.Read Files.ReadWrite User.Read offline_access",
        extra: &[("prompt", "select_account")], issuer: None, account: Some("42"), has_refresh: true },
    Way { provider: "github", service: "github", authorize: "https://github.com/login/oauth/authorize",
        token: ("github.com", "/login/oauth/access_token"), is_basic: false, pkce: true,
        scope: "read:user public_repo", extra: &[], issuer: None, account: Some("42"), has_refresh: false },
    Way { provider: "gitlab", service: "gitlab", authorize: "https://gitlab.com/oauth/authorize",
        token: ("gitlab.com", "/oauth/token"), is_basic: false, pkce: true,
        scope: "", extra: &[], issuer: None, account: Some("42"), has_refresh: true },
    Way { provider: "discord", service: "discord", authorize: "https://discord.com/oauth2/authorize",
        token: ("discord.com", "/api/oauth2/token"), is_basic: false, pkce: true,
        scope: "", extra: &[], issuer: None, account: Some("42"), has_refresh: true },
    Way { provider: "dropbox", service: "dropbox", authorize: "https://www.dropbox.com/oauth2/authorize",
        token: ("api.dropboxapi.com", "/oauth2/token"), is_basic: false, pkce: true,
        scope: "", extra: &[("token_access_type", "offline")], issuer: None, account: Some("dbid:42"), has_refresh: true },
    Way { provider: "hubspot", service: "hubspot", authorize: "https://app.hubspot.com/oauth/authorize",
        token: ("api.hubapi.com", "/oauth/v1/token"), is_basic: false, pkce: false,
        scope: "", extra: &[], issuer: None, account: Some("4242"), has_refresh: true },
    Way { provider: "linear", service: "linear", authorize: "https://linear.app/oauth/authorize",
        token: ("api.linear.app", "/oauth/token"), is_basic: false, pkce: true,
        scope: "", extra: &[], issuer: None, account: Some("lin-42"), has_refresh: true },
    Way { provider: "salesforce", service: "salesforce",
        authorize: "https://login.salesforce.com/services/oauth2/authorize",
        token: ("login.salesforce.com", "/services/oauth2/token"), is_basic: false, pkce: true,
        scope: "", extra: &[], issuer: None, account: None, has_refresh: true },
    Way { provider: "zoom", service: "zoom", authorize: "https://zoom.us/oauth/authorize",
        token: ("zoom.us", "/oauth/token"), is_basic: true, pkce: true,
        scope: "", extra: &[], issuer: None, account: Some("42"), has_refresh: true },
];

/// Where the accounts' owners are asked for, besides the token endpoints.
const APIS: [&str; 8] = [
    "api.github.com",
    "api.zoom.us",
    "gmail.googleapis.com",
    "graph.microsoft.com",
    "acme.my.salesforce.com",
    "www.googleapis.com",
    "api.linear.app",
    "api.hubapi.com",
];

/// An installation with a client at every provider, all of them played.
pub struct Played {
    pub provider: Simulator,
    pub world: World,
}

// === impl Played ===

impl Played {
    pub async fn open() -> Self {
        let options = Options {
            names: hosts().into_iter().map(str::to_owned).collect(),
            ..Options::default()
        };
        let provider = Simulator::start_with(options).await.unwrap();
        provider.on("/*", |received| async move {
            let is_token = received.target.ends_with("token");
            let mut answer = Response::new(Body::from(match is_token {
                true => tokens().to_string(),
                false => profile().to_string(),
            }));
            answer
                .headers_mut()
                .insert("content-type", "application/json".parse().unwrap());
            answer
        });
        let mut builder = control_plane()
            .env("PUBLIC_ORIGIN", crate::fixture::ORIGIN)
            .env("UPSTREAM_RESOLVE", &resolve(provider.address()).join(","))
            .env("UPSTREAM_CA_FILE", provider.ca_file().to_str().unwrap());
        for (name, value) in clients() {
            builder = builder.env(&name, &value);
        }
        let world = World::at(Arc::new(builder.start().unwrap())).await;
        Self { provider, world }
    }

    /// As if the provider had sent the owner's browser back from this URL.
    pub async fn come_back(&self, authorization_url: &str, provider: &str) -> Answer {
        let state = parameter(authorization_url, "state").unwrap();
        let way = WAYS.iter().find(|way| way.provider == provider).unwrap();
        let mut query = form_urlencoded::Serializer::new(String::new());
        query.append_pair("code", "planted-code-0123456789");
        query.append_pair("state", &state);
        if let Some(issuer) = way.issuer {
            query.append_pair("iss", issuer);
        }
        let call = Call::get(format!("/v1/connections/callback?{}", query.finish()));
        let call = call.header("cookie", &self.world.owner.cookie);
        self.world.send(call).await
    }

    /// What the token endpoint of a provider was sent, newest last.
    fn asked(&self, way: &Way) -> Vec<Entry> {
        let (host, path) = way.token;
        let all = self.provider.journal().into_iter();
        all.filter(|it| it.server_name.as_deref() == Some(host) && it.path() == path)
            .collect()
    }
}

#[tokio::test]
async fn every_provider_is_spoken_to_in_its_own_way() {
    let played = Played::open().await;
    let (net, installation) = (net(&played.provider), installation());
    for way in &WAYS {
        let name = way.provider;
        let mut body = json!({"service": way.service});
        if name == "salesforce" {
            body["baseUrl"] = "https://acme.my.salesforce.com".into();
        }
        let started = played.world.post("/v1/connections/start", &body).await;
        let started = started.expect(200).unwrap();
        assert_eq!(started["client"], "installation", "{name}");
        let url = started["authorizationUrl"].as_str().unwrap();
        assert_eq!(url.split('?').next().unwrap(), way.authorize, "{name}");
        let of = |what: &str| parameter(url, what);
        assert_eq!(of("client_id"), Some(format!("{name}-client")));
        assert_eq!(of("response_type").as_deref(), Some("code"));
        assert_eq!(of("code_challenge").is_some(), way.pkce, "{name}");
        let scope = of("scope").unwrap();
        assert!(
            way.scope.is_empty() || scope == way.scope,
            "{name}: {scope}"
        );
        let separator = if name == "linear" { "," } else { " " };
        assert!(
            scope.contains(separator) || !scope.contains([' ', ',']),
            "{name}: {scope}"
        );
        for (parameter, value) in way.extra {
            assert_eq!(of(parameter).as_deref(), Some(*value), "{name}");
        }

        let ended = played.come_back(url, name).await;
        let id = connection_of(location(&ended));
        check_form(&played.asked(way)[0], way, "authorization_code");
        let stored = format!(
            "select count(*) from ah5.t_connections c join ah5.t_connection_credentials k
                 on k.connection_id = c.id
             where c.id = '{id}' and c.account is not distinct from {}
               and k.sealed_refresh is not null",
            way.account.map_or("null".into(), |it| format!("'{it}'")),
        );
        let client = crate::support::at_database(&played.world.stack).await;
        let row = client.query_one(&stored, &[]).await.unwrap();
        assert_eq!(row.get::<_, i64>(0), 1, "{name}");

        if way.has_refresh {
            let client = installation.client(name).unwrap();
            let refresh = SecretText::new("planted-refresh-0123456789".into());
            let fresh = token::refresh(&net, key(), &client, &refresh)
                .await
                .unwrap();
            assert_eq!(fresh.access.expose(), tokens()["access_token"]);
            check_form(&played.asked(way)[1], way, "refresh_token");
        }
    }
    let microsoft = played.world.get("/v1/connections").await.json();
    let all = microsoft["connections"].as_array().unwrap();
    let drive = all.iter().find(|it| it["provider"] == "microsoft").unwrap();
    assert_eq!(
        drive["metadata"]["tenantId"],
        "6f1d5a3e-4a0e-4c9e-9a51-000000000001"
    );
    assert_eq!(drive["metadata"]["email"], "ann@example.com");
    assert_eq!(
        drive["grantedScopes"],
        json!(["Files.Read", "User.Read", "offline_access"])
    );
    assert_eq!(drive["missingScopes"], json!(["Files.ReadWrite"]));
}

fn check_form(entry: &Entry, way: &Way, grant: &str) {
    let name = way.provider;
    let form: BTreeMap<String, String> = form_urlencoded::parse(&entry.body)
        .map(|(key, value)| (key.into_owned(), value.into_owned()))
        .collect();
    assert_eq!(form["grant_type"], grant, "{name}");
    assert_eq!(form.contains_key("client_secret"), !way.is_basic, "{name}");
    assert_eq!(
        entry.header("authorization").is_some(),
        way.is_basic,
        "{name}"
    );
    let is_code = grant == "authorization_code";
    assert_eq!(
        form.contains_key("code_verifier"),
        is_code && way.pkce,
        "{name}"
    );
    let redirect = format!("{}/api/connections/callback", crate::fixture::ORIGIN);
    let shown = form.get("redirect_uri").filter(|it| **it == redirect);
    assert_eq!(shown.is_some(), is_code, "{name}");
    assert!(!entry.target.contains('?'), "{name}: no secret in a URL");
}

/// Microsoft's token names its directory; its answer everything that was ever consented to.
fn tokens() -> Value {
    // {"tid":"6f1d5a3e-4a0e-4c9e-9a51-000000000001"}
    let claims = "eyJ0aWQiOiI2ZjFkNWEzZS00YTBlLTRjOWUtOWE1MS0wMDAwMDAwMDAwMDEifQ";
    json!({
        "access_token": format!("eyJhbGciOiJub25lIn0.{claims}.c2ln"), "token_type": "Bearer",
        "refresh_token": "planted-refresh-0123456789", "expires_in": 3600,
        "scope": "https://graph.microsoft.com/Files.Read User.Read Calendars.Read",
    })
}

/// The account, as each of them writes it.
fn profile() -> Value {
    json!({
        "emailAddress": "ann@example.com", "id": "42", "userPrincipalName": "ann@example.com",
        "mail": null, "displayName": "Ann", "account_id": "dbid:42", "portalId": 4242,
        "data": {"viewer": {"id": "lin-42"}},
    })
}

pub fn location(answer: &Answer) -> &str {
    answer
        .header("location")
        .unwrap_or_else(|| panic!("{}", answer.text()))
}

fn hosts() -> Vec<&'static str> {
    let mut hosts: Vec<&str> = WAYS.iter().map(|way| way.token.0).chain(APIS).collect();
    hosts.sort_unstable();
    hosts.dedup();
    hosts
}

fn resolve(at: SocketAddr) -> Vec<String> {
    hosts()
        .iter()
        .map(|host| format!("{host}:443={at}"))
        .collect()
}

fn clients() -> Vec<(String, String)> {
    let both = |way: &Way| {
        let prefix = way.provider.to_ascii_uppercase();
        [
            (
                format!("{prefix}_CLIENT_ID"),
                format!("{}-client", way.provider),
            ),
            (
                format!("{prefix}_CLIENT_SECRET"),
                "planted-client-secret".to_owned(),
            ),
        ]
    };
    WAYS.iter().flat_map(both).collect()
}

fn installation() -> Installation {
    let mut settings = Settings::from_vars(clients());
    Installation::read(&mut settings)
}

fn net(provider: &Simulator) -> Upstreams {
    let _ = rustls::crypto::aws_lc_rs::default_provider().install_default();
    Upstreams::new(ah5_net::Config {
        exemptions: Exemptions::default(),
        extra_ca: Some(provider.ca_file()),
        resolve_overrides: ResolveOverrides::parse(&resolve(provider.address()), true).unwrap(),
        ..ah5_net::Config::default()
    })
    .unwrap()
}

fn key() -> PoolKey {
    PoolKey {
        workspace: WorkspaceId::random(),
        connection: ConnectionId::random(),
    }
}

#[test]
fn every_dialect_is_in_the_table() {
    let mut known: Vec<&str> = ah5_providers::catalogue::dialects()
        .map(|dialect| &*dialect.provider)
        .collect();
    known.sort_unstable();
    let mut played: Vec<&str> = WAYS.iter().map(|way| way.provider).collect();
    played.sort_unstable();
    assert_eq!(known, played);
}
