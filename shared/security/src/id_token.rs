//! ID tokens of other parties (OpenID Connect Core §3.1.3.7), for signing people in. Everything in
//! a token is chosen by its sender until its signature has verified under the issuer's own keys.

use jsonwebtoken::jwk::{Jwk, PublicKeyUse};
use jsonwebtoken::{Algorithm, AlgorithmFamily, DecodingKey, Validation};
use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

/// Seconds by which clocks may differ.
const TOLERANCE: i64 = 60;
/// An issuer's keys beyond this number are not looked at.
const MAX_KEYS: usize = 64;

/// An issuer's published keys: those that can verify a signature, and no shared secret.
pub struct IssuerKeys(Vec<Jwk>);

/// What a token must say.
#[derive(Clone, Copy, Debug)]
pub struct Expected<'a> {
    pub issuer: Issuer<'a>,
    pub client_id: &'a str,
    pub nonce: &'a str,
    /// Seconds since 1970-01-01 UTC.
    pub now: i64,
}

#[derive(Clone, Copy, Debug)]
pub enum Issuer<'a> {
    /// Exactly this.
    Exact(&'a str),
    /// This, with `{tenantid}` standing for the token's own `tid`, as Microsoft has it.
    PerTenant(&'a str),
}

/// A verified token's claims.
#[derive(Debug, Deserialize)]
pub struct IdClaims {
    pub iss: String,
    pub sub: String,
    aud: Value,
    azp: Option<String>,
    exp: Value,
    nbf: Option<Value>,
    nonce: Option<String>,
    #[serde(flatten)]
    rest: Map<String, Value>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum IdTokenError {
    #[error("the ID token is for somebody else")]
    Audience,
    #[error("the ID token is from another issuer")]
    Issuer,
    #[error("the ID token answers another request")]
    Nonce,
    #[error("the ID token's signature does not verify")]
    Signature,
    #[error("the ID token's times are off")]
    Times,
    /// Fetching the issuer's keys anew may help.
    #[error("the ID token is signed with an unknown key")]
    UnknownKey,
}

// === impl IssuerKeys ===

impl IssuerKeys {
    /// Takes a JWK set (RFC 7517). Keys that are not understood are left out.
    #[must_use]
    pub fn parse(set: &[u8]) -> Option<Self> {
        let set: Value = serde_json::from_slice(set).ok()?;
        let keys = set.get("keys")?.as_array()?.iter().take(MAX_KEYS);
        let keys = keys.filter_map(|key| serde_json::from_value::<Jwk>(key.clone()).ok());
        Some(Self(keys.filter(may_verify).collect()))
    }

    /// # Errors
    /// In the order of the checks: key, signature, issuer, audience, times, nonce.
    pub fn verify(&self, jws: &str, expected: Expected<'_>) -> Result<IdClaims, IdTokenError> {
        let claims: IdClaims = self.open(jws)?;
        claims.check(expected)?;
        Ok(claims)
    }

    /// The claims of what one of these keys has signed, none of them looked at.
    pub(crate) fn open<T: DeserializeOwned>(&self, jws: &str) -> Result<T, IdTokenError> {
        let header = jsonwebtoken::decode_header(jws).map_err(|_| IdTokenError::Signature)?;
        if !ALGORITHMS.contains(&header.alg) || header.crit.is_some() {
            return Err(IdTokenError::Signature);
        }
        let mut named = self.0.iter().filter(|key| match &header.kid {
            Some(kid) => key.common.key_id.as_ref() == Some(kid),
            None => true,
        });
        let key = named.next().ok_or(IdTokenError::UnknownKey)?;
        // Without a name there must be no choice.
        if header.kid.is_none() && named.next().is_some() {
            return Err(IdTokenError::UnknownKey);
        }
        let declared = key.common.key_algorithm;
        if declared.is_some_and(|alg| alg.to_string() != format!("{:?}", header.alg)) {
            return Err(IdTokenError::Signature);
        }
        let decoding = DecodingKey::from_jwk(key).map_err(|_| IdTokenError::Signature)?;
        if decoding.family() == AlgorithmFamily::Hmac {
            return Err(IdTokenError::Signature);
        }
        // What the library would check by its own clock is checked below, by ours.
        let mut validation = Validation::new(header.alg);
        validation.validate_exp = false;
        validation.validate_aud = false;
        validation.set_required_spec_claims::<&str>(&[]);
        let token = jsonwebtoken::decode(jws, &decoding, &validation);
        Ok(token.map_err(|_| IdTokenError::Signature)?.claims)
    }
}

// === impl IdClaims ===

impl IdClaims {
    /// A claim that is text and not empty.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<&str> {
        let text = self.rest.get(name)?.as_str()?;
        Some(text).filter(|text| !text.is_empty())
    }

    /// Whether the claim is true; some issuers write it as text.
    #[must_use]
    pub fn is_true(&self, name: &str) -> bool {
        match self.rest.get(name) {
            Some(Value::Bool(flag)) => *flag,
            Some(Value::String(text)) => text == "true",
            _ => false,
        }
    }

    fn check(&self, expected: Expected<'_>) -> Result<(), IdTokenError> {
        let issuer = match expected.issuer {
            Issuer::Exact(issuer) => self.iss == issuer,
            Issuer::PerTenant(template) => self.text("tid").is_some_and(|tenant| {
                uuid::Uuid::try_parse(tenant).is_ok()
                    && self.iss == template.replace("{tenantid}", tenant)
            }),
        };
        if !issuer || self.sub.is_empty() || self.sub.len() > 255 {
            return Err(IdTokenError::Issuer);
        }
        let audiences: Vec<&str> = match &self.aud {
            Value::String(one) => vec![one],
            Value::Array(several) => several.iter().filter_map(Value::as_str).collect(),
            _ => Vec::new(),
        };
        let authorized = self.azp.as_deref();
        if !audiences.contains(&expected.client_id)
            || (audiences.len() > 1 && authorized.is_none())
            || authorized.is_some_and(|party| party != expected.client_id)
        {
            return Err(IdTokenError::Audience);
        }
        let exp = self.exp.as_i64().ok_or(IdTokenError::Times)?;
        let nbf = self.nbf.as_ref().and_then(Value::as_i64);
        if exp.saturating_add(TOLERANCE) <= expected.now
            || nbf.is_some_and(|nbf| nbf > expected.now.saturating_add(TOLERANCE))
        {
            return Err(IdTokenError::Times);
        }
        if self.nonce.as_deref() != Some(expected.nonce) {
            return Err(IdTokenError::Nonce);
        }
        Ok(())
    }
}

fn may_verify(key: &Jwk) -> bool {
    let sealing = key.common.public_key_use == Some(PublicKeyUse::Encryption);
    let shared = DecodingKey::from_jwk(key)
        .map_or(true, |decoding| decoding.family() == AlgorithmFamily::Hmac);
    !sealing && !shared
}

/// Signatures that only the holder of a private key can make.
const ALGORITHMS: [Algorithm; 9] = [
    Algorithm::EdDSA,
    Algorithm::ES256,
    Algorithm::ES384,
    Algorithm::PS256,
    Algorithm::PS384,
    Algorithm::PS512,
    Algorithm::RS256,
    Algorithm::RS384,
    Algorithm::RS512,
];

#[cfg(test)]
mod tests;
