//! The WebAuthn relying party: makes challenges and judges answers. It knows no session, no database
//! and no request; who may begin a ceremony and what follows from it is [`crate::routes::passkeys`]'s.

use std::time::Duration;

use serde_json::{Value, json};
use url::{Host, Url};
use webauthn_rs::prelude::{
    CreationChallengeResponse, DiscoverableAuthentication, Passkey, PasskeyRegistration,
    PublicKeyCredential, RegisterPublicKeyCredential, Webauthn, WebauthnBuilder, WebauthnError,
};

use ah5_contracts::id::UserId;
use ah5_edge::Origin;
use ah5_store::sessions::Session;

pub mod allowed;
pub mod ceremony;

/// `None` where browsers offer no passkeys: without TLS, or at a bare address.
pub struct RelyingParty(Option<Webauthn>);

/// What the browser is given, and what its answer will be held against.
pub struct Challenge {
    pub options: Value,
    pub state: Value,
}

/// A passkey that has just been made.
pub struct Registered {
    pub credential_id: Vec<u8>,
    pub credential: Value,
    pub transports: Vec<String>,
}

/// A passkey that has just been used: what is to be stored of it.
#[derive(Debug)]
pub struct Used {
    pub credential: Value,
    pub counter: u32,
}

#[derive(Debug, thiserror::Error)]
pub enum PasskeyError {
    /// The counter went back: another copy of the key may be about.
    #[error("the passkey's counter did not move on")]
    Cloned,
    #[error("a passkey or ceremony in the database is unreadable: {0}")]
    Stored(#[from] serde_json::Error),
    #[error("the answer does not verify: {0}")]
    Refused(WebauthnError),
    #[error("passkeys need an https origin with a host name, or localhost")]
    Unavailable,
}

// === impl RelyingParty ===

impl RelyingParty {
    pub fn new(origin: &Origin) -> Self {
        let mut spellings = origin.spellings().into_iter();
        Self(spellings.find_map(|text| party(&Url::parse(&text).ok()?)))
    }

    pub fn register(
        &self,
        person: &Session,
        existing: Vec<Vec<u8>>,
    ) -> Result<Challenge, PasskeyError> {
        let (email, name) = (&*person.user_email, person.user_name.trim());
        let display = if name.is_empty() { email } else { name };
        let (CreationChallengeResponse { public_key }, state) = self
            .party()?
            .start_passkey_registration(person.user.uuid(), email, display, Some(existing))?;
        let mut options = serde_json::to_value(public_key)?;
        // So that signing in needs no address; a key without room for one still works with it.
        options["authenticatorSelection"]["residentKey"] = json!("preferred");
        Ok(Challenge {
            options,
            state: serde_json::to_value(state)?,
        })
    }

    pub fn registered(
        &self,
        answer: &RegisterPublicKeyCredential,
        state: Value,
    ) -> Result<Registered, PasskeyError> {
        let state: PasskeyRegistration = serde_json::from_value(state)?;
        let passkey = self.party()?.finish_passkey_registration(answer, &state)?;
        let transports = serde_json::to_value(&answer.response.transports)?;
        let transports = transports.as_array().into_iter().flatten();
        let transports = transports.filter_map(|name| Some(name.as_str()?.to_owned()));
        Ok(Registered {
            credential_id: passkey.cred_id().to_vec(),
            transports: transports.take(MAX_TRANSPORTS).collect(),
            credential: serde_json::to_value(passkey)?,
        })
    }

    /// `allowed` as the wire's list of descriptors; an empty one leaves the choice to the browser.
    pub fn authenticate(&self, allowed: Vec<Value>) -> Result<Challenge, PasskeyError> {
        let (challenge, state) = self.party()?.start_discoverable_authentication()?;
        let mut options = serde_json::to_value(challenge.public_key)?;
        options["allowCredentials"] = Value::Array(allowed);
        Ok(Challenge {
            options,
            state: serde_json::to_value(state)?,
        })
    }

    pub fn authenticated(
        &self,
        answer: &PublicKeyCredential,
        state: Value,
        credential: Value,
    ) -> Result<Used, PasskeyError> {
        let state: DiscoverableAuthentication = serde_json::from_value(state)?;
        let mut passkey: Passkey = serde_json::from_value(credential)?;
        let result = self.party()?;
        let result = result.finish_discoverable_authentication_v2(answer, state, &passkey)?;
        passkey.update_credential(&result);
        Ok(Used {
            credential: serde_json::to_value(passkey)?,
            counter: result.counter(),
        })
    }

    fn party(&self) -> Result<&Webauthn, PasskeyError> {
        self.0.as_ref().ok_or(PasskeyError::Unavailable)
    }
}

/// Whether the authenticator says that the answer is this person's. One that says nothing is
/// believed: the key itself is somebody's.
pub fn names(answer: &PublicKeyCredential, user: UserId) -> bool {
    let handle = answer.response.user_handle.as_deref();
    handle.is_none_or(|handle| handle == user.uuid().as_bytes())
}

// Browsers bind a passkey to a host name, and offer none where others can read along.
fn party(origin: &Url) -> Option<Webauthn> {
    let Some(Host::Domain(host)) = origin.host() else {
        return None;
    };
    if origin.scheme() != "https" && host != "localhost" {
        return None;
    }
    WebauthnBuilder::new(host, origin)
        .ok()?
        .rp_name("AgentHiFive")
        .timeout(LIFE)
        .build()
        .ok()
}

// === impl PasskeyError ===

impl From<WebauthnError> for PasskeyError {
    fn from(error: WebauthnError) -> Self {
        match error {
            WebauthnError::CredentialPossibleCompromise => Self::Cloned,
            error => Self::Refused(error),
        }
    }
}

/// As long as a ceremony is kept.
const LIFE: Duration = Duration::from_secs(300);
const MAX_TRANSPORTS: usize = 8;

#[cfg(test)]
mod tests {
    use super::*;

    fn id_at(origin: &str) -> Option<String> {
        let party = RelyingParty::new(&Origin::parse(origin).unwrap());
        let options = party.authenticate(Vec::new()).ok()?.options;
        Some(options["rpId"].as_str()?.to_owned())
    }

    #[test]
    fn passkeys_are_the_host_names_and_need_a_safe_way_to_it() {
        let at = |origin| id_at(origin);
        assert_eq!(
            at("https://ah5.example.com:8443").unwrap(),
            "ah5.example.com"
        );
        assert_eq!(at("http://localhost:8080").unwrap(), "localhost");
        // A page at the address cannot use them, one at the name can.
        assert_eq!(at("http://127.0.0.1:8080").unwrap(), "localhost");
        assert_eq!(at("http://ah5.example.com"), None);
        assert_eq!(at("https://192.0.2.1"), None);
    }

    #[test]
    fn every_challenge_asks_for_verification_of_the_person() {
        let party = RelyingParty::new(&Origin::parse("http://localhost:8080").unwrap());
        let challenge = party.authenticate(Vec::new()).unwrap();
        assert_eq!(challenge.options["userVerification"], "required");
        assert_eq!(challenge.state["ast"]["policy"], "required");
        let other = party.authenticate(Vec::new()).unwrap();
        assert_ne!(challenge.options["challenge"], other.options["challenge"]);
    }
}
