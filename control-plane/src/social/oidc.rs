//! OpenID Connect: discovery, the code for tokens, the ID token checked, the rest asked for.

use std::sync::Arc;
use std::time::Duration;

use ah5_security::id_token::{Expected, IdClaims, IdTokenError, Issuer, IssuerKeys};
use ah5_security::secret::SecretText;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::Value;
use tokio::sync::Mutex;
use tokio::time::Instant;
use url::Url;

use super::config::Kind;
use super::http::Ask;
use super::proof::Proof;
use super::{Answer, Client, PartyError, Profile};

/// What is known of the party. One request at a time fetches it anew; the others wait for that.
#[derive(Default)]
pub struct Oidc(Mutex<Option<(Instant, Arc<Known>)>>);

struct Known {
    metadata: Metadata,
    keys: IssuerKeys,
}

#[derive(Deserialize)]
struct Metadata {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
    userinfo_endpoint: Option<String>,
    #[serde(default)]
    token_endpoint_auth_methods_supported: Vec<String>,
    #[serde(default)]
    authorization_response_iss_parameter_supported: bool,
}

/// A token endpoint's answer. Never printed.
#[derive(Deserialize)]
struct Tokens {
    access_token: SecretText,
    id_token: SecretText,
}

// === impl Oidc ===

impl Oidc {
    pub async fn authorize_url(&self, client: &Client) -> Result<Url, PartyError> {
        let known = self.known(client, MAX_AGE).await?;
        let url = Url::parse(&known.metadata.authorization_endpoint).ok();
        let url = url.filter(|url| client.fetch.is_safe(url));
        url.ok_or(PartyError::Unavailable)
    }

    pub async fn identify(
        &self,
        client: &Client,
        answer: &Answer<'_>,
        proof: &Proof,
        now: i64,
    ) -> Result<Profile, PartyError> {
        let known = self.known(client, MAX_AGE).await?;
        let metadata = &known.metadata;
        // Before the code is shown to anybody: it may be another party's (RFC 9207 §2.4).
        let silent = answer.issuer.is_none();
        if answer
            .issuer
            .is_some_and(|issuer| issuer != metadata.issuer)
            || (silent && metadata.authorization_response_iss_parameter_supported)
        {
            return Err(PartyError::Issuer);
        }
        let tokens = exchange(client, metadata, answer.code, proof).await?;
        let claims = self.verify(client, &known, &tokens, proof, now).await?;
        profile(client, metadata, &tokens, &claims).await
    }

    /// Verifies the ID token; an unknown key makes us look for new ones, now and then.
    async fn verify(
        &self,
        client: &Client,
        known: &Known,
        tokens: &Tokens,
        proof: &Proof,
        now: i64,
    ) -> Result<IdClaims, PartyError> {
        let nonce = proof.nonce();
        let verify = |known: &Known| {
            let issuer = match &client.party.kind {
                Kind::Microsoft { .. } => Issuer::PerTenant(MICROSOFT_ISSUER),
                _ => Issuer::Exact(&known.metadata.issuer),
            };
            let expected = Expected {
                issuer,
                client_id: &client.party.client_id,
                nonce: &nonce,
                now,
            };
            known.keys.verify(tokens.id_token.expose(), expected)
        };
        let verified = match verify(known) {
            Err(IdTokenError::UnknownKey) => verify(&*self.known(client, MIN_AGE).await?),
            verified => verified,
        };
        verified.map_err(|error| {
            tracing::warn!(party = client.party.id, %error, "a sign-in was refused");
            PartyError::NoProfile
        })
    }

    async fn known(&self, client: &Client, max_age: Duration) -> Result<Arc<Known>, PartyError> {
        let mut slot = self.0.lock().await;
        if let Some((at, known)) = &*slot
            && at.elapsed() < max_age
        {
            return Ok(known.clone());
        }
        let known = Arc::new(discover(client).await?);
        *slot = Some((Instant::now(), known.clone()));
        Ok(known)
    }
}

async fn discover(client: &Client) -> Result<Known, PartyError> {
    let (base, issuer) = match &client.party.kind {
        Kind::Google => (GOOGLE_ISSUER.to_owned(), Some(GOOGLE_ISSUER)),
        // The document of a multi-tenant endpoint names a template for its issuer.
        Kind::Microsoft { tenant } => (MICROSOFT_ISSUER.replace("{tenantid}", tenant), None),
        Kind::Oidc { issuer, .. } => (issuer.clone(), Some(&**issuer)),
        Kind::GitHub { .. } => return Err(PartyError::Unavailable),
    };
    let url = format!(
        "{}/.well-known/openid-configuration",
        base.trim_end_matches('/')
    );
    let document = client.fetch.object(&url, &Ask::Get(None)).await?;
    let metadata: Metadata =
        serde_json::from_value(document).map_err(|_| PartyError::Unavailable)?;
    // OpenID Connect Discovery §4.3.
    if issuer.is_some_and(|issuer| issuer != metadata.issuer) {
        return Err(PartyError::Issuer);
    }
    let (status, keys) = client
        .fetch
        .send(&metadata.jwks_uri, &Ask::Get(None))
        .await?;
    let keys = IssuerKeys::parse(&keys).filter(|_| status.is_success());
    let keys = keys.ok_or(PartyError::Unavailable)?;
    Ok(Known { metadata, keys })
}

