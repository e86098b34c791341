//! Sign-in at other parties: OpenID Connect, and GitHub's own kind of OAuth. Only who somebody is
//! comes back; no token of theirs is kept. Called by [`crate::routes::social`].

use std::collections::BTreeMap;

use ah5_net::Upstreams;
use ah5_security::secret::SecretText;
use url::Url;

use config::{Kind, Party};
use http::Fetch;
use oidc::Oidc;

pub mod config;
mod github;
pub mod http;
mod oidc;
pub mod proof;

/// The parties that people may sign in at.
pub struct Parties(BTreeMap<String, Client>);

/// One party, and us as its client.
pub struct Client {
    party: Party,
    oidc: Oidc,
    fetch: Fetch,
    redirect_uri: String,
}

/// Who somebody is, as far as the party says.
#[derive(Debug)]
pub struct Profile {
    pub issuer: String,
    pub subject: String,
    pub email: Option<String>,
    /// The party asserts that it has checked the address.
    pub email_verified: bool,
    /// The party runs the mailbox, so its word on the address is as good as a letter.
    pub email_authoritative: bool,
    pub name: String,
}

/// What came back with the browser.
pub struct Answer<'a> {
    pub code: &'a SecretText,
    /// RFC 9207.
    pub issuer: Option<&'a str>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PartyError {
    #[error("it answers for another issuer")]
    Issuer,
    #[error("it does not say who somebody is")]
    NoProfile,
    #[error("it refuses the code")]
    Refused,
    #[error("it cannot be reached, or gives no sense")]
    Unavailable,
}

// === impl Parties ===

impl Parties {
    pub fn new(parties: Vec<Party>, net: &Upstreams, origin: &str) -> Self {
        let client = |party: Party| {
            let redirect_uri = format!("{origin}/api/auth/callback/{}", party.id);
            let client = Client {
                oidc: Oidc::default(),
                fetch: Fetch::new(net.clone()),
                redirect_uri,
                party,
            };
            (client.party.id.clone(), client)
        };
        Self(parties.into_iter().map(client).collect())
    }

    pub fn find(&self, id: &str) -> Option<&Client> {
        self.0.get(id)
    }

    /// Names and labels, for the sign-in page.
    pub fn list(&self) -> impl Iterator<Item = (&str, &str)> {
        let clients = self.0.values();
        clients.map(|client| (&*client.party.id, &*client.party.label))
    }
}

// === impl Client ===

impl Client {
    pub fn id(&self) -> &str {
        &self.party.id
    }

    /// Where the browser goes to sign in.
    pub async fn authorize(&self, proof: &proof::Proof) -> Result<Url, PartyError> {
        let mut url = match &self.party.kind {
            Kind::GitHub { .. } => github::authorize_url(&self.party)?,
            _ => self.oidc.authorize_url(self).await?,
        };
        url.query_pairs_mut()
            .append_pair("response_type", "code")
            .append_pair("client_id", &self.party.client_id)
            .append_pair("redirect_uri", &self.redirect_uri)
            .append_pair("scope", &self.party.scopes)
            .append_pair("state", proof.state.expose())
            .append_pair("code_challenge", &proof.challenge())
            .append_pair("code_challenge_method", "S256");
        if !matches!(self.party.kind, Kind::GitHub { .. }) {
            url.query_pairs_mut().append_pair("nonce", &proof.nonce());
        }
        if matches!(self.party.kind, Kind::Google | Kind::Microsoft { .. }) {
            url.query_pairs_mut()
                .append_pair("prompt", "select_account");
        }
        Ok(url)
    }

    /// Turns what the browser brought into who it is.
    pub async fn identify(
        &self,
        answer: &Answer<'_>,
        proof: &proof::Proof,
        now: i64,
    ) -> Result<Profile, PartyError> {
        match &self.party.kind {
            Kind::GitHub { .. } => github::identify(self, answer, proof).await,
            _ => self.oidc.identify(self, answer, proof, now).await,
        }
    }
}

// === impl Profile ===

impl Profile {
    /// The address, as it is stored, if it can be one.
    fn stored_email(email: &str) -> Option<String> {
        let email = email.trim().to_lowercase();
        let plausible = email.len() <= 254 && email.parse::<lettre::Address>().is_ok();
        plausible.then_some(email)
    }
}
