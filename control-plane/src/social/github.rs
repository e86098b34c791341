//! GitHub: OAuth without OpenID Connect. Who somebody is comes from its API.

use ah5_security::secret::SecretText;
use serde::Deserialize;
use url::Url;

use super::config::{Kind, Party};
use super::http::Ask;
use super::proof::Proof;
use super::{Answer, Client, PartyError, Profile};

/// A token endpoint's answer. GitHub answers 200 for refusals, too; then it has no such member.
#[derive(Deserialize)]
struct Tokens {
    access_token: SecretText,
}

pub fn authorize_url(party: &Party) -> Result<Url, PartyError> {
    let url = format!("{}/login/oauth/authorize", base(party));
    Url::parse(&url).map_err(|_| PartyError::Unavailable)
}

pub async fn identify(
    client: &Client,
    answer: &Answer<'_>,
    proof: &Proof,
) -> Result<Profile, PartyError> {
    let party = &client.party;
    if answer
        .issuer
        .is_some_and(|issuer| issuer != format!("{}/login/oauth", base(party)))
    {
        return Err(PartyError::Issuer);
    }
    let verifier = proof.verifier();
    let fields = [
        ("grant_type", "authorization_code"),
        ("code", answer.code.expose()),
        ("redirect_uri", &client.redirect_uri),
        ("code_verifier", verifier.expose()),
        ("client_id", &party.client_id),
        ("client_secret", party.client_secret.expose()),
    ];
    let url = format!("{}/login/oauth/access_token", base(party));
    let (_, body) = client.fetch.send(&url, &Ask::Form(&fields, None)).await?;
    let tokens: Tokens = serde_json::from_slice(&body).map_err(|_| PartyError::Refused)?;
    profile(client, &tokens).await
}

async fn profile(client: &Client, tokens: &Tokens) -> Result<Profile, PartyError> {
    let api = api(&client.party);
    let ask = Ask::Get(Some(tokens.access_token.expose()));
    let user = client.fetch.object(&format!("{api}/user"), &ask).await?;
    // Logins change hands; the number does not.
    let id = user["id"].as_u64().ok_or(PartyError::NoProfile)?;
    let emails = client
        .fetch
        .object(&format!("{api}/user/emails"), &ask)
        .await?;
    let primary = emails.as_array().and_then(|emails| {
        emails
            .iter()
            .find(|email| email["primary"] == true && email["verified"] == true)
    });
    let email = primary.and_then(|email| email["email"].as_str());
    let email = email.and_then(Profile::stored_email);
    let name = user["name"].as_str().or_else(|| user["login"].as_str());
    Ok(Profile {
        issuer: base(&client.party).to_owned(),
        subject: id.to_string(),
        email_verified: email.is_some(),
        email_authoritative: false,
        email,
        name: name.unwrap_or_default().chars().take(200).collect(),
    })
}

fn base(party: &Party) -> &str {
    match &party.kind {
        Kind::GitHub { base } => base,
        _ => "",
    }
}

/// A server of one's own has the API below its name.
fn api(party: &Party) -> String {
    match base(party) {
        "https://github.com" => "https://api.github.com".to_owned(),
        own => format!("{own}/api/v3"),
    }
}