async fn exchange(
    client: &Client,
    metadata: &Metadata,
    code: &SecretText,
    proof: &Proof,
) -> Result<Tokens, PartyError> {
    let party = &client.party;
    let methods = &metadata.token_endpoint_auth_methods_supported;
    // Without a list the standard means basic.
    let in_body = methods.iter().any(|method| method == "client_secret_post");
    let verifier = proof.verifier();
    let mut fields = vec![
        ("grant_type", "authorization_code"),
        ("code", code.expose()),
        ("redirect_uri", &client.redirect_uri),
        ("code_verifier", verifier.expose()),
    ];
    let authorization = if in_body {
        fields.push(("client_id", &party.client_id));
        fields.push(("client_secret", party.client_secret.expose()));
        None
    } else {
        Some(basic(&party.client_id, party.client_secret.expose()))
    };
    let ask = Ask::Form(&fields, authorization);
    let (status, body) = client.fetch.send(&metadata.token_endpoint, &ask).await?;
    if status.is_client_error() {
        return Err(PartyError::Refused);
    }
    serde_json::from_slice(&body).map_err(|_| PartyError::Unavailable)
}

/// RFC 6749 §2.3.1: both are form-encoded first.
fn basic(id: &str, secret: &str) -> String {
    let encoded = |text: &str| url::form_urlencoded::byte_serialize(text.as_bytes()).collect();
    let (id, secret): (String, String) = (encoded(id), encoded(secret));
    format!("Basic {}", STANDARD.encode(format!("{id}:{secret}")))
}

async fn profile(
    client: &Client,
    metadata: &Metadata,
    tokens: &Tokens,
    claims: &IdClaims,
) -> Result<Profile, PartyError> {
    let mut email = claims.text("email").map(str::to_owned);
    let mut verified = claims.is_true("email_verified");
    let mut name = claims.text("name").map(str::to_owned);
    if let (None, Some(url)) = (&email, &metadata.userinfo_endpoint) {
        let ask = Ask::Get(Some(tokens.access_token.expose()));
        let info = client.fetch.object(url, &ask).await?;
        // OpenID Connect Core §5.3.2: else it may be about somebody else.
        if info["sub"] != *claims.sub {
            return Err(PartyError::NoProfile);
        }
        let text = |name: &str| info[name].as_str().map(str::to_owned);
        email = text("email");
        verified = info["email_verified"] == Value::Bool(true) || info["email_verified"] == "true";
        name = name.or_else(|| text("name"));
    }
    let microsoft = matches!(client.party.kind, Kind::Microsoft { .. });
    if microsoft {
        // What a directory's administrator writes into a profile proves nothing.
        verified = false;
        email = email.or_else(|| claims.text("preferred_username").map(str::to_owned));
    }
    let email = email.as_deref().and_then(Profile::stored_email);
    let subject = if microsoft {
        claims.text("oid")
    } else {
        Some(&*claims.sub)
    };
    Ok(Profile {
        issuer: claims.iss.clone(),
        subject: subject.ok_or(PartyError::NoProfile)?.to_owned(),
        email_authoritative: email
            .as_deref()
            .is_some_and(|email| runs_mailbox(&client.party.kind, claims, email)),
        email,
        email_verified: verified,
        name: name.unwrap_or_default().chars().take(200).collect(),
    })
}

/// Whether the party is also the one that keeps the mail of this address.
fn runs_mailbox(kind: &Kind, claims: &IdClaims, email: &str) -> bool {
    let domain = email.rsplit_once('@').map_or("", |(_, domain)| domain);
    match kind {
        // Google's own words: gmail.com, or a hosted domain that it says so of.
        Kind::Google => {
            domain == "gmail.com"
                || claims
                    .text("hd")
                    .is_some_and(|hosted| hosted.eq_ignore_ascii_case(domain))
        }
        Kind::Oidc { domains, .. } => domains.iter().any(|own| own == domain),
        Kind::GitHub { .. } | Kind::Microsoft { .. } => false,
    }
}

const GOOGLE_ISSUER: &str = "https://accounts.google.com";
const MICROSOFT_ISSUER: &str = "https://login.microsoftonline.com/{tenantid}/v2.0";
/// Of what is known of a party.
const MAX_AGE: Duration = Duration::from_secs(600);
/// An unknown key leads to a fetch this often at most.
const MIN_AGE: Duration = Duration::from_secs(30);
