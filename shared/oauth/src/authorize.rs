//! The authorization request (RFC 6749 §4.1.1), with PKCE (RFC 7636, S256) where the provider has
//! it: the URL that a person's browser is sent to.

use ah5_security::secret::SecretText;
use ah5_security::{hash, random};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use url::Url;

use crate::client::Client;

/// What is asked for, and where the answer goes.
#[derive(Clone, Copy)]
pub struct Consent<'a> {
    pub redirect_uri: &'a str,
    pub scopes: &'a [String],
    pub state: &'a str,
    /// Whose challenge goes along.
    pub verifier: &'a SecretText,
}

/// A fresh code verifier: 43 characters.
#[must_use]
pub fn verifier() -> SecretText {
    random::token("")
}

/// `None` where the client's tenant makes no URL.
#[must_use]
pub fn url(client: &Client, consent: &Consent<'_>) -> Option<String> {
    let dialect = &client.dialect;
    let mut url = Url::parse(&client.authorize_url()?.to_string()).ok()?;
    let scopes = consent.scopes.join(&dialect.scope_separator);
    {
        let mut query = url.query_pairs_mut();
        query
            .append_pair("client_id", &client.id)
            .append_pair("redirect_uri", consent.redirect_uri)
            .append_pair("response_type", "code");
        if !scopes.is_empty() {
            query.append_pair(&dialect.scope_parameter, &scopes);
        }
        query.append_pair("state", consent.state);
        if dialect.pkce {
            let challenge = hash::sha256(consent.verifier.expose().as_bytes());
            query
                .append_pair("code_challenge", &URL_SAFE_NO_PAD.encode(challenge))
                .append_pair("code_challenge_method", "S256");
        }
        for (name, value) in &dialect.authorize_parameters {
            query.append_pair(name, value);
        }
    }
    Some(url.into())
}

#[cfg(test)]
mod tests {
    use ah5_providers::catalogue;

    use super::*;
    use crate::client::Dialect;

    #[test]
    fn asks_as_the_provider_wants_to_be_asked() {
        let client = |provider: &str, tenant: Option<&str>| Client {
            dialect: Dialect::Catalogue(catalogue::oauth(provider).unwrap()),
            app: None,
            id: "client".into(),
            secret: None,
            tenant: tenant.map(str::to_owned),
        };
        let consent = Consent {
            redirect_uri: "http://localhost:3000/api/connections/callback",
            scopes: &["a".into(), "b".into()],
            state: "s",
            verifier: &SecretText::new("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk".into()),
        };
        let shown = url(&client("google", None), &consent).unwrap();
        // The challenge of RFC 7636, appendix B.
        let wanted = "https://accounts.google.com/o/oauth2/v2/auth?client_id=client\
            &redirect_uri=http%3A%2F%2Flocalhost%3A3000%2Fapi%2Fconnections%2Fcallback\
            &response_type=code&scope=a+b&state=s\
            &code_challenge=E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM\
            &code_challenge_method=S256&access_type=offline&prompt=consent";
        assert_eq!(shown, wanted);
        let shown = url(&client("linear", None), &consent).unwrap();
        assert!(shown.contains("scope=a%2Cb"), "{shown}");
        let shown = url(&client("hubspot", None), &consent).unwrap();
        assert!(!shown.contains("code_challenge"), "{shown}");
        let shown = url(&client("microsoft", Some("acme.example")), &consent).unwrap();
        assert!(shown.starts_with("https://login.microsoftonline.com/acme.example/oauth2/"));
        assert_eq!(url(&client("microsoft", Some("../evil?")), &consent), None);
    }
}
